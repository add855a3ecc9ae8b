//! The card's side of PACE with ECDH and generic mapping (BSI TR-03110 part 3, A.3; ICAO Doc 9303 part 11, 4.4), without
//! commands: data objects in, a data object out.

use bp256::BrainpoolP256r1;
use bp384::BrainpoolP384r1;
use elliptic_curve::group::Group;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytesSize, NonZeroScalar, ProjectivePoint, PublicKey, Scalar,
};
use p256::NistP256;
use p384::NistP384;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::CryptoError;
use super::session_keys::{AesKey, BLOCK, KeyLength, SessionKeys};
use crate::tlv::{self, DataObject};

/// What all protocols of this kind begin with, 0.4.0.127.0.7.2.2.4.2; one number more tells the length of the keys.
const PROTOCOLS: [u8; 9] = [0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04, 0x02];

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

/// A way of PACE that a card offers: an entry of its EF.CardAccess.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PaceOffer {
    /// Value of the protocol's object identifier.
    pub(crate) protocol: Vec<u8>,
    /// Number of the curve (BSI TR-03110 part 3, A.2.1.1).
    pub(crate) parameters: u8,
}

impl PaceOffer {
    /// The entries of EF.CardAccess that this card can do.
    pub(crate) fn of(card_access: &[u8]) -> Vec<PaceOffer> {
        let infos = tlv::parse(card_access).and_then(|all| tlv::find(&all, 0x31).and_then(tlv::parse));
        let info = |object: &DataObject<'_>| match tlv::parse(object.value)?.as_slice() {
            [
                DataObject { tag: 0x06, value: protocol },
                DataObject { tag: 0x02, .. },
                DataObject { tag: 0x02, value: [parameters] },
            ] => Some(PaceOffer { protocol: protocol.to_vec(), parameters: *parameters }),
            _ => None,
        };
        let offers = infos.unwrap_or_default();
        offers.iter().filter_map(info).filter(|offer| offer.key_length().is_some()).collect()
    }

    fn key_length(&self) -> Option<KeyLength> {
        match self.protocol.strip_prefix(&PROTOCOLS)? {
            [2] => Some(KeyLength::Bits128),
            [3] => Some(KeyLength::Bits192),
            [4] => Some(KeyLength::Bits256),
            _ => None,
        }
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
pub(crate) struct Pace(Box<dyn Steps>);

trait Steps: Send {
    fn is_at_last_step(&self) -> bool;
    fn step(
        self: Box<Self>,
        objects: &[DataObject<'_>],
        random: Random<'_>,
    ) -> Result<(Vec<u8>, Progress), Refusal>;
}

impl Pace {
    /// A password (the digits of a card access number) and a protocol were chosen. `None` for a curve the card does not have.
    pub(crate) fn new(password: &[u8], offer: &PaceOffer) -> Option<Pace> {
        let length = offer.key_length()?;
        let common = Common {
            length,
            protocol: offer.protocol.clone(),
            password: AesKey::derive(length, password, 3),
        };
        Some(Pace(match offer.parameters {
            12 => Box::new(Run::<NistP256> { common, stage: Stage::Chosen }),
            13 => Box::new(Run::<BrainpoolP256r1> { common, stage: Stage::Chosen }),
            15 => Box::new(Run::<NistP384> { common, stage: Stage::Chosen }),
            16 => Box::new(Run::<BrainpoolP384r1> { common, stage: Stage::Chosen }),
            _ => return None,
        }))
    }

    /// Whether the next step is the last.
    pub(crate) fn is_at_last_step(&self) -> bool {
        self.0.is_at_last_step()
    }

    /// Takes the dynamic authentication data of a command; the data of the answer and what comes after.
    pub(crate) fn step(
        self,
        objects: &[DataObject<'_>],
        random: Random<'_>,
    ) -> Result<(Vec<u8>, Progress), Refusal> {
        self.0.step(objects, random)
    }
}

/// What does not depend on the curve.
struct Common {
    length: KeyLength,
    protocol: Vec<u8>,
    password: AesKey,
}

struct Run<C: CurveArithmetic> {
    common: Common,
    stage: Stage<C>,
}

enum Stage<C: CurveArithmetic> {
    Chosen,
    NonceSent(Scalar<C>),
    Mapped(ProjectivePoint<C>),
    Agreed { keys: SessionKeys, own: Vec<u8>, terminal: Vec<u8> },
}

impl<C> Steps for Run<C>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn is_at_last_step(&self) -> bool {
        matches!(self.stage, Stage::Agreed { .. })
    }

    fn step(
        self: Box<Self>,
        objects: &[DataObject<'_>],
        random: Random<'_>,
    ) -> Result<(Vec<u8>, Progress), Refusal> {
        let Run { common, stage } = *self;
        let (answer, stage) = match (stage, objects) {
            (Stage::Chosen, []) => {
                let (encrypted, nonce) = common.nonce::<C>(random)?;
                (tlv::encode(0x80, &encrypted), Stage::NonceSent(nonce))
            }
            (Stage::NonceSent(nonce), [DataObject { tag: 0x81, value }]) => {
                let terminal = point::<C>(value)?;
                let secret = scalar::<C>(random)?;
                let own = encoded::<C>(ProjectivePoint::<C>::generator() * *secret);
                let generator = ProjectivePoint::<C>::generator() * nonce + terminal * *secret;
                (tlv::encode(0x82, &own), Stage::Mapped(generator))
            }
            (Stage::Mapped(generator), [DataObject { tag: 0x83, value }]) => {
                let terminal = point::<C>(value)?;
                let secret = scalar::<C>(random)?;
                let own = encoded::<C>(generator * *secret);
                if own == *value {
                    return Err(Refusal::Data);
                }
                let shared = Zeroizing::new(encoded::<C>(terminal * *secret));
                let x = shared.get(1..=shared.len() / 2).ok_or(Refusal::Data)?;
                let keys = SessionKeys::derive(common.length, x);
                (tlv::encode(0x84, &own), Stage::Agreed { keys, own, terminal: value.to_vec() })
            }
            (Stage::Agreed { keys, own, terminal }, [DataObject { tag: 0x85, value }]) => {
                if !bool::from(common.token(&keys, &own).ct_eq(value)) {
                    return Err(Refusal::Token);
                }
                return Ok((tlv::encode(0x86, &common.token(&keys, &terminal)), Progress::Done(keys)));
            }
            _ => return Err(Refusal::Order),
        };
        Ok((answer, Progress::Next(Pace(Box::new(Run::<C> { common, stage })))))
    }
}

impl Common {
    /// A fresh nonce of one block, encrypted with the key of the password, and as a number.
    fn nonce<C: CurveArithmetic>(&self, random: Random<'_>) -> Result<([u8; BLOCK], Scalar<C>), Refusal> {
        let mut nonce = Zeroizing::new([0; BLOCK]);
        random(nonce.as_mut_slice())?;
        let (high, low) = nonce.split_at(BLOCK / 2);
        let number = |half: &[u8]| half.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let half = Scalar::<C>::from(1 << 32);
        let number = Scalar::<C>::from(number(high)) * half * half + Scalar::<C>::from(number(low));
        Ok((self.password.encipher_block(*nonce), number))
    }

    /// The authentication token over the other side's public key.
    fn token(&self, keys: &SessionKeys, public_key: &[u8]) -> [u8; 8] {
        let object = [tlv::encode(0x06, &self.protocol), tlv::encode(0x86, public_key)].concat();
        keys.mac.mac(&tlv::encode(0x7F49, &object))
    }
}

/// A random number that is neither zero nor too large.
fn scalar<C: CurveArithmetic>(random: Random<'_>) -> Result<NonZeroScalar<C>, Refusal> {
    let mut bytes = Zeroizing::new(elliptic_curve::FieldBytes::<C>::default());
    loop {
        random(&mut bytes)?;
        if let Ok(number) = NonZeroScalar::<C>::try_from(&bytes[..]) {
            return Ok(number);
        }
    }
}

/// An uncompressed point on the curve.
fn point<C>(bytes: &[u8]) -> Result<ProjectivePoint<C>, Refusal>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let is_uncompressed = bytes.first() == Some(&0x04);
    let key = PublicKey::<C>::from_sec1_bytes(bytes).ok().filter(|_| is_uncompressed);
    key.map(|key| key.to_projective()).ok_or(Refusal::Data)
}

fn encoded<C>(point: ProjectivePoint<C>) -> Vec<u8>
where
    C: CurveArithmetic,
    AffinePoint<C>: ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let point: AffinePoint<C> = point.into();
    point.to_sec1_point(false).as_bytes().to_vec()
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

    const CARD_ACCESS: &str = "31143012060A04007F0007020204020202010202010D";

    fn german() -> PaceOffer {
        PaceOffer::of(&hex::decode(CARD_ACCESS).unwrap()).pop().unwrap()
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
        let mut pace = Pace::new(&password, &german()).unwrap();
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
                    assert_eq!(hex::encode_upper(keys.enc.value()), dialogue.enc);
                    assert_eq!(hex::encode_upper(keys.mac.value()), dialogue.mac);
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

    #[test]
    fn offers_are_those_of_the_file_that_the_card_can_do() {
        let offers = |text: &str| PaceOffer::of(&hex::decode(text).unwrap());
        assert_eq!(offers(CARD_ACCESS), [german()]);
        assert!(Pace::new(b"123123", &PaceOffer { parameters: 17, ..german() }).is_none(), "brainpoolP512r1");
        let two = "31283012060A04007F000702020402040201020201103012060A04007F00070202040402020102020110";
        let [only] = offers(two).try_into().unwrap();
        assert_eq!((only.parameters, only.key_length()), (16, Some(KeyLength::Bits256)));
        assert!(Pace::new(b"123123", &only).is_some());
        for damaged in ["", "00", "3100", "310430020600", "31143012060A04007F00070202040202020102020D0D"] {
            assert_eq!(offers(damaged), [], "{damaged}");
        }
    }
}
