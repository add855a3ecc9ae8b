//! Answers as text for people and as JSON for programs.

use std::fmt::Write;

use proto::v1;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(super) fn signed(answer: &v1::SignPrescriptionResponse) -> String {
    let mut text = Lines::default();
    text.line("signed by", &subject(answer.signer.as_ref()));
    text.line("signing time", &time(answer.signing_time));
    text.line("algorithm", &answer.algorithm);
    text.line("size", &format!("{} bytes", answer.cms.len()));
    text.line("audit record", &answer.audit_sequence.to_string());
    text.findings(&answer.findings);
    text.times(&answer.times);
    text.finish()
}

pub(super) fn signed_json(answer: &v1::SignPrescriptionResponse) -> Value {
    json!({
        "signer": certificate(answer.signer.as_ref()),
        "signing_time": time(answer.signing_time),
        "algorithm": answer.algorithm,
        "prescription_sha256": hex::encode(&answer.prescription_sha256),
        "audit_sequence": answer.audit_sequence,
        "replayed": answer.replayed,
        "comfort_session": answer.comfort_session.as_ref().map(comfort_json),
        "findings": findings(&answer.findings),
        "milliseconds": milliseconds(&answer.times),
    })
}

pub(super) fn prepared(answer: &v1::PreparePrescriptionResponse) -> String {
    let mut text = Lines::default();
    text.line("reader", &answer.reader);
    text.line("co-payment status", if answer.co_payment_filled { "filled in" } else { "left as it was" });
    text.findings(&answer.findings);
    text.finish()
}

pub(super) fn prepared_json(answer: &v1::PreparePrescriptionResponse) -> Value {
    json!({
        "reader": answer.reader,
        "co_payment_filled": answer.co_payment_filled,
        "findings": findings(&answer.findings),
    })
}

pub(super) fn comfort(session: &v1::ComfortSession) -> String {
    let mut text = Lines::default();
    text.line("activated", &time(session.activated_at));
    text.line("ends at", &time(session.ends_at));
    text.line("signed", &session.signed.to_string());
    text.line("left by policy", &session.remaining_by_policy.to_string());
    text.line("left by card", &session.remaining_by_card.map(|left| left.to_string()).unwrap_or_default());
    text.line("sessions on card", &session.sessions_on_card.to_string());
    text.findings(&session.warnings);
    text.finish()
}

pub(super) fn comfort_json(session: &v1::ComfortSession) -> Value {
    json!({
        "activated_at": time(session.activated_at),
        "ends_at": time(session.ends_at),
        "signed": session.signed,
        "remaining_by_policy": session.remaining_by_policy,
        "remaining_by_card": session.remaining_by_card,
        "sessions_on_card": session.sessions_on_card,
        "warnings": findings(&session.warnings),
    })
}

pub(super) fn verified(answer: &v1::VerifySignatureResponse) -> String {
    let mut text = Lines::default();
    text.line("verdict", short(answer.verdict().as_str_name(), "VERDICT_"));
    for reason in &answer.reasons {
        text.line("", reason);
    }
    let mathematics = answer.mathematics.unwrap_or_default();
    text.line("content digest", right(mathematics.content_digest));
    text.line("signature", right(mathematics.signature));
    text.line("certificate chain", &answer.chain_text);
    text.line("signed by", &subject(answer.signer.as_ref()));
    text.line("signing time", &time(answer.signing_time));
    text.line("status at signing", &status(answer.status_at_signing.as_ref()));
    text.line("status now", &status(answer.status_now.as_ref()));
    let facts = answer.signer_facts.clone().unwrap_or_default();
    text.line("profession", &facts.profession_oids.join(", "));
    let of =
        if answer.qualified_required { "prescribers' qualified certificates" } else { "any certificate" };
    text.line("policy", &format!("revocation {}, {of}", answer.revocation_policy));
    text.line("content", &format!("{} bytes", answer.content.len()));
    text.findings(&answer.format);
    if let Some(rules) = &answer.prescription_rules {
        let state = short(rules.state().as_str_name(), "STATE_").to_lowercase().replace('_', " ");
        text.line("prescription rules", &state);
        text.line("flow type", &rules.flow_type);
        text.findings(&rules.findings);
    }
    text.finish()
}

pub(super) fn verified_json(answer: &v1::VerifySignatureResponse) -> Value {
    let mathematics = answer.mathematics.unwrap_or_default();
    json!({
        "verdict": short(answer.verdict().as_str_name(), "VERDICT_"),
        "reasons": answer.reasons,
        "mathematics": { "content_digest": mathematics.content_digest, "signature": mathematics.signature },
        "chain": short(answer.chain().as_str_name(), "CHAIN_"),
        "format": findings(&answer.format),
        "signer": certificate(answer.signer.as_ref()),
        "signing_time": time(answer.signing_time),
        "status_at_signing": status_json(answer.status_at_signing.as_ref()),
        "status_now": status_json(answer.status_now.as_ref()),
        "signer_facts": answer.signer_facts.as_ref().map(facts_json),
        "revocation_policy": answer.revocation_policy,
        "qualified_required": answer.qualified_required,
        "prescription_rules": answer.prescription_rules.as_ref().map(rules_json),
        "content_bytes": answer.content.len(),
    })
}

fn status(status: Option<&v1::CertificateStatus>) -> String {
    let Some(status) = status else { return String::new() };
    let word = short(status.state().as_str_name(), "STATE_").to_lowercase().replace('_', " ");
    let revoked = status.revoked_at.map(|_| format!("since {}", time(status.revoked_at)));
    let produced = status.produced_at.map(|_| format!("(answer of {})", time(status.produced_at)));
    joined(&[&word, &revoked.unwrap_or_default(), &produced.unwrap_or_default(), &status.text], " ")
}

fn rules_json(rules: &v1::PrescriptionRules) -> Value {
    json!({
        "state": short(rules.state().as_str_name(), "STATE_"),
        "flow_type": rules.flow_type,
        "judged_at": time(rules.judged_at),
        "findings": findings(&rules.findings),
    })
}

fn status_json(status: Option<&v1::CertificateStatus>) -> Value {
    let status = status.cloned().unwrap_or_default();
    json!({
        "state": short(status.state().as_str_name(), "STATE_"),
        "produced_at": time(status.produced_at),
        "revoked_at": time(status.revoked_at),
        "responder": status.responder,
        "text": status.text,
    })
}

fn facts_json(facts: &v1::SignerFacts) -> Value {
    json!({
        "profession_oids": facts.profession_oids,
        "telematik_id": facts.telematik_id,
        "policies": facts.policies,
        "qc_statements": facts.qc_statements,
        "non_repudiation": facts.non_repudiation,
        "validity_model": facts.validity_model,
        "expired_now": facts.expired_now,
    })
}

pub(super) fn insurance(answer: &v1::ReadInsuranceResponse) -> String {
    let mut text = Lines::default();
    let personal = answer.personal.clone().unwrap_or_default();
    let coverage = answer.coverage.clone().unwrap_or_default();
    let name = [
        &personal.title,
        &personal.given_name,
        &personal.name_addition,
        &personal.name_prefix,
        &personal.family_name,
    ];
    text.line("reader", &answer.reader);
    text.line("name", &joined(&name, " "));
    text.line("birth date", &personal.birth_date);
    text.line("insurance number", &personal.insured_id);
    for address in [&personal.street_address, &personal.post_box_address].into_iter().flatten() {
        let street = joined(&[&address.street, &address.house_number, &address.post_box], " ");
        let city = joined(&[&address.country, &address.postal_code, &address.city], " ");
        text.line("address", &joined(&[&street, &address.addition, &city], ", "));
    }
    let payers = [("payer", &coverage.payer), ("billing payer", &coverage.billing_payer)];
    for (title, payer) in payers {
        if let Some(payer) = payer {
            text.line(title, &joined(&[&payer.institution_number, &payer.name], " "));
        }
    }
    text.line("insured until", &coverage.end);
    text.findings(&answer.findings);
    text.times(&answer.times);
    text.finish()
}

pub(super) fn insurance_json(answer: &v1::ReadInsuranceResponse) -> Value {
    let personal = answer.personal.clone().unwrap_or_default();
    let coverage = answer.coverage.clone().unwrap_or_default();
    let status = answer.status.clone().unwrap_or_default();
    let fhir = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    json!({
        "reader": answer.reader,
        "personal": {
            "insured_id": personal.insured_id,
            "birth_date": personal.birth_date,
            "given_name": personal.given_name,
            "family_name": personal.family_name,
            "name_prefix": personal.name_prefix,
            "name_addition": personal.name_addition,
            "title": personal.title,
            "gender": personal.gender,
            "street_address": personal.street_address.as_ref().map(address),
            "post_box_address": personal.post_box_address.as_ref().map(address),
        },
        "coverage": {
            "begin": coverage.begin,
            "end": coverage.end,
            "payer": coverage.payer.as_ref().map(payer),
            "billing_payer": coverage.billing_payer.as_ref().map(payer),
            "insured_type": coverage.insured_type,
            "region": coverage.region,
        },
        "status": { "updated": status.updated, "schema_version": status.schema_version },
        "fhir": { "patient": fhir(&answer.fhir_patient_json), "coverage": fhir(&answer.fhir_coverage_json) },
        "findings": findings(&answer.findings),
        "milliseconds": milliseconds(&answer.times),
    })
}

pub(super) fn authenticated(answer: &v1::AuthenticateClinicianResponse) -> String {
    let mut text = Lines::default();
    text.line("clinician", &subject(answer.certificate.as_ref()));
    text.line("Telematik-ID", &answer.telematik_id);
    text.line("professions", &answer.profession_oids.join(" "));
    text.line("certificate chain", short(answer.chain().as_str_name(), "CHAIN_"));
    text.line("algorithm", &answer.algorithm);
    text.line("nonce", &hex::encode(&answer.nonce));
    text.line("granted", &answer.granted_scopes.join(" "));
    for refused in &answer.refused_scopes {
        text.line("refused", &format!("{} ({})", refused.scope, refused.refused_by));
    }
    text.line("audit record", &answer.audit_sequence.to_string());
    text.times(&answer.times);
    text.finish()
}

pub(super) fn authenticated_json(answer: &v1::AuthenticateClinicianResponse) -> Value {
    json!({
        "certificate": certificate(answer.certificate.as_ref()),
        "telematik_id": answer.telematik_id,
        "profession_oids": answer.profession_oids,
        "granted_scopes": answer.granted_scopes,
        "refused_scopes": answer.refused_scopes.iter()
            .map(|refused| json!({ "scope": refused.scope, "refused_by": refused.refused_by }))
            .collect::<Vec<_>>(),
        "expires_at": time(answer.expires_at),
        "chain": short(answer.chain().as_str_name(), "CHAIN_"),
        "algorithm": answer.algorithm,
        "signed_bytes": String::from_utf8_lossy(&answer.signed_bytes),
        "nonce": hex::encode(&answer.nonce),
        "signature_der": hex::encode(&answer.signature_der),
        "signature_raw": hex::encode(&answer.signature_raw),
        "audit_sequence": answer.audit_sequence,
        "milliseconds": milliseconds(&answer.times),
    })
}

pub(super) fn answered_idp(answer: &v1::AnswerIdpChallengeResponse) -> String {
    let mut text = Lines::default();
    text.line("clinician", &subject(answer.certificate.as_ref()));
    text.line("certificate chain", short(answer.chain().as_str_name(), "CHAIN_"));
    text.line("audit record", &answer.audit_sequence.to_string());
    text.times(&answer.times);
    text.finish()
}

pub(super) fn answered_idp_json(answer: &v1::AnswerIdpChallengeResponse) -> Value {
    json!({
        "certificate": certificate(answer.certificate.as_ref()),
        "chain": short(answer.chain().as_str_name(), "CHAIN_"),
        "audit_sequence": answer.audit_sequence,
        "milliseconds": milliseconds(&answer.times),
    })
}

pub(super) fn cards(answer: &v1::ListCardsResponse) -> String {
    let mut text = String::new();
    for token in &answer.tokens {
        let state = short(token.pin_state().as_str_name(), "PIN_STATE_").to_lowercase().replace('_', " ");
        let _ = writeln!(text, "{} (...{}) in {}, PIN {state}", token.label, token.serial_suffix, token.slot);
        for object in &token.certificates {
            let role = match (object.signs_prescriptions, object.authenticates) {
                (true, true) => "  <- signs prescriptions, authenticates",
                (true, false) => "  <- signs prescriptions",
                (false, true) => "  <- authenticates",
                (false, false) => "",
            };
            let until = time(object.not_after);
            let until = until.get(..10).unwrap_or_default();
            let _ = writeln!(text, "  {:<20} {:<20} until {until}{role}", object.label, object.key_type);
        }
    }
    if answer.tokens.is_empty() {
        text.push_str("no health professional card\n");
    }
    for reader in &answer.insurance_readers {
        let state = if reader.card_present { "card inserted" } else { "empty" };
        let _ = writeln!(text, "reader for insurance cards: {} ({state})", reader.name);
    }
    text.trim_end().to_owned()
}

pub(super) fn cards_json(answer: &v1::ListCardsResponse) -> Value {
    let object = |object: &v1::TokenCertificate| {
        json!({
            "label": object.label,
            "key_type": object.key_type,
            "purpose": short(object.purpose().as_str_name(), "KEY_PURPOSE_"),
            "issuer": object.issuer,
            "not_before": time(object.not_before),
            "not_after": time(object.not_after),
            "signs_prescriptions": object.signs_prescriptions,
            "authenticates": object.authenticates,
        })
    };
    let token = |token: &v1::Token| {
        json!({
            "label": token.label,
            "serial_suffix": token.serial_suffix,
            "model": token.model,
            "slot": token.slot,
            "pin_state": short(token.pin_state().as_str_name(), "PIN_STATE_"),
            "pin_pad": token.pin_pad,
            "certificates": token.certificates.iter().map(object).collect::<Vec<_>>(),
        })
    };
    let reader = |reader: &v1::Reader| json!({ "name": reader.name, "card_present": reader.card_present });
    json!({
        "tokens": answer.tokens.iter().map(token).collect::<Vec<_>>(),
        "insurance_readers": answer.insurance_readers.iter().map(reader).collect::<Vec<_>>(),
    })
}

/// Two columns.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn line(&mut self, title: &str, value: &str) {
        if !value.is_empty() {
            let _ = writeln!(self.0, "{title:<18} {value}");
        }
    }

    fn findings(&mut self, findings: &[v1::Finding]) {
        for finding in findings {
            let severity = short(finding.severity().as_str_name(), "SEVERITY_").to_lowercase();
            let place =
                if finding.place.is_empty() { String::new() } else { format!(" at {}", finding.place) };
            self.line(&severity, &format!("{} ({}{place})", finding.text, finding.rule));
        }
    }

    fn times(&mut self, times: &[v1::StepTime]) {
        for step in times {
            let _ = writeln!(self.0, "  {:<18}{:>9.1} ms", step.step, duration_ms(step));
        }
    }

    fn finish(self) -> String {
        self.0.trim_end().to_owned()
    }
}

fn duration_ms(step: &v1::StepTime) -> f64 {
    let duration = step.duration.unwrap_or_default();
    f64::from(i32::try_from(duration.seconds).unwrap_or(i32::MAX)) * 1e3 + f64::from(duration.nanos) / 1e6
}

fn milliseconds(times: &[v1::StepTime]) -> Value {
    times
        .iter()
        .map(|step| (step.step.clone(), json!(duration_ms(step))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn findings(findings: &[v1::Finding]) -> Vec<Value> {
    let one = |finding: &v1::Finding| {
        json!({
            "severity": short(finding.severity().as_str_name(), "SEVERITY_"),
            "rule": finding.rule,
            "place": finding.place,
            "text": finding.text,
        })
    };
    findings.iter().map(one).collect()
}

fn certificate(certificate: Option<&v1::Certificate>) -> Value {
    let Some(certificate) = certificate else { return Value::Null };
    json!({
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": certificate.serial,
        "not_before": time(certificate.not_before),
        "not_after": time(certificate.not_after),
        "der": hex::encode(&certificate.der),
    })
}

fn subject(certificate: Option<&v1::Certificate>) -> String {
    certificate
        .map(|certificate| format!("{} ({})", certificate.subject, certificate.issuer))
        .unwrap_or_default()
}

fn address(address: &v1::Address) -> Value {
    json!({
        "street": address.street,
        "house_number": address.house_number,
        "addition": address.addition,
        "post_box": address.post_box,
        "postal_code": address.postal_code,
        "city": address.city,
        "country": address.country,
    })
}

fn payer(payer: &v1::Payer) -> Value {
    json!({ "institution_number": payer.institution_number, "country": payer.country, "name": payer.name })
}

/// RFC 3339, or empty.
pub(super) fn time(at: Option<prost_types::Timestamp>) -> String {
    at.and_then(|at| OffsetDateTime::from_unix_timestamp(at.seconds).ok())
        .and_then(|at| at.format(&Rfc3339).ok())
        .unwrap_or_default()
}

fn short<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
}

fn right(right: bool) -> &'static str {
    if right { "right" } else { "WRONG" }
}

fn joined(parts: &[&String], separator: &str) -> String {
    let parts: Vec<&str> = parts.iter().map(|part| part.as_str()).filter(|part| !part.is_empty()).collect();
    parts.join(separator)
}
