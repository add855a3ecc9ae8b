//! PINs and PUKs entered on the reader's own pad, so that none reaches this computer.

use super::*;

/// A format-2 block without digits, for a reader to fill.
const EMPTY_BLOCK: [u8; 8] = [0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];

impl CardPin {
    /// As [`CardPin::verify`], with the PIN entered on the reader's own pad.
    ///
    /// # Errors
    /// [`PinError::Pad`] if the card was not asked; else as [`CardPin::verify`].
    pub fn verify_on_pad(&self, card: &mut dyn Transport) -> Result<(), PinError> {
        let [min, max] = self.digits;
        section(card, |card| {
            self.enter(card)?;
            let command = self.blocks(VERIFY, 0x00, &[EMPTY_BLOCK]);
            let status = from_pad(card, &command, &PinEntry::Verify(min..=max))?;
            self.verified(card, status)
        })
    }

    /// As [`CardPin::change`], with both PINs entered on the reader's own pad.
    ///
    /// # Errors
    /// As [`CardPin::verify_on_pad`].
    pub fn change_on_pad(&self, card: &mut dyn Transport) -> Result<(), PinError> {
        section(card, |card| {
            let [old, _] = self.old_digits(card)?;
            let [min, max] = self.digits;
            let command = self.blocks(CHANGE, 0x00, &[EMPTY_BLOCK, EMPTY_BLOCK]);
            let status = from_pad(card, &command, &PinEntry::Change(min.min(old)..=max))?;
            self.done("CHANGE REFERENCE DATA", status)
        })
    }

    /// As [`CardPin::unblock`], with the PUK, and twice the new PIN if one is set, entered on the reader's own pad.
    ///
    /// # Errors
    /// [`PinError::Pad`] if the card was not asked: no use of the PUK is spent then. Else as [`CardPin::unblock`].
    pub fn unblock_on_pad(&self, card: &mut dyn Transport, sets: bool) -> Result<(), PinError> {
        self.puk_can(sets)?;
        let [min, max] = self.digits;
        let (command, entry) = if sets {
            // The reader accepts the same numbers of digits for both; the card knows better.
            let digits = min.min(PUK_DIGITS)..=max.max(PUK_DIGITS);
            (self.blocks(RESET, 0x00, &[EMPTY_BLOCK, EMPTY_BLOCK]), PinEntry::Change(digits))
        } else {
            (self.blocks(RESET, 0x01, &[EMPTY_BLOCK]), PinEntry::Verify(PUK_DIGITS..=PUK_DIGITS))
        };
        section(card, |card| {
            self.enter(card)?;
            puk_used(from_pad(card, &command, &entry)?)
        })
    }

    /// As [`CardPin::switch`], with the PIN entered on the reader's own pad.
    ///
    /// # Errors
    /// As [`CardPin::verify_on_pad`], and [`PinError::NotAllowed`].
    pub fn switch_on_pad(&self, card: &mut dyn Transport, on: bool) -> Result<(), PinError> {
        if !self.switchable {
            return Err(self.not_allowed());
        }
        let [min, max] = self.digits;
        let (instruction, name) = switching(on);
        section(card, |card| {
            self.enter(card)?;
            let command = self.blocks(instruction, 0x00, &[EMPTY_BLOCK]);
            let status = from_pad(card, &command, &PinEntry::Verify(min..=max))?;
            self.done(name, status)
        })
    }
}

fn from_pad(card: &mut dyn Transport, command: &Command, entry: &PinEntry) -> Result<StatusWord, PinError> {
    let pad = card.pin_pad();
    let able = match entry {
        PinEntry::Verify(_) => pad.verify,
        PinEntry::Change(_) => pad.modify,
    };
    if !able {
        return Err(PinError::Pad { status: StatusWord::NOT_SUPPORTED });
    }
    // The reader's own answers: nobody entered anything, cancelled, not twice the same, wrong length.
    match card.enter_pin(command, entry)?.status {
        status @ StatusWord(0x6400..=0x6403) => Err(PinError::Pad { status }),
        status => Ok(status),
    }
}
