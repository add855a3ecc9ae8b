//! Is the prescription for the person whose insurance card is in the reader?
//!
//! The card's record is mapped to the FHIR fields of KBV_PR_FOR_Patient and KBV_PR_FOR_Coverage first; then the fields
//! are compared as they stand, so that there is one mapping only.

use egk_reader::{CoverageData, PersonalData};
use thiserror::Error;

use super::{Finding, Prescription, Resource, Rule, xml::Element};

/// Payer types whose payer is the one on the insurance card. Accident insurers (BG, UK), other payers (SKT) and
/// patients who pay themselves (SEL) are not on it.
const PAYER_TYPES_ON_CARD: [&str; 2] = ["GKV", "PKV"];

/// The first field that differs. Holds no value of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("prescription and insurance card differ in {field}")]
pub struct Difference {
    /// FHIR path of the field, e.g. `Patient.identifier`.
    pub field: &'static str,
}

/// Compares insurance number, family name, given name, birth date and payer, in this order.
///
/// # Errors
/// The first field that differs; a field that one side lacks differs.
pub fn compare(
    prescription: &Prescription,
    personal: &PersonalData,
    coverage: &CoverageData,
) -> Result<Vec<Finding>, Difference> {
    let patient = prescription.patient().ok_or(Difference { field: "Patient" })?;
    same("Patient.identifier", patient.kvnr(), Some(&personal.kvnr))?;
    same("Patient.name.family", patient.name("family").as_deref(), Some(&personal.full_family_name()))?;
    same("Patient.name.given", patient.name("given").as_deref(), Some(&personal.given_name))?;
    same(
        "Patient.birthDate",
        patient.element.only_child("birthDate").and_then(|date| date.value()),
        personal.birth_date.to_iso().as_deref(),
    )?;
    payer(prescription, coverage)
}

fn payer(prescription: &Prescription, card: &CoverageData) -> Result<Vec<Finding>, Difference> {
    let coverage = prescription.coverage().ok_or(Difference { field: "Coverage" })?;
    if coverage.payer_type().is_some_and(|kind| !PAYER_TYPES_ON_CARD.contains(&kind)) {
        return Ok(vec![Finding {
            rule: Rule::PayerNotCompared,
            place: format!("{}/payor", coverage.place()),
        }]);
    }
    same("Coverage.payor.identifier", coverage.payer_ik(), Some(&card.effective_payer().ik))?;
    Ok(Vec::new())
}

fn same(field: &'static str, prescription: Option<&str>, card: Option<&str>) -> Result<(), Difference> {
    let trimmed = |text: Option<&str>| text.map(|text| text.trim().to_owned()).unwrap_or_default();
    if trimmed(prescription) == trimmed(card) { Ok(()) } else { Err(Difference { field }) }
}

impl Resource<'_> {
    /// The parts of a Patient's official name under this element name, joined by blanks.
    fn name(&self, part: &str) -> Option<String> {
        let name = self.official_name()?;
        let parts: Vec<&str> = name.children(part).filter_map(|part| part.value()).collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    }

    /// The official name, which may stand after the name at birth; without a use, the only name.
    fn official_name(&self) -> Option<&Element<'_>> {
        let is_official = |name: &&Element<'_>| name.value_of("use") == Some("official");
        let mut official = self.element.children("name").filter(is_official);
        match official.next() {
            Some(first) => official.next().is_none().then_some(first),
            None => self.element.only_child("name"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use egk_reader::{InsuranceKind, PartialDate, Payer};

    use super::super::tests::{PRACTICE_SUPPLY, SAMPLE};
    use super::*;

    fn card() -> (PersonalData, CoverageData) {
        let personal = PersonalData {
            kvnr: "X110400001".into(),
            birth_date: PartialDate::parse("19641103").unwrap(),
            given_name: "Änne".into(),
            family_name: "Musterstädt".into(),
            name_prefix: Some("von".into()),
            name_addition: Some("Freifrau".into()),
            title: None,
            gender: None,
            street_address: None,
            post_box_address: None,
        };
        let coverage = CoverageData {
            kind: InsuranceKind::Statutory,
            begin: None,
            end: None,
            payer: Payer { ik: "109500969".into(), country: None, name: None },
            billing_payer: None,
            statutory: None,
            private: None,
        };
        (personal, coverage)
    }

    fn compare_text(
        text: &str,
        change: impl FnOnce(&mut PersonalData, &mut CoverageData),
    ) -> Result<Vec<Rule>, &'static str> {
        let (mut personal, mut coverage) = card();
        change(&mut personal, &mut coverage);
        let prescription = Prescription::parse(Arc::new(text.into())).unwrap();
        compare(&prescription, &personal, &coverage)
            .map(|findings| findings.into_iter().map(|finding| finding.rule).collect())
            .map_err(|difference| difference.field)
    }

    #[test]
    fn the_right_card_fits() {
        assert_eq!(compare_text(SAMPLE, |_, _| ()), Ok(vec![]));
    }

    #[test]
    fn each_differing_field_is_named() {
        assert_eq!(compare_text(SAMPLE, |p, _| p.kvnr = "X110400002".into()), Err("Patient.identifier"));
        assert_eq!(compare_text(SAMPLE, |p, _| p.family_name = "Muster".into()), Err("Patient.name.family"));
        assert_eq!(compare_text(SAMPLE, |p, _| p.name_prefix = None), Err("Patient.name.family"));
        assert_eq!(compare_text(SAMPLE, |p, _| p.given_name = "Anne".into()), Err("Patient.name.given"));
        let year = PartialDate::parse("19640000").unwrap();
        assert_eq!(compare_text(SAMPLE, |p, _| p.birth_date = year), Err("Patient.birthDate"));
        assert_eq!(
            compare_text(SAMPLE, |_, c| c.payer.ik = "101575519".into()),
            Err("Coverage.payor.identifier")
        );
    }

    #[test]
    fn the_name_at_birth_is_not_compared() {
        let official = SAMPLE.replace("<family", "<use value=\"official\"/><family");
        let birth = "<name><use value=\"maiden\"/><family value=\"Beispiel\"/></name>";
        for text in [official.replace("<name>", &format!("{birth}<name>")), official.clone()] {
            assert_eq!(compare_text(&text, |_, _| ()), Ok(vec![]));
        }
        let unclear = SAMPLE.replace("<name>", &format!("{birth}<name>"));
        assert_eq!(compare_text(&unclear, |_, _| ()), Err("Patient.name.family"));
    }

    #[test]
    fn a_field_given_twice_fits_no_card() {
        let twice = |field: &str, second: &str| SAMPLE.replacen(field, &format!("{field}{second}"), 1);
        let number = "<value value=\"X110400001\"/>";
        let other = "<value value=\"X110400002\"/>";
        assert_eq!(compare_text(&twice(number, other), |_, _| ()), Err("Patient.identifier"));
        let identifier =
            format!("<identifier><system value=\"{}\"/>{other}</identifier>", super::super::KVNR_SYSTEMS[1]);
        assert_eq!(compare_text(&twice("<Patient>", &identifier), |_, _| ()), Err("Patient.identifier"));
        let date = "<birthDate value=\"1964-11-03\"/>";
        assert_eq!(compare_text(&twice(date, date), |_, _| ()), Err("Patient.birthDate"));
        let payer = "<value value=\"109500969\"/>";
        assert_eq!(compare_text(&twice(payer, payer), |_, _| ()), Err("Coverage.payor.identifier"));
    }

    #[test]
    fn the_first_difference_wins() {
        let result = compare_text(SAMPLE, |personal, coverage| {
            personal.given_name.clear();
            coverage.payer.ik.clear();
            personal.kvnr.clear();
        });
        assert_eq!(result, Err("Patient.identifier"));
    }

    #[test]
    fn the_billing_payer_counts_when_the_card_names_one() {
        let billed = |ik: &str| Some(Payer { ik: ik.into(), country: None, name: None });
        let fits = compare_text(SAMPLE, |_, c| {
            c.payer.ik = "101575519".into();
            c.billing_payer = billed("109500969");
        });
        assert_eq!(fits, Ok(vec![]));
        let differs = compare_text(SAMPLE, |_, c| c.billing_payer = billed("101575519"));
        assert_eq!(differs, Err("Coverage.payor.identifier"));
    }

    #[test]
    fn an_accident_insurer_is_remarked_not_compared() {
        let text = SAMPLE.replace("\"GKV\"", "\"BG\"");
        assert_eq!(compare_text(&text, |_, c| c.payer.ik = "1".into()), Ok(vec![Rule::PayerNotCompared]));
    }

    #[test]
    fn a_prescription_without_patient_fits_no_card() {
        assert_eq!(compare_text(PRACTICE_SUPPLY, |_, _| ()), Err("Patient"));
    }

    #[test]
    fn a_partial_birth_date_equals_the_same_partial_birth_date() {
        let text = SAMPLE.replace("1964-11-03", "1964-11");
        let month = PartialDate::parse("19641100").unwrap();
        assert_eq!(compare_text(&text, |p, _| p.birth_date = month), Ok(vec![]));
    }
}
