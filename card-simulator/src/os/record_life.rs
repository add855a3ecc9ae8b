//! Life cycle of records: ACTIVATE, DEACTIVATE, ERASE, DELETE RECORD (gemSpec_COS 14.4).

use super::apdu::Command;
use super::binary::no_data;
use super::{Card, Outcome, Sw};
use crate::layout::{File, Operation, Structure};

const NUMBER_IN_P1: u8 = 0x04;

impl Card {
    pub(super) fn activate_record(&mut self, command: &Command<'_>) -> Outcome {
        self.set_deactivated(command, Operation::ActivateRecord, false)
    }

    pub(super) fn deactivate_record(&mut self, command: &Command<'_>) -> Outcome {
        self.set_deactivated(command, Operation::DeactivateRecord, true)
    }

    /// ERASE RECORD: zeros in a record of fixed length, nothing in one of variable length.
    pub(super) fn erase_record(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        let (file, number) = self.record_file(command, NUMBER_IN_P1, Operation::EraseRecord)?;
        let mut records = self.records(file)?.to_vec();
        let record = records.get_mut(number).ok_or(Sw::RECORD_NOT_FOUND)?;
        match file.structure {
            Structure::LinearVariable { .. } => record.data.clear(),
            _ => record.data.fill(0),
        }
        self.store_records(file, records)
    }

    /// DELETE RECORD: the records behind it move up.
    pub(super) fn delete_record(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        let (file, number) = self.record_file(command, NUMBER_IN_P1, Operation::DeleteRecord)?;
        let mut records = self.records(file)?.to_vec();
        if number >= records.len() {
            return Err(Sw::RECORD_NOT_FOUND);
        }
        records.remove(number);
        self.store_records(file, records)
    }

    fn set_deactivated(&mut self, command: &Command<'_>, operation: Operation, deactivated: bool) -> Outcome {
        no_data(command)?;
        let (file, number) = self.record_file(command, NUMBER_IN_P1, operation)?;
        if !has_life_cycle(file) {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let mut records = self.records(file)?.to_vec();
        records.get_mut(number).ok_or(Sw::RECORD_NOT_FOUND)?.deactivated = deactivated;
        self.store_records(file, records)
    }
}

fn has_life_cycle(file: &File) -> bool {
    match file.structure {
        Structure::LinearFixed { life_cycle, .. } | Structure::LinearVariable { life_cycle, .. } => {
            life_cycle
        }
        Structure::Transparent | Structure::Cyclic { .. } => false,
    }
}
