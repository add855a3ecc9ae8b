//! The serial number of a card (ICCSN): EF.GDO, data object 5A, twenty decimal digits (ISO/IEC 7816-6, EN 1867).

use crate::tlv::Tlv;

/// Short file identifier of EF.GDO in the MF.
pub(crate) const GDO_SFID: u8 = 0x02;

/// The serial number in EF.GDO, `None` if there is no complete one.
pub(crate) fn parse(gdo: &[u8]) -> Option<String> {
    let number = Tlv::find(gdo, 0x5A).ok()?;
    let digits = hex::encode(number);
    (number.len() == 10 && digits.bytes().all(|digit| digit.is_ascii_digit())).then_some(digits)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn twenty_digits_are_read() {
        assert_eq!(parse(&hex!("5A0A80276883110000220885")).as_deref(), Some("80276883110000220885"));
    }

    #[test]
    fn anything_else_has_no_serial_number() {
        assert_eq!(parse(&hex!("5A0A8027688311000022088A")), None, "not decimal");
        assert_eq!(parse(&hex!("5A09802768831100002208")), None, "too short");
        assert_eq!(parse(&hex!("5A0A802768")), None, "cut");
        assert_eq!(parse(&[]), None);
    }
}
