//! The card's side of PACE with ECDH, generic mapping and AES-128 on brainpoolP256r1 (BSI TR-03110 part 3, A.3; ICAO
//! Doc 9303 part 11, 4.4), without commands: data objects in, a data object out.

use aes::Aes128;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use bp256::r1::{AffinePoint, BrainpoolP256r1, ProjectivePoint};
use cmac::{Cmac, Mac};
use elliptic_curve::PublicKey;
use elliptic_curve::point::AffineCoordinates;
use elliptic_curve::sec1::ToSec1Point;
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::CryptoError;
use crate::tlv::{self, DataObject};

/// Value of the protocol's object identifier, 0.4.0.127.0.7.2.2.4.2.2.
pub(crate) const PROTOCOL: [u8; 10] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04, 0x02, 0x02];

type NonZeroScalar = elliptic_curve::NonZeroScalar<BrainpoolP256r1>;

/// Fills a buffer with random bytes.
pub(crate) type Random<'r> = &'r mut dyn FnMut(&mut [u8]) -> Result<(), CryptoError>;

/// Why the card ends the protocol.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// This is not the step that comes next.
    Order,
    /// Not the data object of this step, or a point that cannot be used.
    Data,
    /// The terminal does not know the password.
    Token,
    /// No random numbers.
    Failed,
}

impl From<CryptoError> for Refusal {
    fn from(_: CryptoError) -> Refusal {
        Refusal::Failed
    }
}

/// Keys of a secure channel.
#[derive(Clone)]
pub(crate) struct SessionKeys {
    pub(crate) enc: Zeroizing<[u8; 16]>,
    pub(crate) mac: Zeroizing<[u8; 16]>,
}

impl SessionKeys {
    /// Both keys from a shared secret.
    pub(crate) fn derive(secret: &[u8]) -> SessionKeys {
        SessionKeys { enc: derive(secret, 1), mac: derive(secret, 2) }
    }
}

/// What a step leads to.
pub(crate) enum Progress {
    /// The protocol goes on.
    Next(Pace),
    /// The terminal has proven its knowledge.
    Done(SessionKeys),
}

/// The protocol between two commands.
pub(crate) struct Pace {
    password: Zeroizing<[u8; 16]>,
    stage: Stage,
}

enum Stage {
    Chosen,
    NonceSent(bp256::Scalar),
    Mapped(ProjectivePoint),
    Agreed { keys: SessionKeys, own: Vec<u8>, terminal: Vec<u8> },
}

impl Pace {
    /// A password (the digits of a card access number) was chosen.
    pub(crate) fn new(password: &[u8]) -> Pace {
        Pace { password: derive(password, 3), stage: Stage::Chosen }
    }

    /// Whether the next step is the last.
    pub(crate) fn is_at_last_step(&self) -> bool {
        matches!(self.stage, Stage::Agreed { .. })
    }

    /// Takes the dynamic authentication data of a command; the data of the answer and what comes after.
    pub(crate) fn step(
        self,
        objects: &[DataObject<'_>],
        random: Random<'_>,
    ) -> Result<(Vec<u8>, Progress), Refusal> {
        let Pace { password, stage } = self;
        let next = |stage| Progress::Next(Pace { password: password.clone(), stage });
        match (stage, objects) {
            (Stage::Chosen, []) => {
                let (encrypted, nonce) = nonce(&password, random)?;
                Ok((tlv::encode(0x80, &encrypted), next(Stage::NonceSent(nonce))))
            }
            (Stage::NonceSent(nonce), [DataObject { tag: 0x81, value }]) => {
                let terminal = point(value)?;
                let secret = scalar(random)?;
                let own = (ProjectivePoint::GENERATOR * *secret).to_affine();
                let generator = ProjectivePoint::GENERATOR * nonce + terminal * *secret;
                Ok((tlv::encode(0x82, &encoded(&own)), next(Stage::Mapped(generator))))
            }
            (Stage::Mapped(generator), [DataObject { tag: 0x83, value }]) => {
                let terminal = point(value)?;
                let secret = scalar(random)?;
                let own = encoded(&(generator * *secret).to_affine());
                if own == *value {
                    return Err(Refusal::Data);
                }
                let keys = SessionKeys::derive(&(terminal * *secret).to_affine().x());
                let answer = tlv::encode(0x84, &own);
                Ok((answer, next(Stage::Agreed { keys, own, terminal: value.to_vec() })))
            }
            (Stage::Agreed { keys, own, terminal }, [DataObject { tag: 0x85, value }]) => {
                if !bool::from(token(&keys, &own).ct_eq(value)) {
                    return Err(Refusal::Token);
                }
                Ok((tlv::encode(0x86, &token(&keys, &terminal)), Progress::Done(keys)))
            }
            _ => Err(Refusal::Order),
        }
    }
}

/// A fresh nonce, encrypted with the key of the password, and as a number.
fn nonce(password: &[u8; 16], random: Random<'_>) -> Result<([u8; 16], bp256::Scalar), Refusal> {
    let mut nonce = Zeroizing::new([0; 16]);
    random(nonce.as_mut_slice())?;
    let mut block = Array::from(*nonce);
    Aes128::new(&Array::from(*password)).encrypt_block(&mut block);
    let number = bp256::Scalar::from(u128::from_be_bytes(*nonce));
    Ok((block.into(), number))
}

/// A random number that is neither zero nor too large.
fn scalar(random: Random<'_>) -> Result<NonZeroScalar, Refusal> {
    loop {
        let mut bytes = Zeroizing::new([0; 32]);
        random(bytes.as_mut_slice())?;
        if let Ok(number) = NonZeroScalar::try_from(bytes.as_slice()) {
            return Ok(number);
        }
    }
}

/// An uncompressed point on the curve.
fn point(bytes: &[u8]) -> Result<ProjectivePoint, Refusal> {
    let uncompressed = bytes.len() == 65 && bytes.first() == Some(&0x04);
    let key = PublicKey::<BrainpoolP256r1>::from_sec1_bytes(bytes).ok().filter(|_| uncompressed);
    key.map(|key| key.to_projective()).ok_or(Refusal::Data)
}

fn encoded(point: &AffinePoint) -> Vec<u8> {
    point.to_sec1_point(false).as_bytes().to_vec()
}

/// The authentication token over the other side's public key.
fn token(keys: &SessionKeys, public_key: &[u8]) -> [u8; 8] {
    let object = [tlv::encode(0x06, &PROTOCOL), tlv::encode(0x86, public_key)].concat();
    short_mac(&keys.mac, &tlv::encode(0x7F49, &object))
}

/// The first eight bytes of a CMAC.
pub(crate) fn short_mac(key: &[u8; 16], message: &[u8]) -> [u8; 8] {
    let mac =
        <Cmac<Aes128> as KeyInit>::new(&Array::from(*key)).chain_update(message).finalize().into_bytes();
    std::array::from_fn(|i| mac.get(i).copied().unwrap_or_default())
}

fn derive(secret: &[u8], counter: u8) -> Zeroizing<[u8; 16]> {
    let hash = Sha1::new().chain_update(secret).chain_update([0, 0, 0, counter]).finalize();
    Zeroizing::new(std::array::from_fn(|i| hash.get(i).copied().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Dialogue {
        can: Option<String>,
        password: Option<String>,
        nonce: String,
        card_map: String,
        card_agree: String,
        enc: String,
        mac: String,
        agreement: Vec<(String, String)>,
    }

    const ICAO: &str = include_str!("../../testdata/icao-9303-g1.toml");
    const OWN: &str = include_str!("../../testdata/both-sides.toml");

    /// The dynamic authentication data of a GENERAL AUTHENTICATE with extended lengths, or of an answer.
    fn inside(command: &[u8]) -> Vec<u8> {
        let data =
            if command[1] == 0x86 { &command[7..command.len() - 2] } else { &command[..command.len() - 2] };
        tlv::find(&tlv::parse(data).unwrap(), 0x7C).unwrap().to_vec()
    }

    /// Plays the card with the secrets of the dialogue; stops after this many steps with the refusal of a changed one.
    fn play(text: &str, change: Option<(usize, Vec<u8>)>) -> Result<SessionKeys, Refusal> {
        let dialogue: Dialogue = toml::from_str(text).unwrap();
        let password = match (dialogue.can, dialogue.password) {
            (Some(can), _) => can.into_bytes(),
            (None, password) => hex::decode(password.unwrap()).unwrap(),
        };
        let mut secrets = [dialogue.nonce, dialogue.card_map, dialogue.card_agree].into_iter();
        let mut random = |bytes: &mut [u8]| {
            bytes.copy_from_slice(&hex::decode(secrets.next().unwrap()).unwrap());
            Ok(())
        };
        let mut pace = Pace::new(&password);
        let steps = dialogue.agreement.iter().filter(|(command, _)| &command[2..4] == "86");
        for (number, (command, answer)) in steps.enumerate() {
            let mut data = inside(&hex::decode(command).unwrap());
            if let Some((_, changed)) = change.as_ref().filter(|(at, _)| *at == number) {
                data = changed.clone();
            }
            let (ours, progress) = pace.step(&tlv::parse(&data).unwrap(), &mut random)?;
            assert_eq!(
                hex::encode(ours),
                hex::encode(inside(&hex::decode(answer).unwrap())),
                "step {number}"
            );
            match progress {
                Progress::Next(next) => pace = next,
                Progress::Done(keys) => {
                    assert_eq!(hex::encode_upper(*keys.enc), dialogue.enc);
                    assert_eq!(hex::encode_upper(*keys.mac), dialogue.mac);
                    return Ok(keys);
                }
            }
        }
        panic!("the dialogue is too short");
    }

    #[test]
    fn the_published_dialogues_are_answered_to_the_last_byte() {
        for text in [ICAO, OWN] {
            assert!(play(text, None).is_ok());
        }
    }

    #[test]
    fn wrong_steps_points_and_tokens_are_refused() {
        let off_curve = |tag| tlv::encode(tag, &[&[4u8][..], &[0x11; 64]].concat());
        let cases = [
            (0, off_curve(0x81), Refusal::Order),
            (1, Vec::new(), Refusal::Order),
            (1, off_curve(0x81), Refusal::Data),
            (2, off_curve(0x83), Refusal::Data),
            (2, tlv::encode(0x85, &[0; 8]), Refusal::Order),
            (3, tlv::encode(0x85, &[0; 8]), Refusal::Token),
            (3, tlv::encode(0x85, &[]), Refusal::Token),
        ];
        for (step, data, refusal) in cases {
            assert_eq!(play(OWN, Some((step, data))).err(), Some(refusal), "step {step}");
        }
    }
}
