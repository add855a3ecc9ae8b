//! Loads the trust anchors from PEM files and folders, and from trusted lists.

pub mod list;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use cades::{AnchorError, TrustAnchors};
use thiserror::Error;

use crate::config::Trust;

/// Why anchors cannot be loaded.
#[derive(Debug, Error)]
pub enum TrustError {
    /// A file or folder cannot be read.
    #[error("trust.anchors: {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds no usable certificates.
    #[error("trust.anchors: {path}: expected PEM certificates: {source}")]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: AnchorError,
    },
    /// A file is no trusted list.
    #[error("trust.lists: {path}: {source}")]
    List {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: list::ListError,
    },
    /// A trusted list cannot be read.
    #[error("trust.lists: {path}: {source}")]
    ReadList {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Reads all that is configured. Says so if it is nothing.
///
/// # Errors
/// The first path that cannot be used.
pub fn load(trust: &Trust) -> Result<TrustAnchors, TrustError> {
    let mut anchors = certificates(&trust.anchors)?;
    for path in &trust.lists {
        let xml = fs::read(path).map_err(|source| TrustError::ReadList { path: path.clone(), source })?;
        anchors.extend(list::read(&xml).map_err(|source| TrustError::List { path: path.clone(), source })?);
    }
    if anchors.is_empty() {
        tracing::warn!("trust names no certificate: no signature will be VALID");
    }
    Ok(anchors)
}

/// Files as they are, of folders the files `*.pem` and `*.crt`.
fn certificates(paths: &[PathBuf]) -> Result<TrustAnchors, TrustError> {
    let mut pem = Vec::new();
    for path in paths {
        for file in files(path)? {
            let read = fs::read(&file).map_err(|source| TrustError::Read { path: file.clone(), source })?;
            // Read once alone, so that an error names its file.
            TrustAnchors::from_pem(&read).map_err(|source| TrustError::Content { path: file, source })?;
            pem.extend(read);
            pem.push(b'\n');
        }
    }
    if pem.is_empty() {
        return Ok(TrustAnchors::default());
    }
    let path = paths.first().cloned().unwrap_or_default();
    TrustAnchors::from_pem(&pem).map_err(|source| TrustError::Content { path, source })
}

fn files(path: &Path) -> Result<Vec<PathBuf>, TrustError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let refuse = |source| TrustError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(refuse)? {
        let file = entry.map_err(refuse)?.path();
        if file.extension().is_some_and(|extension| extension == "pem" || extension == "crt") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let error = certificates(&["/nowhere/ca.pem".into()]).unwrap_err();
        assert!(error.to_string().contains("/nowhere/ca.pem"), "{error}");
    }

    #[test]
    fn a_file_without_certificates_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("note.txt"), "ignored").unwrap();
        fs::write(folder.path().join("broken.pem"), "no certificate").unwrap();
        let error = certificates(&[folder.path().to_owned()]).unwrap_err();
        assert!(error.to_string().contains("broken.pem"), "{error}");
    }

    #[test]
    fn no_paths_mean_no_anchors() {
        assert!(certificates(&[]).is_ok());
    }
}
