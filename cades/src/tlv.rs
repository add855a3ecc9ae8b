//! DER elements, read and written without losing a byte.
//!
//! A verifier must hash the signed attributes, the certificate body and names exactly as they were sent
//! (RFC 5652 clause 5.4), so elements are read as slices of the input instead of values that are encoded
//! again. Only forms that occur in CMS are understood: one-byte tags and definite, shortest lengths.
//! BER is turned into that form first, see [`crate::ber`].

use thiserror::Error;

/// Tag bytes, class and form included.
pub(crate) mod tag {
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
    /// Context-specific and constructed; also every EXPLICIT one.
    pub(crate) const CONTEXT_0: u8 = 0xa0;
    pub(crate) const CONTEXT_1: u8 = 0xa1;
    pub(crate) const CONTEXT_4: u8 = 0xa4;
    /// Context-specific and primitive.
    pub(crate) const CONTEXT_0_PRIMITIVE: u8 = 0x80;
}

/// Why bytes are no DER elements of the expected kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum TlvError {
    #[error("ends in the middle of an element")]
    Truncated,
    #[error("tag byte {0:02x} has the long form")]
    LongTag(u8),
    #[error("length is not in the shortest definite form")]
    Length,
    #[error("expected tag {expected:02x}, got {got:02x}")]
    Tag { expected: u8, got: u8 },
    #[error("expected tag {expected:02x}, got the end")]
    Missing { expected: u8 },
    #[error("{0} bytes too many")]
    Trailing(usize),
}

/// One element: its tag byte, its body, and both with the length between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) body: &'a [u8],
    pub(crate) raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// The only element of `bytes`.
    pub(crate) fn only(expected: u8, bytes: &'a [u8]) -> Result<Element<'a>, TlvError> {
        let mut elements = Elements::new(bytes);
        let element = elements.expect(expected)?;
        elements.finish()?;
        Ok(element)
    }

    /// The elements inside.
    pub(crate) fn elements(self) -> Elements<'a> {
        Elements::new(self.body)
    }

    /// The same element under the tag byte `tag`: undoes or applies IMPLICIT tagging.
    pub(crate) fn retagged(self, tag: u8) -> Vec<u8> {
        let mut bytes = self.raw.to_vec();
        if let Some(first) = bytes.first_mut() {
            *first = tag;
        }
        bytes
    }
}

/// Elements one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Elements<'a> {
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Elements<'a> {
        Elements { rest: bytes }
    }

    /// The next element, if there is one.
    pub(crate) fn take(&mut self) -> Result<Option<Element<'a>>, TlvError> {
        let Some((&tag, after_tag)) = self.rest.split_first() else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(TlvError::LongTag(tag));
        }
        let (length, after_length) = read_length(after_tag)?;
        let (body, rest) = after_length.split_at_checked(length).ok_or(TlvError::Truncated)?;
        let raw = self.rest.get(..self.rest.len() - rest.len()).ok_or(TlvError::Truncated)?;
        self.rest = rest;
        Ok(Some(Element { tag, body, raw }))
    }

    /// The next element, which must carry this tag.
    pub(crate) fn expect(&mut self, expected: u8) -> Result<Element<'a>, TlvError> {
        match self.take()? {
            Some(element) if element.tag == expected => Ok(element),
            Some(element) => Err(TlvError::Tag { expected, got: element.tag }),
            None => Err(TlvError::Missing { expected }),
        }
    }

    /// The next element if it carries this tag.
    pub(crate) fn optional(&mut self, wanted: u8) -> Result<Option<Element<'a>>, TlvError> {
        if self.rest.first() == Some(&wanted) { self.take() } else { Ok(None) }
    }

    /// All remaining elements.
    pub(crate) fn all(mut self) -> Result<Vec<Element<'a>>, TlvError> {
        let mut all = Vec::new();
        while let Some(element) = self.take()? {
            all.push(element);
        }
        Ok(all)
    }

    /// Nothing may be left.
    pub(crate) fn finish(self) -> Result<(), TlvError> {
        if self.rest.is_empty() { Ok(()) } else { Err(TlvError::Trailing(self.rest.len())) }
    }
}

/// An element with this tag around the joined parts.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    write_header(&mut out, tag, length);
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// SEQUENCE around the joined parts.
pub(crate) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    element(tag::SEQUENCE, parts)
}

/// SET around the joined parts, which must be in order already.
pub(crate) fn set(parts: &[&[u8]]) -> Vec<u8> {
    element(tag::SET, parts)
}

/// Tag byte and shortest length.
pub(crate) fn write_header(out: &mut Vec<u8>, tag: u8, length: usize) {
    out.push(tag);
    if length < 0x80 {
        out.extend(u8::try_from(length));
        return;
    }
    let bytes = length.to_be_bytes();
    let significant = bytes.iter().skip_while(|&&byte| byte == 0);
    out.extend(u8::try_from(significant.clone().count()).map(|count| 0x80 | count));
    out.extend(significant);
}

fn read_length(bytes: &[u8]) -> Result<(usize, &[u8]), TlvError> {
    let (&first, rest) = bytes.split_first().ok_or(TlvError::Truncated)?;
    if first < 0x80 {
        return Ok((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err(TlvError::Length);
    }
    let (digits, rest) = rest.split_at_checked(count).ok_or(TlvError::Truncated)?;
    let length = digits.iter().fold(0usize, |sum, &digit| (sum << 8) | usize::from(digit));
    if length < 0x80 || digits.first() == Some(&0) {
        return Err(TlvError::Length);
    }
    Ok((length, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_the_shortest_form_and_read_back() {
        for (length, header) in [
            (0usize, vec![0x04u8, 0x00]),
            (0x7f, vec![0x04, 0x7f]),
            (0x80, vec![0x04, 0x81, 0x80]),
            (0xff, vec![0x04, 0x81, 0xff]),
            (0x100, vec![0x04, 0x82, 0x01, 0x00]),
            (0x1_0000, vec![0x04, 0x83, 0x01, 0x00, 0x00]),
        ] {
            let body = vec![0xab; length];
            let written = element(tag::OCTET_STRING, &[&body]);
            assert_eq!(&written[..header.len()], &header[..]);
            let read = Element::only(tag::OCTET_STRING, &written).unwrap();
            assert_eq!(read.body, &body[..]);
            assert_eq!(read.raw, &written[..]);
        }
    }

    #[test]
    fn overlong_and_indefinite_lengths_are_refused() {
        for bytes in [&[0x04, 0x81, 0x01, 0xaa][..], &[0x04, 0x82, 0x00, 0x80], &[0x30, 0x80, 0x00, 0x00]] {
            assert_eq!(Element::only(bytes[0], bytes), Err(TlvError::Length));
        }
    }

    #[test]
    fn cut_off_and_surplus_bytes_are_refused() {
        assert_eq!(Element::only(0x04, &[0x04, 0x02, 0xaa]), Err(TlvError::Truncated));
        assert_eq!(Element::only(0x04, &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff]), Err(TlvError::Truncated));
        assert_eq!(Element::only(0x04, &[0x04, 0x01, 0xaa, 0xbb]), Err(TlvError::Trailing(1)));
    }
}
