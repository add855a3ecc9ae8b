//! GENERATE ASYMMETRIC KEY PAIR, of which only reading the public key is simulated (gemSpec_COS 14.9.4).

use super::apdu::Command;
use super::binary::no_data;
use super::{Card, Outcome, Sw};
use crate::layout::Operation;
use crate::tlv;

const READ_PUBLIC_KEY: u8 = 0x81;

impl Card {
    pub(super) fn generate_asymmetric_key_pair(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        let channel = self.channel(command.channel())?;
        let key = self.layout.key(channel.folder.id, command.p2).filter(|key| key.is_private());
        let key = key.ok_or(Sw::REFERENCE_NOT_FOUND)?;
        match command.p1 {
            READ_PUBLIC_KEY => self.expects_data(command)?,
            0x80 | 0x84 | 0xC0 | 0xC4 => {
                self.allowed(channel, key.folder, &key.access, Operation::GenerateKey)?;
                return Err(Sw::NOT_SUPPORTED);
            }
            _ => return Err(Sw::WRONG_PARAMETERS),
        };
        self.allowed(channel, key.folder, &key.access, Operation::ReadPublicKey)?;
        let value = self.image.key(key).ok_or(Sw::KEY_INVALID)?;
        let public = match (value.point(), value.modulus_and_exponent()) {
            (Some(point), _) => tlv::encode(0x86, &point),
            (None, Some((modulus, exponent))) => {
                [tlv::encode(0x81, &modulus), tlv::encode(0x82, &exponent)].concat()
            }
            (None, None) => return Err(Sw::KEY_INVALID),
        };
        self.whole(command, tlv::encode(0x7F49, &public))
    }
}
