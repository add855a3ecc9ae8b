//! Ways to a card: one command in, one answer out, with exclusive sections and an honest word about resets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::apdu::{ApduError, Command, Response};
use crate::secure_messaging::SecureError;

mod pcsc;
mod pin_pad;
mod readers;
mod socket;
mod traced;
mod transcript;
mod whole;

pub use pin_pad::{PinEntry, PinPad};
pub use readers::{CardPresence, ReaderState, Readers};
pub use socket::SocketTransport;
pub use traced::{Traced, Traffic};
pub use transcript::{Recorded, Recording, Replay, Replayed, TranscriptError};
pub use whole::WholeAnswers;

/// A connection to one card in one reader.
///
/// After [`TransportError::Reset`] or [`TransportError::Removed`] every call fails with the same error until
/// [`Transport::reconnect`]: what the card knew (selection, PINs, channels) is gone and the caller has to know it.
/// Dropping a transport leaves the card as it is, it is never reset.
pub trait Transport: Send {
    /// The answer to reset of the connected card.
    fn atr(&self) -> &[u8];

    /// Sends one command and returns the card's answer, whatever its status word.
    ///
    /// # Errors
    /// The command may or may not have been executed; nothing is ever sent twice.
    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError>;

    /// Begins an exclusive section: other programs' commands wait until [`Transport::end`]. Sections do not nest.
    ///
    /// # Errors
    /// The section has not begun.
    fn begin(&mut self) -> Result<(), TransportError>;

    /// Ends the exclusive section; without one, does nothing.
    ///
    /// # Errors
    /// The connection is broken; the section is over nevertheless.
    fn end(&mut self) -> Result<(), TransportError>;

    /// Takes note of a reset, or connects to the card that is in the reader now. Does not reset the card. Ends a
    /// section. The card may be another one: compare its serial number.
    ///
    /// # Errors
    /// No card, no reader, or no service.
    fn reconnect(&mut self) -> Result<(), TransportError>;

    /// What the reader's own PIN pad can be used for.
    fn pin_pad(&self) -> PinPad {
        PinPad::default()
    }

    /// Lets the user enter PINs on the reader's pad, which puts them into the empty blocks of `command` and sends it.
    /// Takes as long as the user does. The status word may be the reader's: 6400 nobody entered anything in time, 6401
    /// cancelled, 6402 the new PIN was entered differently the second time, 6403 too few or too many digits.
    ///
    /// # Errors
    /// As [`Transport::transmit`]; [`TransportError::NotTransacted`] without a pad for this.
    fn enter_pin(&mut self, _command: &Command, _entry: &PinEntry) -> Result<Response, TransportError> {
        Err(TransportError::NotTransacted)
    }

    /// A way for another thread to end a call that waits for the card; `None` where there is none.
    fn hang_up(&self) -> Option<HangUp> {
        None
    }

    /// Most bytes of data an answer may carry; `None` where extended length is the only bound. Files are read in blocks
    /// of this size then.
    fn answer_limit(&self) -> Option<u16> {
        None
    }

    /// Commands and bytes since the connection was made; zeros for a transport that does not count.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

/// A boxed or a lent transport is a transport, so that wrappers take any.
macro_rules! delegate {
    ($($transport:ty),*) => {$(
        impl Transport for $transport {
            fn atr(&self) -> &[u8] {
                (**self).atr()
            }

            fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
                (**self).transmit(command)
            }

            fn begin(&mut self) -> Result<(), TransportError> {
                (**self).begin()
            }

            fn end(&mut self) -> Result<(), TransportError> {
                (**self).end()
            }

            fn reconnect(&mut self) -> Result<(), TransportError> {
                (**self).reconnect()
            }

            fn pin_pad(&self) -> PinPad {
                (**self).pin_pad()
            }

            fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
                (**self).enter_pin(command, entry)
            }

            fn hang_up(&self) -> Option<HangUp> {
                (**self).hang_up()
            }

            fn answer_limit(&self) -> Option<u16> {
                (**self).answer_limit()
            }

            fn traffic(&self) -> Traffic {
                (**self).traffic()
            }
        }
    )*};
}

delegate!(Box<dyn Transport>, &mut dyn Transport);

/// Ends a connection from another thread: what it waits for fails, and so does everything later.
#[derive(Clone)]
pub struct HangUp(Arc<dyn Fn() + Send + Sync>);

impl HangUp {
    fn new(end: impl Fn() + Send + Sync + 'static) -> HangUp {
        HangUp(Arc::new(end))
    }

    /// Ends the connection.
    pub fn now(&self) {
        (self.0)();
    }
}

impl fmt::Debug for HangUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HangUp").finish_non_exhaustive()
    }
}

/// What can go wrong between the driver and the card.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The PC/SC service does not run, or went away; the next call tries it again.
    #[error("the PC/SC service is not running")]
    NoService,
    /// No reader of this name.
    #[error("no reader named \"{name}\"")]
    UnknownReader {
        /// The name asked for.
        name: String,
    },
    /// The reader is empty.
    #[error("no card in the reader")]
    NoCard,
    /// There is a card, but it gives no answer to reset: inserted the wrong way round, dirty or broken.
    #[error("the card does not respond")]
    Unresponsive,
    /// The card was pulled, or another one is in the reader now.
    #[error("the card was removed")]
    Removed,
    /// Somebody reset the card; its state is gone, the card is still there.
    #[error("the card was reset by another program")]
    Reset,
    /// Another program holds the card exclusively.
    #[error("another program holds the card exclusively")]
    Sharing,
    /// The command or its answer got lost between reader and card.
    #[error("the reader could not exchange the command with the card")]
    NotTransacted,
    /// No answer in time; whether the command was executed is unknown.
    #[error("the card did not answer in time")]
    Timeout,
    /// Something came that is not an answer.
    #[error("malformed {what} of {length} bytes")]
    Malformed {
        /// What it should have been.
        what: &'static str,
        /// Bytes received.
        length: usize,
    },
    /// The command cannot be encoded, or the answer has no status word.
    #[error(transparent)]
    Apdu(#[from] ApduError),
    /// No secure channel to a contactless card, or a broken one.
    #[error(transparent)]
    Secure(Box<SecureError>),
    /// The socket failed.
    #[error("card socket: {0}")]
    Io(#[from] std::io::Error),
    /// A recording cannot be made or played back.
    #[error(transparent)]
    Transcript(#[from] TranscriptError),
    /// PC/SC failed in a way that has no name here.
    #[error("PC/SC: {0}")]
    Pcsc(::pcsc::Error),
}

/// Where to look for readers: `pcsc:`, `pcsc:<part of the reader's name>`, `socket:/path`, `socket:host:port`,
/// `replay:/path`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReaderSpec {
    /// The readers of the PC/SC service.
    Pcsc {
        /// Only readers whose name contains this text.
        filter: Option<String>,
    },
    /// One simulated card behind a socket (`docs/card-socket.md`).
    Socket(SocketAddress),
    /// The readers of a recording, without their cards.
    Replay(std::path::PathBuf),
}

/// Address of a card socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketAddress {
    /// A Unix stream socket.
    Unix(std::path::PathBuf),
    /// `host:port`.
    Tcp(String),
}

/// A text that names no reader.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{text}\" is no reader: expected pcsc:, pcsc:<part of its name>, socket:/path, socket:host:port or replay:/path"
)]
pub struct ReaderSpecError {
    /// The text given.
    pub text: String,
}

impl FromStr for ReaderSpec {
    type Err = ReaderSpecError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ReaderSpecError { text: text.to_owned() };
        match text.split_once(':') {
            Some(("pcsc", "")) => Ok(ReaderSpec::Pcsc { filter: None }),
            Some(("pcsc", filter)) => Ok(ReaderSpec::Pcsc { filter: Some(filter.to_owned()) }),
            Some(("replay", path)) if !path.is_empty() => Ok(ReaderSpec::Replay(path.into())),
            Some(("socket", address)) => address.parse().map(ReaderSpec::Socket).map_err(|()| error()),
            _ => Err(error()),
        }
    }
}

impl FromStr for SocketAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.contains('/') {
            return Ok(SocketAddress::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or(())?;
        port.parse::<u16>().map_err(|_| ())?;
        (!host.is_empty()).then(|| SocketAddress::Tcp(text.to_owned())).ok_or(())
    }
}

impl fmt::Display for ReaderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReaderSpec::Pcsc { filter } => write!(f, "pcsc:{}", filter.as_deref().unwrap_or_default()),
            ReaderSpec::Socket(address) => write!(f, "socket:{address}"),
            ReaderSpec::Replay(path) => write!(f, "replay:{}", path.display()),
        }
    }
}

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SocketAddress::Unix(path) => path.display().fmt(f),
            SocketAddress::Tcp(address) => f.write_str(address),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_named_by_a_text() {
        let cases = [
            ("pcsc:", ReaderSpec::Pcsc { filter: None }),
            ("pcsc:Cherry ST: 00", ReaderSpec::Pcsc { filter: Some("Cherry ST: 00".into()) }),
            ("socket:/run/hba.sock", ReaderSpec::Socket(SocketAddress::Unix("/run/hba.sock".into()))),
            ("socket:./hba:1", ReaderSpec::Socket(SocketAddress::Unix("./hba:1".into()))),
            ("socket:127.0.0.1:7816", ReaderSpec::Socket(SocketAddress::Tcp("127.0.0.1:7816".into()))),
            ("socket:[::1]:7816", ReaderSpec::Socket(SocketAddress::Tcp("[::1]:7816".into()))),
            ("replay:cards.txt", ReaderSpec::Replay("cards.txt".into())),
        ];
        for (text, spec) in cases {
            assert_eq!(text.parse::<ReaderSpec>().as_ref(), Ok(&spec));
            assert_eq!(spec.to_string(), text);
        }
    }

    #[test]
    fn other_texts_name_no_reader() {
        for text in [
            "",
            "pcsc",
            "socket:",
            "replay:",
            "socket:7816",
            "socket::7816",
            "socket:host:",
            "socket:host:99999",
            "usb:1",
        ] {
            let error = text.parse::<ReaderSpec>().unwrap_err();
            assert_eq!(error, ReaderSpecError { text: text.to_owned() });
        }
    }
}
