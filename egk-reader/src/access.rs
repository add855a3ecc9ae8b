//! Protected files of an insurance card, each behind exactly the card's own rule ([`card::egk::AccessRule`]): the patient's
//! PIN, the role of a professional's card, or both.
//!
//! What the keys at hand cannot open is refused before a PIN is asked for. A PIN is asked for only if the card wants it, after
//! the card has been asked how many tries are left: the last one is used only on request. Nothing is sent twice.
//!
//! **Emergency.** Emergency data, and where declarations are kept, open to a professional's card alone. That wants a
//! [`Reason`], and the caller keeps the [`Access`] with it.
//!
//! ```no_run
//! # fn read(egk: &mut dyn card::transport::Transport, hpc: &mut dyn card::transport::Transport, pin: card::pin::Pin)
//! #     -> Result<(), Box<dyn std::error::Error>> {
//! use egk_reader::access::{self, Entered, Keys, Professional};
//!
//! let mut ask = |_: &access::Asked<'_>| Some(Entered::Typed(pin.clone()));
//! let professional = Some(Professional { card: hpc, ask: &mut ask });
//! let keys = Keys { professional, reason: Some("found unconscious".parse()?), ..Keys::default() };
//! let opened = access::read_emergency_data(egk, keys)?;
//! println!("{}", serde_json::to_string(&opened.access)?);
//! # Ok(())
//! # }
//! ```

use card::card_to_card::{RoleError, prove_role};
use card::cv_certificate::Rights;
use card::egk::{
    self, AccessRule, EgkError, ProtectedError, ProtectedFile, ProtectedRecords, read_protected_content,
    read_protected_records,
};
use card::identify::{CardKind, identify};
use card::pin::{Pin, PinStatus};
use card::pins::{self, CardPin, PinError};
use card::transport::{Transport, TransportError};
use serde::Serialize;
use thiserror::Error;

use crate::Limits;
use crate::certificates::CardCertificate;
use crate::error::VsdError;
use crate::finding::Finding;
use crate::health::{self, Declarations, EmergencyData, LIMITS, MedicationPlan};
use crate::log::{self, LogEntry, PlainRecord};
use crate::reason::Reason;
use crate::record::{Document, ProtectedData};

/// What is at hand to open a file. Which of it is used, the card's rule says.
#[derive(Default)]
pub struct Keys<'a> {
    /// The patient is there: asked for a PIN.
    pub patient: Option<AskPin<'a>>,
    /// It is the patient's representative who is there (medication data only).
    pub representative: bool,
    /// The card of a professional is there.
    pub professional: Option<Professional<'a>>,
    /// Why the patient is not asked, where the rule lets a professional's card read alone.
    pub reason: Option<Reason>,
    /// Use the last try of a PIN.
    pub last_try: bool,
}

/// A professional's card: an HBA or an SMC-B.
pub struct Professional<'a> {
    /// The card.
    pub card: &'a mut dyn Transport,
    /// Asked for its PIN.
    pub ask: AskPin<'a>,
}

/// Asked for a PIN; `None` ends the attempt.
pub type AskPin<'a> = &'a mut dyn FnMut(&Asked<'_>) -> Option<Entered>;

/// What is asked for.
#[derive(Debug)]
pub struct Asked<'p> {
    /// Which PIN: name and number of digits.
    pub pin: &'p CardPin,
    /// Whether the reader has a pad for it.
    pub pad: bool,
}

/// How a PIN is entered.
#[derive(Debug)]
pub enum Entered {
    /// It was typed here.
    Typed(Pin),
    /// On the reader's own pad, now.
    OnPad,
}

/// What was done and why, for the caller's record. Holds no medical data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// What was read.
    pub file: &'static str,
    /// Why without the patient.
    pub reason: Option<Reason>,
    /// The PIN of the patient that was entered, or was not wanted.
    pub pin: Option<String>,
    /// Numbers of the rights in the certificate that the professional's card proved.
    pub rights: Vec<u8>,
}

/// A file that was opened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Opened<T> {
    /// Its content.
    pub data: T,
    /// For the record.
    pub access: Access,
    /// An update of the file was interrupted. The content is whole all the same, or it would not have been read.
    pub interrupted: bool,
}

/// Why a protected file was not read.
#[derive(Debug, Error)]
pub enum AccessError {
    /// The card that should be the patient's is another one.
    #[error("the patient's card is no eGK")]
    NotAnEgk,
    /// The card that should be the professional's is another one. Its PIN was not sent.
    #[error("there is no professional's card whose role an eGK knows")]
    NotAProfessional,
    /// The card opens this only to a professional's card.
    #[error("{file} opens only with the card of a professional")]
    ProfessionalNeeded {
        /// The file.
        file: &'static str,
    },
    /// The card opens this only with the patient's PIN.
    #[error("{file} opens only with the PIN of the patient")]
    PatientNeeded {
        /// The file.
        file: &'static str,
    },
    /// A professional's card alone would do, but nobody said why.
    #[error("reading {file} without the patient's PIN wants a reason")]
    ReasonNeeded {
        /// The file.
        file: &'static str,
    },
    /// The role of this professional does not open the file.
    #[error("the role of the professional's card does not open {file}: its certificate lacks right {right}")]
    RoleLacks {
        /// The file.
        file: &'static str,
        /// Number of the right.
        right: u8,
    },
    /// One wrong entry would block the PIN; nothing was sent.
    #[error("only one try is left for {pin}: a wrong entry blocks it")]
    LastTry {
        /// The PIN.
        pin: String,
    },
    /// No PIN was entered; nothing was sent.
    #[error("{pin} was not entered")]
    NotEntered {
        /// The PIN.
        pin: String,
    },
    /// A PIN was not accepted.
    #[error("{pin}: {source}")]
    Pin {
        /// The PIN.
        pin: String,
        /// Why not.
        source: PinError,
    },
    /// The professional's card did not prove its role.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The insurance card keeps the file closed, or has none.
    #[error(transparent)]
    Protected(#[from] ProtectedError),
    /// The insurance card failed.
    #[error(transparent)]
    Egk(#[from] EgkError),
    /// Nothing is stored there.
    #[error("{file} holds no data")]
    NoData {
        /// The file.
        file: &'static str,
    },
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] VsdError),
    /// A connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Reads the emergency data: by a professional's card alone with a reason, or by that card and the patient's PIN.
///
/// Commands without the patient: eight to the professional's card; to the insurance card one to recognise it, five to eleven
/// for the role and three for the data. With the patient's PIN up to three more. More with a reader of limited length.
///
/// # Errors
/// Which key is missing, or which card refused what.
pub fn read_emergency_data(
    egk: &mut dyn Transport,
    keys: Keys<'_>,
) -> Result<Opened<EmergencyData>, AccessError> {
    read_medical(egk, ProtectedFile::Nfd, keys, health::read_emergency_data)
}

/// Reads where the patient's declarations are kept: by the patient's PIN, or by a professional's card with a reason.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_declarations(
    egk: &mut dyn Transport,
    keys: Keys<'_>,
) -> Result<Opened<Declarations>, AccessError> {
    read_medical(egk, ProtectedFile::Dpe, keys, health::read_declarations)
}

/// Reads the medication plan: by a professional's card and the PIN of the patient or of a representative.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_medication_plan(
    egk: &mut dyn Transport,
    keys: Keys<'_>,
) -> Result<Opened<MedicationPlan>, AccessError> {
    read_medical(egk, ProtectedFile::Amts, keys, health::read_medication_plan)
}

/// What EF.GVD holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProtectedRecord {
    /// The fields.
    pub data: ProtectedData,
    /// The document.
    pub document: Document,
    /// What was noticed while reading. Holds no personal values.
    pub findings: Vec<Finding>,
}

/// Reads the protected insurance data (EF.GVD): by the patient's PIN, or by a professional's card.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_protected_data(
    egk: &mut dyn Transport,
    keys: Keys<'_>,
) -> Result<Opened<ProtectedRecord>, AccessError> {
    read_medical(egk, ProtectedFile::Gvd, keys, |file, limits| {
        let mut findings = Vec::new();
        let parsed = crate::vsd::protected_file(file, limits, &mut findings)?;
        Ok(parsed.map(|parsed| ProtectedRecord { data: parsed.data, document: parsed.document, findings }))
    })
}

/// Reads a protected file as the card has it, for what this crate has no type for.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_plain(
    egk: &mut dyn Transport,
    file: ProtectedFile,
    keys: Keys<'_>,
) -> Result<Opened<Vec<u8>>, AccessError> {
    read_medical(egk, file, keys, |content, _| {
        Ok(content.iter().any(|byte| *byte != 0).then(|| content.to_vec()))
    })
}

/// Reads the log of accesses by the patient's PIN. Two commands and one for each record.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_log(egk: &mut dyn Transport, keys: Keys<'_>) -> Result<Opened<Vec<LogEntry>>, AccessError> {
    let opened = read_records(egk, ProtectedRecords::Log, keys)?;
    Ok(Opened { data: log::entries(&opened.data), access: opened.access, interrupted: false })
}

/// Reads consents or references by the patient's PIN.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_plain_records(
    egk: &mut dyn Transport,
    file: ProtectedRecords,
    keys: Keys<'_>,
) -> Result<Opened<Vec<PlainRecord>>, AccessError> {
    let opened = read_records(egk, file, keys)?;
    Ok(Opened { data: log::plain(&opened.data), access: opened.access, interrupted: false })
}

/// Reads the certificates of the insured person, those under a pseudonym too: by the patient's PIN, or by a professional's
/// card.
///
/// # Errors
/// As [`read_emergency_data`].
pub fn read_certificates(
    egk: &mut dyn Transport,
    keys: Keys<'_>,
) -> Result<Opened<Vec<CardCertificate>>, AccessError> {
    let access = open(egk, "C.CH.AUTN", AccessRule::PSEUDONYM_AUTHENTICATION, keys)?;
    let files = egk::read_certificates(egk)?;
    Ok(Opened { data: crate::certificates::of_egk(files), access, interrupted: false })
}

/// Whether a card can prove a role to an eGK. One command.
///
/// # Errors
/// Those of the transport.
pub fn is_professional(card: &mut dyn Transport) -> Result<bool, TransportError> {
    Ok(role_pin(card)?.is_some())
}

/// What a card is.
///
/// # Errors
/// Those of the transport.
pub fn kind(card: &mut dyn Transport) -> Result<CardKind, TransportError> {
    card.begin()?;
    let kind = identify(card);
    if let Err(error) = card.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    kind
}

fn read_medical<T>(
    egk: &mut dyn Transport,
    file: ProtectedFile,
    keys: Keys<'_>,
    mut parse: impl FnMut(&[u8], &Limits) -> Result<Option<T>, VsdError>,
) -> Result<Opened<T>, AccessError> {
    let access = open(egk, file.name(), file.rule(), keys)?;
    let content = read_protected_content(egk, file)?;
    // As in EF.StatusVD: ASCII 1 for a transaction that is open (gemSpec_eGK_Fach_NFDM clause 2.2).
    let interrupted = content.status.is_some_and(|status| status.first() == Some(&b'1'));
    let data = parse(&content.file, &LIMITS)?.ok_or(AccessError::NoData { file: file.name() })?;
    Ok(Opened { data, access, interrupted })
}

fn read_records(
    egk: &mut dyn Transport,
    file: ProtectedRecords,
    keys: Keys<'_>,
) -> Result<Opened<Vec<Vec<u8>>>, AccessError> {
    let access = open(egk, file.name(), file.rule(), keys)?;
    Ok(Opened { data: read_protected_records(egk, file)?, access, interrupted: false })
}

/// Which part of a rule is met.
enum Way {
    Role(u8),
    Pin(&'static str),
    PinAndRole(&'static str, u8),
}

/// The way that the keys at hand allow.
fn way(file: &'static str, rule: AccessRule, keys: &Keys<'_>) -> Result<Way, AccessError> {
    let both = if keys.representative { rule.representative_and_role } else { rule.pin_and_role };
    match (keys.patient.is_some(), keys.professional.is_some()) {
        (true, true) => {
            let both = both.map(|(pin, right)| Way::PinAndRole(pin, right));
            both.or(rule.pin.map(Way::Pin)).ok_or(AccessError::PatientNeeded { file })
        }
        (true, false) => rule.pin.map(Way::Pin).ok_or(AccessError::ProfessionalNeeded { file }),
        (false, true) => {
            let right = rule.role.ok_or(AccessError::PatientNeeded { file })?;
            if wants_reason(right) && keys.reason.is_none() {
                return Err(AccessError::ReasonNeeded { file });
            }
            Ok(Way::Role(right))
        }
        (false, false) if rule.pin.is_none() => Err(AccessError::ProfessionalNeeded { file }),
        (false, false) => Err(AccessError::PatientNeeded { file }),
    }
}

/// Medical data, other than insurance data, are the patient's to show.
fn wants_reason(right: u8) -> bool {
    [Rights::EMERGENCY_DATA, Rights::PERSONAL_DECLARATIONS, Rights::ORGAN_DONATION].contains(&right)
}

/// Meets the rule of a file.
fn open(
    egk: &mut dyn Transport,
    file: &'static str,
    rule: AccessRule,
    mut keys: Keys<'_>,
) -> Result<Access, AccessError> {
    let way = way(file, rule, &keys)?;
    if kind(egk)? != CardKind::Egk {
        return Err(AccessError::NotAnEgk);
    }
    let (pin, right) = match way {
        Way::Role(right) => (None, Some(right)),
        Way::Pin(pin) => (Some(pin), None),
        Way::PinAndRole(pin, right) => (Some(pin), Some(right)),
    };
    let mut access = Access {
        file,
        // A reason says why the patient was not asked.
        reason: keys.reason.take().filter(|_| pin.is_none()),
        pin: pin.map(str::to_owned),
        rights: Vec::new(),
    };
    // The role first: a patient's PIN is not spent on a professional who may not read the file.
    if let (Some(right), Some(professional)) = (right, keys.professional) {
        let rights = prove(egk, professional, keys.last_try)?;
        // Who may read without the patient's PIN may read with it: certificates in use have right 18, none has 17.
        let alone = rule.role.is_some_and(|alone| rights.has(alone));
        if !(rights.has(right) || alone) {
            return Err(AccessError::RoleLacks { file, right });
        }
        access.rights = (0..RIGHTS).filter(|number| rights.has(*number)).collect();
    }
    if let (Some(name), Some(ask)) = (pin, keys.patient) {
        let refused = |source| AccessError::Pin { pin: name.to_owned(), source };
        let known = pins::of_card(egk).map_err(refused)?;
        let pin = known.iter().find(|pin| pin.name == name);
        let pin = pin.ok_or_else(|| refused(PinError::NotAllowed { name: name.to_owned() }))?;
        enter(egk, pin, ask, keys.last_try)?;
    }
    Ok(access)
}

/// A certificate has seven bytes of rights.
const RIGHTS: u8 = 56;

fn prove(
    egk: &mut dyn Transport,
    professional: Professional<'_>,
    last_try: bool,
) -> Result<Rights, AccessError> {
    let Professional { card, ask } = professional;
    let pin = role_pin(card)?.ok_or(AccessError::NotAProfessional)?;
    enter(card, pin, ask, last_try)?;
    Ok(prove_role(card, egk, &[])?)
}

/// The PIN that a professional's card wants before it proves its role; `None` for a card that has no role.
fn role_pin(card: &mut dyn Transport) -> Result<Option<&'static CardPin>, TransportError> {
    match pins::of_card(card) {
        Ok(pins) => Ok(pins.iter().find(|pin| pin.opens_role)),
        Err(PinError::Transport(error)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Enters a PIN if the card wants it. Asks the card before the person.
fn enter(
    card: &mut dyn Transport,
    pin: &CardPin,
    ask: AskPin<'_>,
    last_try: bool,
) -> Result<(), AccessError> {
    let name = || pin.name.clone();
    let refused = |source| AccessError::Pin { pin: name(), source };
    match pin.status(card).map_err(refused)? {
        // Switched off by the patient: the card opens the file without it (gemSpec_COS clause 10.4).
        PinStatus::Verified | PinStatus::Disabled => return Ok(()),
        PinStatus::NotVerified { tries: 1 } if !last_try => return Err(AccessError::LastTry { pin: name() }),
        PinStatus::NotVerified { .. } => {}
        PinStatus::Blocked => return Err(refused(PinError::Blocked)),
        state => return Err(refused(PinError::State(state))),
    }
    let asked = Asked { pin, pad: card.pin_pad().verify };
    match ask(&asked).ok_or_else(|| AccessError::NotEntered { pin: name() })? {
        Entered::Typed(typed) => pin.verify(card, &typed),
        Entered::OnPad => pin.verify_on_pad(card),
    }
    .map_err(refused)
}
