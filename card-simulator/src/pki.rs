//! The test public key infrastructure: a certification authority and the certificates of the cards.
//!
//! Shapes follow gemSpec_PKI (policies, key usages, admission); every key is fresh.

mod authority;
mod cards;
mod extensions;
mod profession;
mod register;
mod responder;
pub(crate) mod status;
mod subject;

use thiserror::Error;

pub(crate) use authority::Authority;
pub(crate) use extensions::{Admitted, CertificateType, card_extensions};
pub use profession::Profession;
pub(crate) use register::Register;
pub(crate) use subject::{Holder, Insured};

use crate::crypto::CryptoError;

/// The test certification authority failed.
#[derive(Debug, Error)]
pub(crate) enum PkiError {
    #[error("{}: {source}", path.display())]
    Io { path: std::path::PathBuf, source: std::io::Error },
    #[error("{}: not a private key of the test certification authority", .0.display())]
    Key(std::path::PathBuf),
    #[error("encoding a certificate: {0}")]
    Encoding(String),
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

impl From<der::Error> for PkiError {
    fn from(error: der::Error) -> PkiError {
        PkiError::Encoding(error.to_string())
    }
}

impl From<x509_cert::builder::Error> for PkiError {
    fn from(error: x509_cert::builder::Error) -> PkiError {
        PkiError::Encoding(error.to_string())
    }
}
