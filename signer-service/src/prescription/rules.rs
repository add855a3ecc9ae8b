//! Which documents are signed, and what is remarked on them.
//!
//! Two kinds of rules: those that make the bytes a prescription document at all refuse the signature
//! ([`NotAPrescription`]); those another party may refuse it for become [`Finding`]s, see [`super::catalogue`]. Shapes and counts are those of
//! profile KBV_PR_ERP_Bundle 1.3 and 1.4 (packages kbv.ita.erp 1.3.3 and 1.4.3).

use thiserror::Error;

use super::{PRIVATE_KVNR, Prescription, Rule, check_digit};

/// Canonical URL of the bundle profile, without version.
const PROFILE: &str = "https://fhir.kbv.de/StructureDefinition/KBV_PR_ERP_Bundle";
/// Versions of the profile whose rules are known here.
const PROFILE_VERSIONS: [&str; 2] = ["1.3", "1.4"];
/// Naming system of prescription numbers.
const PRESCRIPTION_ID: &str = "https://gematik.de/fhir/erp/NamingSystem/GEM_ERP_NS_PrescriptionId";

/// A rule whose breach means: this is no prescription document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAPrescription {
    /// The root is not a FHIR Bundle.
    #[error("the root element is not Bundle in the FHIR namespace")]
    Root,
    /// Another kind of bundle.
    #[error("Bundle.type is not \"document\"")]
    Type,
    /// Another kind of document.
    #[error("Bundle.meta.profile does not name KBV_PR_ERP_Bundle")]
    Profile,
    /// None, or several.
    #[error("not exactly one Composition")]
    Composition,
    /// None for a medication order, or several.
    #[error("not exactly one Patient")]
    Patient,
    /// Several.
    #[error("more than one Coverage")]
    Coverage,
}

/// A broken rule. Quotes nothing of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Which rule.
    pub rule: Rule,
    /// Where.
    pub place: String,
}

impl NotAPrescription {
    /// Stable name, for programs.
    pub fn code(self) -> &'static str {
        match self {
            NotAPrescription::Root => "ROOT",
            NotAPrescription::Type => "BUNDLE_TYPE",
            NotAPrescription::Profile => "BUNDLE_PROFILE",
            NotAPrescription::Composition => "ONE_COMPOSITION",
            NotAPrescription::Patient => "ONE_PATIENT",
            NotAPrescription::Coverage => "AT_MOST_ONE_COVERAGE",
        }
    }
}

/// Refuses what is no prescription document and lists what is remarkable about the others.
///
/// # Errors
/// The first rule that is broken.
pub(super) fn check(prescription: &Prescription) -> Result<Vec<Finding>, NotAPrescription> {
    structure(prescription)?;
    let mut findings = Vec::new();
    let mut remark = |rule, place: String| findings.push(Finding::of(rule, place));
    if prescription.profile_version().is_none() {
        remark(Rule::ProfileVersion, "Bundle/meta/profile".into());
    }
    if let Some(rule) = prescription_id(prescription) {
        remark(rule, "Bundle/identifier/value".into());
    }
    if let Some(patient) = prescription.patient() {
        if let Some(rule) = kvnr(patient.kvnr()) {
            remark(rule, format!("{}/identifier/value", patient.place()));
        }
        if prescription.profile_version().is_some() && patient.has_number_of(PRIVATE_KVNR) {
            remark(Rule::KvnrSystem, format!("{}/identifier/system", patient.place()));
        }
    }
    Ok(findings)
}

fn structure(prescription: &Prescription) -> Result<(), NotAPrescription> {
    if prescription.root_name() != "Bundle" {
        return Err(NotAPrescription::Root);
    }
    if prescription.bundle_type() != Some("document") {
        return Err(NotAPrescription::Type);
    }
    if !prescription.profiles().any(is_bundle_profile) {
        return Err(NotAPrescription::Profile);
    }
    let count = |name| prescription.resources(name).count();
    if count("Composition") != 1 {
        return Err(NotAPrescription::Composition);
    }
    match count("Patient") {
        1 => {}
        // An order for the practice's own supply is for no patient.
        0 if count("SupplyRequest") == 1 && count("MedicationRequest") == 0 => {}
        _ => return Err(NotAPrescription::Patient),
    }
    if count("Coverage") > 1 { Err(NotAPrescription::Coverage) } else { Ok(()) }
}

fn is_bundle_profile(canonical: &str) -> bool {
    canonical.strip_prefix(PROFILE).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
}

impl Prescription {
    /// The version of the bundle profile, if its rules are known here.
    pub(super) fn profile_version(&self) -> Option<&str> {
        let version =
            |canonical: &'_ str| PROFILE_VERSIONS.into_iter().find(|v| canonical == format!("{PROFILE}|{v}"));
        self.profiles().find_map(version)
    }
}

fn prescription_id(prescription: &Prescription) -> Option<Rule> {
    let id = prescription.identifier(PRESCRIPTION_ID).filter(|id| check_digit::is_prescription_id_form(id));
    match id {
        None => Some(Rule::PrescriptionIdFormat),
        Some(id) if !check_digit::prescription_id_is_valid(id) => Some(Rule::PrescriptionIdCheckDigits),
        Some(_) => None,
    }
}

fn kvnr(kvnr: Option<&str>) -> Option<Rule> {
    match kvnr {
        None => Some(Rule::KvnrMissing),
        Some(kvnr) if !check_digit::is_kvnr_form(kvnr) => Some(Rule::KvnrFormat),
        Some(kvnr) if !check_digit::kvnr_is_valid(kvnr) => Some(Rule::KvnrCheckDigit),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::tests::{PRACTICE_SUPPLY, SAMPLE};
    use super::*;

    fn check_text(text: &str) -> Result<Vec<Rule>, NotAPrescription> {
        let prescription = Prescription::parse(Arc::new(text.into())).unwrap();
        check(&prescription).map(|findings| findings.into_iter().map(|finding| finding.rule).collect())
    }

    fn without(text: &str, begin: &str, end: &str) -> String {
        let (head, rest) = text.split_once(begin).unwrap();
        let (_, tail) = rest.split_once(end).unwrap();
        format!("{head}{tail}")
    }

    #[test]
    fn a_good_prescription_has_no_findings() {
        assert_eq!(check_text(SAMPLE), Ok(vec![]));
    }

    #[test]
    fn a_practice_supply_order_needs_neither_patient_nor_coverage() {
        assert_eq!(check_text(PRACTICE_SUPPLY), Ok(vec![]));
    }

    #[test]
    fn other_documents_are_refused_with_the_rule() {
        let cases = [
            (SAMPLE.replace("http://hl7.org/fhir", "urn:other"), NotAPrescription::Root),
            (SAMPLE.replace("\"document\"", "\"collection\""), NotAPrescription::Type),
            (SAMPLE.replace("KBV_PR_ERP_Bundle|1.4", "KBV_PR_ERP_Bundles"), NotAPrescription::Profile),
            (without(SAMPLE, "<!--composition-->", "<!--/composition-->"), NotAPrescription::Composition),
            (without(SAMPLE, "<!--patient-->", "<!--/patient-->"), NotAPrescription::Patient),
            (SAMPLE.replace("MedicationRequest", "Patient"), NotAPrescription::Patient),
            (SAMPLE.replace("MedicationRequest", "Coverage"), NotAPrescription::Coverage),
            (SAMPLE.replace("</Patient>", "</Patient><Patient/>"), NotAPrescription::Patient),
            (
                SAMPLE.replace("</Patient>", "</Patient></resource><resource><Patient/>"),
                NotAPrescription::Patient,
            ),
            (
                SAMPLE.replace("<type value=\"document\"/>", "<type value=\"document\"/><type value=\"x\"/>"),
                NotAPrescription::Type,
            ),
            ("<Patient xmlns=\"http://hl7.org/fhir\"/>".into(), NotAPrescription::Root),
        ];
        for (text, expected) in cases {
            assert_eq!(check_text(&text), Err(expected), "{expected}");
        }
    }

    #[test]
    fn wrong_check_digits_are_findings_not_refusals() {
        let cases = [
            (
                SAMPLE.replace("160.100.000.000.006.24", "160.100.000.000.007.22"),
                Rule::PrescriptionIdCheckDigits,
            ),
            (SAMPLE.replace("160.100.000.000.006.24", "160.100.000.000.006"), Rule::PrescriptionIdFormat),
            (SAMPLE.replace("GEM_ERP_NS_PrescriptionId", "Other"), Rule::PrescriptionIdFormat),
            (SAMPLE.replace("X110400001", "X110400006"), Rule::KvnrCheckDigit),
            (SAMPLE.replace("X110400001", "X1104000010000"), Rule::KvnrFormat),
            (SAMPLE.replace("kvid-10", "other"), Rule::KvnrMissing),
            (SAMPLE.replace("gkv/kvid-10", "pkv/kvid-10"), Rule::KvnrSystem),
            (SAMPLE.replace("ERP_Bundle|1.4", "ERP_Bundle|2.0"), Rule::ProfileVersion),
            (SAMPLE.replace("ERP_Bundle|1.4", "ERP_Bundle"), Rule::ProfileVersion),
        ];
        for (text, expected) in cases {
            assert_eq!(check_text(&text), Ok(vec![expected]), "{expected:?}");
        }
    }

    #[test]
    fn a_finding_says_where() {
        let text = SAMPLE.replace("X110400001", "X110400006");
        let findings = check(&Prescription::parse(Arc::new(text.into())).unwrap()).unwrap();
        assert_eq!(findings[0].place, "Bundle/entry[3]/resource/Patient/identifier/value");
    }
}
