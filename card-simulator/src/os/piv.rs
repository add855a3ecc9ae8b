//! The commands of a PIV card (NIST SP 800-73-4, part 2).
//!
//! Data objects are files whose identifier is the end of their tag (5FC105 is C105). Keys and PIN lie in the PIV
//! application; the card management application, selected after a reset, knows no command but SELECT.

use zeroize::Zeroizing;

use super::apdu::Command;
use super::{Card, Handler, Outcome, Sw};
use crate::crypto::{CryptoError, PrivateKey};
use crate::image::Body;
use crate::layout::{Content, Curve, File, Folder, Key, KeyKind, Operation, Password, Secret};
use crate::tlv;

const PIN: u8 = 0x80;
const PUK: u8 = 0x81;
const MANAGEMENT_KEY: u8 = 0x9B;
/// Length of a PIN or PUK field.
const FIELD: usize = 8;
const FILL: u8 = 0xFF;

const SHORTEST_AID: usize = 5;

const DYNAMIC_AUTHENTICATION: u16 = 0x7C;
const RESPONSE: u16 = 0x82;
const CHALLENGE: u16 = 0x81;
const EXPONENTIATION: u16 = 0x85;

/// The handler of an instruction.
pub(super) fn handler(ins: u8) -> Option<Handler> {
    Some(match ins {
        0x20 => Card::piv_verify,
        0x24 => Card::piv_change,
        0x2C => Card::piv_reset,
        // Making keys and writing objects need the card management key, which these cards do not have.
        0x47 | 0xDB => Card::never_allowed,
        0x87 => Card::piv_authenticate,
        0xA4 => Card::piv_select,
        0xCB => Card::piv_get_data,
        _ => return None,
    })
}

impl Card {
    /// SELECT by (right-truncated) application identifier. Selecting the current application again keeps its PIN.
    fn piv_select(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0x04 || !matches!(command.p2, 0x00 | 0x0C) {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let layout = self.layout;
        let folder = match command.data {
            [] => Some(layout.master()),
            aid if aid.len() >= SHORTEST_AID => layout.folders.iter().find(|f| f.aid.starts_with(aid)),
            _ => None,
        };
        let folder = folder.ok_or(Sw::FILE_NOT_FOUND)?;
        self.channel_mut(command.channel())?.enter(layout, folder);
        Ok(if command.p2 == 0x0C { Sw::OK.into() } else { properties(folder, &layout.title).into() })
    }

    /// GET DATA: an object by its tag; certificates are wrapped with their (absent) compression.
    fn piv_get_data(&mut self, command: &Command<'_>) -> Outcome {
        self.piv_application(command)?;
        if command.parameters() != 0x3FFF {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let list = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let tag = tlv::find(&list, 0x5C).ok_or(Sw::WRONG_DATA)?;
        let file = self.piv_object(command, tag).ok_or(Sw::FILE_NOT_FOUND)?;
        self.allowed(self.channel(command.channel())?, file.folder, &file.access, Operation::ReadBinary)?;
        match self.image.body(file) {
            Body::Bytes(body) if !body.is_empty() => Ok(match file.content {
                Content::Certificate => certificate_object(body).into(),
                _ => body.clone().into(),
            }),
            _ => Err(Sw::FILE_NOT_FOUND),
        }
    }

    fn piv_object(&self, command: &Command<'_>, tag: &[u8]) -> Option<&'static File> {
        let fid = match *tag {
            [only] => u16::from(only),
            [high, low] | [0x5F, high, low] => u16::from_be_bytes([high, low]),
            _ => return None,
        };
        let folder = self.channel(command.channel()).ok()?.folder.id;
        self.layout.files.iter().find(|file| file.folder == folder && file.fid == fid)
    }

    /// VERIFY; without data it tells the tries left, with P1 = FF it ends the security status.
    fn piv_verify(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.piv_password(command, PIN)?;
        match (command.p1, command.data) {
            (0xFF, []) => {
                self.channel_mut(command.channel())?.clear_verified(password);
                Ok(Sw::OK.into())
            }
            (0x00, []) => {
                let channel = self.channel_mut(command.channel())?;
                channel.fresh = None;
                if channel.is_verified(password) {
                    return Ok(Sw::OK.into());
                }
                self.refuse_blocked(password)?;
                Err(Sw::tries_left(self.image.tries(password)))
            }
            (0x00, field) => {
                let pin = self.field(password, field)?;
                self.refuse_blocked(password)?;
                self.check(command.channel(), password, Some(pin))?;
                self.channel_mut(command.channel())?.set_verified(password, None);
                Ok(Sw::OK.into())
            }
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    /// CHANGE REFERENCE DATA: old and new value of the PIN. The PUK of these cards cannot be changed.
    fn piv_change(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0x00 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let password = self.piv_password(command, PIN)?;
        let [old, new] = fields(command.data)?;
        let new = self.field(password, new)?;
        self.refuse_blocked(password)?;
        self.check(command.channel(), password, unfilled(old))?;
        self.store_secret(password, &new)
    }

    /// RESET RETRY COUNTER: PUK and new PIN. A right PUK has all its tries again.
    fn piv_reset(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0x00 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let password = self.piv_password(command, PIN)?;
        let [puk, new] = fields(command.data)?;
        let new = self.field(password, new)?;
        self.refuse_used_up_puk(password)?;
        let left = self.image.puk_uses(password).saturating_sub(1);
        self.image.store_puk_uses(password, left)?;
        let stored = self.image.password(password).puk.as_ref();
        let right = stored.zip(unfilled(puk)).is_some_and(|(stored, puk)| stored.matches(&puk));
        if !right {
            return Err(Sw::tries_left(left));
        }
        if let Secret::Own { puk_uses, .. } = password.secret {
            self.image.store_puk_uses(password, puk_uses)?;
        }
        self.store_secret(password, &new)
    }

    /// GENERAL AUTHENTICATE: a signature or decipherment (81), or a key agreement (85).
    fn piv_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        self.piv_application(command)?;
        if command.p2 == MANAGEMENT_KEY {
            return challenge(command);
        }
        let channel = self.channel(command.channel())?;
        let key = self.layout.key(channel.folder.id, command.p2);
        let key = key.filter(|key| algorithm(key) == Some(command.p1)).ok_or(Sw::WRONG_PARAMETERS)?;
        let template = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let template = tlv::find(&template, DYNAMIC_AUTHENTICATION).and_then(tlv::parse);
        let template = template.ok_or(Sw::WRONG_DATA)?;
        if tlv::find(&template, RESPONSE) != Some(&[]) {
            return Err(Sw::WRONG_DATA);
        }
        self.allowed(channel, key.folder, &key.access, Operation::GeneralAuthenticate)?;
        let value = self.image.key(key).ok_or(Sw::KEY_INVALID)?;
        let answer = match (tlv::find(&template, CHALLENGE), tlv::find(&template, EXPONENTIATION)) {
            (Some(challenge), None) => sign(value, challenge)?,
            (None, Some(point)) => value.shared_x(point)?.to_vec(),
            _ => return Err(Sw::WRONG_DATA),
        };
        self.image.count_signature(key)?;
        Ok(tlv::encode(DYNAMIC_AUTHENTICATION, &tlv::encode(RESPONSE, &answer)).into())
    }

    /// The PIN that P2 names in the PIV application.
    fn piv_password(&self, command: &Command<'_>, wanted: u8) -> Result<&'static Password, Sw> {
        let folder = self.piv_application(command)?;
        match command.p2 {
            p2 if p2 == wanted => self.layout.password(folder.id, p2).ok_or(Sw::REFERENCE_NOT_FOUND),
            PUK => Err(Sw::NOT_SUPPORTED),
            _ => Err(Sw::REFERENCE_NOT_FOUND),
        }
    }

    /// Everything but SELECT belongs to the PIV application.
    fn piv_application(&self, command: &Command<'_>) -> Result<&'static Folder, Sw> {
        let folder = self.channel(command.channel())?.folder;
        if folder.parent.is_some() { Ok(folder) } else { Err(Sw::UNKNOWN_INSTRUCTION) }
    }

    /// The digits of a field, if the password may have them: 6A80 otherwise, at no cost.
    fn field(&self, password: &Password, field: &[u8]) -> Result<Zeroizing<Vec<u8>>, Sw> {
        let digits = unfilled(field).ok_or(Sw::WRONG_DATA)?;
        match password.secret {
            Secret::Own { min, max, .. } if (min..=max).contains(&digits.len()) => Ok(digits),
            _ => Err(Sw::WRONG_DATA),
        }
    }
}

/// The card management key, of which nobody knows the value: a challenge can be had, and answered in vain.
fn challenge(command: &Command<'_>) -> Outcome {
    const TRIPLE_DES: [u8; 2] = [0x00, 0x03];
    if !TRIPLE_DES.contains(&command.p1) {
        return Err(Sw::WRONG_PARAMETERS);
    }
    let template = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
    let template = tlv::find(&template, DYNAMIC_AUTHENTICATION).and_then(tlv::parse);
    match template.as_deref().map(|template| tlv::find(template, CHALLENGE)) {
        Some(Some([])) => {
            let mut number = [0; 8];
            getrandom::fill(&mut number).map_err(|_| Sw::MEMORY_FAILURE)?;
            Ok(tlv::encode(DYNAMIC_AUTHENTICATION, &tlv::encode(CHALLENGE, &number)).into())
        }
        _ => Err(Sw::SECURITY_STATUS),
    }
}

/// The application property template.
fn properties(folder: &Folder, title: &str) -> Vec<u8> {
    if folder.parent.is_none() {
        return tlv::encode(0x6F, &tlv::encode(0x84, &folder.aid));
    }
    let (provider, identifier) = folder.aid.split_at_checked(SHORTEST_AID).unwrap_or((&[], &folder.aid));
    let authority = tlv::encode(0x79, &tlv::encode(0x4F, provider));
    tlv::encode(
        0x61,
        &[tlv::encode(0x4F, identifier), authority, tlv::encode(0x50, title.as_bytes())].concat(),
    )
}

fn certificate_object(certificate: &[u8]) -> Vec<u8> {
    const NOT_COMPRESSED: [u8; 1] = [0x00];
    let parts = [tlv::encode(0x70, certificate), tlv::encode(0x71, &NOT_COMPRESSED), tlv::encode(0xFE, &[])];
    tlv::encode(0x53, &parts.concat())
}

/// Exactly two fields, or 6A80.
fn fields(data: &[u8]) -> Result<[&[u8]; 2], Sw> {
    match data.split_at_checked(FIELD) {
        Some((first, second)) if second.len() == FIELD => Ok([first, second]),
        _ => Err(Sw::WRONG_DATA),
    }
}

/// ASCII digits filled with FF to eight bytes.
fn unfilled(field: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let digits = field.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, fill) = field.split_at_checked(digits)?;
    let well_formed = field.len() == FIELD && fill.iter().all(|&byte| byte == FILL);
    well_formed.then(|| Zeroizing::new(digits.to_vec()))
}

/// Algorithm identifier of a key (SP 800-78-4, table 6-2).
fn algorithm(key: &Key) -> Option<u8> {
    match key.kind {
        KeyKind::RsaPrivate { bits: 2048 } => Some(0x07),
        KeyKind::EcPrivate(Curve::P256) => Some(0x11),
        KeyKind::EcPrivate(Curve::P384) => Some(0x14),
        _ => None,
    }
}

/// RSA takes a padded block as it is; an ECDSA signature is the DER of r and s.
fn sign(key: &PrivateKey, challenge: &[u8]) -> Result<Vec<u8>, CryptoError> {
    match key {
        PrivateKey::Rsa(_) => key.rsa_raw(challenge),
        _ => {
            let signature = key.sign_ecdsa(challenge)?;
            let (r, s) = signature.split_at(signature.len() / 2);
            let (r, s) = (integer(r), integer(s));
            Ok(tlv::encode(0x30, &[r, s].concat()))
        }
    }
}

/// DER of an unsigned number.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().position(|&byte| byte != 0).unwrap_or(bytes.len().saturating_sub(1));
    let mut number = bytes.get(start..).unwrap_or_default().to_vec();
    if number.first().is_some_and(|first| first & 0x80 != 0) {
        number.insert(0, 0);
    }
    tlv::encode(0x02, &number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_digits_filled_with_ff() {
        let read = |field: &[u8]| unfilled(field).map(|digits| digits.to_vec());
        assert_eq!(read(b"123456\xFF\xFF"), Some(b"123456".to_vec()));
        assert_eq!(read(b"12345678"), Some(b"12345678".to_vec()));
        for wrong in [&b"123456"[..], b"123456\xFF\x00", b"12a456\xFF\xFF", b"123456\xFF8", b"123456789"] {
            assert_eq!(read(wrong), None);
        }
    }

    #[test]
    fn numbers_have_no_needless_zeros_and_stay_positive() {
        assert_eq!(integer(&[0, 0, 0x7F]), [2, 1, 0x7F]);
        assert_eq!(integer(&[0, 0x80, 1]), [2, 3, 0, 0x80, 1]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }
}
