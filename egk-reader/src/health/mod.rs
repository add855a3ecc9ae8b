//! The medical documents of an insurance card: emergency data ([`EmergencyData`], EF.NFD), personal declarations
//! ([`Declarations`], EF.DPE) and the medication plan ([`MedicationPlan`], EF.AMTS).
//!
//! They are read leniently: every field may be absent, elements are found by their local name whatever version their
//! namespace says, and what no field here takes stays in `other` under the names of the schema. The XML of the card is
//! always there. `docs/health-data.md` lists every field with its element.

mod declarations;
mod emergency;
mod medication;
mod packed;
mod people;
mod plan;
mod taking;

pub use declarations::{Attorney, Declaration, Declarations};
pub use emergency::{Allergy, Contact, Diagnosis, EmergencyData, Note, NoteKind, Treating};
pub use medication::{Dose, Ingredient, Medication};
pub use people::{Address, Archive, Person, Reach, RecordedBy};
pub use plan::{
    Author, Line, LineKind, MedicationPlan, PatientParameters, PlanAllergy, PlanBlock, heading_of,
};
pub use taking::Field;
pub(crate) use taking::below;

pub(crate) use declarations::read as read_declarations;
pub(crate) use emergency::read as read_emergency_data;
pub(crate) use plan::read as read_medication_plan;

use crate::Limits;
use crate::error::VsdError;
use crate::vsd::DocumentKind;
use crate::vsd::text;
use crate::vsd::xml::{self, Element};

/// EF.NFD has 12 KB and EF.AMTS 13, in which more text fits than in insurance data.
pub(crate) const LIMITS: Limits = Limits { document_bytes: 256 * 1024, depth: 16 };

/// Parses EF.NFD as the card has it; `None` if nothing is stored there. At most 256 KiB are unpacked.
///
/// # Errors
/// Data that cannot be used.
pub fn parse_emergency_data(file: &[u8]) -> Result<Option<EmergencyData>, VsdError> {
    read_emergency_data(file, &LIMITS)
}

/// As [`parse_emergency_data`] for EF.DPE.
///
/// # Errors
/// Data that cannot be used.
pub fn parse_declarations(file: &[u8]) -> Result<Option<Declarations>, VsdError> {
    read_declarations(file, &LIMITS)
}

/// As [`parse_emergency_data`] for EF.AMTS.
///
/// # Errors
/// Data that cannot be used.
pub fn parse_medication_plan(file: &[u8]) -> Result<Option<MedicationPlan>, VsdError> {
    read_medication_plan(file, &LIMITS)
}

/// Parses a document and checks the name of its root.
fn root_of(kind: DocumentKind, document: &[u8], limits: &Limits) -> Result<Element, VsdError> {
    let root = xml::parse(kind, &text::decode_utf_8(document).text, limits.depth)?;
    if root.name() == kind.root_name() {
        Ok(root)
    } else {
        Err(VsdError::WrongDocument {
            document: kind,
            expected: kind.root_name(),
            got: crate::vsd::printable(root.name()),
        })
    }
}
