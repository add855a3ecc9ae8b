//! Issues new cards: fresh keys, certificates, PINs and file contents.

mod belgian;
mod contents;
mod deviation;
mod rsa_keys;
mod secrets;

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

pub(crate) use belgian::chip_number;
pub use deviation::Deviation;
pub use rsa_keys::RsaKeyPool;
pub use secrets::Secrets;

use crate::crypto::{CryptoError, PrivateKey, is_published};
use crate::image::{Blank, Body, Fixed, ImageError};
use crate::layout::{self, CardKind, Key, KeyKind, Layout};
use crate::pki::{Authority, PkiError};
use crate::{Patient, PatientError, Profession, ProfileName};

/// A card could not be issued.
#[derive(Debug, Error)]
pub enum IssueError {
    /// A value the caller gave cannot be used.
    #[error("{what}: {reason}")]
    Value {
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The insurance data cannot be packed.
    #[error(transparent)]
    Patient(#[from] PatientError),
    /// The content of a file is longer than the file.
    #[error("{file}: {got} bytes do not fit in {size}")]
    FileTooSmall {
        /// Path of the file on the card.
        file: String,
        /// Its size in bytes.
        size: usize,
        /// Length of the content in bytes.
        got: usize,
    },
    /// The image could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The certification authority failed.
    #[error("test certification authority: {0}")]
    Authority(String),
    /// Keys could not be made.
    #[error("making keys: {0}")]
    Keys(String),
}

impl From<PkiError> for IssueError {
    fn from(error: PkiError) -> IssueError {
        IssueError::Authority(error.to_string())
    }
}

impl From<CryptoError> for IssueError {
    fn from(error: CryptoError) -> IssueError {
        IssueError::Keys(error.to_string())
    }
}

/// A card to be issued; every value has a default.
#[derive(Debug, Clone)]
pub struct NewCard {
    profile: ProfileName,
    holder: String,
    profession: Profession,
    telematik_id: Option<String>,
    iccsn: Option<String>,
    secrets: Secrets,
    transport_pins: bool,
    signatures_per_pin: u32,
    patient: Patient,
    authority: Option<PathBuf>,
    ocsp: String,
    rsa_keys: RsaKeyPool,
    deviations: Vec<(String, Deviation)>,
}

/// A card that was issued. Names the default secrets: they are for tests.
#[derive(Debug, Clone, Serialize)]
pub struct IssuedCard {
    /// Directory of the image.
    pub directory: PathBuf,
    /// The profile.
    pub profile: ProfileName,
    /// Serial number, 20 digits.
    pub iccsn: String,
    /// Telematik-ID in the certificates of a professional's card.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub telematik_id: Option<String>,
    /// Name and value of each PIN, PUK and of the CAN.
    pub secrets: Vec<(String, String)>,
    /// Trust anchors, PEM.
    pub ca_file: PathBuf,
    /// Object name and PEM file of each certificate.
    pub certificates: Vec<(String, PathBuf)>,
}

const DEFAULT_OCSP: &str = "http://ocsp.card-simulator.invalid/";
const DEFAULT_BUDGET: u32 = 250;

impl NewCard {
    /// A card of a profile with default values.
    pub fn new(profile: ProfileName) -> NewCard {
        NewCard {
            profile,
            holder: "Dr. Ada Beispiel".to_owned(),
            profession: Profession::Physician,
            telematik_id: None,
            iccsn: None,
            secrets: Secrets::default(),
            transport_pins: false,
            signatures_per_pin: DEFAULT_BUDGET,
            patient: Patient::default(),
            authority: None,
            ocsp: DEFAULT_OCSP.to_owned(),
            rsa_keys: RsaKeyPool::Fresh,
            deviations: Vec::new(),
        }
    }

    /// Name in a professional's certificates.
    pub fn holder(mut self, name: impl Into<String>) -> NewCard {
        self.holder = name.into();
        self
    }

    /// Profession in a professional's certificates.
    pub fn profession(mut self, profession: Profession) -> NewCard {
        self.profession = profession;
        self
    }

    /// Telematik-ID in a professional's certificates; made up from the serial number otherwise.
    pub fn telematik_id(mut self, id: impl Into<String>) -> NewCard {
        self.telematik_id = Some(id.into());
        self
    }

    /// Serial number, 20 digits; random otherwise.
    pub fn iccsn(mut self, iccsn: impl Into<String>) -> NewCard {
        self.iccsn = Some(iccsn.into());
        self
    }

    /// PINs, PUK and CAN.
    pub fn secrets(mut self, secrets: Secrets) -> NewCard {
        self.secrets = secrets;
        self
    }

    /// Gives PIN.CH and PIN.QES transport protection: their value is one digit shorter and must be changed.
    pub fn transport_pins(mut self, protected: bool) -> NewCard {
        self.transport_pins = protected;
        self
    }

    /// Signatures per entry of PIN.QES (EF.SSEC); 250 otherwise.
    pub fn signatures_per_pin(mut self, signatures: u32) -> NewCard {
        self.signatures_per_pin = signatures;
        self
    }

    /// Insurance data of an insurance card; an invented person otherwise.
    pub fn patient(mut self, patient: Patient) -> NewCard {
        self.patient = patient;
        self
    }

    /// Directory of the test certification authority, made if it is not there; `ca` in the image otherwise.
    pub fn authority(mut self, directory: impl Into<PathBuf>) -> NewCard {
        self.authority = Some(directory.into());
        self
    }

    /// Address of the OCSP responder in the certificates.
    pub fn ocsp(mut self, url: impl Into<String>) -> NewCard {
        self.ocsp = url.into();
        self
    }

    /// Where RSA keys come from: fresh, or for tests a few that this process shares.
    pub fn rsa_keys(mut self, pool: RsaKeyPool) -> NewCard {
        self.rsa_keys = pool;
        self
    }

    /// Gives a transparent file (path such as `MF/DF.HCA/EF.PD`, or its name alone) this content instead.
    pub fn file(self, name: impl Into<String>, content: impl Into<Vec<u8>>) -> NewCard {
        self.deviate(name, Deviation::Hex(content.into()))
    }

    /// Does something to a transparent file, after everything that was done to it before.
    pub fn deviate(mut self, name: impl Into<String>, deviation: Deviation) -> NewCard {
        self.deviations.push((name.into(), deviation));
        self
    }

    /// Does what a script says (`docs/simulator.md`).
    ///
    /// # Errors
    /// The text is no script.
    pub fn script(mut self, text: &str) -> Result<NewCard, IssueError> {
        self.deviations.extend(deviation::parse(text)?);
        Ok(self)
    }

    /// Issues the card into a directory, which is made if it is not there.
    ///
    /// # Errors
    /// [`IssueError`] says which value cannot be used or what could not be written. An existing card is never
    /// overwritten.
    pub fn create(&self, directory: impl AsRef<Path>) -> Result<IssuedCard, IssueError> {
        let directory = directory.as_ref();
        let layout = layout::layout(self.profile)
            .map_err(|error| IssueError::Value { what: "profile", reason: error.to_string() })?;
        let iccsn = self.checked_iccsn()?;
        self.secrets.check()?;
        self.check_names()?;
        if layout.kind == CardKind::Institution && self.profession.institution().is_none() {
            let reason = format!("no institution of a {} is known", self.profession);
            return Err(IssueError::Value { what: "profession", reason });
        }
        make_directory(directory)?;
        let blank = Blank::claim(directory)?;
        let mut fixed =
            Fixed::new(self.profile, iccsn.clone(), self.secrets.can.clone(), self.signatures_per_pin);
        let keys = self.generate_keys(layout)?;
        for (key, value) in &keys {
            fixed.keys.insert(key.path.clone(), value.to_hex()?);
        }
        let authority_directory = self.authority.clone().unwrap_or_else(|| directory.join("ca"));
        let authority = Authority::open(&authority_directory, self.rsa_keys)?;
        fixed.roots = contents::roots(layout, &authority)?;
        let contents = contents::contents(self, layout, &iccsn, &keys, &authority)?;
        let certificates = write_certificates(directory, &contents.certificates)?;
        let ca_file = directory.join("ca.pem");
        write_public(&ca_file, authority.anchors()?.as_bytes())?;
        fixed.files = contents.files.into_iter().map(|(path, bytes)| (path, Body::Bytes(bytes))).collect();
        let passwords = self.secrets.password_states(layout, self.transport_pins)?;
        blank.fill(&fixed, layout, passwords.states)?;
        Ok(IssuedCard {
            directory: directory.to_path_buf(),
            profile: self.profile,
            telematik_id: (layout.kind != CardKind::Insured).then(|| self.telematik_id_for(&iccsn)),
            iccsn,
            secrets: passwords.shown,
            ca_file,
            certificates,
        })
    }

    fn telematik_id_for(&self, iccsn: &str) -> String {
        let serial = iccsn.get(10..).unwrap_or(iccsn);
        let made_up = || format!("{}-SIM-{serial}", self.profession.telematik_prefix());
        self.telematik_id.clone().unwrap_or_else(made_up)
    }

    /// 80 (health), 276 (Germany), an issuer nobody has, ten random digits; or the given one.
    fn checked_iccsn(&self) -> Result<String, IssueError> {
        let fail = |reason: &str| IssueError::Value { what: "iccsn", reason: reason.to_owned() };
        let iccsn = match &self.iccsn {
            Some(iccsn) => iccsn.clone(),
            None => {
                let random = getrandom::u64().map_err(|_| fail("no random number"))?;
                format!("8027600000{:010}", random % 10_000_000_000)
            }
        };
        let is_number = iccsn.len() == 20 && iccsn.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { Ok(iccsn) } else { Err(fail("not 20 digits")) }
    }

    /// Whether the texts fit in certificates (RFC 5280, appendix A.1: upper bounds; Common PKI: registration number).
    fn check_names(&self) -> Result<(), IssueError> {
        const COMMON_NAME: usize = 64;
        const REGISTRATION_NUMBER: usize = 128;
        let check = |what, fits: bool, rule: String| {
            if fits { Ok(()) } else { Err(IssueError::Value { what, reason: rule }) }
        };
        let holder = !self.holder.trim().is_empty()
            && self.holder.chars().count() <= COMMON_NAME
            && !self.holder.chars().any(char::is_control);
        check("holder", holder, format!("1 to {COMMON_NAME} characters, no control characters"))?;
        let printable = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
        let id = self.telematik_id.as_deref().is_none_or(|id| {
            !id.trim().is_empty() && id.len() <= REGISTRATION_NUMBER && id.chars().all(printable)
        });
        let rule = format!("1 to {REGISTRATION_NUMBER} letters, digits and characters of '()+,-./:=?");
        check("telematik-id", id, rule)?;
        let ocsp = !self.ocsp.is_empty() && self.ocsp.chars().all(|c| c.is_ascii_graphic());
        check("ocsp", ocsp, "an address in ASCII without blanks".to_owned())
    }

    /// A fresh value for each private key that a new card carries, made in parallel.
    fn generate_keys(&self, layout: &'static Layout) -> Result<Vec<(&'static Key, PrivateKey)>, IssueError> {
        let wanted: Vec<_> = layout.keys.iter().filter(|key| key.present && key.is_private()).collect();
        let rsa = wanted.iter().filter(|key| matches!(key.kind, KeyKind::RsaPrivate { .. })).count();
        let mut rsa_keys = self.rsa_keys.card_keys(rsa)?.into_iter();
        let mut keys = Vec::new();
        for key in wanted {
            let value = match key.kind {
                KeyKind::RsaPrivate { .. } => rsa_keys.next(),
                kind => PrivateKey::generate(kind)?,
            };
            let value = value.ok_or_else(|| IssueError::Keys(format!("no value for {}", key.path)))?;
            if is_published(&value) {
                return Err(IssueError::Keys(format!("{} is a published test key", key.path)));
            }
            keys.push((key, value));
        }
        Ok(keys)
    }
}

fn make_directory(directory: &Path) -> Result<(), IssueError> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|source| ImageError::Io { path: directory.to_path_buf(), source }.into())
}

fn write_certificates(
    directory: &Path,
    certificates: &[(String, Vec<u8>)],
) -> Result<Vec<(String, PathBuf)>, IssueError> {
    let folder = directory.join("certificates");
    make_directory(&folder)?;
    let mut written = Vec::new();
    for (name, certificate) in certificates {
        let path = folder.join(format!("{name}.pem"));
        let pem = der::pem::encode_string("CERTIFICATE", pkcs8::LineEnding::LF, certificate)
            .map_err(|error| IssueError::Authority(error.to_string()))?;
        write_public(&path, pem.as_bytes())?;
        written.push((name.clone(), path));
    }
    Ok(written)
}

fn write_public(path: &Path, bytes: &[u8]) -> Result<(), IssueError> {
    std::fs::write(path, bytes).map_err(|source| ImageError::Io { path: path.to_path_buf(), source }.into())
}
