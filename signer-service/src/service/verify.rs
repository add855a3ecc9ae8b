//! VerifySignature: what `cades` reports, judged under the configured policy.

use std::sync::Arc;

use cades::{CurrentStatus, EmbeddedStatus, Policy, Report, Revocation, Signer, ValidityModel, Verdict};
use proto::v1::{self, certificate_status::State as Known};
use time::OffsetDateTime;

use super::{Caller, Refusal, State, blocking, convert};
use crate::{
    certificate::Certificate,
    config::{RevocationDemand, Verification},
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
    let shared = Arc::clone(&state);
    let read = move || cades::verify(&request.cms, &shared.anchors, OffsetDateTime::now_utc());
    let mut report = blocking(read).await??;
    if request.check_revocation_now
        && let Some(signer) = &report.signer
    {
        let asked = state.ocsp.status(&signer.certificate, &state.anchors, state.ocsp.verification_age());
        report.current_status = match asked.await {
            Ok(known) => CurrentStatus::Answered(known.answer.clone()),
            Err(error) => CurrentStatus::Unavailable(error.to_string()),
        };
    }
    Ok(answer(report, &state.config.verification))
}

fn answer(report: Report, configured: &Verification) -> v1::VerifySignatureResponse {
    let (revocation, revocation_policy) = match configured.revocation {
        RevocationDemand::Required => (Revocation::Required, "required"),
        RevocationDemand::EmbeddedSuffices => (Revocation::EmbeddedSuffices, "embedded-suffices"),
        RevocationDemand::NotRequired => (Revocation::NotRequired, "not-required"),
    };
    let policy = match configured.require_qualified {
        true => Policy { revocation, ..Policy::default() },
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
