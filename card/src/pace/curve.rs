//! The curves of PACE, with points and secrets as bytes (ICAO Doc 9303 part 11 clause 9.5.1).

use bp256::BrainpoolP256r1;
use bp384::BrainpoolP384r1;
use elliptic_curve::group::Group;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytesSize, Generate, NonZeroScalar, ProjectivePoint, PublicKey,
    Scalar, SecretKey,
};
use p256::NistP256;
use p384::NistP384;
use zeroize::Zeroizing;

use super::PaceError;

/// An elliptic curve that PACE may run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256, domain parameters 12.
    P256,
    /// brainpoolP256r1, domain parameters 13: the German cards'.
    BrainpoolP256r1,
    /// NIST P-384, domain parameters 15.
    P384,
    /// brainpoolP384r1, domain parameters 16.
    BrainpoolP384r1,
}

impl Curve {
    /// The curve with a number of standardised domain parameters.
    pub(super) fn by_parameters(number: u8) -> Option<Curve> {
        match number {
            12 => Some(Curve::P256),
            13 => Some(Curve::BrainpoolP256r1),
            15 => Some(Curve::P384),
            16 => Some(Curve::BrainpoolP384r1),
            _ => None,
        }
    }

    /// The number of its domain parameters.
    pub(super) fn parameters(self) -> u8 {
        match self {
            Curve::P256 => 12,
            Curve::BrainpoolP256r1 => 13,
            Curve::P384 => 15,
            Curve::BrainpoolP384r1 => 16,
        }
    }

    /// A fresh secret number.
    pub(super) fn random_secret(self) -> Result<Zeroizing<Vec<u8>>, PaceError> {
        let secret = match self {
            Curve::P256 => random::<NistP256>(),
            Curve::BrainpoolP256r1 => random::<BrainpoolP256r1>(),
            Curve::P384 => random::<NistP384>(),
            Curve::BrainpoolP384r1 => random::<BrainpoolP384r1>(),
        };
        secret.ok_or(PaceError::NoRandomness)
    }

    /// A multiple of a point, or of the generator. `None` if the point is not on the curve or not uncompressed, or the
    /// number is out of range.
    pub(super) fn multiply(self, point: Option<&[u8]>, number: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Curve::P256 => multiply::<NistP256>(point, number),
            Curve::BrainpoolP256r1 => multiply::<BrainpoolP256r1>(point, number),
            Curve::P384 => multiply::<NistP384>(point, number),
            Curve::BrainpoolP384r1 => multiply::<BrainpoolP384r1>(point, number),
        }
    }

    /// The generic mapping: nonce times generator, plus the shared point. `None` if that is no point to use.
    pub(super) fn mapped_generator(self, nonce: &[u8], shared: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Curve::P256 => mapped::<NistP256>(nonce, shared),
            Curve::BrainpoolP256r1 => mapped::<BrainpoolP256r1>(nonce, shared),
            Curve::P384 => mapped::<NistP384>(nonce, shared),
            Curve::BrainpoolP384r1 => mapped::<BrainpoolP384r1>(nonce, shared),
        }
    }

    /// The first coordinate of an uncompressed point.
    pub(super) fn x_coordinate(self, point: &[u8]) -> &[u8] {
        let width = match self {
            Curve::P256 | Curve::BrainpoolP256r1 => 32,
            Curve::P384 | Curve::BrainpoolP384r1 => 48,
        };
        point.get(1..1 + width).unwrap_or_default()
    }
}

fn random<C: CurveArithmetic>() -> Option<Zeroizing<Vec<u8>>> {
    let secret = SecretKey::<C>::try_generate().ok()?;
    Some(Zeroizing::new(secret.to_bytes().to_vec()))
}

fn multiply<C>(point: Option<&[u8]>, number: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    let point = match point {
        None => ProjectivePoint::<C>::generator(),
        Some(bytes) => parse::<C>(bytes)?,
    };
    let number = NonZeroScalar::<C>::try_from(number).ok()?;
    encode::<C>(point * *number)
}

fn mapped<C>(nonce: &[u8], shared: &[u8]) -> Option<Zeroizing<Vec<u8>>>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    // The nonce may be longer than the order of the curve: it is a number modulo that.
    let base = Scalar::<C>::from(256);
    let number = nonce
        .iter()
        .fold(Scalar::<C>::from(0), |number, byte| number * base + Scalar::<C>::from(u64::from(*byte)));
    encode::<C>(ProjectivePoint::<C>::generator() * number + parse::<C>(shared)?)
}

/// A point on the curve, uncompressed.
fn parse<C>(bytes: &[u8]) -> Option<ProjectivePoint<C>>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    const UNCOMPRESSED: u8 = 0x04;
    let point = PublicKey::<C>::from_sec1_bytes(bytes).ok()?;
    (bytes.first() == Some(&UNCOMPRESSED)).then(|| point.to_projective())
}

fn encode<C>(point: ProjectivePoint<C>) -> Option<Zeroizing<Vec<u8>>>
where
    C: CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    if bool::from(point.is_identity()) {
        return None;
    }
    let affine: AffinePoint<C> = point.into();
    Some(Zeroizing::new(affine.to_sec1_point(false).as_bytes().to_vec()))
}
