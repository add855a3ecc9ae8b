//! The German insurance card of the first kind. It is a memory card that knows no commands: what answers here is the
//! terminal (multifunctional card terminal, MKT), which offers its template as the one file of an application.

use super::apdu::{Class, Command};
use super::{Card, Handler, Outcome, Sw};

const APPLICATION: u8 = 0x04;
const ANSWERS: [u8; 2] = [0x00, 0x0C];

/// The handler of a command.
pub(super) fn handler(command: &Command<'_>) -> Result<Handler, Sw> {
    match (command.class, command.ins) {
        (Class::Interindustry(0), 0xA4) => Ok(Card::kvk_select),
        (Class::Interindustry(0), 0xB0) => Ok(Card::read_binary),
        (_, 0xA4 | 0xB0) => Err(Sw::UNKNOWN_CLASS),
        _ => Err(Sw::UNKNOWN_INSTRUCTION),
    }
}

impl Card {
    /// SELECT by the application's name. Its file is selected with it.
    fn kvk_select(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != APPLICATION || !ANSWERS.contains(&command.p2) {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let layout = self.layout;
        let named = layout.application(command.data).filter(|_| !command.data.is_empty());
        let folder = named.ok_or(Sw::FILE_NOT_FOUND)?;
        let channel = self.channel_mut(command.channel())?;
        channel.folder = folder;
        channel.file = layout.files.iter().find(|file| file.folder == folder.id);
        Ok(Sw::OK.into())
    }
}
