//! The life of a PIN: its state, another value, the way out of a block.

use std::io::Write;

use card::hpc::Hpc;
use card::pin::{Pin, PinStatus};
use card::profile::{Application, PinProfile};
use clap::{Args, ValueEnum};
use pin_entry::SecretSource;
use zeroize::Zeroizing;

use crate::cards::{self, Found};
use crate::failure::Failure;
use crate::{Common, show};

/// The PINs of a health professional card.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PinName {
    /// PIN.CH: authentication and encryption; the only PIN of cards that have but one
    #[value(alias = "esign")]
    Ch,
    /// PIN.QES: qualified signature
    Qes,
}

impl PinName {
    /// The application it opens.
    pub(crate) fn application(self) -> Application {
        match self {
            PinName::Ch => Application::Esign,
            PinName::Qes => Application::Qes,
        }
    }

    /// How the label of its token ends.
    pub(crate) fn token(self) -> &'static str {
        match self {
            PinName::Ch => "ESIGN",
            PinName::Qes => "QES",
        }
    }
}

/// Arguments of `pin change` and of `pin activate`.
#[derive(Args)]
pub(crate) struct Replace {
    /// Which PIN
    pin: PinName,
    /// Go on although a wrong entry would block the PIN
    #[arg(long)]
    last_try: bool,
    #[command(flatten)]
    secrets: SecretSource,
}

/// Arguments of `pin unblock`.
#[derive(Args)]
pub(crate) struct Unblock {
    /// Which PIN
    pin: PinName,
    /// Also set a new PIN, where the card's PUK can do that
    #[arg(long)]
    new_pin: bool,
    #[command(flatten)]
    secrets: SecretSource,
}

/// Asks each card for the state of its PINs; costs no try.
pub(crate) fn status(common: &Common, out: &mut dyn Write) -> Result<(), Failure> {
    show::pins(out, &cards::all_with_pins(common)?, common.json)
}

/// Uses the PUK.
pub(crate) fn unblock(unblock: &Unblock, common: &Common, out: &mut dyn Write) -> Result<(), Failure> {
    let Found { mut card, .. } = cards::only(common)?;
    let application = unblock.pin.application();
    let rules = rules(&card, application)?;
    let pad = card.pin_pad();
    let able = if unblock.new_pin { pad.modify && rules.puk_sets_pin } else { pad.verify };
    if able && !unblock.secrets.is_given() {
        let and_pin = if unblock.new_pin { " and twice the new PIN" } else { "" };
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(std::io::stderr(), "Please enter the PUK{and_pin} on the reader's pad.");
        card.unblock_pin_on_pad(application, unblock.new_pin)?;
        return show::done(out, &rules.label, "is unblocked", common.json);
    }
    let mut secrets = unblock.secrets.open()?;
    let puk = parse(rules, &secrets.next("PUK")?, rules.puk, rules.puk)?;
    let new = match unblock.new_pin {
        true => Some(parse(rules, &secrets.next_new("new PIN")?, rules.min, rules.max)?),
        false => None,
    };
    card.unblock_pin(application, &puk, new.as_ref())?;
    show::done(out, &rules.label, "is unblocked", common.json)
}

/// What is replaced.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// Any PIN.
    Pin,
    /// Only the PIN a card was shipped with.
    TransportPin,
}

/// Replaces a PIN by another.
pub(crate) fn replace(
    replace: &Replace,
    old: Old,
    common: &Common,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let Replace { pin, last_try, secrets } = replace;
    let Found { mut card, .. } = cards::only(common)?;
    let application = pin.application();
    let rules = rules(&card, application)?;
    let status = card.ask_pin_status(application)?;
    match status {
        PinStatus::Blocked => return Err(card::hpc::CardError::PinBlocked.into()),
        PinStatus::NotVerified { tries: 1 } if !*last_try => return Err(Failure::LastTry),
        PinStatus::TransportPin => {}
        _ if old == Old::TransportPin => return Err(Failure::NotInTransportState),
        _ => {}
    }
    if card.pin_pad().modify && !secrets.is_given() {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(
            std::io::stderr(),
            "Please enter the old PIN and twice the new one on the reader's pad."
        );
        card.change_pin_on_pad(application)?;
        return show::done(out, &rules.label, "has its new value", common.json);
    }
    let mut secrets = secrets.open()?;
    let present = match status {
        PinStatus::TransportPin => {
            parse(rules, &secrets.next("transport PIN")?, rules.transport, rules.transport)?
        }
        _ => parse(rules, &secrets.next("present PIN")?, rules.min, rules.max)?,
    };
    let new = parse(rules, &secrets.next_new("new PIN")?, rules.min, rules.max)?;
    card.change_pin(application, &present, &new)?;
    show::done(out, &rules.label, "has its new value", common.json)
}

fn rules(card: &Hpc, application: Application) -> Result<&'static PinProfile, Failure> {
    let profile = card.profile().application(application);
    profile.map(|profile| &profile.pin).ok_or(Failure::NoSuchPin)
}

fn parse(rules: &PinProfile, text: &Zeroizing<String>, min: u8, max: u8) -> Result<Pin, Failure> {
    rules.parse(text.as_bytes(), min, max).map_err(|error| card::hpc::CardError::from(error).into())
}
