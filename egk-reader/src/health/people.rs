//! People, addresses and ways to reach them (schema `NFDM_Common` 1.0 and 1.1).

use serde::Serialize;

use super::taking::{Field, Taking};
use crate::date::PartialDate;
use crate::record::silent_debug;

/// `Versicherter`: the insured person, as the document names them.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Person {
    /// `Versicherten_ID`.
    pub kvnr: Option<String>,
    /// `Geburtsdatum`.
    pub birth_date: Option<PartialDate>,
    /// `Vorname`.
    pub given_name: Option<String>,
    /// `Nachname`.
    pub family_name: Option<String>,
    /// `Vorsatzwort`.
    pub name_prefix: Option<String>,
    /// `Namenszusatz`.
    pub name_addition: Option<String>,
    /// `Titel`.
    pub title: Option<String>,
    /// `Geschlecht`: M, W, D or X.
    pub gender: Option<String>,
}

/// `Adresse`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Address {
    /// `Strasse`.
    pub street: Option<String>,
    /// `Hausnummer`.
    pub house_number: Option<String>,
    /// `Anschriftenzusatz`.
    pub addition: Option<String>,
    /// `Postleitzahl`.
    pub postal_code: Option<String>,
    /// `Ort`.
    pub city: Option<String>,
    /// `Wohnsitzlaendercode`.
    pub country: Option<String>,
}

/// `Kommunikationsdaten`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// `Telefonnummer`.
    pub phone: Option<String>,
    /// `Faxnummer`.
    pub fax: Option<String>,
    /// `E-Mail`.
    pub email: Option<String>,
}

/// The professional who keeps the patient's written consent.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Archive {
    /// Family name.
    pub family_name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Where.
    pub address: Option<Address>,
}

/// `diagnostiziert_indiziert`: who found it, if that was somebody else than the signer of the document.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct RecordedBy {
    /// `DI_Art`: `Arzt` or `Institution`.
    pub kind: Option<String>,
    /// `DI_Arzt_Name` or `DI_Institution_Name`.
    pub name: Option<String>,
    /// `DI_Arzt_Fachgebiet` or `DI_Institution_Fachabteilung`.
    pub specialty: Option<String>,
    /// `DI_Arzt_Ort` or `DI_Institution_Ort`.
    pub city: Option<String>,
}

silent_debug!(Person, Address, Reach, Archive, RecordedBy);

/// What is left of an element goes to `other` under its name.
pub(super) fn person(from: &mut Taking<'_>, other: &mut Vec<Field>) -> Person {
    let Some(mut insured) = from.child("Versicherter") else { return Person::default() };
    let person = Person {
        kvnr: insured.text("Versicherten_ID"),
        birth_date: insured.date("Geburtsdatum"),
        given_name: insured.text("Vorname"),
        family_name: insured.text("Nachname"),
        name_prefix: insured.text("Vorsatzwort"),
        name_addition: insured.text("Namenszusatz"),
        title: insured.text("Titel"),
        gender: insured.text("Geschlecht"),
    };
    insured.rest_into("Versicherter", other);
    person
}

/// The `Adresse` within the child of this name.
pub(super) fn address(from: &mut Taking<'_>, name: &str, other: &mut Vec<Field>) -> Option<Address> {
    let mut around = from.child(name)?;
    let address = around.child("Adresse").map(|mut parts| {
        let address = Address {
            street: parts.text("Strasse"),
            house_number: parts.text("Hausnummer"),
            addition: parts.text("Anschriftenzusatz"),
            postal_code: parts.text("Postleitzahl"),
            city: parts.text("Ort"),
            country: parts.text("Wohnsitzlaendercode"),
        };
        parts.rest_into(&format!("{name}/Adresse"), other);
        address
    });
    around.rest_into(name, other);
    address
}

/// The `Kommunikationsdaten` within each child of this name.
pub(super) fn reach(from: &mut Taking<'_>, name: &str, other: &mut Vec<Field>) -> Vec<Reach> {
    let mut all = Vec::new();
    for mut around in from.children(name) {
        if let Some(mut parts) = around.child("Kommunikationsdaten") {
            all.push(Reach {
                phone: parts.text("Telefonnummer"),
                fax: parts.text("Faxnummer"),
                email: parts.text("E-Mail"),
            });
            parts.rest_into(&format!("{name}/Kommunikationsdaten"), other);
        }
        around.rest_into(name, other);
    }
    all
}

pub(super) fn recorded_by(from: &mut Taking<'_>, other: &mut Vec<Field>) -> Option<RecordedBy> {
    const NAME: &str = "diagnostiziert_indiziert";
    let mut around = from.child(NAME)?;
    let mut by = RecordedBy { kind: around.attribute("DI_Art"), ..RecordedBy::default() };
    for (element, specialty) in [("DI_Arzt", "Fachgebiet"), ("DI_Institution", "Fachabteilung")] {
        if let Some(mut parts) = around.child(element) {
            by.name = by.name.or_else(|| parts.text(&format!("{element}_Name")));
            by.specialty = by.specialty.or_else(|| parts.text(&format!("{element}_{specialty}")));
            by.city = by.city.or_else(|| parts.text(&format!("{element}_Ort")));
            parts.rest_into(&format!("{NAME}/{element}"), other);
        }
    }
    around.rest_into(NAME, other);
    Some(by)
}
