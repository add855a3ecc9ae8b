//! Which reader is read: the first one that holds an eGK, or every one that holds a card.

use card::catalogue::by_atr;
use card::egk::EgkError;
use card::secure_messaging::SecureTransport;
use card::transport::{CardPresence, Readers, Transport, TransportError};
use egk_reader::{InsuranceRecord, ReadError};

use super::failure::Failure;
use super::progress::Progress;
use crate::arguments::Source;

/// A card that was read.
pub(crate) struct Found {
    /// Name of the reader.
    pub(crate) reader: String,
    pub(crate) record: InsuranceRecord,
}

/// Tries the readers that hold a card, in their order. Other cards and failing readers are passed over; they decide
/// the error only if no eGK turns up. An eGK with unusable data ends the search. The card's generation is read on demand.
pub(crate) fn read_first(readers: &mut Readers, source: &Source, generation: bool) -> Result<Found, Failure> {
    let (names, mut failure) = with_cards(readers)?;
    for reader in names {
        match read_one(readers, &reader, source, generation) {
            Ok(record) => return Ok(Found { reader, record }),
            Err(error @ ReadError::Data(_)) => return Err(error.into()),
            Err(error @ ReadError::Card(EgkError::NotAnEgk)) => {
                tracing::info!(reader, "the card is not an eGK");
                if matches!(failure, Failure::NoCard) {
                    failure = other_card(readers, &reader).unwrap_or(error.into());
                }
            }
            Err(error) => {
                tracing::info!(reader, %error, "the card cannot be read");
                failure = error.into();
            }
        }
    }
    Err(failure)
}

/// What the card may be instead, by its ATR alone.
fn other_card(readers: &mut Readers, reader: &str) -> Option<Failure> {
    let card = by_atr(&hex::encode_upper(readers.connect(reader).ok()?.atr()))?;
    let reads = card.abilities.iter().any(|ability| ability == "identity");
    (!card.is_egk()).then_some(Failure::OtherCard { title: &card.title, reads })
}

/// The readers that hold a card, and what is wrong if none of them will do.
pub(crate) fn with_cards(readers: &mut Readers) -> Result<(Vec<String>, Failure), Failure> {
    let states = readers.list()?;
    let failure = match states.as_slice() {
        [] => Failure::NoReader,
        [only] if only.card == CardPresence::Absent => no_card(readers, &only.name),
        _ => Failure::NoCard,
    };
    let present = states.into_iter().filter(|state| state.card == CardPresence::Present);
    Ok((present.map(|state| state.name).collect(), failure))
}

/// Connects to a card as the options say.
pub(crate) fn connect(
    readers: &mut Readers,
    name: &str,
    source: &Source,
) -> Result<Box<dyn Transport>, TransportError> {
    let card = Progress::new(readers.connect(name)?, source.progress);
    let card: Box<dyn Transport> = match &source.can {
        Some(can) => Box::new(SecureTransport::new(card, can.clone())),
        None => Box::new(card),
    };
    Ok(match &source.record_card {
        Some(recording) => Box::new(recording.around(name, card)?),
        None => card,
    })
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
    source: &Source,
    generation: bool,
) -> Result<InsuranceRecord, ReadError> {
    let mut card = connect(readers, name, source).map_err(EgkError::from)?;
    let mut record = egk_reader::read(card.as_mut())?;
    tracing::debug!(reader = name, "insurance data read");
    if generation {
        // Old cards have no EF.Version2.
        record.card.generation = egk_reader::read_generation(card.as_mut()).unwrap_or_default();
    }
    Ok(record)
}
