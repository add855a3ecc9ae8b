//! The emergency data set (gemSpec_InfoNFDM, `NFD_Document`), by its sections.
//!
//! Which fields an entry has differs between versions of the schema, so that entries keep the schema's own names and
//! sections are found by local name, whatever the namespace says.

use serde::Serialize;

use super::xml::{self, Element};
use super::{DocumentKind, gunzip, text};
use crate::Limits;
use crate::error::VsdError;

/// What a professional needs at once. Everything else is in [`EmergencyData::xml`].
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct EmergencyData {
    /// Insurance number of the patient.
    pub kvnr: Option<String>,
    /// Diagnoses.
    pub diagnoses: Vec<Entry>,
    /// Allergies and intolerances.
    pub allergies: Vec<Entry>,
    /// Medication.
    pub medication: Vec<Entry>,
    /// Special notes: pregnancy, implants, loss of communication and others.
    pub notes: Vec<Entry>,
    /// People to be told.
    pub contacts: Vec<Entry>,
    /// What the patient added.
    pub additions: Vec<Entry>,
    /// The document as it is on the card.
    #[serde(skip)]
    pub xml: Vec<u8>,
}

/// One entry of a section: its fields with the names that the schema gives them.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Entry(pub Vec<Field>);

/// One field.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Names of the elements from the entry down to the text, joined by `/`.
    pub name: String,
    /// The text.
    pub value: String,
}

impl Entry {
    /// The first field whose last element has this name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let named = |field: &&Field| field.name.rsplit('/').next() == Some(name);
        self.0.iter().find(named).map(|field| field.value.as_str())
    }
}

/// Shows how much there is, nothing of what it says.
impl std::fmt::Debug for EmergencyData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmergencyData").field("xml", &self.xml.len()).finish_non_exhaustive()
    }
}

const KIND: DocumentKind = DocumentKind::Emergency;
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Reads EF.NFD; `None` if nothing was ever stored there.
pub(crate) fn read(file: &[u8], limits: &Limits) -> Result<Option<EmergencyData>, VsdError> {
    if file.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let xml = unpacked(file, limits)?;
    let root = xml::parse(KIND, &text::decode(&xml).text, limits.depth)?;
    let mut data = EmergencyData { xml, ..EmergencyData::default() };
    collect(&root, &mut data);
    Ok(Some(data))
}

/// The document, which stands on the card packed, with or without two bytes of length before it, or as it is.
fn unpacked(file: &[u8], limits: &Limits) -> Result<Vec<u8>, VsdError> {
    if let Some((header, body)) = file.split_first_chunk::<2>()
        && body.starts_with(&GZIP)
    {
        let length = usize::from(u16::from_be_bytes(*header));
        let packed = body.get(..length);
        let packed =
            packed.ok_or(VsdError::LengthBeyondFile { document: KIND, length, available: body.len() })?;
        return gunzip::gunzip(KIND, packed, limits.document_bytes);
    }
    let plain = file.trim_ascii_end();
    match plain.first() {
        Some(b'<') if plain.len() > limits.document_bytes => {
            Err(VsdError::TooLarge { document: KIND, limit: limits.document_bytes })
        }
        Some(b'<') => {
            let end = plain.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Ok(plain.get(..end).unwrap_or(plain).to_vec())
        }
        _ => gunzip::gunzip(KIND, file, limits.document_bytes),
    }
}

/// Looks for the sections, at any depth.
fn collect(element: &Element, data: &mut EmergencyData) {
    for child in element.children() {
        match child.name() {
            "Versicherten_ID" => data.kvnr = data.kvnr.take().or_else(|| child.text()),
            "Diagnosen" => data.diagnoses.push(entry(child)),
            "Allergien_Unvertraeglichkeiten" => data.allergies.push(entry(child)),
            "NFD_Medikationseintrag" => data.medication.push(entry(child)),
            "Besondere_Hinweise" => {
                data.notes.extend(child.children().iter().map(|note| {
                    let mut fields = Vec::new();
                    describe(note, "", &mut fields);
                    Entry(fields)
                }));
            }
            "NFD_Benachrichtigungskontakt" => data.contacts.push(entry(child)),
            "NFD_Freiwillige_Zusatzinformationen" => data.additions.push(entry(child)),
            _ => collect(child, data),
        }
    }
}

fn entry(element: &Element) -> Entry {
    let mut fields = Vec::new();
    for child in element.children() {
        describe(child, "", &mut fields);
    }
    Entry(fields)
}

/// The texts of an element and of those in it, each with its path.
fn describe(element: &Element, path: &str, fields: &mut Vec<Field>) {
    let separator = if path.is_empty() { "" } else { "/" };
    let name = format!("{path}{separator}{}", element.name());
    if let Some(value) = element.text() {
        fields.push(Field { name: name.clone(), value });
    }
    for child in element.children() {
        describe(child, &name, fields);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<n:NFD_Document xmlns:n="urn:emergency" xmlns:v="urn:insured" NFD_Version="1.3.0"><n:Notfalldaten>
 <n:NFD_Versicherter><v:Versicherter><v:Versicherten_ID>X110540756</v:Versicherten_ID></v:Versicherter>
  <n:NFD_Benachrichtigungskontakt><n:NFD_BK_Bezeichnung>Sister</n:NFD_BK_Bezeichnung><n:NFD_BK_Kommunikation>
   <n:Kommunikationsdaten><n:Telefonnummer>0301234567</n:Telefonnummer></n:Kommunikationsdaten>
  </n:NFD_BK_Kommunikation></n:NFD_Benachrichtigungskontakt></n:NFD_Versicherter>
 <n:NFD_Befunddaten><n:Diagnosen><n:Klartext>Asthma</n:Klartext></n:Diagnosen>
  <n:Allergien_Unvertraeglichkeiten><n:Substanz>Penicillin</n:Substanz><n:Reaktion>shock</n:Reaktion>
  </n:Allergien_Unvertraeglichkeiten>
  <n:Besondere_Hinweise><n:Implantate><n:Typenbezeichnung>Pacemaker</n:Typenbezeichnung></n:Implantate>
  </n:Besondere_Hinweise></n:NFD_Befunddaten>
 <n:NFD_Medikationseintrag><n:Handelsname>Invented 5 mg</n:Handelsname></n:NFD_Medikationseintrag>
 <n:NFD_Medikationseintrag><n:Handelsname>Made up 10 mg</n:Handelsname></n:NFD_Medikationseintrag>
</n:Notfalldaten></n:NFD_Document>"#;

    fn read_text(file: &[u8]) -> Result<Option<EmergencyData>, VsdError> {
        read(file, &Limits::default())
    }

    #[test]
    fn sections_are_found_whatever_the_namespace() {
        let data = read_text(DOCUMENT.as_bytes()).unwrap().unwrap();
        assert_eq!(data.kvnr.as_deref(), Some("X110540756"));
        assert_eq!(data.diagnoses[0].field("Klartext"), Some("Asthma"));
        assert_eq!(data.allergies[0].field("Substanz"), Some("Penicillin"));
        assert_eq!(data.notes[0].0[0].name, "Implantate/Typenbezeichnung");
        assert_eq!(data.medication.len(), 2);
        assert_eq!(data.contacts[0].field("Telefonnummer"), Some("0301234567"));
        assert_eq!(data.xml, DOCUMENT.as_bytes());
        assert!(!format!("{data:?}").contains("Asthma"));
    }

    #[test]
    fn an_empty_file_holds_nothing_and_rubbish_is_refused() {
        assert!(read_text(&[]).unwrap().is_none());
        assert!(read_text(&[0; 400]).unwrap().is_none());
        for rubbish in [&b"\x00\x05nonsense"[..], b"<open>", b"\xFF\xFF\x1F\x8B\x08"] {
            assert!(read_text(rubbish).is_err());
        }
        let limits = Limits { document_bytes: 100, ..Limits::default() };
        assert!(matches!(read(DOCUMENT.as_bytes(), &limits), Err(VsdError::TooLarge { limit: 100, .. })));
    }
}
