//! Files of the insurance card behind a PIN, a role, or both (gemSpec_eGK_ObjSys_G2_1).

use std::fmt;

use super::{end, pd_len, select};
use crate::apdu::{Command, Le};
use crate::cv_certificate::Rights;
use crate::egk::EgkError;
use crate::file::{self, FileError, Length};
use crate::status::StatusWord;
use crate::transport::{Transport, TransportError, WholeAnswers};

/// A protected file. [`ProtectedFile::rule`] says what opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedFile {
    /// Emergency data.
    Nfd,
    /// State of the emergency data, by the same rule.
    StatusNfd,
    /// Personal declarations.
    Dpe,
    /// State of the personal declarations, by the same rule.
    StatusDpe,
    /// Protected insurance data.
    Gvd,
    /// Medication data.
    Amts,
    /// State of the medication data, by the same rule.
    StatusAmts,
    /// Organ donation declarations.
    Ose,
    /// State of the organ donation declarations, by the same rule.
    StatusOse,
}

/// A file of records behind a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedRecords {
    /// Consents.
    Consents,
    /// References.
    References,
    /// Log of accesses.
    Log,
    /// Consents to the use of data that lie elsewhere.
    DataConsents,
    /// References to those data.
    DataReferences,
    /// References of the medication data.
    MedicationReferences,
}

/// What opens a protected file over contacts: any one of these. PINs by their name in `profiles/pins.toml`, roles by the
/// number of the flag ([`Rights`](crate::cv_certificate::Rights)) that a professional's card must have proven
/// ([`prove_role`](crate::card_to_card::prove_role)). What only the issuer or the insured person's own terminal can do
/// (flag 33) is left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccessRule {
    /// A role without any PIN of the patient.
    pub role: Option<u8>,
    /// A PIN of the patient without any role.
    pub pin: Option<&'static str>,
    /// A PIN of the patient and a role.
    pub pin_and_role: Option<(&'static str, u8)>,
    /// As `pin_and_role`, with the PIN of the patient's representative.
    pub representative_and_role: Option<(&'static str, u8)>,
}

/// Why a protected file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProtectedError {
    /// What opens the file has not happened yet.
    #[error("the card keeps {name} locked: {opened_by}")]
    Locked {
        /// The file.
        name: &'static str,
        /// What would open it.
        opened_by: &'static str,
    },
    /// The card lacks the application, or it was deactivated.
    #[error("the application of {name} cannot be selected: {status}")]
    Select {
        /// The file.
        name: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The file cannot be read.
    #[error("{name} cannot be read: {status}")]
    File {
        /// The file.
        name: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Where a file is, and what opens it.
struct Place {
    name: &'static str,
    application: &'static [u8],
    sfid: u8,
    rule: AccessRule,
}

const HCA: &[u8] = &[0xD2, 0x76, 0x00, 0x00, 0x01, 0x02];
const NFD: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x07];
const DPE: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x08];
const GDD: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x0A];
const OSE: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x0B];
const AMTS: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x0C];

/// The PIN that opens what the patient may read at home.
const HOME: AccessRule =
    AccessRule { role: None, pin: Some("MRPIN.home"), pin_and_role: None, representative_and_role: None };
const NFD_RULE: AccessRule = AccessRule {
    role: Some(Rights::EMERGENCY_DATA),
    pin: None,
    pin_and_role: Some(("MRPIN.NFD_READ", Rights::EMERGENCY_DATA_WITH_PIN)),
    representative_and_role: None,
};
const DPE_RULE: AccessRule = AccessRule { role: Some(Rights::PERSONAL_DECLARATIONS), ..HOME };
const GVD_RULE: AccessRule = AccessRule { role: Some(Rights::PROTECTED_DATA), ..HOME };
const OSE_RULE: AccessRule = AccessRule { role: Some(Rights::ORGAN_DONATION), ..HOME };
const AMTS_RULE: AccessRule = AccessRule {
    role: None,
    pin: None,
    pin_and_role: Some(("MRPIN.AMTS", Rights::MEDICATION)),
    representative_and_role: Some(("PIN.AMTS_REP", Rights::MEDICATION)),
};

impl AccessRule {
    /// The certificates of the insured person under a pseudonym, for authentication (`C.CH.AUTN`).
    pub const PSEUDONYM_AUTHENTICATION: AccessRule =
        AccessRule { role: Some(Rights::PSEUDONYM_AUTHENTICATION), ..HOME };
    /// The same for prescriptions (`C.CH.ENCV`).
    pub const PSEUDONYM_ENCRYPTION: AccessRule =
        AccessRule { role: Some(Rights::PSEUDONYM_ENCRYPTION), ..HOME };

    /// The rule in words, for people.
    fn text(&self) -> &'static str {
        match (self.role, self.pin, self.pin_and_role) {
            (Some(_), None, _) => {
                "the card of a professional must prove its role, or the patient must enter a PIN as well"
            }
            (Some(_), Some(_), _) => {
                "the card of a professional must prove its role, or the patient must enter a PIN"
            }
            (None, _, Some(_)) => {
                "the card of a professional must prove its role and the patient must enter a PIN"
            }
            (None, ..) => "the patient must enter a PIN",
        }
    }
}

impl ProtectedFile {
    /// Name of the file on the card.
    pub fn name(self) -> &'static str {
        self.place().name
    }

    /// What opens it.
    pub fn rule(self) -> AccessRule {
        self.place().rule
    }

    /// The file that tells the state of this one; `None` for one that has no such file, or is one.
    pub fn status_file(self) -> Option<ProtectedFile> {
        match self {
            ProtectedFile::Nfd => Some(ProtectedFile::StatusNfd),
            ProtectedFile::Dpe => Some(ProtectedFile::StatusDpe),
            ProtectedFile::Amts => Some(ProtectedFile::StatusAmts),
            ProtectedFile::Ose => Some(ProtectedFile::StatusOse),
            _ => None,
        }
    }

    fn place(self) -> Place {
        let place = |name, application, sfid, rule| Place { name, application, sfid, rule };
        match self {
            ProtectedFile::Nfd => place("EF.NFD", NFD, 0x10, NFD_RULE),
            ProtectedFile::StatusNfd => place("EF.StatusNFD", NFD, 0x0E, NFD_RULE),
            ProtectedFile::Dpe => place("EF.DPE", DPE, 0x1B, DPE_RULE),
            ProtectedFile::StatusDpe => place("EF.StatusDPE", DPE, 0x18, DPE_RULE),
            ProtectedFile::Gvd => place("EF.GVD", HCA, 0x03, GVD_RULE),
            ProtectedFile::Amts => place("EF.AMTS", AMTS, 0x05, AMTS_RULE),
            ProtectedFile::StatusAmts => place("EF.StatusAMTS", AMTS, 0x07, AMTS_RULE),
            ProtectedFile::Ose => place("EF.OSE", OSE, 0x01, OSE_RULE),
            ProtectedFile::StatusOse => place("EF.StatusOSE", OSE, 0x02, OSE_RULE),
        }
    }
}

impl ProtectedRecords {
    /// Name of the file on the card.
    pub fn name(self) -> &'static str {
        self.place().name
    }

    /// What opens it.
    pub fn rule(self) -> AccessRule {
        self.place().rule
    }

    fn place(self) -> Place {
        let place = |name, application, sfid| Place { name, application, sfid, rule: HOME };
        match self {
            ProtectedRecords::Consents => place("EF.Einwilligung", HCA, 0x05),
            ProtectedRecords::References => place("EF.Verweis", HCA, 0x09),
            ProtectedRecords::Log => place("EF.Logging", HCA, 0x06),
            ProtectedRecords::DataConsents => place("EF.EinwilligungGDD", GDD, 0x13),
            ProtectedRecords::DataReferences => place("EF.VerweiseGDD", GDD, 0x1A),
            ProtectedRecords::MedicationReferences => place("EF.VerweiseAMTS", AMTS, 0x06),
        }
    }
}

/// A protected file and the file that tells its state, if there is one.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ProtectedContent {
    /// The file, as the card has it.
    pub file: Vec<u8>,
    /// Its state: 25 bytes as in EF.StatusVD.
    pub status: Option<Vec<u8>>,
}

/// Shows lengths only.
impl fmt::Debug for ProtectedContent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProtectedContent").field("file", &self.file.len()).finish_non_exhaustive()
    }
}

/// Reads a protected file and its state. Two commands, three with a state; more for a reader without extended length.
///
/// # Errors
/// As [`read_protected`].
pub fn read_protected_content(
    egk: &mut dyn Transport,
    file: ProtectedFile,
) -> Result<ProtectedContent, ProtectedError> {
    in_application(egk, &file.place(), |egk| {
        let status = file.status_file().map(|status| read_file(egk, &status.place())).transpose()?;
        Ok(ProtectedContent { file: read_file(egk, &file.place())?, status })
    })
}

/// Reads a protected file, as the card has it. Two commands; more for a reader without extended length.
///
/// # Errors
/// [`ProtectedError::Locked`] says what the card wants first.
pub fn read_protected(egk: &mut dyn Transport, file: ProtectedFile) -> Result<Vec<u8>, ProtectedError> {
    let place = file.place();
    in_application(egk, &place, |egk| read_file(egk, &place))
}

/// Reads a file of the application that is selected. An empty one has no first byte to read.
fn read_file(egk: &mut dyn Transport, place: &Place) -> Result<Vec<u8>, ProtectedError> {
    match file::read(egk, place.sfid, &mut Length::Extended, packed_len) {
        Ok(content) => Ok(content),
        Err(FileError::Status(StatusWord::OFFSET)) => Ok(Vec::new()),
        Err(FileError::Status(status)) => Err(refusal(place, status)),
        Err(FileError::Transport(error)) => Err(error.into()),
    }
}

/// Where a gzip stream behind two bytes of length ends, so that a reader that cuts answers is asked for the rest. Other
/// content ends with the answer.
fn packed_len(start: &[u8]) -> Option<usize> {
    const GZIP: &[u8] = &[0x1F, 0x8B];
    (start.get(2..4) == Some(GZIP)).then(|| pd_len(start)).flatten()
}

/// Reads all records of a protected file. Two commands, and one more per record.
///
/// # Errors
/// As [`read_protected`].
pub fn read_protected_records(
    egk: &mut dyn Transport,
    file: ProtectedRecords,
) -> Result<Vec<Vec<u8>>, ProtectedError> {
    let place = file.place();
    in_application(egk, &place, |egk| {
        let mut records = Vec::new();
        for number in 1..=u8::MAX - 1 {
            let read = Command::new(0x00, 0xB2, number, place.sfid << 3 | 0x04).le(Le::SHORT_WILDCARD);
            let answer = egk.transmit(&read)?;
            match answer.status {
                StatusWord::OK | StatusWord::DATA_CORRUPT | StatusWord::END_OF_FILE => {
                    records.push(answer.data);
                }
                StatusWord::RECORD_NOT_FOUND => break,
                // Hidden by the patient.
                StatusWord::RECORD_DEACTIVATED => {}
                status => return Err(refusal(&place, status)),
            }
        }
        Ok(records)
    })
}

fn in_application<T>(
    egk: &mut dyn Transport,
    place: &Place,
    work: impl FnOnce(&mut dyn Transport) -> Result<T, ProtectedError>,
) -> Result<T, ProtectedError> {
    let mut egk = WholeAnswers::new(egk);
    egk.begin()?;
    let result = select(&mut egk, place.application)
        .map_err(|error| match error {
            EgkError::Transport(error) => error.into(),
            EgkError::Select { status } | EgkError::File { status, .. } => {
                ProtectedError::Select { name: place.name, status }
            }
            EgkError::NotAnEgk => {
                ProtectedError::Select { name: place.name, status: StatusWord::FILE_NOT_FOUND }
            }
        })
        .and_then(|()| work(&mut egk));
    end(&mut egk);
    result
}

fn refusal(place: &Place, status: StatusWord) -> ProtectedError {
    match status {
        StatusWord::SECURITY_STATUS => {
            ProtectedError::Locked { name: place.name, opened_by: place.rule.text() }
        }
        status => ProtectedError::File { name: place.name, status },
    }
}
