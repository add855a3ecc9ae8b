//! How long a card takes, so that simulated cards can be as slow as plastic.

use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// Bit times of one byte on the line: start bit, eight data bits, parity, one bit of guard time (ISO/IEC 7816-3,
/// clauses 7.2 and 11.2, protocol T=1).
const BITS_PER_BYTE: u64 = 11;

/// How fast a card is. The default takes no time at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Speed {
    /// Bits per second on the line between reader and card; 0 for a line without delay.
    pub bits_per_second: u32,
    /// What each command costs besides: reader, protocol blocks, the card's own processing.
    pub command: Duration,
    /// What each use of a private key costs besides.
    pub signature: Duration,
}

/// What went over the line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Commands, each with its answer.
    pub commands: u64,
    /// Bytes of commands and answers together.
    pub bytes: u64,
    /// Commands that used a private key and were answered with success.
    pub signatures: u64,
}

impl Speed {
    /// How long a card of this speed takes for all of it.
    pub fn time(&self, traffic: Traffic) -> Duration {
        let bits = traffic.bytes.saturating_mul(BITS_PER_BYTE);
        let nanoseconds =
            bits.saturating_mul(1_000_000_000).checked_div(self.bits_per_second.into()).unwrap_or_default();
        let times = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        Duration::from_nanos(nanoseconds)
            .saturating_add(self.command.saturating_mul(times(traffic.commands)))
            .saturating_add(self.signature.saturating_mul(times(traffic.signatures)))
    }
}

impl Traffic {
    /// What one command with its answer is.
    pub(super) fn of(command: &[u8], answer: &[u8]) -> Traffic {
        let bytes = command.len().saturating_add(answer.len());
        let signatures = u64::from(uses_private_key(command) && answer.ends_with(&[0x90, 0x00]));
        Traffic { commands: 1, bytes: u64::try_from(bytes).unwrap_or(u64::MAX), signatures }
    }

    /// Counts more of it.
    pub(super) fn add(&mut self, more: Traffic) {
        self.commands = self.commands.saturating_add(more.commands);
        self.bytes = self.bytes.saturating_add(more.bytes);
        self.signatures = self.signatures.saturating_add(more.signatures);
    }

    /// What came after an earlier moment.
    #[must_use]
    pub fn since(self, earlier: Traffic) -> Traffic {
        Traffic {
            commands: self.commands.saturating_sub(earlier.commands),
            bytes: self.bytes.saturating_sub(earlier.bytes),
            signatures: self.signatures.saturating_sub(earlier.signatures),
        }
    }
}

/// PSO COMPUTE DIGITAL SIGNATURE, PSO DECIPHER, INTERNAL and GENERAL AUTHENTICATE.
fn uses_private_key(command: &[u8]) -> bool {
    matches!(command, [_, 0x2A, 0x9E, 0x9A, ..] | [_, 0x2A, 0x80, 0x86, ..] | [_, 0x86..=0x88, ..])
}

/// A text that is no speed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("\"{0}\" is no speed: expected bits=<per second>,command=<milliseconds>,signature=<milliseconds>")]
pub struct SpeedError(String);

/// `bits=115200,command=10,signature=100`; what is left out takes no time.
impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Speed, SpeedError> {
        let error = || SpeedError(text.to_owned());
        let mut speed = Speed::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(error)?;
            let value: u32 = value.parse().map_err(|_| error())?;
            match name {
                "bits" => speed.bits_per_second = value,
                "command" => speed.command = Duration::from_millis(value.into()),
                "signature" => speed.signature = Duration::from_millis(value.into()),
                _ => return Err(error()),
            }
        }
        Ok(speed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_commands_and_signatures_add_up() {
        let speed: Speed = "bits=110000,command=10,signature=100".parse().unwrap();
        let traffic = Traffic { commands: 3, bytes: 1000, signatures: 1 };
        // 1000 bytes are 11000 bits.
        assert_eq!(speed.time(traffic), Duration::from_millis(100 + 30 + 100));
        assert_eq!(Speed::default().time(traffic), Duration::ZERO);
    }

    #[test]
    fn only_successful_uses_of_a_private_key_count_as_signatures() {
        let signatures = |command: &[u8], answer: &[u8]| Traffic::of(command, answer).signatures;
        assert_eq!(signatures(&[0x01, 0x2A, 0x9E, 0x9A, 0x00], &[0xC7, 0x90, 0x00]), 1);
        assert_eq!(signatures(&[0x00, 0x2A, 0x9E, 0x9A, 0x00], &[0x69, 0x82]), 0);
        assert_eq!(signatures(&[0x00, 0xB0, 0x86, 0x00, 0x00], &[0x30, 0x90, 0x00]), 0);
    }

    #[test]
    fn other_texts_are_no_speed() {
        for text in ["", "115200", "bits=", "bits=-1", "baud=9600", "bits=1,"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError(text.to_owned())));
        }
    }
}
