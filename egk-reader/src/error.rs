//! What can be wrong with the data of a card. Texts name the file, the element and what was expected; they hold no
//! personal data, so they may be logged.

use std::io;

use thiserror::Error;

use crate::vsd::DocumentKind;

/// The card answered, but its insurance data cannot be used.
#[derive(Debug, Error)]
pub enum VsdError {
    /// The card was taken out while its data were being updated.
    #[error(
        "EF.StatusVD: an update of the insurance data was interrupted (transaction open), the data are inconsistent"
    )]
    TransactionOpen,
    /// EF.StatusVD is too short.
    #[error("EF.StatusVD has {got} bytes, expected {expected}")]
    StatusTooShort {
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// The transaction flag is neither ASCII 0 nor 1.
    #[error("EF.StatusVD: transaction flag is {got:02X}, expected 30 (none open) or 31 (open)")]
    StatusFlag {
        /// Byte found.
        got: u8,
    },
    /// The file is too short for its own header.
    #[error("{document} has {got} bytes, expected at least {expected}")]
    TooShort {
        /// Which file.
        document: DocumentKind,
        /// Bytes expected.
        expected: usize,
        /// Bytes found.
        got: usize,
    },
    /// The file says itself that it holds nothing.
    #[error("{document} is empty: the card has not been personalised with insurance data")]
    Empty {
        /// Which file.
        document: DocumentKind,
    },
    /// The length field points beyond the end of the file.
    #[error("{document}: the length field says {length} bytes, the file has {available} after it")]
    LengthBeyondFile {
        /// Which file.
        document: DocumentKind,
        /// What the length field says.
        length: usize,
        /// Bytes that follow the length field.
        available: usize,
    },
    /// The offsets do not describe a part of the file.
    #[error(
        "{document}: offsets {start} to {end} (inclusive) do not lie in order within the file of {file} bytes"
    )]
    BadOffsets {
        /// Which file.
        document: DocumentKind,
        /// First byte of the part.
        start: usize,
        /// Last byte of the part.
        end: usize,
        /// Length of the file.
        file: usize,
    },
    /// The gzip stream is damaged or cut off.
    #[error("{document}: the compressed data are damaged or incomplete")]
    Compression {
        /// Which file.
        document: DocumentKind,
        /// What the decoder says.
        source: io::Error,
    },
    /// The unpacked document is larger than allowed.
    #[error("{document}: the document unpacks to more than the limit of {limit} bytes")]
    TooLarge {
        /// Which file.
        document: DocumentKind,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Something other than zeros follows the gzip stream.
    #[error("{document}: {count} bytes that are not all zero follow the compressed data")]
    TrailingBytes {
        /// Which file.
        document: DocumentKind,
        /// How many bytes follow.
        count: usize,
    },
    /// The XML cannot be read.
    #[error("{document}: {fault}")]
    Xml {
        /// Which file.
        document: DocumentKind,
        /// What is wrong.
        fault: XmlFault,
    },
    /// The root element is another one.
    #[error("{document}: expected the element {expected}, got {got}")]
    WrongDocument {
        /// Which file.
        document: DocumentKind,
        /// Root element of that file.
        expected: &'static str,
        /// Root element found.
        got: String,
    },
    /// The namespace is none of the known schema versions.
    #[error("{document}: unknown namespace, expected {expected}, got {got}")]
    UnknownNamespace {
        /// Which file.
        document: DocumentKind,
        /// The known ones.
        expected: String,
        /// The one found.
        got: String,
    },
    /// An element that every schema version demands is absent or empty.
    #[error("{document}: mandatory element {element} is absent or empty")]
    MissingElement {
        /// Which file.
        document: DocumentKind,
        /// Path below the root element.
        element: String,
    },
    /// An element's value is outside its type. The value is not shown.
    #[error("{document}: {element} is not {expected}")]
    InvalidValue {
        /// Which file.
        document: DocumentKind,
        /// Path below the root element.
        element: String,
        /// What the schema says.
        expected: &'static str,
    },
}

impl VsdError {
    /// Stable name of the kind of error, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            VsdError::TransactionOpen => "transaction-open",
            VsdError::StatusTooShort { .. } => "status-too-short",
            VsdError::StatusFlag { .. } => "status-flag",
            VsdError::TooShort { .. } => "too-short",
            VsdError::Empty { .. } => "empty",
            VsdError::LengthBeyondFile { .. } => "length-beyond-file",
            VsdError::BadOffsets { .. } => "bad-offsets",
            VsdError::Compression { .. } => "compression",
            VsdError::TooLarge { .. } => "too-large",
            VsdError::TrailingBytes { .. } => "trailing-bytes",
            VsdError::Xml { .. } => "xml",
            VsdError::WrongDocument { .. } => "wrong-document",
            VsdError::UnknownNamespace { .. } => "unknown-namespace",
            VsdError::MissingElement { .. } => "missing-element",
            VsdError::InvalidValue { .. } => "invalid-value",
        }
    }
}

/// Why XML was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum XmlFault {
    /// Not well-formed.
    #[error("the XML is not well-formed at character offset {position}")]
    NotWellFormed {
        /// Offset in the decoded text, in bytes of UTF-8.
        position: u64,
    },
    /// No element at all.
    #[error("the XML has no element")]
    NoElement,
    /// A document type declaration, which insurance data never have.
    #[error("the XML has a document type declaration, which is not allowed")]
    DocumentType,
    /// An entity or character reference that is not predefined.
    #[error("the XML uses an entity that is not predefined")]
    Entity,
    /// Nested too deep.
    #[error("the XML is nested deeper than the limit of {limit} elements")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
}
