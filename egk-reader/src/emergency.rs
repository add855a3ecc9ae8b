//! Emergency data without the patient's PIN: a professional's card proves its role to the insurance card, which then opens
//! EF.NFD and nothing is asked of the patient (gemSpec_eGK_ObjSys_G2_1, EF.NFD: role 18 alone).
//!
//! Such an access wants a reason. The caller has to keep it: [`Access`] holds what belongs into a record.

use std::fmt;
use std::str::FromStr;

use card::card_to_card::{RoleError, enter_pin, prove_role};
use card::egk::{ProtectedError, ProtectedFile, read_protected};
use card::identify::{CardKind, identify};
use card::pin::Pin;
use card::transport::{Transport, TransportError};
use serde::Serialize;
use thiserror::Error;

use crate::error::VsdError;
pub use crate::vsd::emergency::{EmergencyData, Entry, Field};
use crate::{Limits, vsd};

/// Why somebody reads emergency data: 3 to 500 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason(String);

/// A text that is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a reason has 3 to 500 characters and no control characters")]
pub struct ReasonError;

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Reason, ReasonError> {
        let text = text.trim();
        let fits = (3..=500).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Reason(text.to_owned())) } else { Err(ReasonError) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was done and why, for the caller's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    /// What was read.
    pub file: &'static str,
    /// The reason that was given.
    pub reason: Reason,
    /// Numbers of the rights in the certificate that the professional's card proved.
    pub rights: Vec<u8>,
}

/// Why there are no emergency data.
#[derive(Debug, Error)]
pub enum EmergencyError {
    /// The card that should be the patient's is another one.
    #[error("the patient's card is no eGK")]
    NotAnEgk,
    /// The card that should be the professional's is another one. Its PIN was not sent.
    #[error("there is no professional's card whose role an eGK knows")]
    NotAProfessional,
    /// The professional's card did not prove a role that opens the file.
    #[error(transparent)]
    Role(#[from] RoleError),
    /// The insurance card keeps the file closed, or has none.
    #[error(transparent)]
    Protected(#[from] ProtectedError),
    /// The patient has no emergency data on the card.
    #[error("the card holds no emergency data")]
    NoData,
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] VsdError),
    /// A connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Lets the card in `hpc` prove its role to the card in `egk` and reads the emergency data. The PIN is that of the
/// professional's card and is sent once, and only to a card that is one.
///
/// Nine commands to the professional's card; to the insurance card one to recognise it, five to eleven for the role and two
/// for the data, more with a reader of limited length.
///
/// # Errors
/// Which card refused what.
pub fn read(
    hpc: &mut dyn Transport,
    egk: &mut dyn Transport,
    pin: &Pin,
    reason: &Reason,
) -> Result<(EmergencyData, Access), EmergencyError> {
    if kind(egk)? != CardKind::Egk {
        return Err(EmergencyError::NotAnEgk);
    }
    if !is_professional(kind(hpc)?) {
        return Err(EmergencyError::NotAProfessional);
    }
    enter_pin(hpc, pin)?;
    let rights = prove_role(hpc, egk, &[])?;
    let file = ProtectedFile::Nfd;
    let content = read_protected(egk, file)?;
    let data = vsd::emergency::read(&content, &LIMITS)?.ok_or(EmergencyError::NoData)?;
    let rights = (0..RIGHTS).filter(|number| rights.has(*number)).collect();
    Ok((data, Access { file: file.name(), reason: reason.clone(), rights }))
}

/// EF.NFD has 12 KB, in which more text fits than in insurance data.
const LIMITS: Limits = Limits { document_bytes: 256 * 1024, depth: 16 };
/// A certificate has seven bytes of rights.
const RIGHTS: u8 = 56;

/// Whether a card can prove a role to an eGK.
pub fn is_professional(kind: CardKind) -> bool {
    matches!(kind, CardKind::Hpc(profile) if profile.name == "hba-g21")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_more_than_nothing() {
        assert_eq!("  found unconscious ".parse::<Reason>().unwrap().to_string(), "found unconscious");
        for text in ["", "  ", "x", "two\nlines", &"x".repeat(501)] {
            assert_eq!(text.parse::<Reason>(), Err(ReasonError), "{text:?}");
        }
    }
}
