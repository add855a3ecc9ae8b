//! From a draft and an insurance card to a prescription: Patient, Coverage and the co-payment status as the card has them,
//! everything else byte for byte as it was. This is the only place that writes into a prescription, and long before it is
//! signed.

use std::{ops::Range, sync::Arc};

use egk_reader::{
    CoverageData, PersonalData, ProtectedData,
    fhir::{self, ProfileVersion},
};
use quick_xml::{events::Event, reader::Reader};
use thiserror::Error;
use time::Date;

use super::{Prescription, XmlError};

const CO_PAYMENT: &str = "https://fhir.kbv.de/StructureDefinition/KBV_EX_FOR_StatusCoPayment";
const PATIENT: [&str; 4] = ["Bundle", "entry", "resource", "Patient"];
const COVERAGE: [&str; 4] = ["Bundle", "entry", "resource", "Coverage"];
const EXTENSION: [&str; 5] = ["Bundle", "entry", "resource", "MedicationRequest", "extension"];

/// What a card says, as far as a prescription wants it.
#[derive(Clone, Copy)]
pub struct Card<'a> {
    /// The patient.
    pub personal: &'a PersonalData,
    /// The insurance.
    pub coverage: &'a CoverageData,
    /// Special groups and co-payment, if the card shows them.
    pub protected: Option<&'a ProtectedData>,
}

/// A filled draft.
pub struct Prepared {
    /// The document.
    pub content: Vec<u8>,
    /// What the card lacks or does not fit.
    pub findings: Vec<egk_reader::Finding>,
    /// The co-payment status was filled in.
    pub co_payment: bool,
}

/// Why a draft cannot be filled.
#[derive(Debug, Error)]
pub enum PrepareError {
    /// Not XML.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// No place for what the card says.
    #[error("{0}")]
    Draft(&'static str),
}

/// Fills a draft for a day.
///
/// # Errors
/// [`PrepareError`]; texts without values of the draft.
pub fn prepare(draft: &[u8], card: Card<'_>, day: Date) -> Result<Prepared, PrepareError> {
    let prescription = Prescription::parse(Arc::new(draft.to_vec()))?;
    let need = |value: Option<String>, what| value.ok_or(PrepareError::Draft(what));
    let id = |resource: Option<super::Resource<'_>>| Some(resource?.element.value_of("id")?.to_owned());
    let patient_id = need(id(prescription.patient()), "needs one Patient with an id")?;
    let coverage_id = need(id(prescription.coverage()), "needs one Coverage with an id")?;
    let beneficiary = prescription.patient().and_then(|patient| {
        Some(prescription.root().children("entry").nth(patient.entry)?.value_of("fullUrl")?.to_owned())
    });
    let beneficiary = need(beneficiary, "needs a fullUrl for the Patient")?;
    let early = prescription.profiles().any(|profile| {
        profile.split_once('|').is_some_and(|(_, version)| version == "1.3" || version.starts_with("1.3."))
    });
    let version = if early { ProfileVersion::V1_2 } else { ProfileVersion::V1_3 };
    let patient = fhir::patient(card.personal, &patient_id, version);
    let coverage = fhir::coverage(card.coverage, card.protected, &coverage_id, &beneficiary, version);

    let places =
        Places::find(draft).ok_or(PrepareError::Draft("needs exactly one Patient and one Coverage"))?;
    let mut changes = vec![
        (places.patient, patient.resource.to_xml().trim_end().to_owned()),
        (places.coverage, coverage.resource.to_xml().trim_end().to_owned()),
    ];
    let status = places.co_payment.zip(card.protected.and_then(|data| co_payment(data, day)));
    let co_payment = status.is_some();
    changes.extend(
        status
            .map(|(place, code)| (place, format!("<code xmlns=\"http://hl7.org/fhir\" value=\"{code}\"/>"))),
    );
    let content = replaced(draft, changes).ok_or(PrepareError::Draft("has parts that overlap"))?;
    Ok(Prepared { content, findings: [patient.findings, coverage.findings].concat(), co_payment })
}

/// Code of KBV_CS_FOR_StatusCoPayment: exempt on this day, or not; nothing if the card does not say.
fn co_payment(protected: &ProtectedData, day: Date) -> Option<&'static str> {
    let until = protected.copayment_exempt_until.and_then(egk_reader::PartialDate::day);
    protected
        .copayment_exempt
        .map(|exempt| if exempt && until.is_none_or(|until| day <= until) { "1" } else { "0" })
}

/// Where in the draft something is to be replaced.
#[derive(Default)]
struct Places {
    patient: Range<usize>,
    coverage: Range<usize>,
    co_payment: Option<Range<usize>>,
}

impl Places {
    /// In a document that was parsed before; none if Patient or Coverage is not there exactly once.
    fn find(draft: &[u8]) -> Option<Places> {
        let text = std::str::from_utf8(draft).ok()?;
        let bare = text.trim_start_matches('\u{feff}');
        let mark = text.len() - bare.len();
        let mut reader = Reader::from_str(bare);
        let (mut path, mut begun): (Vec<String>, Vec<usize>) = Default::default();
        let (mut patients, mut coverages, mut statuses) = (Vec::new(), Vec::new(), Vec::new());
        let mut in_status = false;
        loop {
            let at = mark + usize::try_from(reader.buffer_position()).ok()?;
            let event = reader.read_event().ok()?;
            let (start, end) = match &event {
                Event::Start(start) => (Some(start), false),
                Event::Empty(start) => (Some(start), true),
                Event::End(_) => (None, true),
                Event::Eof => break,
                _ => continue,
            };
            if let Some(start) = start {
                path.push(start.local_name().as_ref().to_owned());
                begun.push(at);
                let url = start.try_get_attribute("url").ok()?;
                let is_status = url.is_some_and(|url| url.value.as_ref() == CO_PAYMENT);
                in_status |= is_status && is(&path, &EXTENSION);
            }
            if end {
                let range = begun.pop()?..mark + usize::try_from(reader.buffer_position()).ok()?;
                if is(&path, &PATIENT) {
                    patients.push(range);
                } else if is(&path, &COVERAGE) {
                    coverages.push(range);
                } else if in_status && path.len() == EXTENSION.len() + 2 && path.last()? == "code" {
                    statuses.push(range);
                } else if is(&path, &EXTENSION) {
                    in_status = false;
                }
                path.pop();
            }
        }
        let (Ok([patient]), Ok([coverage])) = (<[_; 1]>::try_from(patients), <[_; 1]>::try_from(coverages))
        else {
            return None;
        };
        Some(Places { patient, coverage, co_payment: statuses.pop() })
    }
}

fn is(path: &[String], wanted: &[&str]) -> bool {
    path.iter().map(String::as_str).eq(wanted.iter().copied())
}

/// The draft with each range replaced.
fn replaced(draft: &[u8], mut changes: Vec<(Range<usize>, String)>) -> Option<Vec<u8>> {
    changes.sort_by_key(|(range, _)| range.start);
    let (mut content, mut copied) = (Vec::new(), 0);
    for (range, text) in changes {
        content.extend_from_slice(draft.get(copied..range.start)?);
        content.extend_from_slice(text.as_bytes());
        copied = range.end;
    }
    content.extend_from_slice(draft.get(copied..)?);
    Some(content)
}

#[cfg(test)]
mod tests {
    use egk_reader::{InsuranceKind, PartialDate, Payer};
    use time::macros::date;

    use super::{super::compare, *};

    const DRAFT: &str = "\u{feff}<?xml version=\"1.0\"?>\n<f:Bundle xmlns:f=\"http://hl7.org/fhir\"><f:meta><f:profile value=\"P|1.4\"/></f:meta>\n\
        <f:type value=\"document\"/><f:entry><f:fullUrl value=\"urn:uuid:p\"/><f:resource><f:Patient><f:id value=\"p\"/></f:Patient></f:resource></f:entry>\
        <f:entry><f:resource><f:MedicationRequest><f:extension url=\"https://fhir.kbv.de/StructureDefinition/KBV_EX_FOR_StatusCoPayment\">\
        <f:valueCoding><f:system value=\"s\"/><f:code value=\"0\"/></f:valueCoding></f:extension><f:code value=\"x\"/></f:MedicationRequest></f:resource></f:entry>\
        <!-- kept --><f:entry><f:resource><f:Coverage><f:id value=\"c\"/></f:Coverage></f:resource></f:entry></f:Bundle>\n";

    fn personal() -> PersonalData {
        PersonalData {
            kvnr: "X110400001".into(),
            birth_date: PartialDate::parse("19641103").unwrap(),
            given_name: "Änne & Zoë".into(),
            family_name: "Musterstädt".into(),
            name_prefix: Some("von".into()),
            name_addition: None,
            title: None,
            gender: None,
            street_address: None,
            post_box_address: None,
        }
    }

    fn coverage() -> CoverageData {
        CoverageData {
            kind: InsuranceKind::Statutory,
            begin: None,
            end: None,
            payer: Payer { ik: "109500969".into(), country: None, name: Some("Kasse".into()) },
            billing_payer: None,
            statutory: None,
            private: None,
        }
    }

    fn exempt_until(day: &str) -> ProtectedData {
        ProtectedData {
            copayment_exempt: Some(true),
            copayment_exempt_until: PartialDate::parse(day),
            ..ProtectedData::default()
        }
    }

    fn filled(draft: &str, protected: Option<&ProtectedData>) -> Result<Prepared, PrepareError> {
        let (personal, coverage) = (personal(), coverage());
        let card = Card { personal: &personal, coverage: &coverage, protected };
        prepare(draft.as_bytes(), card, date!(2026 - 11 - 22))
    }

    #[test]
    fn a_filled_draft_fits_its_card_and_keeps_everything_else() {
        let prepared = filled(DRAFT, None).unwrap();
        let prescription = Prescription::parse(Arc::new(prepared.content.clone())).unwrap();
        assert!(compare(&prescription, &personal(), &coverage()).is_ok());
        let text = String::from_utf8(prepared.content).unwrap();
        let (head, tail) =
            (DRAFT.split("<f:Patient>").next().unwrap(), "</f:resource></f:entry></f:Bundle>\n");
        assert!(text.starts_with(head) && text.ends_with(tail) && text.contains("<!-- kept -->"), "{text}");
        for part in [
            "<id value=\"p\"/>",
            "<id value=\"c\"/>",
            "<reference value=\"urn:uuid:p\"/>",
            "KBV_PR_FOR_Patient|1.3",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!prepared.co_payment && text.contains("<f:code value=\"0\"/>"), "{text}");
        assert!(!prepared.findings.is_empty(), "the card shows no special groups");
        let again = filled(&text, None).unwrap();
        assert_eq!(String::from_utf8(again.content).unwrap(), text);
    }

    #[test]
    fn an_exemption_counts_until_its_last_day() {
        for (until, code) in [("20261122", "1"), ("20261121", "0")] {
            let prepared = filled(DRAFT, Some(&exempt_until(until))).unwrap();
            let text = String::from_utf8(prepared.content).unwrap();
            assert!(
                prepared.co_payment
                    && text.contains(&format!("<code xmlns=\"http://hl7.org/fhir\" value=\"{code}\"/>")),
                "{text}"
            );
            assert!(text.contains("<f:code value=\"x\"/>"), "{text}");
        }
    }

    #[test]
    fn a_draft_without_places_is_refused() {
        for (from, to) in [
            ("<f:id value=\"p\"/>", ""),
            ("<f:id value=\"c\"/>", ""),
            ("<f:fullUrl value=\"urn:uuid:p\"/>", ""),
            ("<f:Patient>", "<f:Patient/><f:Patient>"),
        ] {
            assert!(matches!(filled(&DRAFT.replace(from, to), None), Err(PrepareError::Draft(_))), "{from}");
        }
        assert!(matches!(filled("<Bundle", None), Err(PrepareError::Xml(_))));
    }
}
