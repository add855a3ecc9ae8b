//! What the test authority keeps for its OCSP responder: the certificates it issued, and a responder's key.

use std::path::PathBuf;

use const_oid::db::rfc5280::ID_KP_OCSP_SIGNING;
use const_oid::db::rfc5912::ECDSA_WITH_SHA_256;
use der::asn1::UintRef;
use der::{Encode, Sequence};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::ext::ToExtension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::authority::{Authority, RootKind, load, read, write};
use super::{PkiError, subject};
use crate::crypto::PrivateKey;
use crate::layout::{Curve, KeyKind};

/// A certificate the authority issued.
pub(crate) struct Issued {
    /// DER.
    pub(crate) certificate: Vec<u8>,
    /// Content of the status file beside it.
    pub(crate) status: Option<String>,
}

/// A responder that one root certified.
pub(crate) struct Responder {
    key: PrivateKey,
    /// DER.
    pub(crate) certificate: Vec<u8>,
    /// Content of the subjectPublicKey BIT STRING.
    pub(crate) public_key: Vec<u8>,
}

#[derive(Sequence)]
struct EcdsaValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

impl Responder {
    /// AlgorithmIdentifier and signature, as they stand in an answer.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<(AlgorithmIdentifierOwned, Vec<u8>), PkiError> {
        let raw = self.key.sign_ecdsa(&Sha256::digest(data))?;
        let (r, s) = raw.split_at(raw.len() / 2);
        let value = EcdsaValue { r: UintRef::new(r)?, s: UintRef::new(s)? };
        Ok((AlgorithmIdentifierOwned { oid: ECDSA_WITH_SHA_256, parameters: None }, value.to_der()?))
    }
}

impl Authority {
    /// Keeps what was issued, so that the responder knows it.
    pub(super) fn remember(&self, certificate: &Certificate) -> Result<(), PkiError> {
        let path = self.issued_path(certificate.tbs_certificate().serial_number().as_bytes(), "der");
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|source| PkiError::Io { path: folder.to_path_buf(), source })?;
        }
        write(&path, &certificate.to_der()?, 0o644)
    }

    /// The certificate with this serial number (content of the INTEGER).
    pub(crate) fn issued(&self, serial: &[u8]) -> Result<Option<Issued>, PkiError> {
        let path = self.issued_path(serial, "der");
        if !path.exists() {
            return Ok(None);
        }
        let certificate = std::fs::read(&path).map_err(|source| PkiError::Io { path, source })?;
        let path = self.issued_path(serial, "status");
        let status = path.exists().then(|| read(&path)).transpose()?;
        Ok(Some(Issued { certificate, status }))
    }

    /// The responder of the root whose public key is the wanted one, made when first needed.
    pub(crate) fn responder(&self, wanted: impl Fn(&[u8]) -> bool) -> Result<Option<Responder>, PkiError> {
        for kind in RootKind::ALL {
            if !self.path(kind, "pem").exists() {
                continue;
            }
            let root = self.root(kind)?;
            if wanted(key_bits(&root.certificate)) {
                return self.responder_of(kind).map(Some);
            }
        }
        Ok(None)
    }

    fn responder_of(&self, kind: RootKind) -> Result<Responder, PkiError> {
        let (key_path, path) = (self.path(kind, "ocsp.key.pem"), self.path(kind, "ocsp.pem"));
        if !path.exists() {
            let key = PrivateKey::generate(KeyKind::EcPrivate(Curve::BrainpoolP256r1))?
                .ok_or_else(|| PkiError::Key(key_path.clone()))?;
            let name = subject::authority("Card simulator OCSP TEST-ONLY")?;
            let extensions = vec![
                BasicConstraints { ca: false, path_len_constraint: None }.to_extension(&name, &[])?,
                KeyUsage(KeyUsages::NonRepudiation.into()).to_extension(&name, &[])?,
                ExtendedKeyUsage(vec![ID_KP_OCSP_SIGNING]).to_extension(&name, &[])?,
            ];
            let certificate = self.certify(kind, &key, name, extensions)?;
            self.save(&key_path, &key, &path, &certificate)?;
        }
        let responder = load(&key_path, &path)?;
        Ok(Responder {
            public_key: key_bits(&responder.certificate).to_vec(),
            certificate: responder.certificate.to_der()?,
            key: responder.key,
        })
    }

    fn issued_path(&self, serial: &[u8], extension: &str) -> PathBuf {
        self.directory().join("issued").join(format!("{}.{extension}", hex::encode(serial)))
    }
}

fn key_bits(certificate: &Certificate) -> &[u8] {
    certificate.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes()
}
