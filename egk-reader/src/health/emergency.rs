//! The emergency data set (gemSpec_InfoNFDM; schema `NFD_Document` 1.1 to 1.5).
//!
//! No version of the schema has an element for the blood group: hospitals determine it again in any case. Where somebody
//! wrote it down it stands in the patient's own additions or in a special note.

use serde::Serialize;

use super::medication::{self, Medication};
use super::packed;
use super::people::{self, Address, Archive, Person, Reach, RecordedBy};
use super::taking::{Field, Taking};
use crate::Limits;
use crate::error::VsdError;
use crate::record::silent_debug;
use crate::vsd::DocumentKind;

const KIND: DocumentKind = DocumentKind::Emergency;

/// What a professional needs at once.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmergencyData {
    /// `@NFD_Version`.
    pub version: Option<String>,
    /// Date and time of the last change, `2026-03-02T13:14:54`.
    pub updated: Option<String>,
    /// Whose data they are.
    pub insured: Person,
    /// How the patient is reached.
    pub insured_reach: Vec<Reach>,
    /// `NFD_Behandelnder_Arzt_Institution`: who treats the patient, at most three.
    pub treating: Vec<Treating>,
    /// `NFD_Benachrichtigungskontakt`: who is to be told.
    pub contacts: Vec<Contact>,
    /// `NFD_Versicherter_Einwilligung`: who keeps the patient's consent.
    pub consent: Option<Archive>,
    /// `Besondere_Hinweise`: pregnancy, implants, disturbed communication, danger of running away, others.
    pub notes: Vec<Note>,
    /// `Allergien_Unvertraeglichkeiten`.
    pub allergies: Vec<Allergy>,
    /// `Diagnosen`.
    pub diagnoses: Vec<Diagnosis>,
    /// `NFD_Medikationseintrag`.
    pub medication: Vec<Medication>,
    /// `Freiwillige_Zusatzinformationen`: what the patient wanted to add.
    pub additions: Option<String>,
    /// Whether a physician's signature is there. It is not verified here.
    pub signed: bool,
    /// What has no field here.
    pub other: Vec<Field>,
    /// The document as it is on the card.
    #[serde(skip)]
    pub xml: Vec<u8>,
}

/// Who treats the patient.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Treating {
    /// `@BAI_Art`: `Arzt` or `Institution`.
    pub kind: Option<String>,
    /// `NFD_BAI_Arzt_Nachname`.
    pub family_name: Option<String>,
    /// `NFD_BAI_Arzt_Vorname`.
    pub given_name: Option<String>,
    /// `NFD_BAI_Arzt_Bezeichnung`.
    pub title: Option<String>,
    /// `NFD_BAI_Institution_Bezeichnung`.
    pub institution: Option<String>,
    /// `NFD_BAI_Adresse`.
    pub address: Option<Address>,
    /// `NFD_BAI_Kommunikation`.
    pub reach: Vec<Reach>,
}

/// Who is to be told.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// `NFD_BK_Bezeichnung`: what they are to the patient.
    pub relation: Option<String>,
    /// `NFD_BK_Nachname`.
    pub family_name: Option<String>,
    /// `NFD_BK_Vorname`.
    pub given_name: Option<String>,
    /// `NFD_BK_Kommunikation`.
    pub reach: Vec<Reach>,
}

/// What a [`Note`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteKind {
    /// `Schwangerschaft`.
    Pregnancy,
    /// `Implantate`.
    Implant,
    /// `Kommunikationsstoerungen`.
    DisturbedCommunication,
    /// `Weglaufgefaehrdung`.
    RunningAway,
    /// `Sonstige_Hinweise`, and what later versions may add.
    Other,
}

/// A special note.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// Whether it applies (pregnancy, running away); `false` is "not said".
    pub applies: Option<bool>,
    /// What was written.
    pub text: Option<String>,
    /// `Entbindungstermin_Errechnet` or `Datum_Implantation`.
    pub date: Option<String>,
    /// `Typenbezeichnung` of an implant.
    pub model: Option<String>,
    /// Who found it.
    pub recorded_by: Option<RecordedBy>,
    /// What has no field here.
    pub other: Vec<Field>,
}

/// An allergy or intolerance.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Allergy {
    /// `Substanz`.
    pub substance: Option<String>,
    /// `Reaktion`.
    pub reaction: Option<String>,
    /// Who found it.
    pub recorded_by: Option<RecordedBy>,
    /// What has no field here.
    pub other: Vec<Field>,
}

/// A diagnosis.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// `Diagnose_Text`.
    pub text: Option<String>,
    /// `Diagnose_Code`.
    pub code: Option<String>,
    /// `Diagnose_Code_System/Kennzeichen_Code_System`.
    pub code_system: Option<String>,
    /// `Diagnose_Code_System/@DC_Version`.
    pub code_system_version: Option<String>,
    /// `Diagnose_Zeitpunkt`.
    pub time: Option<String>,
    /// `Diagnosesicherheit`: A excluded, G certain, V suspected, Z state after.
    pub certainty: Option<String>,
    /// `Seitenlokalisation`: L, R, B both.
    pub side: Option<String>,
    /// Who found it.
    pub recorded_by: Option<RecordedBy>,
    /// What has no field here.
    pub other: Vec<Field>,
}

silent_debug!(EmergencyData, Treating, Contact, Note, Allergy, Diagnosis);

/// Reads EF.NFD; `None` if nothing is stored there.
pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<Option<EmergencyData>, VsdError> {
    let Some(xml) = packed::documents(KIND, file, limits)?.into_iter().next() else { return Ok(None) };
    let root = super::root_of(KIND, &xml, limits)?;
    Ok(Some(EmergencyData { xml, ..document(Taking::of(&root)) }))
}

fn document(mut root: Taking<'_>) -> EmergencyData {
    let mut data = EmergencyData { version: root.attribute("NFD_Version"), ..EmergencyData::default() };
    if let Some(mut signature) = root.child("SignatureArzt") {
        data.signed = signature.child("Signature").is_some();
        signature.rest_into("SignatureArzt", &mut data.other);
    }
    if let Some(mut body) = root.child("Notfalldaten") {
        body.leave_out(&["ID", "ID_NFD"]);
        let date = body.attribute("NFD_letzte_Aktualisierung_date");
        let time = body.attribute("NFD_letzte_Aktualisierung_time");
        data.updated = [date, time].into_iter().flatten().reduce(|date, time| format!("{date}T{time}"));
        patient(&mut body, &mut data);
        consent(&mut body, &mut data);
        findings(&mut body, &mut data);
        let entries = body.children("NFD_Medikationseintrag");
        data.medication = entries.into_iter().map(medication::emergency_entry).collect();
        if let Some(mut additions) = body.child("NFD_Freiwillige_Zusatzinformationen") {
            data.additions = additions.text("Freiwillige_Zusatzinformationen");
            additions.rest_into("NFD_Freiwillige_Zusatzinformationen", &mut data.other);
        }
        body.rest_into("Notfalldaten", &mut data.other);
    }
    root.rest_into("", &mut data.other);
    data
}

fn patient(body: &mut Taking<'_>, data: &mut EmergencyData) {
    let Some(mut around) = body.child("NFD_Versicherter") else { return };
    data.insured = people::person(&mut around, &mut data.other);
    for mut parts in around.children("NFD_Behandelnder_Arzt_Institution") {
        data.treating.push(Treating {
            kind: parts.attribute("BAI_Art"),
            family_name: parts.text("NFD_BAI_Arzt_Nachname"),
            given_name: parts.text("NFD_BAI_Arzt_Vorname"),
            title: parts.text("NFD_BAI_Arzt_Bezeichnung"),
            institution: parts.text("NFD_BAI_Institution_Bezeichnung"),
            address: people::address(&mut parts, "NFD_BAI_Adresse", &mut data.other),
            reach: people::reach(&mut parts, "NFD_BAI_Kommunikation", &mut data.other),
        });
        parts.rest_into("NFD_Behandelnder_Arzt_Institution", &mut data.other);
    }
    for mut parts in around.children("NFD_Benachrichtigungskontakt") {
        data.contacts.push(Contact {
            relation: parts.text("NFD_BK_Bezeichnung"),
            family_name: parts.text("NFD_BK_Nachname"),
            given_name: parts.text("NFD_BK_Vorname"),
            reach: people::reach(&mut parts, "NFD_BK_Kommunikation", &mut data.other),
        });
        parts.rest_into("NFD_Benachrichtigungskontakt", &mut data.other);
    }
    data.insured_reach = people::reach(&mut around, "NFD_Versicherter_Kommunikation", &mut data.other);
    around.rest_into("NFD_Versicherter", &mut data.other);
}

fn consent(body: &mut Taking<'_>, data: &mut EmergencyData) {
    let Some(mut parts) = body.child("NFD_Versicherter_Einwilligung") else { return };
    data.consent = Some(Archive {
        family_name: parts.text("NFD_VE_Arzt_Nachname"),
        given_name: parts.text("NFD_VE_Arzt_Vorname"),
        address: people::address(&mut parts, "NFD_VE_Adresse", &mut data.other),
    });
    parts.rest_into("NFD_Versicherter_Einwilligung", &mut data.other);
}

fn findings(body: &mut Taking<'_>, data: &mut EmergencyData) {
    let Some(mut around) = body.child("NFD_Befunddaten") else { return };
    for mut section in around.children("Besondere_Hinweise") {
        data.notes.extend(section.all_children().into_iter().map(|(name, parts)| note(name, parts)));
        section.rest_into("Besondere_Hinweise", &mut data.other);
    }
    for mut parts in around.children("Allergien_Unvertraeglichkeiten") {
        let mut other = Vec::new();
        let mut allergy = Allergy {
            substance: parts.text("Substanz"),
            reaction: parts.text("Reaktion"),
            recorded_by: people::recorded_by(&mut parts, &mut other),
            ..Allergy::default()
        };
        parts.rest_into("", &mut other);
        allergy.other = other;
        data.allergies.push(allergy);
    }
    data.diagnoses = around.children("Diagnosen").into_iter().map(diagnosis).collect();
    around.rest_into("NFD_Befunddaten", &mut data.other);
}

fn note(name: &str, mut parts: Taking<'_>) -> Note {
    let (kind, applies, text, date) = match name {
        "Schwangerschaft" => {
            let date = parts.text("Entbindungstermin_Errechnet");
            (NoteKind::Pregnancy, parts.flag("Schwangerschaft"), None, date)
        }
        "Implantate" => {
            let date = parts.text("Datum_Implantation");
            (NoteKind::Implant, None, parts.text("Implantate"), date)
        }
        "Kommunikationsstoerungen" => {
            (NoteKind::DisturbedCommunication, None, parts.text("Kommunikationsstoerung"), None)
        }
        "Weglaufgefaehrdung" => {
            let text = parts.text("Weglaufgefaehrdung_Erlaeuterung");
            (NoteKind::RunningAway, parts.flag("Weglaufgefaehrdung"), text, None)
        }
        "Sonstige_Hinweise" => (NoteKind::Other, None, parts.text("sonstige_Hinweise"), None),
        _ => (NoteKind::Other, None, None, None),
    };
    let mut other = Vec::new();
    let model = parts.text("Typenbezeichnung");
    let recorded_by = people::recorded_by(&mut parts, &mut other);
    let known = kind != NoteKind::Other || name == "Sonstige_Hinweise";
    parts.rest_into(if known { "" } else { name }, &mut other);
    Note { kind, applies, text, date, model, recorded_by, other }
}

fn diagnosis(mut parts: Taking<'_>) -> Diagnosis {
    let mut other = Vec::new();
    let (mut code_system, mut code_system_version) = (None, None);
    if let Some(mut system) = parts.child("Diagnose_Code_System") {
        code_system = system.text("Kennzeichen_Code_System");
        code_system_version = system.attribute("DC_Version");
        system.rest_into("Diagnose_Code_System", &mut other);
    }
    let mut diagnosis = Diagnosis {
        text: parts.text("Diagnose_Text"),
        code: parts.text("Diagnose_Code"),
        code_system,
        code_system_version,
        time: parts.text("Diagnose_Zeitpunkt"),
        certainty: parts.text("Diagnosesicherheit"),
        side: parts.text("Seitenlokalisation"),
        recorded_by: people::recorded_by(&mut parts, &mut other),
        ..Diagnosis::default()
    };
    parts.rest_into("", &mut other);
    diagnosis.other = other;
    diagnosis
}
