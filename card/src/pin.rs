//! PINs: format-2 blocks (ISO 9564-1 clause 8.3, gemSpec_COS clause 8.1.7), ASCII fields, letters, and the states a card
//! reports.

use std::fmt;

use zeroize::Zeroizing;

use crate::profile::PinFormat;
use crate::status::StatusWord;

/// The longest PIN a format-2 block holds in the card's sense: 12 digits.
const MAX_DIGITS: u8 = 12;
/// The longest PIN any card here takes.
const MAX_CHARACTERS: u8 = 16;
/// Room for it.
const ROOM: usize = 16;

/// A PIN as typed. Wiped from memory when dropped.
#[derive(Clone)]
pub struct Pin {
    text: Zeroizing<[u8; ROOM]>,
    characters: u8,
    /// The 8-byte block that goes to the card; `None` if there are letters in it.
    block: Option<Zeroizing<[u8; 8]>>,
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
    /// Something else than capital ASCII letters and digits; no try was spent.
    #[error("this PIN consists of the capital letters A to Z and the digits 0 to 9 only")]
    NotCapitals,
}

impl Pin {
    /// Takes `min` to `max` ASCII digits.
    ///
    /// # Errors
    /// Wrong length, or a character that is not a digit.
    pub fn parse(ascii: &[u8], min: u8, max: u8) -> Result<Pin, PinFormatError> {
        let characters = length(ascii, min, max.min(MAX_DIGITS), max)?;
        if !ascii.iter().all(u8::is_ascii_digit) {
            return Err(PinFormatError::NotDigits);
        }
        let mut block = Zeroizing::new([0xFF; 8]);
        let (first, rest) = block.split_at_mut(1);
        first.fill(0x20 | characters);
        for (byte, pair) in rest.iter_mut().zip(ascii.chunks(2)) {
            let high = pair.first().map_or(0x0F, |digit| digit & 0x0F);
            let low = pair.get(1).map_or(0x0F, |digit| digit & 0x0F);
            *byte = high << 4 | low;
        }
        Ok(Pin { text: text(ascii), characters, block: Some(block) })
    }

    /// Takes `min` to `max` capital ASCII letters and digits.
    ///
    /// # Errors
    /// Wrong length, or another character.
    pub fn parse_letters(ascii: &[u8], min: u8, max: u8) -> Result<Pin, PinFormatError> {
        let characters = length(ascii, min, max.min(MAX_CHARACTERS), max)?;
        if !ascii.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase()) {
            return Err(PinFormatError::NotCapitals);
        }
        Ok(Pin { text: text(ascii), characters, block: None })
    }

    /// Number of characters.
    pub fn digits(&self) -> u8 {
        self.characters
    }

    /// The format-2 block: `2`, the number of digits, the digits, filled with `F` to 8 bytes. `None` for a PIN that may
    /// hold letters.
    pub fn block(&self) -> Option<&[u8; 8]> {
        self.block.as_deref()
    }

    /// The PIN as a card of this format wants it in a command; `None` if it cannot be written so.
    pub fn field(&self, format: PinFormat) -> Option<Zeroizing<Vec<u8>>> {
        match format {
            PinFormat::Format2 => self.block().map(|block| Zeroizing::new(block.to_vec())),
            PinFormat::Ascii8 => self.filled(8),
            PinFormat::Ascii12 => self.filled(12),
            PinFormat::Ascii => Some(Zeroizing::new(self.characters().to_vec())),
        }
    }

    fn filled(&self, length: usize) -> Option<Zeroizing<Vec<u8>>> {
        let mut field = Zeroizing::new(Vec::with_capacity(length));
        field.extend_from_slice(self.characters());
        (field.len() <= length).then(|| {
            field.resize(length, 0xFF);
            field
        })
    }

    fn characters(&self) -> &[u8] {
        self.text.get(..usize::from(self.characters)).unwrap_or_default()
    }
}

/// The number of characters, if it is from `min` to `most`; `max` is what the card says.
fn length(ascii: &[u8], min: u8, most: u8, max: u8) -> Result<u8, PinFormatError> {
    let fitting = u8::try_from(ascii.len()).ok().filter(|length| (min..=most).contains(length));
    fitting.ok_or(PinFormatError::Length { got: ascii.len(), min, max })
}

fn text(ascii: &[u8]) -> Zeroizing<[u8; ROOM]> {
    let mut text = Zeroizing::new([0; ROOM]);
    for (place, byte) in text.iter_mut().zip(ascii) {
        *place = *byte;
    }
    text
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
            assert_eq!(Pin::parse(digits, 4, 12).unwrap().block(), Some(&block));
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
    fn a_pin_of_letters_is_sent_as_typed_and_fits_in_no_block() {
        let pin = Pin::parse_letters(b"ABC123", 6, 16).unwrap();
        assert_eq!(pin.field(PinFormat::Ascii).unwrap().as_slice(), b"ABC123");
        assert_eq!((pin.block(), pin.field(PinFormat::Format2)), (None, None));
        for (text, error) in [
            (&b"ABC12"[..], PinFormatError::Length { got: 5, min: 6, max: 16 }),
            (b"ABCDEFGHIJKLMNOPQ", PinFormatError::Length { got: 17, min: 6, max: 16 }),
            (b"abc123", PinFormatError::NotCapitals),
            (b"ABC 12", PinFormatError::NotCapitals),
        ] {
            assert_eq!(Pin::parse_letters(text, 6, 16).unwrap_err(), error);
        }
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
