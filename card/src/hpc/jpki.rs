//! What a Japanese individual number card does in its own way: PINs and keys are selected like files, and the certificate
//! for signatures can be read after its PIN only.
//!
//! Selecting the application again may end what was verified, so that a login counts as over when this driver does.

use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::commands::KeyChoice;
use super::{CardError, Hpc};
use crate::apdu::{Command, Le};
use crate::file::{self, FileError, Length};
use crate::pin::Pin;
use crate::profile::{Application, ApplicationProfile, PinProfile};
use crate::tlv;
use crate::transport::{Transport, TransportError};

/// File identifier of the certificate for authentication.
const AUTHENTICATION_CERTIFICATE: u16 = 0x000A;
/// P2 of the PIN commands: the PIN that is selected.
const SELECTED: u8 = 0x80;

/// SELECT of a file, PIN or key in the application.
pub(super) fn select_file(fid: u16) -> Command {
    Command::new(0x00, 0xA4, 0x02, 0x0C).data(fid.to_be_bytes())
}

/// The serial number of the certificate for authentication: the card tells no number of its own.
pub(super) fn serial(transport: &mut dyn Transport) -> Result<Option<String>, TransportError> {
    let certificate = certificate(transport, AUTHENTICATION_CERTIFICATE)?;
    let certificate = Certificate::from_der(&certificate).ok();
    Ok(certificate
        .map(|certificate| hex::encode_upper(certificate.tbs_certificate().serial_number().as_bytes())))
}

/// A certificate of the application that is selected; empty if there is none, or none to be read now.
pub(super) fn certificate(transport: &mut dyn Transport, fid: u16) -> Result<Vec<u8>, TransportError> {
    let status = transport.transmit(&select_file(fid))?.status;
    if !status.is_ok() {
        tracing::debug!(%status, fid, "no file");
        return Ok(Vec::new());
    }
    match file::read_current(transport, &mut Length::Short, tlv::total_len) {
        Ok(content) => Ok(content),
        Err(FileError::Transport(error)) => Err(error),
        Err(FileError::Status(status)) => {
            tracing::debug!(%status, fid, "the file cannot be read");
            Ok(Vec::new())
        }
    }
}

/// VERIFY without data: the tries of the PIN that is selected, whether it was entered or not.
pub(super) fn pin_status() -> Command {
    Command::new(0x00, 0x20, 0x00, SELECTED)
}

/// VERIFY of the PIN that is selected.
pub(super) fn verify(profile: &PinProfile, pin: &Pin) -> Option<Command> {
    let field = pin.field(profile.format)?;
    Some(Command::new(0x00, 0x20, 0x00, SELECTED).data(field.as_slice()).sensitive())
}

/// The old PIN is verified, then the new one stored.
pub(super) fn change(profile: &PinProfile, (old, new): (&Pin, &Pin)) -> Option<Vec<Command>> {
    let field = new.field(profile.format)?;
    let store = Command::new(0x00, 0x24, 0x01, SELECTED).data(field.as_slice()).sensitive();
    Some(vec![verify(profile, old)?, store])
}

/// A key is chosen by selecting it.
pub(super) fn select_key(key: KeyChoice) -> Command {
    select_file(key.reference.into())
}

/// The signature over a DigestInfo, which the card pads.
pub(super) fn sign(digest_info: &[u8]) -> Command {
    Command::new(0x80, 0x2A, 0x00, 0x80).data(digest_info).le(Le::SHORT_WILDCARD)
}

impl Hpc {
    /// Selects the PIN of an application, after which the PIN commands are about it.
    pub(super) fn select_pin(&mut self, profile: &ApplicationProfile) -> Result<(), CardError> {
        let status = self.send(&select_file(profile.pin.reference.into()))?.status;
        if status.is_ok() { Ok(()) } else { Err(CardError::Status { command: "SELECT", status }) }
    }

    /// After a login: reads the certificates that could not be read before. One that cannot be read now costs its key only.
    pub(super) fn read_behind_pin(&mut self, application: Application) -> Result<(), CardError> {
        let Some(profile) = self.profile.application(application) else { return Ok(()) };
        for key in profile.keys.iter().filter(|key| key.certificate_behind_pin) {
            if self.keys.iter().any(|known| known.profile.id == key.id) {
                continue;
            }
            let read = certificate(&mut *self.transport, key.certificate_fid);
            let file = read.map_err(|error| self.lost(error))?;
            self.keys.extend(super::open::card_key(application, key, &file));
        }
        Ok(())
    }
}
