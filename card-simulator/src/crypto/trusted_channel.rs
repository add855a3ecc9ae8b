//! The card's side of a trusted channel between two cards: elcSessionkey4SM on brainpoolP256r1 (gemSpec_COS 6.6.3 and
//! 14.7.2.2), without commands.

use zeroize::Zeroizing;

use super::pace::{Random, Refusal};
use super::session_keys::{KeyLength, SessionKeys};
use super::{CryptoError, PrivateKey};

/// The protocol between its two commands.
pub(crate) struct TrustedChannel {
    ephemeral: PrivateKey,
    other: Vec<u8>,
}

impl TrustedChannel {
    /// Begins with the other card's public point; the ephemeral point to answer, and what comes after.
    pub(crate) fn begin(other: &[u8], random: Random<'_>) -> Result<(Vec<u8>, TrustedChannel), Refusal> {
        let ephemeral = loop {
            let mut number = Zeroizing::new([0; 32]);
            random(number.as_mut_slice())?;
            if let Ok(key) = ecdsa::SigningKey::from_slice(number.as_slice()) {
                break PrivateKey::Brainpool(Box::new(key));
            }
        };
        let point = ephemeral.point().ok_or(Refusal::Failed)?;
        Ok((point, TrustedChannel { ephemeral, other: other.to_vec() }))
    }

    /// Ends with the other card's ephemeral point and the card's own lasting key.
    pub(crate) fn finish(&self, own: &PrivateKey, ephemeral: &[u8]) -> Result<SessionKeys, Refusal> {
        let shared = |key: &PrivateKey, point: &[u8]| {
            key.shared_x(point).map_err(|error| match error {
                CryptoError::Cryptogram => Refusal::Data,
                _ => Refusal::Failed,
            })
        };
        let mut secret = shared(own, ephemeral)?;
        secret.extend_from_slice(&shared(&self.ephemeral, &self.other)?);
        Ok(SessionKeys::derive(KeyLength::Bits128, &secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        card_static: String,
        card_ephemeral: String,
        card_ephemeral_point: String,
        other_static_point: String,
        other_ephemeral_point: String,
        enc: String,
        mac: String,
    }

    #[test]
    fn both_shared_secrets_make_the_keys_of_the_vector() {
        let v: Vector = toml::from_str(include_str!("../../testdata/trusted-channel.toml")).unwrap();
        let bytes = |text: &str| hex::decode(text).unwrap();
        let own =
            PrivateKey::Brainpool(Box::new(ecdsa::SigningKey::from_slice(&bytes(&v.card_static)).unwrap()));
        let mut random = |buffer: &mut [u8]| {
            buffer.copy_from_slice(&bytes(&v.card_ephemeral));
            Ok(())
        };
        let begun = TrustedChannel::begin(&bytes(&v.other_static_point), &mut random);
        let (point, protocol) = begun.unwrap_or_else(|_| panic!("no channel"));
        assert_eq!(hex::encode_upper(point), v.card_ephemeral_point);
        let keys = protocol.finish(&own, &bytes(&v.other_ephemeral_point));
        let keys = keys.unwrap_or_else(|_| panic!("no keys"));
        assert_eq!(
            (hex::encode_upper(keys.enc.value()), hex::encode_upper(keys.mac.value())),
            (v.enc, v.mac)
        );
        let off_curve = [&[4u8][..], &[0x11; 64]].concat();
        assert_eq!(protocol.finish(&own, &off_curve).err(), Some(Refusal::Data));
    }
}
