//! PERFORM SECURITY OPERATION: signatures and decipherment (gemSpec_COS 14.8).

use super::apdu::Command;
use super::{Card, Outcome, Sw};
use crate::crypto::{CryptoError, PrivateKey};
use crate::layout::{Algorithm, Key, Operation};

const COMPUTE_DIGITAL_SIGNATURE: u16 = 0x9E9A;
const DECIPHER: u16 = 0x8086;
const VERIFY_CERTIFICATE: u16 = 0x00BE;
const ENCIPHER: u16 = 0x8680;
const COMPUTE_CHECKSUM: u16 = 0x8E80;
const VERIFY_CHECKSUM: u16 = 0x00A2;

/// First byte of an RSA cryptogram.
const RSA_PADDING_INDICATOR: u8 = 0x00;

impl Card {
    pub(super) fn perform_security_operation(&mut self, command: &Command<'_>) -> Outcome {
        match command.parameters() {
            COMPUTE_DIGITAL_SIGNATURE => self.compute_signature(command),
            DECIPHER => self.decipher(command),
            VERIFY_CERTIFICATE => self.verify_certificate(command),
            ENCIPHER => self.encipher_for_channel(command),
            COMPUTE_CHECKSUM => self.compute_checksum(command),
            VERIFY_CHECKSUM => self.verify_checksum(command),
            _ => Err(Sw::NOT_SUPPORTED),
        }
    }

    fn compute_signature(&mut self, command: &Command<'_>) -> Outcome {
        self.expects_data(command)?;
        let selected = self.channel(command.channel())?.selected.sign;
        self.compute(command, selected, Operation::ComputeSignature, |key, algorithm| match algorithm {
            Algorithm::SignEcdsa => key.sign_ecdsa(command.data),
            Algorithm::SignPss => key.sign_pss(command.data),
            Algorithm::SignPkcs1 => key.sign_pkcs1(command.data),
            _ => Err(CryptoError::WrongKind),
        })
    }

    fn decipher(&mut self, command: &Command<'_>) -> Outcome {
        self.expects_data(command)?;
        let channel = self.channel(command.channel())?;
        let selected = channel.selected.decipher;
        if selected.is_none() && channel.sender.is_some() {
            return self.decipher_for_channel(command);
        }
        self.compute(command, selected, Operation::Decipher, |key, algorithm| {
            let plain = match algorithm {
                Algorithm::RsaDecipherOaep => match command.data.strip_prefix(&[RSA_PADDING_INDICATOR]) {
                    Some(cryptogram) => key.decipher_oaep(cryptogram),
                    None => Err(CryptoError::Cryptogram),
                },
                Algorithm::ElcSharedSecret => key.decipher_elc(command.data),
                _ => Err(CryptoError::WrongKind),
            };
            plain.map(|plain| plain.to_vec())
        })
    }

    /// Computes with a selected key: 6985 without one, 6982 if the rule does not hold, 6400 for a key object
    /// without value, 6A80 for data the key cannot take. A result counts as one use of the passwords in the rule.
    pub(super) fn compute(
        &mut self,
        command: &Command<'_>,
        selected: Option<(&'static Key, Algorithm)>,
        operation: Operation,
        with: impl FnOnce(&PrivateKey, Algorithm) -> Result<Vec<u8>, CryptoError>,
    ) -> Outcome {
        let (key, algorithm) = selected.ok_or(Sw::CONDITIONS_OF_USE)?;
        let channel = self.channel(command.channel())?;
        let passwords = self.allowed(channel, key.folder, &key.access, operation)?;
        let value = self.image.key(key).ok_or(Sw::KEY_INVALID)?;
        let result = with(value, algorithm)?;
        let reply = self.whole(command, result)?;
        self.use_passwords(command.channel(), key.folder, &passwords)?;
        if operation != Operation::Decipher {
            self.image.count_signature(key)?;
        }
        Ok(reply)
    }
}

impl From<CryptoError> for Sw {
    fn from(error: CryptoError) -> Sw {
        match error {
            CryptoError::InputLength { .. } | CryptoError::Cryptogram => Sw::WRONG_DATA,
            CryptoError::WrongKind | CryptoError::Damaged | CryptoError::Failed => Sw::KEY_INVALID,
        }
    }
}
