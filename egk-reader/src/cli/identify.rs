//! `identify`: what the cards in the readers are.

use std::io::{self, Write};

use card::catalogue::KnownCard;
use card::survey::{Interface, Sign, Survey, survey};
use card::transport::Readers;
use egk_reader::Generation;
use serde_json::{Value, json};

use super::failure::Failure;
use super::select;
use crate::arguments::Identify;

/// Prints an entry for each card, also for those nobody knows.
pub(crate) fn run(options: &Identify) -> Result<(), Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&options.source.reader));
    let (names, mut failure) = select::with_cards(&mut readers)?;
    let mut surveys = Vec::new();
    for reader in names {
        let looked = select::connect(&mut readers, &reader, &options.source)
            .and_then(|mut card| survey(card.as_mut()));
        match looked {
            Ok(survey) => surveys.push((reader, survey)),
            Err(error) => {
                tracing::info!(reader, %error, "the card cannot be looked at");
                failure = error.into();
            }
        }
    }
    if surveys.is_empty() {
        return Err(failure);
    }
    let out = &mut io::stdout().lock();
    if options.json {
        let entries: Vec<_> = surveys.iter().map(|(reader, survey)| entry(reader, survey)).collect();
        serde_json::to_writer_pretty(&mut *out, &entries).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        for (reader, survey) in &surveys {
            table(out, reader, survey)?;
        }
    }
    match surveys.iter().any(|(_, survey)| survey.card.is_some()) {
        true => Ok(()),
        false => Err(Failure::UnknownCard),
    }
}

fn entry(reader: &str, survey: &Survey) -> Value {
    let applications: Vec<_> = survey
        .applications
        .iter()
        .map(|found| json!({ "aid": digits(&found.aid), "label": found.label, "name": found.name }))
        .collect();
    json!({
        "reader": reader,
        "atr": digits(&survey.atr),
        "card": survey.card.map(|card| &card.id),
        "title": survey.card.map(|card| &card.title),
        "country": survey.card.map(|card| &card.country),
        "standard": survey.card.map(|card| &card.standard),
        "generation": generation(survey),
        "known_by": survey.known_by.map(known_by),
        "interface": interface(survey.interface),
        "protocols": survey.protocols.iter().map(|number| format!("T={number}")).collect::<Vec<_>>(),
        "master_file": survey.master_file.as_deref().map(digits),
        "applications": applications,
        "assurance": survey.card.and_then(|card| card.assurance.as_ref()).map(|assurance| {
            json!({ "demanded": assurance.statement, "source": assurance.source })
        }),
        "abilities": survey.card.map_or(&[][..], |card| &card.abilities),
    })
}

fn table(out: &mut dyn Write, reader: &str, survey: &Survey) -> io::Result<()> {
    writeln!(out, "{reader}")?;
    let mut row = |label: &str, value: &str| writeln!(out, "  {label:<12} {value}");
    row("Card", survey.card.map_or("not known", |card| &card.title))?;
    row("ATR", &digits(&survey.atr))?;
    if let Some(sign) = survey.known_by {
        row("Known by", known_by(sign))?;
    }
    if let Some(card) = survey.card {
        row("Standard", &card.standard)?;
    }
    if let Some(generation) = generation(survey) {
        row("Generation", &generation)?;
    }
    let protocols: Vec<_> = survey.protocols.iter().map(|number| format!("T={number}")).collect();
    row("Interface", &format!("{}, {}", interface(survey.interface), protocols.join(" and ")))?;
    for found in &survey.applications {
        let name = found.name.or(found.label.as_deref()).unwrap_or_default();
        row("Application", format!("{}  {name}", digits(&found.aid)).trim_end())?;
    }
    if let Some(assurance) = survey.card.and_then(|card| card.assurance.as_ref()) {
        row("Demanded", &format!("{} ({})", assurance.statement, assurance.source))?;
    }
    row("This project", &abilities(survey.card))
}

fn abilities(card: Option<&KnownCard>) -> String {
    match card {
        Some(card) if !card.abilities.is_empty() => card.abilities.join(", "),
        Some(_) => "can name it, no more".to_owned(),
        None => "can do nothing with it".to_owned(),
    }
}

fn generation(survey: &Survey) -> Option<String> {
    Generation::from_version2(survey.version2.as_deref()?).map(|generation| generation.to_string())
}

fn known_by(sign: Sign) -> &'static str {
    match sign {
        Sign::MasterFile => "master file",
        Sign::Application => "application",
        Sign::Atr => "ATR",
    }
}

fn interface(interface: Interface) -> &'static str {
    match interface {
        Interface::Contacts => "contacts",
        Interface::Radio => "radio",
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
