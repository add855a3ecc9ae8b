//! Checkpoints: the service's signature over the newest record's hash. A chain alone cannot show that its newest
//! records were cut off, or that it was written anew from the beginning; a checkpoint kept elsewhere can.

use std::{fmt, path::Path};

use p384::ecdsa::{Signature, SigningKey, VerifyingKey, signature::Signer, signature::Verifier};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::key_file::{self, KeyError};

const DOMAIN: &str = "HPC Signer audit checkpoint v1";

/// A signed statement: record `sequence` had this hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// The newest record then.
    pub sequence: u64,
    /// Its hash.
    pub hash: String,
    /// RFC 3339, UTC.
    pub made_at: String,
    /// ECDSA over P-384 with SHA-384, r and s in full width, lower-case hexadecimal.
    pub signature: String,
}

/// The service's key for checkpoints.
#[derive(Clone)]
pub struct CheckpointKey(SigningKey);

impl fmt::Debug for CheckpointKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CheckpointKey(..)")
    }
}

impl CheckpointKey {
    /// Reads the private key; makes it, readable by its owner only, and the public key beside it (`.pub`) if there is
    /// none yet.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(path: &Path) -> Result<CheckpointKey, KeyError> {
        Ok(CheckpointKey(key_file::open(path)?))
    }

    /// A name for the chain of its node: the first half of the SHA-256 of the public key (X9.62 4.3.6, uncompressed).
    pub fn name(&self) -> String {
        let public = self.0.verifying_key().to_sec1_point(false);
        let hash: [u8; 32] = Sha256::digest(public.as_bytes()).into();
        hex::encode(hash.first_chunk::<16>().unwrap_or(&[0; 16]))
    }

    /// Signs that a record has this hash.
    pub fn sign(&self, sequence: u64, hash: &str, made_at: String) -> Checkpoint {
        let signature: Signature = self.0.sign(&signed_bytes(sequence, hash, &made_at));
        Checkpoint { sequence, hash: hash.to_owned(), made_at, signature: hex::encode(signature.to_bytes()) }
    }
}

/// The public half.
#[derive(Debug, Clone)]
pub struct CheckpointVerifier(VerifyingKey);

impl CheckpointVerifier {
    /// Reads a public key, PEM.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(path: &Path) -> Result<CheckpointVerifier, KeyError> {
        Ok(CheckpointVerifier(key_file::open_public(path)?))
    }

    /// Does the signature verify?
    pub fn verifies(&self, checkpoint: &Checkpoint) -> bool {
        let signature = hex::decode(&checkpoint.signature).ok();
        let signature = signature.and_then(|raw| Signature::from_slice(&raw).ok());
        let bytes = signed_bytes(checkpoint.sequence, &checkpoint.hash, &checkpoint.made_at);
        signature.is_some_and(|signature| self.0.verify(&bytes, &signature).is_ok())
    }
}

fn signed_bytes(sequence: u64, hash: &str, made_at: &str) -> Vec<u8> {
    format!("{DOMAIN}\n{sequence}\n{hash}\n{made_at}\n").into_bytes()
}
