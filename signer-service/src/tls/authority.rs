//! The service's own small authority (RFC 5280): one root, the server's certificate, and one for each client.
//!
//! All keys are P-384. A hospital with an authority of its own uses that instead: the files are plain PEM.

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    str::FromStr,
    time::{Duration, SystemTime},
};

use p384::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_cert::{
    Certificate,
    builder::{self, Builder, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{
        DecodePem, Encode, EncodePem,
        asn1::{Ia5String, OctetString},
        oid::{
            AssociatedOid,
            db::rfc5280::{ID_KP_CLIENT_AUTH, ID_KP_SERVER_AUTH},
        },
        pem::LineEnding,
    },
    ext::{
        Extension, ToExtension,
        pkix::{
            AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
            SubjectKeyIdentifier, name::GeneralName,
        },
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use crate::key_file::{self, KeyError};

/// Days that the root lasts.
const ROOT_DAYS: u32 = 3650;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Why a certificate was not made.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is there already.
    #[error("{0}: exists already and is not overwritten")]
    Exists(PathBuf),
    /// A name.
    #[error("expected letters, digits, \"-\" and \".\", at most 64, got {0:?}")]
    Name(String),
    /// The certificate of the authority.
    #[error("{path}: expected the authority's certificate in PEM, got {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: x509_cert::der::Error,
    },
    /// Encoding.
    #[error("certificate: {0}")]
    Build(#[from] builder::Error),
    /// Encoding, too.
    #[error("certificate: {0}")]
    Encode(#[from] x509_cert::der::Error),
    /// No random bytes.
    #[error("no random numbers")]
    Random,
}

/// A folder with the root (`ca.pem`, `ca.key`) and what it issued.
pub struct Authority {
    folder: PathBuf,
    name: Name,
    key: SigningKey,
}

/// A certificate that was made.
#[derive(Debug)]
pub struct Issued {
    /// Where it is, PEM.
    pub certificate: PathBuf,
    /// Where its private key is, PEM, mode 0600.
    pub key: PathBuf,
    /// SHA-256 of it, lower-case hexadecimal.
    pub fingerprint: String,
}

/// What a certificate is for.
enum Kind {
    Root,
    Server(Vec<String>),
    Client,
}

impl Authority {
    /// The authority in a folder, made if there is none.
    ///
    /// # Errors
    /// The folder cannot be written, or holds something else.
    pub fn open(folder: &Path) -> Result<Authority, AuthorityError> {
        let file = |source| AuthorityError::File { path: folder.to_owned(), source };
        fs::create_dir_all(folder).map_err(file)?;
        let (key_path, path) = (folder.join("ca.key"), folder.join("ca.pem"));
        let key = key_file::open_alone(&key_path)?;
        if !path.exists() {
            let mut random = [0u8; 4];
            getrandom::fill(&mut random).map_err(|_| AuthorityError::Random)?;
            // A name of its own, so that two of them can be trusted side by side.
            let name = distinguished(&format!("HPC Signer CA {}", hex::encode(random)))?;
            let root = Authority { folder: folder.to_owned(), name: name.clone(), key };
            root.issue(name, &Kind::Root, *root.key.verifying_key(), ROOT_DAYS, &path)?;
            return Ok(root);
        }
        let text = fs::read_to_string(&path).map_err(file)?;
        let certificate = Certificate::from_pem(text)
            .map_err(|source| AuthorityError::Content { path: path.clone(), source })?;
        let name = certificate.tbs_certificate().subject().clone();
        Ok(Authority { folder: folder.to_owned(), name, key })
    }

    /// A certificate for the service under these names and addresses: `server.pem`, replaced if it is there. Its key stays.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn server(&self, names: &[String], days: u32) -> Result<Issued, AuthorityError> {
        let first = names.first().map_or("localhost", String::as_str);
        self.certify(first, &Kind::Server(names.to_vec()), "server", days)
    }

    /// A certificate for a client: `NAME.pem`, never overwritten.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn client(&self, name: &str, days: u32) -> Result<Issued, AuthorityError> {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        let taken = ["ca", "server"].contains(&name) || name.starts_with('.');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(harmless) || taken {
            return Err(AuthorityError::Name(name.to_owned()));
        }
        let path = self.folder.join(format!("{name}.pem"));
        if path.exists() {
            return Err(AuthorityError::Exists(path));
        }
        self.certify(name, &Kind::Client, name, days)
    }

    fn certify(&self, subject: &str, kind: &Kind, file: &str, days: u32) -> Result<Issued, AuthorityError> {
        let key = self.folder.join(format!("{file}.key"));
        let public = *key_file::open_alone(&key)?.verifying_key();
        let certificate = self.folder.join(format!("{file}.pem"));
        let der = self.issue(distinguished(subject)?, kind, public, days, &certificate)?;
        Ok(Issued { certificate, key, fingerprint: hex::encode(Sha256::digest(der)) })
    }

    fn issue(
        &self,
        subject: Name,
        kind: &Kind,
        public: VerifyingKey,
        days: u32,
        path: &Path,
    ) -> Result<Vec<u8>, AuthorityError> {
        let mut serial = [0u8; 16];
        getrandom::fill(&mut serial).map_err(|_| AuthorityError::Random)?;
        // Positive and of full length (RFC 5280 clause 4.1.2.2).
        if let Some(first) = serial.first_mut() {
            *first = *first & 0x7F | 0x40;
        }
        // Clocks of the other side may be behind.
        let start = SystemTime::now().checked_sub(DAY).unwrap_or(SystemTime::UNIX_EPOCH);
        let validity = Validity::new(Time::try_from(start)?, Time::try_from(start + DAY * (days + 1))?);
        let shape = Shape { issuer: self.name.clone(), subject, extensions: extensions(kind)? };
        let public = SubjectPublicKeyInfoOwned::from_key(&public).map_err(builder::Error::from)?;
        let builder = CertificateBuilder::new(shape, SerialNumber::new(&serial)?, validity, public)?;
        let certificate = builder.build::<_, DerSignature>(&self.key)?;
        let text = certificate.to_pem(LineEnding::LF)?;
        fs::write(path, text).map_err(|source| AuthorityError::File { path: path.to_owned(), source })?;
        Ok(certificate.to_der()?)
    }
}

/// What goes into a certificate besides key, serial number and validity.
struct Shape {
    issuer: Name,
    subject: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for Shape {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        public: SubjectPublicKeyInfoRef<'_>,
        issuer: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let mut all = vec![
            SubjectKeyIdentifier::try_from(public)?.to_extension(&self.subject, &[])?,
            AuthorityKeyIdentifier::try_from(issuer)?.to_extension(&self.subject, &[])?,
        ];
        all.extend(self.extensions.iter().cloned());
        Ok(all)
    }
}

fn extensions(kind: &Kind) -> Result<Vec<Extension>, AuthorityError> {
    let (ca, usage) = match kind {
        Kind::Root => (true, KeyUsages::KeyCertSign | KeyUsages::CRLSign),
        _ => (false, KeyUsages::DigitalSignature.into()),
    };
    // The root issues for ends only: no authority stands between.
    let constraints = BasicConstraints { ca, path_len_constraint: ca.then_some(0) };
    let mut all = vec![extension(true, &constraints)?, extension(true, &KeyUsage(usage))?];
    match kind {
        Kind::Root => {}
        Kind::Client => all.push(extension(false, &ExtendedKeyUsage(vec![ID_KP_CLIENT_AUTH]))?),
        Kind::Server(names) => {
            all.push(extension(false, &ExtendedKeyUsage(vec![ID_KP_SERVER_AUTH]))?);
            let names = names.iter().map(|name| alternative(name)).collect::<Result<_, _>>()?;
            all.push(extension(false, &SubjectAltName(names))?);
        }
    }
    Ok(all)
}

fn extension<T: AssociatedOid + Encode>(
    critical: bool,
    value: &T,
) -> Result<Extension, x509_cert::der::Error> {
    (critical, value).to_extension(&Name::default(), &[])
}

/// A host's name or address as the client compares it (RFC 9525).
fn alternative(name: &str) -> Result<GeneralName, AuthorityError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        let bytes = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        return Ok(GeneralName::IpAddress(OctetString::new(bytes)?));
    }
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'*');
    if name.is_empty() || !name.bytes().all(harmless) {
        return Err(AuthorityError::Name(name.to_owned()));
    }
    Ok(GeneralName::DnsName(Ia5String::new(name)?))
}

fn distinguished(common_name: &str) -> Result<Name, AuthorityError> {
    // A colon, as in an IPv6 address, is harmless; nothing else that RFC 4514 escapes gets here.
    Ok(Name::from_str(&format!("CN={common_name}"))?)
}
