//! KBV_PR_FOR_Patient. The profile forbids `gender`, `name.text`, `address.use` and more; only what it allows is here.

use super::tree::{Extension, Node, Resource, coding, object, text};
use super::{Mapped, ProfileVersion, meta};
use crate::check_digit::kvnr_is_well_formed;
use crate::date::PartialDate;
use crate::finding::Finding;
use crate::record::{PersonalData, PostBoxAddress, StreetAddress};

/// Maps personal data to a Patient with the logical id `id`.
pub fn patient(personal: &PersonalData, id: &str, version: ProfileVersion) -> Mapped {
    let mut findings = Vec::new();
    if !kvnr_is_well_formed(&personal.kvnr) {
        findings.push(Finding::ProfileRule {
            element: "Patient.identifier.value",
            rule: "must be one capital letter and nine digits",
        });
    }
    let mut fields = vec![
        ("id", text(id)),
        ("meta", meta("KBV_PR_FOR_Patient", version)),
        ("identifier", Node::List(vec![identifier(&personal.kvnr)])),
        ("name", Node::List(vec![name(personal)])),
        ("birthDate", birth_date(personal.birth_date)),
    ];
    if let Some(address) = address(personal, &mut findings) {
        fields.push(("address", Node::List(vec![address])));
    }
    Mapped { resource: Resource::new("Patient", fields), findings }
}

pub(super) fn identifier(kvnr: &str) -> Node {
    let kind = coding("http://fhir.de/CodeSystem/identifier-type-de-basis", "KVZ10");
    object([
        ("type", object([("coding", Node::List(vec![kind]))])),
        ("system", text("http://fhir.de/sid/gkv/kvid-10")),
        ("value", text(kvnr)),
    ])
}

fn name(personal: &PersonalData) -> Node {
    let parts = [
        ("http://fhir.de/StructureDefinition/humanname-namenszusatz", personal.name_addition.as_deref()),
        ("http://hl7.org/fhir/StructureDefinition/humanname-own-prefix", personal.name_prefix.as_deref()),
        ("http://hl7.org/fhir/StructureDefinition/humanname-own-name", Some(personal.family_name.as_str())),
    ];
    let extensions = parts.into_iter().filter_map(|(url, part)| Some(string_extension(url, part?))).collect();
    let mut fields = vec![
        ("use", text("official")),
        ("family", Node::Primitive(Some(personal.full_family_name()), extensions)),
        ("given", Node::List(vec![text(personal.given_name.as_str())])),
    ];
    if let Some(title) = &personal.title {
        let academic = Extension {
            url: "http://hl7.org/fhir/StructureDefinition/iso21090-EN-qualifier",
            name: "valueCode",
            value: text("AC"),
        };
        fields.push(("prefix", Node::List(vec![Node::Primitive(Some(title.clone()), vec![academic])])));
    }
    Node::Object(fields)
}

/// FHIR dates may lack day and month; when even the year is unknown the value is absent with a reason.
fn birth_date(date: PartialDate) -> Node {
    match date.to_iso() {
        Some(date) => text(date),
        None => {
            let reason = Extension {
                url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                name: "valueCode",
                value: text("unknown"),
            };
            Node::Primitive(None, vec![reason])
        }
    }
}

/// The profile takes one address; the street address goes before the post box.
fn address(personal: &PersonalData, findings: &mut Vec<Finding>) -> Option<Node> {
    let place = match (&personal.street_address, &personal.post_box_address) {
        (Some(street), _) => Place {
            kind: "both",
            lines: street_lines(street),
            city: street.city.as_deref(),
            postal_code: street.postal_code.as_deref(),
            country: street.country.as_deref(),
        },
        (None, Some(post_box)) => Place {
            kind: "postal",
            lines: post_box_line(post_box),
            city: post_box.city.as_deref(),
            postal_code: post_box.postal_code.as_deref(),
            country: post_box.country.as_deref(),
        },
        (None, None) => return None,
    };
    place.report(findings);
    Some(place.into_node())
}

/// What both kinds of address have.
struct Place<'a> {
    kind: &'static str,
    lines: Vec<Node>,
    city: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: Option<&'a str>,
}

impl Place<'_> {
    fn report(&self, findings: &mut Vec<Finding>) {
        if self.country == Some("D") && self.postal_code.is_none() {
            findings.push(Finding::MissingElement {
                element: "Patient.address.postalCode",
                source: "Postleitzahl, which is mandatory in Germany",
            });
        }
        let is_code =
            |code: &str| (1..=3).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.country.is_some_and(|country| !is_code(country)) {
            findings.push(Finding::ProfileRule {
                element: "Patient.address.country",
                rule: "must be one to three capital letters",
            });
        }
    }

    fn into_node(self) -> Node {
        let mut fields = vec![("type", text(self.kind))];
        if !self.lines.is_empty() {
            fields.push(("line", Node::List(self.lines)));
        }
        let rest = [("city", self.city), ("postalCode", self.postal_code), ("country", self.country)];
        fields.extend(rest.into_iter().filter_map(|(name, value)| Some((name, text(value?)))));
        Node::Object(fields)
    }
}

/// Street and number share the first line; the addition takes the second, or the first if that would be empty.
pub(super) fn street_lines(address: &StreetAddress) -> Vec<Node> {
    let parts = [
        ("http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-streetName", address.street.as_deref()),
        (
            "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-houseNumber",
            address.house_number.as_deref(),
        ),
    ];
    let present: Vec<_> = parts.into_iter().filter_map(|(url, part)| Some((url, part?))).collect();
    let mut lines = Vec::new();
    if !present.is_empty() {
        let line = present.iter().map(|(_, part)| *part).collect::<Vec<_>>().join(" ");
        let extensions = present.into_iter().map(|(url, part)| string_extension(url, part)).collect();
        lines.push(Node::Primitive(Some(line), extensions));
    }
    if let Some(addition) = &address.addition {
        lines.push(line_of(
            "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-additionalLocator",
            addition,
        ));
    }
    lines
}

pub(super) fn post_box_line(address: &PostBoxAddress) -> Vec<Node> {
    let url = "http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-postBox";
    address.post_box.iter().map(|post_box| line_of(url, post_box)).collect()
}

fn line_of(url: &'static str, value: &str) -> Node {
    Node::Primitive(Some(value.to_owned()), vec![string_extension(url, value)])
}

pub(super) fn string_extension(url: &'static str, value: &str) -> Extension {
    Extension { url, name: "valueString", value: text(value) }
}
