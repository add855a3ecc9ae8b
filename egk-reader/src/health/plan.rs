//! The medication plan (eMP; schema `AMTS_Document` 1.0 to 1.6, after the Bundeseinheitlicher Medikationsplan 2.3 to 2.6).

use serde::Serialize;

use super::medication::{Medication, of_formula, of_medication};
use super::packed;
use super::people::Person;
use super::taking::{Field, Taking};
use crate::Limits;
use crate::date::PartialDate;
use crate::error::VsdError;
use crate::record::silent_debug;
use crate::vsd::{DocumentKind, text, xml};

const KIND: DocumentKind = DocumentKind::Medication;

/// What a patient takes.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct MedicationPlan {
    /// `@iv`: version of the data model.
    pub version: Option<String>,
    /// `@v`: version of the printed plan it follows, `026` for 2.6.
    pub plan_version: Option<String>,
    /// `@U`: identifier of this plan.
    pub id: Option<String>,
    /// `@ko`: comment for other professionals.
    pub comment: Option<String>,
    /// `P`: whose plan it is.
    pub insured: Person,
    /// `A`: who changed it last, and when.
    pub author: Author,
    /// `O`: weight, height, pregnancy and the like.
    pub parameters: PatientParameters,
    /// `U`: allergies to medicine and intolerances.
    pub allergies: Vec<PlanAllergy>,
    /// `S`: the entries in their blocks.
    pub blocks: Vec<PlanBlock>,
    /// What has no field here: the flags that say which parameters are printed, and what later versions may add.
    pub other: Vec<Field>,
    /// The plan as it is on the card.
    #[serde(skip)]
    pub xml: Vec<u8>,
    /// Other documents of the file, as the patient's consent, as they are on the card.
    #[serde(skip)]
    pub more_xml: Vec<Vec<u8>>,
}

/// `A`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Author {
    /// `@n`: name of the professional or the institution.
    pub name: Option<String>,
    /// `@t`: date and time of the last change.
    pub updated: Option<String>,
    /// `@s`: street and number.
    pub street: Option<String>,
    /// `@z`: postal code.
    pub postal_code: Option<String>,
    /// `@c`: city.
    pub city: Option<String>,
    /// `@p`: telephone.
    pub phone: Option<String>,
    /// `@e`.
    pub email: Option<String>,
    /// `@lanr`: number of a physician.
    pub lanr: Option<String>,
    /// `@idf`: number of a pharmacy.
    pub pharmacy: Option<String>,
    /// `@kik`: number of a hospital.
    pub hospital_ik: Option<String>,
}

/// `O`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PatientParameters {
    /// `@ai`: further allergies and intolerances.
    pub allergies: Option<String>,
    /// `@p`.
    pub pregnant: Option<bool>,
    /// `@et`: expected day of birth.
    pub expected_birth: Option<String>,
    /// `@b`.
    pub breastfeeding: Option<bool>,
    /// `@w`, kg.
    pub weight: Option<String>,
    /// `@h`, cm.
    pub height: Option<String>,
    /// `@c`: creatinine, mg/dl.
    pub creatinine: Option<String>,
    /// `@cda`: when that was measured.
    pub creatinine_date: Option<String>,
    /// `@x`: in words.
    pub text: Option<String>,
}

/// `U`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlanAllergy {
    /// `@su`.
    pub substance: Option<String>,
    /// `@re`.
    pub reaction: Option<String>,
    /// `@q`: whether a physician found it or the patient says so.
    pub source: Option<String>,
}

/// `S`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct PlanBlock {
    /// `@t`: heading in words, or the meaning of the code.
    pub heading: Option<String>,
    /// `@c`: heading as a code.
    pub heading_code: Option<String>,
    /// The entries in their order.
    pub lines: Vec<Line>,
}

/// What a [`Line`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKind {
    /// `M`.
    Medication,
    /// `R`.
    Formula,
    /// `X`: a hint without medicine.
    Text,
}

/// One line of the plan.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// What it is.
    pub kind: LineKind,
    /// The text of a hint.
    pub text: Option<String>,
    /// Everything else; a hint has the days of its entry and its comment here.
    pub medication: Medication,
}

silent_debug!(MedicationPlan, Author, PatientParameters, PlanAllergy, PlanBlock, Line);

/// Reads EF.AMTS; `None` if nothing is stored there. Of several documents the plan is the one that is called so.
pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<Option<MedicationPlan>, VsdError> {
    let mut documents = packed::documents(KIND, file, limits)?;
    if documents.is_empty() {
        return Ok(None);
    }
    let is_plan = |document: &Vec<u8>| {
        xml::parse(KIND, &text::decode_utf_8(document).text, limits.depth)
            .is_ok_and(|root| root.name() == KIND.root_name())
    };
    let at = documents.iter().position(is_plan).unwrap_or_default();
    let document = documents.remove(at);
    let root = super::root_of(KIND, &document, limits)?;
    Ok(Some(MedicationPlan { xml: document, more_xml: documents, ..plan(Taking::of(&root)) }))
}

fn plan(mut root: Taking<'_>) -> MedicationPlan {
    root.leave_out(&["l", "llcs", "lccs", "oid", "on", "so"]);
    let mut other = Vec::new();
    let mut plan = MedicationPlan {
        version: root.attribute("iv"),
        plan_version: root.attribute("v"),
        id: root.attribute("U"),
        comment: root.attribute("ko"),
        ..MedicationPlan::default()
    };
    if let Some(parts) = root.child("P") {
        plan.insured = person(parts, &mut other);
    }
    if let Some(parts) = root.child("A") {
        plan.author = author(parts, &mut other);
    }
    if let Some(parts) = root.child("O") {
        plan.parameters = parameters(parts, &mut other);
    }
    for mut parts in root.children("U") {
        plan.allergies.push(PlanAllergy {
            substance: parts.attribute("su"),
            reaction: parts.attribute("re"),
            source: parts.attribute("q"),
        });
        parts.rest_into("U", &mut other);
    }
    plan.blocks = root.children("S").into_iter().map(|parts| block(parts, &mut other)).collect();
    root.rest_into("", &mut other);
    plan.other = other;
    plan
}

fn person(mut parts: Taking<'_>, other: &mut Vec<Field>) -> Person {
    let birth_date: Option<PartialDate> = parts.attribute_date("b");
    let person = Person {
        kvnr: parts.attribute("egk"),
        birth_date,
        given_name: parts.attribute("g"),
        family_name: parts.attribute("f"),
        name_prefix: parts.attribute("v"),
        name_addition: parts.attribute("z"),
        title: parts.attribute("t"),
        gender: parts.attribute("s"),
    };
    parts.rest_into("P", other);
    person
}

fn author(mut parts: Taking<'_>, other: &mut Vec<Field>) -> Author {
    let author = Author {
        name: parts.attribute("n"),
        updated: parts.attribute("t"),
        street: parts.attribute("s"),
        postal_code: parts.attribute("z"),
        city: parts.attribute("c"),
        phone: parts.attribute("p"),
        email: parts.attribute("e"),
        lanr: parts.attribute("lanr"),
        pharmacy: parts.attribute("idf"),
        hospital_ik: parts.attribute("kik"),
    };
    parts.rest_into("A", other);
    author
}

fn parameters(mut parts: Taking<'_>, other: &mut Vec<Field>) -> PatientParameters {
    let parameters = PatientParameters {
        allergies: parts.attribute("ai"),
        pregnant: parts.attribute_flag("p"),
        expected_birth: parts.attribute("et"),
        breastfeeding: parts.attribute_flag("b"),
        weight: parts.attribute("w"),
        height: parts.attribute("h"),
        creatinine: parts.attribute("c"),
        creatinine_date: parts.attribute("cda"),
        text: parts.attribute("x"),
    };
    parts.rest_into("O", other);
    parameters
}

fn block(mut parts: Taking<'_>, other: &mut Vec<Field>) -> PlanBlock {
    parts.leave_out(&["cs"]);
    let heading_code = parts.attribute("c");
    let heading = parts.attribute("t");
    let meaning = || heading_of(heading_code.as_deref()?).map(str::to_owned);
    let heading = heading.or_else(meaning);
    let mut lines = Vec::new();
    for (name, line) in parts.all_children() {
        match name {
            "M" => {
                lines.push(Line { kind: LineKind::Medication, text: None, medication: of_medication(line) })
            }
            "R" => lines.push(Line { kind: LineKind::Formula, text: None, medication: of_formula(line) }),
            "X" => {
                // A hint has its text where a formula has it.
                let mut medication = of_formula(line);
                let text = medication.formula.take();
                lines.push(Line { kind: LineKind::Text, text, medication });
            }
            _ => line.rest_into(&format!("S/{name}"), other),
        }
    }
    parts.rest_into("S", other);
    PlanBlock { heading, heading_code, lines }
}

/// The meaning of a heading's code (OID 1.2.276.0.76.3.1.1.5.2.42), in English.
pub fn heading_of(code: &str) -> Option<&'static str> {
    Some(match code {
        "411" => "as needed",
        "412" => "permanent",
        "413" => "into the muscle",
        "414" => "special use",
        "415" => "into a vein",
        "416" => "under the skin",
        "417" => "ready syringe",
        "418" => "without prescription",
        "419" => "allergies",
        "421" => "important hints",
        "422" => "important facts",
        "423" => "at special times",
        "424" => "for a limited time",
        _ => return None,
    })
}
