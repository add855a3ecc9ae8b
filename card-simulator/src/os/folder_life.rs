//! ACTIVATE and DEACTIVATE: the patient hides an application, with everything in it, and shows it again (gemSpec_COS
//! 14.2.1 and 14.2.3).

use super::apdu::Command;
use super::binary::no_data;
use super::{Card, Outcome, Sw};
use crate::layout::Operation;

impl Card {
    pub(super) fn activate(&mut self, command: &Command<'_>) -> Outcome {
        self.switch_folder(command, Operation::Activate, true)
    }

    pub(super) fn deactivate(&mut self, command: &Command<'_>) -> Outcome {
        self.switch_folder(command, Operation::Deactivate, false)
    }

    fn switch_folder(&mut self, command: &Command<'_>, operation: Operation, active: bool) -> Outcome {
        no_data(command)?;
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let channel = self.channel(command.channel())?;
        let folder = channel.folder;
        let access = channel.file.map_or(&folder.access, |file| &file.access);
        self.allowed(channel, folder.id, access, operation)?;
        self.image.store_active(folder, active)?;
        Ok(Sw::OK.into())
    }

    /// Whether a folder and those it lies in are active: only then do the ordinary rules of what is in it hold.
    pub(super) fn is_active(&self, folder: usize) -> bool {
        let mut current = Some(folder);
        while let Some(id) = current {
            let folder = self.layout.folder(id);
            if !self.image.is_active(folder) {
                return false;
            }
            current = folder.parent;
        }
        true
    }
}
