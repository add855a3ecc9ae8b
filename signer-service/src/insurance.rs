//! The insurance card in one of the configured readers.

use std::sync::{Mutex, PoisonError};

use card::{
    egk::EgkError,
    transport::{CardPresence, ReaderSpec, ReaderState, Readers, Transport, TransportError},
};
use egk_reader::{InsuranceRecord, ReadError};
use thiserror::Error;

/// The configured readers. All calls block.
#[derive(Debug)]
pub struct InsuranceReaders {
    readers: Mutex<Readers>,
}

/// Why no insurance card was read.
#[derive(Debug, Error)]
pub enum InsuranceError {
    /// No reader at all.
    #[error("no reader for insurance cards is connected")]
    NoReader,
    /// No reader of this name, or several.
    #[error("{count} readers for insurance cards fit that name")]
    Name {
        /// How many.
        count: usize,
    },
    /// No card.
    #[error("no card in the reader for insurance cards")]
    NoCard,
    /// Insurance cards in several readers.
    #[error("{count} insurance cards are inserted: name the reader")]
    Several {
        /// How many.
        count: usize,
    },
    /// Another card.
    #[error("the card in the reader is not an insurance card")]
    Foreign,
    /// The card was pulled or reset while it was read.
    #[error("the insurance card was removed while it was read")]
    Removed,
    /// The connection or the card failed.
    #[error("insurance card: {0}")]
    Card(String),
    /// The data on the card cannot be used.
    #[error(transparent)]
    Data(#[from] egk_reader::VsdError),
}

impl InsuranceReaders {
    /// Remembers where to look; contacts nobody.
    pub fn new(specs: &[ReaderSpec]) -> InsuranceReaders {
        InsuranceReaders { readers: Mutex::new(Readers::open(specs)) }
    }

    /// The readers and whether they hold a card; no card is talked to.
    ///
    /// # Errors
    /// The reader service failed.
    pub fn list(&self) -> Result<Vec<ReaderState>, InsuranceError> {
        Ok(self.lock().list()?)
    }

    /// Reads the insurance card in the named reader, or the only one, among those the caller sees. Answers the reader's
    /// name too.
    ///
    /// # Errors
    /// No such reader or card, or data that cannot be used.
    pub fn read(
        &self,
        name: &str,
        seen: impl Fn(&str) -> bool,
    ) -> Result<(String, InsuranceRecord), InsuranceError> {
        let mut states = self.list()?;
        states.retain(|state| seen(&state.name));
        if !name.is_empty() {
            let reader = named(&states, name)?;
            return self.read_in(reader).map(|record| (reader.to_owned(), record));
        }
        let occupied = occupied(&states)?;
        let mut found = Vec::new();
        let mut fault = None;
        for reader in occupied {
            match self.read_in(reader) {
                Ok(record) => found.push((reader.to_owned(), record)),
                // A health professional card may be in one of the readers.
                Err(InsuranceError::Foreign) => {}
                Err(error) => fault = Some(error),
            }
        }
        let count = found.len();
        match (found.pop(), fault) {
            (Some(only), _) if count == 1 => Ok(only),
            (Some(_), _) => Err(InsuranceError::Several { count }),
            (None, Some(fault)) => Err(fault),
            (None, None) => Err(InsuranceError::Foreign),
        }
    }

    /// Opens the named reader, or the only one with a card, among those the caller sees. Answers the reader's name too.
    ///
    /// # Errors
    /// No such reader, or no card.
    pub fn open(
        &self,
        name: &str,
        seen: impl Fn(&str) -> bool,
    ) -> Result<(String, Box<dyn Transport>), InsuranceError> {
        let mut states = self.list()?;
        states.retain(|state| seen(&state.name));
        let reader = match (name, occupied(&states)?.as_slice()) {
            ("", [only]) => *only,
            ("", several) => return Err(InsuranceError::Several { count: several.len() }),
            (name, _) => named(&states, name)?,
        };
        let transport = self.lock().connect(reader)?;
        Ok((reader.to_owned(), transport))
    }

    fn read_in(&self, reader: &str) -> Result<InsuranceRecord, InsuranceError> {
        // The lock is for finding the reader only: reading in one reader does not hold up another.
        let mut transport: Box<dyn Transport> = self.lock().connect(reader)?;
        egk_reader::read(transport.as_mut()).map_err(InsuranceError::from)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reader of exactly this name, else the only one whose name contains it.
fn named<'a>(states: &'a [ReaderState], name: &str) -> Result<&'a str, InsuranceError> {
    if states.is_empty() {
        return Err(InsuranceError::NoReader);
    }
    if let Some(exact) = states.iter().find(|state| state.name == name) {
        return Ok(&exact.name);
    }
    let fitting: Vec<&ReaderState> = states.iter().filter(|state| state.name.contains(name)).collect();
    match fitting.as_slice() {
        [only] => Ok(&only.name),
        other => Err(InsuranceError::Name { count: other.len() }),
    }
}

fn occupied(states: &[ReaderState]) -> Result<Vec<&str>, InsuranceError> {
    if states.is_empty() {
        return Err(InsuranceError::NoReader);
    }
    let occupied: Vec<&str> = states
        .iter()
        .filter(|state| state.card == CardPresence::Present)
        .map(|state| state.name.as_str())
        .collect();
    if occupied.is_empty() { Err(InsuranceError::NoCard) } else { Ok(occupied) }
}

impl From<ReadError> for InsuranceError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Card(EgkError::NotAnEgk) => InsuranceError::Foreign,
            ReadError::Card(EgkError::Transport(error)) => error.into(),
            ReadError::Card(other) => InsuranceError::Card(other.to_string()),
            ReadError::Data(error) => InsuranceError::Data(error),
        }
    }
}

impl From<TransportError> for InsuranceError {
    fn from(error: TransportError) -> Self {
        match error {
            TransportError::NoService => InsuranceError::NoReader,
            TransportError::UnknownReader { .. } => InsuranceError::Name { count: 0 },
            TransportError::NoCard => InsuranceError::NoCard,
            TransportError::Removed | TransportError::Reset => InsuranceError::Removed,
            other => InsuranceError::Card(other.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, card: CardPresence) -> ReaderState {
        ReaderState { name: name.into(), card, insertions: 0 }
    }

    #[test]
    fn a_part_of_a_name_must_fit_one_reader_only() {
        let states =
            [state("Vendor A 00", CardPresence::Present), state("Vendor B 00", CardPresence::Absent)];
        assert_eq!(named(&states, "Vendor B").unwrap(), "Vendor B 00");
        assert!(matches!(named(&states, "Vendor"), Err(InsuranceError::Name { count: 2 })));
        assert!(matches!(named(&states, "Other"), Err(InsuranceError::Name { count: 0 })));
    }

    #[test]
    fn an_exact_name_wins_over_longer_ones() {
        let states = [state("Reader 1", CardPresence::Present), state("Reader 10", CardPresence::Present)];
        assert_eq!(named(&states, "Reader 1").unwrap(), "Reader 1");
    }

    #[test]
    fn no_reader_and_no_card_are_different_answers() {
        assert!(matches!(occupied(&[]), Err(InsuranceError::NoReader)));
        let empty = [state("Reader", CardPresence::Absent)];
        assert!(matches!(occupied(&empty), Err(InsuranceError::NoCard)));
    }

    #[test]
    fn without_readers_nothing_is_read() {
        assert!(matches!(InsuranceReaders::new(&[]).read("", |_| true), Err(InsuranceError::NoReader)));
    }
}
