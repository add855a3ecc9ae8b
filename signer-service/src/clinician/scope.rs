//! Scopes: what a clinician may do, in the words of SMART on FHIR, and one of this service's own.
//!
//! `patient/Observation.read` (version 1) and `patient/Observation.rs` (version 2) are both taken; one spelling, that of
//! version 2, is kept. Granted is what was asked for, and the profession has, and - for `patient/` - the patient consented
//! to. What is left out is named, with the side that left it out.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::Deserialize;
use thiserror::Error;

/// Signing prescriptions with a card of the same person.
pub const SIGN: &str = "prescription.sign";

/// One scope, in one spelling.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// [`SIGN`].
    Sign,
    /// Access to data.
    Data(DataScope),
}

/// `context/Resource.rights`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataScope {
    context: Context,
    /// A FHIR resource type, or `*`.
    resource: String,
    rights: Rights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Context {
    Patient,
    User,
    System,
}

/// Some of create, read, update, delete, search: one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rights(u8);

const LETTERS: [char; 5] = ['c', 'r', 'u', 'd', 's'];

/// A text that is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a scope of this service: expected {SIGN}, or patient/Resource.rs and the like")]
pub struct NotAScope;

/// What was asked for and is not granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The scope, or the part of it.
    pub scope: String,
    /// Who left it out.
    pub by: By,
}

/// A side that grants or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Not a scope at all.
    Syntax,
    /// The table of professions.
    Profession,
    /// The patient.
    Consent,
    /// The application may not have it.
    Client,
}

/// The table of professions: which scopes each may have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Written into audit records.
    pub version: String,
    /// By profession OID, dotted.
    professions: BTreeMap<String, Vec<Scope>>,
    /// The same without consent, in an emergency.
    emergency: BTreeMap<String, Vec<Scope>>,
    /// Professions that may agree to an emergency.
    emergency_approvers: Vec<String>,
}

impl By {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            By::Syntax => "syntax",
            By::Profession => "profession",
            By::Consent => "consent",
            By::Client => "client",
        }
    }
}

impl Policy {
    /// The table that comes with the service.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn built_in() -> Result<Policy, toml::de::Error> {
        toml::from_str(include_str!("professions.toml"))
    }

    /// May one of these professions agree to an emergency access, end it and review it?
    pub fn approves_emergencies(&self, professions: &[String]) -> bool {
        professions.iter().any(|oid| self.emergency_approvers.contains(oid))
    }

    /// Everything the professions of a certificate may have.
    fn of(&self, professions: &[String]) -> Vec<&Scope> {
        professions.iter().filter_map(|oid| self.professions.get(oid)).flatten().collect()
    }
}

/// Splits what was asked for into granted and refused.
pub fn grant(
    requested: &[String],
    professions: &[String],
    consent: &[Scope],
    policy: &Policy,
) -> (Vec<Scope>, Vec<Refused>) {
    let allowed = policy.of(professions);
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for text in requested {
        let Ok(scope) = text.parse::<Scope>() else {
            refused.push(Refused { scope: text.clone(), by: By::Syntax });
            continue;
        };
        let (by_profession, lost) = scope.within(allowed.iter().copied());
        refused.extend(lost.map(|scope| Refused { scope: scope.to_string(), by: By::Profession }));
        let Some(scope) = by_profession else { continue };
        if !scope.needs_consent() {
            granted.push(scope);
            continue;
        }
        let (consented, lost) = scope.within(consent.iter());
        refused.extend(lost.map(|scope| Refused { scope: scope.to_string(), by: By::Consent }));
        granted.extend(consented);
    }
    granted.sort();
    granted.dedup();
    (granted, refused)
}

/// The same in an emergency: without consent, within what the profession may read then.
pub fn grant_in_emergency(
    requested: &[String],
    professions: &[String],
    policy: &Policy,
) -> (Vec<Scope>, Vec<Refused>) {
    let allowed: Vec<&Scope> =
        professions.iter().filter_map(|oid| policy.emergency.get(oid)).flatten().collect();
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    for text in requested {
        let Ok(scope) = text.parse::<Scope>() else {
            refused.push(Refused { scope: text.clone(), by: By::Syntax });
            continue;
        };
        let (inside, outside) = scope.within(allowed.iter().copied());
        granted.extend(inside);
        refused.extend(outside.map(|scope| Refused { scope: scope.to_string(), by: By::Profession }));
    }
    granted.sort();
    granted.dedup();
    (granted, refused)
}

/// Do these scopes cover all of those?
pub fn covers(granted: &[Scope], needed: &[Scope]) -> bool {
    needed.iter().all(|scope| scope.within(granted.iter()).1.is_none())
}

/// Splits what an application asks for into what it may have and the rest. What is no scope goes on: [`grant`] names it.
pub fn within_client(requested: &[String], registered: &[Scope]) -> (Vec<String>, Vec<Refused>) {
    let (mut allowed, mut refused) = (Vec::new(), Vec::new());
    for text in requested {
        let Ok(scope) = text.parse::<Scope>() else {
            allowed.push(text.clone());
            continue;
        };
        let (inside, outside) = scope.within(registered.iter());
        allowed.extend(inside.map(|scope| scope.to_string()));
        refused.extend(outside.map(|scope| Refused { scope: scope.to_string(), by: By::Client }));
    }
    (allowed, refused)
}

impl Scope {
    fn needs_consent(&self) -> bool {
        matches!(self, Scope::Data(DataScope { context: Context::Patient, .. }))
    }

    /// The part that is inside of these, and the part that is not.
    fn within<'a>(&self, others: impl Iterator<Item = &'a Scope>) -> (Option<Scope>, Option<Scope>) {
        match self {
            Scope::Sign => {
                let inside = others.into_iter().any(|other| *other == Scope::Sign);
                if inside { (Some(Scope::Sign), None) } else { (None, Some(Scope::Sign)) }
            }
            Scope::Data(data) => {
                let covers = |other: &DataScope| {
                    other.context == data.context
                        && (other.resource == "*" || other.resource == data.resource)
                };
                let rights = others.fold(0, |sum, other| match other {
                    Scope::Data(other) if covers(other) => sum | other.rights.0,
                    _ => sum,
                });
                let part = |bits: u8| {
                    let rights = Rights(data.rights.0 & bits);
                    (rights.0 != 0).then(|| Scope::Data(DataScope { rights, ..data.clone() }))
                };
                (part(rights), part(!rights))
            }
        }
    }
}

impl FromStr for Scope {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Scope, NotAScope> {
        if text == SIGN {
            return Ok(Scope::Sign);
        }
        let (context, rest) = text.split_once('/').ok_or(NotAScope)?;
        let context = match context {
            "patient" => Context::Patient,
            "user" => Context::User,
            "system" => Context::System,
            _ => return Err(NotAScope),
        };
        let (resource, rights) = rest.split_once('.').ok_or(NotAScope)?;
        let named = (1..=64).contains(&resource.len())
            && resource.starts_with(|first: char| first.is_ascii_uppercase())
            && resource.chars().all(|letter| letter.is_ascii_alphabetic());
        if !named && resource != "*" {
            return Err(NotAScope);
        }
        Ok(Scope::Data(DataScope { context, resource: resource.to_owned(), rights: rights.parse()? }))
    }
}

impl FromStr for Rights {
    type Err = NotAScope;

    fn from_str(text: &str) -> Result<Rights, NotAScope> {
        let letters = match text {
            "read" => "rs",
            "write" => "cud",
            "*" => "cruds",
            letters => letters,
        };
        // Version 2 wants the letters in their order, each once.
        let mut rights = Rights(0);
        let mut order = LETTERS.iter().enumerate();
        for letter in letters.chars() {
            let (bit, _) = order.find(|(_, known)| **known == letter).ok_or(NotAScope)?;
            rights.0 |= 1 << bit;
        }
        if rights.0 == 0 { Err(NotAScope) } else { Ok(rights) }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scope::Data(data) = self else { return f.write_str(SIGN) };
        let context = match data.context {
            Context::Patient => "patient",
            Context::User => "user",
            Context::System => "system",
        };
        write!(f, "{context}/{}.", data.resource)?;
        let held = LETTERS.iter().enumerate().filter(|(bit, _)| data.rights.0 & (1 << bit) != 0);
        held.into_iter().try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Scope, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHYSICIAN: &str = "1.2.276.0.76.4.30";
    const PHARMACIST: &str = "1.2.276.0.76.4.32";

    fn granted(
        requested: &[&str],
        profession: &str,
        consent: &[&str],
    ) -> (Vec<String>, Vec<(String, &'static str)>) {
        let requested: Vec<String> = requested.iter().map(|&text| text.into()).collect();
        let consent: Vec<Scope> = consent.iter().map(|text| text.parse().unwrap()).collect();
        let policy = Policy::built_in().unwrap();
        let (granted, refused) = grant(&requested, &[profession.to_owned()], &consent, &policy);
        let refused = refused.into_iter().map(|refused| (refused.scope, refused.by.code()));
        (granted.iter().map(ToString::to_string).collect(), refused.collect())
    }

    #[test]
    fn both_spellings_are_one_scope() {
        for (text, kept) in [
            ("patient/Observation.read", "patient/Observation.rs"),
            ("patient/Observation.rs", "patient/Observation.rs"),
            ("user/*.write", "user/*.cud"),
            ("system/Patient.*", "system/Patient.cruds"),
            ("prescription.sign", "prescription.sign"),
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), kept);
        }
        for text in [
            "",
            "openid",
            "patient/Observation",
            "patient/observation.rs",
            "patient/.rs",
            "me/X.r",
            "patient/Observation.sr",
            "patient/Observation.rr",
            "patient/Observation.",
            "patient/A b.r",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn granted_is_what_profession_and_patient_both_allow() {
        let (granted, refused) = granted(
            &["patient/Observation.read", "patient/MedicationRequest.cruds", "prescription.sign", "launch"],
            PHYSICIAN,
            &["patient/Observation.r", "patient/MedicationRequest.rs"],
        );
        assert_eq!(granted, ["prescription.sign", "patient/MedicationRequest.rs", "patient/Observation.r"]);
        let expected = [
            ("patient/Observation.s", "consent"),
            ("patient/MedicationRequest.d", "profession"),
            ("patient/MedicationRequest.cu", "consent"),
            ("launch", "syntax"),
        ];
        assert_eq!(refused, expected.map(|(scope, by)| (scope.to_owned(), by)));
    }

    #[test]
    fn no_consent_means_nothing_of_the_patient() {
        let (granted, refused) = granted(&["patient/Observation.read"], PHYSICIAN, &[]);
        assert!(granted.is_empty());
        assert_eq!(refused, [("patient/Observation.rs".to_owned(), "consent")]);
    }

    #[test]
    fn a_pharmacist_never_signs_prescriptions() {
        let (granted, refused) = granted(&["prescription.sign"], PHARMACIST, &["patient/*.cruds"]);
        assert!(granted.is_empty());
        assert_eq!(refused, [("prescription.sign".to_owned(), "profession")]);
        assert!(self::granted(&["prescription.sign"], "1.2.3", &[]).0.is_empty());
    }
}
