//! INTERNAL and EXTERNAL AUTHENTICATE (gemSpec_COS 14.7.4 and 14.7.1).

use super::apdu::Command;
use super::trust::CHALLENGE;
use super::{Card, Outcome, Sw};
use crate::crypto::{CryptoError, is_role_proven, sign_role};
use crate::layout::{Algorithm, Operation};
use crate::tlv;

/// elcRoleCheck.
const ROLE_CHECK: [u8; 1] = [0x00];
/// Bytes of the card's serial number in a token.
const NUMBER: usize = 8;

impl Card {
    pub(super) fn internal_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let selected = self.channel(command.channel())?.selected.authenticate;
        self.compute(command, selected, Operation::InternalAuthenticate, |key, algorithm| match algorithm {
            Algorithm::RsaClientAuthentication => key.sign_pkcs1(command.data),
            Algorithm::ElcRoleAuthentication => sign_role(key, command.data),
            _ => Err(CryptoError::WrongKind),
        })
    }

    /// MSE SET for EXTERNAL AUTHENTICATE: another card's key.
    pub(super) fn choose_external(&mut self, command: &Command<'_>) -> Outcome {
        let objects = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let reference = tlv::find(&objects, 0x83).ok_or(Sw::WRONG_DATA)?;
        let trust = &mut self.channel_mut(command.channel())?.trust;
        let key = trust.card(reference).ok_or(Sw::REFERENCE_NOT_FOUND)?.clone();
        if tlv::find(&objects, 0x80) != Some(&ROLE_CHECK) {
            return Err(Sw::NOT_SUPPORTED);
        }
        trust.external = Some(key);
        Ok(Sw::OK.into())
    }

    /// Another card proves its role by a signature over the challenge. Right or wrong, the challenge is used up.
    pub(super) fn external_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let today = self.image.today();
        let channel = self.channel_mut(command.channel())?;
        let key = channel.trust.external.clone().ok_or(Sw::CONDITIONS_OF_USE)?;
        let challenge = channel.trust.challenge.take().ok_or(Sw::CONDITIONS_OF_USE)?;
        let rules = key.anchor.anchor.as_ref().ok_or(Sw::KEY_INVALID)?;
        let channel = self.channel(command.channel())?;
        self.allowed(
            channel,
            key.anchor.folder,
            &rules.authentication_access,
            Operation::ExternalAuthenticate,
        )?;
        if key.expires < today {
            return Err(Sw::BLOCKED);
        }
        let number = hex::decode(self.image.iccsn()).unwrap_or_default();
        let own = number.get(number.len().saturating_sub(NUMBER)..).unwrap_or_default();
        let token = [&challenge as &[u8; CHALLENGE] as &[u8], own].concat();
        let proven = is_role_proven(&key.point, &token, command.data);
        let trust = &mut self.channel_mut(command.channel())?.trust;
        if proven {
            trust.grant(&key);
            Ok(Sw::OK.into())
        } else {
            trust.revoke(&key);
            Err(Sw::AUTHENTICATION_FAILED)
        }
    }

    /// DELETE and LOAD APPLICATION: every rule asks for a card management system's secure messaging.
    pub(super) fn never_allowed(&mut self, _: &Command<'_>) -> Outcome {
        Err(Sw::SECURITY_STATUS)
    }
}
