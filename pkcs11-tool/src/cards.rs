//! The cards in the readers of the module's configuration.

use card::hpc::{CardError, Hpc, OpenError};
use card::transport::{CardPresence, ReaderState, Readers, Recording};

use crate::Common;
use crate::failure::Failure;

/// A card and where it is.
pub(crate) struct Found {
    /// Name of the reader.
    pub(crate) reader: String,
    /// The card.
    pub(crate) card: Hpc,
}

/// The readers of the module's configuration.
pub(crate) fn readers() -> Result<(Readers, Vec<ReaderState>), Failure> {
    let configuration = hpc_pkcs11::configuration().map_err(Failure::Configuration)?;
    let mut readers = Readers::open(&configuration.readers);
    let states = readers.list()?;
    if states.is_empty() { Err(Failure::NoReader) } else { Ok((readers, states)) }
}

/// The same cards as [`all`], with the states of their PINs.
pub(crate) fn all_with_pins(common: &Common) -> Result<Vec<Found>, Failure> {
    let mut found = all(common)?;
    for Found { card, .. } in &mut found {
        ask_pins(card)?;
    }
    Ok(found)
}

/// All health professional cards that the arguments do not exclude. A card that fails is told only if there is no other.
pub(crate) fn all(common: &Common) -> Result<Vec<Found>, Failure> {
    let (mut readers, states) = readers()?;
    let mut found = Vec::new();
    let mut fault = None;
    for state in states.into_iter().filter(|state| state.card == CardPresence::Present) {
        match open(&mut readers, &state.name, common.record_card.as_ref()) {
            Ok(card) if common.card.as_deref().is_none_or(|digits| card.iccsn().ends_with(digits)) => {
                found.push(Found { reader: state.name, card });
            }
            Ok(_) | Err(Failure::Open(OpenError::Foreign)) => {}
            Err(error) => fault = Some(error),
        }
    }
    if found.is_empty() { Err(fault.unwrap_or(Failure::NoCard)) } else { Ok(found) }
}

/// The one card that the arguments mean.
pub(crate) fn only(common: &Common) -> Result<Found, Failure> {
    let mut found = all(common)?;
    match (found.pop(), found.len()) {
        (Some(card), 0) => Ok(card),
        (Some(_), others) => Err(Failure::Ambiguous(others + 1)),
        (None, _) => Err(Failure::NoCard),
    }
}

/// Asks for the states of the PINs, which opening a card does not do; costs no try.
pub(crate) fn ask_pins(card: &mut Hpc) -> Result<(), CardError> {
    for application in &card.profile().applications {
        match card.ask_pin_status(application.application) {
            // An application that is switched off leaves its PIN unknown.
            Ok(_) | Err(CardError::Status { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn open(readers: &mut Readers, name: &str, recording: Option<&Recording>) -> Result<Hpc, Failure> {
    let card = readers.connect(name)?;
    Ok(match recording {
        Some(recording) => Hpc::open(Box::new(recording.around(name, card)?))?,
        None => Hpc::open(card)?,
    })
}
