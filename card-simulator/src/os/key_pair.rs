//! GENERATE ASYMMETRIC KEY PAIR: making a key, reading its public half (gemSpec_COS 14.9.4).

use super::apdu::Command;
use super::binary::no_data;
use super::{Card, Outcome, Sw};
use crate::crypto::PrivateKey;
use crate::layout::{Key, Operation};
use crate::tlv;

const READ: u8 = 0x81;
/// Only where the key has no value yet.
const GENERATE_AND_ANSWER: u8 = 0x80;
const GENERATE: u8 = 0x84;
/// Whatever value the key has is lost.
const REPLACE_AND_ANSWER: u8 = 0xC0;
const REPLACE: u8 = 0xC4;

impl Card {
    pub(super) fn generate_asymmetric_key_pair(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        let channel = self.channel(command.channel())?;
        let key = self.layout.key(channel.folder.id, command.p2).filter(|key| key.is_private());
        let key = key.ok_or(Sw::REFERENCE_NOT_FOUND)?;
        let answers = matches!(command.p1, GENERATE_AND_ANSWER | REPLACE_AND_ANSWER);
        if command.p1 == READ || answers {
            self.expects_data(command)?;
        }
        if command.p1 == READ {
            self.allowed(channel, key.folder, &key.access, Operation::ReadPublicKey)?;
            return self.public_key(command, key);
        }
        let replaces = match command.p1 {
            GENERATE | GENERATE_AND_ANSWER => false,
            REPLACE | REPLACE_AND_ANSWER => true,
            _ => return Err(Sw::WRONG_PARAMETERS),
        };
        self.allowed(channel, key.folder, &key.access, Operation::GenerateKey)?;
        if !replaces && self.image.key(key).is_some() {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let value = PrivateKey::generate(key.kind)?.ok_or(Sw::KEY_INVALID)?;
        self.image.store_key(key, value)?;
        if answers { self.public_key(command, key) } else { Ok(Sw::OK.into()) }
    }

    fn public_key(&self, command: &Command<'_>, key: &Key) -> Outcome {
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
