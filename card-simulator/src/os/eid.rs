//! What the electronic identity cards of other countries have in common: selection by name, identifier and path, and
//! secrets that are texts. Security status ends with the selection of an application by
//! its name, and with no other: programs for these cards rely on the one and expect the other.

use zeroize::Zeroizing;

use super::apdu::Command;
use super::{Card, Outcome, Sw};
use crate::layout::{File, Folder, Layout, Operation, Password, Secret};
use crate::tlv;

const BY_FILE_ID: u8 = 0x00;
const CHILD_FOLDER: u8 = 0x01;
const CHILD_FILE: u8 = 0x02;
const APPLICATION: u8 = 0x04;
const PATH_FROM_MASTER: u8 = 0x08;
const PATH_FROM_HERE: u8 = 0x09;

const WITH_SIZE: u8 = 0x04;
const MASTER_FILE: u16 = 0x3F00;
const FILL: u8 = 0xFF;

/// What a selection leads to.
enum Place {
    Folder(&'static Folder),
    File(&'static File),
}

impl Card {
    /// SELECT in the forms that these cards know. With P2 = 04 a file tells its length, everything else nothing.
    pub(super) fn eid_select(&mut self, command: &Command<'_>) -> Outcome {
        let layout = self.layout;
        let current = self.channel(command.channel())?.folder;
        let place = match command.p1 {
            BY_FILE_ID if command.data.is_empty() => Some(Place::Folder(layout.master())),
            BY_FILE_ID => child(layout, current, identifier(command.data)?),
            CHILD_FOLDER => child_folder(layout, current, identifier(command.data)?).map(Place::Folder),
            CHILD_FILE => child_file(layout, current, identifier(command.data)?).map(Place::File),
            APPLICATION if command.data.is_empty() => None,
            APPLICATION => layout.application(command.data).map(Place::Folder),
            PATH_FROM_MASTER => along(layout, layout.master(), command.data)?,
            PATH_FROM_HERE => along(layout, current, command.data)?,
            _ => return Err(Sw::WRONG_PARAMETERS),
        };
        let place = place.ok_or(Sw::FILE_NOT_FOUND)?;
        let channel = self.channel_mut(command.channel())?;
        if command.p1 == APPLICATION {
            channel.forget_verified();
        }
        match place {
            Place::Folder(folder) => {
                channel.folder = folder;
                channel.file = None;
                channel.selected = Default::default();
            }
            Place::File(file) => {
                channel.folder = layout.folder(file.folder);
                channel.file = Some(file);
            }
        }
        match place {
            Place::File(file) if command.p2 == WITH_SIZE => {
                let length = u16::try_from(self.image.body(file).length()).unwrap_or(u16::MAX);
                Ok(tlv::encode(0x62, &tlv::encode(0x80, &length.to_be_bytes())).into())
            }
            _ => Ok(Sw::OK.into()),
        }
    }

    /// The password that P2 names, seen from the current folder.
    pub(super) fn eid_password(&self, command: &Command<'_>) -> Result<&'static Password, Sw> {
        let folder = self.channel(command.channel())?.folder.id;
        self.layout.password(folder, command.p2).ok_or(Sw::REFERENCE_NOT_FOUND)
    }

    /// VERIFY with a value already taken out of the command.
    pub(super) fn eid_verify(
        &mut self,
        command: &Command<'_>,
        password: &'static Password,
        value: &[u8],
    ) -> Outcome {
        self.refuse_blocked(password)?;
        self.check(command.channel(), password, Some(Zeroizing::new(value.to_vec())))?;
        let [uses, _] = password.uses_per_verify;
        self.channel_mut(command.channel())?.set_verified(password, uses);
        Ok(Sw::OK.into())
    }

    /// CHANGE REFERENCE DATA with old and new value.
    pub(super) fn eid_change(
        &mut self,
        command: &Command<'_>,
        password: &'static Password,
        [old, new]: [&[u8]; 2],
    ) -> Outcome {
        self.refuse_blocked(password)?;
        if !fits(password, new) {
            return Err(Sw::WRONG_DATA);
        }
        if old == new {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        self.check(command.channel(), password, Some(Zeroizing::new(old.to_vec())))?;
        self.store_secret(password, new)
    }

    /// RESET RETRY COUNTER after the PUK was verified: with a new value, or with none.
    pub(super) fn eid_reset(
        &mut self,
        command: &Command<'_>,
        password: &'static Password,
        new: Option<&[u8]>,
    ) -> Outcome {
        let channel = self.channel(command.channel())?;
        self.allowed(channel, password.folder, &password.access, Operation::ResetWithNew)?;
        match new {
            Some(new) if fits(password, new) => self.store_secret(password, new),
            Some(_) => Err(Sw::WRONG_DATA),
            None => self.restore_tries(password),
        }
    }
}

/// The text of a field that is filled with FF to its length; 6A80 for anything else.
pub(super) fn unfilled(field: &[u8]) -> Result<&[u8], Sw> {
    let end = field.iter().position(|&byte| byte == FILL).unwrap_or(field.len());
    let (text, fill) = field.split_at_checked(end).ok_or(Sw::WRONG_DATA)?;
    let well_formed = text.iter().all(u8::is_ascii_alphanumeric) && fill.iter().all(|&byte| byte == FILL);
    if well_formed { Ok(text) } else { Err(Sw::WRONG_DATA) }
}

/// Whether a value has a length that the password may have.
fn fits(password: &Password, value: &[u8]) -> bool {
    matches!(password.secret, Secret::Own { min, max, .. } if (min..=max).contains(&value.len()))
}

fn identifier(data: &[u8]) -> Result<u16, Sw> {
    data.try_into().map(u16::from_be_bytes).map_err(|_| Sw::WRONG_LENGTH)
}

fn child(layout: &'static Layout, folder: &Folder, fid: u16) -> Option<Place> {
    if fid == MASTER_FILE {
        return Some(Place::Folder(layout.master()));
    }
    let file = child_file(layout, folder, fid).map(Place::File);
    file.or_else(|| child_folder(layout, folder, fid).map(Place::Folder))
}

fn child_folder(layout: &'static Layout, folder: &Folder, fid: u16) -> Option<&'static Folder> {
    layout.folders.iter().find(|child| child.parent == Some(folder.id) && child.fid == Some(fid))
}

fn child_file(layout: &'static Layout, folder: &Folder, fid: u16) -> Option<&'static File> {
    layout.files.iter().find(|file| file.folder == folder.id && file.fid == fid)
}

/// Follows identifiers one after the other; the master file may stand at the beginning.
fn along(layout: &'static Layout, from: &'static Folder, path: &[u8]) -> Result<Option<Place>, Sw> {
    let (identifiers, rest) = path.as_chunks::<2>();
    if identifiers.is_empty() || !rest.is_empty() {
        return Err(Sw::WRONG_LENGTH);
    }
    let mut place = Place::Folder(from);
    for identifier in identifiers {
        let Place::Folder(folder) = place else { return Ok(None) };
        match child(layout, folder, u16::from_be_bytes(*identifier)) {
            Some(next) => place = next,
            None => return Ok(None),
        }
    }
    Ok(Some(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_taken_out_of_its_filling() {
        assert_eq!(unfilled(b"1234\xFF\xFF"), Ok(&b"1234"[..]));
        assert_eq!(unfilled(b"ABC123"), Ok(&b"ABC123"[..]));
        for wrong in [&b"12\xFF34"[..], b"12 4\xFF", b"12\0\xFF"] {
            assert_eq!(unfilled(wrong), Err(Sw::WRONG_DATA));
        }
    }
}
