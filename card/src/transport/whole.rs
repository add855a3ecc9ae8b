//! Answers that come in pieces (ISO/IEC 7816-4 clause 5.3.4): `61xx` is followed by GET RESPONSE, `6Cxx` by the same
//! command with the length the card named. Cards with T=0, and cards that know short lengths only, answer so.

use super::{HangUp, PinEntry, PinPad, Traffic, Transport, TransportError};
use crate::apdu::{Command, Le, Response};

/// Enough for the longest answer a command can ask for, in pieces of 256 bytes.
const MOST_PIECES: usize = 256;

/// A transport whose answers are whole.
pub struct WholeAnswers<T> {
    inner: T,
}

impl<T: Transport> WholeAnswers<T> {
    /// Wraps a transport.
    pub fn new(inner: T) -> Self {
        WholeAnswers { inner }
    }
}

impl<T: Transport> Transport for WholeAnswers<T> {
    fn atr(&self) -> &[u8] {
        self.inner.atr()
    }

    /// Commands that are refused for their Le were not executed; only those are sent again.
    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let mut whole = self.inner.transmit(command)?;
        if let Some(length) = whole.status.right_length() {
            whole = self.inner.transmit(&command.clone().le(length))?;
        }
        for _ in 0..MOST_PIECES {
            let Some(length) = whole.status.more() else { break };
            let [class, ..] = command.header();
            let piece = self.inner.transmit(&Command::new(class & !CHAINED, 0xC0, 0x00, 0x00).le(length))?;
            whole.data.extend(piece.data);
            whole.status = piece.status;
        }
        Ok(whole)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.inner.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.inner.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.inner.reconnect()
    }

    fn pin_pad(&self) -> PinPad {
        self.inner.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        self.inner.enter_pin(command, entry)
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.inner.hang_up()
    }

    fn answer_limit(&self) -> Option<u16> {
        self.inner.answer_limit()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}

const CHAINED: u8 = 0x10;

impl crate::status::StatusWord {
    /// The Le that `6Cxx` asks for.
    fn right_length(self) -> Option<Le> {
        length(self, 0x6C)
    }

    /// The Le of the GET RESPONSE that `61xx` asks for.
    fn more(self) -> Option<Le> {
        length(self, 0x61)
    }
}

fn length(status: crate::status::StatusWord, sw1: u8) -> Option<Le> {
    let [high, low] = status.0.to_be_bytes();
    (high == sw1).then(|| if low == 0 { Le::SHORT_WILDCARD } else { Le::Short(low.into()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Log, Script};
    use crate::status::StatusWord;

    fn start(script: Script) -> (WholeAnswers<Box<dyn Transport>>, Log) {
        let (mut transport, log) = script.start();
        transport.begin().unwrap();
        (WholeAnswers::new(transport), log)
    }

    #[test]
    fn an_answer_in_pieces_is_fetched_whole() {
        let script = Script::new("")
            .on("01B0000000", "AABB6102")
            .on("01C0000002", "CCDD6100")
            .on("01C0000000", "EE6282");
        let (mut transport, log) = start(script);
        let answer = transport.transmit(&Command::new(0x01, 0xB0, 0, 0).le(Le::SHORT_WILDCARD)).unwrap();
        assert_eq!(hex::encode_upper(answer.data), "AABBCCDDEE");
        assert_eq!(answer.status, StatusWord::END_OF_FILE);
        transport.end().unwrap();
        log.assert_finished();
    }

    #[test]
    fn a_command_with_the_wrong_length_is_asked_again_once() {
        let script = Script::new("").on("00B0000000", "6C03").on("00B0000003", "6C02");
        let (mut transport, log) = start(script);
        let answer = transport.transmit(&Command::new(0x00, 0xB0, 0, 0).le(Le::SHORT_WILDCARD)).unwrap();
        assert_eq!(answer.status, StatusWord(0x6C02));
        transport.end().unwrap();
        log.assert_finished();
    }

    #[test]
    fn a_card_that_always_has_more_is_given_up() {
        let mut script = Script::new("").on("00B0000000", "AA6101");
        for _ in 0..MOST_PIECES {
            script = script.on("00C0000001", "AA6101");
        }
        let (mut transport, log) = start(script);
        let answer = transport.transmit(&Command::new(0x00, 0xB0, 0, 0).le(Le::SHORT_WILDCARD)).unwrap();
        assert_eq!(answer.data.len(), MOST_PIECES + 1);
        transport.end().unwrap();
        log.assert_finished();
    }
}
