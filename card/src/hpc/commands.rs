//! The commands a health professional card is driven with (gemSpec_COS chapter 14, ISO/IEC 7816-4 and -8), and where
//! each dialect has its own.

use zeroize::Zeroizing;

use super::{beid, esteid, jpki, piv};
use crate::apdu::{Channel, Command, Le};
use crate::pin::Pin;
use crate::profile::{Dialect, KeyKind, PinProfile, SignatureScheme};

/// SELECT the MF, no answer data.
pub(super) fn select_mf() -> Command {
    Command::new(0x00, 0xA4, 0x04, 0x0C)
}

/// SELECT an application by its identifier.
pub(super) fn select_application(dialect: Dialect, aid: &[u8]) -> Command {
    match dialect {
        Dialect::Cos | Dialect::Esteid | Dialect::Beid | Dialect::Jpki => select_mf().data(aid),
        Dialect::Piv => piv::select(aid),
    }
}

/// How many tries a PIN has left, and whether it was entered; `None` if the card does not tell.
pub(super) fn pin_status(dialect: Dialect, reference: u8) -> Option<Command> {
    Some(match dialect {
        Dialect::Cos => Command::new(0x80, 0x20, 0x00, reference),
        Dialect::Piv => piv::pin_status(reference),
        Dialect::Esteid => esteid::pin_attributes(reference),
        Dialect::Jpki => jpki::pin_status(),
        Dialect::Beid => return None,
    })
}

/// VERIFY; `None` for a PIN that the card cannot have. Without a PIN, a block for a reader to fill.
pub(super) fn verify(dialect: Dialect, profile: &PinProfile, pin: Option<&Pin>) -> Option<Command> {
    if dialect == Dialect::Jpki {
        return jpki::verify(profile, pin?);
    }
    let field = field(profile, pin)?;
    Some(Command::new(0x00, 0x20, 0x00, profile.reference).data(field.as_slice()).sensitive())
}

/// CHANGE REFERENCE DATA, old and new value, or blocks for a reader to fill. The first command that is refused ends it.
pub(super) fn change(
    dialect: Dialect,
    profile: &PinProfile,
    pins: Option<(&Pin, &Pin)>,
) -> Option<Vec<Command>> {
    if dialect == Dialect::Jpki {
        return jpki::change(profile, pins?);
    }
    let (old, new) = (field(profile, pins.map(|pins| pins.0))?, field(profile, pins.map(|pins| pins.1))?);
    let data = [old.as_slice(), &new].concat();
    Some(vec![Command::new(0x00, 0x24, 0x00, profile.reference).data(data).sensitive()])
}

fn field(profile: &PinProfile, pin: Option<&Pin>) -> Option<Zeroizing<Vec<u8>>> {
    pin.map_or_else(|| Some(Zeroizing::new(EMPTY_BLOCK.to_vec())), |pin| pin.field(profile.format))
}

/// A format-2 block without digits, for a reader to fill.
const EMPTY_BLOCK: [u8; 8] = [0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

/// RESET RETRY COUNTER with the PUK: sets a new PIN, or gives the old one its tries back. The first command that is refused
/// ends it.
pub(super) fn unblock(
    dialect: Dialect,
    profile: &PinProfile,
    puk: &Pin,
    new: Option<&Pin>,
) -> Option<Vec<Command>> {
    match dialect {
        Dialect::Esteid => return esteid::unblock(profile, puk, new),
        Dialect::Beid => return beid::unblock(profile, puk),
        Dialect::Cos | Dialect::Piv | Dialect::Jpki => {}
    }
    let mut fields = puk.field(profile.format)?.to_vec();
    let mode = if new.is_some() { 0x00 } else { 0x01 };
    if let Some(new) = new {
        fields.extend_from_slice(&new.field(profile.format)?);
    }
    Some(vec![Command::new(0x00, 0x2C, mode, profile.reference).data(fields).sensitive()])
}

/// RESET RETRY COUNTER as above, with blocks for a reader to fill: the PUK, and the new PIN if one is set.
pub(super) fn unblock_on_pad(profile: &PinProfile, sets: bool) -> Command {
    let (mode, blocks) = if sets { (0x00, 2) } else { (0x01, 1) };
    Command::new(0x00, 0x2C, mode, profile.reference).data(EMPTY_BLOCK.repeat(blocks)).sensitive()
}

/// Selects the key for the signatures that follow; `None` where each signature names its key.
pub(super) fn select_key(dialect: Dialect, key: KeyChoice) -> Option<Command> {
    let template = [0x84, 0x01, key.reference, 0x80, 0x01, key.algorithm];
    match dialect {
        Dialect::Cos => Some(Command::new(0x00, 0x22, 0x41, 0xB6).data(template)),
        Dialect::Piv => None,
        Dialect::Esteid => Some(esteid::select_key(key)),
        Dialect::Beid => Some(beid::select_key(key)),
        Dialect::Jpki => Some(jpki::select_key(key)),
    }
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

/// The commands of one signature; the last one's answer holds it. Le must be there: without it a card answers 6700.
pub(super) fn sign(
    dialect: Dialect,
    key: KeyChoice,
    kind: KeyKind,
    scheme: SignatureScheme,
    input: &[u8],
) -> Vec<Command> {
    match dialect {
        Dialect::Cos | Dialect::Beid => {
            vec![Command::new(0x00, 0x2A, 0x9E, 0x9A).data(input).le(Le::SHORT_WILDCARD)]
        }
        Dialect::Piv => piv::sign(key, kind, scheme, input),
        Dialect::Esteid => vec![esteid::sign(key, input)],
        Dialect::Jpki => vec![jpki::sign(input)],
    }
}

/// The signature in an answer; `None` if it is none.
pub(super) fn signature(dialect: Dialect, kind: KeyKind, answer: Vec<u8>) -> Option<Vec<u8>> {
    match dialect {
        Dialect::Cos | Dialect::Esteid | Dialect::Beid | Dialect::Jpki => Some(answer),
        Dialect::Piv => piv::signature(kind, &answer),
    }
}

/// MANAGE CHANNEL, open: the card chooses the number and returns it.
pub(super) fn open_channel() -> Command {
    Command::new(0x00, 0x70, 0x00, 0x00).le(Le::Short(1))
}

/// MANAGE CHANNEL, close: sent on the channel that is closed.
pub(super) fn close_channel(channel: Channel) -> Command {
    Command::new(0x00, 0x70, 0x80, 0x00).on_channel(channel)
}

/// MANAGE CHANNEL, reset: the channel stays open and starts anew at the MF, with nothing earned.
pub(super) fn reset_channel(channel: Channel) -> Command {
    Command::new(0x00, 0x70, 0x40, 0x00).on_channel(channel)
}

/// A key and how it signs, as MANAGE SECURITY ENVIRONMENT names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyChoice {
    pub(super) reference: u8,
    pub(super) algorithm: u8,
}
