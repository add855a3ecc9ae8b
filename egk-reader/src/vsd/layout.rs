//! How EF.PD, EF.GVD and EF.VD frame their gzip streams (gemSpec_eGK_Fach_VSDM, storage structures of these files).

use super::DocumentKind;
use crate::error::VsdError;

/// Four 16-bit offsets stand before the parts of EF.VD.
const COVERAGE_HEADER: usize = 8;

/// EF.PD: a 16-bit length that counts the gzip bytes only, then those.
pub(super) fn personal(file: &[u8]) -> Result<&[u8], VsdError> {
    counted(DocumentKind::Personal, file)
}

/// EF.GVD: as EF.PD; `None` for a file that was never filled, as on cards issued from 2026.
pub(super) fn protected_file(file: &[u8]) -> Result<Option<&[u8]>, VsdError> {
    match file {
        [] | [0, 0, ..] => Ok(None),
        _ => counted(DocumentKind::ProtectedFile, file).map(Some),
    }
}

fn counted(document: DocumentKind, file: &[u8]) -> Result<&[u8], VsdError> {
    let short = VsdError::TooShort { document, expected: 2, got: file.len() };
    let (header, body) = file.split_first_chunk::<2>().ok_or(short)?;
    let length = usize::from(u16::from_be_bytes(*header));
    if length == 0 {
        return Err(VsdError::Empty { document });
    }
    body.get(..length).ok_or(VsdError::LengthBeyondFile { document, length, available: body.len() })
}

/// First part of EF.VD: start and end are counted from the beginning of the file, the end is inclusive.
pub(super) fn coverage(file: &[u8]) -> Result<&[u8], VsdError> {
    let document = DocumentKind::Coverage;
    let short = VsdError::TooShort { document, expected: COVERAGE_HEADER, got: file.len() };
    let (start, end) = offsets(file, 0).ok_or(short)?;
    if absent(start, end) {
        return Err(VsdError::Empty { document });
    }
    part(file, start, end).ok_or(VsdError::BadOffsets { document, start, end, file: file.len() })
}

/// Second part of EF.VD. Offsets that point nowhere mean that the card has no copy of the protected data: which
/// encoding of "absent" issuers use is not specified, so `FFFF`, zero, an end before the start and a place beyond the
/// end of the file all count.
pub(super) fn protected_copy(file: &[u8]) -> Option<&[u8]> {
    let (start, end) = offsets(file, 4)?;
    if absent(start, end) { None } else { part(file, start, end) }
}

/// The two offsets at `position`; `None` if the file is too short for the whole header.
fn offsets(file: &[u8], position: usize) -> Option<(usize, usize)> {
    let header = file.get(..COVERAGE_HEADER)?;
    let [start_high, start_low, end_high, end_low] = *header.get(position..)?.first_chunk::<4>()?;
    let value = |high, low| usize::from(u16::from_be_bytes([high, low]));
    Some((value(start_high, start_low), value(end_high, end_low)))
}

fn absent(start: usize, end: usize) -> bool {
    const UNUSED: usize = 0xFFFF;
    start == UNUSED || end == UNUSED || (start == 0 && end == 0)
}

fn part(file: &[u8], start: usize, end: usize) -> Option<&[u8]> {
    if start < COVERAGE_HEADER || end < start {
        return None;
    }
    file.get(start..=end)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn the_length_of_ef_pd_does_not_count_itself() {
        assert_eq!(personal(&hex!("0003 AABBCC 0000")).unwrap(), hex!("AABBCC"));
        assert_eq!(personal(&hex!("0003 AABBCC")).unwrap(), hex!("AABBCC"));
    }

    #[test]
    fn a_length_larger_than_ef_pd_is_refused() {
        assert!(matches!(
            personal(&hex!("0004 AABBCC")),
            Err(VsdError::LengthBeyondFile { length: 4, available: 3, .. })
        ));
        assert!(matches!(personal(&hex!("00")), Err(VsdError::TooShort { expected: 2, got: 1, .. })));
        assert!(matches!(personal(&hex!("0000 FF")), Err(VsdError::Empty { .. })));
    }

    #[test]
    fn both_ends_of_ef_vd_are_inclusive() {
        let file = hex!("0008 0009 000A 000C AABB CCDDEE");
        assert_eq!(coverage(&file).unwrap(), hex!("AABB"));
        assert_eq!(protected_copy(&file), Some(&hex!("CCDDEE")[..]));
    }

    #[test]
    fn a_first_part_outside_ef_vd_is_refused() {
        for file in [
            hex!("0008 000A FFFF FFFF AABB"), // end beyond the file
            hex!("0008 0007 FFFF FFFF AABB"), // end before start
            hex!("0009 0007 FFFF FFFF AABB"),
            hex!("0007 0009 FFFF FFFF AABB"), // start inside the header
            hex!("000B 000C FFFF FFFF AABB"), // start beyond the file
        ] {
            assert!(matches!(coverage(&file), Err(VsdError::BadOffsets { .. })));
        }
        assert!(matches!(coverage(&hex!("FFFF FFFF FFFF FFFF")), Err(VsdError::Empty { .. })));
        assert!(matches!(coverage(&hex!("0008 0009")), Err(VsdError::TooShort { expected: 8, got: 4, .. })));
    }

    #[test]
    fn every_way_to_have_no_protected_copy_is_understood() {
        for file in [
            hex!("0008 0009 FFFF FFFF AABB"),
            hex!("0008 0009 0000 0000 AABB"),
            hex!("0008 0009 000A 0009 AABB"), // end before start
            hex!("0008 0009 000A 000F AABB"), // beyond the file
            hex!("0008 0009 0000 0001 AABB"), // inside the header
        ] {
            assert_eq!(coverage(&file).unwrap(), hex!("AABB"));
            assert_eq!(protected_copy(&file), None);
        }
        assert_eq!(protected_copy(&hex!("0008")), None);
    }
}
