//! VerifySignature: what `cades` reports and what the rules of prescriptions say of the content, judged under a policy.

use std::{cmp::Reverse, sync::Arc};

use cades::{CurrentStatus, EmbeddedStatus, Policy, Report, Revocation, Signer, ValidityModel, Verdict};
use proto::v1::{
    self, RevocationPolicy, certificate_status::State as Known, prescription_rules::State as RulesState,
};
use time::OffsetDateTime;

use super::{Caller, Refusal, State, blocking, check, convert};
use crate::{
    certificate::Certificate,
    config::{RevocationDemand, Rules},
    prescription::Prescription,
};

pub(super) async fn call(
    state: Arc<State>,
    _caller: Caller,
    request: v1::VerifySignatureRequest,
) -> Result<v1::VerifySignatureResponse, Refusal> {
    let (limit, got) = (state.config.limits.cms_bytes, request.cms.len());
    if got == 0 {
        return Err(Refusal::BadRequest { field: "cms", problem: "is missing" });
    }
    if got > limit {
        return Err(Refusal::TooLarge { limit, got });
    }
    let demand = demand(request.revocation_policy, state.config.verification.revocation)?;
    let shared = Arc::clone(&state);
    let read = move || {
        let now = OffsetDateTime::now_utc();
        let report = cades::verify(&request.cms, &shared.anchors, now)?;
        let limit = shared.config.limits.prescription_bytes;
        let content = content(&report, limit, &shared.config.rules, now);
        Ok::<_, Refusal>((report, content))
    };
    let (mut report, content) = blocking(read).await??;
    if request.check_revocation_now
        && let Some(signer) = &report.signer
    {
        let asked = state.ocsp.status(&signer.certificate, &state.anchors, state.ocsp.verification_age());
        report.current_status = match asked.await {
            Ok(known) => CurrentStatus::Answered(known.answer.clone()),
            Err(error) => CurrentStatus::Unavailable(error.to_string()),
        };
    }
    Ok(answer(report, content, demand, state.config.verification.require_qualified))
}

/// What is known of the signed document.
struct Content {
    rules: v1::PrescriptionRules,
    /// Who may sign it.
    prescribers: &'static [&'static str],
}

/// The caller's wish, else the configuration.
fn demand(wish: i32, configured: RevocationDemand) -> Result<RevocationDemand, Refusal> {
    let problem = "expected one of RevocationPolicy";
    match RevocationPolicy::try_from(wish) {
        Err(_) => Err(Refusal::BadRequest { field: "revocation_policy", problem }),
        Ok(RevocationPolicy::Unspecified) => Ok(configured),
        Ok(RevocationPolicy::Required) => Ok(RevocationDemand::Required),
        Ok(RevocationPolicy::EmbeddedSuffices) => Ok(RevocationDemand::EmbeddedSuffices),
        Ok(RevocationPolicy::NotRequired) => Ok(RevocationDemand::NotRequired),
    }
}

/// What the rules say of the document for the time of its signature, if it has at most `limit` bytes.
fn content(report: &Report, limit: usize, off: &Rules, now: OffsetDateTime) -> Content {
    let at = report.signing_time.unwrap_or(now);
    let professions = report.signer.as_ref().map(|signer| signer.profession_oids.as_slice());
    let got = report.content.len();
    let read = || {
        if got > limit {
            return Err(Refusal::TooLarge { limit, got });
        }
        let prescription = Prescription::parse(Arc::new(report.content.clone()))?;
        let findings = check::findings(&prescription, at, professions)?;
        Ok((prescription, findings))
    };
    let mut rules = v1::PrescriptionRules { judged_at: Some(convert::timestamp(at)), ..Default::default() };
    match read() {
        Err(refusal) => {
            rules.set_state(RulesState::NotAPrescription);
            rules.findings.push(convert::refused_document(&refusal));
            Content { rules, prescribers: cades::PRESCRIBERS }
        }
        Ok((prescription, findings)) => {
            rules.findings = check::judge(&findings, off);
            rules.findings.sort_by_key(|finding| Reverse(finding.severity));
            let is_broken = rules.findings.iter().any(check::is_error);
            rules.set_state(if is_broken { RulesState::Broken } else { RulesState::Kept });
            rules.flow_type = prescription.flow_type().unwrap_or_default().to_owned();
            Content { rules, prescribers: prescription.prescribers().unwrap_or(cades::PRESCRIBERS) }
        }
    }
}

fn answer(
    report: Report,
    content: Content,
    demand: RevocationDemand,
    qualified_required: bool,
) -> v1::VerifySignatureResponse {
    let (revocation, revocation_policy) = match demand {
        RevocationDemand::Required => (Revocation::Required, "required"),
        RevocationDemand::EmbeddedSuffices => (Revocation::EmbeddedSuffices, "embedded-suffices"),
        RevocationDemand::NotRequired => (Revocation::NotRequired, "not-required"),
    };
    let policy = match qualified_required {
        true => Policy { revocation, professions: content.prescribers, ..Policy::default() },
        false => Policy { revocation, qualified: false, certificate_policies: &[], professions: &[] },
    };
    let judgement = report.judge(&policy);
    let verdict = match judgement.verdict {
        Verdict::Valid => v1::Verdict::Valid,
        Verdict::Invalid => v1::Verdict::Invalid,
        Verdict::Inconclusive => v1::Verdict::Inconclusive,
    };
    let signer = report.signer.as_ref().and_then(|signer| Certificate::parse(&signer.certificate).ok());
    v1::VerifySignatureResponse {
        verdict: verdict.into(),
        mathematics: Some(v1::Mathematics {
            content_digest: report.mathematics.content_digest,
            signature: report.mathematics.signature,
        }),
        format: report.format.iter().map(convert::format_finding).collect(),
        chain: convert::chain(&report.chain).into(),
        chain_text: report.chain.to_string(),
        signer: signer.as_ref().map(convert::certificate),
        signer_facts: report.signer.as_ref().map(facts),
        signing_time: report.signing_time.map(convert::timestamp),
        status_at_signing: Some(embedded(&report.embedded_status)),
        status_now: Some(current(&report.current_status)),
        content: report.content,
        reasons: judgement.reasons.iter().map(ToString::to_string).collect(),
        revocation_policy: revocation_policy.to_owned(),
        prescription_rules: Some(content.rules),
        qualified_required,
    }
}

fn facts(signer: &Signer) -> v1::SignerFacts {
    v1::SignerFacts {
        profession_oids: signer.profession_oids.clone(),
        telematik_id: signer.registration_number.clone().unwrap_or_default(),
        policies: signer.policies.clone(),
        qc_statements: signer.qc_statements.clone(),
        non_repudiation: signer.non_repudiation,
        validity_model: match signer.validity_model {
            ValidityModel::NotStated => "",
            ValidityModel::Chain => "chain",
            ValidityModel::Shell => "shell",
        }
        .to_owned(),
        expired_now: signer.expired_now,
    }
}

fn embedded(status: &EmbeddedStatus) -> v1::CertificateStatus {
    match status {
        EmbeddedStatus::Absent => convert::no_status(Known::NotChecked, String::new()),
        EmbeddedStatus::Unusable(error) => convert::no_status(Known::Unusable, error.to_string()),
        EmbeddedStatus::Answered(answer) => convert::status(answer),
    }
}

fn current(status: &CurrentStatus) -> v1::CertificateStatus {
    match status {
        CurrentStatus::NotChecked => convert::no_status(Known::NotChecked, String::new()),
        CurrentStatus::Unavailable(why) => convert::no_status(Known::Unusable, why.clone()),
        CurrentStatus::Answered(answer) => convert::status(answer),
    }
}

#[cfg(test)]
mod tests {
    use cades::{Chain, Mathematics};
    use time::macros::datetime;

    use super::*;
    use crate::prescription::tests::WHOLE;

    /// A report about a document that somebody of this profession signed at a time.
    fn report(text: &str, profession: &str, signing_time: OffsetDateTime) -> Report {
        let signer = Signer {
            certificate: Vec::new(),
            common_name: None,
            serial_number: String::new(),
            issuer_common_name: None,
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2027-01-01 0:00 UTC),
            expired_now: true,
            non_repudiation: true,
            qc_compliance: true,
            qc_statements: Vec::new(),
            validity_model: ValidityModel::Chain,
            issuer_qualified: None,
            policies: cades::QUALIFIED_HBA.iter().take(1).map(ToString::to_string).collect(),
            profession_oids: vec![format!("1.2.276.0.76.4.{profession}")],
            registration_number: None,
        };
        Report {
            content: text.as_bytes().to_vec(),
            signing_time: Some(signing_time),
            mime_type: None,
            signer: Some(signer),
            mathematics: Mathematics { content_digest: true, signature: true },
            format: Vec::new(),
            chain: Chain::Ok,
            ocsp_responses: Vec::new(),
            embedded_status: EmbeddedStatus::Absent,
            current_status: CurrentStatus::NotChecked,
        }
    }

    fn judged(report: Report) -> v1::VerifySignatureResponse {
        let years_later = datetime!(2031-05-05 12:00 UTC);
        let content = content(&report, 1 << 20, &Rules::default(), years_later);
        answer(report, content, RevocationDemand::NotRequired, true)
    }

    #[test]
    fn dates_are_compared_with_the_german_day_of_signing() {
        for (at, state, broken) in [
            (datetime!(2026-11-20 22:59:59 UTC), RulesState::Kept, None),
            (datetime!(2026-11-20 23:00 UTC), RulesState::Broken, Some("AUTHORED_ON")),
        ] {
            let answer = judged(report(WHOLE, "30", at));
            let rules = answer.prescription_rules.clone().unwrap();
            assert_eq!((rules.state(), answer.verdict()), (state, v1::Verdict::Valid));
            assert_eq!(rules.findings.first().map(|finding| finding.rule.as_str()), broken);
            assert_eq!(rules.judged_at, Some(convert::timestamp(at)));
        }
    }

    #[test]
    fn a_profession_that_may_not_sign_the_flow_type_makes_the_verdict_invalid() {
        let at = datetime!(2026-11-20 9:00 UTC);
        let verdict = |flow: &str, profession: &str| {
            let text = WHOLE.replace("160.100", &format!("{flow}.100"));
            let answer = judged(report(&text, profession, at));
            let rules = answer.prescription_rules.clone().unwrap();
            let told = rules.findings.iter().any(|finding| finding.rule == "FLOW_TYPE_PROFESSION");
            assert_eq!(told, answer.verdict() == v1::Verdict::Invalid, "{flow} {profession}");
            answer.verdict()
        };
        for (flow, profession) in [("160", "30"), ("160", "31"), ("162", "45"), ("166", "30")] {
            assert_eq!(verdict(flow, profession), v1::Verdict::Valid, "{flow} {profession}");
        }
        for (flow, profession) in [("160", "45"), ("160", "32"), ("166", "31"), ("209", "46")] {
            assert_eq!(verdict(flow, profession), v1::Verdict::Invalid, "{flow} {profession}");
        }
    }

    #[test]
    fn other_documents_may_be_signed_by_every_prescribing_profession() {
        let answer = judged(report("a letter", "45", datetime!(2026-11-20 9:00 UTC)));
        assert_eq!(answer.verdict(), v1::Verdict::Valid);
        let rules = answer.prescription_rules.unwrap();
        assert_eq!((rules.state(), rules.findings.len()), (RulesState::NotAPrescription, 1));
    }

    #[test]
    fn a_document_beyond_the_limit_is_not_read() {
        let report = report(WHOLE, "30", datetime!(2026-11-20 9:00 UTC));
        let rules = content(&report, 100, &Rules::default(), datetime!(2026-11-20 9:00 UTC)).rules;
        assert_eq!(
            (rules.state(), rules.findings[0].rule.as_str()),
            (RulesState::NotAPrescription, "TOO_LARGE")
        );
    }
}
