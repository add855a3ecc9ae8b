//! Status words (ISO/IEC 7816-4 clause 5.6, with the readings of gemSpec_COS).

use std::fmt;

/// SW1 SW2 of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StatusWord(pub u16);

impl StatusWord {
    /// Done.
    pub const OK: StatusWord = StatusWord(0x9000);
    /// Data is returned, but the checksum of the file is wrong.
    pub const DATA_CORRUPT: StatusWord = StatusWord(0x6281);
    /// End of file before Ne bytes; the data there is is returned.
    pub const END_OF_FILE: StatusWord = StatusWord(0x6282);
    /// SELECT: the file is deactivated.
    pub const DEACTIVATED: StatusWord = StatusWord(0x6283);
    /// SELECT: the file is terminated.
    pub const TERMINATED: StatusWord = StatusWord(0x6285);
    /// GET PIN STATUS: the transport PIN has not been replaced yet.
    pub const TRANSPORT_PIN: StatusWord = StatusWord(0x62C1);
    /// GET PIN STATUS: no PIN has been set yet.
    pub const EMPTY_PIN: StatusWord = StatusWord(0x62C7);
    /// GET PIN STATUS: verification is switched off, the condition counts as met.
    pub const PIN_DISABLED: StatusWord = StatusWord(0x62D0);
    /// The record is deactivated.
    pub const RECORD_DEACTIVATED: StatusWord = StatusWord(0x6287);
    /// EXTERNAL AUTHENTICATE, GENERAL AUTHENTICATE: not proven.
    pub const AUTHENTICATION_FAILED: StatusWord = StatusWord(0x6300);
    /// The key is invalid or absent.
    pub const KEY_INVALID: StatusWord = StatusWord(0x6400);
    /// Wrong length; for READ BINARY with extended Le: extended length is not supported.
    pub const WRONG_LENGTH: StatusWord = StatusWord(0x6700);
    /// The logical channel is closed or not supported.
    pub const CHANNEL_CLOSED: StatusWord = StatusWord(0x6881);
    /// Wrong file type; MANAGE CHANNEL: no free channel.
    pub const COMMAND_INCOMPATIBLE: StatusWord = StatusWord(0x6981);
    /// The security status is not satisfied: PIN missing, or secure messaging required.
    pub const SECURITY_STATUS: StatusWord = StatusWord(0x6982);
    /// The PIN is blocked.
    pub const BLOCKED: StatusWord = StatusWord(0x6983);
    /// Conditions of use: PIN in transport state, or no key selected.
    pub const CONDITIONS: StatusWord = StatusWord(0x6985);
    /// Wrong command data.
    pub const WRONG_DATA: StatusWord = StatusWord(0x6A80);
    /// Function not supported; for a key: this algorithm is not allowed.
    pub const NOT_SUPPORTED: StatusWord = StatusWord(0x6A81);
    /// File or application not found.
    pub const FILE_NOT_FOUND: StatusWord = StatusWord(0x6A82);
    /// Record not found.
    pub const RECORD_NOT_FOUND: StatusWord = StatusWord(0x6A83);
    /// Key or PIN reference not found.
    pub const REFERENCE_NOT_FOUND: StatusWord = StatusWord(0x6A88);
    /// Offset at or behind the end of the file.
    pub const OFFSET: StatusWord = StatusWord(0x6B00);
    /// The instruction is unknown.
    pub const INS_UNKNOWN: StatusWord = StatusWord(0x6D00);
    /// The class is unknown.
    pub const CLA_UNKNOWN: StatusWord = StatusWord(0x6E00);

    /// 9000.
    pub fn is_ok(self) -> bool {
        self == Self::OK
    }

    /// Tries left (0 to 15) of a `63Cx`, `None` for every other word.
    pub fn tries_left(self) -> Option<u8> {
        let [sw1, sw2] = self.0.to_be_bytes();
        (sw1 == 0x63 && sw2 & 0xF0 == 0xC0).then_some(sw2 & 0x0F)
    }

    /// What the word means, without regard to the command it answered.
    pub fn meaning(self) -> &'static str {
        match self.0 {
            0x9000 => "success",
            0x6200 => "warning, list truncated",
            0x6281 => "data may be corrupt",
            0x6282 => "end of file reached",
            0x6283 => "file deactivated",
            0x6285 => "file terminated",
            0x6287 => "record deactivated",
            0x62C1 => "transport PIN",
            0x62C7 => "no PIN set yet",
            0x62D0 => "verification disabled",
            0x6300 => "authentication failed",
            0x63C0..=0x63CF => "wrong secret",
            0x6400 => "key invalid",
            0x6581 => "memory failure",
            0x6700 => "wrong length",
            0x6881 => "logical channel closed or not supported",
            0x6882 => "secure messaging not supported",
            0x6981 => "command incompatible or no free channel",
            0x6982 => "security status not satisfied",
            0x6983 => "blocked",
            0x6985 => "conditions of use not satisfied",
            0x6986 => "no current file",
            0x6987 => "secure messaging object missing",
            0x6988 => "secure messaging object wrong",
            0x6A80 => "wrong data",
            0x6A81 => "function not supported",
            0x6A82 => "file not found",
            0x6A83 => "record not found",
            0x6A84 => "file full",
            0x6A86 => "wrong P1 or P2",
            0x6A88 => "key or PIN reference not found",
            0x6A89 => "object exists twice",
            0x6A8A => "application name exists",
            0x6B00 => "offset behind end of file",
            0x6C00..=0x6CFF => "wrong Le",
            0x6D00 => "instruction unknown",
            0x6E00 => "class unknown",
            0x6F00 => "unspecified error",
            0x6100..=0x61FF => "more data available",
            _ => "unknown status word",
        }
    }
}

/// `63C2 (wrong secret, 2 tries left)`
impl fmt::Display for StatusWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04X} ({}", self.0, self.meaning())?;
        match self.tries_left() {
            Some(1) => f.write_str(", 1 try left)"),
            Some(tries) => write!(f, ", {tries} tries left)"),
            None => f.write_str(")"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_word_explains_itself() {
        assert_eq!(StatusWord(0x63C2).to_string(), "63C2 (wrong secret, 2 tries left)");
        assert_eq!(StatusWord(0x63C1).to_string(), "63C1 (wrong secret, 1 try left)");
        assert_eq!(StatusWord::SECURITY_STATUS.to_string(), "6982 (security status not satisfied)");
        assert_eq!(StatusWord(0x1234).to_string(), "1234 (unknown status word)");
    }

    #[test]
    fn only_63cx_counts_tries() {
        assert_eq!(StatusWord(0x63CF).tries_left(), Some(15));
        assert_eq!(StatusWord(0x63C0).tries_left(), Some(0));
        for other in [0x6300, 0x63B3, 0x62C1, 0x9000] {
            assert_eq!(StatusWord(other).tries_left(), None);
        }
    }
}
