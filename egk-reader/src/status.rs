//! EF.StatusVD (gemSpec_eGK_Fach_VSDM, storage structure of EF.StatusVD): whether an update of the insurance data was interrupted,
//! when they were last written, and by which versions.

use std::fmt;

use serde::{Serialize, Serializer};
use time::{Date, Month, PrimitiveDateTime, Time};

use crate::error::VsdError;
use crate::finding::Finding;

/// Contents of EF.StatusVD of a card whose data are consistent; an open transaction is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StatusVd {
    /// When the data were last written, as the card says it, without a time zone: `2026-03-02T13:14:54`.
    #[serde(serialize_with = "iso")]
    pub updated: Option<PrimitiveDateTime>,
    /// Version of the XML schema.
    pub schema_version: Option<FileVersion>,
    /// Version of the storage structure of the files.
    pub storage_version: Option<FileVersion>,
}

/// A version number as 3 + 3 + 4 BCD digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileVersion {
    /// First three digits.
    pub major: u16,
    /// Next three digits.
    pub minor: u16,
    /// Last four digits.
    pub patch: u16,
}

impl StatusVd {
    /// Length of the file.
    pub const LENGTH: usize = 25;

    /// [`StatusVd::updated`] as ISO 8601 text.
    pub fn updated_text(&self) -> Option<String> {
        self.updated.as_ref().map(iso_text)
    }

    /// Reads the file. ASCII `0` in the first byte means that no transaction is open, `1` that the data are
    /// inconsistent and must not be used.
    pub(crate) fn parse(file: &[u8], findings: &mut Vec<Finding>) -> Result<StatusVd, VsdError> {
        let Some(([flag], rest)) =
            file.get(..Self::LENGTH).and_then(|status| status.split_first_chunk::<1>())
        else {
            return Err(VsdError::StatusTooShort { expected: Self::LENGTH, got: file.len() });
        };
        match flag {
            b'0' => {}
            b'1' => return Err(VsdError::TransactionOpen),
            other => return Err(VsdError::StatusFlag { got: *other }),
        }
        let (timestamp, versions) = rest.split_at_checked(14).unwrap_or((rest, &[]));
        let (schema, storage) = versions.split_at_checked(5).unwrap_or((versions, &[]));
        let status = StatusVd {
            updated: parse_timestamp(timestamp),
            schema_version: FileVersion::parse(schema),
            storage_version: FileVersion::parse(storage),
        };
        if status.updated.is_none() {
            findings.push(Finding::StatusTimestamp);
        }
        if status.schema_version.is_none() || status.storage_version.is_none() {
            findings.push(Finding::StatusVersion);
        }
        Ok(status)
    }
}

impl FileVersion {
    /// Five bytes BCD: `0050020000` is 5.2.0.
    fn parse(bytes: &[u8]) -> Option<FileVersion> {
        let nibbles: Vec<u8> = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect();
        if nibbles.len() != 10 || nibbles.iter().any(|digit| *digit > 9) {
            return None;
        }
        let number = |digits: &[u8]| digits.iter().fold(0, |value, digit| value * 10 + u16::from(*digit));
        let (major, rest) = nibbles.split_at_checked(3)?;
        let (minor, patch) = rest.split_at_checked(3)?;
        Some(FileVersion { major: number(major), minor: number(minor), patch: number(patch) })
    }
}

impl fmt::Display for FileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// `"5.2.0"`
impl Serialize for FileVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `YYYYMMDDhhmmss`.
fn parse_timestamp(bytes: &[u8]) -> Option<PrimitiveDateTime> {
    if bytes.len() != 14 || !bytes.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let part = |start: usize, end: usize| text.get(start..end)?.parse::<u8>().ok();
    let year: i32 = text.get(..4)?.parse().ok()?;
    let date = Date::from_calendar_date(year, Month::try_from(part(4, 6)?).ok()?, part(6, 8)?).ok()?;
    let time = Time::from_hms(part(8, 10)?, part(10, 12)?, part(12, 14)?).ok()?;
    Some(PrimitiveDateTime::new(date, time))
}

/// ISO 8601 text of a time stamp.
fn iso_text(at: &PrimitiveDateTime) -> String {
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

fn iso<S: Serializer>(at: &Option<PrimitiveDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_ref().map(iso_text).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(flag: u8, timestamp: &[u8; 14], versions: [u8; 10]) -> Vec<u8> {
        [&[flag], timestamp.as_slice(), versions.as_slice()].concat()
    }

    const VERSIONS: [u8; 10] = [0x00, 0x50, 0x02, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x04];

    #[test]
    fn no_open_transaction_is_ascii_zero() {
        let mut findings = Vec::new();
        let status = StatusVd::parse(&file(b'0', b"20260302131454", VERSIONS), &mut findings).unwrap();
        assert_eq!(status.updated_text().as_deref(), Some("2026-03-02T13:14:54"));
        assert_eq!(status.schema_version.unwrap().to_string(), "5.2.0");
        assert_eq!(status.storage_version.unwrap().to_string(), "3.0.4");
        assert!(findings.is_empty());
    }

    #[test]
    fn an_open_transaction_is_refused() {
        let refused = StatusVd::parse(&file(b'1', b"20260302131454", VERSIONS), &mut Vec::new());
        assert!(matches!(refused, Err(VsdError::TransactionOpen)));
    }

    #[test]
    fn other_flags_and_short_files_are_refused() {
        for flag in [0, 1, 0xFF, b' '] {
            let refused = StatusVd::parse(&file(flag, b"20260302131454", VERSIONS), &mut Vec::new());
            assert!(matches!(refused, Err(VsdError::StatusFlag { got }) if got == flag));
        }
        let short = &file(b'0', b"20260302131454", VERSIONS)[..24];
        assert!(matches!(
            StatusVd::parse(short, &mut Vec::new()),
            Err(VsdError::StatusTooShort { expected: 25, got: 24 })
        ));
    }

    #[test]
    fn a_senseless_time_or_version_is_a_finding() {
        let mut findings = Vec::new();
        let status = StatusVd::parse(&file(b'0', b"20261302131454", [0xAA; 10]), &mut findings).unwrap();
        assert_eq!(status, StatusVd { updated: None, schema_version: None, storage_version: None });
        assert_eq!(findings, [Finding::StatusTimestamp, Finding::StatusVersion]);
    }
}
