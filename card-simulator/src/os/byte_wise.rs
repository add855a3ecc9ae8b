//! T=0 (ISO/IEC 7816-3 clause 10 and annex A): a command carries data or asks for them, never both. What a command with
//! data answers is fetched by GET RESPONSE (61xx), and who asks for another length than there is hears the right one (6Cxx).

use super::apdu::{Command, Expected};
use super::{Card, Handler, Outcome, Reply, Sw};

const GET_RESPONSE: u8 = 0xC0;

impl Card {
    /// Runs a command as a card with T=0 does. Readers leave out the Le of a command with data; one that is there is
    /// overlooked, as the card never sees it.
    pub(super) fn execute_byte_wise(
        &mut self,
        command: &Command<'_>,
        find: fn(&Command<'_>) -> Result<Handler, Sw>,
    ) -> Outcome {
        if command.chained {
            return Err(Sw::UNKNOWN_CLASS);
        }
        if command.extended {
            return Err(Sw::WRONG_LENGTH);
        }
        let pending = self.take_answer();
        if command.ins == GET_RESPONSE {
            return self.fetch(command, pending);
        }
        let handler = find(command)?;
        if command.data.is_empty() {
            let reply = self.handle(handler, command)?;
            let exact = command.expected.is_none_or(|le| le.limit() == reply.data.len());
            return if exact { Ok(reply) } else { Err(Sw::right_length(reply.data.len())) };
        }
        let whole = Command { expected: Some(Expected::ShortWildcard), ..*command };
        let Reply { data, status } = self.handle(handler, &whole)?;
        if data.is_empty() {
            return Ok(status.into());
        }
        let more = Sw::more(data.len());
        self.keep_answer(data);
        Ok(more.into())
    }

    /// GET RESPONSE; with the wrong length the answer waits on.
    fn fetch(&mut self, command: &Command<'_>, pending: Vec<u8>) -> Outcome {
        if pending.is_empty() {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        if command.expected.is_some_and(|le| le.limit() == pending.len()) {
            return Ok(pending.into());
        }
        let right = Sw::right_length(pending.len());
        self.keep_answer(pending);
        Err(right)
    }
}
