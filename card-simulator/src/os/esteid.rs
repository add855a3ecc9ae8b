//! The commands of the Estonian ID card of 2018 (IDEMIA applet), as programs for it use them.
//!
//! PIN1 and PUK belong to the master file, PIN2 to the signature application, where it allows one signature.

use super::apdu::Command;
use super::eid::unfilled;
use super::{Card, Handler, Outcome, Sw};
use crate::crypto::CryptoError;
use crate::layout::{Algorithm, Key, Secret};
use crate::tlv;

/// Length of a PIN or PUK field.
const FIELD: usize = 12;

const AUTHENTICATION: u8 = 0xA4;
const SIGNATURE: u8 = 0xB6;
const CONFIDENTIALITY: u8 = 0xB8;

/// PSO DECIPHER, by which these cards agree on keys.
const DECIPHER: u16 = 0x8086;
/// First byte of its data: nothing more is said about the padding.
const NO_INDICATION: u8 = 0x00;

/// The handler of an instruction.
pub(super) fn handler(ins: u8) -> Option<Handler> {
    Some(match ins {
        0x20 => Card::esteid_verify,
        0x22 => Card::esteid_set_key,
        0x24 => Card::esteid_change,
        0x2A => Card::esteid_operate,
        0x2C => Card::esteid_reset,
        0x88 => Card::esteid_authenticate,
        0xA4 => Card::eid_select,
        0xB0 => Card::read_binary,
        0xCB => Card::esteid_get_data,
        _ => return None,
    })
}

impl Card {
    fn esteid_verify(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0x00 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let password = self.eid_password(command)?;
        let [field] = fields(command.data)?;
        self.eid_verify(command, password, unfilled(field)?)
    }

    fn esteid_change(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0x00 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let password = self.eid_password(command)?;
        let [old, new] = fields(command.data)?;
        self.eid_change(command, password, [unfilled(old)?, unfilled(new)?])
    }

    /// The PUK is verified before.
    fn esteid_reset(&mut self, command: &Command<'_>) -> Outcome {
        let password = self.eid_password(command)?;
        match command.p1 {
            0x02 => {
                let [new] = fields(command.data)?;
                self.eid_reset(command, password, Some(unfilled(new)?))
            }
            0x03 if command.data.is_empty() => self.eid_reset(command, password, None),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    /// GET DATA: how many tries a secret has at most and at present.
    fn esteid_get_data(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0x3FFF {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let &[0x4D, 0x08, 0x70, 0x06, 0xBF, 0x81, number, 0x02, 0xA0, 0x80] = command.data else {
            return Err(Sw::WRONG_DATA);
        };
        let folder = self.channel(command.channel())?.folder.id;
        let reference = if folder == 0 { number } else { number | 0x80 };
        let password = self.layout.password(folder, reference).ok_or(Sw::REFERENCE_NOT_FOUND)?;
        let Secret::Own { tries, .. } = password.secret else { return Err(Sw::REFERENCE_NOT_FOUND) };
        const UNLIMITED_USES: [u8; 16] =
            [0x8C, 0x06, 0xF3, 0x00, 0x00, 0x73, 0x43, 0x00, 0x9C, 0x06, 0xF3, 0x00, 0x00, 0x73, 0x43, 0x00];
        let counters = [
            tlv::encode(0x9A, &[tries]),
            tlv::encode(0x9B, &[self.image.tries(password)]),
            tlv::encode(0xA1, &UNLIMITED_USES),
        ];
        let content = tlv::encode(0xA0, &counters.concat());
        let length = u8::try_from(content.len()).map_err(|_| Sw::MEMORY_FAILURE)?;
        Ok(tlv::encode(0x70, &[&[0xBF, 0x81, number, length], content.as_slice()].concat()).into())
    }

    /// MANAGE SECURITY ENVIRONMENT: a key of the current application and how it is used.
    fn esteid_set_key(&mut self, command: &Command<'_>) -> Outcome {
        if command.p1 != 0x41 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let objects = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let algorithm = tlv::find(&objects, 0x80).ok_or(Sw::WRONG_DATA)?;
        let Some(&[reference]) = tlv::find(&objects, 0x84) else { return Err(Sw::WRONG_DATA) };
        let layout = self.layout;
        let channel = self.channel_mut(command.channel())?;
        let key = layout.key(channel.folder.id, reference).filter(|key| key.folder == channel.folder.id);
        let key: &'static Key = key.ok_or(Sw::REFERENCE_NOT_FOUND)?;
        let signs = key.algorithms_in(1).contains(&Algorithm::SignEcdsa);
        match (command.p2, algorithm) {
            (AUTHENTICATION, [0x04] | [0xFF, 0x20, 0x08, 0x00]) if !signs => {
                channel.selected.authenticate = Some((key, Algorithm::SignEcdsa));
            }
            (SIGNATURE, [0x54] | [0xFF, 0x15, 0x08, 0x00]) if signs => {
                channel.selected.sign = Some((key, Algorithm::SignEcdsa));
            }
            (CONFIDENTIALITY, [0x0B] | [0xFF, 0x30, 0x04, 0x00]) if !signs => {
                channel.selected.decipher = Some((key, Algorithm::ElcSharedSecret));
            }
            (AUTHENTICATION | SIGNATURE | CONFIDENTIALITY, _) => return Err(Sw::NOT_SUPPORTED),
            _ => return Err(Sw::WRONG_PARAMETERS),
        }
        Ok(Sw::OK.into())
    }

    /// A signature, or the x-coordinate of the point that the authentication key and another one have in common.
    fn esteid_operate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != DECIPHER {
            return self.perform_security_operation(command);
        }
        self.expects_data(command)?;
        let selected = self.channel(command.channel())?.selected.decipher;
        self.compute(command, selected, crate::layout::Operation::Decipher, |key, _| {
            let point = command.data.strip_prefix(&[NO_INDICATION]).ok_or(CryptoError::Cryptogram)?;
            Ok(key.shared_x(point)?.to_vec())
        })
    }

    /// INTERNAL AUTHENTICATE over 48 bytes.
    fn esteid_authenticate(&mut self, command: &Command<'_>) -> Outcome {
        if command.parameters() != 0 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        self.expects_data(command)?;
        let selected = self.channel(command.channel())?.selected.authenticate;
        self.compute(command, selected, crate::layout::Operation::InternalAuthenticate, |key, _| {
            key.sign_ecdsa(command.data)
        })
    }
}

/// Exactly `N` fields, or 6700.
fn fields<const N: usize>(data: &[u8]) -> Result<[&[u8]; N], Sw> {
    let (fields, rest) = data.as_chunks::<FIELD>();
    let fields: Option<&[[u8; FIELD]; N]> = fields.try_into().ok().filter(|_| rest.is_empty());
    fields.map(|fields| fields.each_ref().map(<[u8; FIELD]>::as_slice)).ok_or(Sw::WRONG_LENGTH)
}
