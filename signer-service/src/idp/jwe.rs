//! Encryption for the provider: ECDH-ES in direct agreement (RFC 7518 4.6) on brainpoolP256r1, A256GCM (RFC 7518 5.3),
//! compact serialisation (RFC 7516 7.1).

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as BASE64URL};
use bp256::BrainpoolP256r1;
use elliptic_curve::{Generate, NonZeroScalar, PublicKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{IdpError, NESTED, ProviderKey, jwk::Jwk};

const ENCRYPTION: &str = "A256GCM";
/// Bytes of the nonce and of the tag.
const NONCE: usize = 12;
const TAG: usize = 16;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    enc: &'a str,
    cty: &'a str,
    exp: i64,
    epk: Jwk,
}

/// Encrypts a nested token that is valid until `expires_at`.
pub(super) fn encrypt(plaintext: &[u8], expires_at: i64, provider: &ProviderKey) -> Result<String, IdpError> {
    let secret = NonZeroScalar::<BrainpoolP256r1>::try_generate().map_err(|_| IdpError::Random)?;
    let secret = Zeroizing::new(secret);
    let epk = Jwk::of(&PublicKey::from_secret_scalar(&secret));
    let common = elliptic_curve::ecdh::diffie_hellman(*secret, provider.public().as_affine());
    let key = derive(common.raw_secret_bytes(), ENCRYPTION.as_bytes());
    let header = Header { alg: "ECDH-ES", enc: ENCRYPTION, cty: NESTED, exp: expires_at, epk };
    let header = BASE64URL.encode(serde_json::json!(header).to_string());
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| IdpError::Random)?;
    let cipher = Aes256Gcm::new((&*key).into());
    let sealed = cipher.encrypt((&nonce).into(), Payload { msg: plaintext, aad: header.as_bytes() });
    // Fails for texts of gigabytes only.
    let sealed = sealed.map_err(|_| IdpError::Malformed { expected: "at most 16 KiB" })?;
    let (ciphertext, tag) = sealed.split_at_checked(sealed.len().saturating_sub(TAG)).unwrap_or_default();
    // In direct agreement the encrypted key is empty.
    Ok(format!(
        "{header}..{}.{}.{}",
        BASE64URL.encode(nonce),
        BASE64URL.encode(ciphertext),
        BASE64URL.encode(tag)
    ))
}

/// Concat KDF (NIST SP 800-56A 5.8.1, RFC 7518 4.6.2) for 256 bits without party information: one round of SHA-256.
fn derive(common: &[u8], algorithm: &[u8]) -> Zeroizing<[u8; 32]> {
    let length = u32::try_from(algorithm.len()).unwrap_or_default();
    let mut hash = Sha256::new();
    hash.update(1u32.to_be_bytes());
    hash.update(common);
    hash.update(length.to_be_bytes());
    hash.update(algorithm);
    // PartyUInfo and PartyVInfo are empty; SuppPubInfo is the length of the key in bits.
    hash.update([0; 8]);
    hash.update(256u32.to_be_bytes());
    Zeroizing::new(hash.finalize().into())
}

#[cfg(test)]
pub(super) mod tests {

    use super::{super::jwk::tests::SigningKey, *};

    /// Opens a JWE as the provider does.
    pub(in super::super) fn decrypt(text: &str, key: &SigningKey) -> (serde_json::Value, Vec<u8>) {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, "", nonce, ciphertext, tag] = parts[..] else { panic!("{text}") };
        let bytes = |part: &str| BASE64URL.decode(part).unwrap();
        let fields: serde_json::Value = serde_json::from_slice(&bytes(header)).unwrap();
        let epk = ProviderKey::read(&fields["epk"].to_string(), "epk").unwrap();
        let common = elliptic_curve::ecdh::diffie_hellman(key.as_nonzero_scalar(), epk.public().as_affine());
        let cipher = Aes256Gcm::new((&*derive(common.raw_secret_bytes(), b"A256GCM")).into());
        let sealed = [bytes(ciphertext), bytes(tag)].concat();
        let nonce: [u8; NONCE] = bytes(nonce).try_into().unwrap();
        let plaintext = cipher.decrypt((&nonce).into(), Payload { msg: &sealed, aad: header.as_bytes() });
        (fields, plaintext.unwrap())
    }

    #[test]
    fn what_was_encrypted_is_opened_and_never_looks_the_same() {
        let key = SigningKey::from_slice(&[0x42; 32]).unwrap();
        let provider = super::super::jwk::tests::key_of(&key);
        let [one, other] = [0; 2].map(|_| encrypt(b"text", 180, &provider).unwrap());
        assert_ne!(one, other);
        assert_eq!(decrypt(&one, &key).1, b"text");
        assert_eq!(decrypt(&other, &key).0["alg"], "ECDH-ES");
    }
}
