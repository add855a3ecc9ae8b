//! The fixed-length text fields of PKCS#11: UTF-8, padded with blanks, not terminated (v3.1 clause 3.1).

/// Cuts at a character boundary and pads with blanks.
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    let end = text.floor_char_boundary(N);
    for (place, byte) in field.iter_mut().zip(text.bytes().take(end)) {
        *place = byte;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_texts_are_padded_with_blanks() {
        assert_eq!(&padded::<5>("HBA"), b"HBA  ");
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(&padded::<4>("Zähne"), "Zäh".as_bytes());
        assert_eq!(&padded::<2>("Zähne"), b"Z ");
    }
}
