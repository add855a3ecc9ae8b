//! How a medical file holds its documents. EF.NFD and EF.DPE: two bytes of length that do not count themselves, then that
//! many bytes of gzip; length zero means that there is nothing (gemSpec_eGK_Fach_NFDM clause 2.1).
//!
//! For EF.AMTS no public source was found that says so. Read are: the same, and several documents behind a header of
//! offsets as in EF.VD. A file that is one gzip stream or one XML text is read as well.

use crate::Limits;
use crate::error::VsdError;
use crate::vsd::DocumentKind;
use crate::vsd::gunzip::gunzip;

const GZIP: [u8; 2] = [0x1F, 0x8B];

/// The documents in a file, unpacked; none if nothing was ever stored there.
pub(super) fn documents(kind: DocumentKind, file: &[u8], limits: &Limits) -> Result<Vec<Vec<u8>>, VsdError> {
    if is_empty(file) {
        return Ok(Vec::new());
    }
    if let Some(parts) = by_offsets(kind, file)? {
        return parts.into_iter().map(|part| gunzip(kind, part, limits.document_bytes)).collect();
    }
    if let Some((header, body)) = file.split_first_chunk::<2>()
        && body.starts_with(&GZIP)
    {
        let length = usize::from(u16::from_be_bytes(*header));
        let packed = body.get(..length);
        let packed =
            packed.ok_or(VsdError::LengthBeyondFile { document: kind, length, available: body.len() })?;
        return Ok(vec![gunzip(kind, packed, limits.document_bytes)?]);
    }
    match file.iter().rposition(|byte| *byte != 0).and_then(|last| file.get(..=last)) {
        Some(plain) if plain.starts_with(b"<") => {
            let limit = limits.document_bytes;
            let fits = plain.len() <= limit;
            if fits { Ok(vec![plain.to_vec()]) } else { Err(VsdError::TooLarge { document: kind, limit }) }
        }
        _ => Ok(vec![gunzip(kind, file, limits.document_bytes)?]),
    }
}

/// All zeros, or a length of zero whatever an earlier document left behind it.
fn is_empty(file: &[u8]) -> bool {
    file.starts_with(&[0, 0]) || file.iter().all(|byte| *byte == 0)
}

/// First and last byte of each part, counted from the start of the file, before the first part.
fn by_offsets(kind: DocumentKind, file: &[u8]) -> Result<Option<Vec<&[u8]>>, VsdError> {
    const ENTRY: usize = 4;
    let Some(first) = file.first_chunk::<2>().map(|bytes| usize::from(u16::from_be_bytes(*bytes))) else {
        return Ok(None);
    };
    let is_header = (ENTRY..=4 * ENTRY).contains(&first) && first % ENTRY == 0;
    if !is_header || !file.get(first..).is_some_and(|part| part.starts_with(&GZIP)) {
        return Ok(None);
    }
    let mut parts = Vec::new();
    for entry in file.get(..first).unwrap_or_default().chunks_exact(ENTRY) {
        let [start_high, start_low, end_high, end_low] = *entry else { continue };
        let (start, end) = (
            usize::from(u16::from_be_bytes([start_high, start_low])),
            usize::from(u16::from_be_bytes([end_high, end_low])),
        );
        let absent = (start, end) == (0, 0) || start == usize::from(u16::MAX) || end < start;
        if absent {
            continue;
        }
        let part = file.get(start..=end).filter(|_| start >= first);
        parts.push(part.ok_or(VsdError::BadOffsets { document: kind, start, end, file: file.len() })?);
    }
    Ok(Some(parts))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const KIND: DocumentKind = DocumentKind::Medication;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(file: &[u8]) -> Result<Vec<Vec<u8>>, VsdError> {
        documents(KIND, file, &Limits::default())
    }

    fn be(number: usize) -> [u8; 2] {
        u16::try_from(number).unwrap().to_be_bytes()
    }

    #[test]
    fn one_document_is_found_however_it_is_framed() {
        let packed = gzip(b"<MP/>");
        let counted = [&be(packed.len())[..], &packed].concat();
        let one = [&[0, 4, 0, 0][..], &packed].concat();
        let one = [&one[..2], &be(3 + packed.len()), &one[4..]].concat();
        for file in [counted.clone(), [&counted[..], &[0; 99]].concat(), packed, one, b"<MP/>\0\0".to_vec()] {
            assert_eq!(read(&file).unwrap(), [b"<MP/>"]);
        }
    }

    #[test]
    fn two_documents_stand_behind_their_offsets() {
        let (first, second) = (gzip(b"<Einwilligung/>"), gzip(b"<MP/>"));
        let end = 8 + first.len();
        let header = [be(8), be(end - 1), be(end), be(end + second.len() - 1)].concat();
        let file = [header.clone(), first.clone(), second].concat();
        assert_eq!(read(&file).unwrap(), [&b"<Einwilligung/>"[..], b"<MP/>"]);
        let absent = [&header[..4], &[0xFF; 4], &first[..]].concat();
        assert_eq!(read(&absent).unwrap(), [b"<Einwilligung/>"]);
        let beyond = [&header[..], &first[..]].concat();
        assert!(matches!(read(&beyond), Err(VsdError::BadOffsets { .. })));
    }

    #[test]
    fn nothing_is_nothing_and_rubbish_is_refused() {
        for nothing in [&[][..], &[0; 400], &[0, 0, 0x1F, 0x8B]] {
            assert!(read(nothing).unwrap().is_empty());
        }
        for rubbish in [&b"\x00\x05nonsense"[..], b"\xFF\xFF\x1F\x8B\x08", b"\x01"] {
            assert!(read(rubbish).is_err(), "{rubbish:?}");
        }
        let limits = Limits { document_bytes: 4, ..Limits::default() };
        for large in [b"<MP/>".to_vec(), gzip(b"<MP/>")] {
            assert!(matches!(documents(KIND, &large, &limits), Err(VsdError::TooLarge { limit: 4, .. })));
        }
    }
}
