//! A trusted channel between two cards: elcSessionkey4SM and elcSessionkey4TC on brainpoolP256r1 (gemSpec_COS 6.6.3 and
//! 14.7.2.2), without commands.

use zeroize::Zeroizing;

use super::pace::{Random, Refusal};
use super::session_keys::{KeyLength, SessionKeys};
use super::{CryptoError, PrivateKey};

/// Which end of the channel a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Commands come to it secured (elcSessionkey4SM).
    Receiver,
    /// It secures commands to another card (elcSessionkey4TC).
    Sender,
}

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
    pub(crate) fn finish(
        &self,
        end: End,
        own: &PrivateKey,
        ephemeral: &[u8],
    ) -> Result<SessionKeys, Refusal> {
        let shared = |key: &PrivateKey, point: &[u8]| {
            key.shared_x(point).map_err(|error| match error {
                CryptoError::Cryptogram => Refusal::Data,
                _ => Refusal::Failed,
            })
        };
        let lasting = shared(own, ephemeral)?;
        let fresh = shared(&self.ephemeral, &self.other)?;
        // The sender's ephemeral key with the receiver's lasting one comes first.
        let secret = Zeroizing::new(match end {
            End::Receiver => [lasting.as_slice(), &fresh].concat(),
            End::Sender => [fresh.as_slice(), &lasting].concat(),
        });
        Ok(SessionKeys::derive(KeyLength::Bits128, &secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        card_static: String,
        card_static_point: String,
        card_ephemeral: String,
        card_ephemeral_point: String,
        other_static: String,
        other_static_point: String,
        other_ephemeral: String,
        other_ephemeral_point: String,
        enc: String,
        mac: String,
    }

    fn vector() -> Vector {
        toml::from_str(include_str!("../../testdata/trusted-channel.toml")).unwrap()
    }

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    /// One end of the channel: its own secrets, the other's points.
    fn play(end: End, own: [&str; 2], own_point: &str, other: [&str; 2]) -> (String, String) {
        let [lasting, fresh] = own.map(bytes);
        let own = PrivateKey::Brainpool(Box::new(ecdsa::SigningKey::from_slice(&lasting).unwrap()));
        let mut random = |buffer: &mut [u8]| {
            buffer.copy_from_slice(&fresh);
            Ok(())
        };
        let [other_lasting, other_fresh] = other.map(bytes);
        let begun = TrustedChannel::begin(&other_lasting, &mut random);
        let (point, protocol) = begun.unwrap_or_else(|_| panic!("no channel"));
        assert_eq!(hex::encode_upper(point), own_point);
        let off_curve = [&[4u8][..], &[0x11; 64]].concat();
        assert_eq!(protocol.finish(end, &own, &off_curve).err(), Some(Refusal::Data));
        let keys = protocol.finish(end, &own, &other_fresh).unwrap_or_else(|_| panic!("no keys"));
        (hex::encode_upper(keys.enc.value()), hex::encode_upper(keys.mac.value()))
    }

    #[test]
    fn both_ends_agree_on_the_keys_of_the_vector() {
        let v = vector();
        let receiver = play(
            End::Receiver,
            [&v.card_static, &v.card_ephemeral],
            &v.card_ephemeral_point,
            [&v.other_static_point, &v.other_ephemeral_point],
        );
        let sender = play(
            End::Sender,
            [&v.other_static, &v.other_ephemeral],
            &v.other_ephemeral_point,
            [&v.card_static_point, &v.card_ephemeral_point],
        );
        assert_eq!(receiver, (v.enc, v.mac));
        assert_eq!(sender, receiver);
    }
}
