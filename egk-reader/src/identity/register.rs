//! The Belgian national register's signatures of the identity and address files (Belgian Electronic Identity Card content):
//! the identity file as it is on the card, and the address without the zeros behind it, followed by the file with the
//! identity's signature.
//!
//! They prove that the files belong together and were not changed. Whether the certificate on the card is the register's, its
//! issuer tells who has the Belgian root from elsewhere.

use card::tlv::total_len;
use ecdsa::Signature;
use ecdsa::signature::hazmat::PrehashVerifier;
use p384::NistP384;
use p384::ecdsa::VerifyingKey;
use rsa::pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use serde::Serialize;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use crate::certificates::CertificateFacts;

/// Whether the national register signed what was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegisterSignatures {
    /// Of the identity file.
    pub identity: SignatureState,
    /// Of the address, together with the identity's signature.
    pub address: SignatureState,
    /// The certificate on the card that they were verified with; not verified itself.
    pub certificate: Option<CertificateFacts>,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SignatureState {
    /// It is the signature of this content by this certificate's key.
    Valid,
    /// It is not.
    Invalid,
    /// The card has no signature, or no certificate to verify it with.
    Missing,
}

/// What is on the card.
pub(super) struct Signed<'a> {
    pub(super) identity: &'a [u8],
    pub(super) identity_signature: &'a [u8],
    /// Up to the zeros behind it.
    pub(super) address: &'a [u8],
    pub(super) address_signature: &'a [u8],
    pub(super) certificate: &'a [u8],
}

impl Signed<'_> {
    pub(super) fn check(&self) -> RegisterSignatures {
        let certificate = total_len(self.certificate).and_then(|length| self.certificate.get(..length));
        let key = certificate.and_then(Key::of);
        let state = |content: &[&[u8]], signature: &[u8]| match &key {
            Some(key) if signature.iter().any(|byte| *byte != 0) => {
                if key.signed(content, signature) {
                    SignatureState::Valid
                } else {
                    SignatureState::Invalid
                }
            }
            _ => SignatureState::Missing,
        };
        RegisterSignatures {
            identity: state(&[self.identity], self.identity_signature),
            address: state(&[self.address, self.identity_signature], self.address_signature),
            certificate: certificate.and_then(CertificateFacts::of),
        }
    }
}

/// A key as these cards have them: RSA up to applet 1.7, P-384 since.
enum Key {
    Rsa(Box<RsaPublicKey>),
    P384(Box<VerifyingKey>),
}

impl Key {
    fn of(certificate: &[u8]) -> Option<Key> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let info = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
        let rsa = RsaPublicKey::from_public_key_der(&info).map(|key| Key::Rsa(Box::new(key)));
        rsa.ok().or_else(|| Some(Key::P384(Box::new(VerifyingKey::from_public_key_der(&info).ok()?))))
    }

    /// No file says which digest was used: it changed with the years, from SHA-1 on.
    fn signed(&self, content: &[&[u8]], signature: &[u8]) -> bool {
        match self {
            Key::Rsa(key) => {
                let is = |scheme: Pkcs1v15Sign, digest: &[u8]| key.verify(scheme, digest, signature).is_ok();
                is(Pkcs1v15Sign::new::<Sha256>(), &digest::<Sha256>(content))
                    || is(Pkcs1v15Sign::new::<Sha1>(), &digest::<Sha1>(content))
                    || is(Pkcs1v15Sign::new::<Sha384>(), &digest::<Sha384>(content))
                    || is(Pkcs1v15Sign::new::<Sha512>(), &digest::<Sha512>(content))
            }
            Key::P384(key) => {
                // DER, filled with zeros to the length of the file.
                let signature = total_len(signature).and_then(|length| signature.get(..length));
                let signature = signature.and_then(|der| Signature::<NistP384>::from_der(der).ok());
                let Some(signature) = signature else { return false };
                [digest::<Sha384>(content), digest::<Sha256>(content), digest::<Sha512>(content)]
                    .iter()
                    .any(|digest| key.verify_prehash(digest, &signature).is_ok())
            }
        }
    }
}

fn digest<D: Digest>(content: &[&[u8]]) -> Vec<u8> {
    let mut digest = D::new();
    content.iter().for_each(|part| digest.update(part));
    digest.finalize().to_vec()
}
