//! Which reader is read: the first one that holds an eGK.

use card::egk::EgkError;
use card::pace::Can;
use card::secure_messaging::SecureTransport;
use card::transport::{CardPresence, Readers, TransportError};
use egk_reader::{InsuranceRecord, ReadError};

use super::failure::Failure;

/// A card that was read.
pub(crate) struct Found {
    /// Name of the reader.
    pub(crate) reader: String,
    pub(crate) record: InsuranceRecord,
}

/// Tries the readers that hold a card, in their order. Other cards and failing readers are passed over; they decide
/// the error only if no eGK turns up. An eGK with unusable data ends the search. The card's generation is read on demand.
pub(crate) fn read_first(
    readers: &mut Readers,
    can: Option<&Can>,
    generation: bool,
) -> Result<Found, Failure> {
    let states = readers.list()?;
    let mut failure = match states.as_slice() {
        [] => Failure::NoReader,
        [only] if only.card == CardPresence::Absent => no_card(readers, &only.name),
        _ => Failure::NoCard,
    };
    for state in states.into_iter().filter(|state| state.card == CardPresence::Present) {
        match read_one(readers, &state.name, can, generation) {
            Ok(record) => return Ok(Found { reader: state.name, record }),
            Err(error @ ReadError::Data(_)) => return Err(error.into()),
            Err(error @ ReadError::Card(EgkError::NotAnEgk)) => {
                tracing::info!(reader = state.name, "the card is not an eGK");
                if matches!(failure, Failure::NoCard) {
                    failure = error.into();
                }
            }
            Err(error) => {
                tracing::info!(reader = state.name, %error, "the card cannot be read");
                failure = error.into();
            }
        }
    }
    Err(failure)
}

/// An empty reader and an address nobody listens on look alike in a list; trying to connect tells them apart.
fn no_card(readers: &mut Readers, name: &str) -> Failure {
    match readers.connect(name) {
        Err(error @ TransportError::Io(_)) => Failure::Unreachable { reader: name.to_owned(), error },
        _ => Failure::NoCard,
    }
}

fn read_one(
    readers: &mut Readers,
    name: &str,
    can: Option<&Can>,
    generation: bool,
) -> Result<InsuranceRecord, ReadError> {
    let mut card = readers.connect(name).map_err(EgkError::from)?;
    if let Some(can) = can {
        card = Box::new(SecureTransport::new(card, can.clone()));
    }
    let mut record = egk_reader::read(card.as_mut())?;
    tracing::debug!(reader = name, commands = card.traffic().commands, "insurance data read");
    if generation {
        // Old cards have no EF.Version2.
        record.card.generation = egk_reader::read_generation(card.as_mut()).unwrap_or_default();
    }
    Ok(record)
}
