//! PACE: a channel to a contactless card, opened with the number printed on it (ICAO Doc 9303 part 11 clause 4.4,
//! BSI TR-03110; gemSpec_COS clause 14.7.2).
//!
//! The terminal's side of id-PACE-ECDH-GM-AES-CBC-CMAC-128, -192 and -256 as a state machine without I/O:
//! [`Agreement::start`] gives the first command, [`Agreement::next`] takes the answer and gives the next one, and in the
//! end the keys for [`crate::secure_messaging`]. [`establish`] runs it over a transport.

use zeroize::Zeroizing;

use crate::apdu::{Command, Le, Response};
use crate::status::StatusWord;
use crate::tlv::{self, Tlv};
use crate::transport::{Transport, TransportError};

mod cipher;
mod curve;

pub use cipher::Cipher;
pub(crate) use cipher::{BLOCK, Key};
pub use curve::Curve;

/// Blocks of the longest nonce that is taken: as long as a scalar of the largest curve.
const MOST_NONCE_BLOCKS: usize = 4;
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
    /// For encryption.
    pub(crate) enc: Key,
    /// For message authentication codes.
    pub(crate) mac: Key,
}

impl std::fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

/// Why no channel was opened.
#[derive(Debug, thiserror::Error)]
pub enum PaceError {
    /// The card does not offer one of the protocols with a curve this crate knows (EF.CardAccess).
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

/// One way of PACE that a card offers: a PACEInfo of its EF.CardAccess.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// Protocol, and with it the length of all keys.
    pub cipher: Cipher,
    /// Curve.
    pub curve: Curve,
    /// Whether the card has to be told the curve, because it offers several.
    pub name_curve: bool,
}

/// PACE in progress.
pub struct Agreement {
    suite: Suite,
    password: Key,
    secrets: [Zeroizing<Vec<u8>>; 2],
    state: State,
}

enum State {
    KeyChosen,
    NonceAsked,
    Mapped { nonce: Zeroizing<Vec<u8>> },
    KeySent { generator: Vec<u8>, own: Vec<u8> },
    TokenSent { keys: SessionKeys, expected: [u8; 8] },
    Over,
}

impl Agreement {
    /// Begins with fresh secrets of the terminal; returns the command that chooses protocol and password.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn start(can: &Can, suite: Suite) -> Result<(Agreement, Command), PaceError> {
        let secrets = [suite.curve.random_secret()?, suite.curve.random_secret()?];
        Ok(Agreement::with_secrets(can.0.as_slice(), suite, secrets))
    }

    fn with_secrets(password: &[u8], suite: Suite, secrets: [Zeroizing<Vec<u8>>; 2]) -> (Agreement, Command) {
        let password = suite.cipher.derive(password, 3);
        let agreement = Agreement { suite, password, secrets, state: State::KeyChosen };
        let mut template =
            [tlv::encode(0x80, &suite.cipher.protocol()), tlv::encode(0x83, &[CAN_KEY])].concat();
        if suite.name_curve {
            template.extend(tlv::encode(0x84, &[suite.curve.parameters()]));
        }
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
        let (blocks, rest) = encrypted.as_chunks::<BLOCK>();
        if !(1..=MOST_NONCE_BLOCKS).contains(&blocks.len()) || !rest.is_empty() {
            return Err(PaceError::Malformed { step: STEP, length: encrypted.len() });
        }
        let mut blocks = Zeroizing::new(blocks.to_vec());
        self.password.decrypt([0; BLOCK], &mut blocks);
        let nonce = Zeroizing::new(blocks.as_flattened().to_vec());
        let [secret, _] = &self.secrets;
        let own = self.suite.curve.multiply(None, secret).ok_or(PaceError::NoRandomness)?;
        self.state = State::Mapped { nonce };
        Ok(Next::Command(authenticate(true, &tlv::encode(0x81, &own))))
    }

    /// The card's mapping key arrived: send the key on the mapped generator.
    fn agree(&mut self, nonce: &[u8], answer: &Response) -> Result<Next, PaceError> {
        const STEP: &str = "mapping";
        let point = PaceError::Point { step: STEP };
        let [map, agree] = &self.secrets;
        let Some(shared) = self.suite.curve.multiply(Some(object(STEP, 0x82, answer)?), map) else {
            return Err(point);
        };
        let Some(generator) = self.suite.curve.mapped_generator(nonce, &shared) else { return Err(point) };
        let Some(own) = self.suite.curve.multiply(Some(&generator), agree) else { return Err(point) };
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
        let shared = self.suite.curve.multiply(Some(card), secret).ok_or(PaceError::Point { step: STEP })?;
        let x = self.suite.curve.x_coordinate(&shared);
        let cipher = self.suite.cipher;
        let keys = SessionKeys { enc: cipher.derive(x, 1), mac: cipher.derive(x, 2) };
        let token = token(cipher, &keys, card);
        self.state = State::TokenSent { expected: self::token(cipher, &keys, own), keys };
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
    let suite = offered(&read.data).ok_or(PaceError::NotOffered)?;
    let (mut agreement, mut command) = Agreement::start(can, suite)?;
    loop {
        let answer = transport.transmit(&command)?;
        match agreement.next(&answer)? {
            Next::Command(next) => command = next,
            Next::Agreed(keys) => return Ok(keys),
        }
    }
}

/// The first PACE that EF.CardAccess offers and that is known here. The card is told the curve if there are several to
/// choose from (BSI TR-03110 part 3, B.1).
fn offered(card_access: &[u8]) -> Option<Suite> {
    let mut infos = Tlv::find(card_access, 0x31).ok()?;
    let mut found = None;
    let mut numbers = Vec::new();
    while let Ok((info, rest)) = Tlv::split_first(infos) {
        infos = rest;
        let Some((protocol, parameters)) = pace_info(info.value) else { continue };
        if !numbers.contains(&parameters) {
            numbers.push(parameters);
        }
        let suite = Cipher::of_protocol(protocol).zip(Curve::by_parameters(parameters));
        found = found.or(suite);
    }
    found.map(|(cipher, curve)| Suite { cipher, curve, name_curve: numbers.len() > 1 })
}

/// Protocol and domain parameters of a PACEInfo: identifier, version, number of the parameters.
fn pace_info(info: &[u8]) -> Option<(&[u8], u8)> {
    /// id-PACE, with what follows it for one mapping and key agreement, and one cipher.
    const PACE: [u8; 8] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04];
    let protocol = Tlv::find(info, 0x06).ok().filter(|protocol| protocol.starts_with(&PACE))?;
    let (_, rest) = Tlv::split_first(info).ok()?;
    let (_, rest) = Tlv::split_first(rest).ok()?;
    match Tlv::find(rest, 0x02) {
        Ok(&[parameters]) => Some((protocol, parameters)),
        _ => None,
    }
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

/// The authentication token over a public key (clause 4.4.3.4).
fn token(cipher: Cipher, keys: &SessionKeys, public_key: &[u8]) -> [u8; 8] {
    let object = [tlv::encode(0x06, &cipher.protocol()), tlv::encode(0x86, public_key)].concat();
    keys.mac.authenticate(&[&tlv::encode(0x7F49, &object)])
}

#[cfg(test)]
mod tests;
