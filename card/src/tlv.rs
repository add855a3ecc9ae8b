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
