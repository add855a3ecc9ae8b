//! PINs: format-2 blocks (ISO 9564-1 clause 8.3, gemSpec_COS clause 8.1.7), ASCII fields, and the states a card
//! reports.

use std::fmt;

use zeroize::Zeroizing;

use crate::profile::PinFormat;
use crate::status::StatusWord;

/// The longest PIN a format-2 block holds in the card's sense: 12 digits.
const MAX_DIGITS: usize = 12;

/// A PIN as typed, held as the 8-byte block that goes to the card. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Pin {
    block: Zeroizing<[u8; 8]>,
    digits: u8,
}

/// Why a PIN is not sent to a card. Says nothing about the PIN but its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinFormatError {
    /// Too short or too long for this card; no try was spent.
    #[error("a PIN of {got} characters, the card takes {min} to {max}")]
    Length {
        /// Characters given.
        got: usize,
        /// Fewest digits the card takes.
        min: u8,
        /// Most digits the card takes.
        max: u8,
    },
    /// Something else than ASCII digits; no try was spent.
    #[error("a PIN consists of the digits 0 to 9 only")]
    NotDigits,
}

impl Pin {
    /// Takes `min` to `max` ASCII digits.
    ///
    /// # Errors
    /// Wrong length, or a character that is not a digit.
    pub fn parse(ascii: &[u8], min: u8, max: u8) -> Result<Pin, PinFormatError> {
        let got = ascii.len();
        let length = PinFormatError::Length { got, min, max };
        if got < usize::from(min) || got > usize::from(max).min(MAX_DIGITS) {
            return Err(length);
        }
        if !ascii.iter().all(u8::is_ascii_digit) {
            return Err(PinFormatError::NotDigits);
        }
        let digits = u8::try_from(got).map_err(|_| length)?;
        let mut block = Zeroizing::new([0xFF; 8]);
        let (first, rest) = block.split_at_mut(1);
        first.fill(0x20 | digits);
        for (byte, pair) in rest.iter_mut().zip(ascii.chunks(2)) {
            let high = pair.first().map_or(0x0F, |digit| digit & 0x0F);
            let low = pair.get(1).map_or(0x0F, |digit| digit & 0x0F);
            *byte = high << 4 | low;
        }
        Ok(Pin { block, digits })
    }

    /// Number of digits.
    pub fn digits(&self) -> u8 {
        self.digits
    }

    /// The format-2 block: `2`, the number of digits, the digits, filled with `F` to 8 bytes.
    pub fn block(&self) -> &[u8; 8] {
        &self.block
    }
}

impl Pin {
    /// The PIN as a card of this format wants it in a command; `None` if it holds fewer digits.
    pub fn field(&self, format: PinFormat) -> Option<Zeroizing<Vec<u8>>> {
        match format {
            PinFormat::Format2 => Some(Zeroizing::new(self.block.to_vec())),
            PinFormat::Ascii8 => self.ascii(8),
            PinFormat::Ascii12 => self.ascii(12),
        }
    }

    fn ascii(&self, length: usize) -> Option<Zeroizing<Vec<u8>>> {
        let nibbles = self.block.iter().skip(1).flat_map(|byte| [byte >> 4, byte & 0x0F]);
        let mut field = Zeroizing::new(Vec::with_capacity(length));
        field.extend(nibbles.take(self.digits.into()).map(|digit| b'0' | digit));
        (field.len() <= length).then(|| {
            field.resize(length, 0xFF);
            field
        })
    }
}

/// Prints nothing of the PIN.
impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// What is known of a PIN on a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinStatus {
    /// Entered; the keys behind it can be used.
    Verified,
    /// Not entered.
    NotVerified {
        /// Wrong entries the card still forgives, at least 1.
        tries: u8,
    },
    /// The card still has the PIN it was shipped with; it must be replaced first.
    TransportPin,
    /// No PIN has been set yet.
    EmptyPin,
    /// Verification is switched off; the keys can be used without it.
    Disabled,
    /// Entered wrongly too often; only the PUK helps.
    Blocked,
    /// The card did not say: it has no such PIN, or its answer to VERIFY got lost.
    Unknown,
}

impl PinStatus {
    /// Reads the answer to GET PIN STATUS (gemSpec_COS clause 14.6.4) or VERIFY.
    pub fn from_status(status: StatusWord) -> PinStatus {
        match (status, status.tries_left()) {
            (StatusWord::OK, _) => PinStatus::Verified,
            (StatusWord::BLOCKED, _) | (_, Some(0)) => PinStatus::Blocked,
            (_, Some(tries)) => PinStatus::NotVerified { tries },
            (StatusWord::TRANSPORT_PIN, _) => PinStatus::TransportPin,
            (StatusWord::EMPTY_PIN, _) => PinStatus::EmptyPin,
            (StatusWord::PIN_DISABLED, _) => PinStatus::Disabled,
            _ => PinStatus::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn digits_become_a_format_2_block() {
        let cases: [(&[u8], [u8; 8]); 4] = [
            (b"123456", hex!("26123456FFFFFFFF")),
            (b"13579", hex!("2513579FFFFFFFFF")),
            (b"12345678", hex!("2812345678FFFFFF")),
            (b"123456789012", hex!("2C123456789012FF")),
        ];
        for (digits, block) in cases {
            assert_eq!(Pin::parse(digits, 4, 12).unwrap().block(), &block);
        }
    }

    #[test]
    fn digits_become_ascii_filled_with_ff() {
        let field = |digits: &[u8]| Pin::parse(digits, 4, 12).unwrap().field(PinFormat::Ascii8);
        assert_eq!(field(b"123456").unwrap().as_slice(), b"123456\xFF\xFF");
        assert_eq!(field(b"12345678").unwrap().as_slice(), b"12345678");
        assert_eq!(field(b"123456789"), None);
    }

    #[test]
    fn only_digits_in_the_right_number_are_taken() {
        let length = |got| PinFormatError::Length { got, min: 6, max: 8 };
        assert_eq!(Pin::parse(b"12345", 6, 8).unwrap_err(), length(5));
        assert_eq!(Pin::parse(b"123456789", 6, 8).unwrap_err(), length(9));
        assert_eq!(Pin::parse(b"", 6, 8).unwrap_err(), length(0));
        assert_eq!(Pin::parse(b"12345a", 6, 8).unwrap_err(), PinFormatError::NotDigits);
        assert_eq!(Pin::parse("12345٣".as_bytes(), 6, 8).unwrap_err(), PinFormatError::NotDigits);
        assert!(Pin::parse(&[b'1'; 13], 0, 255).is_err(), "a block holds twelve digits");
    }

    #[test]
    fn a_pin_is_never_printed() {
        let pin = Pin::parse(b"123456", 6, 8).unwrap();
        assert_eq!(format!("{pin:?}"), "Pin(..)");
    }

    #[test]
    fn a_status_word_tells_the_state() {
        let states = [
            (0x9000, PinStatus::Verified),
            (0x63C3, PinStatus::NotVerified { tries: 3 }),
            (0x63C0, PinStatus::Blocked),
            (0x6983, PinStatus::Blocked),
            (0x62C1, PinStatus::TransportPin),
            (0x62C7, PinStatus::EmptyPin),
            (0x62D0, PinStatus::Disabled),
            (0x6A88, PinStatus::Unknown),
        ];
        for (word, status) in states {
            assert_eq!(PinStatus::from_status(StatusWord(word)), status);
        }
    }
}
