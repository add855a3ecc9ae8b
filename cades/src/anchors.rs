//! The certification authorities a verifier trusts.

use thiserror::Error;

/// Issuer certificates trusted as they are: roots or intermediates. Nothing above an anchor is looked at.
#[derive(Debug, Clone, Default)]
pub struct TrustAnchors {}

/// Why a set of anchors could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AnchorError {
    /// The text holds no `BEGIN CERTIFICATE` block.
    #[error("no certificate in the PEM text")]
    Empty,
    /// One block is damaged.
    #[error("certificate {position} of the PEM text cannot be read: {reason}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// What is wrong with it.
        reason: String,
    },
}

impl TrustAnchors {
    /// Reads all certificates of a PEM text; anything between the blocks is ignored.
    ///
    /// # Errors
    /// [`AnchorError`] when there is no certificate or one is damaged.
    pub fn from_pem(pem: &[u8]) -> Result<TrustAnchors, AnchorError> {
        let _ = pem;
        Err(AnchorError::Empty)
    }

    /// Adds one certificate (DER).
    ///
    /// # Errors
    /// [`AnchorError::Certificate`] when it cannot be read.
    pub fn add(&mut self, certificate: &[u8]) -> Result<(), AnchorError> {
        let _ = certificate;
        Ok(())
    }
}
