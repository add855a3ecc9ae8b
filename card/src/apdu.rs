//! Command and response APDUs (ISO/IEC 7816-4 clause 5.1-5.4): short and extended length, logical channels.

use std::fmt;

use zeroize::Zeroizing;

use crate::status::StatusWord;

/// The length of data a command asks for (Ne), and the form in which it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Le {
    /// No response data is asked for.
    None,
    /// 1 to 256 bytes; 256 is written as the wildcard `00`.
    Short(u16),
    /// 1 to 65 536 bytes; 65 536 is written as the wildcard `00 00`.
    Extended(u32),
}

impl Le {
    /// Everything the card has, up to 256 bytes: `00`.
    pub const SHORT_WILDCARD: Le = Le::Short(256);
    /// Everything the card has, up to 65 536 bytes: `00 00`.
    pub const EXTENDED_WILDCARD: Le = Le::Extended(65_536);
}

/// A logical channel (ISO/IEC 7816-4 clause 5.4.1), 0 to 19. Channel 0 is the basic channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Channel(u8);

impl Channel {
    /// The channel that is always open and that every program shares.
    pub const BASIC: Channel = Channel(0);

    /// The channel with this number, or `None` above 19.
    pub fn new(number: u8) -> Option<Channel> {
        (number <= 19).then_some(Channel(number))
    }

    /// 0 to 19.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Puts the channel number into a class byte that names channel 0.
    fn apply(self, class: u8) -> u8 {
        match self.0 {
            number @ 0..=3 => class | number,
            number => (class & 0x90) | 0x40 | number.saturating_sub(4),
        }
    }
}

/// Why a command cannot be written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApduError {
    /// More command data than Lc can say.
    #[error("command data of {got} bytes, at most 65535 fit into an APDU")]
    DataTooLong {
        /// Bytes of command data.
        got: usize,
    },
    /// A short Le must be 1 to 256, an extended one 1 to 65 536.
    #[error("Le of {got} cannot be encoded")]
    LeOutOfRange {
        /// The length asked for.
        got: u32,
    },
    /// An answer without the two bytes of the status word.
    #[error("answer of {got} bytes, expected at least the 2 bytes of the status word")]
    NoStatusWord {
        /// Bytes received.
        got: usize,
    },
}

/// One command for the card. The data is wiped from memory when the command is dropped.
#[derive(Clone)]
pub struct Command {
    cla: u8,
    ins: u8,
    p1: u8,
    p2: u8,
    data: Zeroizing<Vec<u8>>,
    le: Le,
    sensitive: bool,
}

impl Command {
    /// A command without data and without Le (case 1).
    pub fn new(cla: u8, ins: u8, p1: u8, p2: u8) -> Self {
        Command { cla, ins, p1, p2, data: Zeroizing::default(), le: Le::None, sensitive: false }
    }

    /// Sets the command data.
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = Zeroizing::new(data.into());
        self
    }

    /// Sets the length of the answer.
    pub fn le(mut self, le: Le) -> Self {
        self.le = le;
        self
    }

    /// Marks the data as secret: no trace and no `Debug` output tells more than the header.
    pub fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Sends the command on a logical channel instead of the basic one.
    pub fn on_channel(mut self, channel: Channel) -> Self {
        self.cla = channel.apply(self.cla);
        self
    }

    /// CLA INS P1 P2.
    pub fn header(&self) -> [u8; 4] {
        [self.cla, self.ins, self.p1, self.p2]
    }

    /// Number of bytes of command data (Nc).
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Whether the data is secret.
    pub fn is_sensitive(&self) -> bool {
        self.sensitive
    }

    /// The bytes on the wire. Lc and Le are extended together: if either needs it, both are.
    ///
    /// # Errors
    /// More than 65 535 bytes of data, or an Le outside the range of its form.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, ApduError> {
        let ne = self.ne()?;
        let nc =
            u16::try_from(self.data.len()).map_err(|_| ApduError::DataTooLong { got: self.data.len() })?;
        let extended = nc > 255 || matches!(self.le, Le::Extended(_));
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.data.len().saturating_add(9)));
        bytes.extend_from_slice(&self.header());
        if nc > 0 {
            if extended {
                bytes.push(0);
            }
            push_length(&mut bytes, nc, extended);
            bytes.extend_from_slice(&self.data);
        }
        if let Some(le) = ne {
            if extended && nc == 0 {
                bytes.push(0);
            }
            push_length(&mut bytes, le, extended);
        }
        Ok(bytes)
    }

    /// Le as its two-byte field (the wildcard is 0), `None` if absent.
    fn ne(&self) -> Result<Option<u16>, ApduError> {
        match self.le {
            Le::None => Ok(None),
            Le::Short(ne @ 1..=256) => Ok(Some(self.short_field(ne))),
            Le::Short(ne) => Err(ApduError::LeOutOfRange { got: ne.into() }),
            Le::Extended(65_536) => Ok(Some(0)),
            Le::Extended(0) => Err(ApduError::LeOutOfRange { got: 0 }),
            Le::Extended(ne) => u16::try_from(ne).map(Some).map_err(|_| ApduError::LeOutOfRange { got: ne }),
        }
    }

    /// A short Ne: 256 is the wildcard only while the field has one byte.
    fn short_field(&self, ne: u16) -> u16 {
        if ne == 256 && self.data.len() <= 255 { 0 } else { ne }
    }
}

/// Shows the header and the lengths; data only of commands that are not [`Command::sensitive`].
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Lc={}", hex::encode_upper(self.header()), self.data.len())?;
        if !self.sensitive && !self.data.is_empty() {
            write!(f, " {}", hex::encode_upper(self.data.as_slice()))?;
        }
        match self.le {
            Le::None => Ok(()),
            Le::Short(ne) => write!(f, " Le={ne}"),
            Le::Extended(ne) => write!(f, " Le={ne} (extended)"),
        }
    }
}

/// What the card answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// Response data, possibly empty.
    pub data: Vec<u8>,
    /// The status word SW1 SW2.
    pub status: StatusWord,
}

impl Response {
    /// Splits an answer into data and status word.
    ///
    /// # Errors
    /// Fewer than two bytes.
    pub fn parse(bytes: &[u8]) -> Result<Response, ApduError> {
        let (data, status) =
            bytes.split_last_chunk::<2>().ok_or(ApduError::NoStatusWord { got: bytes.len() })?;
        Ok(Response { data: data.to_vec(), status: StatusWord(u16::from_be_bytes(*status)) })
    }
}

/// Shows the number of bytes and the status word: the data may be personal.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {}", self.data.len(), self.status)
    }
}

fn push_length(bytes: &mut Vec<u8>, length: u16, extended: bool) {
    let [high, low] = length.to_be_bytes();
    if extended {
        bytes.push(high);
    }
    bytes.push(low);
}
