//! From the bytes of EF.PD and EF.VD to typed data: cut the file into its parts ([`layout`]), unpack each ([`gunzip`]),
//! decode it by its declared character set ([`text`]), read the XML ([`xml`]) and pick the fields.

mod coverage;
mod fields;
pub(crate) mod gunzip;
mod layout;
mod personal;
mod protected;
mod schema;
pub(crate) mod text;
mod unknown;
pub(crate) mod xml;

pub(crate) use schema::printable;
pub use schema::{DocumentKind, Schema};

use crate::Limits;
use crate::error::VsdError;
use crate::finding::Finding;
use crate::record::{CoverageData, Document, PersonalData, ProtectedData};

/// A document with the data found in it.
pub(crate) struct Parsed<T> {
    pub(crate) data: T,
    pub(crate) document: Document,
}

/// Reads EF.PD.
pub(crate) fn personal_file(
    file: &[u8],
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Result<Parsed<PersonalData>, VsdError> {
    let root = open(DocumentKind::Personal, layout::personal(file)?, limits, findings)?;
    Ok(Parsed { data: personal::read(&root.fields())?, document: root.document })
}

/// Reads the general insurance data, the first part of EF.VD.
pub(crate) fn coverage_file(
    file: &[u8],
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Result<Parsed<CoverageData>, VsdError> {
    let root = open(DocumentKind::Coverage, layout::coverage(file)?, limits, findings)?;
    Ok(Parsed { data: coverage::read(&root.fields(), root.document.schema)?, document: root.document })
}

/// Reads the copy of the protected data, the second part of EF.VD; `None` if the card has none.
pub(crate) fn protected_copy(
    file: &[u8],
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Result<Option<Parsed<ProtectedData>>, VsdError> {
    let Some(packed) = layout::protected_copy(file) else { return Ok(None) };
    let root = open(DocumentKind::Protected, packed, limits, findings)?;
    Ok(Some(Parsed { data: protected::read(&root.fields())?, document: root.document }))
}

/// Reads EF.GVD: the protected data themselves, packed as the personal data are; `None` if the file is empty.
pub(crate) fn protected_file(
    file: &[u8],
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Result<Option<Parsed<ProtectedData>>, VsdError> {
    let kind = DocumentKind::ProtectedFile;
    let Some(packed) = layout::protected_file(file)? else { return Ok(None) };
    let root = open(kind, packed, limits, findings)?;
    Ok(Some(Parsed { data: protected::read(&root.fields())?, document: root.document }))
}

/// A document with its parsed XML.
struct Opened {
    kind: DocumentKind,
    root: xml::Element,
    document: Document,
}

impl Opened {
    fn fields(&self) -> fields::Fields<'_> {
        fields::Fields::root(self.kind, &self.root)
    }
}

fn open(
    kind: DocumentKind,
    packed: &[u8],
    limits: &Limits,
    findings: &mut Vec<Finding>,
) -> Result<Opened, VsdError> {
    let xml = gunzip::gunzip(kind, packed, limits.document_bytes)?;
    let decoded = text::decode(&xml);
    if decoded.unknown_encoding {
        findings.push(Finding::UnknownEncoding(kind));
    }
    if decoded.damaged {
        findings.push(Finding::DamagedText(kind));
    }
    let root = xml::parse(kind, &decoded.text, limits.depth)?;
    let schema = Schema::of(kind, &root)?;
    let cdm_version = root.attribute("CDM_VERSION").map(str::to_owned);
    let other = unknown::fields(kind, &root);
    Ok(Opened { kind, root, document: Document { schema, cdm_version, other, xml } })
}
