//! What a document has beyond the schemas this crate knows: kept with its name, so that nothing an insurer adds is lost.

use super::DocumentKind;
use super::xml::Element;
use crate::health::{Field, below};

/// The elements of schemas 5.1, 5.2, 5.3 and PKV 1.0.
fn known(kind: DocumentKind) -> &'static [&'static str] {
    match kind {
        DocumentKind::Personal => &[
            "Anschriftenzusatz",
            "Geburtsdatum",
            "Geschlecht",
            "Hausnummer",
            "Land",
            "Nachname",
            "Namenszusatz",
            "Ort",
            "Person",
            "Postfach",
            "PostfachAdresse",
            "Postleitzahl",
            "Strasse",
            "StrassenAdresse",
            "Titel",
            "Versicherten_ID",
            "Versicherter",
            "Vorname",
            "Vorsatzwort",
            "Wohnsitzlaendercode",
        ],
        DocumentKind::Coverage => &[
            "AbrechnenderKostentraeger",
            "AerztlicheVersorgung",
            "AllgemeineKrankenhausleistungen",
            "ArtWahlleistungAerztlicheBehandlung",
            "ArtWahlleistungUnterkunft",
            "Beginn",
            "Beihilfeberechtigung",
            "Ende",
            "HoechstbetragWahlleistungUnterkunft",
            "KVB_PBeaK",
            "Kennzeichnung",
            "Kostenerstattung",
            "Kostenerstattung_ambulant",
            "Kostenerstattung_stationaer",
            "Kostentraeger",
            "Kostentraegerkennung",
            "Kostentraegerlaendercode",
            "Name",
            "PKV_Verbandstarif",
            "ProzentwertWahlleistungAerztlicheBehandlung",
            "ProzentwertWahlleistungUnterkunft",
            "Rechtskreis",
            "StationaereLeistungen",
            "StationaererBereich",
            "Tarifart",
            "TeilnahmeClinicCardVerfahren",
            "VeranlassteLeistungen",
            "Versichertenart",
            "Versichertenstatus_RSA",
            "Versicherter",
            "Versicherungsschutz",
            "WOP",
            "WahlleistungAerztlicheBehandlung",
            "WahlleistungUnterkunft",
            "ZahnaerztlicheVersorgung",
            "Zusatzinfos",
            "ZusatzinfosGKV",
            "ZusatzinfosPKV",
            "Zusatzinfos_Abrechnung_GKV",
        ],
        DocumentKind::Protected | DocumentKind::ProtectedFile => &[
            "Aerztlich",
            "Art",
            "ArtDesRuhens",
            "Beginn",
            "BesonderePersonengruppe",
            "Besondere_Personengruppe",
            "DMP_Kennzeichnung",
            "Ende",
            "Gueltig_bis",
            "RuhenderLeistungsanspruch",
            "Selektivvertraege",
            "Status",
            "Zahnaerztlich",
            "Zuzahlungsstatus",
        ],
        _ => &[],
    }
}

/// The parts of a document that no schema names.
pub(super) fn fields(kind: DocumentKind, root: &Element) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(root, known(kind), "", false, &mut fields);
    fields
}

fn collect(element: &Element, known: &[&str], path: &str, inside: bool, fields: &mut Vec<Field>) {
    for child in element.children() {
        let name = below(path, child.name());
        let is_new = inside || !known.contains(&child.name());
        if is_new && let Some(value) = child.text() {
            fields.push(Field { name: name.clone(), value });
        }
        collect(child, known, &name, is_new, fields);
    }
}
