//! The commands of the French Carte Vitale 2 that are known: an application and its files are selected and read. Over T=0.

use super::apdu::{Class, Command};
use super::{Card, Handler, Outcome, Sw};

const CHILD_FILE: u8 = 0x02;
const APPLICATION: u8 = 0x04;
const ANSWERS: [u8; 2] = [0x00, 0x0C];

/// The handler of a command.
pub(super) fn handler(command: &Command<'_>) -> Result<Handler, Sw> {
    match (command.class, command.ins) {
        (Class::Interindustry(_), 0xA4) => Ok(Card::vitale_select),
        (Class::Interindustry(_), 0xB0) => Ok(Card::read_binary),
        (Class::Proprietary(_), 0xA4 | 0xB0) => Err(Sw::UNKNOWN_CLASS),
        _ => Err(Sw::UNKNOWN_INSTRUCTION),
    }
}

impl Card {
    fn vitale_select(&mut self, command: &Command<'_>) -> Outcome {
        if !matches!(command.p1, CHILD_FILE | APPLICATION) || !ANSWERS.contains(&command.p2) {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.eid_select(command)
    }
}
