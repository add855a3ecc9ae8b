//! VerifySignature: what `cades` reports, judged under the configured policy.

use std::sync::Arc;

use cades::{Policy, Report, Revocation, Verdict};
use proto::v1;
use time::OffsetDateTime;

use super::{Caller, Refusal, State, blocking, convert};
use crate::{certificate::Certificate, config::Verification};

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
    blocking(move || {
        let report = cades::verify(&request.cms, &state.anchors, OffsetDateTime::now_utc())?;
        Ok(answer(report, &state.config.verification))
    })
    .await?
}

fn answer(report: Report, configured: &Verification) -> v1::VerifySignatureResponse {
    let revocation =
        if configured.require_revocation { Revocation::Required } else { Revocation::NotRequired };
    let judgement = report.judge(&Policy { revocation, qualified: configured.require_qualified });
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
        signing_time: report.signing_time.map(convert::timestamp),
        content: report.content,
        reasons: judgement.reasons.iter().map(ToString::to_string).collect(),
    }
}
