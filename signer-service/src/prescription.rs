//! The prescription as the service sees it: the caller's bytes, untouched, and a read-only view of what they say.
//!
//! Nothing is written back (but into drafts, see [`prepare()`]): for enveloping CAdES no canonicalisation exists, so the bytes that came are the bytes
//! that are signed.

mod catalogue;
mod check_digit;
mod comparison;
mod prepare;
mod rules;
mod service_rules;
mod xml;

pub use catalogue::{Rule, Severity};
pub use comparison::{Difference, compare};
pub use prepare::{Card, PrepareError, Prepared, prepare};
pub use rules::{Finding, NotAPrescription};
pub use xml::{Malformed, XmlError};

use std::sync::Arc;

use time::OffsetDateTime;
use xml::Element;

use crate::german_time::german_day;

/// Naming systems of the personal insurance number, statutory and private.
const KVNR_SYSTEMS: [&str; 2] = ["http://fhir.de/sid/gkv/kvid-10", PRIVATE_KVNR];
/// That of the privately insured until the bundle profile 1.3 (KBV_PR_FOR_Patient 1.2), which takes the other for everybody.
const PRIVATE_KVNR: &str = "http://fhir.de/sid/pkv/kvid-10";
/// Naming system of institution numbers.
const IK_SYSTEM: &str = "http://fhir.de/sid/arge-ik/iknr";

self_cell::self_cell!(
    /// The bytes and what they say.
    struct Document {
        owner: Arc<Vec<u8>>,
        #[covariant]
        dependent: Element,
    }
);

/// A parsed prescription document.
pub struct Prescription {
    document: Document,
}

impl Prescription {
    /// Parses the document.
    ///
    /// # Errors
    /// [`XmlError`] when it is not XML as this service takes it.
    pub fn parse(bytes: Arc<Vec<u8>>) -> Result<Prescription, XmlError> {
        let document = Document::try_new(bytes, |bytes| xml::parse(bytes))?;
        Ok(Prescription { document })
    }

    /// Refuses what is no prescription document and lists the rules that others break, for a signature at a time.
    ///
    /// # Errors
    /// The first rule whose breach means that this is no prescription.
    pub fn check(&self, signed_at: OffsetDateTime) -> Result<Vec<Finding>, NotAPrescription> {
        let mut findings = rules::check(self)?;
        findings.extend(service_rules::check(self, signed_at));
        Ok(findings)
    }

    /// Whether a signer of these professions (dotted OIDs) may prescribe this.
    pub fn check_profession(&self, professions: &[String]) -> Option<Finding> {
        service_rules::check_profession(self, professions)
    }

    /// The professions (dotted OIDs) that may prescribe this; `None` if its number has no flow type.
    pub fn prescribers(&self) -> Option<&'static [&'static str]> {
        self.flow_type().map(service_rules::prescribers)
    }

    /// The patient's insurance number, if there is one patient with one number.
    pub fn insured_id(&self) -> Option<&str> {
        self.patient()?.kvnr()
    }

    fn root(&self) -> &Element<'_> {
        self.document.borrow_dependent()
    }

    fn root_name(&self) -> &str {
        self.root().name()
    }

    fn bundle_type(&self) -> Option<&str> {
        self.root().only_child("type")?.value()
    }

    fn profiles(&self) -> impl Iterator<Item = &str> {
        self.root()
            .child("meta")
            .into_iter()
            .flat_map(|meta| meta.children("profile"))
            .filter_map(Element::value)
    }

    /// `Bundle.identifier.value`, if it is of this naming system.
    fn identifier(&self, system: &str) -> Option<&str> {
        let identifier = self.root().child("identifier")?;
        (identifier.value_of("system") == Some(system)).then(|| identifier.value_of("value"))?
    }

    /// Resources of one type.
    fn resources<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Resource<'a>> {
        let entries = self.root().children("entry").enumerate();
        entries.flat_map(move |(entry, element)| {
            let resources = element.children("resource").flat_map(move |resource| resource.children(name));
            resources.map(move |element| Resource { entry, element })
        })
    }

    fn all_resources(&self) -> impl Iterator<Item = Resource<'_>> {
        let entries = self.root().children("entry").enumerate();
        entries.flat_map(move |(entry, element)| {
            let resources = element.children("resource").flat_map(Element::elements);
            resources.map(move |element| Resource { entry, element })
        })
    }

    fn patient(&self) -> Option<Resource<'_>> {
        self.resources("Patient").next()
    }

    fn coverage(&self) -> Option<Resource<'_>> {
        self.resources("Coverage").next()
    }
}

/// One resource of the bundle and where it is.
#[derive(Clone, Copy)]
struct Resource<'a> {
    entry: usize,
    element: &'a Element<'a>,
}

impl<'a> Resource<'a> {
    /// For findings; entries count from 0 as in FHIRPath.
    fn place(&self) -> String {
        format!("Bundle/entry[{}]/resource/{}", self.entry, self.element.name())
    }

    /// The insurance number of a Patient. With several, none: it must not depend on who reads them.
    fn kvnr(&self) -> Option<&'a str> {
        let mut numbers = self.element.children("identifier").filter(|identifier| {
            identifier
                .children("system")
                .filter_map(Element::value)
                .any(|system| KVNR_SYSTEMS.contains(&system))
        });
        let number = numbers.next().filter(|_| numbers.next().is_none())?;
        number.only_child("value")?.value()
    }

    /// Does a Patient have a number of this naming system?
    fn has_number_of(&self, system: &str) -> bool {
        self.element.children("identifier").any(|identifier| identifier.value_of("system") == Some(system))
    }

    /// The institution number of a Coverage's payor.
    fn payer_ik(&self) -> Option<&'a str> {
        let identifier = self.element.only_child("payor")?.only_child("identifier")?;
        let value = identifier.only_child("value")?.value();
        (identifier.only_child("system")?.value() == Some(IK_SYSTEM)).then_some(value)?
    }

    /// The code of a Coverage's type: GKV, PKV, BG, SEL, SKT, UK.
    fn payer_type(&self) -> Option<&'a str> {
        self.element.child("type")?.child("coding")?.value_of("code")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A small prescription of our own making, with everything the rules look at.
    pub(crate) const SAMPLE: &str = include_str!("../tests/fixtures/prescription.xml");
    /// The same with everything that the prescription service checks.
    pub(crate) const WHOLE: &str = include_str!("../tests/fixtures/whole-prescription.xml");
    /// An order for the practice's own supply, without patient.
    pub(crate) const PRACTICE_SUPPLY: &str = include_str!("../tests/fixtures/practice-supply.xml");

    #[test]
    fn the_view_finds_patient_and_payer() {
        let prescription = Prescription::parse(Arc::new(SAMPLE.into())).unwrap();
        assert_eq!(prescription.patient().unwrap().kvnr(), Some("X110400001"));
        assert_eq!(prescription.coverage().unwrap().payer_ik(), Some("109500969"));
        assert_eq!(prescription.coverage().unwrap().payer_type(), Some("GKV"));
    }
}
