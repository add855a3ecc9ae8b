//! What an Estonian ID card of 2018 does in its own way: certificates by path, tries by GET DATA, two kinds of signature,
//! and a PUK that is verified before a PIN is set.
//!
//! Selecting an application by its identifier may end what was verified in another one, so that a login counts as over
//! when this driver selects something else.

use super::commands::KeyChoice;
use super::open::select_home;
use super::session::Place;
use super::{CardError, Hpc};
use crate::apdu::{Channel, Command, Le, Response};
use crate::file::{self, FileError, Length};
use crate::pin::{Pin, PinStatus};
use crate::profile::{ApplicationProfile, PinProfile, Profile};
use crate::tlv::{self, Tlv};
use crate::transport::{Transport, TransportError};

/// Reference of the PUK.
const PUK: u8 = 0x02;
/// The algorithm of the authentication key, which signs by INTERNAL AUTHENTICATE.
const AUTHENTICATION: u8 = 0x04;
/// Number of the document, an OCTET STRING in the master file.
const DOCUMENT_NUMBER: [u8; 2] = [0xD0, 0x03];

/// The document's number; `None` if the card holds none. The main application is selected.
pub(super) fn serial(transport: &mut dyn Transport) -> Result<Option<String>, TransportError> {
    let content = read(transport, &DOCUMENT_NUMBER)?;
    let number = Tlv::find(&content, 0x04).ok().and_then(|number| std::str::from_utf8(number).ok());
    let valid = |number: &&str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Ok(number.filter(valid).map(str::to_owned))
}

/// A certificate file by its path from the main application, which is selected first; empty if there is none.
pub(super) fn certificate(
    transport: &mut dyn Transport,
    profile: &Profile,
    path: &[u8],
) -> Result<Vec<u8>, TransportError> {
    transport.transmit(&select_home(profile))?;
    read(transport, path)
}

/// A file by its path from here; empty if there is none, or if it may not be read.
fn read(transport: &mut dyn Transport, path: &[u8]) -> Result<Vec<u8>, TransportError> {
    let select = Command::new(0x00, 0xA4, 0x09, 0x04).data(path).le(Le::SHORT_WILDCARD);
    let answer = transport.transmit(&select)?;
    if !answer.status.is_ok() {
        tracing::debug!(status = %answer.status, "no file");
        return Ok(Vec::new());
    }
    let size = Tlv::find(&answer.data, 0x62).and_then(|fcp| Tlv::find(fcp, 0x80));
    let size = size.ok().and_then(|size| size.try_into().ok()).map(u16::from_be_bytes).map(usize::from);
    match file::read_current(transport, &mut Length::Short, |read| size.or_else(|| tlv::total_len(read))) {
        Ok(content) => Ok(content),
        Err(FileError::Transport(error)) => Err(error),
        Err(FileError::Status(status)) => {
            tracing::debug!(%status, "the file cannot be read");
            Ok(Vec::new())
        }
    }
}

/// MANAGE SECURITY ENVIRONMENT for one of the two keys.
pub(super) fn select_key(key: KeyChoice) -> Command {
    let template = if key.algorithm == AUTHENTICATION { 0xA4 } else { 0xB6 };
    Command::new(0x00, 0x22, 0x41, template).data([0x80, 0x01, key.algorithm, 0x84, 0x01, key.reference])
}

/// INTERNAL AUTHENTICATE or PSO COMPUTE DIGITAL SIGNATURE.
pub(super) fn sign(key: KeyChoice, digest: &[u8]) -> Command {
    let command = match key.algorithm {
        AUTHENTICATION => Command::new(0x00, 0x88, 0x00, 0x00),
        _ => Command::new(0x00, 0x2A, 0x9E, 0x9A),
    };
    command.data(digest).le(Le::SHORT_WILDCARD)
}

/// MANAGE SECURITY ENVIRONMENT and PSO DECIPHER with the other side's point behind a padding indicator (ISO/IEC 7816-4 table
/// 30: no further indication). Not traced: the answer is the secret.
pub(super) fn agree(algorithm: &[u8], reference: u8, point: &[u8]) -> Vec<Command> {
    const NO_INDICATION: u8 = 0x00;
    let template = [tlv::encode(0x80, algorithm), tlv::encode(0x84, &[reference])].concat();
    let decipher = Command::new(0x00, 0x2A, 0x80, 0x86).data([&[NO_INDICATION], point].concat());
    vec![Command::new(0x00, 0x22, 0x41, 0xB8).data(template), decipher.le(Le::SHORT_WILDCARD).sensitive()]
}

/// VERIFY of the PUK, then RESET RETRY COUNTER with or without a new PIN.
pub(super) fn unblock(profile: &PinProfile, puk: &Pin, new: Option<&Pin>) -> Option<Vec<Command>> {
    let puk = puk.field(profile.format)?;
    let verify = Command::new(0x00, 0x20, 0x00, PUK).data(puk.as_slice()).sensitive();
    let reset = match new {
        Some(new) => Command::new(0x00, 0x2C, 0x02, profile.reference)
            .data(new.field(profile.format)?.as_slice())
            .sensitive(),
        None => Command::new(0x00, 0x2C, 0x03, profile.reference),
    };
    Some(vec![verify, reset])
}

impl Hpc {
    /// Asks for the tries of a PIN, where the card answers that. It never tells whether the PIN was entered: as long as a
    /// login is in force nothing is asked, because the question would end it.
    pub(super) fn ask_tries(
        &mut self,
        profile: &'static ApplicationProfile,
    ) -> Result<(Channel, PinStatus), CardError> {
        if self.session(profile.application)?.logged_in {
            return Ok((Channel::BASIC, PinStatus::Verified));
        }
        if profile.pin.is_global() {
            self.leave_shared_channel();
            self.send(&select_home(self.profile))?;
        } else {
            self.select_shared(profile)?;
        }
        let answer = self.send(&pin_attributes(profile.pin.reference))?;
        let status = tries(&answer).map_or(PinStatus::Unknown, |tries| match tries {
            0 => PinStatus::Blocked,
            tries => PinStatus::NotVerified { tries },
        });
        let session = self.session(profile.application)?;
        session.pin = status;
        session.place = Place::Shared;
        Ok((Channel::BASIC, status))
    }
}

/// GET DATA: the attributes of a secret.
pub(super) fn pin_attributes(reference: u8) -> Command {
    let list = [0x4D, 0x08, 0x70, 0x06, 0xBF, 0x81, reference & 0x0F, 0x02, 0xA0, 0x80];
    Command::new(0x00, 0xCB, 0x3F, 0xFF).data(list).le(Le::SHORT_WILDCARD)
}

/// Tries left, data object 9B.
fn tries(answer: &Response) -> Option<u8> {
    let attributes = Tlv::find(&answer.data, 0x70).ok()?;
    let (secret, _) = Tlv::split_first(attributes).ok()?;
    match Tlv::find(Tlv::find(secret.value, 0xA0).ok()?, 0x9B).ok()? {
        [tries] => Some(*tries),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::status::StatusWord;

    /// Sent to a real card, as published with libelectronic-id; its answer verifies with its certificate.
    const DIGEST: [u8; 48] = hex!(
        "86255FA2C36E4B30969EAE17DC34C772CBEBDFC58B58403900BE87614EB1A34B8780263F255EB5E65CA9BBB8641CCCFE"
    );

    fn encoded(command: &Command) -> String {
        hex::encode_upper(command.encode().unwrap().as_slice())
    }

    #[test]
    fn both_keys_are_used_as_the_published_programs_do() {
        let digest = hex::encode_upper(DIGEST);
        let key = KeyChoice { reference: 0x81, algorithm: 0x04 };
        assert_eq!(encoded(&select_key(key)), "002241A406800104840181");
        assert_eq!(encoded(&sign(key, &DIGEST)), format!("0088000030{digest}00"));
        let key = KeyChoice { reference: 0x9F, algorithm: 0x54 };
        assert_eq!(encoded(&select_key(key)), "002241B60680015484019F");
        assert_eq!(encoded(&sign(key, &DIGEST)), format!("002A9E9A30{digest}00"));
    }

    #[test]
    fn a_secret_is_asked_for_as_the_published_programs_do() {
        let commands = agree(&hex!("FF300400"), 0x81, &[0x04; 97]);
        let point = "04".repeat(97);
        let expected = ["002241B8098004FF300400840181".to_owned(), format!("002A80866200{point}00")];
        assert_eq!(commands.iter().map(encoded).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn tries_are_read_from_the_attributes_of_a_real_card() {
        assert_eq!(encoded(&pin_attributes(0x85)), "00CB3FFF0A4D087006BF810502A08000");
        let data = hex!("701EBF81011AA0189A01039B0102A1108C06F300007343009C06F30000734300").to_vec();
        assert_eq!(tries(&Response { data: data.clone(), status: StatusWord::OK }), Some(2));
        for cut in 0..data.len() {
            let data = data.get(..cut).unwrap().to_vec();
            assert_eq!(tries(&Response { data, status: StatusWord::OK }), None, "cut at {cut}");
        }
    }
}
