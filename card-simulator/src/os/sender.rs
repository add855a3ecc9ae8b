//! PERFORM SECURITY OPERATION with the keys of a trusted channel whose commands this card secures: ENCIPHER, DECIPHER,
//! COMPUTE and VERIFY CRYPTOGRAPHIC CHECKSUM (gemSpec_COS 14.8).

use super::apdu::Command;
use super::{Card, Outcome, Reply, Sw};
use crate::crypto::SenderKeys;
use crate::tlv::{self, DataObject};

impl Card {
    pub(super) fn encipher_for_channel(&mut self, command: &Command<'_>) -> Outcome {
        self.expects_data(command)?;
        let cryptogram = self.sender(command)?.encipher(command.data);
        self.whole(command, cryptogram)
    }

    pub(super) fn decipher_for_channel(&mut self, command: &Command<'_>) -> Outcome {
        self.expects_data(command)?;
        match self.sender(command)?.decipher(command.data) {
            Some(plain) => self.whole(command, plain.to_vec()),
            // The code was right and the cryptogram is not: the keys are good for nothing.
            None => self.end_sending(command),
        }
    }

    pub(super) fn compute_checksum(&mut self, command: &Command<'_>) -> Outcome {
        self.expects_data(command)?;
        let (counts, message) = match command.data.split_first() {
            Some((0, message)) => (false, message),
            Some((1, message)) => (true, message),
            _ => return Err(Sw::WRONG_DATA),
        };
        let code = self.sender(command)?.authenticate(counts, message);
        self.whole(command, code.to_vec())
    }

    pub(super) fn verify_checksum(&mut self, command: &Command<'_>) -> Outcome {
        let objects = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let [DataObject { tag: 0x80, value: message }, DataObject { tag: 0x8E, value: code }] =
            objects.as_slice()
        else {
            return Err(Sw::WRONG_DATA);
        };
        if self.sender(command)?.is_authentic(message, code) {
            Ok(Reply::from(Sw::OK))
        } else {
            self.end_sending(command)
        }
    }

    fn sender(&mut self, command: &Command<'_>) -> Result<&mut SenderKeys, Sw> {
        self.channel_mut(command.channel())?.sender.as_mut().ok_or(Sw::CONDITIONS_OF_USE)
    }

    fn end_sending(&mut self, command: &Command<'_>) -> Outcome {
        self.channel_mut(command.channel())?.sender = None;
        Err(Sw::WRONG_DATA)
    }
}
