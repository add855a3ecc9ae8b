//! PACE: a channel to a contactless card, opened with the number printed on it (ICAO Doc 9303 part 11 clause 4.4,
//! BSI TR-03110; gemSpec_COS clause 14.7.2).
//!
//! The terminal's side of id-PACE-ECDH-GM-AES-CBC-CMAC-128 as a state machine without I/O: [`Agreement::start`] gives
//! the first command, [`Agreement::next`] takes the answer and gives the next one, and in the end the keys for
//! [`crate::secure_messaging`]. [`establish`] runs it over a transport.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherDecrypt, KeyInit};
use cmac::{Cmac, Mac};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::apdu::{Command, Le, Response};
use crate::status::StatusWord;
use crate::tlv::{self, Tlv};
use crate::transport::{Transport, TransportError};

mod curve;

pub use curve::Curve;

/// id-PACE-ECDH-GM-AES-CBC-CMAC-128, the value of its object identifier.
const PROTOCOL: [u8; 10] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04, 0x02, 0x02];
/// The card's key that the card access number stands for (SK.CAN).
const CAN_KEY: u8 = 0x02;

/// A card access number: six digits, printed on the card. Wiped from memory when dropped.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub struct Can(Zeroizing<[u8; 6]>);

/// A text that is no card access number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a card access number has six digits")]
pub struct CanError;

impl std::str::FromStr for Can {
    type Err = CanError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: [u8; 6] = text.as_bytes().try_into().map_err(|_| CanError)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Can(Zeroizing::new(digits))) } else { Err(CanError) }
    }
}

impl TryFrom<String> for Can {
    type Error = CanError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Zeroizing::new(text).parse()
    }
}

impl std::fmt::Debug for Can {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Can(..)")
    }
}

/// Keys for secure messaging, as PACE leaves them. Wiped from memory when dropped.
pub struct SessionKeys {
    /// AES-128 key for encryption.
    pub(crate) enc: Zeroizing<[u8; 16]>,
    /// AES-128 key for message authentication codes.
    pub(crate) mac: Zeroizing<[u8; 16]>,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

/// Why no channel was opened.
#[derive(Debug, thiserror::Error)]
pub enum PaceError {
    /// The card does not offer the one protocol and a curve this crate knows (EF.CardAccess).
    #[error("the card offers no PACE with a curve this program knows")]
    NotOffered,
    /// The number is not the one printed on the card.
    #[error("the card access number is wrong")]
    WrongCan,
    /// The card refused a command.
    #[error("PACE, {step}: {status}")]
    Refused {
        /// Which one.
        step: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The answer is not what the protocol says.
    #[error("PACE, {step}: malformed answer of {length} bytes")]
    Malformed {
        /// Which one.
        step: &'static str,
        /// Bytes received.
        length: usize,
    },
    /// The card sent a point that is not on the curve, or the terminal's own.
    #[error("PACE, {step}: the card's point cannot be used")]
    Point {
        /// Which one.
        step: &'static str,
    },
    /// The system has no random numbers.
    #[error("no random numbers")]
    NoRandomness,
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// What comes next.
pub enum Next {
    /// This command goes to the card.
    Command(Command),
    /// Both sides have proven that they know the number.
    Agreed(SessionKeys),
}

/// PACE in progress.
pub struct Agreement {
    curve: Curve,
    password: Zeroizing<[u8; 16]>,
    secrets: [Zeroizing<Vec<u8>>; 2],
    state: State,
}

enum State {
    KeyChosen,
    NonceAsked,
    Mapped { nonce: Zeroizing<[u8; 16]> },
    KeySent { generator: Vec<u8>, own: Vec<u8> },
    TokenSent { keys: SessionKeys, expected: [u8; 8] },
    Over,
}

impl Agreement {
    /// Begins with fresh secrets of the terminal; returns the command that chooses protocol and password.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn start(can: &Can, curve: Curve) -> Result<(Agreement, Command), PaceError> {
        let secrets = [curve.random_secret()?, curve.random_secret()?];
        Ok(Agreement::with_secrets(can.0.as_slice(), curve, secrets))
    }

    fn with_secrets(password: &[u8], curve: Curve, secrets: [Zeroizing<Vec<u8>>; 2]) -> (Agreement, Command) {
        let agreement = Agreement { curve, password: derive(password, 3), secrets, state: State::KeyChosen };
        let template = [tlv::encode(0x80, &PROTOCOL), tlv::encode(0x83, &[CAN_KEY])].concat();
        (agreement, Command::new(0x00, 0x22, 0xC1, 0xA4).data(template))
    }

    /// Takes the card's answer to the last command.
    ///
    /// # Errors
    /// The agreement is over then.
    pub fn next(&mut self, answer: &Response) -> Result<Next, PaceError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::KeyChosen => {
                checked("choice of the key", answer)?;
                self.state = State::NonceAsked;
                Ok(Next::Command(authenticate(true, &[])))
            }
            State::NonceAsked => self.map(answer),
            State::Mapped { nonce } => self.agree(&nonce, answer),
            State::KeySent { generator, own } => self.prove(&generator, &own, answer),
            State::TokenSent { keys, expected } => {
                let token = match object("mutual authentication", 0x86, answer) {
                    Err(PaceError::Refused { .. }) => return Err(PaceError::WrongCan),
                    token => token?,
                };
                if token == expected { Ok(Next::Agreed(keys)) } else { Err(PaceError::WrongCan) }
            }
            State::Over => Err(PaceError::Malformed { step: "after the end", length: answer.data.len() }),
        }
    }

    /// The encrypted nonce arrived: send the key for the mapping.
    fn map(&mut self, answer: &Response) -> Result<Next, PaceError> {
        const STEP: &str = "encrypted nonce";
        let encrypted = object(STEP, 0x80, answer)?;
        let mut nonce = Zeroizing::new([0; 16]);
        let block: [u8; 16] =
            encrypted.try_into().map_err(|_| PaceError::Malformed { step: STEP, length: encrypted.len() })?;
        let mut block = Array::from(block);
        Aes128::new(&Array::from(*self.password)).decrypt_block(&mut block);
        nonce.copy_from_slice(&block);
        let [secret, _] = &self.secrets;
        let own = self.curve.multiply(None, secret).ok_or(PaceError::NoRandomness)?;
        self.state = State::Mapped { nonce };
        Ok(Next::Command(authenticate(true, &tlv::encode(0x81, &own))))
    }

    /// The card's mapping key arrived: send the key on the mapped generator.
    fn agree(&mut self, nonce: &[u8; 16], answer: &Response) -> Result<Next, PaceError> {
        const STEP: &str = "mapping";
        let point = PaceError::Point { step: STEP };
        let [map, agree] = &self.secrets;
        let Some(shared) = self.curve.multiply(Some(object(STEP, 0x82, answer)?), map) else {
            return Err(point);
        };
        let Some(generator) = self.curve.mapped_generator(nonce, &shared) else { return Err(point) };
        let Some(own) = self.curve.multiply(Some(&generator), agree) else { return Err(point) };
        let command = authenticate(true, &tlv::encode(0x83, &own));
        self.state = State::KeySent { generator: generator.to_vec(), own: own.to_vec() };
        Ok(Next::Command(command))
    }

    /// The card's key arrived: derive the session keys and prove it.
    fn prove(&mut self, generator: &[u8], own: &[u8], answer: &Response) -> Result<Next, PaceError> {
        const STEP: &str = "key agreement";
        let card = object(STEP, 0x84, answer)?;
        let [_, secret] = &self.secrets;
        if card == own || card == generator {
            return Err(PaceError::Point { step: STEP });
        }
        let shared = self.curve.multiply(Some(card), secret).ok_or(PaceError::Point { step: STEP })?;
        let x = self.curve.x_coordinate(&shared);
        let keys = SessionKeys { enc: derive(x, 1), mac: derive(x, 2) };
        let token = token(&keys, card);
        self.state = State::TokenSent { expected: self::token(&keys, own), keys };
        Ok(Next::Command(authenticate(false, &tlv::encode(0x85, &token))))
    }
}

/// Reads EF.CardAccess and opens the channel: six commands and the selection of the file. Call it inside an exclusive
/// section, with the MF selected.
///
/// # Errors
/// See [`PaceError`]; nothing has changed on the card then.
pub fn establish(transport: &mut dyn Transport, can: &Can) -> Result<SessionKeys, PaceError> {
    let select = Command::new(0x00, 0xA4, 0x02, 0x0C).data([0x01, 0x1C]);
    checked("EF.CardAccess", &transport.transmit(&select)?)?;
    let read = transport.transmit(&Command::new(0x00, 0xB0, 0x00, 0x00).le(Le::SHORT_WILDCARD))?;
    if !matches!(read.status, StatusWord::OK | StatusWord::END_OF_FILE) {
        return Err(PaceError::Refused { step: "EF.CardAccess", status: read.status });
    }
    let curve = offered_curve(&read.data).ok_or(PaceError::NotOffered)?;
    let (mut agreement, mut command) = Agreement::start(can, curve)?;
    loop {
        let answer = transport.transmit(&command)?;
        match agreement.next(&answer)? {
            Next::Command(next) => command = next,
            Next::Agreed(keys) => return Ok(keys),
        }
    }
}

/// The curve of the first PACE that EF.CardAccess offers and that is known here.
fn offered_curve(card_access: &[u8]) -> Option<Curve> {
    let mut infos = Tlv::find(card_access, 0x31).ok()?;
    while let Ok((info, rest)) = Tlv::split_first(infos) {
        let is_pace = Tlv::find(info.value, 0x06) == Ok(PROTOCOL.as_slice());
        // Version, then the identifier of the domain parameters.
        let numbers = Tlv::split_first(info.value).ok().and_then(|(_, rest)| Tlv::split_first(rest).ok());
        let parameters = numbers.and_then(|(_, rest)| Tlv::find(rest, 0x02).ok());
        if let (true, Some(&[parameters])) = (is_pace, parameters)
            && let Some(curve) = Curve::by_parameters(parameters)
        {
            return Some(curve);
        }
        infos = rest;
    }
    None
}

/// GENERAL AUTHENTICATE; the class byte says whether more follow.
fn authenticate(chained: bool, objects: &[u8]) -> Command {
    let class = if chained { 0x10 } else { 0x00 };
    Command::new(class, 0x86, 0x00, 0x00).data(tlv::encode(0x7C, objects)).le(Le::EXTENDED_WILDCARD)
}

fn checked(step: &'static str, answer: &Response) -> Result<(), PaceError> {
    if answer.status.is_ok() { Ok(()) } else { Err(PaceError::Refused { step, status: answer.status }) }
}

/// The one object with this tag in the dynamic authentication data.
fn object<'a>(step: &'static str, tag: u32, answer: &'a Response) -> Result<&'a [u8], PaceError> {
    checked(step, answer)?;
    let found = Tlv::find(&answer.data, 0x7C).and_then(|data| Tlv::find(data, tag));
    found.map_err(|_| PaceError::Malformed { step, length: answer.data.len() })
}

/// The key derivation function for AES-128 (clause 9.7.1.1).
pub(crate) fn derive(secret: &[u8], counter: u8) -> Zeroizing<[u8; 16]> {
    let hash = Zeroizing::new(<[u8; 20]>::from(
        Sha1::new().chain_update(secret).chain_update([0, 0, 0, counter]).finalize(),
    ));
    let mut key = Zeroizing::new([0; 16]);
    key.iter_mut().zip(hash.iter()).for_each(|(key, hash)| *key = *hash);
    key
}

/// The authentication token over a public key (clause 4.4.3.4).
fn token(keys: &SessionKeys, public_key: &[u8]) -> [u8; 8] {
    let object = [tlv::encode(0x06, &PROTOCOL), tlv::encode(0x86, public_key)].concat();
    let mac = <Cmac<Aes128> as KeyInit>::new(&Array::from(*keys.mac))
        .chain_update(tlv::encode(0x7F49, &object))
        .finalize()
        .into_bytes();
    let mut token = [0; 8];
    token.iter_mut().zip(mac).for_each(|(token, mac)| *token = mac);
    token
}

#[cfg(test)]
mod tests;
