//! BER-TLV data objects as cards use them (ISO/IEC 7816-4 clause 6, X.690 clause 8.1).
//!
//! Objects are borrowed from the answer they came in; nothing is copied and nothing recurses, so that deep nesting
//! costs a hostile card's reader neither stack nor memory. Refused: the indefinite length `80`, lengths of more than
//! three bytes, tags of more than three bytes, values that end behind their container.

/// One data object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// The tag as its bytes read as a number: `84` is 0x84, `7F49` is 0x7F49.
    pub tag: u32,
    /// The value field.
    pub value: &'a [u8],
}

/// Why bytes are not a data object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlvError {
    /// The bytes end inside a tag or a length.
    #[error("data object ends inside its tag or length")]
    Truncated,
    /// The value is shorter than its length says.
    #[error("data object of {length} bytes, only {available} left")]
    ValueTooShort {
        /// Bytes announced.
        length: usize,
        /// Bytes there are.
        available: usize,
    },
    /// Indefinite, reserved or needlessly large length form.
    #[error("length byte {byte:02X} is not allowed in a card's data object")]
    LengthForm {
        /// First byte of the length field.
        byte: u8,
    },
    /// A tag of more than three bytes.
    #[error("tag of more than three bytes")]
    TagTooLong,
    /// No object with this tag.
    #[error("no data object {tag:X}")]
    Missing {
        /// The tag looked for.
        tag: u32,
    },
}

impl<'a> Tlv<'a> {
    /// Reads the first object and returns it with the bytes behind it.
    ///
    /// # Errors
    /// The bytes do not begin with a complete data object.
    pub fn split_first(bytes: &'a [u8]) -> Result<(Tlv<'a>, &'a [u8]), TlvError> {
        let (tag, rest) = split_tag(bytes)?;
        let (length, rest) = split_length(rest)?;
        let (value, rest) =
            rest.split_at_checked(length).ok_or(TlvError::ValueTooShort { length, available: rest.len() })?;
        Ok((Tlv { tag, value }, rest))
    }

    /// The first object with this tag among the objects in `bytes`; containers are not entered.
    ///
    /// # Errors
    /// None there, or the bytes before it are not data objects.
    pub fn find(bytes: &'a [u8], tag: u32) -> Result<&'a [u8], TlvError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (object, behind) = Tlv::split_first(rest)?;
            if object.tag == tag {
                return Ok(object.value);
            }
            rest = behind;
        }
        Err(TlvError::Missing { tag })
    }
}

/// Writes one data object. Values of 65 536 bytes and more do not occur: no command carries them.
pub(crate) fn encode(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut object: Vec<u8> = tag.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    match u8::try_from(value.len()) {
        Ok(length @ 0..=0x7F) => object.push(length),
        Ok(length) => object.extend([0x81, length]),
        Err(_) => {
            object.push(0x82);
            object.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    object.extend_from_slice(value);
    object
}

/// Total length (tag, length and value) of the DER object that `start` begins with, `None` while too little is known.
pub fn total_len(start: &[u8]) -> Option<usize> {
    let (_, rest) = split_tag(start).ok()?;
    let (length, rest) = split_length(rest).ok()?;
    start.len().checked_sub(rest.len())?.checked_add(length)
}

fn split_tag(bytes: &[u8]) -> Result<(u32, &[u8]), TlvError> {
    let (&first, mut rest) = bytes.split_first().ok_or(TlvError::Truncated)?;
    let mut tag = u32::from(first);
    if first & 0x1F != 0x1F {
        return Ok((tag, rest));
    }
    for _ in 0..2 {
        let (&next, behind) = rest.split_first().ok_or(TlvError::Truncated)?;
        tag = tag << 8 | u32::from(next);
        rest = behind;
        if next & 0x80 == 0 {
            return Ok((tag, rest));
        }
    }
    Err(TlvError::TagTooLong)
}

fn split_length(bytes: &[u8]) -> Result<(usize, &[u8]), TlvError> {
    let (&first, rest) = bytes.split_first().ok_or(TlvError::Truncated)?;
    let count = match first {
        0..=0x7F => return Ok((usize::from(first), rest)),
        0x81..=0x83 => usize::from(first & 0x0F),
        byte => return Err(TlvError::LengthForm { byte }),
    };
    let (length, rest) = rest.split_at_checked(count).ok_or(TlvError::Truncated)?;
    Ok((length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)), rest))
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objects_are_split_one_after_the_other() {
        let bytes = hex!("84 03 010203 7F49 81 02 AABB 5F");
        let (first, rest) = Tlv::split_first(&bytes).unwrap();
        assert_eq!(first, Tlv { tag: 0x84, value: &[1, 2, 3] });
        let (second, rest) = Tlv::split_first(rest).unwrap();
        assert_eq!(second, Tlv { tag: 0x7F49, value: &[0xAA, 0xBB] });
        assert_eq!(Tlv::split_first(rest), Err(TlvError::Truncated));
    }

    #[test]
    fn an_object_is_found_among_its_siblings_only() {
        let bytes = hex!("82 02 7800 A1 04 84 02 FFFF 84 01 09");
        assert_eq!(Tlv::find(&bytes, 0x84), Ok(&[9][..]));
        assert_eq!(Tlv::find(&bytes, 0x83), Err(TlvError::Missing { tag: 0x83 }));
        assert_eq!(
            Tlv::find(&hex!("82 02 78"), 0x84),
            Err(TlvError::ValueTooShort { length: 2, available: 1 })
        );
    }

    #[test]
    fn indefinite_and_oversized_forms_are_refused() {
        assert_eq!(Tlv::split_first(&hex!("62 80 0000")), Err(TlvError::LengthForm { byte: 0x80 }));
        assert_eq!(Tlv::split_first(&hex!("62 84 00000001 00")), Err(TlvError::LengthForm { byte: 0x84 }));
        assert_eq!(Tlv::split_first(&hex!("62 FF")), Err(TlvError::LengthForm { byte: 0xFF }));
        assert_eq!(Tlv::split_first(&hex!("1F818181 00")), Err(TlvError::TagTooLong));
        assert_eq!(Tlv::split_first(&hex!("62 82 01")), Err(TlvError::Truncated));
    }

    #[test]
    fn the_length_of_a_certificate_is_known_from_its_first_bytes() {
        assert_eq!(total_len(&hex!("3082 0386 3082")), Some(0x386 + 4));
        assert_eq!(total_len(&hex!("3003 0201")), Some(5));
        assert_eq!(total_len(&hex!("3082 03")), None);
        assert_eq!(total_len(&hex!("3080")), None);
    }

    #[test]
    fn deep_nesting_costs_nothing() {
        let bytes = hex!("62").repeat(65_536);
        assert!(Tlv::find(&bytes, 0x84).is_err());
    }

    fn tag() -> impl Strategy<Value = u32> {
        prop_oneof![
            (0x01u32..=0x1E),
            (0x80u32..=0x9E),
            Just(0x5F52),
            Just(0x5F37),
            Just(0x9F01),
            Just(0x5F8101)
        ]
    }

    proptest! {
        /// What the encoder of another library wrote is read back.
        #[test]
        fn every_object_is_read_back(tag in tag(), value in prop::collection::vec(any::<u8>(), 0..400)) {
            let foreign = iso7816_tlv::ber::Tlv::new(
                iso7816_tlv::ber::Tag::try_from(tag).unwrap(),
                iso7816_tlv::ber::Value::Primitive(value.clone()),
            );
            let bytes = foreign.unwrap().to_vec();
            prop_assert_eq!(Tlv::split_first(&bytes), Ok((Tlv { tag, value: &value }, &[][..])));
            prop_assert_eq!(total_len(&bytes), Some(bytes.len()));
        }

        #[test]
        fn arbitrary_bytes_are_read_within_their_bounds(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut rest = bytes.as_slice();
            while let Ok((object, behind)) = Tlv::split_first(rest) {
                prop_assert!(object.value.len() + behind.len() < rest.len());
                rest = behind;
            }
            let _ = Tlv::find(&bytes, 0x84);
        }
    }
}
