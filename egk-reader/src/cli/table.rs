//! The table for people.

use std::io::Write;

use egk_reader::{
    CoverageData, Finding, InsuranceKind, Payer, PersonalData, PostBoxAddress, ProtectedData, StreetAddress,
};

use super::failure::Failure;
use super::select::Found;

/// Prints what is there; absent fields get no line. The findings are the caller's to report.
pub(crate) fn print(out: &mut dyn Write, found: &Found) -> Result<Vec<Finding>, Failure> {
    let record = &found.record;
    let mut rows = vec![("Reader", found.reader.clone())];
    rows.extend(record.card.iccsn.clone().map(|iccsn| ("Card number", iccsn)));
    rows.extend(record.card.generation.map(|generation| ("Generation", generation.to_string())));
    rows.push(("Schema", record.documents.personal.schema.to_string()));
    rows.extend(record.status.updated_text().map(|updated| ("Last update", updated)));
    personal(&mut rows, &record.personal);
    coverage(&mut rows, &record.coverage);
    if let Some(data) = &record.protected {
        protected(&mut rows, data);
    }
    let width = rows.iter().map(|(label, _)| label.len()).max().unwrap_or_default();
    for (label, value) in rows {
        writeln!(out, "{label:width$}  {value}")?;
    }
    Ok(record.findings.clone())
}

type Rows = Vec<(&'static str, String)>;

fn personal(rows: &mut Rows, data: &PersonalData) {
    let name = joined(&[data.title.as_deref(), Some(&data.given_name), Some(&data.full_family_name())], " ");
    rows.push(("KVNR", data.kvnr.clone()));
    rows.push(("Name", name));
    rows.push(("Born", data.birth_date.to_string()));
    rows.extend(data.gender.map(|gender| ("Sex", gender.letter().to_string())));
    rows.extend(data.street_address.as_ref().map(|address| ("Address", street(address))));
    rows.extend(data.post_box_address.as_ref().map(|address| ("Post box", post_box(address))));
}

fn street(address: &StreetAddress) -> String {
    let line = joined(&[address.street.as_deref(), address.house_number.as_deref()], " ");
    let town = joined(&[address.postal_code.as_deref(), address.city.as_deref()], " ");
    joined(&[Some(&line), address.addition.as_deref(), Some(&town), address.country.as_deref()], ", ")
}

fn post_box(address: &PostBoxAddress) -> String {
    let town = joined(&[address.postal_code.as_deref(), address.city.as_deref()], " ");
    joined(&[address.post_box.as_deref(), Some(&town), address.country.as_deref()], ", ")
}

fn coverage(rows: &mut Rows, data: &CoverageData) {
    let kind = match data.kind {
        InsuranceKind::Statutory => "statutory (GKV)",
        InsuranceKind::Private => "private (PKV)",
    };
    rows.push(("Insurance", kind.to_owned()));
    rows.push(("Payer", payer(&data.payer)));
    rows.extend(data.billing_payer.as_ref().map(|billing| ("Billing payer", payer(billing))));
    rows.extend(data.begin.map(|date| ("Insured from", date.to_string())));
    rows.extend(data.end.map(|date| ("Insured until", date.to_string())));
    rows.extend(data.insured_type().map(|code| ("Insured as", insured_as(code))));
    rows.extend(data.wop().map(|code| ("Region (WOP)", code.to_owned())));
    if let Some(private) = &data.private {
        rows.extend(private.tariff.clone().map(|code| ("Tariff", code)));
    }
}

fn protected(rows: &mut Rows, data: &ProtectedData) {
    let exempt = |exempt| if exempt { "exempt" } else { "not exempt" }.to_owned();
    rows.extend(data.copayment_exempt.map(|status| ("Co-payment", exempt(status))));
    rows.extend(data.copayment_exempt_until.map(|date| ("Exempt until", date.to_string())));
    rows.extend(data.special_group.clone().map(|code| ("Special group", code)));
    rows.extend(data.dmp.clone().map(|code| ("DMP", code)));
    if let Some(suspended) = &data.suspended {
        let end = suspended.end.map(|date| date.to_string());
        let begin = suspended.begin.map(|date| date.to_string());
        rows.push(("Suspended", joined(&[begin.as_deref(), end.as_deref()], " to ")));
    }
}

fn payer(payer: &Payer) -> String {
    joined(&[Some(&payer.ik), payer.name.as_deref()], "  ")
}

fn insured_as(code: &str) -> String {
    let meaning = match code {
        "1" => "member",
        "3" => "family member",
        "5" => "pensioner",
        _ => return code.to_owned(),
    };
    format!("{code} ({meaning})")
}

/// The parts that are there and not empty.
fn joined(parts: &[Option<&str>], separator: &str) -> String {
    parts.iter().flatten().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(separator)
}
