//! BER to DER: production signers write CMS with indefinite lengths and a content cut into segments.
//!
//! Everything behind this module sees definite, shortest lengths and one content string. Elements that are
//! DER already (certificates, signer infos, OCSP responses, in every signature known) come out unchanged,
//! byte for byte. Encoding what was signed as DER before hashing is what RFC 5652 clause 5.4 asks for.

use thiserror::Error;

use crate::tlv::{tag, write_header};

/// Largest CMS that is read.
pub(crate) const MAX_SIZE: usize = 32 * 1024 * 1024;
/// Deepest nesting that is read. A real signature with an embedded OCSP response needs about 14.
pub(crate) const MAX_DEPTH: usize = 32;

/// Why bytes are not one BER element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BerError {
    /// More bytes than are read at all.
    #[error("{got} bytes, the limit is {limit}")]
    TooLarge {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// Elements nested too deep.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// The end came inside an element, or end-of-contents octets are missing.
    #[error("ends in the middle of an element")]
    Truncated,
    /// Bytes after the outermost element.
    #[error("{0} bytes after the end")]
    Trailing(usize),
    /// A tag in the long form, which CMS never needs.
    #[error("tag byte {0:02x} has the long form")]
    LongTag(u8),
    /// A length of more than four bytes, the reserved form, or an indefinite one on a primitive element.
    #[error("length byte {0:02x} is not allowed here")]
    Length(u8),
    /// End-of-contents octets where no indefinite length is open.
    #[error("end-of-contents octets out of place")]
    EndOfContents,
    /// A segment of an octet string that is none.
    #[error("segment with tag {0:02x} in an octet string")]
    Segment(u8),
}

/// An element as DER.
pub(crate) struct Normalised {
    pub(crate) der: Vec<u8>,
    /// The input was the same already.
    pub(crate) unchanged: bool,
}

/// Turns one BER element into DER lengths and whole octet strings.
pub(crate) fn normalise(input: &[u8]) -> Result<Normalised, BerError> {
    if input.len() > MAX_SIZE {
        return Err(BerError::TooLarge { limit: MAX_SIZE, got: input.len() });
    }
    let mut rest = input;
    let mut der = Vec::with_capacity(input.len());
    copy_element(&mut rest, &mut der, 0)?;
    if !rest.is_empty() {
        return Err(BerError::Trailing(rest.len()));
    }
    let unchanged = der == input;
    Ok(Normalised { der, unchanged })
}

const CONSTRUCTED: u8 = 0x20;
const CONSTRUCTED_OCTET_STRING: u8 = CONSTRUCTED | tag::OCTET_STRING;
const END_OF_CONTENTS: [u8; 2] = [0, 0];

/// Moves one element from `input` to `out`.
fn copy_element(input: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), BerError> {
    if depth >= MAX_DEPTH {
        return Err(BerError::TooDeep(MAX_DEPTH));
    }
    let (tag, length) = read_header(input)?;
    if tag & CONSTRUCTED == 0 {
        let length = length.ok_or(BerError::Length(0x80))?;
        let body = take(input, length)?;
        write_header(out, tag, body.len());
        out.extend_from_slice(body);
        return Ok(());
    }
    let mut body = Vec::new();
    if tag == CONSTRUCTED_OCTET_STRING {
        each_child(input, length, |child| join_segment(child, &mut body, depth + 1))?;
        write_header(out, tag::OCTET_STRING, body.len());
    } else {
        each_child(input, length, |child| copy_element(child, &mut body, depth + 1))?;
        write_header(out, tag, body.len());
    }
    out.extend_from_slice(&body);
    Ok(())
}

/// Moves the content of one segment, itself perhaps in segments, from `input` to `out`.
fn join_segment(input: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Result<(), BerError> {
    if depth >= MAX_DEPTH {
        return Err(BerError::TooDeep(MAX_DEPTH));
    }
    match read_header(input)? {
        (tag::OCTET_STRING, Some(length)) => {
            out.extend_from_slice(take(input, length)?);
            Ok(())
        }
        (CONSTRUCTED_OCTET_STRING, length) => {
            each_child(input, length, |child| join_segment(child, out, depth + 1))
        }
        (tag, _) => Err(BerError::Segment(tag)),
    }
}

/// Calls `copy` until the constructed element that was just opened ends.
fn each_child(
    input: &mut &[u8],
    length: Option<usize>,
    mut copy: impl FnMut(&mut &[u8]) -> Result<(), BerError>,
) -> Result<(), BerError> {
    if let Some(length) = length {
        let mut children = take(input, length)?;
        while !children.is_empty() {
            copy(&mut children)?;
        }
        return Ok(());
    }
    loop {
        if let Some(rest) = input.strip_prefix(&END_OF_CONTENTS) {
            *input = rest;
            return Ok(());
        }
        copy(input)?;
    }
}

/// Tag byte and length; no length means indefinite.
fn read_header(input: &mut &[u8]) -> Result<(u8, Option<usize>), BerError> {
    let tag = take_byte(input)?;
    if tag & 0x1f == 0x1f {
        return Err(BerError::LongTag(tag));
    }
    let first = take_byte(input)?;
    if tag == 0 {
        return Err(BerError::EndOfContents);
    }
    match first {
        0..=0x7f => Ok((tag, Some(usize::from(first)))),
        0x80 => Ok((tag, None)),
        0x81..=0x84 => {
            let digits = take(input, usize::from(first & 0x7f))?;
            let length = digits.iter().fold(0usize, |sum, &digit| (sum << 8) | usize::from(digit));
            Ok((tag, Some(length)))
        }
        _ => Err(BerError::Length(first)),
    }
}

fn take_byte(input: &mut &[u8]) -> Result<u8, BerError> {
    let (&byte, rest) = input.split_first().ok_or(BerError::Truncated)?;
    *input = rest;
    Ok(byte)
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], BerError> {
    let (taken, rest) = input.split_at_checked(length).ok_or(BerError::Truncated)?;
    *input = rest;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    fn der_of(ber: &[u8]) -> Result<Vec<u8>, BerError> {
        normalise(ber).map(|normalised| normalised.der)
    }

    #[test]
    fn der_comes_out_unchanged() {
        let der = hex!("3009 0201 05 a004 0402 aabb");
        let normalised = normalise(&der).unwrap();
        assert!(normalised.unchanged);
        assert_eq!(normalised.der, der);
    }

    #[test]
    fn indefinite_lengths_become_definite() {
        let ber = hex!("3080 0201 05 a080 0402 aabb 0000 0000");
        let normalised = normalise(&ber).unwrap();
        assert!(!normalised.unchanged);
        assert_eq!(normalised.der, hex!("3009 0201 05 a004 0402 aabb"));
    }

    #[test]
    fn content_segments_are_joined_without_their_headers() {
        assert_eq!(der_of(&hex!("2480 0402 aabb 0401 cc 0000")).unwrap(), hex!("0403 aabbcc"));
        assert_eq!(der_of(&hex!("2407 0402 aabb 0401 cc")).unwrap(), hex!("0403 aabbcc"));
        assert_eq!(der_of(&hex!("2480 2480 0401 aa 0000 0401 bb 0000")).unwrap(), hex!("0402 aabb"));
        assert_eq!(der_of(&hex!("2480 0000")).unwrap(), hex!("0400"));
    }

    #[test]
    fn overlong_lengths_are_shortened() {
        assert_eq!(der_of(&hex!("30 83 000003 020105")).unwrap(), hex!("3003 020105"));
    }

    #[test]
    fn missing_end_of_contents_is_refused() {
        assert_eq!(der_of(&hex!("3080 020105")), Err(BerError::Truncated));
        assert_eq!(der_of(&hex!("3080 020105 00")), Err(BerError::Truncated));
    }

    #[test]
    fn end_of_contents_inside_a_definite_length_is_refused() {
        assert_eq!(der_of(&hex!("3004 0000 0500")), Err(BerError::EndOfContents));
    }

    #[test]
    fn bytes_after_the_end_are_refused() {
        assert_eq!(der_of(&hex!("3000 00")), Err(BerError::Trailing(1)));
        assert_eq!(der_of(&hex!("3080 0000 0000")), Err(BerError::Trailing(2)));
    }

    #[test]
    fn foreign_segments_are_refused() {
        assert_eq!(der_of(&hex!("2480 0c01 41 0000")), Err(BerError::Segment(0x0c)));
    }

    #[test]
    fn nesting_is_limited_in_both_forms() {
        let indefinite = [0x30, 0x80].repeat(1_000_000);
        assert_eq!(der_of(&indefinite), Err(BerError::TooDeep(MAX_DEPTH)));
        let segments = [0x24, 0x80].repeat(1_000_000);
        assert_eq!(der_of(&segments), Err(BerError::TooDeep(MAX_DEPTH)));
    }

    #[test]
    fn size_is_limited() {
        let input = vec![0x30; MAX_SIZE + 1];
        assert_eq!(der_of(&input), Err(BerError::TooLarge { limit: MAX_SIZE, got: MAX_SIZE + 1 }));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(first) = normalise(&bytes) {
                let second = normalise(&first.der).unwrap();
                prop_assert!(second.unchanged);
            }
        }
    }
}
