//! `UC_PersoenlicheVersichertendatenXML`. The same in all schema versions but for `Geschlecht`, which 5.3 made
//! optional.

use super::fields::Fields;
use crate::error::VsdError;
use crate::record::{Gender, PersonalData, PostBoxAddress, StreetAddress};

pub(super) fn read(root: &Fields<'_>) -> Result<PersonalData, VsdError> {
    let insured = root.required("Versicherter")?;
    let person = insured.required("Person")?;
    Ok(PersonalData {
        kvnr: insured.required_text("Versicherten_ID")?,
        birth_date: person.date("Geburtsdatum")?.ok_or_else(|| person.missing("Geburtsdatum"))?,
        given_name: person.required_text("Vorname")?,
        family_name: person.required_text("Nachname")?,
        name_prefix: person.text("Vorsatzwort"),
        name_addition: person.text("Namenszusatz"),
        title: person.text("Titel"),
        gender: gender(&person)?,
        street_address: person.optional("StrassenAdresse").map(|address| street(&address)),
        post_box_address: person.optional("PostfachAdresse").map(|address| post_box(&address)),
    })
}

fn gender(person: &Fields<'_>) -> Result<Option<Gender>, VsdError> {
    let Some(text) = person.text("Geschlecht") else { return Ok(None) };
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(letter @ 'A'..='Z'), None) => Ok(Some(Gender::from(letter))),
        _ => Err(person.invalid("Geschlecht", "one capital letter")),
    }
}

fn street(address: &Fields<'_>) -> StreetAddress {
    StreetAddress {
        postal_code: address.text("Postleitzahl"),
        city: address.text("Ort"),
        country: country(address),
        street: address.text("Strasse"),
        house_number: address.text("Hausnummer"),
        addition: address.text("Anschriftenzusatz"),
    }
}

fn post_box(address: &Fields<'_>) -> PostBoxAddress {
    PostBoxAddress {
        postal_code: address.text("Postleitzahl"),
        city: address.text("Ort"),
        country: country(address),
        post_box: address.text("Postfach"),
    }
}

fn country(address: &Fields<'_>) -> Option<String> {
    address.optional("Land")?.text("Wohnsitzlaendercode")
}
