//! Unpacking with a bound. Real documents are 0.4 to 1.5 KB; a card that unpacks to more than the limit is hostile or
//! broken, and is stopped before it costs memory.

use std::io::Read;

use flate2::bufread::GzDecoder;

use super::DocumentKind;
use crate::error::VsdError;

/// Unpacks one gzip member (RFC 1952). The trailer must be complete and right; zeros may follow it, nothing else.
pub(crate) fn gunzip(document: DocumentKind, packed: &[u8], limit: usize) -> Result<Vec<u8>, VsdError> {
    let mut decoder = GzDecoder::new(packed);
    let mut unpacked = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder
        .by_ref()
        .take(bound)
        .read_to_end(&mut unpacked)
        .map_err(|source| VsdError::Compression { document, source })?;
    if unpacked.len() > limit {
        return Err(VsdError::TooLarge { document, limit });
    }
    let rest = decoder.into_inner();
    if rest.iter().any(|byte| *byte != 0) {
        return Err(VsdError::TrailingBytes { document, count: rest.len() });
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    const KIND: DocumentKind = DocumentKind::Personal;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_member_is_unpacked_with_zeros_behind_it() {
        let mut packed = gzip(b"insurance");
        assert_eq!(gunzip(KIND, &packed, 9).unwrap(), b"insurance");
        packed.extend([0; 300]);
        assert_eq!(gunzip(KIND, &packed, 9).unwrap(), b"insurance");
    }

    #[test]
    fn one_byte_over_the_limit_is_refused_with_the_limit_named() {
        let error = gunzip(KIND, &gzip(b"insurance"), 8).unwrap_err();
        assert!(matches!(error, VsdError::TooLarge { limit: 8, .. }));
        assert!(error.to_string().contains("8 bytes"), "{error}");
    }

    #[test]
    fn a_bomb_costs_no_more_than_the_limit() {
        let bomb = gzip(&vec![b'x'; 8 << 20]);
        assert!(bomb.len() < 20_000);
        assert!(matches!(gunzip(KIND, &bomb, 65_536), Err(VsdError::TooLarge { limit: 65_536, .. })));
    }

    #[test]
    fn each_cut_of_the_stream_is_refused() {
        let packed = gzip(b"insurance");
        for end in 0..packed.len() {
            assert!(matches!(gunzip(KIND, &packed[..end], 9), Err(VsdError::Compression { .. })), "{end}");
        }
    }

    #[test]
    fn a_wrong_checksum_and_a_second_member_are_refused() {
        let mut packed = gzip(b"insurance");
        let two = [packed.clone(), packed.clone()].concat();
        assert!(matches!(gunzip(KIND, &two, 9), Err(VsdError::TrailingBytes { .. })));
        let crc = packed.len() - 8;
        packed[crc] ^= 1;
        assert!(matches!(gunzip(KIND, &packed, 9), Err(VsdError::Compression { .. })));
    }
}
