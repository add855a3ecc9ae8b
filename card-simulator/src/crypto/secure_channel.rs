//! The card's end of secure messaging (gemSpec_COS chapter 13, ISO/IEC 7816-4 chapter 10): opens commands, seals
//! answers.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::session_keys::{Block, SessionKeys, padded};
use crate::tlv::{self, DataObject};

/// A secure channel.
pub(crate) struct SecureChannel {
    keys: SessionKeys,
    counter: u128,
}

/// A command as it was before it was secured.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Opened {
    pub(crate) data: Zeroizing<Vec<u8>>,
    /// Whether the data came enciphered.
    pub(crate) enciphered: bool,
    /// The value of Le, one or two bytes.
    pub(crate) expected: Option<Vec<u8>>,
}

/// What is wrong with a secured command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// An object is missing.
    Missing,
    /// An object is not as it should be.
    Wrong,
}

impl SecureChannel {
    pub(crate) fn new(keys: SessionKeys) -> SecureChannel {
        SecureChannel { keys, counter: 0 }
    }

    /// Opens a command: its header as it came, and its data objects.
    pub(crate) fn open(&mut self, header: [u8; 4], body: &[u8]) -> Result<Opened, Broken> {
        self.counter += 1;
        let objects = tlv::parse(body).ok_or(Broken::Wrong)?;
        let (mac, others) = match objects.split_last() {
            Some((last, others)) if last.tag == 0x8E => (last.value, others),
            _ => return Err(Broken::Missing),
        };
        let covered = body.get(..body.len() - mac.len() - 2).ok_or(Broken::Wrong)?;
        let mut message = self.counter.to_be_bytes().to_vec();
        message.extend(padded(&header));
        if !covered.is_empty() {
            message.extend(padded(covered));
        }
        if !bool::from(self.keys.mac.mac(&message).ct_eq(mac)) {
            return Err(Broken::Wrong);
        }
        self.contents(others)
    }

    /// `[81 or 87] [97]`.
    fn contents(&self, objects: &[DataObject<'_>]) -> Result<Opened, Broken> {
        let (data, rest) = match objects {
            [first, rest @ ..] if matches!(first.tag, 0x81 | 0x87) => (Some(first), rest),
            rest => (None, rest),
        };
        let expected = match rest {
            [] => None,
            [le] if le.tag == 0x97 && matches!(le.value.len(), 1 | 2) => Some(le.value.to_vec()),
            _ => return Err(Broken::Wrong),
        };
        let enciphered = data.is_some_and(|data| data.tag == 0x87);
        let data = match data {
            None => Zeroizing::default(),
            Some(plain) if !enciphered => Zeroizing::new(plain.value.to_vec()),
            Some(cryptogram) => match cryptogram.value {
                [0x01, cryptogram @ ..] => {
                    self.keys.enc.decipher(self.vector(), cryptogram).ok_or(Broken::Wrong)?
                }
                _ => return Err(Broken::Wrong),
            },
        };
        Ok(Opened { data, enciphered, expected })
    }

    /// Seals an answer; the data enciphered or plain.
    pub(crate) fn seal(&mut self, data: &[u8], status: [u8; 2], encipher: bool) -> Vec<u8> {
        self.counter += 1;
        self.sealed(data, status, encipher)
    }

    /// Seals an answer as [`SecureChannel::seal`] does, unless it would be longer than `limit` with its status word;
    /// then no answer is used up.
    pub(crate) fn seal_within(
        &mut self,
        limit: usize,
        data: &[u8],
        status: [u8; 2],
        encipher: bool,
    ) -> Option<Vec<u8>> {
        self.counter += 1;
        let body = self.sealed(data, status, encipher);
        if body.len() + status.len() <= limit {
            return Some(body);
        }
        self.counter -= 1;
        None
    }

    fn sealed(&self, data: &[u8], status: [u8; 2], encipher: bool) -> Vec<u8> {
        let mut body = match (data, encipher) {
            ([], _) => Vec::new(),
            (data, false) => tlv::encode(0x81, data),
            (data, true) => {
                let mut value = vec![0x01];
                value.extend(self.keys.enc.encipher(self.vector(), data));
                tlv::encode(0x87, &value)
            }
        };
        body.extend(tlv::encode(0x99, &status));
        let mut message = self.counter.to_be_bytes().to_vec();
        message.extend(padded(&body));
        body.extend(tlv::encode(0x8E, &self.keys.mac.mac(&message)));
        body
    }

    /// The initialisation vector is the enciphered counter.
    fn vector(&self) -> Block {
        self.keys.enc.encipher_block(self.counter.to_be_bytes())
    }
}

impl std::fmt::Debug for SecureChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecureChannel(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::session_keys::AesKey;
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vectors {
        enc: String,
        mac: String,
        commands: Vec<(u64, String, String)>,
        answers: Vec<(u64, String, String)>,
    }

    fn vectors() -> Vectors {
        toml::from_str(include_str!("../../testdata/secure-messaging.toml")).unwrap()
    }

    fn channel(number: u64) -> SecureChannel {
        let key = |text: String| AesKey::short(hex::decode(text).unwrap().try_into().unwrap());
        let Vectors { enc, mac, .. } = vectors();
        let mut channel = SecureChannel::new(SessionKeys { enc: key(enc), mac: key(mac) });
        channel.counter = u128::from(number) - 1;
        channel
    }

    /// Header, data and Le of a command in any form.
    fn split(hex: &str) -> ([u8; 4], Vec<u8>, Option<Vec<u8>>) {
        let bytes = hex::decode(hex).unwrap();
        let (header, body) = bytes.split_first_chunk::<4>().unwrap();
        let (data, le) = match body {
            [] => (&[][..], &[][..]),
            [_] => (&[][..], body),
            [0, le @ ..] if le.len() == 2 => (&[][..], le),
            [0, high, low, rest @ ..] => rest.split_at(usize::from(u16::from_be_bytes([*high, *low]))),
            [lc, rest @ ..] => rest.split_at(usize::from(*lc)),
        };
        (*header, data.to_vec(), (!le.is_empty()).then(|| le.to_vec()))
    }

    #[test]
    fn the_vectors_open_to_their_commands() {
        for (number, plain, secured) in vectors().commands {
            let (header, body, _) = split(&secured);
            let (_, data, expected) = split(&plain);
            let opened = channel(number).open(header, &body).unwrap();
            assert_eq!(opened.data.as_slice(), data, "{plain}");
            // An extended Le that fits into one byte is carried in one.
            let expected =
                expected.map(|le| if le.len() == 2 && le[0] == 0 && le[1] != 0 { vec![le[1]] } else { le });
            assert_eq!(opened.expected, expected, "{plain}");
            assert_eq!(opened.enciphered, !data.is_empty());
        }
    }

    #[test]
    fn any_changed_byte_breaks_a_command() {
        for (number, _, secured) in vectors().commands {
            let (header, body, _) = split(&secured);
            for position in 0..body.len() {
                let mut damaged = body.clone();
                damaged[position] ^= 1;
                channel(number).open(header, &damaged).unwrap_err();
            }
            let [class, ins, p1, p2] = header;
            channel(number).open([class, ins, p1, p2 ^ 1], &body).unwrap_err();
            assert_eq!(channel(number + 1).open(header, &body), Err(Broken::Wrong), "a repeated command");
        }
        assert_eq!(channel(1).open([0x0C, 0xB0, 0, 0], &[0x97, 1, 0]), Err(Broken::Missing));
    }

    #[test]
    fn answers_are_sealed_as_the_vectors_say() {
        for (number, secured, plain) in vectors().answers {
            let plain = hex::decode(plain).unwrap();
            let (data, status) = plain.split_last_chunk::<2>().unwrap();
            let sealed = channel(number).seal(data, *status, secured.starts_with("87"));
            let whole = [sealed, status.to_vec()].concat();
            assert_eq!(hex::encode_upper(whole), secured);
        }
    }
}
