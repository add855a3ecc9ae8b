//! Key agreement: GENERAL AUTHENTICATE on a PIV card (NIST SP 800-73-4 part 2, appendix A.5), PSO DECIPHER on the Estonian
//! one, which has no public specification: what OpenSC and the programs of the Information System Authority send.
//!
//! What came out cannot be checked as a signature can, and need not be: the key reference means this key in this application
//! only, and with a wrong secret nothing opens. So what is thought to be selected on the basic channel is used, and the
//! application is selected anew only after a refusal.

use zeroize::Zeroizing;

use super::{CardError, Hpc, esteid, piv};
use crate::apdu::{Channel, Command, Response};
use crate::profile::{Application, Dialect, KeyKind};
use crate::public_key::is_point;
use crate::status::StatusWord;

impl Hpc {
    pub(super) fn agree_on_secret(
        &mut self,
        key_id: u8,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let key = self.keys.iter().find(|key| key.profile.id == key_id).ok_or(CardError::KeyMissing)?;
        let (application, key) = (key.application, key.profile);
        let (Some(algorithm), KeyKind::Ec(curve)) = (&key.agrees, key.kind) else {
            return Err(CardError::CannotAgree);
        };
        if !is_point(curve, point) {
            return Err(CardError::PointRefused { curve });
        }
        if !self.session(application)?.usable() {
            return Err(CardError::NotLoggedIn);
        }
        let commands = match self.profile.dialect {
            Dialect::Piv => vec![piv::agree(algorithm, key.reference, point)],
            Dialect::Esteid => esteid::agree(algorithm, key.reference, point),
            Dialect::Cos | Dialect::Beid | Dialect::Jpki => return Err(CardError::CannotAgree),
        };
        let answer = Zeroizing::new(self.section(|hpc| hpc.ask_for_secret(application, &commands))?.data);
        let secret = match self.profile.dialect {
            Dialect::Piv => Zeroizing::new(piv::secret(&answer).unwrap_or_default()),
            _ => answer,
        };
        let (expected, got) = (curve.field_len(), secret.len());
        if got == expected { Ok(secret) } else { Err(CardError::SecretLength { expected, got }) }
    }

    fn ask_for_secret(
        &mut self,
        application: Application,
        commands: &[Command],
    ) -> Result<Response, CardError> {
        // Whether a key that is chosen for signatures stays chosen is nowhere written.
        self.session(application)?.key = None;
        if self.session(application)?.may_be_selected() {
            let response = self.send_in_turn(commands, Channel::BASIC)?;
            if response.status.is_ok() {
                return Ok(response);
            }
        }
        let channel = self.reach(application)?;
        let response = self.send_in_turn(commands, channel)?;
        match response.status {
            StatusWord::OK => Ok(response),
            StatusWord::REFERENCE_NOT_FOUND => Err(CardError::KeyMissing),
            StatusWord::NOT_SUPPORTED => Err(CardError::CannotAgree),
            status => Err(self.refused(application, "key agreement", status)),
        }
    }

    /// Sends commands until one is refused; answers what was said last.
    fn send_in_turn(&mut self, commands: &[Command], channel: Channel) -> Result<Response, CardError> {
        let mut last = Response { data: Vec::new(), status: StatusWord::OK };
        for command in commands {
            last = self.send(&command.clone().on_channel(channel))?;
            if !last.status.is_ok() {
                break;
            }
        }
        Ok(last)
    }
}
