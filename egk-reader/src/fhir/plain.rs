//! Patient and Coverage of plain FHIR R4 (4.0.1), for systems that know no German profile: everything that the resources
//! themselves have a place for, which is more than the profiles for prescriptions allow.

use super::coverage::payor;
use super::patient::{identifier, post_box_line, street_lines, string_extension};
use super::tree::{Extension, Node, Resource, coding, object, text};
use super::{Mapped, ResourceIds};
use crate::date::PartialDate;
use crate::record::{CoverageData, Gender, InsuranceKind, InsuranceRecord, PersonalData};

/// A Bundle of type `collection` with Patient and Coverage, neither of which claims a profile.
pub fn plain_bundle(record: &InsuranceRecord, ids: &ResourceIds) -> Mapped {
    let reference = format!("urn:uuid:{}", ids.patient);
    let patient = plain_patient(&record.personal, &ids.patient);
    let coverage = plain_coverage(&record.coverage, &record.personal.kvnr, &ids.coverage, &reference);
    super::collection(ids, patient, coverage)
}

/// Maps personal data to a Patient with the logical id `id`: with gender, both addresses and given names one by one.
pub fn plain_patient(personal: &PersonalData, id: &str) -> Mapped {
    let mut fields = vec![
        ("id", text(id)),
        ("identifier", Node::List(vec![identifier(&personal.kvnr)])),
        ("name", Node::List(vec![name(personal)])),
    ];
    fields.extend(personal.gender.map(|gender| ("gender", gender_node(gender))));
    fields.extend(personal.birth_date.to_iso().map(|date| ("birthDate", text(date))));
    let addresses = addresses(personal);
    if !addresses.is_empty() {
        fields.push(("address", Node::List(addresses)));
    }
    Mapped { resource: Resource::new("Patient", fields), findings: Vec::new() }
}

/// Maps insurance data to a Coverage with the logical id `id` for the patient that `beneficiary` refers to: with begin and
/// end, and both payers.
pub fn plain_coverage(coverage: &CoverageData, kvnr: &str, id: &str, beneficiary: &str) -> Mapped {
    let mut findings = Vec::new();
    let kind = match coverage.kind {
        InsuranceKind::Statutory => "GKV",
        InsuranceKind::Private => "PKV",
    };
    let kind = coding("http://fhir.de/CodeSystem/versicherungsart-de-basis", kind);
    let mut fields = vec![
        ("id", text(id)),
        ("status", text("active")),
        ("type", object([("coding", Node::List(vec![kind]))])),
        ("subscriberId", text(kvnr)),
        ("beneficiary", object([("reference", text(beneficiary))])),
    ];
    // Members and pensioners are insured by themselves; how a family member is related, the card does not say.
    if matches!(coverage.insured_type(), Some("1" | "5")) {
        let own = coding("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "self");
        fields.push(("relationship", object([("coding", Node::List(vec![own]))])));
    }
    let dates = [("start", coverage.begin), ("end", coverage.end)];
    let date = |(name, date): (&'static str, Option<PartialDate>)| Some((name, text(date?.to_iso()?)));
    let period: Vec<_> = dates.into_iter().filter_map(date).collect();
    if !period.is_empty() {
        fields.push(("period", Node::Object(period)));
    }
    let payers = std::iter::once(&coverage.payer).chain(&coverage.billing_payer);
    fields.push(("payor", Node::List(payers.map(|payer| payor(payer, &mut findings)).collect())));
    Mapped { resource: Resource::new("Coverage", fields), findings }
}

fn name(personal: &PersonalData) -> Node {
    let parts = [
        ("http://hl7.org/fhir/StructureDefinition/humanname-own-prefix", personal.name_prefix.as_deref()),
        ("http://hl7.org/fhir/StructureDefinition/humanname-own-name", Some(personal.family_name.as_str())),
    ];
    let extensions = parts.into_iter().filter_map(|(url, part)| Some(string_extension(url, part?))).collect();
    let given = personal.given_name.split_whitespace().map(text).collect();
    let mut fields = vec![
        ("use", text("official")),
        ("family", Node::Primitive(Some(personal.full_family_name()), extensions)),
        ("given", Node::List(given)),
    ];
    fields.extend(personal.title.as_ref().map(|title| ("prefix", Node::List(vec![text(title.as_str())]))));
    Node::Object(fields)
}

/// What R4 calls `other` is kept apart by the extension of the German base profiles.
fn gender_node(gender: Gender) -> Node {
    let letter = gender.letter();
    match letter {
        'M' => text("male"),
        'W' => text("female"),
        'D' | 'X' => {
            let value = coding("http://fhir.de/CodeSystem/gender-amtlich-de", &letter.to_string());
            let url = "http://fhir.de/StructureDefinition/gender-amtlich-de";
            Node::Primitive(Some("other".to_owned()), vec![Extension { url, name: "valueCoding", value }])
        }
        _ => text("unknown"),
    }
}

fn addresses(personal: &PersonalData) -> Vec<Node> {
    let street = personal.street_address.as_ref().map(|address| {
        let place = [&address.city, &address.postal_code, &address.country];
        address_node("physical", street_lines(address), place)
    });
    let post_box = personal.post_box_address.as_ref().map(|address| {
        let place = [&address.city, &address.postal_code, &address.country];
        address_node("postal", post_box_line(address), place)
    });
    street.into_iter().chain(post_box).collect()
}

fn address_node(
    kind: &'static str,
    lines: Vec<Node>,
    [city, postal_code, country]: [&Option<String>; 3],
) -> Node {
    let mut fields = vec![("type", text(kind))];
    if !lines.is_empty() {
        fields.push(("line", Node::List(lines)));
    }
    // Cards have licence plate codes. Only that of Germany is told in ISO 3166; another may mean another country there.
    let country = country.as_deref().map(|code| if code == "D" { "DE" } else { code });
    let place = [("city", city.as_deref()), ("postalCode", postal_code.as_deref()), ("country", country)];
    fields.extend(place.into_iter().filter_map(|(name, value)| Some((name, text(value?)))));
    Node::Object(fields)
}
