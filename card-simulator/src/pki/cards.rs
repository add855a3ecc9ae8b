//! Card-verifiable certificates of the test certification authority: two roots, one authority, the cards.

use std::path::Path;
use std::time::Duration;

use time::OffsetDateTime;

use super::authority::{Authority, read, write};
use super::{PkiError, Profession};
use crate::crypto::{CvCertificate, Day, FlagList, PrivateKey, Rights};
use crate::layout::{Curve, KeyKind};

const DAYS: Duration = Duration::from_secs(24 * 60 * 60);
const ROOT_DAYS: u32 = 3650;
const CARD_DAYS: u32 = 1825;

/// Flags 0 and 1 set, and every right.
const ROOT_FLAGS: u64 = 0xFF_FFFF_FFFF_FFFF;
/// Flag 0 set, and every right.
const AUTHORITY_FLAGS: u64 = 0x80_FFFF_FFFF_FFFF;

/// A key of the authority with its certificate.
pub(crate) struct CvIssuer {
    key: PrivateKey,
    /// As a file of a card has it.
    pub(crate) file: Vec<u8>,
    pub(crate) certificate: CvCertificate,
}

impl Authority {
    /// The root for certificates with flags of this list; made at first use.
    pub(crate) fn cv_root(&self, list: FlagList) -> Result<CvIssuer, PkiError> {
        let name = match list {
            FlagList::Telematics => "cv-root",
            FlagList::CardManagement => "cv-root-management",
        };
        self.cv_issuer(name, |key| {
            let reference = [self.cv_name()?.as_slice(), &[service(8), ALGORITHM, year()]].concat();
            let rights = Rights { list, flags: ROOT_FLAGS };
            issue((&reference, key), (&reference, key), rights, ROOT_DAYS)
        })
    }

    /// The authority that issues the certificates of cards.
    pub(crate) fn cv_authority(&self) -> Result<CvIssuer, PkiError> {
        let root = self.cv_root(FlagList::Telematics)?;
        self.cv_issuer("cv-authority", |key| {
            let reference = [self.cv_name()?.as_slice(), &[service(1), ALGORITHM, year()]].concat();
            let rights = Rights { list: FlagList::Telematics, flags: AUTHORITY_FLAGS };
            let issuer = (root.certificate.holder.as_slice(), &root.key);
            issue(issuer, (&reference, key), rights, ROOT_DAYS)
        })
    }

    /// A card's certificate, as its file has it.
    pub(crate) fn cv_certificate(
        &self,
        key: &PrivateKey,
        reference: &[u8],
        flags: u64,
    ) -> Result<Vec<u8>, PkiError> {
        let issuer = self.cv_authority()?;
        let rights = Rights { list: FlagList::Telematics, flags };
        issue((&issuer.certificate.holder, &issuer.key), (reference, key), rights, CARD_DAYS)
    }

    fn cv_issuer(
        &self,
        name: &str,
        make: impl FnOnce(&PrivateKey) -> Result<Vec<u8>, PkiError>,
    ) -> Result<CvIssuer, PkiError> {
        let key_path = self.directory().join(format!("{name}.key.pem"));
        let path = self.directory().join(format!("{name}.cvc"));
        if !path.exists() {
            let kind = KeyKind::EcPrivate(Curve::BrainpoolP256r1);
            let key = PrivateKey::generate(kind)?.ok_or_else(|| PkiError::Key(key_path.clone()))?;
            self.save_key(&key_path, &key)?;
            write(&path, &make(&key)?, 0o644)?;
        }
        load(&key_path, &path)
    }

    /// Five letters that tell this authority's certificates from those of other test authorities.
    fn cv_name(&self) -> Result<[u8; 5], PkiError> {
        let path = self.directory().join("cv-name");
        if !path.exists() {
            let mut random = [0; 3];
            getrandom::fill(&mut random).map_err(|error| PkiError::Encoding(error.to_string()))?;
            let [a, b, c] = random.map(|byte| b'A' + byte % 26);
            write(&path, &[b'D', b'E', a, b, c], 0o644)?;
        }
        read(&path)?.into_bytes().try_into().map_err(|_| PkiError::Key(path))
    }
}

/// Second algorithm generation: elliptic curves.
const ALGORITHM: u8 = 0x02;

/// What the holder issues (8 certificates of authorities, 1 of cards), and a digit of free use.
fn service(digit: u8) -> u8 {
    digit << 4
}

fn year() -> u8 {
    bcd(OffsetDateTime::now_utc().year().rem_euclid(100).try_into().unwrap_or(0))
}

fn bcd(number: u8) -> u8 {
    ((number / 10) << 4) | (number % 10)
}

fn issue(
    issuer: (&[u8], &PrivateKey),
    holder: (&[u8], &PrivateKey),
    rights: Rights,
    days: u32,
) -> Result<Vec<u8>, PkiError> {
    let now = OffsetDateTime::now_utc();
    let point = holder.1.point().unwrap_or_default();
    let validity = [day(now - DAYS), day(now + DAYS * days)];
    Ok(CvCertificate::issue(issuer, (holder.0, &point), rights, validity)?)
}

fn day(date: OffsetDateTime) -> Day {
    let year: u8 = date.year().rem_euclid(100).try_into().unwrap_or(0);
    let digits = [year, date.month().into(), date.day()].map(|number| [number / 10, number % 10]);
    let mut day = [0; 6];
    day.iter_mut().zip(digits.as_flattened()).for_each(|(place, digit)| *place = *digit);
    day
}

fn load(key: &Path, path: &Path) -> Result<CvIssuer, PkiError> {
    let damaged = || PkiError::Key(path.to_path_buf());
    let file = std::fs::read(path).map_err(|source| PkiError::Io { path: path.to_path_buf(), source })?;
    let certificate = CvCertificate::from_file(&file).ok_or_else(damaged)?;
    let key = super::authority::load_key(key)?;
    if key.point().as_ref() == Some(&certificate.point) {
        Ok(CvIssuer { key, file, certificate })
    } else {
        Err(damaged())
    }
}

impl Profession {
    /// What a card of this profession may do on insurance cards (gemSpec_PKI, tables of flag lists).
    pub(crate) fn card_rights(self) -> u64 {
        match self {
            Profession::Physician => 0x00_5D29_DAA0_BB00,
            Profession::Dentist => 0x00_5D20_DAA0_8300,
            Profession::Pharmacist => 0x00_5C20_DAA0_8300,
            Profession::Psychotherapist => 0x00_4D29_DAA0_8200,
            Profession::Nurse => 0x00_0021_0280_0200,
            Profession::Midwife => 0x00_0020_0280_0200,
            Profession::Paramedic => 0x00_0020_0480_0000,
        }
    }
}
