//! Record files: READ, SEARCH, APPEND, UPDATE RECORD (gemSpec_COS 14.4).

use super::apdu::{Command, Expected};
use super::binary::no_data;
use super::{Card, Outcome, Reply, Sw};
use crate::image::{Body, Record};
use crate::layout::{File, Operation, Structure};

/// P2 below the short file identifier: P1 is a record number.
const NUMBER_IN_P1: u8 = 0x04;

impl Card {
    pub(super) fn read_record(&mut self, command: &Command<'_>) -> Outcome {
        let limit = self.expects_data(command)?;
        no_data(command)?;
        let (file, number) = self.record_file(command, NUMBER_IN_P1, Operation::ReadRecord)?;
        let record = self.records(file)?.get(number).ok_or(Sw::RECORD_NOT_FOUND)?;
        if record.deactivated {
            return Err(Sw::RECORD_DEACTIVATED);
        }
        let data = record.data.get(..limit).unwrap_or(&record.data).to_vec();
        let explicit = matches!(command.expected, Some(Expected::Exactly(_)));
        let status = if explicit && data.len() < limit { Sw::END_OF_FILE } else { Sw::OK };
        Ok(Reply { data, status })
    }

    /// SEARCH RECORD: the numbers of the active records from P1 on that contain the bytes.
    pub(super) fn search_record(&mut self, command: &Command<'_>) -> Outcome {
        let limit = self.expects_data(command)?;
        if command.data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let (file, start) = self.record_file(command, NUMBER_IN_P1, Operation::SearchRecord)?;
        let records = self.records(file)?;
        if start >= records.len() {
            return Err(Sw::RECORD_NOT_FOUND);
        }
        let contains = |record: &Record| {
            !record.deactivated && record.data.windows(command.data.len()).any(|w| w == command.data)
        };
        let numbers = (1u8..).zip(records).skip(start).filter(|(_, r)| contains(r)).map(|(n, _)| n);
        let found: Vec<u8> = numbers.take(limit).collect();
        if found.is_empty() { Ok(Sw::END_OF_FILE.into()) } else { Ok(found.into()) }
    }

    pub(super) fn append_record(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let (file, _) = self.record_file(command, 0, Operation::AppendRecord)?;
        let mut records = self.records(file)?.to_vec();
        fits(file, &records, command.data, None)?;
        match file.structure {
            Structure::Cyclic { max_records, .. } => {
                records.insert(0, command.data.to_vec().into());
                records.truncate(max_records);
            }
            _ => records.push(command.data.to_vec().into()),
        }
        self.store_records(file, records)
    }

    pub(super) fn update_record(&mut self, command: &Command<'_>) -> Outcome {
        let (file, number) = self.record_file(command, NUMBER_IN_P1, Operation::UpdateRecord)?;
        let mut records = self.records(file)?.to_vec();
        let record = records.get(number).ok_or(Sw::RECORD_NOT_FOUND)?;
        if record.deactivated {
            return Err(Sw::RECORD_DEACTIVATED);
        }
        fits(file, &records, command.data, Some(number))?;
        if let Some(record) = records.get_mut(number) {
            record.data = command.data.to_vec();
        }
        self.store_records(file, records)
    }

    /// The record file a command means (which becomes current) and the index of the record.
    pub(super) fn record_file(
        &mut self,
        command: &Command<'_>,
        mode: u8,
        operation: Operation,
    ) -> Result<(&'static File, usize), Sw> {
        let sfid = Some(command.p2 >> 3).filter(|sfid| *sfid != 0);
        if command.p2 & 0x07 != mode {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let file = self.find_file(command.channel(), sfid)?;
        if file.structure == Structure::Transparent {
            return Err(Sw::WRONG_FILE_TYPE);
        }
        let channel = self.channel(command.channel())?;
        self.allowed(channel, file.folder, &file.access, operation)?;
        match (mode, usize::from(command.p1).checked_sub(1)) {
            (NUMBER_IN_P1, None) => Err(Sw::RECORD_NOT_FOUND),
            (_, index) => Ok((file, index.unwrap_or(0))),
        }
    }

    pub(super) fn records(&self, file: &File) -> Result<&[Record], Sw> {
        match self.image.body(file) {
            Body::Records(records) => Ok(records),
            Body::Bytes(_) => Err(Sw::WRONG_FILE_TYPE),
        }
    }

    pub(super) fn store_records(&mut self, file: &'static File, records: Vec<Record>) -> Outcome {
        self.image.store_body(file, Body::Records(records))?;
        Ok(Sw::OK.into())
    }
}

/// Refuses record data of the wrong length (6700) or beyond the file's space (6A84). `replaced` is the index of
/// the record that makes room.
fn fits(file: &File, records: &[Record], data: &[u8], replaced: Option<usize>) -> Result<(), Sw> {
    let used = |records: &[Record]| -> usize { records.iter().map(|record| record.data.len()).sum() };
    match file.structure {
        Structure::Transparent => Err(Sw::WRONG_FILE_TYPE),
        Structure::Cyclic { length, .. } if data.len() != length => Err(Sw::WRONG_LENGTH),
        Structure::Cyclic { .. } => Ok(()),
        Structure::LinearFixed { length, .. } if data.len() != length => Err(Sw::WRONG_LENGTH),
        Structure::LinearVariable { max_length, .. } if data.is_empty() || data.len() > max_length => {
            Err(Sw::WRONG_LENGTH)
        }
        Structure::LinearFixed { max_records, .. } | Structure::LinearVariable { max_records, .. } => {
            let freed = replaced.and_then(|index| records.get(index)).map_or(0, |record| record.data.len());
            let too_many = replaced.is_none() && records.len() >= max_records;
            let too_long = used(records) - freed + data.len() > file.size;
            if too_many || too_long { Err(Sw::FILE_FULL) } else { Ok(()) }
        }
    }
}
