//! Checkpoints: the service's signature over the newest record's hash. A chain alone cannot show that its newest
//! records were cut off, or that it was written anew from the beginning; a checkpoint kept elsewhere can.

use std::{fmt, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use p384::{
    SecretKey,
    ecdsa::{Signature, SigningKey, VerifyingKey, signature::Signer, signature::Verifier},
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

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

/// Why a key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not a P-384 key.
    #[error("{path}: expected a P-384 key in PEM")]
    Content {
        /// Which file.
        path: String,
    },
    /// No random bytes.
    #[error("no random numbers")]
    Random,
}

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
        if !path.exists() {
            create(path)?;
        }
        let text = read(path)?;
        let key = SecretKey::from_pkcs8_pem(&zeroize::Zeroizing::new(text));
        key.map(|key| CheckpointKey(key.into())).map_err(|_| content(path))
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
        let key = p384::PublicKey::from_public_key_pem(&read(path)?);
        key.map(|key| CheckpointVerifier(key.into())).map_err(|_| content(path))
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

fn create(path: &Path) -> Result<(), KeyError> {
    let key = loop {
        let mut bytes = zeroize::Zeroizing::new([0u8; 48]);
        getrandom::fill(bytes.as_mut()).map_err(|_| KeyError::Random)?;
        // Nearly every number is one; the others are thrown away.
        if let Ok(key) = SecretKey::from_slice(bytes.as_ref()) {
            break key;
        }
    };
    let private = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| content(path))?;
    let public = key.public_key().to_public_key_pem(LineEnding::LF).map_err(|_| content(path))?;
    write(&path.with_extension("pub"), public.as_bytes(), 0o644)?;
    write(path, private.as_bytes(), 0o600)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyError> {
    let mut options = std::fs::OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|source| KeyError::File { path: path.display().to_string(), source })
}

fn read(path: &Path) -> Result<String, KeyError> {
    std::fs::read_to_string(path)
        .map_err(|source| KeyError::File { path: path.display().to_string(), source })
}

fn content(path: &Path) -> KeyError {
    KeyError::Content { path: path.display().to_string() }
}
