//! ReadInsurance: the card's record as typed fields, as the XML it is, and as FHIR.

use std::sync::Arc;

use egk_reader::{
    InsuranceRecord,
    fhir::{self, ProfileVersion},
};
use proto::v1;

use super::{Caller, Refusal, State, blocking, convert};
use crate::times::Steps;

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    request: v1::ReadInsuranceRequest,
) -> Result<v1::ReadInsuranceResponse, Refusal> {
    blocking(move || {
        let mut steps = Steps::start();
        let (reader, record) = state.readers.read(&request.reader, |name| caller.origin.sees_reader(name))?;
        steps.done("insurance card");
        let mut answer = answer(reader, record);
        steps.done("mapping");
        answer.times = convert::steps(&steps);
        Ok(answer)
    })
    .await?
}

fn answer(reader: String, record: InsuranceRecord) -> v1::ReadInsuranceResponse {
    let version = ProfileVersion::default();
    let (patient_id, coverage_id) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
    let beneficiary = format!("urn:uuid:{patient_id}");
    let patient = fhir::patient(&record.personal, &patient_id, version);
    let coverage =
        fhir::coverage(&record.coverage, record.protected.as_ref(), &coverage_id, &beneficiary, version);
    let findings = record.findings.iter().chain(&patient.findings).chain(&coverage.findings);
    v1::ReadInsuranceResponse {
        reader,
        personal: Some(convert::personal(&record.personal)),
        coverage: Some(convert::coverage(&record)),
        status: Some(convert::insurance_status(&record)),
        findings: findings.map(convert::card_finding).collect(),
        fhir_patient_json: patient.resource.to_json().to_string(),
        fhir_coverage_json: coverage.resource.to_json().to_string(),
        personal_xml: record.documents.personal.xml,
        coverage_xml: record.documents.coverage.xml,
        times: Vec::new(),
    }
}
