//! INTERNAL AUTHENTICATE (gemSpec_COS 14.7.4).

use super::apdu::Command;
use super::{Card, Outcome, Sw};
use crate::crypto::CryptoError;
use crate::layout::{Algorithm, Operation};

impl Card {
    pub(super) fn internal_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let selected = self.channel(command.channel())?.selected.authenticate;
        self.compute(command, selected, Operation::InternalAuthenticate, |key, algorithm| match algorithm {
            Algorithm::RsaClientAuthentication => key.sign_pkcs1(command.data),
            _ => Err(CryptoError::WrongKind),
        })
    }

    /// DELETE and LOAD APPLICATION: every rule asks for a card management system's secure messaging.
    pub(super) fn never_allowed(&mut self, _: &Command<'_>) -> Outcome {
        Err(Sw::SECURITY_STATUS)
    }
}
