//! Playing a recording back.

use std::collections::VecDeque;
use std::path::Path;

use super::{MASK, TranscriptError};
use crate::apdu::{Command, Response};
use crate::status::StatusWord;
use crate::transport::{Transport, TransportError};

/// A recording: which readers there were, and what was said on each connection to their cards.
#[derive(Debug, Default)]
pub struct Replay {
    connections: Vec<Connection>,
}

#[derive(Debug, Default)]
struct Connection {
    number: usize,
    /// From 0.
    reader: usize,
    taken: bool,
    replayed: Replayed,
}

impl Replay {
    /// Reads a recording.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<Replay, TranscriptError> {
        let mut replay = Replay::default();
        for (line, content) in (1..).zip(text.lines()) {
            replay.read(content.trim()).ok_or(TranscriptError::Line { line })?;
        }
        Ok(replay)
    }

    /// Reads a recording from a file.
    ///
    /// # Errors
    /// The file, or its first line that cannot be read.
    pub fn open(path: &Path) -> Result<Replay, TranscriptError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| TranscriptError::File { path: path.to_owned(), error })?;
        Replay::parse(&text)
    }

    /// How many readers there were.
    pub fn readers(&self) -> usize {
        self.connections.iter().map(|connection| connection.reader + 1).max().unwrap_or(0)
    }

    /// The next connection to the card in a reader, from 0, in the order of the recording; `None` when all have been made.
    pub fn connect(&mut self, reader: usize) -> Option<Replayed> {
        let next = self.connections.iter_mut().find(|next| next.reader == reader && !next.taken)?;
        next.taken = true;
        Some(std::mem::take(&mut next.replayed))
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (number, line) = match line.split_once(' ') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                (number.parse().ok()?, rest)
            }
            _ => (1, line),
        };
        if line.is_empty() || line.starts_with('#') {
            return Some(());
        }
        let known = self.connections.iter().position(|connection| connection.number == number);
        let at = known.unwrap_or_else(|| {
            self.connections.push(Connection { number, ..Connection::default() });
            self.connections.len() - 1
        });
        let connection = self.connections.get_mut(at)?;
        match line.split_once(' ').unwrap_or((line, "")) {
            ("reader", reader) => connection.reader = reader.parse::<usize>().ok()?.checked_sub(1)?,
            (sign, content) => connection.replayed.read(sign, content)?,
        }
        // No more readers than connections, so that nobody has to list a million.
        (connection.reader < at + 1).then_some(())
    }
}

/// A card that says what a recording has, as long as the commands are those of the recording. Masked bytes of answers
/// are zeros, masked bytes of commands may be anything. Any other command is answered as by a card that does not know
/// it.
#[derive(Debug, Default)]
pub struct Replayed {
    atr: Vec<u8>,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    command: String,
    answer: Option<Response>,
}

impl Replayed {
    /// The first connection of a recording.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<Replayed, TranscriptError> {
        Ok(Replay::parse(text)?.connect(0).unwrap_or_default())
    }

    /// Whether everything of the recording was asked for.
    pub fn is_finished(&self) -> bool {
        self.steps.is_empty()
    }

    fn read(&mut self, sign: &str, content: &str) -> Option<()> {
        match sign {
            "atr" => self.atr = hex::decode(content).ok()?,
            ">" => self.steps.push_back(Step { command: content.to_owned(), answer: None }),
            "<" => {
                let bytes = hex::decode(content.replace(MASK, "00")).ok()?;
                self.steps.back_mut()?.answer = Some(Response::parse(&bytes).ok()?);
            }
            "!" => self.steps.back_mut()?.answer = None,
            _ => return None,
        }
        Some(())
    }
}

impl Transport for Replayed {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let sent = hex::encode_upper(command.encode()?.as_slice());
        match self.steps.pop_front() {
            Some(step) if matches(&step.command, &sent) => step.answer.ok_or(TransportError::NotTransacted),
            // Nothing of the recording is used up.
            other => {
                if let Some(step) = other {
                    self.steps.push_front(step);
                }
                Ok(Response { data: Vec::new(), status: StatusWord::INS_UNKNOWN })
            }
        }
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

/// Whether a command is the recorded one; masked bytes may be anything.
fn matches(recorded: &str, sent: &str) -> bool {
    recorded.len() == sent.len()
        && recorded.bytes().zip(sent.bytes()).all(|(recorded, sent)| recorded == b'?' || recorded == sent)
}
