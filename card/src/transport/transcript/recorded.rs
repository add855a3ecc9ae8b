//! Writing a recording.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::TranscriptError;
use super::mask::{Place, tell_command};
use crate::apdu::{Command, Response};
use crate::transport::{HangUp, PinEntry, PinPad, Traffic, Transport, TransportError};

/// A recording of all connections of a program, in memory or in a file; copies share it.
///
/// PINs, PUKs, digests, signatures, deciphered data, serial numbers and the contents of files are written as `??`. What
/// stays are headers, lengths, status words, what a SELECT answers, and of each file the few bytes that say how long it
/// is. The file is made at the first connection, for its owner's eyes only, and each line is in it before the program
/// goes on.
#[derive(Debug, Clone, Default)]
pub struct Recording(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    output: Output,
    connections: usize,
    readers: Vec<String>,
}

#[derive(Debug)]
enum Output {
    Memory(String),
    /// Not yet made.
    Named(PathBuf),
    File(File),
    /// It could not be written to; that was said once.
    Broken,
}

impl Default for Output {
    fn default() -> Output {
        Output::Memory(String::new())
    }
}

impl Recording {
    /// Records to a file, which is replaced at the first connection.
    pub fn to_file(path: impl Into<PathBuf>) -> Recording {
        let book = Book { output: Output::Named(path.into()), ..Book::default() };
        Recording(Arc::new(Mutex::new(book)))
    }

    /// What was recorded so far in memory; empty for a file.
    pub fn text(&self) -> String {
        match &self.book().output {
            Output::Memory(text) => text.clone(),
            _ => String::new(),
        }
    }

    /// Records what goes through a connection to the card in `reader`. The reader's name is not told.
    ///
    /// Goes around a [`SecureTransport`](crate::secure_messaging::SecureTransport), not into it.
    ///
    /// # Errors
    /// [`TransportError::Transcript`]: the file cannot be made.
    pub fn around<T: Transport>(&self, reader: &str, inner: T) -> Result<Recorded<T>, TransportError> {
        let mut book = self.book();
        book.open()?;
        book.connections += 1;
        let connection = book.connections;
        let known = book.readers.iter().position(|known| known == reader);
        let number = known.unwrap_or_else(|| {
            book.readers.push(reader.to_owned());
            book.readers.len() - 1
        });
        book.line(connection, &format!("reader {}", number + 1));
        book.line(connection, &format!("atr {}", hex::encode_upper(inner.atr())));
        drop(book);
        Ok(Recorded { inner, recording: self.clone(), connection, place: Place::Elsewhere })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name of a file.
impl FromStr for Recording {
    type Err = std::convert::Infallible;

    fn from_str(path: &str) -> Result<Recording, Self::Err> {
        Ok(Recording::to_file(path))
    }
}

impl Book {
    fn open(&mut self) -> Result<(), TranscriptError> {
        if let Output::Named(path) = &self.output {
            let file = create(path).map_err(|error| TranscriptError::File { path: path.clone(), error })?;
            self.output = Output::File(file);
        }
        Ok(())
    }

    /// A recording that cannot be continued must not stop a card that can.
    fn line(&mut self, connection: usize, content: &str) {
        let number = if connection == 1 { String::new() } else { format!("{connection} ") };
        let line = format!("{number}{content}\n");
        match &mut self.output {
            Output::Memory(text) => text.push_str(&line),
            Output::File(file) => {
                if let Err(error) = file.write_all(line.as_bytes()) {
                    tracing::warn!(%error, "the card transcript ends here");
                    self.output = Output::Broken;
                }
            }
            Output::Named(_) | Output::Broken => {}
        }
    }
}

/// A file that was there keeps its owner and gets a mode for one reader.
fn create(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// A transport that records what goes through it.
#[derive(Debug)]
pub struct Recorded<T> {
    inner: T,
    recording: Recording,
    connection: usize,
    place: Place,
}

impl<T: Transport> Recorded<T> {
    fn line(&self, content: &str) {
        self.recording.book().line(self.connection, content);
    }

    fn record(
        &mut self,
        command: &Command,
        send: impl FnOnce(&mut T) -> Result<Response, TransportError>,
    ) -> Result<Response, TransportError> {
        self.place = self.place.after(command);
        self.line(&format!("> {}", tell_command(command)?));
        let answer = send(&mut self.inner);
        match &answer {
            Ok(answer) => {
                let status = hex::encode_upper(answer.status.0.to_be_bytes());
                self.line(&format!("< {}{status}", self.place.tell_answer(command, &answer.data)));
            }
            Err(error) => self.line(&format!("! {error}")),
        }
        answer
    }

    fn note(&self, what: &str, done: Result<(), TransportError>) -> Result<(), TransportError> {
        if let Err(error) = &done {
            self.line(&format!("# {what}: {error}"));
        }
        done
    }
}

impl<T: Transport> Transport for Recorded<T> {
    fn atr(&self) -> &[u8] {
        self.inner.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        self.record(command, |inner| inner.transmit(command))
    }

    fn pin_pad(&self) -> PinPad {
        self.inner.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        self.record(command, |inner| inner.enter_pin(command, entry))
    }

    fn answer_limit(&self) -> Option<u16> {
        self.inner.answer_limit()
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.inner.hang_up()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        let done = self.inner.begin();
        self.note("exclusive section", done)
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.inner.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.place = Place::Elsewhere;
        let done = self.inner.reconnect();
        self.note("connecting again", done)
    }
}
