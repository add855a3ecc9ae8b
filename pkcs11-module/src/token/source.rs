//! Where cards come from: the readers of the configuration, and connections that count their commands per thread.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use card::apdu::{Command, Response};
use card::secure_messaging::SecureTransport;
use card::transport::{
    HangUp, PinEntry, PinPad, ReaderState, Readers, Recording, Traffic, Transport, TransportError,
};

use super::cache::CertificateCache;
use super::counter::Commands;
use super::lock;
use crate::config::Config;

/// The readers of a module.
pub(crate) struct CardSource {
    watched: Mutex<Readers>,
    config: Config,
    cache: Option<CertificateCache>,
    recording: Option<Recording>,
}

impl CardSource {
    /// Contacts nobody yet: C_Initialize succeeds without a PC/SC service.
    pub(crate) fn new(config: Config) -> Self {
        let cache = config.cache.clone().map(CertificateCache::new);
        let recording = config.record_file.as_deref().map(|file| Recording::to_file(of_this_process(file)));
        CardSource { watched: Mutex::new(readers(&config)), cache, config, recording }
    }

    /// What the user chose.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Certificates of cards that were read before, unless the user wants none kept.
    pub(crate) fn cache(&self) -> Option<&CertificateCache> {
        self.cache.as_ref()
    }

    /// All readers, without talking to a card.
    pub(crate) fn list(&self) -> Result<Vec<ReaderState>, TransportError> {
        lock(&self.watched).list()
    }

    /// A connection to the card in a reader, whose commands are counted there.
    ///
    /// Each card gets a PC/SC context of its own: pcsclite serialises the calls of one context, so that a slow card
    /// would hold up all others and the questions about presence.
    pub(crate) fn connect(
        &self,
        reader: &str,
        commands: &Commands,
    ) -> Result<Box<dyn Transport>, TransportError> {
        let card = Counted(readers(&self.config).connect(reader)?, commands.clone());
        let card: Box<dyn Transport> = match &self.config.can {
            Some(can) => Box::new(SecureTransport::new(card, can.clone())),
            None => Box::new(card),
        };
        Ok(match &self.recording {
            Some(recording) => Box::new(recording.around(reader, card)?),
            None => card,
        })
    }
}

/// Programs that use the module at the same time must not write into each other's file.
fn of_this_process(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    name.into()
}

fn readers(config: &Config) -> Readers {
    Readers::open(&config.readers).with_card_timeout(config.card_timeout)
}

thread_local! {
    static COMMANDS: Cell<u64> = const { Cell::new(0) };
}

/// Commands that this thread has sent to cards so far. A call works in its caller's thread, so the difference is what
/// it cost.
pub(crate) fn commands_of_this_thread() -> u64 {
    COMMANDS.get()
}

struct Counted(Box<dyn Transport>, Commands);

impl Counted {
    fn count(&self) {
        COMMANDS.set(COMMANDS.get().wrapping_add(1));
        self.1.count();
    }
}

impl Transport for Counted {
    fn atr(&self) -> &[u8] {
        self.0.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        self.count();
        self.0.transmit(command)
    }

    fn pin_pad(&self) -> PinPad {
        self.0.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        self.count();
        self.0.enter_pin(command, entry)
    }

    fn answer_limit(&self) -> Option<u16> {
        self.0.answer_limit()
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.0.hang_up()
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.0.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.0.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.0.reconnect()
    }

    fn traffic(&self) -> Traffic {
        self.0.traffic()
    }
}
