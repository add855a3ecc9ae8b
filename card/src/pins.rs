//! The life cycle of every PIN of a card, each by the card's own rules: state, entry, change, first value, unblocking,
//! switching off and on (gemSpec_COS clause 14.6). The PINs are data, `profiles/pins.toml`.
//!
//! This is for managing PINs; logging in for signatures is [`crate::hpc`]'s. Every value is sent at most once, and only
//! if its length can be right. Works on a plain transport, and on a secured one for contactless cards.
//!
//! ```no_run
//! # fn show(card: &mut dyn card::transport::Transport) -> Result<(), card::pins::PinError> {
//! for pin in card::pins::of_card(card)? {
//!     println!("{}: {:?}", pin.name, pin.status(card)?);
//! }
//! # Ok(())
//! # }
//! ```

use std::sync::LazyLock;

use serde::Deserialize;

use crate::apdu::{Command, Le};
use crate::identify::mf_name;
use crate::pin::{Pin, PinFormatError, PinStatus};
use crate::profile::hex_bytes;
use crate::status::StatusWord;
use crate::transport::{PinEntry, Transport, TransportError};

mod pad;

/// A PIN object of a card.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardPin {
    /// Name in the card's specification.
    pub name: String,
    #[serde(deserialize_with = "hex_bytes")]
    application: Vec<u8>,
    #[serde(deserialize_with = "reference")]
    reference: u8,
    digits: [u8; 2],
    puk: Puk,
    set: Option<Set>,
    /// The PIN that must have been entered before this one can be set.
    pub set_after: Option<String>,
    /// The PIN whose value and tries this one shares.
    pub value_of: Option<String>,
    /// Whether asking for it can be switched off and on.
    #[serde(default)]
    pub switchable: bool,
    /// Whether a professional's card wants it before it proves its role to an insurance card.
    #[serde(default)]
    pub opens_role: bool,
}

/// What the PUK can do for a PIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Puk {
    /// There is none.
    None,
    /// Gives the PIN its tries back.
    Unblocks,
    /// That, or sets a new PIN on the way.
    Sets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Set {
    First,
    After,
}

/// Why a PIN was not accepted, or not sent.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// Nothing is known about the PINs of this card.
    #[error("the PINs of this card are not known")]
    UnknownCard,
    /// Too short, too long: not sent.
    #[error(transparent)]
    Format(#[from] PinFormatError),
    /// The PIN was wrong. No tries left means blocked.
    #[error("the PIN was wrong, {tries} tries are left")]
    Wrong {
        /// Tries left.
        tries: u8,
    },
    /// The PUK was wrong. No uses left means that nothing helps any more.
    #[error("the PUK was wrong, {uses} uses are left")]
    WrongPuk {
        /// Uses left.
        uses: u8,
    },
    /// Entered wrongly too often; only the PUK helps.
    #[error("the PIN is blocked")]
    Blocked,
    /// The PUK has been used too often.
    #[error("the PUK has been used up")]
    PukUsedUp,
    /// The PIN is in a state in which this cannot be done.
    #[error("that cannot be done with a PIN in state {0:?}")]
    State(PinStatus),
    /// The card's rules forbid this for this PIN; nothing was sent.
    #[error("the card does not allow this for {name}")]
    NotAllowed {
        /// Name of the PIN.
        name: String,
    },
    /// Another PIN must be entered first.
    #[error("{name} must be entered first")]
    OtherPinFirst {
        /// Name of that PIN.
        name: String,
    },
    /// Nothing was entered on the reader's pad, or the reader has none.
    #[error("no PIN came from the reader's pad: {status}")]
    Pad {
        /// What the reader answered.
        status: StatusWord,
    },
    /// The card refused a command.
    #[error("{command}: {status}")]
    Refused {
        /// Which one.
        command: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The connection failed. A PIN may or may not have been counted.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    card: Vec<CardEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardEntry {
    #[serde(deserialize_with = "hex_bytes")]
    mf_aid: Vec<u8>,
    pins: Vec<CardPin>,
}

/// All PINs of the card that is there. One command.
///
/// # Errors
/// [`PinError::UnknownCard`], or the transport.
pub fn of_card(card: &mut dyn Transport) -> Result<&'static [CardPin], PinError> {
    let answer = section(card, |card| {
        Ok(card.transmit(&Command::new(0x00, 0xA4, 0x04, 0x04).le(Le::SHORT_WILDCARD))?)
    })?;
    let entry = mf_name(&answer.data).and_then(|name| table().iter().find(|card| card.mf_aid == name));
    entry.map(|entry| entry.pins.as_slice()).ok_or(PinError::UnknownCard)
}

fn table() -> &'static [CardEntry] {
    static TABLE: LazyLock<Vec<CardEntry>> = LazyLock::new(|| {
        let parsed = toml::from_str::<Table>(include_str!("../profiles/pins.toml"));
        let parsed = parsed.inspect_err(|error| tracing::error!(%error, "profiles/pins.toml left out"));
        parsed.map(|table| table.card).unwrap_or_default()
    });
    &TABLE
}

const VERIFY: u8 = 0x20;
const CHANGE: u8 = 0x24;
const DISABLE: u8 = 0x26;
const ENABLE: u8 = 0x28;
const RESET: u8 = 0x2C;
const PUK_DIGITS: u8 = 8;

impl CardPin {
    /// Fewest and most digits.
    pub fn digits(&self) -> (u8, u8) {
        let [min, max] = self.digits;
        (min, max)
    }

    /// What the PUK can do for it.
    pub fn puk(&self) -> Puk {
        self.puk
    }

    /// Asks for the state. One command, two for a PIN inside an application; costs no try.
    ///
    /// # Errors
    /// The application is missing, or the transport.
    pub fn status(&self, card: &mut dyn Transport) -> Result<PinStatus, PinError> {
        section(card, |card| self.ask(card))
    }

    /// Enters the PIN.
    ///
    /// # Errors
    /// [`PinError::Wrong`] with the tries left; [`PinError::State`] for one that has to be replaced first.
    pub fn verify(&self, card: &mut dyn Transport, pin: &Pin) -> Result<(), PinError> {
        self.check(pin, self.digits)?;
        section(card, |card| {
            self.enter(card)?;
            let status = card.transmit(&self.command(VERIFY, 0x00, &[pin]))?.status;
            self.verified(card, status)
        })
    }

    /// Changes the PIN; also the way from a transport PIN to the first one of one's own. Asks for the state before, so
    /// that a value that cannot be right costs no try.
    ///
    /// # Errors
    /// As [`CardPin::verify`].
    pub fn change(&self, card: &mut dyn Transport, old: &Pin, new: &Pin) -> Result<(), PinError> {
        self.check(new, self.digits)?;
        section(card, |card| {
            self.check(old, self.old_digits(card)?)?;
            let status = card.transmit(&self.command(CHANGE, 0x00, &[old, new]))?.status;
            self.done("CHANGE REFERENCE DATA", status)
        })
    }

    /// Gives a PIN a value without the old one: the first one of a PIN that was delivered without, or a new one of a PIN
    /// that another PIN rules.
    ///
    /// # Errors
    /// [`PinError::NotAllowed`] for every other PIN, [`PinError::OtherPinFirst`].
    pub fn set(&self, card: &mut dyn Transport, new: &Pin) -> Result<(), PinError> {
        let rule = self.set.ok_or_else(|| self.not_allowed())?;
        self.check(new, self.digits)?;
        section(card, |card| {
            let before = self.ask(card)?;
            if rule == Set::First && before != PinStatus::EmptyPin {
                return Err(PinError::State(before));
            }
            // RESET RETRY COUNTER would do as well for a PIN that has a value; this one works for both.
            let status = card.transmit(&self.command(CHANGE, 0x01, &[new]))?.status;
            match (status, &self.set_after) {
                (StatusWord::SECURITY_STATUS, Some(name)) => {
                    Err(PinError::OtherPinFirst { name: name.clone() })
                }
                _ => self.done("CHANGE REFERENCE DATA", status),
            }
        })
    }

    /// Gives a PIN its tries back: with the PUK, and a new PIN on the way where the card allows it.
    ///
    /// # Errors
    /// [`PinError::WrongPuk`] with the uses left: each use counts, right or wrong. [`PinError::NotAllowed`] if the PUK
    /// cannot do this.
    pub fn unblock(&self, card: &mut dyn Transport, puk: &Pin, new: Option<&Pin>) -> Result<(), PinError> {
        self.puk_can(new.is_some())?;
        self.check(puk, [PUK_DIGITS, PUK_DIGITS])?;
        let (mode, values) = match new {
            None => (0x01, vec![puk]),
            Some(new) => {
                self.check(new, self.digits)?;
                (0x00, vec![puk, new])
            }
        };
        section(card, |card| {
            self.enter(card)?;
            let status = card.transmit(&self.command(RESET, mode, &values))?.status;
            puk_used(status)
        })
    }

    /// Gives a blocked PIN a new value where another PIN rules it ([`CardPin::set_after`]).
    ///
    /// # Errors
    /// As [`CardPin::set`].
    pub fn unblock_after_other(&self, card: &mut dyn Transport, new: &Pin) -> Result<(), PinError> {
        let Some(other) = self.set_after.as_ref().filter(|_| self.set == Some(Set::After)) else {
            return Err(self.not_allowed());
        };
        self.check(new, self.digits)?;
        section(card, |card| {
            self.enter(card)?;
            match card.transmit(&self.command(RESET, 0x02, &[new]))?.status {
                StatusWord::SECURITY_STATUS => Err(PinError::OtherPinFirst { name: other.clone() }),
                status => self.done("RESET RETRY COUNTER", status),
            }
        })
    }

    /// Switches asking for the PIN off or on, which takes the PIN itself.
    ///
    /// # Errors
    /// [`PinError::NotAllowed`] for a PIN that cannot be switched; else as [`CardPin::verify`].
    pub fn switch(&self, card: &mut dyn Transport, on: bool, pin: &Pin) -> Result<(), PinError> {
        if !self.switchable {
            return Err(self.not_allowed());
        }
        self.check(pin, self.digits)?;
        let (instruction, name) = switching(on);
        section(card, |card| {
            self.enter(card)?;
            let status = card.transmit(&self.command(instruction, 0x00, &[pin]))?.status;
            self.done(name, status)
        })
    }

    /// Selects the application of a PIN that is not the whole card's.
    fn enter(&self, card: &mut dyn Transport) -> Result<(), PinError> {
        if self.application.is_empty() {
            return Ok(());
        }
        let select = Command::new(0x00, 0xA4, 0x04, 0x0C).data(self.application.clone());
        match card.transmit(&select)?.status {
            StatusWord::OK => Ok(()),
            status => Err(PinError::Refused { command: "SELECT", status }),
        }
    }

    fn ask(&self, card: &mut dyn Transport) -> Result<PinStatus, PinError> {
        self.enter(card)?;
        let status = card.transmit(&Command::new(0x80, VERIFY, 0x00, self.reference))?.status;
        match PinStatus::from_status(status) {
            PinStatus::Unknown => Err(PinError::Refused { command: "GET PIN STATUS", status }),
            known => Ok(known),
        }
    }

    /// How many digits the value has that a change must name, in the PIN's present state.
    fn old_digits(&self, card: &mut dyn Transport) -> Result<[u8; 2], PinError> {
        let [min, max] = self.digits;
        match self.ask(card)? {
            PinStatus::TransportPin => Ok([min.saturating_sub(1); 2]),
            PinStatus::Blocked => Err(PinError::Blocked),
            PinStatus::EmptyPin => Err(PinError::State(PinStatus::EmptyPin)),
            _ => Ok([min, max]),
        }
    }

    fn verified(&self, card: &mut dyn Transport, status: StatusWord) -> Result<(), PinError> {
        if status == StatusWord::CONDITIONS {
            return Err(PinError::State(self.ask(card)?));
        }
        self.done("VERIFY", status)
    }

    fn done(&self, command: &'static str, status: StatusWord) -> Result<(), PinError> {
        match (status, status.tries_left()) {
            (StatusWord::OK, _) => Ok(()),
            (StatusWord::BLOCKED, _) => Err(PinError::Blocked),
            (_, Some(tries)) => Err(PinError::Wrong { tries }),
            _ => Err(PinError::Refused { command, status }),
        }
    }

    /// What the PUK can do differs from PIN to PIN.
    fn puk_can(&self, sets: bool) -> Result<(), PinError> {
        let can = if sets { self.puk == Puk::Sets } else { self.puk != Puk::None };
        if can { Ok(()) } else { Err(self.not_allowed()) }
    }

    fn check(&self, pin: &Pin, [min, max]: [u8; 2]) -> Result<(), PinFormatError> {
        if pin.block().is_none() {
            Err(PinFormatError::NotDigits)
        } else if (min..=max).contains(&pin.digits()) {
            Ok(())
        } else {
            Err(PinFormatError::Length { got: pin.digits().into(), min, max })
        }
    }

    fn command(&self, instruction: u8, mode: u8, values: &[&Pin]) -> Command {
        let blocks =
            zeroize::Zeroizing::new(values.iter().filter_map(|pin| pin.block().copied()).collect::<Vec<_>>());
        self.blocks(instruction, mode, &blocks)
    }

    fn blocks(&self, instruction: u8, mode: u8, blocks: &[[u8; 8]]) -> Command {
        Command::new(0x00, instruction, mode, self.reference).data(blocks.as_flattened()).sensitive()
    }

    fn not_allowed(&self) -> PinError {
        PinError::NotAllowed { name: self.name.clone() }
    }
}

fn switching(on: bool) -> (u8, &'static str) {
    if on { (ENABLE, "ENABLE VERIFICATION") } else { (DISABLE, "DISABLE VERIFICATION") }
}

/// What became of a use of the PUK.
fn puk_used(status: StatusWord) -> Result<(), PinError> {
    match (status, status.tries_left()) {
        (StatusWord::OK, _) => Ok(()),
        (StatusWord::BLOCKED, _) => Err(PinError::PukUsedUp),
        (_, Some(uses)) => Err(PinError::WrongPuk { uses }),
        _ => Err(PinError::Refused { command: "RESET RETRY COUNTER", status }),
    }
}

fn section<T>(
    card: &mut dyn Transport,
    work: impl FnOnce(&mut dyn Transport) -> Result<T, PinError>,
) -> Result<T, PinError> {
    card.begin()?;
    let result = work(card);
    if let Err(error) = card.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    result
}

fn reference<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let bytes = hex_bytes(deserializer)?;
    match bytes.as_slice() {
        [reference] => Ok(*reference),
        _ => Err(serde::de::Error::custom("a reference is one byte")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Script, fcp};

    fn named(aid: &str, name: &str) -> &'static CardPin {
        let aid = hex::decode(aid).unwrap();
        let card = table().iter().find(|card| card.mf_aid == aid).unwrap();
        card.pins.iter().find(|pin| pin.name == name).unwrap()
    }

    const HBA: &str = "D27600014601";
    const EGK: &str = "D2760001448000";

    fn pin(digits: &str) -> Pin {
        Pin::parse(digits.as_bytes(), 4, 12).unwrap()
    }

    #[test]
    fn the_table_has_every_pin_of_three_cards() {
        let counts: Vec<_> = table().iter().map(|card| card.pins.len()).collect();
        assert_eq!(counts, [4, 9, 1]);
        let (mut card, _) = Script::new("").on("00A4040400", &fcp(EGK)).start();
        assert_eq!(of_card(&mut *card).unwrap().len(), 9);
        let (mut card, _) = Script::new("").on("00A4040400", &fcp("A0000001510000")).start();
        assert!(matches!(of_card(&mut *card), Err(PinError::UnknownCard)));
    }

    #[test]
    fn each_step_sends_exactly_its_commands() {
        let (mut card, log) = Script::new("")
            .on("00A4040C06D27600006601", "9000")
            .on("80200081", "62C1")
            .on("00240081102512345FFFFFFFFF26234567FFFFFFFF", "9000")
            .on("00200001 0826123456FFFFFFFF", "63C1")
            .on("002C0101082812345678FFFFFF", "9000")
            .on("002C0001102812345678FFFFFF26123456FFFFFFFF", "63C8")
            .on("00260003 0826123456FFFFFFFF", "9000")
            .on("00280003 0826123456FFFFFFFF", "6983")
            .on("8020000D", "63C3")
            .on("0024010D 0826345678FFFFFFFF", "6982")
            .start();
        let card = &mut *card;
        named(HBA, "PIN.QES").change(card, &pin("12345"), &pin("234567")).unwrap();
        let ch = named(EGK, "PIN.CH");
        assert!(matches!(ch.verify(card, &pin("123456")), Err(PinError::Wrong { tries: 1 })));
        ch.unblock(card, &pin("12345678"), None).unwrap();
        let both = ch.unblock(card, &pin("12345678"), Some(&pin("123456")));
        assert!(matches!(both, Err(PinError::WrongPuk { uses: 8 })));
        let nfd = named(EGK, "MRPIN.NFD");
        nfd.switch(card, false, &pin("123456")).unwrap();
        assert!(matches!(nfd.switch(card, true, &pin("123456")), Err(PinError::Blocked)));
        let set = named(EGK, "PIN.AMTS_REP").set(card, &pin("345678"));
        assert!(matches!(set, Err(PinError::OtherPinFirst { name }) if name == "PIN.CH"));
        log.assert_finished();
    }

    #[test]
    fn what_the_card_forbids_is_never_sent() {
        let (mut card, log) = Script::new("").start();
        let card = &mut *card;
        let (qes, ch, amts) = (named(HBA, "PIN.QES"), named(EGK, "PIN.CH"), named(EGK, "PIN.AMTS_REP"));
        let puk = pin("12345678");
        let refused = [
            qes.unblock(card, &puk, Some(&pin("123456"))),
            qes.set(card, &pin("123456")),
            qes.switch(card, true, &pin("123456")),
            ch.switch(card, false, &pin("123456")),
            ch.unblock_after_other(card, &pin("123456")),
            amts.unblock(card, &puk, None),
        ];
        assert!(refused.iter().all(|result| matches!(result, Err(PinError::NotAllowed { .. }))));
        let malformed = [
            ch.verify(card, &pin("12345")),
            ch.unblock(card, &pin("1234567"), None),
            ch.change(card, &pin("123456"), &pin("123456789")),
        ];
        assert!(malformed.iter().all(|result| matches!(result, Err(PinError::Format(_)))));
        log.assert_finished();
    }
}
