//! Command APDUs: class, header, body, expected length (ISO/IEC 7816-3, 12.1.3 and ISO/IEC 7816-4, 5.4).

use super::Sw;

/// Largest response length: what an extended Le of zeros asks for.
pub(super) const EXTENDED_WILDCARD: usize = 65_536;

/// Bit of the class byte that says that the command goes on.
const CHAINED: u8 = 0x10;

/// A command APDU that is well-formed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Command<'a> {
    pub(super) class: Class,
    /// More commands belong to this one (ISO/IEC 7816-4, 5.3.3).
    pub(super) chained: bool,
    pub(super) ins: u8,
    pub(super) p1: u8,
    pub(super) p2: u8,
    pub(super) data: &'a [u8],
    /// Le; `None` if the command carries none.
    pub(super) expected: Option<Expected>,
    /// Whether its lengths take two bytes.
    pub(super) extended: bool,
}

/// Class byte without secure messaging: which meaning INS has, and the logical channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Interindustry(u8),
    Proprietary(u8),
}

impl Class {
    pub(super) fn channel(self) -> u8 {
        match self {
            Class::Interindustry(channel) | Class::Proprietary(channel) => channel,
        }
    }

    fn parse(cla: u8) -> Result<Class, Sw> {
        const SECURE_MESSAGING: u8 = 0x0C;
        let channel = cla & 0x03;
        match cla & 0xFC {
            0x00 => Ok(Class::Interindustry(channel)),
            0x80 => Ok(Class::Proprietary(channel)),
            0x10 | 0x90 => Class::parse(cla & !CHAINED),
            // Without session keys there is nothing to open a secured command with.
            with if with & 0x70 == 0 && with & SECURE_MESSAGING != 0 => Err(Sw::SECURE_MESSAGING),
            _ => Err(Sw::UNKNOWN_CLASS),
        }
    }
}

/// The Le field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// At most this many bytes.
    Exactly(usize),
    /// One byte 00: at most 256 bytes.
    ShortWildcard,
    /// Bytes 0000: whatever there is.
    ExtendedWildcard,
}

impl Expected {
    pub(super) fn limit(self) -> usize {
        match self {
            Expected::Exactly(limit) => limit,
            Expected::ShortWildcard => 256,
            Expected::ExtendedWildcard => EXTENDED_WILDCARD,
        }
    }

    /// Le as secure messaging carries it: one byte, or two.
    pub(super) fn from_bytes(le: &[u8]) -> Option<Expected> {
        match le {
            [le] => Some(Expected::short(*le)),
            [high, low] => Some(Expected::extended([*high, *low])),
            _ => None,
        }
    }

    fn short(le: u8) -> Expected {
        if le == 0 { Expected::ShortWildcard } else { Expected::Exactly(usize::from(le)) }
    }

    fn extended(le: [u8; 2]) -> Expected {
        match u16::from_be_bytes(le) {
            0 => Expected::ExtendedWildcard,
            le => Expected::Exactly(usize::from(le)),
        }
    }
}

impl<'a> Command<'a> {
    /// Parses a command; lengths that do not fit together are 6700, a class that does not exist is 6E00.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Command<'a>, Sw> {
        let (&[cla, ins, p1, p2], body) = bytes.split_first_chunk().ok_or(Sw::WRONG_LENGTH)?;
        let class = Class::parse(cla)?;
        let chained = cla & CHAINED != 0;
        let (data, expected) = match body {
            [] => (&[][..], None),
            [le] => (&[][..], Some(Expected::short(*le))),
            [0, le0, le1] => (&[][..], Some(Expected::extended([*le0, *le1]))),
            [0, lc0, lc1, rest @ ..] => {
                let length = usize::from(u16::from_be_bytes([*lc0, *lc1]));
                let (data, le) = split(rest, length)?;
                match le {
                    [] => (data, None),
                    [le0, le1] => (data, Some(Expected::extended([*le0, *le1]))),
                    _ => return Err(Sw::WRONG_LENGTH),
                }
            }
            [lc, rest @ ..] => {
                let (data, le) = split(rest, usize::from(*lc))?;
                match le {
                    [] => (data, None),
                    [le] => (data, Some(Expected::short(*le))),
                    _ => return Err(Sw::WRONG_LENGTH),
                }
            }
        };
        let extended = matches!(body, [0, _, ..]);
        Ok(Command { class, chained, ins, p1, p2, data, expected, extended })
    }

    /// P1 and P2 as one number.
    pub(super) fn parameters(&self) -> u16 {
        u16::from_be_bytes([self.p1, self.p2])
    }

    pub(super) fn channel(&self) -> u8 {
        self.class.channel()
    }
}

fn split(rest: &[u8], length: usize) -> Result<(&[u8], &[u8]), Sw> {
    if length == 0 {
        return Err(Sw::WRONG_LENGTH);
    }
    rest.split_at_checked(length).ok_or(Sw::WRONG_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(hex: &str) -> Result<(usize, Option<Expected>), Sw> {
        let bytes = hex::decode(hex).unwrap();
        Command::parse(&bytes).map(|command| (command.data.len(), command.expected))
    }

    #[test]
    fn all_seven_cases_parse() {
        assert_eq!(parse("00A4040C"), Ok((0, None)));
        assert_eq!(parse("00B0000000"), Ok((0, Some(Expected::ShortWildcard))));
        assert_eq!(parse("00B000000000FF"), Ok((0, Some(Expected::Exactly(255)))));
        assert_eq!(parse("00B00000000000"), Ok((0, Some(Expected::ExtendedWildcard))));
        assert_eq!(parse("00A4020C022F00"), Ok((2, None)));
        assert_eq!(parse("00A40204022F0010"), Ok((2, Some(Expected::Exactly(16)))));
        assert_eq!(parse("00A4020C0000022F00"), Ok((2, None)));
        assert_eq!(parse("00A402040000022F000000"), Ok((2, Some(Expected::ExtendedWildcard))));
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        for hex in [
            "",
            "00A404",
            "00A4040C02AA",
            "00A4040C02AAAABBBB",
            "00A4040C0000",
            "00A4040C000002AA",
            "00A4040C000002AAAABB",
            "00A4040C00000000",
            "00A4040C000000AAAA",
        ] {
            assert_eq!(parse(hex), Err(Sw::WRONG_LENGTH), "{hex}");
        }
    }

    #[test]
    fn classes_are_told_apart() {
        let class = |cla| Class::parse(cla);
        assert_eq!(class(0x03), Ok(Class::Interindustry(3)));
        assert_eq!(class(0x82), Ok(Class::Proprietary(2)));
        assert_eq!(class(0x0C), Err(Sw::SECURE_MESSAGING));
        assert_eq!(class(0x8C), Err(Sw::SECURE_MESSAGING));
        assert_eq!(class(0x40), Err(Sw::UNKNOWN_CLASS));
        assert_eq!(class(0x12), Ok(Class::Interindustry(2)));
        assert_eq!(class(0xFF), Err(Sw::UNKNOWN_CLASS));
    }
}
