//! Mutual TLS (RFC 8446; RFC 5246 if configured): who connects over the network shows a certificate, and its chain leads
//! to a configured authority. Without that there is no connection.
//!
//! Certificates are read again when their files change or the service is told to (SIGHUP). Connections that stand keep
//! theirs; files that cannot be used change nothing.

pub mod authority;
pub mod incoming;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::SystemTime,
};

use thiserror::Error;
use time::OffsetDateTime;
use tokio_rustls::rustls::{
    self, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};

use crate::{
    certificate::Certificate,
    config::{Tls, TlsVersion},
};

/// HTTP/2, as gRPC wants it (RFC 7540 clause 3.3).
const ALPN: &[u8] = b"h2";
const VALID_NOW: &str = "certificates that are valid now";

/// Why the TLS listener cannot work with its files.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file.
    #[error("{key}: {path}: expected {expected}, got {got}")]
    File {
        /// The key of the configuration.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What was found.
        got: String,
    },
    /// Certificate and key, or versions, do not work together.
    #[error("tls.certificate and tls.key: {0}")]
    Pair(#[source] rustls::Error),
    /// The authorities.
    #[error("tls.client_ca: {0}")]
    Authorities(#[from] VerifierBuilderError),
}

/// Until when the certificate and those above it last; read anew.
///
/// # Errors
/// [`TlsError`]: a file, or one of the certificates does not count at this time (RFC 5280 clause 4.1.2.5).
pub fn valid_until(files: &Tls, now: OffsetDateTime) -> Result<OffsetDateTime, TlsError> {
    let (key, path) = ("tls.certificate", &files.certificate);
    let refuse = |expected, got| TlsError::File { key, path: path.clone(), expected, got };
    let mut ends = Vec::new();
    for der in certificates(key, path)? {
        let certificate =
            Certificate::parse(&der).map_err(|error| refuse("certificates (RFC 5280)", error.to_string()))?;
        if now < certificate.not_before {
            return Err(refuse(VALID_NOW, format!("one that begins {}", certificate.not_before)));
        }
        if now > certificate.not_after {
            return Err(refuse(VALID_NOW, format!("one that ended {}", certificate.not_after)));
        }
        ends.push(certificate.not_after);
    }
    ends.into_iter().min().ok_or_else(|| refuse("certificates in PEM", "none".to_owned()))
}

/// The TLS side of the listener, which can be read again while it is used.
#[derive(Debug)]
pub struct ServerTls {
    files: Tls,
    make: fn(&Tls) -> Result<ServerConfig, TlsError>,
    current: RwLock<Arc<ServerConfig>>,
    read_at: Mutex<Vec<Option<SystemTime>>>,
}

impl ServerTls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`] names the file and what is wrong with it.
    pub fn load(files: &Tls) -> Result<ServerTls, TlsError> {
        ServerTls::of(files, server_config)
    }

    /// The same certificate for browsers, who show none.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn for_browsers(files: &Tls) -> Result<ServerTls, TlsError> {
        ServerTls::of(files, browser_config)
    }

    fn of(files: &Tls, make: fn(&Tls) -> Result<ServerConfig, TlsError>) -> Result<ServerTls, TlsError> {
        let read_at = Mutex::new(times(files));
        let current = RwLock::new(Arc::new(make(files)?));
        Ok(ServerTls { files: files.clone(), make, current, read_at })
    }

    /// What new connections are made with.
    pub fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again. If they cannot be used, everything stays as it was.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn reload(&self) -> Result<(), TlsError> {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) = times(&self.files);
        let fresh = Arc::new((self.make)(&self.files)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// One of the files is another one than was read.
    pub fn is_outdated(&self) -> bool {
        *self.read_at.lock().unwrap_or_else(PoisonError::into_inner) != times(&self.files)
    }
}

fn times(files: &Tls) -> Vec<Option<SystemTime>> {
    let modified = |path: &PathBuf| fs::metadata(path).and_then(|found| found.modified()).ok();
    [&files.certificate, &files.key, &files.client_ca].map(modified).to_vec()
}

fn server_config(files: &Tls) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let mut authorities = RootCertStore::empty();
    for authority in certificates("tls.client_ca", &files.client_ca)? {
        authorities.add(authority).map_err(|error| TlsError::File {
            key: "tls.client_ca",
            path: files.client_ca.clone(),
            expected: "certificates of authorities",
            got: error.to_string(),
        })?;
    }
    let clients =
        WebPkiClientVerifier::builder_with_provider(authorities.into(), Arc::clone(&provider)).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions(files.oldest))
        .map_err(TlsError::Pair)?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates("tls.certificate", &files.certificate)?, private_key(files)?)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(config)
}

/// HTTP/1.1, which every browser speaks.
fn browser_config(files: &Tls) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&versions(files.oldest))
        .map_err(TlsError::Pair)?
        .with_no_client_auth()
        .with_single_cert(certificates("tls.certificate", &files.certificate)?, private_key(files)?)
        .map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn private_key(files: &Tls) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(&files.key).map_err(|error| TlsError::File {
        key: "tls.key",
        path: files.key.clone(),
        expected: "a private key in PEM",
        got: error.to_string(),
    })
}

fn versions(oldest: TlsVersion) -> Vec<&'static SupportedProtocolVersion> {
    match oldest {
        TlsVersion::Tls12 => vec![&TLS13, &TLS12],
        TlsVersion::Tls13 => vec![&TLS13],
    }
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let refuse = |got| TlsError::File { key, path: path.to_owned(), expected: "certificates in PEM", got };
    let read = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
    let found: Vec<_> = read.collect::<Result<_, _>>().map_err(|error| refuse(error.to_string()))?;
    if found.is_empty() { Err(refuse("none".to_owned())) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{authority::Authority, *};

    fn files(folder: &Path) -> Tls {
        Authority::open(folder).unwrap().server(&["localhost".to_owned()], 3).unwrap();
        Tls {
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
            client_ca: folder.join("ca.pem"),
            oldest: TlsVersion::Tls13,
        }
    }

    /// Makes a file older than it is, as if it had been read long ago.
    fn age(path: &Path) {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    }

    #[test]
    fn a_certificate_lasts_for_its_time_only() {
        let folder = tempfile::tempdir().unwrap();
        let (files, now) = (files(folder.path()), OffsetDateTime::now_utc());
        let ends = valid_until(&files, now).unwrap();
        assert!(ends > now + time::Duration::days(2) && ends <= now + time::Duration::days(3), "{ends}");
        for (at, got) in [(-2, "one that begins"), (4, "one that ended")] {
            let error = valid_until(&files, now + time::Duration::days(at)).unwrap_err().to_string();
            assert!(error.contains("tls.certificate") && error.contains(got), "{error}");
        }
    }

    #[test]
    fn a_changed_certificate_is_noticed_and_counts_for_new_connections() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        age(&files.certificate);
        let tls = ServerTls::load(&files).unwrap();
        let before = tls.current();
        assert!(!tls.is_outdated());
        Authority::open(folder.path()).unwrap().server(&["localhost".to_owned()], 9).unwrap();
        assert!(tls.is_outdated());
        tls.reload().unwrap();
        assert!(!tls.is_outdated() && !Arc::ptr_eq(&before, &tls.current()));
    }

    #[test]
    fn a_file_that_cannot_be_used_changes_nothing_and_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let files = files(folder.path());
        let tls = ServerTls::load(&files).unwrap();
        let before = tls.current();
        for (path, key) in [
            (&files.certificate, "tls.certificate"),
            (&files.key, "tls.key"),
            (&files.client_ca, "tls.client_ca"),
        ] {
            let kept = fs::read(path).unwrap();
            fs::write(path, "nonsense").unwrap();
            let error = tls.reload().unwrap_err().to_string();
            assert!(error.contains(key) && error.contains(&path.display().to_string()), "{error}");
            fs::write(path, kept).unwrap();
        }
        // A key that is not the certificate's.
        Authority::open(folder.path()).unwrap().client("ward", 3).unwrap();
        fs::copy(folder.path().join("ward.key"), &files.key).unwrap();
        assert!(matches!(tls.reload(), Err(TlsError::Pair(_))));
        assert!(Arc::ptr_eq(&before, &tls.current()));
    }
}
