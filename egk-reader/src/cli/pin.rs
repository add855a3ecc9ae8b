//! `pin`: the life of every PIN of an insurance card.

use std::io::{self, Write};

use card::pin::PinStatus;
use card::pins::{self, CardPin, PinError, Puk};
use card::transport::Transport;
use serde_json::json;

use super::failure::Failure;
use super::keys::{self, typed, typed_new};
use crate::arguments::{OnePin, PinCommand, PinStatusOptions, UnblockPin};

const PUK_DIGITS: (u8, u8) = (8, 8);

/// Does what was asked with the first insurance card.
pub(crate) fn run(command: &PinCommand) -> Result<(), Failure> {
    match command {
        PinCommand::Status(options) => status(options),
        PinCommand::Change(options) => change(options),
        PinCommand::Activate(options) => activate(options),
        PinCommand::Unblock(options) => unblock(options),
        PinCommand::Enable(options) => switch(options, true),
        PinCommand::Disable(options) => switch(options, false),
    }
}

fn status(options: &PinStatusOptions) -> Result<(), Failure> {
    let mut egk = keys::insurance_card(&options.source)?;
    let mut rows = Vec::new();
    for pin in pins::of_card(egk.as_mut())? {
        rows.push((pin, pin.status(egk.as_mut())?));
    }
    let out = &mut io::stdout().lock();
    if options.json {
        let entry = |(pin, status): &(&CardPin, PinStatus)| {
            let (min, max) = pin.digits();
            json!({
                "name": pin.name,
                "state": state(*status),
                "tries": tries(*status),
                "digits": { "min": min, "max": max },
                "value_of": pin.value_of,
                "can_be_switched": pin.switchable,
                "puk": puk(pin.puk()),
            })
        };
        let list: Vec<_> = rows.iter().map(entry).collect();
        serde_json::to_writer_pretty(&mut *out, &list).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    for (pin, status) in rows {
        let tries = tries(status).map(|tries| format!(", {tries} tries left")).unwrap_or_default();
        let shared = pin.value_of.as_ref().map(|other| format!("  (value and tries of {other})"));
        writeln!(out, "{:<15} {}{tries}{}", pin.name, state(status), shared.unwrap_or_default())?;
    }
    Ok(())
}

fn change(options: &OnePin) -> Result<(), Failure> {
    let (mut egk, pin) = find(options)?;
    if let Some(other) = &pin.set_after {
        return set_after(options, egk.as_mut(), pin, other, CardPin::set);
    }
    let state = ask(options, egk.as_mut(), pin)?;
    replace(options, egk.as_mut(), pin, state)
}

fn activate(options: &OnePin) -> Result<(), Failure> {
    let (mut egk, pin) = find(options)?;
    if let Some(other) = &pin.set_after {
        return set_after(options, egk.as_mut(), pin, other, CardPin::set);
    }
    match pin.status(egk.as_mut())? {
        state @ PinStatus::TransportPin => replace(options, egk.as_mut(), pin, state),
        PinStatus::EmptyPin => {
            let new = typed_new(&mut options.secrets.open()?, &format!("new {}", pin.name), pin.digits())?;
            pin.set(egk.as_mut(), &new)?;
            done(options, pin, "has its first value")
        }
        state => Err(PinError::State(state).into()),
    }
}

/// The present value, then the new one; on the reader's pad if it has one.
fn replace(
    options: &OnePin,
    egk: &mut dyn Transport,
    pin: &CardPin,
    state: PinStatus,
) -> Result<(), Failure> {
    if egk.pin_pad().modify && !options.secrets.is_given() {
        // A closed standard error leaves nobody to tell.
        let _ = writeln!(
            io::stderr(),
            "Please enter the present {} and twice the new one on the reader's pad.",
            pin.name
        );
        pin.change_on_pad(egk)?;
        return done(options, pin, "has its new value");
    }
    let (min, max) = pin.digits();
    let mut secrets = options.secrets.open()?;
    let present = match state {
        // A transport PIN is one digit shorter than any PIN of one's own (gemSpec_eGK_ObjSys_G2_1, PIN.CH).
        PinStatus::TransportPin => {
            let digits = min.saturating_sub(1);
            typed(&mut secrets, &format!("transport PIN of {}", pin.name), (digits, digits))?
        }
        _ => typed(&mut secrets, &format!("present {}", pin.name), (min, max))?,
    };
    let new = typed_new(&mut secrets, &format!("new {}", pin.name), (min, max))?;
    pin.change(egk, &present, &new)?;
    done(options, pin, "has its new value")
}

fn unblock(options: &UnblockPin) -> Result<(), Failure> {
    let UnblockPin { one, new_pin } = options;
    let (mut egk, pin) = find(one)?;
    if let Some(other) = &pin.set_after {
        return set_after(one, egk.as_mut(), pin, other, CardPin::unblock_after_other);
    }
    let allowed = if *new_pin { pin.puk() == Puk::Sets } else { pin.puk() != Puk::None };
    if !allowed {
        return Err(PinError::NotAllowed { name: pin.name.clone() }.into());
    }
    let mut secrets = one.secrets.open()?;
    let puk = typed(&mut secrets, &format!("PUK of {}", pin.name), PUK_DIGITS)?;
    let new = match new_pin {
        true => Some(typed_new(&mut secrets, &format!("new {}", pin.name), pin.digits())?),
        false => None,
    };
    pin.unblock(egk.as_mut(), &puk, new.as_ref())?;
    done(one, pin, "is unblocked")
}

fn switch(options: &OnePin, on: bool) -> Result<(), Failure> {
    let (mut egk, pin) = find(options)?;
    if !pin.switchable {
        return Err(PinError::NotAllowed { name: pin.name.clone() }.into());
    }
    let is_on = ask(options, egk.as_mut(), pin)? != PinStatus::Disabled;
    if is_on != on {
        let value = typed(&mut options.secrets.open()?, &pin.name, pin.digits())?;
        pin.switch(egk.as_mut(), on, &value)?;
    }
    done(options, pin, if on { "is asked for" } else { "is no longer asked for" })
}

/// A new value after another PIN was entered.
fn set_after(
    options: &OnePin,
    egk: &mut dyn Transport,
    pin: &CardPin,
    other: &str,
    set: fn(&CardPin, &mut dyn Transport, &card::pin::Pin) -> Result<(), PinError>,
) -> Result<(), Failure> {
    let known = pins::of_card(egk)?;
    let other = known.iter().find(|pin| pin.name == other).ok_or(PinError::UnknownCard)?;
    ask(options, egk, other)?;
    let mut secrets = options.secrets.open()?;
    let value = typed(&mut secrets, &other.name, other.digits())?;
    let new = typed_new(&mut secrets, &format!("new {}", pin.name), pin.digits())?;
    other.verify(egk, &value)?;
    set(pin, egk, &new)?;
    done(options, pin, "has its new value")
}

/// The state of a PIN that is about to be entered.
fn ask(options: &OnePin, egk: &mut dyn Transport, pin: &CardPin) -> Result<PinStatus, Failure> {
    match pin.status(egk)? {
        PinStatus::Blocked => Err(PinError::Blocked.into()),
        PinStatus::NotVerified { tries: 1 } if !options.last_try => {
            Err(Failure::LastTry { pin: pin.name.clone() })
        }
        state => Ok(state),
    }
}

/// The card, and its PIN of this name.
fn find(options: &OnePin) -> Result<(Box<dyn Transport>, &'static CardPin), Failure> {
    let mut egk = keys::insurance_card(&options.source)?;
    let known = pins::of_card(egk.as_mut())?;
    let same = |pin: &&CardPin| {
        let short = pin.name.split_once('.').map_or(pin.name.as_str(), |(_, short)| short);
        [pin.name.as_str(), short].iter().any(|name| name.eq_ignore_ascii_case(&options.pin))
    };
    let pin = known.iter().find(same).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|pin| pin.name.as_str()).collect();
        Failure::NoSuchPin { known: names.join(", ") }
    })?;
    Ok((egk, pin))
}

fn done(options: &OnePin, pin: &CardPin, what: &str) -> Result<(), Failure> {
    let out = &mut io::stdout().lock();
    if options.json {
        writeln!(out, "{}", json!({ "name": pin.name, "done": what }))?;
    } else {
        writeln!(out, "{} {what}.", pin.name)?;
    }
    Ok(())
}

fn state(status: PinStatus) -> &'static str {
    match status {
        PinStatus::Verified => "verified",
        PinStatus::NotVerified { .. } => "not verified",
        PinStatus::TransportPin => "transport PIN",
        PinStatus::EmptyPin => "no value yet",
        PinStatus::Disabled => "switched off",
        PinStatus::Blocked => "blocked",
        PinStatus::Unknown => "unknown",
    }
}

fn tries(status: PinStatus) -> Option<u8> {
    match status {
        PinStatus::NotVerified { tries } => Some(tries),
        PinStatus::Blocked => Some(0),
        _ => None,
    }
}

fn puk(puk: Puk) -> &'static str {
    match puk {
        Puk::None => "none",
        Puk::Unblocks => "unblocks",
        Puk::Sets => "unblocks and sets",
    }
}
