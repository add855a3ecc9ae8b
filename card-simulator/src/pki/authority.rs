//! The test certification authority: one self-signed root per kind of key, kept in a directory.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use der::{Decode, DecodePem, Encode, EncodePem};
use pkcs8::LineEnding;
use sha2::Sha256;
use x509_cert::Certificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use super::{PkiError, extensions, subject};
use crate::crypto::PrivateKey;
use crate::issue::RsaKeyPool;
use crate::layout::{Curve, KeyKind};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_DAYS: u32 = 3650;
const CARD_DAYS: u32 = 1825;

/// A directory with the roots of the test certification authority, made as they are needed.
pub(crate) struct Authority {
    directory: PathBuf,
    rsa_keys: RsaKeyPool,
    _lock: File,
}

/// A key and its certificate.
pub(super) struct Root {
    pub(super) key: PrivateKey,
    pub(super) certificate: Certificate,
}

/// Kinds of roots: a certificate is signed by a root with the same kind of key.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum RootKind {
    Brainpool,
    P256,
    P384,
    Rsa,
}

impl Authority {
    /// Opens or makes the directory; waits while another process issues from it.
    pub(crate) fn open(directory: &Path, rsa_keys: RsaKeyPool) -> Result<Authority, PkiError> {
        let io = |path: &Path| {
            let path = path.to_path_buf();
            move |source| PkiError::Io { path, source }
        };
        std::fs::create_dir_all(directory).map_err(io(directory))?;
        let path = directory.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
        lock.lock().map_err(io(&path))?;
        Ok(Authority { directory: directory.to_path_buf(), rsa_keys, _lock: lock })
    }

    /// Issues a certificate, DER, for the public half of a card's key.
    pub(crate) fn issue(
        &self,
        key: &PrivateKey,
        subject: Name,
        extensions: Vec<Extension>,
    ) -> Result<Vec<u8>, PkiError> {
        let certificate = self.certify(RootKind::of(key), key, subject, extensions)?;
        self.remember(&certificate)?;
        Ok(certificate.to_der()?)
    }

    /// A certificate for this key, signed by the root of this kind.
    pub(super) fn certify(
        &self,
        kind: RootKind,
        key: &PrivateKey,
        subject: Name,
        extensions: Vec<Extension>,
    ) -> Result<Certificate, PkiError> {
        let root = self.root(kind)?;
        let issuer = root.certificate.tbs_certificate().subject().clone();
        build(Shape { issuer, subject, extensions }, key, &root.key, CARD_DAYS)
    }

    /// All roots there are so far, PEM.
    pub(crate) fn anchors(&self) -> Result<String, PkiError> {
        let mut text = String::new();
        for kind in RootKind::ALL {
            let path = self.path(kind, "pem");
            if path.exists() {
                text += &std::fs::read_to_string(&path).map_err(|source| PkiError::Io { path, source })?;
            }
        }
        Ok(text)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn root(&self, kind: RootKind) -> Result<Root, PkiError> {
        let (key_path, certificate_path) = (self.path(kind, "key.pem"), self.path(kind, "pem"));
        if certificate_path.exists() {
            return load(&key_path, &certificate_path);
        }
        let key = match kind {
            RootKind::Rsa => self.rsa_keys.authority_key()?,
            _ => self.new_key(kind)?,
        };
        let name = subject::authority(kind.common_name())?;
        let extensions = extensions::authority_extensions(&name)?;
        let shape = Shape { issuer: name.clone(), subject: name, extensions };
        let certificate = build(shape, &key, &key, AUTHORITY_DAYS)?;
        self.save(&key_path, &key, &certificate_path, &certificate)?;
        write(&self.directory.join("ca.pem"), self.anchors()?.as_bytes(), 0o644)?;
        Ok(Root { key, certificate })
    }

    /// A fresh key of a kind.
    pub(super) fn new_key(&self, kind: RootKind) -> Result<PrivateKey, PkiError> {
        let made = match kind {
            // The last of three: cards have two at most.
            RootKind::Rsa => self.rsa_keys.card_keys(3)?.pop(),
            _ => PrivateKey::generate(kind.key_kind())?,
        };
        made.ok_or_else(|| PkiError::Key(self.path(kind, "key.pem")))
    }

    /// Writes a key, readable by its owner only, and its certificate, both PEM.
    pub(super) fn save(
        &self,
        key_path: &Path,
        key: &PrivateKey,
        path: &Path,
        certificate: &Certificate,
    ) -> Result<(), PkiError> {
        self.save_key(key_path, key)?;
        write(path, certificate.to_pem(LineEnding::LF)?.as_bytes(), 0o644)
    }

    pub(super) fn save_key(&self, path: &Path, key: &PrivateKey) -> Result<(), PkiError> {
        let der = key.to_der()?;
        let pem = der::pem::encode_string("PRIVATE KEY", LineEnding::LF, &der)
            .map_err(|error| PkiError::Encoding(error.to_string()))?;
        write(path, pem.as_bytes(), 0o600)
    }

    pub(super) fn path(&self, kind: RootKind, extension: &str) -> PathBuf {
        self.directory.join(format!("root-{}.{extension}", kind.key_name()))
    }
}

impl RootKind {
    pub(super) const ALL: [RootKind; 4] =
        [RootKind::Brainpool, RootKind::P256, RootKind::P384, RootKind::Rsa];

    pub(super) fn of(key: &PrivateKey) -> RootKind {
        match key {
            PrivateKey::Brainpool(_) => RootKind::Brainpool,
            PrivateKey::P256(_) => RootKind::P256,
            PrivateKey::P384(_) => RootKind::P384,
            PrivateKey::Rsa(_) => RootKind::Rsa,
        }
    }

    fn key_kind(self) -> KeyKind {
        match self {
            RootKind::Brainpool => KeyKind::EcPrivate(Curve::BrainpoolP256r1),
            RootKind::P256 => KeyKind::EcPrivate(Curve::P256),
            RootKind::P384 => KeyKind::EcPrivate(Curve::P384),
            RootKind::Rsa => KeyKind::RsaPrivate { bits: 2048 },
        }
    }

    pub(super) fn key_name(self) -> &'static str {
        match self {
            RootKind::Brainpool => "brainpoolP256r1",
            RootKind::P256 => "secp256r1",
            RootKind::P384 => "secp384r1",
            RootKind::Rsa => "rsa2048",
        }
    }

    fn common_name(self) -> &'static str {
        match self {
            RootKind::Brainpool => "Card simulator CA brainpoolP256r1 TEST-ONLY",
            RootKind::P256 => "Card simulator CA secp256r1 TEST-ONLY",
            RootKind::P384 => "Card simulator CA secp384r1 TEST-ONLY",
            RootKind::Rsa => "Card simulator CA RSA TEST-ONLY",
        }
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
        public_key: SubjectPublicKeyInfoRef<'_>,
        issuer_key: SubjectPublicKeyInfoRef<'_>,
        _: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let mut all = vec![
            SubjectKeyIdentifier::try_from(public_key)?.to_extension(&self.subject, &[])?,
            AuthorityKeyIdentifier::try_from(issuer_key)?.to_extension(&self.subject, &[])?,
        ];
        all.extend(self.extensions.iter().cloned());
        Ok(all)
    }
}

fn build(shape: Shape, key: &PrivateKey, signer: &PrivateKey, days: u32) -> Result<Certificate, PkiError> {
    let mut serial = [0u8; 16];
    getrandom::fill(&mut serial).map_err(|error| PkiError::Encoding(error.to_string()))?;
    serial[0] = serial[0] & 0x7F | 0x40;
    // Clocks of relying parties may be behind.
    let start = SystemTime::now().checked_sub(DAY).unwrap_or(SystemTime::UNIX_EPOCH);
    let end = start + DAY * days;
    let validity = Validity::new(Time::try_from(start)?, Time::try_from(end)?);
    let public = SubjectPublicKeyInfoOwned::from_der(&key.public_der()?)?;
    let builder = CertificateBuilder::new(shape, SerialNumber::new(&serial)?, validity, public)?;
    Ok(match signer {
        PrivateKey::Brainpool(signer) => builder.build::<_, ecdsa::der::Signature<_>>(signer.as_ref())?,
        PrivateKey::P256(signer) => builder.build::<_, ecdsa::der::Signature<_>>(signer.as_ref())?,
        PrivateKey::P384(signer) => builder.build::<_, ecdsa::der::Signature<_>>(signer.as_ref())?,
        PrivateKey::Rsa(signer) => {
            builder.build(&rsa::pkcs1v15::SigningKey::<Sha256>::new(signer.as_ref().clone()))?
        }
    })
}

pub(super) fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::Io { path: path.to_path_buf(), source })
}

pub(super) fn load(key: &Path, certificate: &Path) -> Result<Root, PkiError> {
    let root = Root { key: load_key(key)?, certificate: Certificate::from_pem(read(certificate)?)? };
    let certified = root.certificate.tbs_certificate().subject_public_key_info().to_der()?;
    if root.key.public_der()? == certified { Ok(root) } else { Err(PkiError::Key(key.to_path_buf())) }
}

pub(super) fn load_key(path: &Path) -> Result<PrivateKey, PkiError> {
    let damaged = || PkiError::Key(path.to_path_buf());
    let (_, der) = der::pem::decode_vec(read(path)?.as_bytes()).map_err(|_| damaged())?;
    PrivateKey::from_der(&zeroize::Zeroizing::new(der)).map_err(|_| damaged())
}

pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), PkiError> {
    let mut options = OpenOptions::new();
    let opened = options.create(true).truncate(true).write(true).mode(mode).open(path);
    opened
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|source| PkiError::Io { path: path.to_path_buf(), source })
}
