//! What a Belgian eID card does in its own way (Belgian eID Card Specifications): certificates by path, a number that a
//! command tells, a PIN for each signature directly before it, and so the key before the PIN.
//!
//! Everything is in one application and under one PIN. Selecting the master file by path makes sure of the applet and ends
//! no login; selecting the applet by its identifier does.

use super::commands::{self, KeyChoice};
use super::{CardError, Hpc};
use crate::apdu::{Command, Le};
use crate::file::{self, FileError, Length};
use crate::pin::Pin;
use crate::profile::{Application, ApplicationProfile, Dialect, PinProfile};
use crate::tlv;
use crate::transport::{Transport, TransportError};

const MASTER_FILE: [u8; 2] = [0x3F, 0x00];
/// Bytes that GET CARD DATA answers; the first sixteen are the number of the chip.
const CARD_DATA: u16 = 28;
const CHIP_NUMBER: usize = 16;

/// SELECT by path from the master file. The card answers nothing but its status.
pub(super) fn select(path: &[u8]) -> Command {
    Command::new(0x00, 0xA4, 0x08, 0x0C).data(path)
}

/// The number of the chip, 32 hexadecimal digits. The applet is selected.
pub(super) fn serial(transport: &mut dyn Transport) -> Result<Option<String>, TransportError> {
    let answer = transport.transmit(&Command::new(0x80, 0xE4, 0x00, 0x00).le(Le::Short(CARD_DATA)))?;
    let number = answer.data.get(..CHIP_NUMBER).filter(|_| answer.status.is_ok());
    Ok(number.map(hex::encode_upper))
}

/// A certificate by its path; empty if there is none.
pub(super) fn certificate(transport: &mut dyn Transport, path: &[u8]) -> Result<Vec<u8>, TransportError> {
    let status = transport.transmit(&select(path))?.status;
    if !status.is_ok() {
        tracing::debug!(%status, "no file");
        return Ok(Vec::new());
    }
    match file::read_current(transport, &mut Length::Short, tlv::total_len) {
        Ok(content) => Ok(content),
        Err(FileError::Transport(error)) => Err(error),
        Err(FileError::Status(status)) => {
            tracing::debug!(%status, "the file cannot be read");
            Ok(Vec::new())
        }
    }
}

/// MANAGE SECURITY ENVIRONMENT: the length of what follows, then algorithm and key.
pub(super) fn select_key(key: KeyChoice) -> Command {
    Command::new(0x00, 0x22, 0x41, 0xB6).data([0x04, 0x80, key.algorithm, 0x84, key.reference])
}

/// RESET RETRY COUNTER with the PUK; it sets no other PIN.
pub(super) fn unblock(profile: &PinProfile, puk: &Pin) -> Option<Vec<Command>> {
    let puk = puk.field(profile.format)?;
    Some(vec![Command::new(0x00, 0x2C, 0x00, profile.reference).data(puk.as_slice()).sensitive()])
}

/// LOG OFF.
fn log_off() -> Command {
    Command::new(0x80, 0xE6, 0x00, 0x00)
}

impl Hpc {
    /// Makes sure that the applet is the selected one.
    pub(super) fn reach_applet(&mut self, profile: &ApplicationProfile) -> Result<(), CardError> {
        if self.send(&select(&MASTER_FILE))?.status.is_ok() {
            return Ok(());
        }
        // Another program has left something else selected: no login outlives that.
        for session in &mut self.sessions {
            session.forget();
        }
        let status = self.send(&commands::select_application(Dialect::Beid, &profile.aid))?.status;
        if status.is_ok() { Ok(()) } else { Err(CardError::Status { command: "SELECT", status }) }
    }

    /// Chooses the key for signatures: between the PIN and the signature there is no time for it.
    pub(super) fn choose_key_before_pin(&mut self, application: Application) -> Result<(), CardError> {
        let key = self.keys.iter().find(|key| key.application == application).map(|key| key.profile);
        let Some((key, (_, algorithm))) = key.and_then(|key| Some((key, key.schemes.first()?))) else {
            return Ok(());
        };
        let choice = KeyChoice { reference: key.reference, algorithm: *algorithm };
        let status = self.send(&select_key(choice))?.status;
        if !status.is_ok() {
            return Err(CardError::Status { command: "MANAGE SECURITY ENVIRONMENT", status });
        }
        self.session(application)?.key = Some(choice);
        Ok(())
    }

    /// Both applications share one PIN: as long as the other one is logged in, only the right to the next signature ends,
    /// which any command takes away.
    pub(super) fn beid_farewell(&self, left: Application) -> Command {
        let other = self.sessions.iter().any(|session| session.application != left && session.logged_in);
        if other { select(&MASTER_FILE) } else { log_off() }
    }
}
