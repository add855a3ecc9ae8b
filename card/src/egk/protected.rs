//! Files of the insurance card behind a PIN, a role, or both (gemSpec_eGK_ObjSys_G2_1).

use super::{end, pd_len, select};
use crate::apdu::{Command, Le};
use crate::egk::EgkError;
use crate::file::{self, FileError, Length};
use crate::status::StatusWord;
use crate::transport::{Transport, TransportError};

/// A protected file. Each says what opens it over contacts: the number of the PIN, and the flag of the role
/// ([`Rights`](crate::cv_certificate::Rights)) that a professional's card must have proven
/// ([`prove_role`](crate::card_to_card::prove_role)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedFile {
    /// Emergency data: role 18 alone, or PIN 07 and role 17.
    Nfd,
    /// State of the emergency data, by the same rule.
    StatusNfd,
    /// Personal declarations: role 23 alone, or PIN 02.
    Dpe,
    /// State of the personal declarations, by the same rule.
    StatusDpe,
    /// Protected insurance data: role 30 alone, or PIN 02, or PIN 01 and role 29.
    Gvd,
    /// Medication data: PIN 0C or 0D, and role 46.
    Amts,
    /// State of the medication data, by the same rule.
    StatusAmts,
}

/// A file of records behind a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtectedRecords {
    /// Consents: PIN 02, or PIN 01 and role 25.
    Consents,
    /// References: PIN 02, or PIN 01 and role 28.
    References,
    /// Log of accesses: PIN 02, or PIN 01 and role 33.
    Log,
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
    opened_by: &'static str,
}

const HCA: &[u8] = &[0xD2, 0x76, 0x00, 0x00, 0x01, 0x02];
const NFD: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x07];
const DPE: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x08];
const AMTS: &[u8] = &[0xD2, 0x76, 0x00, 0x01, 0x44, 0x0C];

impl ProtectedFile {
    /// Name of the file on the card.
    pub fn name(self) -> &'static str {
        self.place().name
    }

    fn place(self) -> Place {
        let nfd = "the card of a professional must prove its role, or the patient must enter a PIN as well";
        let dpe = "the card of a professional must prove its role, or the patient must enter a PIN";
        let amts = "the card of a professional must prove its role and the patient must enter a PIN";
        let place = |name, application, sfid, opened_by| Place { name, application, sfid, opened_by };
        match self {
            ProtectedFile::Nfd => place("EF.NFD", NFD, 0x10, nfd),
            ProtectedFile::StatusNfd => place("EF.StatusNFD", NFD, 0x0E, nfd),
            ProtectedFile::Dpe => place("EF.DPE", DPE, 0x1B, dpe),
            ProtectedFile::StatusDpe => place("EF.StatusDPE", DPE, 0x18, dpe),
            ProtectedFile::Gvd => place("EF.GVD", HCA, 0x03, dpe),
            ProtectedFile::Amts => place("EF.AMTS", AMTS, 0x05, amts),
            ProtectedFile::StatusAmts => place("EF.StatusAMTS", AMTS, 0x07, amts),
        }
    }
}

impl ProtectedRecords {
    fn place(self) -> Place {
        let opened_by = "the patient must enter a PIN";
        let place = |name, sfid| Place { name, application: HCA, sfid, opened_by };
        match self {
            ProtectedRecords::Consents => place("EF.Einwilligung", 0x05),
            ProtectedRecords::References => place("EF.Verweis", 0x09),
            ProtectedRecords::Log => place("EF.Logging", 0x06),
        }
    }
}

/// Reads a protected file, as the card has it. Two commands; more for a reader without extended length.
///
/// # Errors
/// [`ProtectedError::Locked`] says what the card wants first.
pub fn read_protected(egk: &mut dyn Transport, file: ProtectedFile) -> Result<Vec<u8>, ProtectedError> {
    let place = file.place();
    in_application(egk, &place, |egk| {
        let read = file::read(egk, place.sfid, &mut Length::Extended, packed_len);
        read.map_err(|error| match error {
            FileError::Status(status) => refusal(&place, status),
            FileError::Transport(error) => error.into(),
        })
    })
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
    egk.begin()?;
    let result = select(egk, place.application)
        .map_err(|error| match error {
            EgkError::Transport(error) => error.into(),
            EgkError::Select { status } | EgkError::File { status, .. } => {
                ProtectedError::Select { name: place.name, status }
            }
            EgkError::NotAnEgk => {
                ProtectedError::Select { name: place.name, status: StatusWord::FILE_NOT_FOUND }
            }
        })
        .and_then(|()| work(egk));
    end(egk);
    result
}

fn refusal(place: &Place, status: StatusWord) -> ProtectedError {
    match status {
        StatusWord::SECURITY_STATUS => {
            ProtectedError::Locked { name: place.name, opened_by: place.opened_by }
        }
        status => ProtectedError::File { name: place.name, status },
    }
}
