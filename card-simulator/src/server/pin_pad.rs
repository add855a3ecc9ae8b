//! A reader with a PIN pad (PC/SC part 10, version 2.02.09) and somebody who types on it.
//!
//! Reads the structures of clauses 2.5.2 and 2.5.3 as strictly as a reader's firmware, for format-2 blocks only, and
//! puts the digits into the command. Written from the specification, apart from the driver.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

/// Control code with which a program asks for features: 42000000h + 3400 (CM_IOCTL_GET_FEATURE_REQUEST).
const GET_FEATURES: u32 = 0x4200_0D48;
/// Codes this reader chose for itself.
const VERIFY: u32 = 0x4200_1F06;
const MODIFY: u32 = 0x4200_1F07;

/// The reader's own status words.
const TIMED_OUT: [u8; 2] = [0x64, 0x00];
const CANCELLED: [u8; 2] = [0x64, 0x01];
const NOT_THE_SAME: [u8; 2] = [0x64, 0x02];
const WRONG_LENGTH: [u8; 2] = [0x64, 0x03];
const BAD_STRUCTURE: [u8; 2] = [0x6B, 0x80];

/// What somebody does when the pad asks for a PIN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Typed {
    /// Types these digits and confirms.
    Digits(String),
    /// Presses the cancel key.
    Cancel,
    /// Goes away.
    Nothing,
}

/// `123456`, `cancel` or `timeout`.
impl FromStr for Typed {
    type Err = String;

    fn from_str(text: &str) -> Result<Typed, String> {
        match text {
            "cancel" => Ok(Typed::Cancel),
            "timeout" => Ok(Typed::Nothing),
            digits if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                Ok(Typed::Digits(digits.to_owned()))
            }
            other => Err(format!("'{other}' is none of digits, cancel, timeout")),
        }
    }
}

/// A pad with somebody in front of it.
#[derive(Clone)]
pub struct PinPad {
    person: Arc<Mutex<dyn FnMut() -> Typed + Send>>,
}

impl PinPad {
    /// Somebody who is asked once for each entry, and may take time.
    pub fn new(person: impl FnMut() -> Typed + Send + 'static) -> PinPad {
        PinPad { person: Arc::new(Mutex::new(person)) }
    }

    /// Somebody who does these things in turn, and begins again at the end.
    pub fn script(steps: Vec<Typed>) -> PinPad {
        let mut next = steps.into_iter().cycle();
        PinPad::new(move || next.next().unwrap_or(Typed::Nothing))
    }

    /// Control codes and their tags, as a reader lists them.
    fn features() -> Vec<u8> {
        let entries = [(0x06_u8, VERIFY), (0x07, MODIFY)];
        entries.iter().flat_map(|(tag, code)| [[*tag, 4].as_slice(), &code.to_be_bytes()].concat()).collect()
    }

    /// One entry with an accepted number of digits, as a format-2 block.
    fn block(&self, digits: &RangeInclusive<usize>) -> Result<[u8; 8], [u8; 2]> {
        let typed = (self.person.lock().unwrap_or_else(PoisonError::into_inner))();
        let typed = match typed {
            Typed::Digits(typed) if digits.contains(&typed.len()) => typed,
            Typed::Digits(_) => return Err(WRONG_LENGTH),
            Typed::Cancel => return Err(CANCELLED),
            Typed::Nothing => return Err(TIMED_OUT),
        };
        let text = format!("2{:X}{typed:F<14}", typed.len());
        let block = hex::decode(text).ok().and_then(|block| block.try_into().ok());
        block.ok_or(BAD_STRUCTURE)
    }

    /// The command that an order makes of what is typed, or the reader's own answer.
    fn command(&self, code: u32, order: &[u8]) -> Result<Vec<u8>, [u8; 2]> {
        let changes = code == MODIFY;
        let order = Order::read(order, changes).ok_or(BAD_STRUCTURE)?;
        let mut command = order.command.to_vec();
        let mut put = |offset: usize, block: [u8; 8]| {
            let place = command.get_mut(offset..offset + 8).ok_or(BAD_STRUCTURE)?;
            place.copy_from_slice(&block);
            Ok::<(), [u8; 2]>(())
        };
        put(5, self.block(&order.digits)?)?;
        if changes {
            let new = self.block(&order.digits)?;
            if self.block(&order.digits)? != new {
                return Err(NOT_THE_SAME);
            }
            put(13, new)?;
        }
        Ok(command)
    }
}

impl std::fmt::Debug for PinPad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PinPad")
    }
}

/// Answers a control message, with `transmit` for what goes to the card. `None`: the card was lost meanwhile.
pub(super) fn control<R>(
    pad: Option<&PinPad>,
    message: &[u8],
    answer: impl FnOnce(Vec<u8>) -> R,
    transmit: impl FnOnce(&[u8]) -> R,
) -> R {
    let (Some(pad), Some((code, order))) = (pad, message.split_first_chunk()) else {
        return answer(Vec::new());
    };
    match u32::from_be_bytes(*code) {
        GET_FEATURES => answer(PinPad::features()),
        code @ (VERIFY | MODIFY) => match pad.command(code, order) {
            Ok(command) => transmit(&command),
            Err(status) => answer(status.to_vec()),
        },
        _ => answer(Vec::new()),
    }
}

/// What this reader understands of an order.
struct Order<'o> {
    digits: RangeInclusive<usize>,
    command: &'o [u8],
}

impl<'o> Order<'o> {
    fn read(order: &'o [u8], changes: bool) -> Option<Order<'o>> {
        // Timeouts, BCD from bit 8 on, 4-bit length in a block of 8 bytes, length at bit 4.
        let [_, _, 0x41, 0x48, 0x04, rest @ ..] = order else { return None };
        let rest = match (changes, rest) {
            (true, [0, 8, rest @ ..]) => rest,
            (false, rest) => rest,
            _ => return None,
        };
        let [max, min, rest @ ..] = rest else { return None };
        // Old PIN and confirmation, end by key, texts, language, their numbers, no prologue.
        let rest = match (changes, rest) {
            (true, [3, 2, _, _, _, 0, 1, 2, 0, 0, 0, rest @ ..]) => rest,
            (false, [2, _, _, _, 0, 0, 0, 0, rest @ ..]) => rest,
            _ => return None,
        };
        let (length, command) = rest.split_first_chunk()?;
        let blocks = if changes { 2 } else { 1 };
        let fits = usize::try_from(u32::from_le_bytes(*length)) == Ok(command.len());
        let empty =
            command.get(5..)?.chunks(8).all(|block| block == [0x20, 255, 255, 255, 255, 255, 255, 255]);
        let whole =
            command.len() == 5 + 8 * blocks && command.get(4) == Some(&(8 * u8::try_from(blocks).ok()?));
        let digits = usize::from(*min)..=usize::from(*max);
        (fits && empty && whole).then_some(Order { digits, command })
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    const ORDER: [u8; 32] = hex!("1E1E414804 0806 02FF0000 00 000000 0D000000 0020008108 20FFFFFFFFFFFFFF");
    const CHANGE: [u8; 45] = hex!(
        "1E1E414804 0008 0805 03 02FF0000 000102 000000 15000000
         0024008110 20FFFFFFFFFFFFFF 20FFFFFFFFFFFFFF"
    );

    fn typed(steps: &[&str]) -> PinPad {
        PinPad::script(steps.iter().map(|step| step.parse().unwrap()).collect())
    }

    #[test]
    fn typed_digits_become_a_format_2_block_in_the_command() {
        let command = typed(&["1234567"]).command(VERIFY, &ORDER).unwrap();
        assert_eq!(command, hex!("0020008108 271234567FFFFFFF"));
        let command = typed(&["12345", "123456", "123456"]).command(MODIFY, &CHANGE).unwrap();
        assert_eq!(command, hex!("0024008110 2512345FFFFFFFFF 26123456FFFFFFFF"));
    }

    #[test]
    fn the_pad_says_what_went_wrong_and_the_card_gets_nothing() {
        let verify = |step| typed(&[step]).command(VERIFY, &ORDER).unwrap_err();
        assert_eq!(verify("timeout"), TIMED_OUT);
        assert_eq!(verify("cancel"), CANCELLED);
        assert_eq!(verify("12345"), WRONG_LENGTH);
        assert_eq!(verify("123456789"), WRONG_LENGTH);
        let change = typed(&["123456", "111111", "222222"]).command(MODIFY, &CHANGE);
        assert_eq!(change.unwrap_err(), NOT_THE_SAME);
    }

    #[test]
    fn structures_of_any_other_form_are_refused() {
        for index in (2..ORDER.len()).filter(|index| ![5, 6, 8, 9, 10].contains(index)) {
            let mut order = ORDER;
            order[index] ^= 1;
            let result = typed(&["123456"]).command(VERIFY, &order);
            // Class, instruction and parameters are the card's business.
            assert_eq!(result.is_err(), !(19..23).contains(&index), "byte {index}");
        }
        for end in 0..ORDER.len() {
            assert!(typed(&["123456"]).command(VERIFY, &ORDER[..end]).is_err());
        }
        assert!(typed(&["123456"]).command(MODIFY, &ORDER).is_err());
    }
}
