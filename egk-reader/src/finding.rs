//! What a reader notices about a card without refusing it. Findings go into logs and onto screens, so they name the
//! field and the rule, never the value.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::vsd::DocumentKind;

/// Something the caller should know about the data or about what could not be made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The Versicherten_ID is not one letter and nine digits.
    KvnrFormat,
    /// The check digit of the Versicherten_ID is wrong.
    KvnrCheckDigit,
    /// The check digit of a payer's IK is wrong; the field says which payer.
    IkCheckDigit(&'static str),
    /// The document names a character set that is unknown or cannot hold XML as the card stores it; ISO-8859-15 was
    /// used.
    UnknownEncoding(DocumentKind),
    /// The document holds bytes that are no text, or text that an earlier system had already damaged.
    DamagedText(DocumentKind),
    /// The status file's time stamp is not fourteen digits.
    StatusTimestamp,
    /// A version number in the status file is not BCD.
    StatusVersion,
    /// The card holds a readable copy of the protected data, but it could not be read; the text names the reason.
    ProtectedCopyUnreadable(String),
    /// A FHIR element that the profile demands cannot be filled from the card. It is left out.
    MissingElement {
        /// FHIR path, for example `Coverage.extension(versichertenart)`.
        element: &'static str,
        /// What the card would have to hold.
        source: &'static str,
    },
    /// A FHIR element would break a rule of the profile with the value on the card. It is kept as it is.
    ProfileRule {
        /// FHIR path.
        element: &'static str,
        /// The rule.
        rule: &'static str,
    },
}

impl Finding {
    /// Stable name of the kind of finding, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Finding::KvnrFormat => "kvnr-format",
            Finding::KvnrCheckDigit => "kvnr-check-digit",
            Finding::IkCheckDigit(_) => "ik-check-digit",
            Finding::UnknownEncoding(_) => "unknown-encoding",
            Finding::DamagedText(_) => "damaged-text",
            Finding::StatusTimestamp => "status-timestamp",
            Finding::StatusVersion => "status-version",
            Finding::ProtectedCopyUnreadable(_) => "protected-copy-unreadable",
            Finding::MissingElement { .. } => "missing-element",
            Finding::ProfileRule { .. } => "profile-rule",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::KvnrFormat => f.write_str("Versicherten_ID is not one letter and nine digits"),
            Finding::KvnrCheckDigit => f.write_str("check digit of Versicherten_ID is wrong"),
            Finding::IkCheckDigit(field) => write!(f, "check digit of the IK in {field} is wrong"),
            Finding::UnknownEncoding(document) => {
                write!(f, "{document} names an unknown character set, read as ISO-8859-15")
            }
            Finding::DamagedText(document) => write!(f, "{document} contains damaged text"),
            Finding::StatusTimestamp => {
                f.write_str("time of the last update in EF.StatusVD is no date and time")
            }
            Finding::StatusVersion => f.write_str("a version number in EF.StatusVD is not BCD"),
            Finding::ProtectedCopyUnreadable(reason) => {
                write!(f, "the copy of the protected data in EF.VD cannot be read: {reason}")
            }
            Finding::MissingElement { element, source } => {
                write!(f, "{element} is missing: the card has no {source}")
            }
            Finding::ProfileRule { element, rule } => write!(f, "{element}: {rule}"),
        }
    }
}

/// `{"code": "kvnr-check-digit", "text": "..."}`
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("Finding", 2)?;
        object.serialize_field("code", self.code())?;
        object.serialize_field("text", &self.to_string())?;
        object.end()
    }
}
