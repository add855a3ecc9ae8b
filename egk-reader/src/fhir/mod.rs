//! Patient and Coverage for prescriptions and other forms: the profiles KBV_PR_FOR_Patient and KBV_PR_FOR_Coverage
//! (package kbv.ita.for), field by field as `docs/insurance-data.md` has it.
//!
//! [`plain_patient`] and [`plain_coverage`] are plain R4 for others.
//!
//! What a profile demands and the card does not have is left out and reported as a [`Finding`]; nothing is guessed.
//! Cards issued from 2026 lack several of these fields, so a caller must expect findings and ask elsewhere.

mod coverage;
mod patient;
mod plain;
mod tree;

use crate::finding::Finding;
use crate::record::InsuranceRecord;

pub use coverage::coverage;
pub use patient::patient;
pub use plain::{plain_bundle, plain_coverage, plain_patient};
pub use tree::Resource;

use tree::{Node, object, text};

/// Which version of the form profiles the resources claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProfileVersion {
    /// KBV_PR_FOR_*|1.2, used in prescriptions KBV_PR_ERP_*|1.3. `meta.versionId` is forbidden there.
    V1_2,
    /// KBV_PR_FOR_*|1.3, used in prescriptions KBV_PR_ERP_*|1.4. `meta.versionId` is mandatory there.
    #[default]
    V1_3,
}

/// A resource and what could not be filled or would break a rule of its profile.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The resource; incomplete where there are findings.
    pub resource: Resource,
    /// Findings without personal values.
    pub findings: Vec<Finding>,
}

/// Logical ids of the resources; UUIDs, so that they also serve as `urn:uuid:` references.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceIds {
    /// Of the Patient.
    pub patient: String,
    /// Of the Coverage.
    pub coverage: String,
}

/// A Bundle of type `collection` with Patient and Coverage.
pub fn bundle(record: &InsuranceRecord, ids: &ResourceIds, version: ProfileVersion) -> Mapped {
    let reference = format!("urn:uuid:{}", ids.patient);
    let patient = patient(&record.personal, &ids.patient, version);
    let coverage = coverage(&record.coverage, record.protected.as_ref(), &ids.coverage, &reference, version);
    collection(ids, patient, coverage)
}

fn collection(ids: &ResourceIds, patient: Mapped, coverage: Mapped) -> Mapped {
    let entry = |id: &str, resource: Resource| {
        object([("fullUrl", text(format!("urn:uuid:{id}"))), ("resource", Node::Resource(resource))])
    };
    let entries = vec![entry(&ids.patient, patient.resource), entry(&ids.coverage, coverage.resource)];
    Mapped {
        resource: Resource::new("Bundle", vec![("type", text("collection")), ("entry", Node::List(entries))]),
        findings: [patient.findings, coverage.findings].concat(),
    }
}

/// `meta` with the profile, and with `versionId` where the profile's version wants one.
fn meta(profile: &str, version: ProfileVersion) -> Node {
    let (number, version_id) = match version {
        ProfileVersion::V1_2 => ("1.2", None),
        ProfileVersion::V1_3 => ("1.3", Some(("versionId", text("1")))),
    };
    let canonical = format!("https://fhir.kbv.de/StructureDefinition/{profile}|{number}");
    object(version_id.into_iter().chain([("profile", Node::List(vec![text(canonical)]))]))
}
