//! Secure messaging with AES (ICAO Doc 9303 part 11 clause 9.8, gemSpec_COS clause 13): every command and answer
//! enciphered and authenticated, whatever it is.
//!
//! [`Channel`] is pure; [`SecureTransport`] puts it around a transport, so that whoever drives a card need not know.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::apdu::{Command, Le, Response};
use crate::pace::{BLOCK, Key, SessionKeys};
use crate::status::StatusWord;
use crate::tlv::{self, Tlv};

mod transport;

pub use transport::{SecureError, SecureTransport};

/// Secure messaging with an authenticated header (ISO/IEC 7816-4 clause 5.4.1).
const CLASS: u8 = 0x0C;
/// What stands before a cryptogram: padded by ISO/IEC 9797-1 method 2.
const PADDED: u8 = 0x01;

/// Most bytes of data to ask a card for in one answer. Enciphered and authenticated they are 805, and the cards answer
/// with no more than 1033 (EF.ATR, gemSpec_COS N029.890).
pub(crate) const MOST_DATA: u16 = 0x300;

/// Why an answer is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The card answered without protection: it has ended the channel.
    #[error("the card ended the secure channel: {status}")]
    Ended {
        /// What the card answered.
        status: StatusWord,
    },
    /// The answer is not made of the right data objects.
    #[error("secured answer of {length} bytes is malformed")]
    Malformed {
        /// Bytes received.
        length: usize,
    },
    /// The status word inside and the one outside differ.
    #[error("secured answer says {inside}, but carries {outside}")]
    Status {
        /// The protected one.
        inside: StatusWord,
        /// The other one.
        outside: StatusWord,
    },
    /// The message authentication code is wrong.
    #[error("secured answer has a wrong message authentication code")]
    Mac,
}

/// One side's end of a channel. Each command and each answer has the next number; nothing can be left out.
pub struct Channel {
    enc: Key,
    mac: Key,
    counter: u128,
}

impl Channel {
    /// A new channel.
    pub fn new(keys: &SessionKeys) -> Channel {
        Channel { enc: keys.enc.clone(), mac: keys.mac.clone(), counter: 0 }
    }

    /// Secures a command. Like the drivers of the card's makers, it takes the extended form if an answer is expected.
    pub fn protect(&mut self, command: &Command) -> Command {
        self.counter = self.counter.wrapping_add(1);
        match protect(self, command) {
            Ok(secured) => secured,
            Err(never) => match never {},
        }
    }

    /// Opens an answer.
    ///
    /// # Errors
    /// The channel is unusable then: both sides may count differently.
    pub fn open(&mut self, answer: &Response) -> Result<Response, ChannelError> {
        self.counter = self.counter.wrapping_add(1);
        match open(self, answer) {
            Ok(opened) => opened,
            Err(never) => match never {},
        }
    }

    /// The code over the counter and what is covered.
    fn code(&self, covered: &[u8]) -> [u8; 8] {
        self.mac.authenticate(&[&self.counter.to_be_bytes(), &pad(covered)])
    }

    /// The initialisation vector is the encrypted counter.
    fn vector(&self) -> [u8; BLOCK] {
        let mut vector = self.counter.to_be_bytes();
        self.enc.encrypt_block(&mut vector);
        vector
    }

    fn encrypt(&self, data: &[u8]) -> Vec<u8> {
        let padded = Zeroizing::new(pad(data));
        let mut blocks = padded.as_chunks::<BLOCK>().0.to_vec();
        self.enc.encrypt(self.vector(), &mut blocks);
        blocks.into_flattened()
    }

    /// `None` if there are no whole blocks or no padding.
    fn decrypt(&self, cryptogram: &[u8]) -> Option<Vec<u8>> {
        let (blocks, rest) = cryptogram.as_chunks::<BLOCK>();
        let mut blocks = rest.is_empty().then(|| blocks.to_vec())?;
        self.enc.decrypt(self.vector(), &mut blocks);
        let mut plain = blocks.into_flattened();
        let end = plain.iter().rposition(|&byte| byte != 0)?;
        (plain.get(end) == Some(&0x80)).then(|| plain.truncate(end))?;
        Some(plain)
    }
}

/// Who has the keys of a channel: this program, or a card beside it.
pub(crate) trait Protection {
    /// What can go wrong.
    type Error;

    /// The value of data object 87 for the data of a command.
    fn encipher(&mut self, data: &[u8], sensitive: bool) -> Result<Vec<u8>, Self::Error>;
    /// The code over a command; what is covered is not padded at its end.
    fn authenticate(&mut self, covered: &[u8]) -> Result<Vec<u8>, Self::Error>;
    /// Whether the code over an answer is right.
    fn is_authentic(&mut self, covered: &[u8], code: &[u8]) -> Result<bool, Self::Error>;
    /// What the value of data object 87 holds; `None` if that is no cryptogram.
    fn decipher(&mut self, value: &[u8]) -> Result<Option<Vec<u8>>, Self::Error>;
}

impl Protection for Channel {
    type Error = std::convert::Infallible;

    fn encipher(&mut self, data: &[u8], _sensitive: bool) -> Result<Vec<u8>, Self::Error> {
        Ok([&[PADDED][..], &self.encrypt(data)].concat())
    }

    fn authenticate(&mut self, covered: &[u8]) -> Result<Vec<u8>, Self::Error> {
        Ok(self.code(covered).to_vec())
    }

    fn is_authentic(&mut self, covered: &[u8], code: &[u8]) -> Result<bool, Self::Error> {
        Ok(self.code(covered).ct_eq(code).into())
    }

    fn decipher(&mut self, value: &[u8]) -> Result<Option<Vec<u8>>, Self::Error> {
        let cryptogram = value.strip_prefix(&[PADDED]);
        Ok(cryptogram.and_then(|cryptogram| self.decrypt(cryptogram)))
    }
}

/// Secures a command (gemSpec_COS clause 13.2).
pub(crate) fn protect<P: Protection>(keys: &mut P, command: &Command) -> Result<Command, P::Error> {
    let [class, ins, p1, p2] = command.header();
    let header = [class | CLASS, ins, p1, p2];
    let mut objects = Vec::new();
    if command.data_len() > 0 {
        let value = keys.encipher(command.data_bytes(), command.is_sensitive())?;
        objects.extend(tlv::encode(0x87, &value));
    }
    if let Some(le) = expected_length(command.expected()) {
        objects.extend(tlv::encode(0x97, &le));
    }
    let code = if objects.is_empty() {
        keys.authenticate(&header)?
    } else {
        keys.authenticate(&[pad(&header), objects.clone()].concat())?
    };
    objects.extend(tlv::encode(0x8E, &code));
    let le = match command.expected() {
        Le::None if objects.len() <= 255 => Le::SHORT_WILDCARD,
        _ => Le::EXTENDED_WILDCARD,
    };
    let secured = Command::new(class | CLASS, ins, p1, p2).data(objects).le(le);
    Ok(if command.is_sensitive() { secured.sensitive() } else { secured })
}

/// Opens an answer (gemSpec_COS clause 13.3).
pub(crate) fn open<P: Protection>(
    keys: &mut P,
    answer: &Response,
) -> Result<Result<Response, ChannelError>, P::Error> {
    if answer.data.is_empty() {
        return Ok(Err(ChannelError::Ended { status: answer.status }));
    }
    let malformed = ChannelError::Malformed { length: answer.data.len() };
    let Some(parts) = Parts::parse(&answer.data) else { return Ok(Err(malformed)) };
    if parts.status != answer.status {
        return Ok(Err(ChannelError::Status { inside: parts.status, outside: answer.status }));
    }
    if !keys.is_authentic(parts.covered, parts.mac)? {
        return Ok(Err(ChannelError::Mac));
    }
    let data = match parts.body {
        None => Vec::new(),
        Some(Body::Plain(data)) => data.to_vec(),
        Some(Body::Enciphered(value)) => match keys.decipher(value)? {
            Some(data) => data,
            None => return Ok(Err(malformed)),
        },
    };
    Ok(Ok(Response { data, status: parts.status }))
}

/// The data objects of a secured answer.
struct Parts<'a> {
    body: Option<Body<'a>>,
    status: StatusWord,
    mac: &'a [u8],
    /// The bytes that the code covers: everything before it.
    covered: &'a [u8],
}

enum Body<'a> {
    Plain(&'a [u8]),
    Enciphered(&'a [u8]),
}

impl<'a> Parts<'a> {
    /// `[87 or 81] 99 8E`, nothing else.
    fn parse(bytes: &'a [u8]) -> Option<Parts<'a>> {
        let (first, rest) = Tlv::split_first(bytes).ok()?;
        let (body, status, rest) = match first.tag {
            0x99 => (None, first, rest),
            _ => {
                let body = match (first.tag, first.value) {
                    (0x81, plain) => Body::Plain(plain),
                    (0x87, value @ [PADDED, ..]) => Body::Enciphered(value),
                    _ => return None,
                };
                let (status, rest) = Tlv::split_first(rest).ok()?;
                (Some(body), status, rest)
            }
        };
        let covered = bytes.get(..bytes.len().checked_sub(rest.len())?)?;
        let (mac, rest) = Tlv::split_first(rest).ok()?;
        let whole = status.tag == 0x99 && mac.tag == 0x8E && mac.value.len() == 8 && rest.is_empty();
        let status = <[u8; 2]>::try_from(status.value).ok().filter(|_| whole)?;
        Some(Parts { body, status: StatusWord(u16::from_be_bytes(status)), mac: mac.value, covered })
    }
}

/// Le as data object 97 holds it.
fn expected_length(le: Le) -> Option<Vec<u8>> {
    match le {
        Le::None => None,
        // The wildcard is 0 in either form; what fits into one byte has one.
        Le::Short(length) => length.to_be_bytes().get(1..).map(<[u8]>::to_vec),
        Le::Extended(length @ 0..=0xFF) => length.to_be_bytes().get(3..).map(<[u8]>::to_vec),
        Le::Extended(length) => length.to_be_bytes().get(2..).map(<[u8]>::to_vec),
    }
}

/// ISO/IEC 9797-1 padding method 2.
fn pad(bytes: &[u8]) -> Vec<u8> {
    let mut padded = bytes.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(BLOCK), 0);
    padded
}

#[cfg(test)]
pub(crate) mod tests;
