//! Public keys of certificates, and signature values checked with them.

use bp256::BrainpoolP256r1;
use der::asn1::{ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use ecdsa::{EcdsaCurve, VerifyingKey};
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize};
use p256::NistP256;
use p384::NistP384;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Sha256, Sha384, Sha512};
use signature::hazmat::PrehashVerifier;
use spki::SubjectPublicKeyInfoRef;
use thiserror::Error;

use crate::algorithm::{Algorithm, Curve};
use crate::oid;
use crate::scheme::{Hash, SignatureScheme};

/// Smallest RSA key accepted, for signers and issuers.
const MIN_RSA_BITS: u32 = 2048;

/// A public key this crate can check signatures with.
#[derive(Debug, Clone)]
pub(crate) enum PublicKey {
    P256(VerifyingKey<NistP256>),
    P384(VerifyingKey<NistP384>),
    BrainpoolP256r1(VerifyingKey<BrainpoolP256r1>),
    Rsa(RsaPublicKey),
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum KeyError {
    #[error("SubjectPublicKeyInfo cannot be read: {0}")]
    Structure(der::Error),
    #[error("key algorithm {0} is not supported")]
    Algorithm(ObjectIdentifier),
    #[error("curve {0} is not supported")]
    Curve(ObjectIdentifier),
    #[error("the key is not a point of its curve")]
    Point,
    #[error("the RSA key is malformed or larger than supported")]
    Rsa,
    #[error("RSA key of {0} bits, at least {MIN_RSA_BITS} are demanded")]
    RsaTooShort(u32),
}

impl PublicKey {
    pub(crate) fn from_spki(der: &[u8]) -> Result<PublicKey, KeyError> {
        let spki = SubjectPublicKeyInfoRef::from_der(der).map_err(KeyError::Structure)?;
        let bits = spki.subject_public_key.as_bytes().ok_or(KeyError::Point)?;
        match spki.algorithm.oid {
            oid::EC_PUBLIC_KEY => match spki.algorithm.parameters_oid().map_err(|_| KeyError::Point)? {
                oid::P_256 => point(bits).map(PublicKey::P256),
                oid::P_384 => point(bits).map(PublicKey::P384),
                oid::BRAINPOOL_P256R1 => point(bits).map(PublicKey::BrainpoolP256r1),
                curve => Err(KeyError::Curve(curve)),
            },
            oid::RSA_ENCRYPTION | oid::RSA_PSS => {
                let key = RsaPublicKey::from_pkcs1_der(bits).map_err(|_| KeyError::Rsa)?;
                let bits = key.n().bits_vartime();
                if bits < MIN_RSA_BITS { Err(KeyError::RsaTooShort(bits)) } else { Ok(PublicKey::Rsa(key)) }
            }
            other => Err(KeyError::Algorithm(other)),
        }
    }

    /// The algorithm a new signature of this key uses.
    pub(crate) fn signing_algorithm(&self) -> Algorithm {
        match self {
            PublicKey::P256(_) => Algorithm::EcdsaSha256(Curve::P256),
            PublicKey::BrainpoolP256r1(_) => Algorithm::EcdsaSha256(Curve::BrainpoolP256r1),
            PublicKey::P384(_) => Algorithm::EcdsaSha384,
            PublicKey::Rsa(_) => Algorithm::RsaPssSha256,
        }
    }

    /// Does `signature`, as it stands in CMS and certificates, verify over `message`?
    pub(crate) fn verifies(&self, scheme: SignatureScheme, message: &[u8], signature: &[u8]) -> bool {
        let digest = scheme.hash().digest(message);
        match (self, scheme) {
            (PublicKey::P256(key), SignatureScheme::Ecdsa(_)) => ecdsa_verifies(key, &digest, signature),
            (PublicKey::P384(key), SignatureScheme::Ecdsa(_)) => ecdsa_verifies(key, &digest, signature),
            (PublicKey::BrainpoolP256r1(key), SignatureScheme::Ecdsa(_)) => {
                ecdsa_verifies(key, &digest, signature)
            }
            (PublicKey::Rsa(key), SignatureScheme::RsaPkcs1(hash)) => {
                let padding = match hash {
                    Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
                    Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
                    Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
                };
                key.verify(padding, &digest, signature).is_ok()
            }
            (PublicKey::Rsa(key), SignatureScheme::RsaPss { hash, salt_length }) => match hash {
                Hash::Sha256 => key.verify(Pss::<Sha256>::new_with_salt(salt_length), &digest, signature),
                Hash::Sha384 => key.verify(Pss::<Sha384>::new_with_salt(salt_length), &digest, signature),
                Hash::Sha512 => key.verify(Pss::<Sha512>::new_with_salt(salt_length), &digest, signature),
            }
            .is_ok(),
            _ => false,
        }
    }

    /// Turns a raw signature (r‖s, or the RSA number) into the value that stands in CMS. `None` when a
    /// number is zero or too large for the key; the length must be [`PublicKey::raw_signature_length`].
    pub(crate) fn encode_signature(&self, raw: &[u8]) -> Option<Vec<u8>> {
        match self {
            PublicKey::P256(_) => ecdsa_value::<NistP256>(raw),
            PublicKey::P384(_) => ecdsa_value::<NistP384>(raw),
            PublicKey::BrainpoolP256r1(_) => ecdsa_value::<BrainpoolP256r1>(raw),
            PublicKey::Rsa(key) => {
                let modulus = key.n_bytes();
                let in_range = raw.len() == modulus.len() && raw < &*modulus && raw.iter().any(|&b| b != 0);
                in_range.then(|| raw.to_vec())
            }
        }
    }

    /// Length in bytes of a raw signature of this key.
    pub(crate) fn raw_signature_length(&self) -> usize {
        match self {
            PublicKey::P256(_) | PublicKey::BrainpoolP256r1(_) => 64,
            PublicKey::P384(_) => 96,
            PublicKey::Rsa(key) => key.size(),
        }
    }
}

/// ECDSA-Sig-Value (RFC 3279 clause 2.2.3): the two numbers, each in as few bytes as it needs.
#[derive(Sequence)]
struct EcdsaValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

fn point<C>(bytes: &[u8]) -> Result<VerifyingKey<C>, KeyError>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    VerifyingKey::from_sec1_bytes(bytes).map_err(|_| KeyError::Point)
}

/// DER value from r‖s of exactly twice the curve's width, both numbers in 1..order.
fn ecdsa_value<C: EcdsaCurve>(raw: &[u8]) -> Option<Vec<u8>> {
    let signature = ecdsa::Signature::<C>::from_slice(raw).ok()?;
    let (r, s) = signature.split_bytes();
    EcdsaValue { r: UintRef::new(&r).ok()?, s: UintRef::new(&s).ok()? }.to_der().ok()
}

fn ecdsa_verifies<C>(key: &VerifyingKey<C>, digest: &[u8], value: &[u8]) -> bool
where
    C: EcdsaCurve + CurveArithmetic,
{
    raw_numbers::<C>(value).is_some_and(|signature| key.verify_prehash(digest, &signature).is_ok())
}

/// The numbers of a DER value, each padded to the curve's width.
pub(crate) fn raw_numbers<C: EcdsaCurve>(value: &[u8]) -> Option<ecdsa::Signature<C>> {
    let value = EcdsaValue::from_der(value).ok()?;
    let padded = |number: UintRef<'_>| {
        let mut field = elliptic_curve::FieldBytes::<C>::default();
        let start = field.len().checked_sub(number.as_bytes().len())?;
        field.get_mut(start..)?.copy_from_slice(number.as_bytes());
        Some(field)
    };
    ecdsa::Signature::from_scalars(padded(value.r)?, padded(value.s)?).ok()
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;

    /// r‖s with the given number of leading zero bytes in each half.
    fn raw(width: usize, r_zeros: usize, s_zeros: usize, mut fill: Vec<u8>) -> Vec<u8> {
        fill.resize(2 * width, 0x5a);
        for zeroed in [0..r_zeros.min(width - 1), width..width + s_zeros.min(width - 1)] {
            fill[zeroed].fill(0);
        }
        // Below every order, and not zero.
        for half in [0, width] {
            fill[half] &= 0x7f;
            fill[half + width - 1] |= 1;
        }
        fill
    }

    fn back_to_raw<C: EcdsaCurve>(value: &[u8]) -> Vec<u8> {
        raw_numbers::<C>(value).unwrap().to_vec()
    }

    /// Shortest two's complement INTEGER, written down independently of the code above.
    fn integer(number: &[u8]) -> Vec<u8> {
        let digits: Vec<u8> = number.iter().copied().skip_while(|&byte| byte == 0).collect();
        let sign = if digits[0] >= 0x80 { vec![0] } else { vec![] };
        [vec![0x02, u8::try_from(sign.len() + digits.len()).unwrap()], sign, digits].concat()
    }

    proptest! {
        #[test]
        fn short_numbers_are_neither_padded_nor_cut(
            r_zeros in 0usize..32, s_zeros in 0usize..32, wide in any::<bool>(),
            fill in proptest::collection::vec(any::<u8>(), 96),
        ) {
            let width = if wide { 48 } else { 32 };
            let raw = raw(width, r_zeros, s_zeros, fill);
            let value = if wide { ecdsa_value::<NistP384>(&raw) } else { ecdsa_value::<BrainpoolP256r1>(&raw) };
            let value = value.unwrap();
            let body = [integer(&raw[..width]), integer(&raw[width..])].concat();
            prop_assert_eq!(&value[2..], &body[..]);
            prop_assert_eq!(usize::from(value[1]), body.len());
            let again = if wide {
                back_to_raw::<NistP384>(&value)
            } else {
                back_to_raw::<BrainpoolP256r1>(&value)
            };
            prop_assert_eq!(again, raw);
        }
    }

    #[test]
    fn a_zero_number_is_refused() {
        let mut zero_r = vec![0; 64];
        zero_r[63] = 1;
        assert_eq!(ecdsa_value::<NistP256>(&zero_r), None);
        zero_r.rotate_left(32);
        assert_eq!(ecdsa_value::<NistP256>(&zero_r), None);
    }

    #[test]
    fn numbers_from_the_group_order_on_are_refused() {
        let order = hex!("a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7");
        let mut below = order;
        below[31] -= 1;
        let one = hex!("0000000000000000000000000000000000000000000000000000000000000001");
        assert_eq!(ecdsa_value::<BrainpoolP256r1>(&[order, one].concat()), None);
        assert_eq!(ecdsa_value::<BrainpoolP256r1>(&[one, order].concat()), None);
        assert!(ecdsa_value::<BrainpoolP256r1>(&[below, below].concat()).is_some());
    }

    #[test]
    fn other_lengths_are_refused() {
        for length in [0, 1, 63, 65, 96] {
            assert_eq!(ecdsa_value::<NistP256>(&vec![1; length]), None);
        }
    }

    #[test]
    fn padded_and_negative_integers_are_not_read() {
        assert!(raw_numbers::<NistP256>(&hex!("3006 020101 020101")).is_some());
        assert!(raw_numbers::<NistP256>(&hex!("3007 02020001 020101")).is_none());
        assert!(raw_numbers::<NistP256>(&hex!("3006 0201ff 020101")).is_none());
        assert!(raw_numbers::<NistP256>(&hex!("3006 020101 020101 00")).is_none());
    }
}
