//! Which signature a certificate's key makes.

use thiserror::Error;

use crate::certificate::Certificate;
use crate::key::PublicKey;
use crate::scheme::Hash;

/// Signature algorithm of a new signature, decided by the signer certificate's key alone.
///
/// | key | algorithm | digest given to the key | raw signature |
/// |---|---|---|---|
/// | P-256, brainpoolP256r1 | ECDSA with SHA-256 | 32 bytes | r‖s, 64 bytes |
/// | P-384 | ECDSA with SHA-384 | 48 bytes | r‖s, 96 bytes |
/// | RSA | RSASSA-PSS, SHA-256, MGF1-SHA-256, salt 32 | 32 bytes | as long as the modulus |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ecdsa-with-SHA256 (RFC 5758 clause 3.2).
    EcdsaSha256(Curve),
    /// ecdsa-with-SHA384 over P-384 (RFC 5758 clause 3.2).
    EcdsaSha384,
    /// RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes (RFC 4056).
    RsaPssSha256,
}

/// The 256-bit curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// NIST P-256 (RFC 5480).
    P256,
    /// brainpoolP256r1 (RFC 5639), the curve of the German cards.
    BrainpoolP256r1,
}

/// Why no algorithm fits a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AlgorithmError {
    /// The bytes are not an X.509 certificate.
    #[error("the signer certificate cannot be read: {0}")]
    Certificate(String),
    /// A certificate of a key this crate has no algorithm for.
    #[error("no signature algorithm for this key: {0}")]
    Key(String),
}

impl Algorithm {
    /// The algorithm for the key in `certificate` (DER).
    ///
    /// # Errors
    /// [`AlgorithmError`] when the certificate is unreadable or its key is of another kind.
    pub fn for_certificate(certificate: &[u8]) -> Result<Algorithm, AlgorithmError> {
        signing_key(certificate).map(|(_, key)| key.signing_algorithm())
    }

    /// Length in bytes of the digest the key signs.
    pub fn digest_length(self) -> usize {
        match self {
            Algorithm::EcdsaSha256(_) | Algorithm::RsaPssSha256 => 32,
            Algorithm::EcdsaSha384 => 48,
        }
    }

    pub(crate) fn hash(self) -> Hash {
        match self {
            Algorithm::EcdsaSha256(_) | Algorithm::RsaPssSha256 => Hash::Sha256,
            Algorithm::EcdsaSha384 => Hash::Sha384,
        }
    }
}

/// The certificate and its key, both fit for signing.
pub(crate) fn signing_key(certificate: &[u8]) -> Result<(Certificate, PublicKey), AlgorithmError> {
    let certificate =
        Certificate::from_der(certificate).map_err(|error| AlgorithmError::Certificate(error.to_string()))?;
    let key = certificate.public_key().map_err(|error| AlgorithmError::Key(error.to_string()))?;
    Ok((certificate, key))
}
