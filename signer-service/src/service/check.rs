//! CheckPrescription, and the same rules before SignPrescription: broken rules refuse the signature before a PIN is
//! spent, unless the operator switched them off and said why.

use std::sync::Arc;

use proto::v1;
use time::OffsetDateTime;

use super::{Caller, Refusal, State, blocking, convert, find_key, selector};
use crate::{
    config::Rules,
    prescription::{Finding, Prescription, Rule, Severity},
    token::Purpose,
};

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    request: v1::CheckPrescriptionRequest,
) -> Result<v1::CheckPrescriptionResponse, Refusal> {
    let (limit, got) = (state.config.limits.prescription_bytes, request.prescription.len());
    if got == 0 {
        return Err(Refusal::BadRequest { field: "prescription", problem: "is missing" });
    }
    if got > limit {
        return Err(Refusal::TooLarge { limit, got });
    }
    let professions = match request.card {
        None => None,
        Some(card) => {
            let chosen = find_key(&state, &caller, selector(Some(card))?, Purpose::Signature).await?;
            Some(chosen.certificate.certificate.professions.clone())
        }
    };
    let content = request.prescription;
    let answer = blocking(move || {
        let prescription = Prescription::parse(Arc::new(content))?;
        let findings = findings(&prescription, OffsetDateTime::now_utc(), professions.as_deref())?;
        Ok::<_, Refusal>(judge(&findings, &state.config.rules))
    })
    .await?;
    let findings = answer.unwrap_or_else(|refusal| vec![convert::refused_document(&refusal)]);
    Ok(v1::CheckPrescriptionResponse { signable: !findings.iter().any(is_error), findings })
}

pub(super) fn is_error(finding: &v1::Finding) -> bool {
    finding.severity() == v1::Severity::Error
}

/// Everything the rules say of a document that is signed at a time by somebody of these professions.
pub(super) fn findings(
    prescription: &Prescription,
    at: OffsetDateTime,
    professions: Option<&[String]>,
) -> Result<Vec<Finding>, Refusal> {
    let mut findings = prescription.check(at)?;
    findings.extend(professions.and_then(|professions| prescription.check_profession(professions)));
    Ok(findings)
}

/// Findings as they are answered. A rule that is switched off is told with its reason.
pub(super) fn judge(findings: &[Finding], rules: &Rules) -> Vec<v1::Finding> {
    let answer = |finding: &Finding| {
        let off = rules.off.get(finding.rule.code());
        convert::finding(finding, off.map(String::as_str))
    };
    findings.iter().map(answer).collect()
}

/// Refuses what breaks a rule that counts.
pub(super) fn enforce(findings: &[Finding], rules: &Rules) -> Result<(), Refusal> {
    let counts = |rule: &Rule| rule.severity() == Severity::Error && !rules.off.contains_key(rule.code());
    let mut broken: Vec<Rule> = findings.iter().map(|finding| finding.rule).filter(counts).collect();
    broken.dedup();
    if broken.is_empty() { Ok(()) } else { Err(Refusal::RulesBroken(broken)) }
}

/// What goes into the audit trail of each signature.
pub(super) fn switched_off(rules: &Rules) -> Option<String> {
    let texts: Vec<String> = rules.off.iter().map(|(rule, reason)| format!("{rule} ({reason})")).collect();
    (!texts.is_empty()).then(|| format!("rules off: {}", texts.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rule: Rule) -> Vec<Finding> {
        vec![Finding { rule, place: "Bundle".into() }]
    }

    #[test]
    fn errors_refuse_and_warnings_do_not() {
        let rules = Rules::default();
        assert!(matches!(
            enforce(&of(Rule::AuthoredOn), &rules),
            Err(Refusal::RulesBroken(broken)) if broken == [Rule::AuthoredOn]
        ));
        assert!(enforce(&of(Rule::DoctorNumber), &rules).is_ok());
    }

    #[test]
    fn a_rule_that_is_off_is_told_with_its_reason_and_refuses_nothing() {
        let off = [("AUTHORED_ON".to_owned(), "archived documents".to_owned())].into();
        let rules = Rules { off };
        assert!(enforce(&of(Rule::AuthoredOn), &rules).is_ok());
        let told = judge(&of(Rule::AuthoredOn), &rules);
        assert_eq!(told[0].severity(), v1::Severity::Information);
        assert!(told[0].text.contains("archived documents"));
        assert_eq!(switched_off(&rules).as_deref(), Some("rules off: AUTHORED_ON (archived documents)"));
        assert!(enforce(&of(Rule::KvnrCheckDigit), &rules).is_err());
    }
}
