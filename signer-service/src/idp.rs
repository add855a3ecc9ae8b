//! The login challenge of the national identity provider, answered with the authentication key of a card (gemSpec_IDP_Dienst,
//! gemSpec_IDP_Frontend): the provider's challenge is nested into a JWS by the card, and that into a JWE for the provider.
//!
//! Pure functions over texts: who asks the provider, and whether its keys are genuine (its discovery document), is the
//! caller's business. The provider takes brainpoolP256r1 (`BP256R1`) and RSA (`PS256`); a P-384 key cannot log in there.

mod jwe;
mod jwk;

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64URL},
};
use bp256::{BrainpoolP256r1, r1::ecdsa::Signature};
use ecdsa::{VerifyingKey, signature::Verifier};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use time::OffsetDateTime;

pub use jwk::ProviderKey;

use crate::certificate::KeyKind;

/// What a nested token is called in headers.
const NESTED: &str = "NJWT";
const BP256R1: &str = "BP256R1";
/// A challenge is a few hundred bytes; this is what its two coats may make of it.
const LONGEST: usize = 16 * 1024;

/// A challenge whose signature and time are right.
pub struct Challenge {
    text: String,
    expires_at: i64,
}

/// What the card is to sign.
pub struct Unsigned {
    /// Header and payload, as they are signed with SHA-256.
    pub signing_input: String,
    expires_at: i64,
}

/// The answer to a challenge.
pub struct Answer {
    /// The JWS by the card, in compact form.
    pub signed_challenge: String,
    /// The JWE around it for the provider, in compact form: the form field `signed_challenge`.
    pub encrypted: String,
}

/// Why a challenge cannot be answered.
#[derive(Debug, Error)]
pub enum IdpError {
    /// A key of the provider.
    #[error("{field}: expected a public JWK with kty EC and crv BP-256")]
    ProviderKey {
        /// Which.
        field: &'static str,
    },
    /// Not the three parts of a compact JWS with JSON in them, or another kind of token.
    #[error("challenge: expected {expected}")]
    Malformed {
        /// What is missing.
        expected: &'static str,
    },
    /// Not signed by this provider.
    #[error("challenge: its signature does not verify with the provider's key")]
    Forged,
    /// Too late.
    #[error("challenge: it expired at {expired_at} seconds after 1970")]
    Expired {
        /// Its `exp`.
        expired_at: i64,
    },
    /// The card has no key the provider takes.
    #[error("the provider takes keys on brainpoolP256r1 and RSA keys; this certificate has another")]
    KeyKind,
    /// No random numbers for the encryption.
    #[error("no random numbers")]
    Random,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// The claims that are looked at; the rest is the provider's.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
    token_type: String,
}

#[derive(Serialize)]
struct CardHeader<'a> {
    typ: &'a str,
    cty: &'a str,
    x5c: [String; 1],
    alg: &'a str,
}

#[derive(Serialize)]
struct Nested<'a> {
    njwt: &'a str,
}

/// Whether the provider takes signatures by such a key.
pub fn takes(key: &KeyKind) -> bool {
    match key {
        KeyKind::Ec(curve) => curve == "brainpoolP256r1",
        KeyKind::Rsa(_) => true,
        KeyKind::Other(_) => false,
    }
}

impl Challenge {
    /// Reads a challenge and checks that the provider made it and that it can still be answered.
    ///
    /// # Errors
    /// [`IdpError`].
    pub fn read(text: &str, provider: &ProviderKey, now: OffsetDateTime) -> Result<Challenge, IdpError> {
        let malformed = |expected| IdpError::Malformed { expected };
        if text.len() > LONGEST {
            return Err(malformed("at most 16 KiB"));
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(malformed("three parts with dots between"))?;
        let (header, claims) = signed.split_once('.').ok_or(malformed("three parts with dots between"))?;
        let header: Header = json(header).ok_or(malformed("a header in JSON with alg"))?;
        if header.alg != BP256R1 {
            return Err(malformed("a signature with BP256R1"));
        }
        let claims: Claims = json(claims).ok_or(malformed("claims in JSON with exp and token_type"))?;
        let signature = BASE64URL.decode(signature).ok();
        let signature = signature.and_then(|raw| Signature::from_slice(&raw).ok()).ok_or(IdpError::Forged)?;
        let key = VerifyingKey::<BrainpoolP256r1>::from(provider.public());
        key.verify(signed.as_bytes(), &signature).map_err(|_| IdpError::Forged)?;
        if claims.token_type != "challenge" {
            return Err(malformed("token_type \"challenge\""));
        }
        if claims.exp <= now.unix_timestamp() {
            return Err(IdpError::Expired { expired_at: claims.exp });
        }
        Ok(Challenge { text: text.to_owned(), expires_at: claims.exp })
    }

    /// The text for the key of a certificate to sign.
    ///
    /// # Errors
    /// [`IdpError::KeyKind`].
    pub fn nest(&self, certificate: &[u8], algorithm: cades::Algorithm) -> Result<Unsigned, IdpError> {
        let alg = match algorithm {
            cades::Algorithm::EcdsaSha256(cades::Curve::BrainpoolP256r1) => BP256R1,
            cades::Algorithm::RsaPssSha256 => "PS256",
            cades::Algorithm::EcdsaSha256(cades::Curve::P256) | cades::Algorithm::EcdsaSha384 => {
                return Err(IdpError::KeyKind);
            }
        };
        let header = CardHeader { typ: "JWT", cty: NESTED, x5c: [BASE64_STANDARD.encode(certificate)], alg };
        let signing_input = format!("{}.{}", encoded(&header), encoded(&Nested { njwt: &self.text }));
        Ok(Unsigned { signing_input, expires_at: self.expires_at })
    }
}

impl Unsigned {
    /// Puts a verified signature - r and s in full width, or the RSA number - in its place and encrypts the whole.
    ///
    /// # Errors
    /// [`IdpError::Random`].
    pub fn finish(self, signature: &[u8], provider: &ProviderKey) -> Result<Answer, IdpError> {
        let signed_challenge = format!("{}.{}", self.signing_input, BASE64URL.encode(signature));
        let plaintext = serde_json::json!({ "njwt": signed_challenge }).to_string();
        let encrypted = jwe::encrypt(plaintext.as_bytes(), self.expires_at, provider)?;
        Ok(Answer { signed_challenge, encrypted })
    }
}

fn json<T: serde::de::DeserializeOwned>(part: &str) -> Option<T> {
    serde_json::from_slice(&BASE64URL.decode(part).ok()?).ok()
}

fn encoded(value: &impl Serialize) -> String {
    BASE64URL.encode(serde_json::json!(value).to_string())
}

#[cfg(test)]
mod tests {
    use ecdsa::signature::Signer;

    use super::{jwk::tests::SigningKey, *};

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn key() -> SigningKey {
        SigningKey::from_slice(&[0x41; 32]).unwrap()
    }

    fn provider() -> ProviderKey {
        jwk::tests::key_of(&key())
    }

    fn challenge_with(alg: &str, claims: serde_json::Value) -> String {
        let header = serde_json::json!({ "alg": alg, "kid": "puk_idp_sig", "typ": "JWT" });
        let signed = format!("{}.{}", encoded(&header), encoded(&claims));
        let signature: Signature = key().sign(signed.as_bytes());
        format!("{signed}.{}", BASE64URL.encode(signature.to_bytes()))
    }

    fn challenge() -> String {
        challenge_with(BP256R1, serde_json::json!({ "exp": 180, "token_type": "challenge", "nonce": "n" }))
    }

    fn refused(text: &str) -> String {
        Challenge::read(text, &provider(), NOW).err().unwrap().to_string()
    }

    #[test]
    fn a_genuine_challenge_is_nested_with_the_certificate() {
        let challenge = Challenge::read(&challenge(), &provider(), NOW).unwrap();
        for (algorithm, name) in [
            (cades::Algorithm::EcdsaSha256(cades::Curve::BrainpoolP256r1), "BP256R1"),
            (cades::Algorithm::RsaPssSha256, "PS256"),
        ] {
            let unsigned = challenge.nest(b"certificate", algorithm).unwrap();
            let (header, claims) = unsigned.signing_input.split_once('.').unwrap();
            let header: serde_json::Value = json(header).unwrap();
            let expected =
                serde_json::json!({ "typ": "JWT", "cty": "NJWT", "x5c": ["Y2VydGlmaWNhdGU="], "alg": name });
            assert_eq!(header, expected);
            assert_eq!(json::<serde_json::Value>(claims).unwrap()["njwt"], challenge.text);
        }
        assert!(matches!(challenge.nest(b"", cades::Algorithm::EcdsaSha384), Err(IdpError::KeyKind)));
    }

    #[test]
    fn the_answer_is_opened_by_the_provider_and_lives_as_long_as_the_challenge() {
        let challenge = Challenge::read(&challenge(), &provider(), NOW).unwrap();
        let unsigned = challenge.nest(b"c", cades::Algorithm::RsaPssSha256).unwrap();
        let answer = unsigned.finish(&[7; 256], &provider()).unwrap();
        let (header, plaintext) = jwe::tests::decrypt(&answer.encrypted, &key());
        assert_eq!(header["exp"], 180);
        assert_eq!(header["cty"], "NJWT");
        let plaintext: serde_json::Value = serde_json::from_slice(&plaintext).unwrap();
        assert_eq!(plaintext["njwt"], answer.signed_challenge);
    }

    #[test]
    fn a_challenge_of_somebody_else_is_refused() {
        let genuine = challenge();
        let forged = genuine.replacen("eyJ", "eyK", 1);
        assert!(refused(&forged).starts_with("challenge: "));
        let (signed, _) = genuine.rsplit_once('.').unwrap();
        assert_eq!(refused(&format!("{signed}.AAAA")), IdpError::Forged.to_string());
        let other = Signer::<Signature>::sign(&SigningKey::from_slice(&[1; 32]).unwrap(), signed.as_bytes());
        let other = format!("{signed}.{}", BASE64URL.encode(other.to_bytes()));
        assert_eq!(refused(&other), IdpError::Forged.to_string());
    }

    #[test]
    fn other_tokens_and_late_ones_are_refused() {
        let with = |claims| refused(&challenge_with(BP256R1, claims));
        assert!(with(serde_json::json!({ "exp": 0, "token_type": "challenge" })).contains("expired at 0"));
        assert!(with(serde_json::json!({ "exp": 9, "token_type": "code" })).contains("token_type"));
        assert!(with(serde_json::json!({ "exp": 9 })).contains("claims"));
        let claims = serde_json::json!({ "exp": 9, "token_type": "challenge" });
        assert!(refused(&challenge_with("none", claims)).contains("BP256R1"));
        for text in ["", "a", "a.b", "a.b.c", &".".repeat(20_000)] {
            assert!(refused(text).starts_with("challenge: expected"), "{text}");
        }
    }

    /// A published example of the provider's flow: what a card signed, as r and s.
    #[test]
    fn the_published_signature_of_a_test_identity_verifies() {
        let point = "0453ff2660bdf2940fd326c547c5a6b18e1cd83e87716ea19e8f35db969677ebed\
                     01bcbe9dffd2887a89337acaca13483ae9a2f45beb29b2aa574936983c1a8bd3";
        let digest = "c5aa6d968cd7e61da1d167ff1c7218fb533beb2a3ad80659743ab322ae3d6d9b";
        let signature = "7c7c96baf8dbc372d403bb3499d59f886185c6c3b6a067ea328e886ade855035\
                         8585ac5089394b01c539087d21b4f16c3b1bb8c6113b1ba8bb8dca4c6a50485b";
        let bytes = |text: &str| hex::decode(text).unwrap();
        let key = VerifyingKey::<BrainpoolP256r1>::from_sec1_bytes(&bytes(point)).unwrap();
        let signature = Signature::from_slice(&bytes(signature)).unwrap();
        use ecdsa::signature::hazmat::PrehashVerifier;
        key.verify_prehash(&bytes(digest), &signature).unwrap();
    }
}
