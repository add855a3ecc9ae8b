//! The readers of a configuration: which there are, which hold a card, and a connection to one of them.

use std::path::PathBuf;
use std::time::Duration;

use super::pcsc::{PcscTransport, Service};
use super::socket::{Line, SocketTransport};
use super::transcript::Replay;
use super::{ReaderSpec, SocketAddress, Traced, Transport, TransportError};

/// How long a card may take for one command before it counts as mute.
const CARD_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a card socket may take to say whether it holds a card.
const STATUS_TIME: Duration = Duration::from_secs(5);

/// The readers named by a list of [`ReaderSpec`]s.
#[derive(Debug)]
pub struct Readers {
    sources: Vec<Source>,
    card_timeout: Duration,
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
}

/// Whether a reader holds a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardPresence {
    /// The reader is empty, or not reachable.
    Absent,
    /// A card is inserted.
    Present,
}

#[derive(Debug)]
enum Source {
    Pcsc { filter: String, service: Service },
    Socket(SocketReader),
    Replay(ReplayReaders),
}

/// A card socket is a reader that always exists, even while nobody listens there.
#[derive(Debug)]
struct SocketReader {
    address: SocketAddress,
    line: Option<Line>,
    /// Connections made so far: a simulator that was restarted counts insertions from the start again.
    connections: u32,
}

/// The readers of a recording, read when they are first asked for.
#[derive(Debug)]
struct ReplayReaders {
    path: PathBuf,
    replay: Option<Replay>,
}

impl Readers {
    /// Remembers where to look. Contacts nobody: that happens on first use, and again after a failure.
    pub fn open(specs: &[ReaderSpec]) -> Readers {
        let source = |spec: &ReaderSpec| match spec {
            ReaderSpec::Pcsc { filter } => {
                Source::Pcsc { filter: filter.clone().unwrap_or_default(), service: Service::default() }
            }
            ReaderSpec::Socket(address) => {
                Source::Socket(SocketReader { address: address.clone(), line: None, connections: 0 })
            }
            ReaderSpec::Replay(path) => Source::Replay(ReplayReaders { path: path.clone(), replay: None }),
        };
        Readers { sources: specs.iter().map(source).collect(), card_timeout: CARD_TIMEOUT }
    }

    /// How long cards on sockets may take for one command; 20 seconds if nothing else is said. Readers of the PC/SC
    /// service watch their cards themselves.
    #[must_use]
    pub fn with_card_timeout(self, card_timeout: Duration) -> Readers {
        Readers { card_timeout, ..self }
    }

    /// All readers with their state, in the order of the configuration. No card is talked to.
    ///
    /// # Errors
    /// The PC/SC service failed ([`TransportError::NoService`]), or a recording cannot be read
    /// ([`TransportError::Transcript`]), and there is no other reader to report.
    pub fn list(&mut self) -> Result<Vec<ReaderState>, TransportError> {
        let mut states: Vec<ReaderState> = Vec::new();
        let mut failure = None;
        for source in &mut self.sources {
            match source {
                Source::Socket(reader) => states.push(reader.state()),
                Source::Pcsc { filter, service } => match service.list(filter) {
                    Ok(found) => states.extend(found),
                    Err(error) => failure = Some(error),
                },
                Source::Replay(readers) => match readers.list() {
                    Ok(found) => states.extend(found),
                    Err(error) => failure = Some(error),
                },
            }
        }
        match failure {
            Some(error) if states.is_empty() => Err(error),
            Some(error) => {
                tracing::debug!(%error, "readers left out");
                Ok(states)
            }
            None => Ok(states),
        }
    }

    /// Connects to the card in a reader, shared with other programs. The connection counts and traces commands.
    ///
    /// # Errors
    /// Unknown reader, no card, no service.
    pub fn connect(&mut self, name: &str) -> Result<Box<dyn Transport>, TransportError> {
        let mut failure = TransportError::UnknownReader { name: name.to_owned() };
        for source in &mut self.sources {
            match source {
                Source::Socket(reader) if reader.name() == name => {
                    return Ok(Box::new(Traced::new(SocketTransport::connect(
                        &reader.address,
                        self.card_timeout,
                    )?)));
                }
                Source::Socket(_) => {}
                Source::Pcsc { filter, .. } if !name.contains(filter.as_str()) => {}
                Source::Pcsc { .. } => match PcscTransport::connect(name) {
                    Ok(transport) => return Ok(Box::new(Traced::new(transport))),
                    Err(TransportError::UnknownReader { .. }) => {}
                    Err(error) => failure = error,
                },
                Source::Replay(readers) => match readers.connect(name) {
                    Ok(transport) => return Ok(transport),
                    Err(TransportError::UnknownReader { .. }) => {}
                    Err(error) => failure = error,
                },
            }
        }
        Err(failure)
    }
}

impl SocketReader {
    fn name(&self) -> String {
        ReaderSpec::Socket(self.address.clone()).to_string()
    }

    fn state(&mut self) -> ReaderState {
        let (present, count) = self.status().unwrap_or_else(|error| {
            tracing::debug!(reader = self.name(), %error, "card socket not reachable");
            self.line = None;
            (false, 0)
        });
        ReaderState {
            name: self.name(),
            card: if present { CardPresence::Present } else { CardPresence::Absent },
            insertions: (self.connections << 24).wrapping_add(count),
        }
    }

    /// Asks on the open connection; if that broke, on a new one.
    fn status(&mut self) -> Result<(bool, u32), TransportError> {
        if let Some(line) = &mut self.line
            && let Ok(status) = line.status()
        {
            return Ok(status);
        }
        let line = self.line.insert(Line::open(&self.address, STATUS_TIME)?);
        self.connections = self.connections.wrapping_add(1);
        line.status()
    }
}

impl ReplayReaders {
    /// As many as the recording has, each with its card.
    fn list(&mut self) -> Result<Vec<ReaderState>, TransportError> {
        let readers = self.replay()?.readers();
        let state =
            |reader| ReaderState { name: self.name(reader), card: CardPresence::Present, insertions: 1 };
        Ok((0..readers).map(state).collect())
    }

    /// The next connection of the recording; none left is a card that was taken out.
    fn connect(&mut self, name: &str) -> Result<Box<dyn Transport>, TransportError> {
        let readers = self.replay()?.readers();
        let reader = (0..readers).find(|reader| self.name(*reader) == name);
        let reader = reader.ok_or_else(|| TransportError::UnknownReader { name: name.to_owned() })?;
        let card = self.replay()?.connect(reader).ok_or(TransportError::NoCard)?;
        Ok(Box::new(Traced::new(card)))
    }

    fn replay(&mut self) -> Result<&mut Replay, TransportError> {
        let replay = match self.replay.take() {
            Some(replay) => replay,
            None => Replay::open(&self.path)?,
        };
        Ok(self.replay.insert(replay))
    }

    fn name(&self, reader: usize) -> String {
        let file = ReaderSpec::Replay(self.path.clone());
        if reader == 0 { file.to_string() } else { format!("{file} {}", reader + 1) }
    }
}
