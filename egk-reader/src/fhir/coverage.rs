//! KBV_PR_FOR_Coverage. At most four extensions, no identifier, no start of the period.

use super::tree::{Extension, Node, Resource, coding, object, text};
use super::{Mapped, ProfileVersion, meta};
use crate::finding::Finding;
use crate::record::{CoverageData, InsuranceKind, Payer, ProtectedData};

/// Code of "none" for special group and disease management programme, when the card's protected data name none.
const NONE: &str = "00";

/// Maps insurance data to a Coverage with the logical id `id` for the patient that `beneficiary` refers to.
///
/// Special group and disease management programme come from the protected data. Without those they are reported as
/// missing: "not read" is not "none".
pub fn coverage(
    coverage: &CoverageData,
    protected: Option<&ProtectedData>,
    id: &str,
    beneficiary: &str,
    version: ProfileVersion,
) -> Mapped {
    let mut findings = Vec::new();
    let extensions = extensions(coverage, protected, &mut findings);
    let mut fields = vec![("id", text(id)), ("meta", meta("KBV_PR_FOR_Coverage", version))];
    if !extensions.is_empty() {
        fields.push(("extension", Node::Extensions(extensions)));
    }
    let kind = match coverage.kind {
        InsuranceKind::Statutory => "GKV",
        InsuranceKind::Private => "PKV",
    };
    let kind = coding("http://fhir.de/CodeSystem/versicherungsart-de-basis", kind);
    fields.push(("status", text("active")));
    fields.push(("type", object([("coding", Node::List(vec![kind]))])));
    fields.push(("beneficiary", object([("reference", text(beneficiary))])));
    fields.extend(period(coverage, &mut findings).map(|period| ("period", period)));
    fields.push(("payor", Node::List(vec![payor(coverage.effective_payer(), &mut findings)])));
    Mapped { resource: Resource::new("Coverage", fields), findings }
}

fn extensions(
    coverage: &CoverageData,
    protected: Option<&ProtectedData>,
    findings: &mut Vec<Finding>,
) -> Vec<Extension> {
    let group = protected.map(|data| data.special_group.as_deref().unwrap_or(NONE));
    let dmp = protected.map(|data| data.dmp.as_deref().unwrap_or(NONE));
    let mut extensions = Vec::new();
    let mut add = |url, system: &str, code: &str| {
        let system = format!("https://fhir.kbv.de/CodeSystem/{system}");
        extensions.push(Extension { url, name: "valueCoding", value: coding(&system, code) });
    };
    match group {
        Some(code) => add(
            "http://fhir.de/StructureDefinition/gkv/besondere-personengruppe",
            "KBV_CS_SFHIR_KBV_PERSONENGRUPPE",
            code,
        ),
        None => findings.push(Finding::MissingElement {
            element: "Coverage.extension(besondere-personengruppe)",
            source: "readable protected data (BesonderePersonengruppe)",
        }),
    }
    match dmp {
        Some(code) => {
            add("http://fhir.de/StructureDefinition/gkv/dmp-kennzeichen", "KBV_CS_SFHIR_KBV_DMP", code)
        }
        None => findings.push(Finding::MissingElement {
            element: "Coverage.extension(dmp-kennzeichen)",
            source: "readable protected data (DMP_Kennzeichnung)",
        }),
    }
    if let Some(code) = coverage.wop() {
        add("http://fhir.de/StructureDefinition/gkv/wop", "KBV_CS_SFHIR_ITA_WOP", code);
    }
    match coverage.insured_type() {
        Some(code) => add(
            "http://fhir.de/StructureDefinition/gkv/versichertenart",
            "KBV_CS_SFHIR_KBV_VERSICHERTENSTATUS",
            code,
        ),
        None => findings.push(Finding::MissingElement {
            element: "Coverage.extension(versichertenart)",
            source: "Versichertenart",
        }),
    }
    extensions
}

/// Only an end, and only a whole date.
fn period(coverage: &CoverageData, findings: &mut Vec<Finding>) -> Option<Node> {
    let end = coverage.end?;
    match (end.day(), end.to_iso()) {
        (Some(_), Some(date)) => Some(object([("end", text(date))])),
        _ => {
            findings.push(Finding::MissingElement {
                element: "Coverage.period.end",
                source: "whole date in Versicherungsschutz/Ende",
            });
            None
        }
    }
}

/// The payer by its institution number, with its name.
pub(super) fn payor(payer: &Payer, findings: &mut Vec<Finding>) -> Node {
    let identifier =
        object([("system", text("http://fhir.de/sid/arge-ik/iknr")), ("value", text(payer.ik.as_str()))]);
    let mut fields = vec![("identifier", identifier)];
    match &payer.name {
        Some(name) => fields.push(("display", text(name.as_str()))),
        None => {
            findings.push(Finding::MissingElement { element: "Coverage.payor.display", source: "payer name" })
        }
    }
    Node::Object(fields)
}
