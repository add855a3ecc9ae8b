//! The receipt of the last online check (EF.Pruefungsnachweis; schema `Pruefungsnachweis` 1.0). A connector seals it for its
//! own practice, so that a reader usually sees how long it is and no more.

use serde::Serialize;

use crate::error::VsdError;
use crate::health::LIMITS;
use crate::record::silent_debug;
use crate::vsd::gunzip::gunzip;
use crate::vsd::{DocumentKind, text, xml};

const KIND: DocumentKind = DocumentKind::Receipt;

/// What EF.Pruefungsnachweis holds.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Receipt {
    /// Nothing.
    None,
    /// Something sealed, or in a form that is not known here.
    Sealed {
        /// Length in bytes.
        length: usize,
    },
    /// A receipt in the clear.
    Clear(ReceiptData),
}

/// `PN`.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct ReceiptData {
    /// `TS`: when, `YYYYMMDDhhmmss`.
    pub time: Option<String>,
    /// `E`: 1 updated, 2 nothing to update, 3 update not possible, 4 certificate of the card invalid, 5 certificate could not
    /// be checked, 6 update not possible for too long.
    pub result: Option<String>,
    /// `EC`: number of the error.
    pub error: Option<String>,
    /// `PZ`: the insurer's check value, base64.
    pub check_value: Option<String>,
    /// The document as it is on the card.
    #[serde(skip)]
    pub xml: Vec<u8>,
}

silent_debug!(Receipt, ReceiptData);

/// Reads EF.Pruefungsnachweis.
///
/// # Errors
/// A receipt in the clear that cannot be read.
pub fn parse(file: &[u8]) -> Result<Receipt, VsdError> {
    if file.iter().all(|byte| *byte == 0) {
        return Ok(Receipt::None);
    }
    let Some(document) = clear_text(file)? else { return Ok(Receipt::Sealed { length: file.len() }) };
    let root = xml::parse(KIND, &text::decode_utf_8(&document).text, LIMITS.depth)?;
    let field = |name| root.child(name).and_then(xml::Element::text);
    Ok(Receipt::Clear(ReceiptData {
        time: field("TS"),
        result: field("E"),
        error: field("EC"),
        check_value: field("PZ"),
        xml: document,
    }))
}

/// The document if it stands there as text or merely packed, with or without two bytes of length.
fn clear_text(file: &[u8]) -> Result<Option<Vec<u8>>, VsdError> {
    const GZIP: &[u8] = &[0x1F, 0x8B];
    let counted = file.get(2..).filter(|rest| rest.starts_with(GZIP));
    let packed = counted.or_else(|| file.starts_with(GZIP).then_some(file));
    match packed {
        Some(packed) => gunzip(KIND, packed, LIMITS.document_bytes).map(Some),
        None if file.starts_with(b"<") => {
            let end = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            Ok(file.get(..end).map(<[u8]>::to_vec))
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLEAR: &[u8] =
        b"<PN xmlns='http://ws.gematik.de/fa/vsdm/pnw/v1.0' CDM_VERSION='1.0.0'><TS>20260302131454</TS>\
        <E>3</E><EC>12101</EC></PN>";

    #[test]
    fn a_receipt_is_nothing_sealed_or_clear() {
        for nothing in [&[][..], &[0; 300]] {
            assert!(parse(nothing).unwrap() == Receipt::None);
        }
        assert!(parse(&[0x5A; 300]).unwrap() == Receipt::Sealed { length: 300 });
        let Receipt::Clear(data) = parse(&[CLEAR, &[0; 9]].concat()).unwrap() else { panic!("clear") };
        assert_eq!(data.result.as_deref(), Some("3"));
        assert_eq!(data.error.as_deref(), Some("12101"));
        assert_eq!((data.time.as_deref(), data.check_value), (Some("20260302131454"), None));
        assert_eq!(data.xml, CLEAR);
    }

    #[test]
    fn a_damaged_receipt_is_refused() {
        assert!(parse(b"<PN>").is_err());
        assert!(parse(&[0, 4, 0x1F, 0x8B, 8, 0]).is_err());
    }
}
