//! The commands a health professional card is driven with (gemSpec_COS chapter 14, ISO/IEC 7816-4 and -8).

use crate::apdu::{Channel, Command, Le};
use crate::pin::Pin;

/// SELECT the MF, no answer data.
pub(super) fn select_mf() -> Command {
    Command::new(0x00, 0xA4, 0x04, 0x0C)
}

/// SELECT an application by its identifier, no answer data.
pub(super) fn select(aid: &[u8]) -> Command {
    select_mf().data(aid)
}

/// GET PIN STATUS.
pub(super) fn pin_status(reference: u8) -> Command {
    Command::new(0x80, 0x20, 0x00, reference)
}

/// VERIFY with a format-2 block.
pub(super) fn verify(reference: u8, pin: &[u8; 8]) -> Command {
    Command::new(0x00, 0x20, 0x00, reference).data(pin.as_slice()).sensitive()
}

/// CHANGE REFERENCE DATA, old and new value.
pub(super) fn change(reference: u8, old: &[u8; 8], new: &[u8; 8]) -> Command {
    Command::new(0x00, 0x24, 0x00, reference).data([*old, *new].concat()).sensitive()
}

/// A format-2 block without digits, for a reader to fill.
pub(super) const EMPTY_BLOCK: [u8; 8] = [0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// RESET RETRY COUNTER with the PUK: sets a new PIN, or gives the old one its tries back.
pub(super) fn unblock(reference: u8, puk: &Pin, new: Option<&Pin>) -> Command {
    let (mode, blocks) = match new {
        Some(new) => (0x00, [puk.block().as_slice(), new.block()].concat()),
        None => (0x01, puk.block().to_vec()),
    };
    Command::new(0x00, 0x2C, mode, reference).data(blocks).sensitive()
}

/// MANAGE SECURITY ENVIRONMENT SET, digital signature template: key reference, then algorithm.
pub(super) fn set_signature_key(key: KeyChoice) -> Command {
    Command::new(0x00, 0x22, 0x41, 0xB6).data([0x84, 0x01, key.reference, 0x80, 0x01, key.algorithm])
}

/// MANAGE SECURITY ENVIRONMENT SET, confidentiality template.
pub(super) fn set_decipher_key(key: KeyChoice) -> Command {
    Command::new(0x00, 0x22, 0x41, 0xB8).data([0x84, 0x01, key.reference, 0x80, 0x01, key.algorithm])
}

/// PSO DECIPHER. Not traced: a wrapped key belongs to a message of somebody.
pub(super) fn decipher(cryptogram: Vec<u8>) -> Command {
    let le = if cryptogram.len() > 255 { Le::EXTENDED_WILDCARD } else { Le::SHORT_WILDCARD };
    Command::new(0x00, 0x2A, 0x80, 0x86).data(cryptogram).le(le).sensitive()
}

/// PSO COMPUTE DIGITAL SIGNATURE. Le must be there: without it a card answers 6700.
pub(super) fn compute_signature(input: &[u8]) -> Command {
    Command::new(0x00, 0x2A, 0x9E, 0x9A).data(input).le(Le::SHORT_WILDCARD)
}

/// MANAGE CHANNEL, open: the card chooses the number and returns it.
pub(super) fn open_channel() -> Command {
    Command::new(0x00, 0x70, 0x00, 0x00).le(Le::Short(1))
}

/// MANAGE CHANNEL, close: sent on the channel that is closed.
pub(super) fn close_channel(channel: Channel) -> Command {
    Command::new(0x00, 0x70, 0x80, 0x00).on_channel(channel)
}

/// A key and how it signs, as MANAGE SECURITY ENVIRONMENT names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyChoice {
    pub(super) reference: u8,
    pub(super) algorithm: u8,
}
