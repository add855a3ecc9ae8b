//! PIN pads of readers (PC/SC part 10, version 2.02.09): what a reader can do, and the orders it is given.
//!
//! The reader puts the digits into the command itself, so that no PIN reaches this computer. All PINs of these cards
//! are format-2 blocks (ISO 9564-1): `2`, number of digits, digits, filled with `F` to 8 bytes.

use std::ops::RangeInclusive;

use super::TransportError;
use crate::apdu::Command;

/// Which PINs can be entered on a reader's own pad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PinPad {
    /// One PIN, for VERIFY.
    pub verify: bool,
    /// An old PIN and twice a new one, for CHANGE REFERENCE DATA.
    pub modify: bool,
}

/// What the user is asked to enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinEntry {
    /// A PIN with this many digits.
    Verify(RangeInclusive<u8>),
    /// The old PIN, then twice the new one, each with this many digits.
    Change(RangeInclusive<u8>),
}

/// CM_IOCTL_GET_FEATURE_REQUEST (clause 2.2), as pcsc-lite numbers it.
pub(super) const GET_FEATURE_REQUEST: u32 = 0x4200_0000 + 3400;
const FEATURE_VERIFY_PIN_DIRECT: u8 = 0x06;
const FEATURE_MODIFY_PIN_DIRECT: u8 = 0x07;

/// Seconds for the first digit and between two digits.
const TIME: u8 = 30;
/// bmFormatString: digits in BCD, left-justified, counted in bits, beginning at bit 8 of the block.
const FORMAT: u8 = 0x41;
/// bmPINBlockString: length field of 4 bits, block of 8 bytes.
const BLOCK: u8 = 0x48;
/// bmPINLengthFormat: the length field begins at bit 4.
const LENGTH_FORMAT: u8 = 0x04;
/// bEntryValidationCondition: the user presses the confirmation key.
const CONFIRMED: u8 = 0x02;
/// wLangId: the reader's own language.
const LANGUAGE: [u8; 2] = [0, 0];
/// bNumberMessage: the reader's own texts.
const OWN_MESSAGES: u8 = 0xFF;
/// bConfirmPIN: ask for the old PIN, and twice for the new one.
const OLD_AND_CONFIRMATION: u8 = 0x03;
/// bInsertionOffsetOld, bInsertionOffsetNew: behind each other.
const OFFSETS: [u8; 2] = [0, 8];

/// The control codes of a reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Features {
    verify: Option<u32>,
    modify: Option<u32>,
}

impl Features {
    /// Reads the answer to [`GET_FEATURE_REQUEST`]: tag, length 4, control code. Ends at what is none.
    pub(super) fn parse(mut answer: &[u8]) -> Features {
        let mut features = Features::default();
        while let [tag, 4, a, b, c, d, rest @ ..] = answer {
            let code = Some(u32::from_be_bytes([*a, *b, *c, *d]));
            match *tag {
                FEATURE_VERIFY_PIN_DIRECT => features.verify = code,
                FEATURE_MODIFY_PIN_DIRECT => features.modify = code,
                _ => {}
            }
            answer = rest;
        }
        features
    }

    pub(super) fn pin_pad(self) -> PinPad {
        PinPad { verify: self.verify.is_some(), modify: self.modify.is_some() }
    }

    /// Control code and input for an entry: PIN_VERIFY_STRUCTURE (clause 2.5.2) or PIN_MODIFY_STRUCTURE (clause 2.5.3)
    /// around a command whose PIN blocks are empty.
    pub(super) fn order(self, command: &Command, entry: &PinEntry) -> Result<(u32, Vec<u8>), TransportError> {
        let apdu = command.encode()?;
        let length = u32::try_from(apdu.len()).unwrap_or(u32::MAX).to_le_bytes();
        let (code, mut order) = match entry {
            PinEntry::Verify(digits) => (self.verify, beginning(&[], digits)),
            PinEntry::Change(digits) => (self.modify, beginning(&OFFSETS, digits)),
        };
        let change = matches!(entry, PinEntry::Change(_));
        order.extend(change.then_some(OLD_AND_CONFIRMATION));
        order.extend([CONFIRMED, OWN_MESSAGES]);
        order.extend(LANGUAGE);
        // bMsgIndex of each entry, bTeoPrologue.
        order.extend(if change { vec![0, 1, 2] } else { vec![0] });
        order.extend([0, 0, 0]);
        order.extend(length);
        order.extend_from_slice(&apdu);
        Ok((code.ok_or(TransportError::NotTransacted)?, order))
    }
}

/// What both structures begin with.
fn beginning(offsets: &[u8], digits: &RangeInclusive<u8>) -> Vec<u8> {
    let mut order = vec![TIME, TIME, FORMAT, BLOCK, LENGTH_FORMAT];
    order.extend_from_slice(offsets);
    // wPINMaxExtraDigit: the smallest number of digits is the high byte.
    order.extend([*digits.end(), *digits.start()]);
    order
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    fn features() -> Features {
        Features::parse(&hex!("06 04 42330006 12 04 42330012 07 04 42330007"))
    }

    #[test]
    fn features_are_read_until_something_else_comes() {
        assert_eq!(features().pin_pad(), PinPad { verify: true, modify: true });
        let first = Features::parse(&hex!("06 04 42330006 07 03 423300"));
        assert_eq!(first.pin_pad(), PinPad { verify: true, modify: false });
        assert_eq!(Features::parse(&[]).pin_pad(), PinPad::default());
    }

    #[test]
    fn verify_is_ordered_as_part_10_says() {
        let command = Command::new(0x00, 0x20, 0x00, 0x81).data(hex!("20FFFFFFFFFFFFFF"));
        let (code, order) = features().order(&command, &PinEntry::Verify(6..=8)).unwrap();
        assert_eq!(code, 0x4233_0006);
        let expected = hex!(
            "1E 1E 41 48 04 0806 02 FF 0000 00 000000 0D000000
             00200081 08 20FFFFFFFFFFFFFF"
        );
        assert_eq!(order, expected);
    }

    #[test]
    fn change_is_ordered_as_part_10_says() {
        let command = Command::new(0x00, 0x24, 0x00, 0x81).data(hex!("20FFFFFFFFFFFFFF 20FFFFFFFFFFFFFF"));
        let (code, order) = features().order(&command, &PinEntry::Change(5..=8)).unwrap();
        assert_eq!(code, 0x4233_0007);
        let expected = hex!(
            "1E 1E 41 48 04 00 08 0805 03 02 FF 0000 000102 000000 15000000
             00240081 10 20FFFFFFFFFFFFFF 20FFFFFFFFFFFFFF"
        );
        assert_eq!(order, expected);
    }

    #[test]
    fn what_a_reader_cannot_do_is_not_ordered() {
        let command = Command::new(0x00, 0x20, 0x00, 0x81);
        let order = Features::default().order(&command, &PinEntry::Verify(6..=8));
        assert!(matches!(order, Err(TransportError::NotTransacted)));
    }
}
