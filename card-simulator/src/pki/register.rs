//! The national register of the Belgian cards: it signs what their identity files say.

use const_oid::ObjectIdentifier;
use der::Encode;
use p384::NistP384;
use sha2::{Digest, Sha256, Sha384};
use x509_cert::ext::ToExtension;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};

use super::authority::{Authority, RootKind, load};
use super::{PkiError, subject};
use crate::crypto::{CryptoError, PrivateKey};

/// A register that the root of the same kind certified.
pub(crate) struct Register {
    key: PrivateKey,
    /// DER.
    pub(crate) certificate: Vec<u8>,
}

impl Register {
    /// ECDSA with SHA-384 as a SEQUENCE of r and s, or RSA PKCS#1 v1.5 with SHA-256.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, PkiError> {
        const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
        match &self.key {
            PrivateKey::Rsa(_) => {
                let info = digest_info(SHA256, &Sha256::digest(data))?;
                Ok(self.key.sign_pkcs1(&info)?)
            }
            key => {
                let signature = key.sign_ecdsa(&Sha384::digest(data))?;
                let signature = ecdsa::Signature::<NistP384>::from_slice(&signature);
                Ok(signature.map_err(|_| CryptoError::Failed)?.to_der().as_bytes().to_vec())
            }
        }
    }
}

impl Authority {
    /// The certificate of the root that issues certificates for keys of this kind, DER.
    pub(crate) fn issuer_of(&self, key: &PrivateKey) -> Result<Vec<u8>, PkiError> {
        Ok(self.root(RootKind::of(key))?.certificate.to_der()?)
    }

    /// The register whose key is of the same kind as this one; made at first use.
    pub(crate) fn register(&self, like: &PrivateKey) -> Result<Register, PkiError> {
        let kind = RootKind::of(like);
        let name = format!("register-{}", kind.key_name());
        let path = |extension: &str| self.directory().join(format!("{name}.{extension}"));
        let (key_path, certificate_path) = (path("key.pem"), path("pem"));
        if !certificate_path.exists() {
            let key = self.new_key(kind)?;
            let subject = subject::authority("National register TEST-ONLY")?;
            let extensions = vec![
                BasicConstraints { ca: false, path_len_constraint: None }.to_extension(&subject, &[])?,
                KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(&subject, &[])?,
            ];
            let certificate = self.certify(kind, &key, subject, extensions)?;
            self.save(&key_path, &key, &certificate_path, &certificate)?;
        }
        let register = load(&key_path, &certificate_path)?;
        Ok(Register { certificate: register.certificate.to_der()?, key: register.key })
    }
}

/// DigestInfo (RFC 8017, 9.2).
fn digest_info(algorithm: ObjectIdentifier, digest: &[u8]) -> Result<Vec<u8>, PkiError> {
    let null = der::Any::null().to_der()?;
    let identifier = crate::tlv::encode(0x30, &[algorithm.to_der()?, null].concat());
    Ok(crate::tlv::encode(0x30, &[identifier, crate::tlv::encode(0x04, digest)].concat()))
}
