//! Where cards come from: the seam between the tokens and `card::transport`, so that tests can bring their own.

use std::sync::Mutex;

use card::transport::{ReaderSpec, ReaderState, Readers, Transport, TransportError};

use super::lock;

/// The readers of a module.
pub(crate) trait CardSource: Send + Sync {
    /// All readers, without talking to a card.
    fn list(&self) -> Result<Vec<ReaderState>, TransportError>;

    /// A connection to the card in a reader.
    fn connect(&self, reader: &str) -> Result<Box<dyn Transport>, TransportError>;
}

/// The readers named in the configuration.
pub(crate) struct ConfiguredReaders {
    specs: Vec<ReaderSpec>,
    watched: Mutex<Readers>,
}

impl ConfiguredReaders {
    /// Contacts nobody yet: C_Initialize succeeds without a PC/SC service.
    pub(crate) fn new(specs: Vec<ReaderSpec>) -> Self {
        ConfiguredReaders { watched: Mutex::new(Readers::open(&specs)), specs }
    }
}

impl CardSource for ConfiguredReaders {
    fn list(&self) -> Result<Vec<ReaderState>, TransportError> {
        lock(&self.watched).list()
    }

    /// Each card gets a PC/SC context of its own: pcsclite serialises the calls of one context, so that a slow card
    /// would hold up all others and the questions about presence.
    fn connect(&self, reader: &str) -> Result<Box<dyn Transport>, TransportError> {
        Readers::open(&self.specs).connect(reader)
    }
}
