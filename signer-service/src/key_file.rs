//! Private keys of the service (P-384, PEM), each in a file of its owner, made when it is not there.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use p384::{
    SecretKey,
    ecdsa::{SigningKey, VerifyingKey},
    pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePrivateKey, EncodePublicKey, LineEnding},
};
use thiserror::Error;

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

/// Reads a private key; makes it, readable by its owner only, and the public key beside it (`.pub`) if there is none yet.
///
/// # Errors
/// [`KeyError`].
pub fn open(path: &Path) -> Result<SigningKey, KeyError> {
    if !path.exists() {
        let key = create(path)?;
        let public = key.public_key().to_public_key_pem(LineEnding::LF).map_err(|_| content(path))?;
        write(&path.with_extension("pub"), public.as_bytes(), 0o644)?;
    }
    read_private(path)
}

/// The same without the public key beside it: a certificate has it.
///
/// # Errors
/// [`KeyError`].
pub fn open_alone(path: &Path) -> Result<SigningKey, KeyError> {
    if !path.exists() {
        create(path)?;
    }
    read_private(path)
}

/// Reads a public key.
///
/// # Errors
/// [`KeyError`].
pub fn open_public(path: &Path) -> Result<VerifyingKey, KeyError> {
    p384::PublicKey::from_public_key_pem(&read(path)?).map(VerifyingKey::from).map_err(|_| content(path))
}

fn read_private(path: &Path) -> Result<SigningKey, KeyError> {
    let text = zeroize::Zeroizing::new(read(path)?);
    SecretKey::from_pkcs8_pem(&text).map(SigningKey::from).map_err(|_| content(path))
}

fn create(path: &Path) -> Result<SecretKey, KeyError> {
    let key = loop {
        let mut bytes = zeroize::Zeroizing::new([0u8; 48]);
        getrandom::fill(bytes.as_mut()).map_err(|_| KeyError::Random)?;
        // Nearly every number is one; the others are thrown away.
        if let Ok(key) = SecretKey::from_slice(bytes.as_ref()) {
            break key;
        }
    };
    let private = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| content(path))?;
    write(path, private.as_bytes(), 0o600)?;
    Ok(key)
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
