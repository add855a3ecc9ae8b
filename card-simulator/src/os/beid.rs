//! The commands of the Belgian eID card (Belgian eID Card Specifications; applets 1.7 and 1.8), over T=0.
//!
//! Its two keys lie in one folder, and its one PIN belongs to the card: both are named from wherever one is.

use super::apdu::{Class, Command};
use super::channel::Belgian;
use super::pin_block::{self, LENGTH};
use super::{Card, Handler, Outcome, Sw};
use crate::crypto::{CryptoError, PrivateKey};
use crate::issue::chip_number;
use crate::layout::{Curve, Key, KeyKind, Operation, Password};

const PIN: u8 = 0x01;
const SET: u16 = 0x41B6;
const COMPUTE_DIGITAL_SIGNATURE: u16 = 0x9E9A;
const BY_PATH: u8 = 0x08;
const CHILD_FILE: u8 = 0x02;
const APPLICATION: u8 = 0x04;
const WITHOUT_ANSWER: u8 = 0x0C;

/// DigestInfo of an MD5 and of a SHA-1 digest without the digest (RFC 8017, 9.2).
const MD5: &[u8] = &[
    0x30, 0x20, 0x30, 0x0C, 0x06, 0x08, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x02, 0x05, 0x05, 0x00, 0x04,
    0x10,
];
const SHA1: &[u8] =
    &[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00, 0x04, 0x14];

/// The handler of a command.
pub(super) fn handler(command: &Command<'_>) -> Result<Handler, Sw> {
    let (interindustry, proprietary): (Option<Handler>, Option<Handler>) = match command.ins {
        0x20 => (Some(Card::beid_verify), None),
        0x22 => (Some(Card::beid_set_key), None),
        0x24 => (Some(Card::beid_change), None),
        0x2A => (Some(Card::beid_sign), None),
        0x2C => (Some(Card::beid_reset), None),
        0x84 => (Some(Card::challenge), None),
        0xA4 => (Some(Card::beid_select), None),
        0xB0 => (Some(Card::read_binary), None),
        0xE4 => (None, Some(Card::beid_card_data)),
        0xE6 => (None, Some(Card::beid_log_off)),
        _ => return Err(Sw::UNKNOWN_INSTRUCTION),
    };
    let own = match command.class {
        Class::Interindustry(_) => interindustry,
        Class::Proprietary(_) => proprietary,
    };
    own.ok_or(Sw::UNKNOWN_CLASS)
}

impl Card {
    /// SELECT by path from the master file, by identifier in the current folder, or of the applet. Never an answer.
    fn beid_select(&mut self, command: &Command<'_>) -> Outcome {
        if !matches!(command.p1, BY_PATH | CHILD_FILE | APPLICATION) || command.p2 != WITHOUT_ANSWER {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let reply = self.eid_select(command)?;
        // The chosen key belongs to the applet, not to a folder.
        if command.p1 == APPLICATION {
            self.channel_mut(command.channel())?.belgian = None;
        }
        Ok(reply)
    }

    /// GET CARD DATA: number of the chip (16 bytes), component, operating system (2), softmask (2), applet, whole (2),
    /// interface, PKCS #15, key exchange, life cycle.
    fn beid_card_data(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let applet = self.layout.applet.unwrap_or_default();
        let versions = [0xA5, 0x03, 0x01, 0x01, 0x01, applet, 0x00, 0x02, 0x00, 0x01, 0x01, 0x0F];
        Ok([chip_number(self.image.iccsn()).as_slice(), &versions].concat().into())
    }

    /// LOG OFF: what was verified ends.
    fn beid_log_off(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 || !command.data.is_empty() {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.channel_mut(command.channel())?.forget_verified();
        Ok(Sw::OK.into())
    }

    fn beid_verify(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.beid_password(command)?;
        let [block] = blocks(command.data)?;
        self.refuse_blocked(password)?;
        self.check(command.channel(), password, pin_block::digits(&block))?;
        self.channel_mut(command.channel())?.set_verified(password, None);
        Ok(Sw::OK.into())
    }

    fn beid_change(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.beid_password(command)?;
        let [old, new] = blocks(command.data)?;
        let new = pin_block::digits(&new).filter(|digits| (4..=12).contains(&digits.len()));
        let new = new.ok_or(Sw::WRONG_DATA)?;
        self.refuse_blocked(password)?;
        self.check(command.channel(), password, pin_block::digits(&old))?;
        self.store_secret(password, &new)
    }

    /// RESET RETRY COUNTER with the PUK, which sets no other PIN.
    fn beid_reset(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.beid_password(command)?;
        let [block] = blocks(command.data)?;
        self.refuse_used_up_puk(password)?;
        let left = self.image.puk_uses(password).saturating_sub(1);
        self.image.store_puk_uses(password, left)?;
        let stored = self.image.password(password).puk.as_ref();
        match stored.zip(pin_block::digits(&block)) {
            Some((stored, digits)) if stored.matches(&digits) => self.restore_tries(password),
            _ => Err(Sw::tries_left(left)),
        }
    }

    /// MANAGE SECURITY ENVIRONMENT SET: a length, then algorithm and key.
    fn beid_set_key(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != SET {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let &[0x04, 0x80, algorithm, 0x84, reference] = command.data else { return Err(Sw::WRONG_DATA) };
        let key = self.layout.keys.iter().find(|key| key.reference == Some(reference));
        let key: &'static Key = key.ok_or(Sw::REFERENCE_NOT_FOUND)?;
        let input = Input::of(key, algorithm).ok_or(Sw::NOT_SUPPORTED)?;
        self.channel_mut(command.channel())?.belgian = Some(Belgian { key, input });
        Ok(Sw::OK.into())
    }

    fn beid_sign(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != COMPUTE_DIGITAL_SIGNATURE {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let chosen = self.channel(command.channel())?.belgian;
        let Belgian { key, input } = chosen.ok_or(Sw::CONDITIONS_OF_USE)?;
        let channel = self.channel(command.channel())?;
        self.allowed(channel, key.folder, &key.access, Operation::ComputeSignature)?;
        let value = self.image.key(key).ok_or(Sw::KEY_INVALID)?;
        let signature = input.sign(value, command.data)?;
        self.image.count_signature(key)?;
        Ok(signature.into())
    }

    fn beid_password(&self, command: &Command<'_>) -> Result<&'static Password, Sw> {
        match command.parameters().to_be_bytes() {
            [0x00, PIN] => self.layout.password(0, PIN).ok_or(Sw::REFERENCE_NOT_FOUND),
            [0x00, _] => Err(Sw::REFERENCE_NOT_FOUND),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }
}

/// What an algorithm identifier makes of the data of a signature.
#[derive(Debug, Clone, Copy)]
pub(super) enum Input {
    /// A digest of this length; ECDSA pads or cuts it to the curve's (FIPS 186-5, 6.4.1).
    Digest(usize),
    /// A digest of some length.
    AnyDigest,
    /// A DigestInfo, which is padded (PKCS #1 v1.5).
    DigestInfo,
    /// A digest, before which the rest of a DigestInfo is put.
    DigestFor(&'static [u8], usize),
}

impl Input {
    fn of(key: &Key, algorithm: u8) -> Option<Input> {
        match (key.kind, algorithm) {
            (KeyKind::EcPrivate(Curve::P384), 0x01 | 0x08) => Some(Input::Digest(32)),
            (KeyKind::EcPrivate(Curve::P384), 0x02 | 0x10) => Some(Input::Digest(48)),
            (KeyKind::EcPrivate(Curve::P384), 0x04 | 0x20) => Some(Input::Digest(64)),
            (KeyKind::EcPrivate(Curve::P384), 0x40) => Some(Input::AnyDigest),
            (KeyKind::RsaPrivate { .. }, 0x01) => Some(Input::DigestInfo),
            (KeyKind::RsaPrivate { .. }, 0x02) => Some(Input::DigestFor(SHA1, 20)),
            (KeyKind::RsaPrivate { .. }, 0x04) => Some(Input::DigestFor(MD5, 16)),
            _ => None,
        }
    }

    fn sign(self, key: &PrivateKey, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let wrong = |expected| CryptoError::InputLength { expected, got: data.len() };
        match self {
            Input::Digest(expected) if data.len() != expected => Err(wrong(expected)),
            Input::DigestFor(_, expected) if data.len() != expected => Err(wrong(expected)),
            Input::AnyDigest if data.len() > 64 => Err(wrong(64)),
            Input::Digest(_) | Input::AnyDigest => key.sign_ecdsa(&field_element(data)),
            Input::DigestInfo => key.sign_pkcs1(data),
            Input::DigestFor(before, _) => key.sign_pkcs1(&[before, data].concat()),
        }
    }
}

/// A digest in the width of P-384: the leftmost bytes, or zeros in front.
fn field_element(digest: &[u8]) -> Vec<u8> {
    const WIDTH: usize = 48;
    let kept = digest.get(..WIDTH).unwrap_or(digest);
    let mut element = vec![0; WIDTH - kept.len()];
    element.extend_from_slice(kept);
    element
}

/// Exactly `N` PIN blocks, or 6700.
fn blocks<const N: usize>(data: &[u8]) -> Result<[zeroize::Zeroizing<[u8; LENGTH]>; N], Sw> {
    let (blocks, rest) = data.as_chunks::<LENGTH>();
    let blocks: Option<[[u8; LENGTH]; N]> = blocks.try_into().ok().filter(|_| rest.is_empty());
    blocks.map(|blocks| blocks.map(zeroize::Zeroizing::new)).ok_or(Sw::WRONG_LENGTH)
}
