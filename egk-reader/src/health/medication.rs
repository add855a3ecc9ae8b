//! One medication, as the emergency data and the medication plan write it: attributes of one letter (Bundeseinheitlicher
//! Medikationsplan 2.3 to 2.6, `NFD_Document` 1.1 to 1.5, `AMTS_Document` 1.0 to 1.6).

use serde::Serialize;

use super::people::{RecordedBy, recorded_by};
use super::taking::{Field, Taking};
use crate::record::silent_debug;

/// `M`, a medication, or `R`, a formula in words.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Medication {
    /// `M/@a`: trade name.
    pub name: Option<String>,
    /// `R/@t`: a formula that a pharmacy makes, in words.
    pub formula: Option<String>,
    /// `M/@p`: Pharmazentralnummer, padded to eight digits.
    pub pzn: Option<String>,
    /// `M/W`: what is in it.
    pub ingredients: Vec<Ingredient>,
    /// `M/@f`: form, as a code of three letters (IFA).
    pub form_code: Option<String>,
    /// `M/@fd`: form, in words.
    pub form: Option<String>,
    /// How much and when.
    pub dose: Dose,
    /// `M/@i`: how to take it.
    pub instructions: Option<String>,
    /// `M/@r`: what it is for.
    pub reason: Option<String>,
    /// `@x`: a further line about it.
    pub remark: Option<String>,
    /// `@dm`: taken permanently.
    pub permanent: Option<bool>,
    /// `@hi`: no longer taken.
    pub historical: Option<bool>,
    /// `@ied`: day of the first entry.
    pub entered: Option<String>,
    /// `@icd`: day of the last change.
    pub changed: Option<String>,
    /// `@ed`: day on which it ends.
    pub ends: Option<String>,
    /// `@bmp`: belongs on the printed plan.
    pub printed: Option<bool>,
    /// `@ko`: comment for other professionals.
    pub comment: Option<String>,
    /// Who ordered it; in emergency data only.
    pub recorded_by: Option<RecordedBy>,
    /// What has no field here.
    pub other: Vec<Field>,
}

/// `W`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Ingredient {
    /// `@w`: name.
    pub name: Option<String>,
    /// `@s` in words, or `@gwe` as `5mg/1ml`.
    pub strength: Option<String>,
}

/// `m`, `d`, `v`, `h`, or words in `t`; the unit in `du` or `dud`. Amounts are numbers, fractions such as `1/2` or decimals
/// with a comma.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dose {
    /// In the morning.
    pub morning: Option<String>,
    /// At noon.
    pub noon: Option<String>,
    /// In the evening.
    pub evening: Option<String>,
    /// At night.
    pub night: Option<String>,
    /// In words instead.
    pub text: Option<String>,
    /// Code of the unit (Medikationsplan, annex 4).
    pub unit_code: Option<String>,
    /// Unit in words.
    pub unit: Option<String>,
}

silent_debug!(Medication, Ingredient, Dose);

impl Dose {
    /// As on a printed plan: `1-0-1-0` with what is not given as 0, or the words; `None` without any.
    pub fn shown(&self) -> Option<String> {
        let times = [&self.morning, &self.noon, &self.evening, &self.night];
        if times.iter().all(|time| time.is_none()) {
            return self.text.clone();
        }
        let amounts: Vec<_> = times.iter().map(|time| time.as_deref().unwrap_or("0")).collect();
        let unit = self.unit.as_deref().map(|unit| format!(" {unit}")).unwrap_or_default();
        Some(format!("{}{unit}", amounts.join("-")))
    }
}

/// `NFD_Medikationseintrag`.
pub(super) fn emergency_entry(mut from: Taking<'_>) -> Medication {
    let mut other = Vec::new();
    let by = recorded_by(&mut from, &mut other);
    let mut medication = match (from.child("M"), from.child("R")) {
        (Some(medication), None) => of_medication(medication),
        (None, Some(formula)) => of_formula(formula),
        (Some(medication), Some(formula)) => {
            // The schema allows one of them; nothing is dropped if there are both.
            let both = of_formula(formula);
            Medication { formula: both.formula, ..of_medication(medication) }
        }
        (None, None) => Medication::default(),
    };
    medication.recorded_by = by;
    from.rest_into("", &mut other);
    medication.other.extend(other);
    medication
}

/// `M`.
pub(super) fn of_medication(mut from: Taking<'_>) -> Medication {
    let mut other = Vec::new();
    from.leave_out(&["ps", "fs", "dus"]);
    let ingredients = from.children("W").into_iter().map(|parts| ingredient(parts, &mut other)).collect();
    let mut medication = Medication {
        name: from.attribute("a"),
        pzn: from.attribute("p").map(|number| format!("{number:0>8}")),
        ingredients,
        form_code: from.attribute("f"),
        form: from.attribute("fd"),
        dose: Dose {
            morning: from.attribute("m"),
            noon: from.attribute("d"),
            evening: from.attribute("v"),
            night: from.attribute("h"),
            text: from.attribute("t"),
            unit_code: from.attribute("du"),
            unit: from.attribute("dud"),
        },
        instructions: from.attribute("i"),
        reason: from.attribute("r"),
        ..Medication::default()
    };
    common(&mut from, &mut medication);
    from.rest_into("", &mut other);
    medication.other = other;
    medication
}

/// `R`.
pub(super) fn of_formula(mut from: Taking<'_>) -> Medication {
    let mut medication = Medication { formula: from.attribute("t"), ..Medication::default() };
    common(&mut from, &mut medication);
    medication.other = from.rest();
    medication
}

/// What the medication plan says of every entry.
fn common(from: &mut Taking<'_>, medication: &mut Medication) {
    medication.remark = from.attribute("x");
    medication.permanent = from.attribute_flag("dm");
    medication.historical = from.attribute_flag("hi");
    medication.entered = from.attribute("ied");
    medication.changed = from.attribute("icd");
    medication.ends = from.attribute("ed");
    medication.printed = from.attribute_flag("bmp");
    medication.comment = from.attribute("ko");
}

fn ingredient(mut parts: Taking<'_>, other: &mut Vec<Field>) -> Ingredient {
    let ingredient = Ingredient {
        name: parts.attribute("w"),
        strength: parts.attribute("s").or_else(|| parts.attribute("gwe")),
    };
    parts.rest_into("W", other);
    ingredient
}
