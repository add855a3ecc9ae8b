//! Insurance data and how an insurance card stores it (gemSpec_Karten_Fach_TIP: EF.PD, EF.VD, EF.GVD,
//! EF.StatusVD).

use std::io::Write;

use flate2::{Compression, GzBuilder};
use thiserror::Error;

use crate::pki::Insured;

/// The XML documents of an insured person, exactly as they are to be packed.
#[derive(Clone, PartialEq, Eq)]
pub struct Patient {
    /// Personal data (PD).
    pub personal: Vec<u8>,
    /// General insurance data (VD).
    pub insurance: Vec<u8>,
    /// Protected insurance data (GVD).
    pub protected: Option<Vec<u8>>,
}

/// Insurance data do not fit on a card.
#[derive(Debug, Error)]
pub enum PatientError {
    /// Longer than a length or offset field can say.
    #[error("{file}: {got} bytes packed, at most {limit} can be stored")]
    TooLong {
        /// Name of the file.
        file: &'static str,
        /// Bytes that can be stored.
        limit: usize,
        /// Bytes that would be needed.
        got: usize,
    },
    /// Compression failed.
    #[error("compressing: {0}")]
    Compression(#[from] std::io::Error),
}

/// An invented person: valid check digits, German umlauts.
impl Default for Patient {
    fn default() -> Patient {
        let with =
            |text: &str| latin9(&format!("<?xml version=\"1.0\" encoding=\"ISO-8859-15\"?>\r\n{text}"));
        Patient { personal: with(PERSONAL), insurance: with(INSURANCE), protected: Some(with(PROTECTED)) }
    }
}

/// Shows sizes only: the documents are personal data.
impl std::fmt::Debug for Patient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patient")
            .field("personal", &self.personal.len())
            .field("insurance", &self.insurance.len())
            .field("protected", &self.protected.as_ref().map(Vec::len))
            .finish()
    }
}

impl Patient {
    /// EF.PD: two bytes length of the packed document, the packed document.
    pub(crate) fn personal_file(&self) -> Result<Vec<u8>, PatientError> {
        length_and_document("EF.PD", &self.personal)
    }

    /// EF.VD: four offsets (start and last byte of the VD and of the GVD copy, from the start of the file), then
    /// both documents, packed. An absent GVD has the offsets FFFF FFFF.
    pub(crate) fn insurance_file(&self) -> Result<Vec<u8>, PatientError> {
        const HEADER: usize = 8;
        let insurance = gzip(&self.insurance)?;
        let protected = self.protected.as_deref().map(gzip).transpose()?;
        let (start, end) = (HEADER, HEADER + insurance.len() - 1);
        let mut file = Vec::new();
        file.extend(offset(start)?);
        file.extend(offset(end)?);
        match &protected {
            Some(document) => {
                file.extend(offset(end + 1)?);
                file.extend(offset(end + document.len())?);
            }
            None => file.extend([0xFF; 4]),
        }
        file.extend(insurance);
        file.extend(protected.unwrap_or_default());
        Ok(file)
    }

    /// EF.GVD: as EF.PD; empty without protected data.
    pub(crate) fn protected_file(&self) -> Result<Vec<u8>, PatientError> {
        self.protected.as_deref().map_or_else(|| Ok(Vec::new()), |xml| length_and_document("EF.GVD", xml))
    }

    /// EF.StatusVD: no open transaction, time of the last update, schema version and storage version.
    pub(crate) fn status_file(&self, now: time::OffsetDateTime) -> Vec<u8> {
        const STORAGE_VERSION: &str = "0030000004";
        let stamp = format!(
            "0{:04}{:02}{:02}{:02}{:02}{:02}",
            now.year(),
            u8::from(now.month()),
            now.day(),
            now.hour(),
            now.minute(),
            now.second()
        );
        let version = attribute(&decode(&self.personal), "CDM_VERSION").unwrap_or_else(|| "5.2.0".to_owned());
        let mut parts = version.split('.').map(|part| part.parse::<u16>().unwrap_or(0));
        let mut next = || parts.next().unwrap_or(0);
        let schema = format!("{:03}{:03}{:04}", next() % 1000, next() % 1000, next() % 10_000);
        let mut file = stamp.into_bytes();
        for digits in [schema.as_str(), STORAGE_VERSION] {
            file.extend(hex::decode(digits).unwrap_or_default());
        }
        file
    }

    /// The names for the certificates, as far as the documents give them.
    pub(crate) fn insured(&self) -> Insured {
        let (personal, insurance) = (decode(&self.personal), decode(&self.insurance));
        let or = |value: Option<String>, other: &str| value.unwrap_or_else(|| other.to_owned());
        Insured {
            given_name: or(element(&personal, "Vorname"), "Unbekannt"),
            surname: or(element(&personal, "Nachname"), "Unbekannt"),
            kvnr: or(element(&personal, "Versicherten_ID"), "X000000000"),
            payer: or(element(&insurance, "Name"), "Testkasse"),
            payer_id: or(element(&insurance, "Kostentraegerkennung"), "109999006"),
        }
    }
}

fn length_and_document(file: &'static str, xml: &[u8]) -> Result<Vec<u8>, PatientError> {
    let document = gzip(xml)?;
    let too_long = PatientError::TooLong { file, limit: usize::from(u16::MAX), got: document.len() };
    let length = u16::try_from(document.len()).map_err(|_| too_long)?;
    Ok([length.to_be_bytes().as_slice(), &document].concat())
}

fn offset(position: usize) -> Result<[u8; 2], PatientError> {
    let limit = usize::from(u16::MAX);
    let too_long = PatientError::TooLong { file: "EF.VD", limit, got: position };
    Ok(u16::try_from(position).map_err(|_| too_long)?.to_be_bytes())
}

/// gzip as cards carry it: no time, no name, no hint at the effort, operating system unknown.
pub(crate) fn gzip(document: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    const UNKNOWN_SYSTEM: u8 = 0xFF;
    // The highest level that does not call itself the best in the header.
    let level = Compression::new(8);
    let mut encoder = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM).write(Vec::new(), level);
    encoder.write_all(document)?;
    encoder.finish()
}

/// The text of the first element with a local name.
fn element(xml: &str, name: &str) -> Option<String> {
    let opening = format!("{name}>");
    let mut places = xml.match_indices(&opening);
    let (at, _) = places.find(|(at, _)| xml.get(..*at).is_some_and(|s| s.ends_with(['<', ':'])))?;
    let text = xml.get(at + opening.len()..)?.split('<').next()?.trim();
    let text = text.replace("&apos;", "'").replace("&amp;", "&");
    (!text.is_empty()).then_some(text)
}

fn attribute(xml: &str, name: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("{name}=\""))?;
    Some(rest.split('"').next()?.to_owned())
}

/// Text of a document for the few names needed here: by its declared encoding, ISO-8859-15 otherwise.
fn decode(xml: &[u8]) -> String {
    let latin = || xml.iter().map(|&byte| from_latin9(byte)).collect::<String>();
    let declared = xml.get(..xml.len().min(100)).map(|start| start.to_ascii_uppercase());
    let is_utf8 = declared.is_some_and(|start| start.windows(5).any(|window| window == b"UTF-8"));
    if is_utf8 { String::from_utf8_lossy(xml).into_owned() } else { latin() }
}

/// Where ISO-8859-15 differs from ISO-8859-1.
const DIFFERENT: [(u8, char); 8] =
    [(0xA4, '€'), (0xA6, 'Š'), (0xA8, 'š'), (0xB4, 'Ž'), (0xB8, 'ž'), (0xBC, 'Œ'), (0xBD, 'œ'), (0xBE, 'Ÿ')];

fn from_latin9(byte: u8) -> char {
    DIFFERENT.iter().find(|(b, _)| *b == byte).map_or(char::from(byte), |(_, c)| *c)
}

fn latin9(text: &str) -> Vec<u8> {
    let encode = |c: char| {
        let different = DIFFERENT.iter().find(|(_, other)| *other == c).map(|(byte, _)| *byte);
        different.or_else(|| u8::try_from(c).ok()).unwrap_or(b'?')
    };
    text.chars().map(encode).collect()
}

const PERSONAL: &str = r#"<VSD:UC_PersoenlicheVersichertendatenXML CDM_VERSION="5.2.0" xmlns:VSD="http://ws.gematik.de/fa/vsdm/vsd/v5.2"><VSD:Versicherter><VSD:Versicherten_ID>S304761291</VSD:Versicherten_ID><VSD:Person><VSD:Geburtsdatum>19840229</VSD:Geburtsdatum><VSD:Vorname>Jörg Käthe</VSD:Vorname><VSD:Nachname>Übermuth-Groß</VSD:Nachname><VSD:Geschlecht>X</VSD:Geschlecht><VSD:Vorsatzwort>von der</VSD:Vorsatzwort><VSD:Titel>Dr.</VSD:Titel><VSD:StrassenAdresse><VSD:Postleitzahl>99999</VSD:Postleitzahl><VSD:Ort>Möglingsbüttel</VSD:Ort><VSD:Land><VSD:Wohnsitzlaendercode>D</VSD:Wohnsitzlaendercode></VSD:Land><VSD:Strasse>Straße der Prüfung</VSD:Strasse><VSD:Hausnummer>7a</VSD:Hausnummer></VSD:StrassenAdresse></VSD:Person></VSD:Versicherter></VSD:UC_PersoenlicheVersichertendatenXML>"#;

const INSURANCE: &str = r#"<VSD:UC_AllgemeineVersicherungsdatenXML CDM_VERSION="5.2.0" xmlns:VSD="http://ws.gematik.de/fa/vsdm/vsd/v5.2"><VSD:Versicherter><VSD:Versicherungsschutz><VSD:Beginn>20150401</VSD:Beginn><VSD:Kostentraeger><VSD:Kostentraegerkennung>109999006</VSD:Kostentraegerkennung><VSD:Kostentraegerlaendercode>D</VSD:Kostentraegerlaendercode><VSD:Name>Prüfkasse Süd</VSD:Name></VSD:Kostentraeger></VSD:Versicherungsschutz><VSD:Zusatzinfos><VSD:ZusatzinfosGKV><VSD:Versichertenart>1</VSD:Versichertenart><VSD:Zusatzinfos_Abrechnung_GKV><VSD:WOP>38</VSD:WOP></VSD:Zusatzinfos_Abrechnung_GKV></VSD:ZusatzinfosGKV></VSD:Zusatzinfos></VSD:Versicherter></VSD:UC_AllgemeineVersicherungsdatenXML>"#;

const PROTECTED: &str = r#"<VSD:UC_GeschuetzteVersichertendatenXML CDM_VERSION="5.2.0" xmlns:VSD="http://ws.gematik.de/fa/vsdm/vsd/v5.2"><VSD:Zuzahlungsstatus><VSD:Status>0</VSD:Status></VSD:Zuzahlungsstatus><VSD:Selektivvertraege><VSD:Aerztlich>9</VSD:Aerztlich><VSD:Zahnaerztlich>9</VSD:Zahnaerztlich></VSD:Selektivvertraege></VSD:UC_GeschuetzteVersichertendatenXML>"#;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn gunzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        out
    }

    fn number(file: &[u8], at: usize) -> usize {
        usize::from(u16::from_be_bytes([file[at], file[at + 1]]))
    }

    #[test]
    fn the_length_of_personal_data_excludes_itself() {
        let patient = Patient::default();
        let file = patient.personal_file().unwrap();
        assert_eq!(number(&file, 0), file.len() - 2);
        assert_eq!(file[2..12], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF]);
        assert_eq!(gunzip(&file[2..]), patient.personal);
    }

    #[test]
    fn end_offsets_of_insurance_data_are_inclusive() {
        let patient = Patient::default();
        let file = patient.insurance_file().unwrap();
        assert_eq!(number(&file, 0), 8);
        assert_eq!(gunzip(&file[8..=number(&file, 2)]), patient.insurance);
        assert_eq!(number(&file, 4), number(&file, 2) + 1);
        assert_eq!(number(&file, 6), file.len() - 1);
        assert_eq!(gunzip(&file[number(&file, 4)..=number(&file, 6)]), patient.protected.unwrap());
    }

    #[test]
    fn absent_protected_data_are_marked() {
        let patient = Patient { protected: None, ..Patient::default() };
        assert_eq!(patient.insurance_file().unwrap()[4..8], [0xFF; 4]);
        assert!(patient.protected_file().unwrap().is_empty());
    }

    #[test]
    fn the_status_tells_time_schema_and_storage_version() {
        let now = time::macros::datetime!(2026-03-09 08:07:06 UTC);
        let status = Patient::default().status_file(now);
        assert_eq!(hex::encode_upper(&status), "30323032363033303930383037303600500200000030000004");
    }

    #[test]
    fn the_invented_person_has_valid_check_digits_and_umlauts_of_one_byte() {
        let insured = Patient::default().insured();
        let digits = |text: &str| text.chars().filter_map(|c| c.to_digit(10)).collect::<Vec<_>>();
        let sum = |digits: &[u32], weights: [u32; 2]| {
            let products = digits.iter().zip(weights.iter().cycle()).map(|(d, w)| d * w);
            products.map(|p| p / 10 + p % 10).sum::<u32>() % 10
        };
        let letter = u32::from(insured.kvnr.as_bytes()[0] - b'A' + 1);
        let number = [vec![letter / 10, letter % 10], digits(&insured.kvnr)].concat();
        assert_eq!(sum(&number[..10], [1, 2]), number[10]);
        let payer = digits(&insured.payer_id);
        assert_eq!(sum(&payer[2..8], [2, 1]), payer[8]);
        assert!(Patient::default().personal.windows(8).any(|w| w == b"\xDCbermuth"));
    }

    #[test]
    fn names_are_read_from_the_documents() {
        let insured = Patient::default().insured();
        assert_eq!(insured.surname, "Übermuth-Groß");
        assert_eq!(insured.kvnr, "S304761291");
        assert_eq!(insured.payer, "Prüfkasse Süd");
    }
}
