//! What is printed: tables for people, JSON for programs. The serial number of a card is shown to its holder here; the
//! support report leaves it out.

use std::io::{self, Write};

use card::hpc::Hpc;
use card::pin::PinStatus;
use card::profile::{Application, KeyKind, KeyPurpose};
use serde::Serialize;
use serde_json::json;

use crate::cards::Found;
use crate::failure::Failure;

#[derive(Serialize)]
struct CardRow<'a> {
    reader: &'a str,
    card: &'a str,
    serial: &'a str,
    keys: Vec<KeyRow>,
    pins: Vec<PinRow>,
}

/// A key as people and programs see it.
#[derive(Serialize)]
pub(crate) struct KeyRow {
    label: String,
    purpose: &'static str,
    kind: String,
}

/// A PIN as people and programs see it.
#[derive(Serialize)]
pub(crate) struct PinRow {
    name: String,
    token: &'static str,
    state: &'static str,
    tries_left: Option<u8>,
}

/// Cards, keys, PINs.
pub(crate) fn cards(out: &mut dyn Write, found: &[Found], as_json: bool) -> Result<(), Failure> {
    let rows: Vec<_> = found.iter().map(row).collect();
    if as_json {
        return Ok(pretty(out, &rows)?);
    }
    for row in rows {
        head(out, &row)?;
        for key in &row.keys {
            writeln!(out, "  key  {:<18} {:<15} {}", key.label, key.purpose, key.kind)?;
        }
        lines(out, &row.pins)?;
    }
    Ok(())
}

/// PINs only.
pub(crate) fn pins(out: &mut dyn Write, found: &[Found], as_json: bool) -> Result<(), Failure> {
    let rows: Vec<_> = found.iter().map(|found| CardRow { keys: Vec::new(), ..row(found) }).collect();
    if as_json {
        let pins =
            |row: &CardRow<'_>| json!({ "reader": row.reader, "serial": row.serial, "pins": row.pins });
        return Ok(pretty(out, &rows.iter().map(pins).collect::<Vec<_>>())?);
    }
    for row in rows {
        head(out, &row)?;
        lines(out, &row.pins)?;
    }
    Ok(())
}

/// That a PIN command has done its work.
pub(crate) fn done(out: &mut dyn Write, pin: &str, what: &str, as_json: bool) -> Result<(), Failure> {
    if as_json {
        return Ok(pretty(out, &json!({ "pin": pin, "done": true }))?);
    }
    Ok(writeln!(out, "{pin} {what}.")?)
}

/// Any value as indented JSON and a line feed.
pub(crate) fn pretty(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}

/// The keys of a card.
pub(crate) fn key_rows(card: &Hpc) -> Vec<KeyRow> {
    let key = |key: &card::hpc::CardKey| KeyRow {
        label: key.profile.label.clone(),
        purpose: match key.profile.purpose {
            KeyPurpose::Authentication => "authentication",
            KeyPurpose::Signature => "signature",
            KeyPurpose::Encryption => "encryption",
        },
        kind: match key.profile.kind {
            KeyKind::Ec(curve) => curve.to_string(),
            KeyKind::Rsa { bits } => format!("RSA-{bits}"),
        },
    };
    card.keys().iter().map(key).collect()
}

/// The PINs of a card, as last seen.
pub(crate) fn pin_rows(card: &Hpc) -> Vec<PinRow> {
    let applications = card.profile().applications.iter();
    let pin = |profile: &card::profile::ApplicationProfile| {
        let (state, tries_left) = state(card.pin_status(profile.application));
        let token = match profile.application {
            Application::Esign => "ESIGN",
            Application::Qes => "QES",
        };
        PinRow { name: profile.pin.label.clone(), token, state, tries_left }
    };
    applications.map(pin).collect()
}

fn row(found: &Found) -> CardRow<'_> {
    CardRow {
        reader: &found.reader,
        card: &found.card.profile().name,
        serial: found.card.iccsn(),
        keys: key_rows(&found.card),
        pins: pin_rows(&found.card),
    }
}

fn head(out: &mut dyn Write, row: &CardRow<'_>) -> io::Result<()> {
    writeln!(out, "{}: {}, serial number {}", row.reader, row.card, row.serial)
}

fn lines(out: &mut dyn Write, pins: &[PinRow]) -> io::Result<()> {
    for pin in pins {
        let tries = pin.tries_left.map_or_else(String::new, |tries| format!(", {tries} tries left"));
        writeln!(out, "  PIN  {:<18} {:<15} {}{tries}", pin.name, pin.token, pin.state)?;
    }
    Ok(())
}

fn state(status: PinStatus) -> (&'static str, Option<u8>) {
    match status {
        PinStatus::Verified => ("entered", None),
        PinStatus::NotVerified { tries } => ("ready", Some(tries)),
        PinStatus::TransportPin => ("transport PIN, to be activated", None),
        PinStatus::EmptyPin => ("not set", None),
        PinStatus::Disabled => ("switched off", None),
        PinStatus::Blocked => ("blocked", Some(0)),
        PinStatus::Unknown => ("unknown", None),
    }
}
