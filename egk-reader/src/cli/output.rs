//! Forms for programs: JSON, the XML of the card, FHIR.

use std::io::{self, Write};

use card::transport::{CardPresence, ReaderState};
use egk_reader::fhir::{self, ProfileVersion, ResourceIds};
use egk_reader::{Document, Finding, InsuranceRecord};
use serde_json::json;
use uuid::Uuid;

use super::failure::Failure;
use crate::arguments::XmlChoice;

/// How FHIR is written.
#[derive(Clone, Copy)]
pub(crate) enum Syntax {
    Json,
    Xml,
}

/// The record with its findings; nothing is left to report.
pub(crate) fn json(out: &mut dyn Write, record: &InsuranceRecord) -> Result<Vec<Finding>, Failure> {
    serde_json::to_writer_pretty(&mut *out, record).map_err(io::Error::from)?;
    writeln!(out)?;
    Ok(Vec::new())
}

/// The documents of the card. The findings are the caller's to report.
pub(crate) fn xml(
    out: &mut dyn Write,
    record: &InsuranceRecord,
    choice: XmlChoice,
) -> Result<Vec<Finding>, Failure> {
    let documents = &record.documents;
    let named = [
        (XmlChoice::Personal, "personal", Some(&documents.personal)),
        (XmlChoice::Coverage, "coverage", Some(&documents.coverage)),
        (XmlChoice::Protected, "protected", documents.protected.as_ref()),
    ];
    if choice == XmlChoice::All {
        for (name, document) in named.into_iter().filter_map(|(_, name, document)| Some((name, document?))) {
            framed(out, name, document)?;
        }
    } else {
        let document =
            named.into_iter().find(|(kind, ..)| *kind == choice).and_then(|(_, _, document)| document);
        out.write_all(&document.ok_or(Failure::NoSuchDocument)?.xml)?;
    }
    Ok(record.findings.clone())
}

/// A Bundle with fresh ids; plain R4 without a version of the profiles.
pub(crate) fn fhir(
    out: &mut dyn Write,
    record: &InsuranceRecord,
    version: Option<ProfileVersion>,
    syntax: Syntax,
) -> Result<Vec<Finding>, Failure> {
    let ids = ResourceIds { patient: Uuid::new_v4().to_string(), coverage: Uuid::new_v4().to_string() };
    let bundle = match version {
        Some(version) => fhir::bundle(record, &ids, version),
        None => fhir::plain_bundle(record, &ids),
    };
    match syntax {
        Syntax::Json => {
            serde_json::to_writer_pretty(&mut *out, &bundle.resource.to_json()).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        Syntax::Xml => {
            write!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", bundle.resource.to_xml())?
        }
    }
    Ok([record.findings.clone(), bundle.findings].concat())
}

/// One line for each reader.
pub(crate) fn readers(out: &mut dyn Write, states: &[ReaderState], as_json: bool) -> Result<(), Failure> {
    let present = |state: &ReaderState| state.card == CardPresence::Present;
    if as_json {
        let list: Vec<_> =
            states.iter().map(|state| json!({ "reader": state.name, "card": present(state) })).collect();
        serde_json::to_writer_pretty(&mut *out, &list).map_err(io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    for state in states {
        writeln!(out, "{}  {}", if present(state) { "card " } else { "empty" }, state.name)?;
    }
    Ok(())
}

fn framed(out: &mut dyn Write, name: &str, document: &Document) -> io::Result<()> {
    writeln!(out, "# {name} {}", document.xml.len())?;
    out.write_all(&document.xml)?;
    writeln!(out)
}
