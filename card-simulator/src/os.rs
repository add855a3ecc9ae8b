//! The card operating system: one command APDU in, one response APDU out.
//!
//! Behaviour follows gemSpec_COS as far as it is public; `docs/simulator.md` lists what is assumed. Each group of
//! commands has its file; this one owns the card's volatile state and finds the command.

mod access;
mod agree;
mod apdu;
mod authenticate;
mod beid;
mod binary;
mod byte_wise;
mod certificate;
mod chain;
mod channel;
mod channels;
mod eid;
mod environment;
mod esteid;
mod folder_life;
mod jpki;
mod key_pair;
mod kvk;
mod pin;
mod pin_block;
mod piv;
mod random;
mod record;
mod record_life;
mod secure;
mod select;
mod sender;
mod sign;
mod status;
mod trust;
mod vitale;

#[cfg(test)]
mod tests;

use crate::image::{Body, CardImage, ImageError};
use crate::layout::{Dialect, Layout, Origin};
use crate::{Interface, tlv};
use apdu::{Class, Command};
use chain::Chain;
use channel::Channel;
pub(crate) use status::Sw;

/// What a command answers with 9000 or a warning.
#[derive(Debug)]
struct Reply {
    data: Vec<u8>,
    status: Sw,
}

impl Reply {
    fn into_parts(self) -> (Vec<u8>, Sw) {
        (self.data, self.status)
    }
}

impl From<Vec<u8>> for Reply {
    fn from(data: Vec<u8>) -> Reply {
        Reply { data, status: Sw::OK }
    }
}

impl From<Sw> for Reply {
    fn from(status: Sw) -> Reply {
        Reply { data: Vec::new(), status }
    }
}

/// A refusal is an error, so that the first wrong turn ends the command.
type Outcome = Result<Reply, Sw>;

/// A card: an image and what it remembers while it has power.
#[derive(Debug)]
pub struct Card {
    image: CardImage,
    layout: &'static Layout,
    interface: Interface,
    lenient_le: bool,
    powered: bool,
    channels: Vec<Option<Channel>>,
    chain: Chain,
    /// How the command that is being executed came; `None` for a plain one.
    protection: Option<Protection>,
}

/// How a secured command came.
#[derive(Debug)]
struct Protection {
    /// What the channel's keys were agreed on with.
    origin: Origin,
    /// Whether it carried enciphered data.
    enciphered: bool,
}

/// GENERAL AUTHENTICATE, the one command of the German cards that says when more of its kind follow.
const GENERAL_AUTHENTICATE: u8 = 0x86;
/// VERIFY, the one command that a password stays fresh after.
const VERIFY: u8 = 0x20;

/// Positions of the limits for plain commands and their answers in EF.ATR.
const COMMAND_LIMIT: usize = 0;
const ANSWER_LIMIT: usize = 1;
/// Bytes of a status word.
const STATUS_LENGTH: usize = 2;

/// Limit for APDUs of cards whose EF.ATR gives none: the longest answer there can be.
const DEFAULT_LIMIT: usize = 65_536 + STATUS_LENGTH;

impl Card {
    /// A card with its power off, over contacts, with all strictness on.
    pub fn new(image: CardImage) -> Card {
        let layout = image.layout();
        let mut card = Card {
            image,
            layout,
            interface: Interface::Contact,
            lenient_le: false,
            powered: false,
            channels: Vec::new(),
            chain: Chain::default(),
            protection: None,
        };
        card.reset();
        card.powered = false;
        card
    }

    /// Reaches the card through this interface from now on.
    pub fn over(mut self, interface: Interface) -> Card {
        self.interface = interface;
        self.reset();
        self
    }

    /// Whether commands that return data may come without Le (real cards answer 6700).
    pub fn lenient_le(mut self, lenient: bool) -> Card {
        self.lenient_le = lenient;
        self
    }

    /// Switches the power on and returns the ATR. All volatile state starts anew.
    pub fn power_on(&mut self) -> Vec<u8> {
        self.reset();
        self.layout.atr.clone()
    }

    /// Clears all volatile state: selections, security status, channels. The card has power afterwards.
    pub fn reset(&mut self) {
        let mut channels: Vec<Option<Channel>> = (0..self.layout.channels).map(|_| None).collect();
        if let Some(basic) = channels.first_mut() {
            *basic = Some(Channel::new(self.layout.master()));
        }
        self.channels = channels;
        self.chain = Chain::default();
        self.powered = true;
    }

    /// Switches the power off. A command switches it on again.
    pub fn power_off(&mut self) {
        self.reset();
        self.powered = false;
    }

    /// The answer to reset.
    pub fn atr(&self) -> &[u8] {
        &self.layout.atr
    }

    /// The card's image.
    pub fn image(&self) -> &CardImage {
        &self.image
    }

    /// Executes a command APDU and returns the response APDU: data, then two status bytes.
    pub fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        if !self.powered {
            self.reset();
        }
        let outcome = match self.secured_channel(command) {
            Some(number) => self.execute_secured(number, command),
            None => self.execute(command),
        };
        let (mut data, status) = outcome.map_or_else(|status| (Vec::new(), status), Reply::into_parts);
        data.extend(status.0.to_be_bytes());
        data
    }

    fn execute(&mut self, bytes: &[u8]) -> Outcome {
        if bytes.len() > self.limit(COMMAND_LIMIT) {
            return Err(Sw::WRONG_LENGTH);
        }
        let command = Command::parse(bytes)?;
        self.refuse_plain(command.channel())?;
        let reply = self.dispatch(&command)?;
        if reply.data.len() + STATUS_LENGTH > self.limit(ANSWER_LIMIT) {
            return Err(Sw::WRONG_LENGTH);
        }
        Ok(reply)
    }

    fn dispatch(&mut self, command: &Command<'_>) -> Outcome {
        match self.layout.dialect {
            Dialect::Cos if command.chained && command.ins != GENERAL_AUTHENTICATE => Err(Sw::UNKNOWN_CLASS),
            Dialect::Cos => {
                let known = is_known(command.class, command.ins)?;
                self.handle(known, command)
            }
            Dialect::Piv => self.execute_chained(command, piv::handler),
            Dialect::Esteid => self.execute_chained(command, esteid::handler),
            Dialect::Beid => self.execute_byte_wise(command, beid::handler),
            Dialect::Vitale => self.execute_byte_wise(command, vitale::handler),
            Dialect::Kvk if command.extended => Err(Sw::WRONG_LENGTH),
            Dialect::Kvk => self.handle(kvk::handler(command)?, command),
            Dialect::Jpki => {
                let handler = jpki::handler(command.class, command.ins).ok_or(Sw::UNKNOWN_INSTRUCTION)?;
                self.handle(handler, command)
            }
        }
    }

    /// Runs a command on its channel. A password counts as freshly verified until the next command is done.
    fn handle(&mut self, handler: Handler, command: &Command<'_>) -> Outcome {
        let number = command.class.channel();
        self.channel(number)?;
        let outcome = handler(self, command);
        if command.ins != VERIFY
            && let Ok(channel) = self.channel_mut(number)
        {
            channel.fresh = None;
        }
        outcome
    }

    /// A limit in EF.ATR: for plain commands, their answers, secured commands, their answers; whole APDUs (gemSpec_COS
    /// N029.890).
    fn limit(&self, position: usize) -> usize {
        const EF_ATR: u16 = 0x2F01;
        let file = self.layout.files.iter().find(|file| file.folder == 0 && file.fid == EF_ATR);
        let Some(Body::Bytes(body)) = file.map(|file| self.image.body(file)) else {
            return DEFAULT_LIMIT;
        };
        let limit = body.strip_prefix(&[0xE0]).and_then(|rest| {
            let (&length, rest) = rest.split_first()?;
            let limits = tlv::parse(rest.get(..usize::from(length))?)?;
            let limit = limits.iter().filter(|object| object.tag == 0x02).nth(position)?;
            limit.value.iter().try_fold(0usize, |n, &byte| n.checked_mul(256)?.checked_add(usize::from(byte)))
        });
        limit.unwrap_or(DEFAULT_LIMIT)
    }

    fn channel(&self, number: u8) -> Result<&Channel, Sw> {
        self.channels.get(usize::from(number)).and_then(Option::as_ref).ok_or(Sw::CHANNEL_CLOSED)
    }

    fn channel_mut(&mut self, number: u8) -> Result<&mut Channel, Sw> {
        self.channels.get_mut(usize::from(number)).and_then(Option::as_mut).ok_or(Sw::CHANNEL_CLOSED)
    }

    /// Refuses a data-returning command without Le, unless the card is lenient.
    fn expects_data(&self, command: &Command<'_>) -> Result<usize, Sw> {
        match command.expected {
            Some(expected) => Ok(expected.limit()),
            None if self.lenient_le => Ok(apdu::EXTENDED_WILDCARD),
            None => Err(Sw::WRONG_LENGTH),
        }
    }

    /// Refuses a command whose Le is too short for data that come whole or not at all.
    fn whole(&self, command: &Command<'_>, data: Vec<u8>) -> Outcome {
        if data.len() <= self.expects_data(command)? { Ok(data.into()) } else { Err(Sw::WRONG_LENGTH) }
    }
}

impl From<ImageError> for Sw {
    fn from(_: ImageError) -> Sw {
        Sw::MEMORY_FAILURE
    }
}

type Handler = fn(&mut Card, &Command<'_>) -> Outcome;

/// Finds the handler: an unknown instruction is 6D00, a known one under a foreign class 6E00.
fn is_known(class: Class, ins: u8) -> Result<Handler, Sw> {
    let interindustry: Option<Handler> = match ins {
        0x04 => Some(Card::deactivate),
        0x06 => Some(Card::deactivate_record),
        0x08 => Some(Card::activate_record),
        0x0C => Some(Card::erase_record),
        0x0E => Some(Card::erase_binary),
        0x20 => Some(Card::verify),
        0x22 => Some(Card::manage_security_environment),
        0x24 => Some(Card::change_reference_data),
        0x26 => Some(Card::disable_verification),
        0x28 => Some(Card::enable_verification),
        0x2A => Some(Card::perform_security_operation),
        0x2C => Some(Card::reset_retry_counter),
        0x44 => Some(Card::activate),
        0x46 => Some(Card::generate_asymmetric_key_pair),
        0x70 => Some(Card::manage_channel),
        0x84 => Some(Card::challenge),
        0x82 => Some(Card::external_authenticate),
        GENERAL_AUTHENTICATE => Some(Card::general_authenticate),
        0x88 => Some(Card::internal_authenticate),
        0xA2 => Some(Card::search_record),
        0xA4 => Some(Card::select),
        0xB0 => Some(Card::read_binary),
        0xB2 => Some(Card::read_record),
        0xD0 => Some(Card::write_binary),
        0xD6 => Some(Card::update_binary),
        0xDC => Some(Card::update_record),
        0xE2 => Some(Card::append_record),
        0xE4 | 0xEA => Some(Card::never_allowed),
        _ => None,
    };
    let proprietary: Option<Handler> = match ins {
        0x0C => Some(Card::delete_record),
        0x0E => Some(Card::set_logical_eof),
        0x20 => Some(Card::pin_status),
        0x84 => Some(Card::random),
        0xCA => Some(Card::list_public_keys),
        _ => None,
    };
    let (own, other) = match class {
        Class::Interindustry(_) => (interindustry, proprietary),
        Class::Proprietary(_) => (proprietary, interindustry),
    };
    match (own, other) {
        (Some(handler), _) => Ok(handler),
        (None, Some(_)) => Err(Sw::UNKNOWN_CLASS),
        (None, None) => Err(Sw::UNKNOWN_INSTRUCTION),
    }
}
