//! PIN blocks of format 2: nibble 2, number of digits, the digits, filled with F to eight bytes.

use zeroize::Zeroizing;

/// Length of a PIN block in bytes.
pub(super) const LENGTH: usize = 8;

/// The ASCII digits of a block, or `None` if it is not well-formed.
pub(super) fn digits(block: &[u8; LENGTH]) -> Option<Zeroizing<Vec<u8>>> {
    let nibbles: Zeroizing<Vec<u8>> =
        Zeroizing::new(block.iter().flat_map(|byte| [byte >> 4, byte & 0x0F]).collect());
    let [format, count, nibbles @ ..] = nibbles.as_slice() else { return None };
    let (digits, fill) = nibbles.split_at_checked(usize::from(*count))?;
    let well_formed = *format == 2 && digits.iter().all(|d| *d <= 9) && fill.iter().all(|f| *f == 0x0F);
    well_formed.then(|| Zeroizing::new(digits.iter().map(|digit| b'0' + digit).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn blocks_of_all_lengths_are_read() {
        let read = |block| digits(&block).map(|digits| digits.to_vec());
        assert_eq!(read(hex!("26123456FFFFFFFF")), Some(b"123456".to_vec()));
        assert_eq!(read(hex!("2513579FFFFFFFFF")), Some(b"13579".to_vec()));
        assert_eq!(read(hex!("2812345678FFFFFF")), Some(b"12345678".to_vec()));
        assert_eq!(read(hex!("20FFFFFFFFFFFFFF")), Some(Vec::new()));
    }

    #[test]
    fn malformed_blocks_are_noticed() {
        for block in [
            hex!("16123456FFFFFFFF"),
            hex!("2612345AFFFFFFFF"),
            hex!("26123456FFFFFFF0"),
            hex!("2612345FFFFFFFFF"),
            hex!("2FFFFFFFFFFFFFFF"),
            hex!("3132333435360000"),
        ] {
            assert_eq!(digits(&block), None);
        }
    }
}
