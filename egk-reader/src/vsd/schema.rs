//! Which document and which schema version an XML root element belongs to. The namespace decides, never the prefix:
//! cards exist with the prefix `VSD:` and with a default namespace.

use std::fmt;

use serde::Serialize;

use super::xml::Element;
use crate::error::VsdError;

/// A document of the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentKind {
    /// EF.PD.
    Personal,
    /// First part of EF.VD.
    Coverage,
    /// Second part of EF.VD.
    Protected,
    /// EF.GVD.
    ProtectedFile,
    /// EF.NFD.
    Emergency,
    /// EF.DPE.
    Declarations,
    /// EF.AMTS.
    Medication,
    /// EF.Pruefungsnachweis.
    Receipt,
}

impl DocumentKind {
    /// Local name of the root element.
    pub fn root_name(self) -> &'static str {
        match self {
            DocumentKind::Personal => "UC_PersoenlicheVersichertendatenXML",
            DocumentKind::Coverage => "UC_AllgemeineVersicherungsdatenXML",
            DocumentKind::Protected | DocumentKind::ProtectedFile => "UC_GeschuetzteVersichertendatenXML",
            DocumentKind::Emergency => "NFD_Document",
            DocumentKind::Declarations => "DPE_Document",
            DocumentKind::Medication => "MP",
            DocumentKind::Receipt => "PN",
        }
    }
}

impl fmt::Display for DocumentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DocumentKind::Personal => "EF.PD",
            DocumentKind::Coverage => "EF.VD",
            DocumentKind::Protected => "EF.VD (copy of the protected data)",
            DocumentKind::ProtectedFile => "EF.GVD",
            DocumentKind::Emergency => "EF.NFD",
            DocumentKind::Declarations => "EF.DPE",
            DocumentKind::Medication => "EF.AMTS",
            DocumentKind::Receipt => "EF.Pruefungsnachweis",
        })
    }
}

/// Version of the schema a document was written by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Schema {
    /// 5.1: a namespace for each document.
    #[serde(rename = "5.1")]
    V5_1,
    /// 5.2: one namespace; also used for private insurance by some cards.
    #[serde(rename = "5.2")]
    V5_2,
    /// 5.3: shortened data of cards issued from 2026.
    #[serde(rename = "5.3")]
    V5_3,
    /// Schema for private insurance, 1.0.
    #[serde(rename = "PKV 1.0")]
    Pkv1_0,
}

const V5_2: &str = "http://ws.gematik.de/fa/vsdm/vsd/v5.2";
const V5_3: &str = "http://ws.gematik.de/fa/vsdm/vsd/v5.3";
const PKV_1_0: &str = "http://ws.gematik.de/fa/vsdm/vsd_pkv/v1.0";

impl Schema {
    /// Checks name and namespace of the root element.
    pub(super) fn of(kind: DocumentKind, root: &Element) -> Result<Schema, VsdError> {
        if root.name() != kind.root_name() {
            return Err(VsdError::WrongDocument {
                document: kind,
                expected: kind.root_name(),
                got: printable(root.name()),
            });
        }
        let namespace = root.namespace();
        let v5_1 = format!("http://ws.gematik.de/fa/vsds/{}/v5.1", kind.root_name());
        match namespace {
            V5_2 => Ok(Schema::V5_2),
            V5_3 => Ok(Schema::V5_3),
            PKV_1_0 => Ok(Schema::Pkv1_0),
            _ if namespace == v5_1 => Ok(Schema::V5_1),
            _ => Err(VsdError::UnknownNamespace {
                document: kind,
                expected: format!("{V5_2}, {V5_3}, {PKV_1_0} or {v5_1}"),
                got: printable(namespace),
            }),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Schema::V5_1 => "5.1",
            Schema::V5_2 => "5.2",
            Schema::V5_3 => "5.3",
            Schema::Pkv1_0 => "PKV 1.0",
        })
    }
}

/// Names from a foreign document may be long or binary; an error message shows a short printable form.
pub(crate) fn printable(name: &str) -> String {
    const LONGEST: usize = 100;
    let mut shown: String = name.chars().take(LONGEST).flat_map(char::escape_default).collect();
    if name.chars().nth(LONGEST).is_some() {
        shown.push_str("...");
    }
    if shown.is_empty() { "none".to_owned() } else { shown }
}
