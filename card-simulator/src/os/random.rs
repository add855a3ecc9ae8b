//! GET CHALLENGE and GET RANDOM (gemSpec_COS 14.9.3 and 14.9.5).

use super::apdu::Command;
use super::binary::no_data;
use super::trust::CHALLENGE;
use super::{Card, Outcome, Sw};
use crate::layout::Operation;

impl Card {
    /// GET CHALLENGE: 8 bytes (RSA, DES) or 16 (elliptic curves, AES).
    pub(super) fn challenge(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let channel = command.channel();
        self.channel_mut(channel)?.trust.challenge = None;
        match self.expects_data(command)? {
            8 => random_bytes(8),
            CHALLENGE => {
                let mut challenge = [0; CHALLENGE];
                getrandom::fill(&mut challenge).map_err(|_| Sw::MEMORY_FAILURE)?;
                self.channel_mut(channel)?.trust.challenge = Some(challenge);
                Ok(challenge.to_vec().into())
            }
            _ => Err(Sw::WRONG_LENGTH),
        }
    }

    /// GET RANDOM: as many bytes as asked for.
    pub(super) fn random(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let length = self.expects_data(command)?;
        let channel = self.channel(command.channel())?;
        self.allowed(channel, channel.folder.id, &channel.folder.access, Operation::GetRandom)?;
        random_bytes(length.min(RESPONSE_LIMIT))
    }
}

/// Data of the longest response: 65,535 bytes with the status word.
const RESPONSE_LIMIT: usize = 65_533;

fn random_bytes(length: usize) -> Outcome {
    let mut bytes = vec![0; length];
    getrandom::fill(&mut bytes).map_err(|_| Sw::MEMORY_FAILURE)?;
    Ok(bytes.into())
}
