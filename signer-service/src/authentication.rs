//! Proving who a clinician is: the authentication key of the card signs a challenge.
//!
//! What is signed begins with a text that no other use of the key begins with, so that a signature for this service
//! is worth nothing elsewhere, and no other party's challenge can be slipped in:
//!
//! ```text
//! HPC Signer clinician authentication v1\n
//! <audience>\n
//! <nonce, base 16>\n
//! ```
//!
//! The check is made by `cades`, over a SignedData without signed attributes (RFC 5652 clause 5.4: the signature is
//! then over the content itself). So mathematics, chain and profession have one implementation, and the caller gets
//! a proof that any CMS verifier can repeat.

use cades::{Algorithm, Chain, TrustAnchors};
use sha2::{Digest, Sha256, Sha384};
use time::OffsetDateTime;
use x509_cert::der::{Decode, Encode};

use crate::{certificate::Certificate, signature::SignatureError};

/// First line of every challenge.
const DOMAIN: &str = "HPC Signer clinician authentication v1";

/// The bytes to be signed for an audience and a nonce.
pub fn challenge(audience: &str, nonce: &[u8]) -> Vec<u8> {
    format!("{DOMAIN}\n{audience}\n{}\n", hex::encode(nonce)).into_bytes()
}

/// The digest the card gets.
pub fn digest(algorithm: Algorithm, challenge: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::EcdsaSha384 => Sha384::digest(challenge).to_vec(),
        Algorithm::EcdsaSha256(_) | Algorithm::RsaPssSha256 => Sha256::digest(challenge).to_vec(),
    }
}

/// A verified answer to a challenge.
#[derive(Debug)]
pub struct Proof {
    /// ECDSA: X9.62 SEQUENCE; RSA: the number.
    pub signature_der: Vec<u8>,
    /// CMS SignedData without signed attributes, DER.
    pub cms: Vec<u8>,
    /// Whether the certificate leads to a trust anchor.
    pub chain: Chain,
    /// Professions, dotted.
    pub profession_oids: Vec<String>,
    /// Telematik-ID.
    pub telematik_id: Option<String>,
}

/// Verifies a raw signature (r and s in full width, or the RSA number) over a challenge.
///
/// # Errors
/// The signature does not fit challenge and certificate.
pub fn verify(
    challenge: &[u8],
    certificate: &Certificate,
    algorithm: Algorithm,
    signature: &[u8],
    anchors: &TrustAnchors,
    now: OffsetDateTime,
) -> Result<Proof, SignatureError> {
    let signature_der = match algorithm {
        Algorithm::EcdsaSha256(_) | Algorithm::EcdsaSha384 => ecdsa_value(signature),
        Algorithm::RsaPssSha256 => signature.to_vec(),
    };
    let cms = signed_data(challenge, certificate, algorithm, &signature_der)
        .ok_or(SignatureError::SelfCheck("the certificate cannot be read"))?;
    let report =
        cades::verify(&cms, anchors, now).map_err(|_| SignatureError::SelfCheck("it cannot be read"))?;
    if !report.mathematics.signature {
        return Err(SignatureError::SelfCheck("the card's signature does not fit its certificate"));
    }
    let signer = report.signer.ok_or(SignatureError::SelfCheck("it names another certificate"))?;
    Ok(Proof {
        signature_der,
        cms,
        chain: report.chain,
        profession_oids: signer.profession_oids,
        telematik_id: signer.registration_number,
    })
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const CONTEXT_0: u8 = 0xA0;
/// version 1
const VERSION_1: [u8; 3] = [INTEGER, 1, 1];
/// OBJECT IDENTIFIER id-data 1.2.840.113549.1.7.1
const ID_DATA: [u8; 11] = [0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 1];
/// OBJECT IDENTIFIER id-signedData 1.2.840.113549.1.7.2
const ID_SIGNED_DATA: [u8; 11] = [0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 7, 2];
/// AlgorithmIdentifier id-sha256 2.16.840.1.101.3.4.2.1 without parameters (RFC 5754 clause 2)
const SHA_256: [u8; 13] = [SEQUENCE, 11, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
/// AlgorithmIdentifier id-sha384 2.16.840.1.101.3.4.2.2 without parameters
const SHA_384: [u8; 13] = [SEQUENCE, 11, 0x06, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
/// AlgorithmIdentifier ecdsa-with-SHA256 1.2.840.10045.4.3.2 (RFC 5758 clause 3.2)
const ECDSA_SHA_256: [u8; 12] = [SEQUENCE, 10, 0x06, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 2];
/// AlgorithmIdentifier ecdsa-with-SHA384 1.2.840.10045.4.3.3
const ECDSA_SHA_384: [u8; 12] = [SEQUENCE, 10, 0x06, 8, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 4, 3, 3];
/// OBJECT IDENTIFIER id-RSASSA-PSS 1.2.840.113549.1.1.10
const RSASSA_PSS: [u8; 11] = [0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 10];
/// OBJECT IDENTIFIER id-mgf1 1.2.840.113549.1.1.8
const MGF1: [u8; 11] = [0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 1, 1, 8];

/// ContentInfo with SignedData (RFC 5652 clauses 3 and 5.1), one signer, no signed attributes.
fn signed_data(
    content: &[u8],
    certificate: &Certificate,
    algorithm: Algorithm,
    value: &[u8],
) -> Option<Vec<u8>> {
    let parsed = x509_cert::Certificate::from_der(&certificate.der).ok()?;
    let issuer = parsed.tbs_certificate().issuer().to_der().ok()?;
    let serial = parsed.tbs_certificate().serial_number().to_der().ok()?;
    let digest: &[u8] = if matches!(algorithm, Algorithm::EcdsaSha384) { &SHA_384 } else { &SHA_256 };
    let scheme = match algorithm {
        Algorithm::EcdsaSha256(_) => ECDSA_SHA_256.to_vec(),
        Algorithm::EcdsaSha384 => ECDSA_SHA_384.to_vec(),
        Algorithm::RsaPssSha256 => rsa_pss(),
    };
    let enveloped = tlv(SEQUENCE, &[&ID_DATA, &tlv(CONTEXT_0, &[&tlv(OCTET_STRING, &[content])])]);
    let named = tlv(SEQUENCE, &[&issuer, &serial]);
    let signer = tlv(SEQUENCE, &[&VERSION_1, &named, digest, &scheme, &tlv(OCTET_STRING, &[value])]);
    let certificates = tlv(CONTEXT_0, &[&certificate.der]);
    let parts: [&[u8]; 5] =
        [&VERSION_1, &tlv(SET, &[digest]), &enveloped, &certificates, &tlv(SET, &[&signer])];
    Some(tlv(SEQUENCE, &[&ID_SIGNED_DATA, &tlv(CONTEXT_0, &[&tlv(SEQUENCE, &parts)])]))
}

/// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and 32 bytes of salt (RFC 4055 clause 3.1).
fn rsa_pss() -> Vec<u8> {
    let hash = tlv(CONTEXT_0, &[&SHA_256]);
    let mask = tlv(CONTEXT_0 + 1, &[&tlv(SEQUENCE, &[&MGF1, &SHA_256])]);
    let salt = tlv(CONTEXT_0 + 2, &[&[INTEGER, 1, 32]]);
    tlv(SEQUENCE, &[&RSASSA_PSS, &tlv(SEQUENCE, &[&hash, &mask, &salt])])
}

/// ECDSA-Sig-Value (RFC 3279 clause 2.2.3) of two numbers of the same width.
fn ecdsa_value(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    tlv(SEQUENCE, &[&unsigned(r), &unsigned(s)])
}

/// INTEGER in as few bytes as it needs, never negative.
fn unsigned(number: &[u8]) -> Vec<u8> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let significant = number.get(start..).unwrap_or_default();
    let negative = significant.first().is_none_or(|byte| byte & 0x80 != 0);
    tlv(INTEGER, &[if negative { &[0] } else { &[] }, significant])
}

/// Tag, length in DER, and the parts one after the other.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let bytes = body.len().to_be_bytes();
    let start = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
    let length = bytes.get(start..).unwrap_or_default();
    let mut out = vec![tag];
    match (body.len(), u8::try_from(length.len())) {
        (..0x80, _) => out.push(length.first().copied().unwrap_or(0)),
        (_, Ok(count)) => {
            out.push(0x80 | count);
            out.extend_from_slice(length);
        }
        // A length never has more than eight bytes.
        (_, Err(_)) => {}
    }
    out.extend(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_purpose_audience_and_nonce() {
        let text = String::from_utf8(challenge("https://clinic.example", &[0xAB; 2])).unwrap();
        assert_eq!(text, "HPC Signer clinician authentication v1\nhttps://clinic.example\nabab\n");
    }

    #[test]
    fn numbers_keep_their_value_in_der() {
        let mut raw = vec![0; 64];
        raw[31] = 1;
        raw[63] = 0x80;
        assert_eq!(ecdsa_value(&raw), [0x30, 7, 2, 1, 1, 2, 2, 0, 0x80]);
        assert_eq!(ecdsa_value(&[0, 0]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
    }

    #[test]
    fn lengths_are_written_in_der() {
        assert_eq!(tlv(4, &[&[]]), [4, 0]);
        assert_eq!(tlv(4, &[&[7; 0x7F]])[..2], [4, 0x7F]);
        assert_eq!(tlv(4, &[&[7; 0x80]])[..3], [4, 0x81, 0x80]);
        assert_eq!(tlv(4, &[&[7; 0x1234]])[..4], [4, 0x82, 0x12, 0x34]);
    }

    #[test]
    fn the_digest_is_the_one_of_the_key() {
        assert_eq!(digest(Algorithm::EcdsaSha384, b"x").len(), 48);
        assert_eq!(digest(Algorithm::RsaPssSha256, b"x").len(), 32);
    }
}
