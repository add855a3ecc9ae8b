//! Deciphering: PSO DECIPHER (ISO/IEC 7816-8 clause 11.12, gemSpec_COS clause 14.8.3).
//!
//! The key is selected anew each time. A decipherment is rare, and what the confidentiality template holds is nothing a
//! signature depends on.

use zeroize::Zeroizing;

use super::commands::{self, KeyChoice};
use super::{CardError, Hpc};
use crate::profile::{DecipherScheme, KeyKind};
use crate::status::StatusWord;

/// The padding indicator before an RSA cryptogram (ISO/IEC 7816-4 table 30: no further indication).
const NO_INDICATION: u8 = 0x00;

impl Hpc {
    pub(super) fn open_cryptogram(
        &mut self,
        key_id: u8,
        scheme: DecipherScheme,
        cryptogram: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        let key = self.keys.iter().find(|key| key.profile.id == key_id).ok_or(CardError::KeyMissing)?;
        let (application, key) = (key.application, key.profile);
        let (_, algorithm) =
            key.deciphers.filter(|(known, _)| *known == scheme).ok_or(CardError::CannotDecipher)?;
        let data = command_data(key.kind, scheme, cryptogram)?;
        if !self.session(application)?.usable() {
            return Err(CardError::NotLoggedIn);
        }
        let choice = KeyChoice { reference: key.reference, algorithm };
        let response = self.section(|hpc| {
            let channel = hpc.reach(application)?;
            match hpc.send(&commands::set_decipher_key(choice).on_channel(channel))?.status {
                StatusWord::OK => {}
                StatusWord::REFERENCE_NOT_FOUND => return Err(CardError::KeyMissing),
                StatusWord::NOT_SUPPORTED => return Err(CardError::CannotDecipher),
                status => return Err(hpc.refused(application, "MANAGE SECURITY ENVIRONMENT", status)),
            }
            let response = hpc.send(&commands::decipher(data).on_channel(channel))?;
            match response.status {
                StatusWord::OK => Ok(response),
                StatusWord::WRONG_DATA => Err(CardError::CryptogramRefused),
                status => Err(hpc.refused(application, "PSO DECIPHER", status)),
            }
        })?;
        Ok(Zeroizing::new(response.data))
    }
}

fn command_data(kind: KeyKind, scheme: DecipherScheme, cryptogram: &[u8]) -> Result<Vec<u8>, CardError> {
    match (kind, scheme) {
        (KeyKind::Rsa { bits }, DecipherScheme::RsaOaepSha256) => {
            let expected = usize::from(bits) / 8;
            if cryptogram.len() != expected {
                return Err(CardError::InputLength { expected, got: cryptogram.len() });
            }
            Ok([&[NO_INDICATION], cryptogram].concat())
        }
        (KeyKind::Ec(_), DecipherScheme::Elc) if cryptogram.first() == Some(&0xA6) => Ok(cryptogram.to_vec()),
        (KeyKind::Ec(_), DecipherScheme::Elc) => Err(CardError::CryptogramRefused),
        _ => Err(CardError::CannotDecipher),
    }
}
