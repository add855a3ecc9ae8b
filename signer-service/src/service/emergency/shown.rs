//! Cases of emergency access as messages of the contract.

use proto::v1;
use time::OffsetDateTime;

use super::super::convert;
use crate::emergency::{Act, Case, PURPOSES, REASONS, Step};

/// In the order of [`REASONS`].
const REASON_VALUES: [v1::EmergencyReason; 4] = [
    v1::EmergencyReason::Unconscious,
    v1::EmergencyReason::LifeThreatening,
    v1::EmergencyReason::ConsentNotObtainable,
    v1::EmergencyReason::Other,
];
/// In the order of [`PURPOSES`].
const PURPOSE_VALUES: [v1::PurposeOfUse; 2] = [v1::PurposeOfUse::Btg, v1::PurposeOfUse::Etreat];

pub(super) fn reason_code(reason: v1::EmergencyReason) -> Option<&'static str> {
    REASON_VALUES.iter().position(|value| *value == reason).and_then(|at| REASONS.get(at)).copied()
}

/// Nothing said: break the glass.
pub(super) fn purpose_code(purpose: v1::PurposeOfUse) -> &'static str {
    let at = PURPOSE_VALUES.iter().position(|value| *value == purpose);
    at.and_then(|at| PURPOSES.get(at)).copied().unwrap_or("BTG")
}

/// For audit records.
pub(super) fn act(act: &Act) -> String {
    match act {
        Act::Request(wanted) => {
            format!("{} {}: {}", wanted.purpose_of_use, wanted.reason_code, wanted.reason)
        }
        Act::Decide { approved: true } => "approved".to_owned(),
        Act::Decide { approved: false } => "denied".to_owned(),
        Act::Revoke => "revoked".to_owned(),
        Act::Review { justified: true, text } => format!("reviewed, justified: {text}"),
        Act::Review { justified: false, text } => format!("reviewed, not justified: {text}"),
    }
}

/// A case; none of one without a request, which no case is. Reviews of accesses that ended before `due` (seconds since
/// 1970) are overdue.
pub(super) fn access(case: &Case, now: OffsetDateTime, due: i64) -> Option<v1::EmergencyAccess> {
    let (wanted, asked) = case.request()?;
    let value = |codes: &[&str], code: &str| codes.iter().position(|known| *known == code);
    let reason = value(&REASONS, &wanted.reason_code).and_then(|at| REASON_VALUES.get(at)).copied();
    let purpose = value(&PURPOSES, &wanted.purpose_of_use).and_then(|at| PURPOSE_VALUES.get(at)).copied();
    let review = case.review();
    Some(v1::EmergencyAccess {
        request_id: asked.statement.request_id.clone(),
        standing: case.standing(now).code().to_owned(),
        patient: wanted.patient.clone(),
        reason: reason.unwrap_or_default().into(),
        reason_text: wanted.reason.clone(),
        purpose: purpose.unwrap_or_default().into(),
        scopes: wanted.scopes.clone(),
        requested_at: Some(convert::timestamp(asked.statement.at)),
        expires_at: Some(convert::timestamp(wanted.expires_at)),
        requester: Some(party(asked)),
        decided_by: case.decision().map(|(_, step)| party(step)),
        revoked_by: case.revocation().map(party),
        reviewed_by: review.map(|(_, _, step)| party(step)),
        wants_review: case.wants_review(),
        justified: review.is_some_and(|(justified, _, _)| justified),
        review_text: review.map(|(_, text, _)| text.to_owned()).unwrap_or_default(),
        offline: case.steps.iter().any(|step| step.ocsp.is_none()),
        review_overdue: case.wants_review() && case.over_since().unix_timestamp() <= due,
        uses: u32::try_from(case.accesses.len()).unwrap_or(u32::MAX),
    })
}

fn party(step: &Step) -> v1::EmergencyParty {
    let party = &step.signed_by;
    v1::EmergencyParty {
        telematik_id: party.telematik_id.clone(),
        profession_oids: party.professions.clone(),
        certificate_issuer: party.certificate_issuer.clone(),
        certificate_serial: party.certificate_serial.clone(),
        at: Some(convert::timestamp(step.statement.at)),
    }
}
