//! BER-TLV as cards use it: definite lengths, tags of one or two bytes.

/// A data object with its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataObject<'a> {
    pub(crate) tag: u16,
    pub(crate) value: &'a [u8],
}

/// Splits a sequence of data objects; `None` if it is not well-formed to the last byte.
pub(crate) fn parse(mut bytes: &[u8]) -> Option<Vec<DataObject<'_>>> {
    let mut objects = Vec::new();
    while !bytes.is_empty() {
        let (object, rest) = first(bytes)?;
        objects.push(object);
        bytes = rest;
    }
    Some(objects)
}

/// The value of the first object with a tag.
pub(crate) fn find<'a>(objects: &[DataObject<'a>], tag: u16) -> Option<&'a [u8]> {
    objects.iter().find(|object| object.tag == tag).map(|object| object.value)
}

/// Encodes one data object.
pub(crate) fn encode(tag: u16, value: &[u8]) -> Vec<u8> {
    let [high, low] = tag.to_be_bytes();
    let mut out = if high == 0 { vec![low] } else { vec![high, low] };
    match value.len() {
        n @ 0..=0x7F => out.push(n as u8),
        n @ 0x80..=0xFF => out.extend([0x81, n as u8]),
        n => {
            out.push(0x82);
            out.extend((n as u16).to_be_bytes());
        }
    }
    out.extend(value);
    out
}

fn first(bytes: &[u8]) -> Option<(DataObject<'_>, &[u8])> {
    let (&leading, rest) = bytes.split_first()?;
    let (tag, rest) = if leading & 0x1F == 0x1F {
        let (&second, rest) = rest.split_first()?;
        (u16::from_be_bytes([leading, second]), rest)
    } else {
        (u16::from(leading), rest)
    };
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7F => (usize::from(length), rest),
        0x81 => rest.split_first().map(|(&n, rest)| (usize::from(n), rest))?,
        0x82 => rest.split_first_chunk().map(|(n, rest)| (usize::from(u16::from_be_bytes(*n)), rest))?,
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((DataObject { tag, value }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_parses_back() {
        for length in [0, 1, 0x7F, 0x80, 0xFF, 0x100, 3000] {
            let value = vec![0x5A; length];
            for tag in [0x84, 0x7F49] {
                let bytes = encode(tag, &value);
                assert_eq!(parse(&bytes), Some(vec![DataObject { tag, value: &value }]));
            }
        }
    }

    #[test]
    fn cut_and_indefinite_objects_are_refused() {
        for bytes in [&[0x84][..], &[0x84, 2, 1], &[0x84, 0x80], &[0x7F], &[0x84, 0x82, 1]] {
            assert_eq!(parse(bytes), None);
        }
    }
}
