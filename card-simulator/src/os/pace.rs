//! GENERAL AUTHENTICATE: PACE (gemSpec_COS 14.7.2).

use super::apdu::Command;
use super::channel::{PaceRun, Secure};
use super::{Card, Outcome, Sw};
use crate::crypto::{CryptoError, Progress, Refusal, SecureChannel};
use crate::layout::Operation;
use crate::tlv;

const DYNAMIC_AUTHENTICATION: u16 = 0x7C;

impl Card {
    /// One step. Whatever goes wrong ends the protocol; MANAGE SECURITY ENVIRONMENT begins it anew.
    pub(super) fn general_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let run = self.channel_mut(command.channel())?.pace.take();
        let PaceRun { key, protocol } = run.ok_or(Sw::CONDITIONS_OF_USE)?;
        let channel = self.channel(command.channel())?;
        self.allowed(channel, key.folder, &key.access, Operation::GeneralAuthenticate)?;
        if protocol.is_at_last_step() == command.chained {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let outer = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let inner = tlv::find(&outer, DYNAMIC_AUTHENTICATION).and_then(tlv::parse).ok_or(Sw::WRONG_DATA)?;
        let mut random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(|_| CryptoError::Failed);
        let (answer, progress) = protocol.step(&inner, &mut random)?;
        let origin = key.reference.map(|reference| format!("{reference:02X}")).unwrap_or_default();
        let channel = self.channel_mut(command.channel())?;
        match progress {
            Progress::Next(protocol) => channel.pace = Some(PaceRun { key, protocol }),
            Progress::Done(keys) => {
                channel.secure = Some(Secure { channel: SecureChannel::new(keys), origin });
            }
        }
        self.whole(command, tlv::encode(DYNAMIC_AUTHENTICATION, &answer))
    }
}

impl From<Refusal> for Sw {
    fn from(refusal: Refusal) -> Sw {
        match refusal {
            Refusal::Order => Sw::CONDITIONS_OF_USE,
            Refusal::Data => Sw::WRONG_DATA,
            Refusal::Token => Sw::AUTHENTICATION_FAILED,
            Refusal::Failed => Sw::MEMORY_FAILURE,
        }
    }
}
