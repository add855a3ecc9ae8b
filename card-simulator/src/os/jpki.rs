//! The commands of the Japanese individual number card, as programs for it use them. A PIN, a key and a file are selected
//! alike, by an identifier in the current application; what is selected is what the next command is about.

use zeroize::Zeroizing;

use super::apdu::{Class, Command};
use super::channel::Selected;
use super::{Card, Handler, Outcome, Sw};
use crate::crypto::CryptoError;
use crate::layout::{Algorithm, Operation, Password, Secret};

const CHILD_FILE: u8 = 0x02;
const APPLICATION: u8 = 0x04;
const WITHOUT_ANSWER: u8 = 0x0C;
/// P2 of the PIN commands: the selected PIN.
const SELECTED: u8 = 0x80;
/// P1 and P2 of a signature.
const SIGN: u16 = 0x0080;

/// The handler of a command.
pub(super) fn handler(class: Class, ins: u8) -> Option<Handler> {
    match (class, ins) {
        (Class::Interindustry(_), 0x20) => Some(Card::jpki_verify),
        (Class::Interindustry(_), 0x24) => Some(Card::jpki_change),
        (Class::Interindustry(_), 0xA4) => Some(Card::jpki_select),
        (Class::Interindustry(_), 0xB0) => Some(Card::read_binary),
        (Class::Proprietary(_), 0x2A) => Some(Card::jpki_sign),
        _ => None,
    }
}

impl Card {
    /// SELECT of an application, which ends what was verified, or of a file, PIN or key in it.
    fn jpki_select(&mut self, command: &Command<'_>) -> Outcome {
        if command.p2 != WITHOUT_ANSWER {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let layout = self.layout;
        match (command.p1, command.data) {
            (APPLICATION, [_, ..]) => {
                let folder = layout.application(command.data).ok_or(Sw::FILE_NOT_FOUND)?;
                let channel = self.channel_mut(command.channel())?;
                channel.forget_verified();
                channel.enter(layout, folder);
                channel.secret = None;
            }
            (CHILD_FILE, &[high, low]) => {
                let fid = u16::from_be_bytes([high, low]);
                let channel = self.channel_mut(command.channel())?;
                let folder = channel.folder.id;
                // PINs and keys stand in the profile with the low byte of their identifier.
                let reference = low | 0x80;
                let file = layout.files.iter().find(|file| file.folder == folder && file.fid == fid);
                let own = |of: usize| high == 0 && low & 0x80 == 0 && of == folder && folder != 0;
                let secret = layout.password(folder, reference).filter(|password| own(password.folder));
                let key = layout.key(folder, reference).filter(|key| own(key.folder));
                if file.is_none() && secret.is_none() && key.is_none() {
                    return Err(Sw::FILE_NOT_FOUND);
                }
                channel.file = file;
                channel.secret = secret;
                let sign = key.map(|key| (key, Algorithm::SignPkcs1));
                channel.selected = Selected { sign, ..Selected::default() };
            }
            (CHILD_FILE, _) => return Err(Sw::WRONG_LENGTH),
            _ => return Err(Sw::WRONG_PARAMETERS),
        }
        Ok(Sw::OK.into())
    }

    /// VERIFY; without data it tells the tries left, whether the PIN was entered or not.
    fn jpki_verify(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.jpki_secret(command, 0x00)?;
        self.refuse_blocked(password)?;
        if command.data.is_empty() {
            return Err(Sw::tries_left(self.image.tries(password)));
        }
        self.check(command.channel(), password, Some(Zeroizing::new(command.data.to_vec())))?;
        self.channel_mut(command.channel())?.set_verified(password, None);
        Ok(Sw::OK.into())
    }

    /// CHANGE REFERENCE DATA with the new value only, after VERIFY.
    fn jpki_change(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.jpki_secret(command, 0x01)?;
        let channel = self.channel(command.channel())?;
        self.allowed(channel, password.folder, &password.access, Operation::Set)?;
        let Secret::Own { min, max, .. } = password.secret else { return Err(Sw::REFERENCE_NOT_FOUND) };
        let letters = max > min;
        let well_formed = (min..=max).contains(&command.data.len())
            && command.data.iter().all(|&c| c.is_ascii_digit() || letters && c.is_ascii_uppercase());
        if well_formed { self.store_secret(password, command.data) } else { Err(Sw::WRONG_DATA) }
    }

    /// A signature over a DigestInfo.
    fn jpki_sign(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != SIGN {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let selected = self.channel(command.channel())?.selected.sign;
        self.compute(command, selected, Operation::ComputeSignature, |key, algorithm| match algorithm {
            Algorithm::SignPkcs1 => key.sign_pkcs1(command.data),
            _ => Err(CryptoError::WrongKind),
        })
    }

    /// The PIN that is selected; 6986 without one.
    fn jpki_secret(&self, command: &Command<'_>, p1: u8) -> Result<&'static Password, Sw> {
        if command.p1 != p1 || command.p2 != SELECTED {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.channel(command.channel())?.secret.ok_or(Sw::NO_CURRENT_FILE)
    }
}
