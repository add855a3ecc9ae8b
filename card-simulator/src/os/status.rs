//! Status words the simulated cards answer.

/// A status word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sw(pub(crate) u16);

impl Sw {
    pub(crate) const OK: Sw = Sw(0x9000);
    pub(crate) const LIST_TRUNCATED: Sw = Sw(0x6200);
    pub(crate) const END_OF_FILE: Sw = Sw(0x6282);
    pub(crate) const DEACTIVATED: Sw = Sw(0x6283);
    pub(crate) const RECORD_DEACTIVATED: Sw = Sw(0x6287);
    pub(crate) const TRANSPORT_PIN: Sw = Sw(0x62C1);
    pub(crate) const EMPTY_PIN: Sw = Sw(0x62C7);
    pub(crate) const VERIFICATION_DISABLED: Sw = Sw(0x62D0);
    pub(crate) const AUTHENTICATION_FAILED: Sw = Sw(0x6300);
    pub(crate) const KEY_INVALID: Sw = Sw(0x6400);
    pub(crate) const MEMORY_FAILURE: Sw = Sw(0x6581);
    pub(crate) const WRONG_LENGTH: Sw = Sw(0x6700);
    pub(crate) const CHANNEL_CLOSED: Sw = Sw(0x6881);
    pub(crate) const SECURE_MESSAGING: Sw = Sw(0x6882);
    pub(crate) const WRONG_FILE_TYPE: Sw = Sw(0x6981);
    pub(crate) const NO_MORE_CHANNELS: Sw = Sw(0x6981);
    pub(crate) const SECURITY_STATUS: Sw = Sw(0x6982);
    pub(crate) const BLOCKED: Sw = Sw(0x6983);
    pub(crate) const CONDITIONS_OF_USE: Sw = Sw(0x6985);
    pub(crate) const NO_CURRENT_FILE: Sw = Sw(0x6986);
    pub(crate) const SM_OBJECT_MISSING: Sw = Sw(0x6987);
    pub(crate) const SM_OBJECT_WRONG: Sw = Sw(0x6988);
    pub(crate) const WRONG_DATA: Sw = Sw(0x6A80);
    pub(crate) const NOT_SUPPORTED: Sw = Sw(0x6A81);
    pub(crate) const FILE_NOT_FOUND: Sw = Sw(0x6A82);
    pub(crate) const RECORD_NOT_FOUND: Sw = Sw(0x6A83);
    pub(crate) const FILE_FULL: Sw = Sw(0x6A84);
    pub(crate) const WRONG_PARAMETERS: Sw = Sw(0x6A86);
    pub(crate) const REFERENCE_NOT_FOUND: Sw = Sw(0x6A88);
    pub(crate) const OFFSET: Sw = Sw(0x6B00);
    pub(crate) const UNKNOWN_INSTRUCTION: Sw = Sw(0x6D00);
    pub(crate) const UNKNOWN_CLASS: Sw = Sw(0x6E00);

    /// 61xx: xx more bytes can be fetched; 00 for 256 and more.
    pub(crate) fn more(bytes: usize) -> Sw {
        Sw(0x6100 | u16::from(u8::try_from(bytes).unwrap_or(0)))
    }

    /// 6Cxx: the right length; 00 for 256.
    pub(crate) fn right_length(bytes: usize) -> Sw {
        Sw(0x6C00 | u16::from(u8::try_from(bytes).unwrap_or(0)))
    }

    /// 63Cx: wrong secret or not verified, x tries left; more than 15 are shown as 15.
    pub(crate) fn tries_left(tries: u8) -> Sw {
        Sw(0x63C0 | u16::from(tries.min(15)))
    }
}
