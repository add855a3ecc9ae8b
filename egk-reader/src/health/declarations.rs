//! Personal declarations (schema `DPE_Document` 1.0): not the declarations themselves, but where they are kept.

use serde::Serialize;

use super::packed;
use super::people::{self, Address, Archive, Person};
use super::taking::{Field, Taking};
use crate::Limits;
use crate::error::VsdError;
use crate::record::silent_debug;
use crate::vsd::DocumentKind;

const KIND: DocumentKind = DocumentKind::Declarations;

/// What the patient has declared, and where it is kept.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Declarations {
    /// `@DPE_Version`.
    pub version: Option<String>,
    /// Date and time of the last change, `2026-03-02T13:14:54`.
    pub updated: Option<String>,
    /// Whose declarations they are.
    pub insured: Person,
    /// `DPE_Versicherter_Einwilligung`: who keeps the patient's consent.
    pub consent: Option<Archive>,
    /// `DPE_Gewebe_Organspendeerklaerung`: donation of organs and tissue.
    pub organ_donation: Option<Declaration>,
    /// `DPE_Vorsorgevollmacht`: power of attorney.
    pub power_of_attorney: Option<Declaration>,
    /// `DPE_Patientenverfuegung`: living will.
    pub living_will: Option<Declaration>,
    /// What has no field here.
    pub other: Vec<Field>,
    /// The document as it is on the card.
    #[serde(skip)]
    pub xml: Vec<u8>,
}

/// Where a declaration is.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Declaration {
    /// `*_Beschreibung`: where in words, or what.
    pub description: Option<String>,
    /// `*_Ablageort`.
    pub place: Option<Address>,
    /// `@*_letzte_Aktualisierung`: day of the last change.
    pub updated: Option<String>,
    /// `DPE_VV_Bevollmaechtigter`, for a power of attorney.
    pub attorney: Option<Attorney>,
}

/// Who may act for the patient.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attorney {
    /// `DPE_VV_Name_Bevollmaechtigter`.
    pub family_name: Option<String>,
    /// `DPE_VV_Vorname_Bevollmaechtigter`.
    pub given_name: Option<String>,
    /// `DPE_VV_Telefon_Bevollmaechtigter`.
    pub phone: Option<String>,
    /// `DPE_VV_Faxnummer`.
    pub fax: Option<String>,
    /// `DPE_VV_E-Mail`.
    pub email: Option<String>,
    /// `DPE_VV_Adresse_Bevollmaechtigter`.
    pub address: Option<Address>,
}

silent_debug!(Declarations, Declaration, Attorney);

/// Reads EF.DPE; `None` if nothing is stored there.
pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<Option<Declarations>, VsdError> {
    let Some(xml) = packed::documents(KIND, file, limits)?.into_iter().next() else { return Ok(None) };
    let root = super::root_of(KIND, &xml, limits)?;
    Ok(Some(Declarations { xml, ..document(Taking::of(&root)) }))
}

fn document(mut root: Taking<'_>) -> Declarations {
    let mut data = Declarations { version: root.attribute("DPE_Version"), ..Declarations::default() };
    if let Some(mut body) = root.child("Persoenliche_Erklaerungen") {
        body.leave_out(&["ID_DPE"]);
        let date = body.attribute("DPE_letzte_Aktualisierung_date");
        let time = body.attribute("DPE_letzte_Aktualisierung_time");
        data.updated = [date, time].into_iter().flatten().reduce(|date, time| format!("{date}T{time}"));
        if let Some(mut around) = body.child("DPE_Versicherter") {
            data.insured = people::person(&mut around, &mut data.other);
            around.rest_into("DPE_Versicherter", &mut data.other);
        }
        if let Some(mut parts) = body.child("DPE_Versicherter_Einwilligung") {
            data.consent = Some(Archive {
                family_name: parts.text("DPE_VE_Arzt_Nachname"),
                given_name: parts.text("DPE_VE_Arzt_Vorname"),
                address: people::address(&mut parts, "DPE_VE_Ablageort", &mut data.other),
            });
            parts.rest_into("DPE_Versicherter_Einwilligung", &mut data.other);
        }
        let other = &mut data.other;
        data.organ_donation = declaration(&mut body, "DPE_Gewebe_Organspendeerklaerung", "GO", other);
        data.power_of_attorney = declaration(&mut body, "DPE_Vorsorgevollmacht", "VV", other);
        data.living_will = declaration(&mut body, "DPE_Patientenverfuegung", "PV", other);
        body.rest_into("Persoenliche_Erklaerungen", &mut data.other);
    }
    root.rest_into("", &mut data.other);
    data
}

/// The three kinds differ in two letters.
fn declaration(
    body: &mut Taking<'_>,
    name: &str,
    letters: &str,
    other: &mut Vec<Field>,
) -> Option<Declaration> {
    let mut parts = body.child(name)?;
    let declaration = Declaration {
        description: parts.text(&format!("DPE_{letters}_Beschreibung")),
        place: people::address(&mut parts, &format!("DPE_{letters}_Ablageort"), other),
        updated: parts.attribute(&format!("DPE_{letters}_letzte_Aktualisierung")),
        attorney: parts.child("DPE_VV_Bevollmaechtigter").map(|parts| attorney(parts, other)),
    };
    parts.rest_into(name, other);
    Some(declaration)
}

fn attorney(mut parts: Taking<'_>, other: &mut Vec<Field>) -> Attorney {
    let attorney = Attorney {
        family_name: parts.text("DPE_VV_Name_Bevollmaechtigter"),
        given_name: parts.text("DPE_VV_Vorname_Bevollmaechtigter"),
        phone: parts.text("DPE_VV_Telefon_Bevollmaechtigter"),
        fax: parts.text("DPE_VV_Faxnummer"),
        email: parts.text("DPE_VV_E-Mail"),
        address: people::address(&mut parts, "DPE_VV_Adresse_Bevollmaechtigter", other),
    };
    parts.rest_into("DPE_VV_Bevollmaechtigter", other);
    attorney
}
