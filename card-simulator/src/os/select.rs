//! SELECT (ISO/IEC 7816-4, 11.1.1; gemSpec_COS 14.2.6).

use super::apdu::Command;
use super::{Card, Outcome, Reply, Sw};
use crate::layout::{File, Folder, Structure};
use crate::tlv;

const BY_FILE_ID_ISO: u8 = 0x00;
const FILE: u8 = 0x02;
const PARENT: u8 = 0x03;
const APPLICATION: u8 = 0x04;

const WITH_FCP: u8 = 0x04;
const WITHOUT_ANSWER: u8 = 0x0C;

impl Card {
    pub(super) fn select(&mut self, command: &Command<'_>) -> Outcome {
        match command.p1 {
            APPLICATION => self.select_folder(command),
            FILE => self.select_file(command),
            PARENT => self.select_parent(command),
            // Programs probing for other cards select by file id alone; they are to be turned away quickly.
            BY_FILE_ID_ISO => Err(Sw::FILE_NOT_FOUND),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    fn select_folder(&mut self, command: &Command<'_>) -> Outcome {
        let layout = self.layout;
        let folder = match command.data {
            [] => Some(layout.master()),
            aid => layout.application(aid),
        };
        self.enter(command, folder.ok_or(Sw::FILE_NOT_FOUND)?)
    }

    fn select_parent(&mut self, command: &Command<'_>) -> Outcome {
        if !command.data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let layout = self.layout;
        let parent = self.channel(command.channel())?.folder.parent.ok_or(Sw::FILE_NOT_FOUND)?;
        self.enter(command, layout.folder(parent))
    }

    fn enter(&mut self, command: &Command<'_>, folder: &'static Folder) -> Outcome {
        let active = self.image.is_active(folder);
        let mut answer = self.answer(command, || folder_control(folder, active))?;
        let layout = self.layout;
        self.channel_mut(command.channel())?.enter(layout, folder);
        if !active {
            answer.status = Sw::DEACTIVATED;
        }
        Ok(answer)
    }

    fn select_file(&mut self, command: &Command<'_>) -> Outcome {
        let &[high, low] = command.data else { return Err(Sw::WRONG_LENGTH) };
        let fid = u16::from_be_bytes([high, low]);
        let layout = self.layout;
        let folder = self.channel(command.channel())?.folder.id;
        let file = layout.files.iter().find(|file| file.folder == folder && file.fid == fid);
        let file = file.ok_or(Sw::FILE_NOT_FOUND)?;
        let length = self.image.body(file).length();
        let answer = self.answer(command, || file_control(file, length))?;
        self.channel_mut(command.channel())?.file = Some(file);
        Ok(answer)
    }

    fn answer(&self, command: &Command<'_>, fcp: impl FnOnce() -> Vec<u8>) -> Outcome {
        match command.p2 {
            WITHOUT_ANSWER => Ok(Reply::from(Sw::OK)),
            WITH_FCP => self.whole(command, fcp()),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }
}

const ACTIVATED: [u8; 1] = [0x05];
const DEACTIVATED: [u8; 1] = [0x04];

fn folder_control(folder: &Folder, active: bool) -> Vec<u8> {
    let mut objects = tlv::encode(0x82, &[0x78]);
    if let Some(fid) = folder.fid {
        objects.extend(tlv::encode(0x83, &fid.to_be_bytes()));
    }
    objects.extend(tlv::encode(0x8A, if active { &ACTIVATED } else { &DEACTIVATED }));
    objects.extend(tlv::encode(0x84, &folder.aid));
    tlv::encode(0x62, &objects)
}

fn file_control(file: &File, length: usize) -> Vec<u8> {
    let mut objects = tlv::encode(0x80, &two_bytes(file.size));
    objects.extend(tlv::encode(0x82, &descriptor(file.structure)));
    objects.extend(tlv::encode(0x83, &file.fid.to_be_bytes()));
    if let Some(sfid) = file.sfid {
        objects.extend(tlv::encode(0x88, &[sfid << 3]));
    }
    objects.extend(tlv::encode(0x8A, &ACTIVATED));
    if file.structure == Structure::Transparent {
        objects.extend(tlv::encode(0xC5, &two_bytes(length)));
    }
    tlv::encode(0x62, &objects)
}

/// File descriptor: shareable EF of a structure; for record files with coding, record length and number.
fn descriptor(structure: Structure) -> Vec<u8> {
    let (kind, length, records) = match structure {
        Structure::Transparent => return vec![0x41],
        Structure::LinearFixed { max_records, length, .. } => (0x42, length, max_records),
        Structure::LinearVariable { max_records, max_length, .. } => (0x44, max_length, max_records),
        Structure::Cyclic { max_records, length } => (0x46, length, max_records),
    };
    let mut bytes = vec![kind, 0x21];
    bytes.extend(two_bytes(length));
    bytes.push(records.try_into().unwrap_or(u8::MAX));
    bytes
}

fn two_bytes(number: usize) -> [u8; 2] {
    u16::try_from(number).unwrap_or(u16::MAX).to_be_bytes()
}
