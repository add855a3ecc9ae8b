//! Who did what with the card (EF.Logging; gemSpec_Karten_Fach_TIP), and the records of consents and references.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::record::silent_debug;
use crate::vsd::xml::shown;

/// An entry of the log: 46 bytes.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// When, UTC (RFC 3339): four bytes, seconds since 1970.
    pub time: String,
    /// Which data: one character that the application defines.
    pub data: String,
    /// What was done with them: one character that the application defines.
    pub access: String,
    /// Serial number of the card that did it, 20 digits.
    pub card: String,
    /// Whose card that is: up to 30 bytes, UTF-8.
    pub name: Option<String>,
}

/// A record whose content this program does not know.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct PlainRecord {
    /// The bytes, hexadecimal.
    pub hexadecimal: String,
    /// The bytes as text, if they are one.
    pub text: Option<String>,
}

silent_debug!(LogEntry, PlainRecord);

/// Length of a log record.
const LOG_RECORD: usize = 46;

/// Reads the records of EF.Logging, the latest first, as the card numbers them. Records that were never written, or that
/// have another length, are left out.
pub fn entries(records: &[Vec<u8>]) -> Vec<LogEntry> {
    records.iter().filter_map(|record| entry(record)).collect()
}

/// Records of other files. Those that were never written are left out.
pub fn plain(records: &[Vec<u8>]) -> Vec<PlainRecord> {
    let written = records.iter().filter(|record| record.iter().any(|byte| *byte != 0));
    written
        .map(|record| PlainRecord {
            hexadecimal: record.iter().map(|byte| format!("{byte:02X}")).collect(),
            text: printable(record),
        })
        .collect()
}

fn entry(record: &[u8]) -> Option<LogEntry> {
    if record.len() != LOG_RECORD || record.iter().all(|byte| *byte == 0) {
        return None;
    }
    let (seconds, rest) = record.split_first_chunk::<4>()?;
    let ([data, access], rest) = rest.split_first_chunk::<2>()?;
    let (card, name) = rest.split_first_chunk::<10>()?;
    let time = OffsetDateTime::from_unix_timestamp(u32::from_be_bytes(*seconds).into()).ok()?;
    Some(LogEntry {
        time: time.format(&Rfc3339).ok()?,
        data: shown(&char::from(*data).to_string()),
        access: shown(&char::from(*access).to_string()),
        card: card.iter().map(|byte| format!("{byte:02X}")).collect(),
        name: text_of(name),
    })
}

/// Filled up with blanks or zeros.
fn text_of(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\0', ' ']);
    (!text.is_empty()).then(|| shown(text))
}

fn printable(record: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(record).ok()?.trim_end_matches(['\0', ' ']);
    let is_text = !text.is_empty() && !text.chars().any(char::is_control);
    is_text.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> Vec<u8> {
        let mut record = 1_772_456_000_u32.to_be_bytes().to_vec();
        record.extend(b"NR");
        record.extend([0x80, 0x27, 0x68, 0x83, 0x11, 0x00, 0x00, 0x11, 0x22, 0x33]);
        record.extend(name.as_bytes());
        record.resize(LOG_RECORD, b' ');
        record
    }

    #[test]
    fn a_log_record_names_time_data_access_and_actor() {
        let read = entries(&[record("Müller, Käthe"), vec![0; 46], vec![1; 45]]);
        let expected = LogEntry {
            time: "2026-03-02T12:53:20Z".to_owned(),
            data: "N".to_owned(),
            access: "R".to_owned(),
            card: "80276883110000112233".to_owned(),
            name: Some("Müller, Käthe".to_owned()),
        };
        assert!(read == [expected]);
        assert!(!format!("{:?}", read[0]).contains("Müller"));
    }

    #[test]
    fn other_records_are_shown_as_they_are() {
        let read = plain(&[vec![0; 20], b"consent\0\0".to_vec(), vec![0xC1, 0x00, 0x07]]);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].text.as_deref(), Some("consent"));
        assert_eq!((read[1].hexadecimal.as_str(), read[1].text.as_deref()), ("C10007", None));
    }
}
