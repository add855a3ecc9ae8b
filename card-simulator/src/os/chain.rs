//! Long data in short commands: command chaining (ISO/IEC 7816-4, 5.3.3) and GET RESPONSE (11.4.1), for cards whose
//! readers may know no extended length.

use super::apdu::Command;
use super::{Card, Handler, Outcome, Reply, Sw};

const GET_RESPONSE: u8 = 0xC0;
/// What an answer to a command without Le may hold.
const SHORT: usize = 256;
/// More than any command of these cards carries.
const LONGEST_COMMAND: usize = 4096;

/// What has arrived of a command, and what is left of an answer.
#[derive(Debug, Default)]
pub(super) struct Chain {
    /// INS, P1, P2 of the command that goes on, and its data so far.
    command: Option<([u8; 3], Vec<u8>)>,
    answer: Vec<u8>,
}

impl Card {
    /// Collects a chained command, runs it when it is whole, and hands its answer out in pieces that fit.
    pub(super) fn execute_chained(
        &mut self,
        command: &Command<'_>,
        find: fn(u8) -> Option<Handler>,
    ) -> Outcome {
        if command.ins == GET_RESPONSE {
            return self.get_response(command);
        }
        self.chain.answer.clear();
        let header = [command.ins, command.p1, command.p2];
        let mut data = match self.chain.command.take() {
            Some((begun, data)) if begun == header => data,
            Some(_) | None => Vec::new(),
        };
        data.extend_from_slice(command.data);
        if data.len() > LONGEST_COMMAND {
            return Err(Sw::WRONG_LENGTH);
        }
        let handler = find(command.ins).ok_or(Sw::UNKNOWN_INSTRUCTION)?;
        if command.chained {
            self.chain.command = Some((header, data));
            return Ok(Sw::OK.into());
        }
        let whole = Command { data: &data, ..*command };
        let reply = self.handle(handler, &whole)?;
        Ok(self.piece(command, reply))
    }

    fn get_response(&mut self, command: &Command<'_>) -> Outcome {
        if self.chain.answer.is_empty() {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let rest = std::mem::take(&mut self.chain.answer);
        Ok(self.piece(command, Reply::from(rest)))
    }

    /// What is left of an answer, which is not kept.
    pub(super) fn take_answer(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.chain.answer)
    }

    /// Keeps an answer for GET RESPONSE.
    pub(super) fn keep_answer(&mut self, answer: Vec<u8>) {
        self.chain.answer = answer;
    }

    /// As much of an answer as Le allows; 61xx tells how much is left.
    fn piece(&mut self, command: &Command<'_>, mut reply: Reply) -> Reply {
        let limit = command.expected.map_or(SHORT, |expected| expected.limit());
        if reply.data.len() > limit {
            self.chain.answer = reply.data.split_off(limit);
            reply.status = Sw::more(self.chain.answer.len());
        }
        reply
    }
}
