//! `emergency`: emergency data with a professional's card, without the patient's PIN, with a reason.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use card::identify::CardKind;
use card::pin::Pin;
use card::transport::{Readers, Transport};
use egk_reader::emergency::{self, Access, EmergencyData, EmergencyError, Entry};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use zeroize::Zeroizing;

use super::failure::Failure;
use super::select;
use crate::arguments::{Emergency, Source};

/// Reads, records the access, and only then prints.
pub(crate) fn run(options: &Emergency) -> Result<(), Failure> {
    let mut egk = find(&options.source, |kind| kind == CardKind::Egk)?
        .ok_or(Failure::Emergency(EmergencyError::NotAnEgk))?;
    let professional = Source {
        reader: options.hpc.clone(),
        can: None,
        progress: options.source.progress,
        record_card: options.source.record_card.clone(),
    };
    let mut hpc = find(&professional, emergency::is_professional)
        .unwrap_or_default()
        .ok_or(Failure::Emergency(EmergencyError::NotAProfessional))?;
    let pin = pin(options.pin_file.as_deref())?;
    let (data, access) = emergency::read(hpc.as_mut(), egk.as_mut(), &pin, &options.reason)?;
    let record = record(&access);
    if let Some(file) = &options.record {
        append(file, &record)?;
    }
    let out = &mut io::stdout().lock();
    if options.xml {
        out.write_all(&data.xml)?;
    } else if options.json {
        let answer = json!({ "access": record, "emergency_data": data });
        serde_json::to_writer_pretty(&mut *out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        table(out, &record, &data)?;
    }
    out.flush()?;
    Ok(())
}

/// The first card of this kind.
fn find(source: &Source, wanted: impl Fn(CardKind) -> bool) -> Result<Option<Box<dyn Transport>>, Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&source.reader));
    let (names, failure) = select::with_cards(&mut readers)?;
    if names.is_empty() {
        return Err(failure);
    }
    for name in names {
        let card = select::connect(&mut readers, &name, source).and_then(|mut card| {
            let kind = emergency::kind(card.as_mut())?;
            Ok((kind, card))
        });
        match card {
            Ok((kind, card)) if wanted(kind) => return Ok(Some(card)),
            Ok(_) => {}
            Err(error) => tracing::info!(reader = name, %error, "the card cannot be looked at"),
        }
    }
    Ok(None)
}

/// The first line of the file, or what is typed at the terminal.
fn pin(file: Option<&Path>) -> Result<Pin, Failure> {
    let text = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map(Zeroizing::new);
            let text = text.map_err(|error| Failure::NoPin(format!("{}: {error}", path.display())))?;
            Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())
        }
        None if !io::stdin().is_terminal() => {
            return Err(Failure::NoPin("no terminal to ask at; use --pin-file".to_owned()));
        }
        None => rpassword::prompt_password("PIN of the professional's card: ")
            .map(Zeroizing::new)
            .map_err(|error| Failure::NoPin(error.to_string()))?,
    };
    Pin::parse(text.as_bytes(), 6, 8).map_err(|error| Failure::NoPin(error.to_string()))
}

fn record(access: &Access) -> Value {
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    json!({ "time": time, "file": access.file, "reason": access.reason, "rights": access.rights })
}

/// One line more in the record of accesses, on disk before anything is shown.
fn append(file: &Path, record: &Value) -> Result<(), Failure> {
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    writeln!(file, "{record}")?;
    file.sync_all()?;
    Ok(())
}

fn table(out: &mut dyn Write, record: &Value, data: &EmergencyData) -> io::Result<()> {
    for (title, name) in [("Read at ", "time"), ("Reason  ", "reason")] {
        writeln!(out, "{title} {}", record.get(name).and_then(Value::as_str).unwrap_or_default())?;
    }
    if let Some(kvnr) = &data.kvnr {
        writeln!(out, "KVNR     {kvnr}")?;
    }
    for (title, entries) in [
        ("Diagnoses", &data.diagnoses),
        ("Allergies and intolerances", &data.allergies),
        ("Medication", &data.medication),
        ("Special notes", &data.notes),
        ("People to be told", &data.contacts),
        ("Added by the patient", &data.additions),
    ] {
        section(out, title, entries)?;
    }
    Ok(())
}

fn section(out: &mut dyn Write, title: &str, entries: &[Entry]) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for entry in entries {
        for (number, field) in entry.0.iter().enumerate() {
            let mark = if number == 0 { "-" } else { " " };
            writeln!(out, "  {mark} {}: {}", field.name, field.value)?;
        }
    }
    Ok(())
}
