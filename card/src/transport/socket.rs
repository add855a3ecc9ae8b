//! A simulated card behind a Unix or TCP socket (`docs/card-socket.md`): 16-bit length, then a control byte or an APDU.
//!
//! The socket tells "reset, removed or swapped" with an empty answer and hides it after the next question for the ATR.
//! This side keeps the rule of [`Transport`] instead: the failure stays until the caller reconnects, and the number of
//! insertions tells a reset card from another one.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::pin_pad::{Features, GET_FEATURE_REQUEST};
use super::{HangUp, PinEntry, PinPad, SocketAddress, Transport, TransportError};
use crate::apdu::{Command, Response};

/// How long another program may hold the card, which includes the time somebody needs at a PIN pad.
const TURN_TIME: Duration = Duration::from_secs(150);
/// How long somebody may need at a PIN pad, which itself gives up earlier.
const PAD_TIME: Duration = Duration::from_secs(120);
/// How long connecting over TCP may take.
const CONNECT_TIME: Duration = Duration::from_secs(5);

const ATR: u8 = 0x04;
const BEGIN: u8 = 0x05;
/// Answer to BEGIN: granted, but not on the card that this client knows.
const CARD_CHANGED: u8 = 0x01;
const END: u8 = 0x06;
const STATUS: u8 = 0x07;
/// Before a control code: for the reader, not for the card.
const CONTROL: u8 = 0xFF;

/// A connection to a card socket.
pub struct SocketTransport {
    address: SocketAddress,
    answer_time: Duration,
    /// Closed as soon as the stream broke or an answer is overdue: what came next would be taken for the answer to
    /// something else. Closing also ends a section this side holds.
    line: Option<Line>,
    atr: Vec<u8>,
    insertions: u32,
    in_section: bool,
    failure: Option<Failure>,
    features: Features,
    breaker: Arc<Breaker>,
}

/// What every call answers until the caller reconnects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Reset,
    Removed,
}

impl SocketTransport {
    /// Connects and asks for the ATR. A command that takes longer than `answer_time` is given up.
    ///
    /// # Errors
    /// Nobody listens there, or no card is inserted ([`TransportError::NoCard`]).
    pub fn connect(
        address: &SocketAddress,
        answer_time: Duration,
    ) -> Result<SocketTransport, TransportError> {
        SocketTransport::connect_breakable(address, answer_time, Arc::default())
    }

    fn connect_breakable(
        address: &SocketAddress,
        answer_time: Duration,
        breaker: Arc<Breaker>,
    ) -> Result<SocketTransport, TransportError> {
        let mut line = Line::open(address, answer_time)?;
        breaker.watch(&line)?;
        let (_, insertions) = line.status()?;
        let atr = line.atr()?;
        if atr.is_empty() {
            return Err(TransportError::NoCard);
        }
        let features = Features::parse(&line.ask(&control(GET_FEATURE_REQUEST, &[]))?);
        let line = Some(line);
        Ok(SocketTransport {
            address: address.clone(),
            answer_time,
            line,
            atr,
            insertions,
            in_section: false,
            failure: None,
            features,
            breaker,
        })
    }

    /// Sends one message, unless a failure has to be acknowledged first.
    fn exchange(&mut self, message: &[u8], patience: Duration) -> Result<Vec<u8>, TransportError> {
        match self.failure {
            Some(Failure::Reset) => Err(TransportError::Reset),
            Some(Failure::Removed) => Err(TransportError::Removed),
            None => self.on_line(|line| line.ask_patiently(message, patience)),
        }
    }

    fn answered(&mut self, answer: &[u8]) -> Result<Response, TransportError> {
        if answer.is_empty() {
            return Err(self.not_executed());
        }
        Ok(Response::parse(answer)?)
    }

    /// Uses the line, and closes it after an error.
    fn on_line<T>(
        &mut self,
        call: impl FnOnce(&mut Line) -> Result<T, TransportError>,
    ) -> Result<T, TransportError> {
        let line = self.line.as_mut().ok_or(TransportError::NotTransacted)?;
        call(line).inspect_err(|_| self.line = None)
    }

    /// An APDU was not executed: was the card reset, or is it gone?
    fn not_executed(&mut self) -> TransportError {
        match self.on_line(|line| Ok((line.status()?, line.atr()?))) {
            Ok(((true, insertions), atr)) if insertions == self.insertions && !atr.is_empty() => {
                self.failure = Some(Failure::Reset);
                TransportError::Reset
            }
            Ok(_) => {
                self.failure = Some(Failure::Removed);
                TransportError::Removed
            }
            Err(error) => error,
        }
    }
}

impl Transport for SocketTransport {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let answer = self.exchange(&command.encode()?, self.answer_time)?;
        self.answered(&answer)
    }

    fn pin_pad(&self) -> PinPad {
        self.features.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        let (code, order) = self.features.order(command, entry)?;
        let answer = self.exchange(&control(code, &order), PAD_TIME.saturating_add(self.answer_time))?;
        self.answered(&answer)
    }

    fn hang_up(&self) -> Option<HangUp> {
        let breaker = self.breaker.clone();
        Some(HangUp::new(move || breaker.break_off()))
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        let answer = self.exchange(&[BEGIN], TURN_TIME)?;
        if answer == [CARD_CHANGED] {
            let error = self.not_executed();
            acknowledged(&self.on_line(|line| line.ask(&[END]))?)?;
            return Err(error);
        }
        acknowledged(&answer)?;
        self.in_section = true;
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        if !std::mem::take(&mut self.in_section) || self.line.is_none() {
            return Ok(());
        }
        // Also after a failure: others wait for it.
        acknowledged(&self.on_line(|line| line.ask(&[END]))?)
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        if self.end().is_err() || self.line.is_none() {
            let breaker = self.breaker.clone();
            *self = SocketTransport::connect_breakable(&self.address, self.answer_time, breaker)?;
            return Ok(());
        }
        let ((_, insertions), atr) = self.on_line(|line| Ok((line.status()?, line.atr()?)))?;
        if atr.is_empty() {
            self.failure = Some(Failure::Removed);
            return Err(TransportError::NoCard);
        }
        self.failure = None;
        (self.insertions, self.atr) = (insertions, atr);
        Ok(())
    }
}

/// Ends the line of a transport from another thread, and every line it opens later.
#[derive(Default)]
struct Breaker {
    state: Mutex<Watched>,
}

#[derive(Default)]
struct Watched {
    line: Option<Box<dyn Stream>>,
    broken: bool,
}

impl Breaker {
    /// From now on this is the line to end.
    fn watch(&self, line: &Line) -> Result<(), TransportError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return Err(TransportError::NotTransacted);
        }
        state.line = Some(line.stream.twin()?);
        Ok(())
    }

    fn break_off(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.broken = true;
        if let Some(line) = state.line.take() {
            line.end();
        }
    }
}

/// A stream of length-prefixed messages.
pub(super) struct Line {
    stream: Box<dyn Stream>,
    answer_time: Duration,
}

/// A breaker may have another handle of the stream: the other side has to see the end nevertheless.
impl Drop for Line {
    fn drop(&mut self) {
        self.stream.end();
    }
}

trait Stream: Read + Write + Send {
    /// How long a read may wait.
    fn set_patience(&self, time: Duration) -> std::io::Result<()>;

    /// Another handle of the same stream.
    fn twin(&self) -> std::io::Result<Box<dyn Stream>>;

    /// Ends the stream for all its handles.
    fn end(&self);
}

macro_rules! streams {
    ($($kind:ty)*) => { $(
        impl Stream for $kind {
            fn set_patience(&self, time: Duration) -> std::io::Result<()> {
                self.set_read_timeout(Some(time))
            }

            fn twin(&self) -> std::io::Result<Box<dyn Stream>> {
                Ok(Box::new(self.try_clone()?))
            }

            fn end(&self) {
                // One that has ended already needs no ending.
                self.shutdown(Shutdown::Both).ok();
            }
        }
    )* };
}
streams!(UnixStream TcpStream);

impl Line {
    pub(super) fn open(address: &SocketAddress, answer_time: Duration) -> Result<Line, TransportError> {
        match address {
            SocketAddress::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(answer_time))?;
                stream.set_write_timeout(Some(answer_time))?;
                Ok(Line { stream: Box::new(stream), answer_time })
            }
            SocketAddress::Tcp(name) => {
                let stream = connect_tcp(name)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(answer_time))?;
                stream.set_write_timeout(Some(answer_time))?;
                Ok(Line { stream: Box::new(stream), answer_time })
            }
        }
    }

    /// Whether a card is inserted, and how many were since the simulator started.
    pub(super) fn status(&mut self) -> Result<(bool, u32), TransportError> {
        let answer = self.ask(&[STATUS])?;
        match <[u8; 5]>::try_from(answer.as_slice()) {
            Ok([present @ 0..=1, a, b, c, d]) => Ok((present == 1, u32::from_be_bytes([a, b, c, d]))),
            _ => Err(TransportError::Malformed { what: "reader status", length: answer.len() }),
        }
    }

    fn atr(&mut self) -> Result<Vec<u8>, TransportError> {
        self.ask(&[ATR])
    }

    /// Asks for what may take longer than other answers.
    fn ask_patiently(&mut self, message: &[u8], patience: Duration) -> Result<Vec<u8>, TransportError> {
        if patience == self.answer_time {
            return self.ask(message);
        }
        self.stream.set_patience(patience)?;
        let answer = self.ask(message)?;
        self.stream.set_patience(self.answer_time)?;
        Ok(answer)
    }

    fn ask(&mut self, message: &[u8]) -> Result<Vec<u8>, TransportError> {
        let length = u16::try_from(message.len())
            .map_err(|_| TransportError::Malformed { what: "command", length: message.len() })?;
        let mut frame = zeroize::Zeroizing::new(Vec::with_capacity(message.len().saturating_add(2)));
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(message);
        self.stream.write_all(&frame).map_err(line_error)?;
        let mut length = [0; 2];
        self.stream.read_exact(&mut length).map_err(line_error)?;
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut answer).map_err(line_error)?;
        Ok(answer)
    }
}

impl fmt::Debug for SocketTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketTransport").field("address", &self.address).finish_non_exhaustive()
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

fn connect_tcp(name: &str) -> std::io::Result<TcpStream> {
    let mut last = std::io::Error::new(ErrorKind::NotFound, "the host name has no address");
    for address in name.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIME) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// A message for the reader.
fn control(code: u32, input: &[u8]) -> Vec<u8> {
    [&[CONTROL], code.to_be_bytes().as_slice(), input].concat()
}

fn acknowledged(answer: &[u8]) -> Result<(), TransportError> {
    if answer == [0] {
        Ok(())
    } else {
        Err(TransportError::Malformed { what: "acknowledgement", length: answer.len() })
    }
}

/// A simulator that closes the connection has taken its card with it.
fn line_error(error: std::io::Error) -> TransportError {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => TransportError::Timeout,
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => {
            TransportError::Removed
        }
        _ => TransportError::Io(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_mute_card_is_given_up_and_hung_up_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let card = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(&[0, 5, 1, 0, 0, 0, 1, 0, 2, 0x3B, 0x00, 0, 0]).unwrap();
            let mut everything = Vec::new();
            stream.read_to_end(&mut everything).unwrap();
            everything
        });
        let address = SocketAddress::Unix(path);
        let mut transport = SocketTransport::connect(&address, Duration::from_millis(20)).unwrap();
        let answer = transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C));
        assert!(matches!(answer, Err(TransportError::Timeout)), "{answer:?}");
        // The card's end of the line is closed although the transport still exists.
        assert_eq!(hex::encode_upper(card.join().unwrap()), "0001070001040005FF42000D48000400A4040C");
        assert!(matches!(transport.begin(), Err(TransportError::NotTransacted)));
    }

    #[test]
    fn a_call_that_waits_for_a_mute_card_is_ended_from_another_thread() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let address = SocketAddress::Unix(path);
        std::thread::scope(|scope| {
            let card = scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(&[0, 5, 1, 0, 0, 0, 1, 0, 2, 0x3B, 0x00, 0, 0]).unwrap();
                stream
            });
            let hour = Duration::from_secs(3600);
            let mut transport = SocketTransport::connect(&address, hour).unwrap();
            let hang_up = transport.hang_up().unwrap();
            let waiting = scope.spawn(move || {
                let answer = transport.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C));
                (answer, transport.reconnect())
            });
            let _stream = card.join().unwrap();
            hang_up.now();
            let (answer, again) = waiting.join().unwrap();
            assert!(matches!(answer, Err(TransportError::Removed | TransportError::Io(_))), "{answer:?}");
            assert!(matches!(again, Err(TransportError::NotTransacted)), "{again:?}");
        });
    }
}
