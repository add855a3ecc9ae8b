//! From the service's types to the messages of the contract.

use std::time::Duration;

use cades::{Chain, Severity, ocsp};
use egk_reader::{InsuranceRecord, Payer, PersonalData};
use proto::v1::{self, certificate_status::State as Known};
use time::OffsetDateTime;

use super::Refusal;
use crate::{
    certificate::Certificate,
    clinician::scope::Refused,
    prescription::{self, Finding},
    times::Steps,
};

pub(super) fn timestamp(at: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: at.unix_timestamp(),
        nanos: i32::try_from(at.nanosecond()).unwrap_or(0),
    }
}

pub(super) fn certificate(certificate: &Certificate) -> v1::Certificate {
    v1::Certificate {
        der: certificate.der.clone(),
        subject: certificate.subject.clone(),
        issuer: certificate.issuer.clone(),
        serial: certificate.serial.clone(),
        not_before: Some(timestamp(certificate.not_before)),
        not_after: Some(timestamp(certificate.not_after)),
    }
}

pub(super) fn refused_scope(refused: Refused) -> v1::RefusedScope {
    v1::RefusedScope { scope: refused.scope, refused_by: refused.by.code().to_owned() }
}

pub(super) fn steps(steps: &Steps) -> Vec<v1::StepTime> {
    steps
        .list()
        .iter()
        .map(|(step, duration)| v1::StepTime { step: (*step).to_owned(), duration: Some(whole(*duration)) })
        .collect()
}

/// A broken rule; `off` is the reason why it does not count.
pub(super) fn finding(finding: &Finding, off: Option<&str>) -> v1::Finding {
    let severity = match (off, finding.rule.severity()) {
        (Some(_), _) | (_, prescription::Severity::Information) => v1::Severity::Information,
        (_, prescription::Severity::Warning) => v1::Severity::Warning,
        (_, prescription::Severity::Error) => v1::Severity::Error,
    };
    let text = finding.rule.text();
    v1::Finding {
        severity: severity.into(),
        rule: finding.rule.code().to_owned(),
        place: finding.place.clone(),
        text: off.map_or(text.to_owned(), |reason| format!("{text}; switched off: {reason}")),
    }
}

/// A document that is no prescription at all, as a finding.
pub(super) fn refused_document(refusal: &Refusal) -> v1::Finding {
    let (rule, place) = match refusal {
        Refusal::NotAPrescription(rule) => (rule.code(), String::new()),
        Refusal::Malformed(error) => ("MALFORMED", format!("byte {}", error.offset)),
        other => (other.reason(), String::new()),
    };
    v1::Finding {
        severity: v1::Severity::Error.into(),
        rule: rule.to_owned(),
        place,
        text: refusal.to_string(),
    }
}

/// The certificate of a fresh signature that leads to no configured anchor.
pub(super) fn untrusted(chain: &Chain) -> v1::Finding {
    v1::Finding {
        severity: v1::Severity::Warning.into(),
        rule: "CERTIFICATE_CHAIN".to_owned(),
        place: String::new(),
        text: format!("the signer's certificate: {chain}"),
    }
}

/// The state of a certificate without an answer.
pub(super) fn no_status(state: Known, text: String) -> v1::CertificateStatus {
    v1::CertificateStatus { state: state.into(), text, ..Default::default() }
}

/// The state of a certificate as a responder gave it.
pub(super) fn status(answer: &ocsp::Answer) -> v1::CertificateStatus {
    let (state, revoked_at) = match answer.status {
        ocsp::Status::Good => (Known::Good, None),
        ocsp::Status::Revoked { at, .. } => (Known::Revoked, Some(timestamp(at))),
        ocsp::Status::Unknown => (Known::Unknown, None),
    };
    v1::CertificateStatus {
        state: state.into(),
        produced_at: Some(timestamp(answer.produced_at)),
        revoked_at,
        responder: answer.responder.clone().unwrap_or_default(),
        text: String::new(),
    }
}

/// A signature without embedded evidence although it was wanted.
pub(super) fn no_evidence(why: &str) -> v1::Finding {
    v1::Finding {
        severity: v1::Severity::Warning.into(),
        rule: "OCSP_NOT_AVAILABLE".to_owned(),
        place: String::new(),
        text: format!("no OCSP response is embedded: {why}"),
    }
}

pub(super) fn format_finding(finding: &cades::Finding) -> v1::Finding {
    let severity = match finding.severity {
        Severity::Remark => v1::Severity::Information,
        Severity::Doubt => v1::Severity::Warning,
        Severity::Defect => v1::Severity::Error,
    };
    v1::Finding {
        severity: severity.into(),
        rule: screaming(&format!("{:?}", finding.code)),
        place: String::new(),
        text: finding.text.clone(),
    }
}

pub(super) fn card_finding(finding: &egk_reader::Finding) -> v1::Finding {
    v1::Finding {
        severity: v1::Severity::Warning.into(),
        rule: finding.code().to_uppercase().replace('-', "_"),
        place: String::new(),
        text: finding.to_string(),
    }
}

pub(super) fn chain(chain: &Chain) -> v1::Chain {
    match chain {
        Chain::Ok => v1::Chain::Ok,
        Chain::NoSignerCertificate => v1::Chain::NoSignerCertificate,
        Chain::UnknownIssuer => v1::Chain::UnknownIssuer,
        Chain::IssuerKeyMismatch => v1::Chain::IssuerKeyMismatch,
        Chain::BadSignature => v1::Chain::BadSignature,
        Chain::IssuerNotCa => v1::Chain::IssuerNotCa,
        Chain::IssuerNotValidAtIssue => v1::Chain::IssuerNotValidAtIssue,
        Chain::IssuerWithdrawn => v1::Chain::IssuerWithdrawn,
        Chain::IssuerNotValidAtSigning => v1::Chain::IssuerNotValidAtSigning,
        Chain::NotYetValidAtSigning => v1::Chain::NotYetValidAtSigning,
        Chain::ExpiredAtSigning => v1::Chain::ExpiredAtSigning,
        Chain::SignerIsCa => v1::Chain::SignerIsCa,
        Chain::WrongKeyUsage => v1::Chain::WrongKeyUsage,
        Chain::UnknownCriticalExtension(_) => v1::Chain::UnknownCriticalExtension,
    }
}

pub(super) fn personal(personal: &PersonalData) -> v1::PersonalData {
    v1::PersonalData {
        insured_id: personal.kvnr.clone(),
        birth_date: personal.birth_date.to_iso().unwrap_or_default(),
        given_name: personal.given_name.clone(),
        family_name: personal.family_name.clone(),
        name_prefix: text(&personal.name_prefix),
        name_addition: text(&personal.name_addition),
        title: text(&personal.title),
        gender: personal.gender.map(|gender| gender.letter().to_string()).unwrap_or_default(),
        street_address: personal.street_address.as_ref().map(|address| v1::Address {
            street: text(&address.street),
            house_number: text(&address.house_number),
            addition: text(&address.addition),
            post_box: String::new(),
            postal_code: text(&address.postal_code),
            city: text(&address.city),
            country: text(&address.country),
        }),
        post_box_address: personal.post_box_address.as_ref().map(|address| v1::Address {
            post_box: text(&address.post_box),
            postal_code: text(&address.postal_code),
            city: text(&address.city),
            country: text(&address.country),
            ..v1::Address::default()
        }),
    }
}

pub(super) fn coverage(record: &InsuranceRecord) -> v1::CoverageData {
    let coverage = &record.coverage;
    let day = |date: Option<egk_reader::PartialDate>| date.and_then(|date| date.to_iso()).unwrap_or_default();
    v1::CoverageData {
        begin: day(coverage.begin),
        end: day(coverage.end),
        payer: Some(payer(&coverage.payer)),
        billing_payer: coverage.billing_payer.as_ref().map(payer),
        insured_type: coverage.insured_type().unwrap_or_default().to_owned(),
        region: coverage.wop().unwrap_or_default().to_owned(),
    }
}

pub(super) fn insurance_status(record: &InsuranceRecord) -> v1::InsuranceStatus {
    let second = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");
    let version =
        |version: egk_reader::FileVersion| format!("{}.{}.{}", version.major, version.minor, version.patch);
    v1::InsuranceStatus {
        updated: record.status.updated.and_then(|at| at.format(&second).ok()).unwrap_or_default(),
        schema_version: record.status.schema_version.map(version).unwrap_or_default(),
    }
}

fn payer(payer: &Payer) -> v1::Payer {
    v1::Payer { institution_number: payer.ik.clone(), country: text(&payer.country), name: text(&payer.name) }
}

fn text(optional: &Option<String>) -> String {
    optional.clone().unwrap_or_default()
}

fn whole(duration: Duration) -> prost_types::Duration {
    prost_types::Duration {
        seconds: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(duration.subsec_nanos()).unwrap_or(0),
    }
}

/// `ContentTypeMismatch` becomes `CONTENT_TYPE_MISMATCH`.
fn screaming(name: &str) -> String {
    let mut out = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(letter.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_findings_are_stable_identifiers() {
        assert_eq!(screaming("ContentTypeMismatch"), "CONTENT_TYPE_MISMATCH");
        assert_eq!(screaming("Ber"), "BER");
    }

    #[test]
    fn times_keep_their_fraction() {
        let at = OffsetDateTime::from_unix_timestamp_nanos(1_500_000_000).unwrap();
        assert_eq!(timestamp(at), prost_types::Timestamp { seconds: 1, nanos: 500_000_000 });
    }
}
