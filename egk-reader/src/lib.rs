//! From a German insurance card (eGK) to typed insurance data and FHIR.
//!
//! [`read`] asks a card for its freely readable files and [`parse`] makes an [`InsuranceRecord`] of them: personal
//! data, insurance data, status, the XML as it is on the card, and findings about what looks wrong. [`fhir`] maps the
//! record to Patient and Coverage. `docs/insurance-data.md` lists every field with its source.
//!
//! A card is foreign input: every length, offset and size is checked and bounded, DTDs and entities are refused, and
//! nothing panics. Errors and findings hold no personal values, `Debug` of personal types prints none.
//!
//! ```no_run
//! use card::transport::Readers;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut readers = Readers::open(&["pcsc:".parse()?]);
//! let mut card = readers.connect("Reader 0")?;
//! let record = egk_reader::read(card.as_mut())?;
//! let patient = egk_reader::fhir::patient(&record.personal, "1", Default::default());
//! for finding in record.findings.iter().chain(&patient.findings) {
//!     eprintln!("{finding}");
//! }
//! println!("{}", patient.resource.to_json());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod access;
pub mod certificates;
pub mod check_digit;
mod date;
mod error;
pub mod fhir;
mod finding;
mod generation;
pub mod health;
pub mod identity;
pub mod kvk;
pub mod log;
mod reason;
pub mod receipt;
mod record;
mod status;
mod vsd;

use card::egk::{EgkError, EgkFiles};
use card::status::StatusWord;
use card::transport::Transport;
use thiserror::Error;

pub use date::PartialDate;
pub use error::{VsdError, XmlFault};
pub use finding::Finding;
pub use generation::Generation;
pub use reason::{Reason, ReasonError};
pub use record::{
    CardFacts, CoverageData, Document, Documents, Gender, HospitalBenefit, HospitalBenefits, InsuranceKind,
    InsuranceRecord, Payer, PersonalData, PostBoxAddress, PrivateDetails, ProtectedData, Reimbursement,
    Schema51Details, StatutoryDetails, StreetAddress, SuspendedEntitlement,
};
pub use status::{FileVersion, StatusVd};
pub use vsd::{DocumentKind, Schema};

/// Bounds on what a card can make the reader do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest unpacked document, in bytes.
    pub document_bytes: usize,
    /// Deepest nesting of XML elements.
    pub depth: usize,
}

/// 64 KiB and 16 levels; real documents have at most 2 KB and 7 levels.
impl Default for Limits {
    fn default() -> Limits {
        Limits { document_bytes: 64 * 1024, depth: 16 }
    }
}

/// Why a card gave no record.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The card or the way to it.
    #[error(transparent)]
    Card(#[from] EgkError),
    /// The data on the card.
    #[error(transparent)]
    Data(#[from] VsdError),
}

/// Reads and parses the card in at most six commands.
///
/// # Errors
/// No eGK, a failing connection, or data that cannot be used.
pub fn read(transport: &mut dyn Transport) -> Result<InsuranceRecord, ReadError> {
    let files = card::egk::read(transport).map_err(|error| match empty_file(&error) {
        Some(empty) => ReadError::Data(empty),
        None => ReadError::Card(error),
    })?;
    Ok(parse(&files)?)
}

/// A file without content has no first byte to read: the card calls the offset wrong (gemSpec_COS, READ BINARY).
fn empty_file(error: &EgkError) -> Option<VsdError> {
    match error {
        EgkError::File { name, status: StatusWord::OFFSET } => match *name {
            "EF.PD" => Some(VsdError::Empty { document: DocumentKind::Personal }),
            "EF.VD" => Some(VsdError::Empty { document: DocumentKind::Coverage }),
            "EF.StatusVD" => Some(VsdError::StatusTooShort { expected: StatusVd::LENGTH, got: 0 }),
            _ => None,
        },
        _ => None,
    }
}

/// Reads the card's generation: from EF.Version2 in two commands, on a card that has none from EF.Version in four more.
/// `None` if neither tells.
///
/// # Errors
/// The file cannot be read, or the connection failed.
pub fn read_generation(transport: &mut dyn Transport) -> Result<Option<Generation>, EgkError> {
    match card::egk::read_version2(transport) {
        Ok(version) => Ok(Generation::from_version2(&version)),
        Err(EgkError::File { status: StatusWord::FILE_NOT_FOUND | StatusWord::OFFSET, .. }) => {
            Ok(Generation::from_version(&card::egk::read_version_records(transport)?))
        }
        Err(error) => Err(error),
    }
}

/// Reads the receipt of the last online check, in two commands.
///
/// # Errors
/// The file cannot be read, or holds a damaged receipt.
pub fn read_receipt(transport: &mut dyn Transport) -> Result<receipt::Receipt, ReadError> {
    Ok(receipt::parse(&card::egk::read_receipt(transport)?)?)
}

/// Parses the files of a card within the default [`Limits`].
///
/// # Errors
/// Data that cannot be used; an interrupted update (open transaction) is one reason.
pub fn parse(files: &EgkFiles) -> Result<InsuranceRecord, VsdError> {
    parse_within(files, &Limits::default())
}

/// Parses the files of a card within given limits.
///
/// # Errors
/// As [`parse`].
pub fn parse_within(files: &EgkFiles, limits: &Limits) -> Result<InsuranceRecord, VsdError> {
    let mut findings = Vec::new();
    let status = StatusVd::parse(&files.status_vd, &mut findings)?;
    let personal = vsd::personal_file(&files.pd, limits, &mut findings)?;
    let coverage = vsd::coverage_file(&files.vd, limits, &mut findings)?;
    // The copy is a convenience of older cards: without it the record is still good.
    let protected = vsd::protected_copy(&files.vd, limits, &mut findings).unwrap_or_else(|error| {
        findings.push(Finding::ProtectedCopyUnreadable(error.to_string()));
        None
    });
    check_numbers(&personal.data, &coverage.data, &mut findings);
    let (protected, protected_document) = protected.map(|parsed| (parsed.data, parsed.document)).unzip();
    Ok(InsuranceRecord {
        personal: personal.data,
        coverage: coverage.data,
        protected,
        status,
        card: CardFacts { iccsn: files.iccsn.clone(), generation: None },
        documents: Documents {
            personal: personal.document,
            coverage: coverage.document,
            protected: protected_document,
        },
        findings,
    })
}

fn check_numbers(personal: &PersonalData, coverage: &CoverageData, findings: &mut Vec<Finding>) {
    if !check_digit::kvnr_is_well_formed(&personal.kvnr) {
        findings.push(Finding::KvnrFormat);
    } else if !check_digit::kvnr_is_valid(&personal.kvnr) {
        findings.push(Finding::KvnrCheckDigit);
    }
    if !check_digit::ik_is_valid(&coverage.payer.ik) {
        findings.push(Finding::IkCheckDigit("Kostentraeger"));
    }
    if coverage.billing_payer.as_ref().is_some_and(|payer| !check_digit::ik_is_valid(&payer.ik)) {
        findings.push(Finding::IkCheckDigit("AbrechnenderKostentraeger"));
    }
}
