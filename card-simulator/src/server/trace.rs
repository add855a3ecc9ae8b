//! Prints APDUs without PINs.

use std::fmt::Write;

/// Instructions whose body is or holds a PIN: VERIFY, CHANGE REFERENCE DATA, DISABLE and ENABLE VERIFICATION,
/// RESET RETRY COUNTER.
const PIN_INSTRUCTIONS: [u8; 5] = [0x20, 0x24, 0x26, 0x28, 0x2C];

/// A command APDU in hexadecimal; of a PIN command only the header and Lc, then `**`.
pub fn masked(command: &[u8]) -> String {
    const HEADER_AND_LC: usize = 5;
    match command {
        [_, ins, _, _, _, _, ..] if PIN_INSTRUCTIONS.contains(ins) => {
            let mut text = hex::encode_upper(command.get(..HEADER_AND_LC).unwrap_or_default());
            text.push_str("**");
            text
        }
        _ => hex::encode_upper(command),
    }
}

/// One line of a trace.
pub(super) fn line(number: u64, command: &[u8], answer: Option<&[u8]>) -> String {
    let mut text = format!("{number:5}  {}  ", masked(command));
    match answer {
        Some(answer) => {
            let (data, status) = answer.split_at(answer.len().saturating_sub(2));
            if !data.is_empty() {
                let _ = write!(text, "{} ", hex::encode_upper(data));
            }
            text.push_str(&hex::encode_upper(status));
        }
        None => text.push_str("(no answer)"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    #[test]
    fn pin_bodies_never_show() {
        assert_eq!(masked(&hex!("00200081082612345FFFFFFFFF")), "0020008108**");
        assert_eq!(masked(&hex!("0124000110 26123456FFFFFFFF 26654321FFFFFFFF")), "0124000110**");
        assert_eq!(masked(&hex!("002C0001 000008 2812345678FFFFFF")), "002C000100**");
        assert_eq!(masked(&hex!("0C200081 1D 871101")), "0C2000811D**");
    }

    #[test]
    fn other_commands_show_whole() {
        assert_eq!(masked(&hex!("80200081")), "80200081");
        assert_eq!(line(7, &hex!("00B0820001"), Some(&hex!("5A 9000"))), "    7  00B0820001  5A 9000");
        assert_eq!(line(8, &hex!("00A4040C"), None), "    8  00A4040C  (no answer)");
    }
}
