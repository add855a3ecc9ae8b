//! Transparent files: READ, UPDATE, WRITE and ERASE BINARY, SET LOGICAL EOF (gemSpec_COS 14.3).

use super::apdu::{Command, Expected};
use super::{Card, Outcome, Reply, Sw};
use crate::image::Body;
use crate::layout::{File, Operation, Structure};

/// P1 with this bit names a file by its short identifier and leaves one byte for the offset.
const BY_SHORT_ID: u8 = 0x80;

impl Card {
    pub(super) fn read_binary(&mut self, command: &Command<'_>) -> Outcome {
        let limit = self.expects_data(command)?;
        no_data(command)?;
        let (file, offset) = self.transparent(command, Operation::ReadBinary)?;
        let body = self.bytes(file)?;
        let rest = body.get(offset..).filter(|rest| !rest.is_empty()).ok_or(Sw::OFFSET)?;
        let data = rest.get(..limit).unwrap_or(rest).to_vec();
        let short = data.len() < limit && command.expected.is_some_and(|e| e != Expected::ExtendedWildcard);
        Ok(Reply { data, status: if short { Sw::END_OF_FILE } else { Sw::OK } })
    }

    pub(super) fn update_binary(&mut self, command: &Command<'_>) -> Outcome {
        some_data(command)?;
        let (file, offset) = self.transparent(command, Operation::UpdateBinary)?;
        let mut body = self.bytes(file)?.to_vec();
        if offset > body.len() {
            return Err(Sw::OFFSET);
        }
        let end = offset + command.data.len();
        if end > file.size {
            return Err(Sw::FILE_FULL);
        }
        let tail = body.split_off(end.min(body.len()));
        body.truncate(offset);
        body.extend(command.data);
        body.extend(tail);
        self.store(file, body)
    }

    /// WRITE BINARY appends at the logical end of the file.
    pub(super) fn write_binary(&mut self, command: &Command<'_>) -> Outcome {
        some_data(command)?;
        let (file, offset) = self.transparent(command, Operation::WriteBinary)?;
        if offset != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let mut body = self.bytes(file)?.to_vec();
        body.extend(command.data);
        if body.len() > file.size { Err(Sw::FILE_FULL) } else { self.store(file, body) }
    }

    /// ERASE BINARY overwrites from the offset to the logical end with zeros.
    pub(super) fn erase_binary(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        let (file, offset) = self.transparent(command, Operation::EraseBinary)?;
        let mut body = self.bytes(file)?.to_vec();
        let rest = body.get_mut(offset..).filter(|rest| !rest.is_empty()).ok_or(Sw::OFFSET)?;
        rest.fill(0);
        self.store(file, body)
    }

    pub(super) fn set_logical_eof(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        let (file, offset) = self
            .transparent(command, Operation::SetLogicalEof)
            .or_else(|_| self.transparent(command, Operation::SetLogicalEofAt(command.parameters())))?;
        let mut body = self.bytes(file)?.to_vec();
        if offset > body.len() {
            return Err(Sw::OFFSET);
        }
        body.truncate(offset);
        self.store(file, body)
    }

    /// The file a command means, which becomes the current one, and the offset in it.
    fn transparent(
        &mut self,
        command: &Command<'_>,
        operation: Operation,
    ) -> Result<(&'static File, usize), Sw> {
        let (sfid, offset) = if command.p1 & BY_SHORT_ID == 0 {
            (None, usize::from(command.parameters()))
        } else {
            (Some(command.p1 & !BY_SHORT_ID), usize::from(command.p2))
        };
        let file = self.find_file(command.channel(), sfid)?;
        if file.structure != Structure::Transparent {
            return Err(Sw::WRONG_FILE_TYPE);
        }
        let channel = self.channel(command.channel())?;
        self.allowed(channel, file.folder, &file.access, operation)?;
        Ok((file, offset))
    }

    /// The file with a short identifier in the current folder, made current; without one the current file.
    pub(super) fn find_file(&mut self, channel: u8, sfid: Option<u8>) -> Result<&'static File, Sw> {
        let layout = self.layout;
        let channel = self.channel_mut(channel)?;
        let Some(sfid) = sfid else { return channel.file.ok_or(Sw::NO_CURRENT_FILE) };
        let folder = channel.folder.id;
        let file = layout.files.iter().find(|file| file.folder == folder && file.sfid == Some(sfid));
        let file = file.ok_or(Sw::FILE_NOT_FOUND)?;
        channel.file = Some(file);
        Ok(file)
    }

    fn bytes(&self, file: &File) -> Result<&[u8], Sw> {
        match self.image.body(file) {
            Body::Bytes(bytes) => Ok(bytes),
            Body::Records(_) => Err(Sw::WRONG_FILE_TYPE),
        }
    }

    fn store(&mut self, file: &'static File, body: Vec<u8>) -> Outcome {
        self.image.store_body(file, Body::Bytes(body))?;
        Ok(Sw::OK.into())
    }
}

/// Refuses a body where none belongs.
pub(super) fn no_data(command: &Command<'_>) -> Result<(), Sw> {
    if command.data.is_empty() { Ok(()) } else { Err(Sw::WRONG_LENGTH) }
}

fn some_data(command: &Command<'_>) -> Result<(), Sw> {
    if command.data.is_empty() { Err(Sw::WRONG_LENGTH) } else { Ok(()) }
}
