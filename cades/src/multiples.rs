//! ECDSA verification with multiples of a key that were calculated before.
//!
//! A service verifies one signature after the other with the keys of its own cards. What it adds up for each - a multiple
//! of the curve's generator and one of the key - consists of parts that do not depend on the signature. With those in a
//! table, a verification is some 150 additions instead of 400 doublings and as many additions. Everything here is public,
//! so nothing has to take the same time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bp256::BrainpoolP256r1;
use ecdsa::{EcdsaCurve, Signature, VerifyingKey};
use elliptic_curve::ops::{Invert as _, Reduce};
use elliptic_curve::point::AffineCoordinates as _;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{
    AffinePoint, CurveArithmetic, FieldBytes, FieldBytesSize, PrimeField as _, ProjectivePoint, Scalar,
};
use elliptic_curve::{CurveGroup as _, Group as _};
use p256::NistP256;
use p384::NistP384;
use sha2::{Digest, Sha256};

use crate::key::{PublicKey, raw_numbers};
use crate::scheme::SignatureScheme;

/// Bits of a number that are looked up at once. One more would double the table and save a tenth of the additions.
const DIGIT: usize = 5;
/// Verifications with a key before its table is made: that takes as long as some twenty of them.
const WORTHWHILE: u32 = 32;
/// Keys that are remembered: a table has 250 kB for P-384, 170 kB for the curves of 256 bits.
const KEYS: usize = 128;

/// The keys that were used, and the tables of those used often. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Tables(Arc<Shared>);

#[derive(Default)]
struct Shared {
    keys: Mutex<HashMap<[u8; 32], Known>>,
    p256: OnceLock<Multiples<NistP256>>,
    p384: OnceLock<Multiples<NistP384>>,
    brainpool: OnceLock<Multiples<BrainpoolP256r1>>,
}

#[derive(Default)]
struct Known {
    uses: u32,
    table: Option<Arc<Table>>,
}

enum Table {
    P256(Multiples<NistP256>),
    P384(Multiples<NistP384>),
    BrainpoolP256r1(Multiples<BrainpoolP256r1>),
}

/// For each place of a number written with digits of [`DIGIT`] bits, lowest first: the point times each digit from 1 on.
struct Multiples<C: CurveArithmetic>(Vec<Vec<AffinePoint<C>>>);

impl Tables {
    /// The same as [`PublicKey::verifies`]. `name` stands for the key: its SubjectPublicKeyInfo.
    pub(crate) fn verifies(
        &self,
        name: &[u8],
        key: &PublicKey,
        scheme: SignatureScheme,
        message: &[u8],
        value: &[u8],
    ) -> bool {
        let SignatureScheme::Ecdsa(hash) = scheme else { return key.verifies(scheme, message, value) };
        let Some(table) = self.table(name, key) else { return key.verifies(scheme, message, value) };
        let (digest, shared) = (hash.digest(message), &self.0);
        let answer = match &*table {
            Table::P256(key) => {
                verifies(shared.p256.get_or_init(Multiples::of_generator), key, &digest, value)
            }
            Table::P384(key) => {
                verifies(shared.p384.get_or_init(Multiples::of_generator), key, &digest, value)
            }
            Table::BrainpoolP256r1(key) => {
                verifies(shared.brainpool.get_or_init(Multiples::of_generator), key, &digest, value)
            }
        };
        answer.unwrap_or_else(|| key.verifies(scheme, message, value))
    }

    /// Counts a use, and makes the table when it is worth it.
    fn table(&self, name: &[u8], key: &PublicKey) -> Option<Arc<Table>> {
        let name: [u8; 32] = Sha256::digest(name).into();
        {
            let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= KEYS && !keys.contains_key(&name) {
                keys.clear();
            }
            let known = keys.entry(name).or_default();
            known.uses = known.uses.saturating_add(1);
            if known.table.is_some() || known.uses < WORTHWHILE {
                return known.table.clone();
            }
            // Whoever comes meanwhile does without.
            known.uses = 0;
        }
        let table = Arc::new(match key {
            PublicKey::P256(key) => Table::P256(Multiples::of_key(key)),
            PublicKey::P384(key) => Table::P384(Multiples::of_key(key)),
            PublicKey::BrainpoolP256r1(key) => Table::BrainpoolP256r1(Multiples::of_key(key)),
            PublicKey::Rsa(_) => return None,
        });
        let mut keys = self.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.entry(name).or_default().table = Some(Arc::clone(&table));
        Some(table)
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tables(..)")
    }
}

impl<C> Multiples<C>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    fn of_key(key: &VerifyingKey<C>) -> Multiples<C> {
        Multiples::of(ProjectivePoint::<C>::from(*key.as_affine()))
    }
}

impl<C: EcdsaCurve + CurveArithmetic> Multiples<C> {
    fn of_generator() -> Multiples<C> {
        Multiples::of(ProjectivePoint::<C>::generator())
    }

    fn of(point: ProjectivePoint<C>) -> Multiples<C> {
        let bits = 8 * FieldBytes::<C>::default().len();
        let mut unit = point;
        let mut places = Vec::new();
        for _ in 0..bits.div_ceil(DIGIT) {
            let mut multiples = Vec::new();
            let mut multiple = unit;
            for _ in 1..1 << DIGIT {
                multiples.push(multiple);
                multiple += unit;
            }
            unit = multiple;
            let mut row = vec![AffinePoint::<C>::default(); multiples.len()];
            ProjectivePoint::<C>::batch_normalize(&multiples, &mut row);
            places.push(row);
        }
        Multiples(places)
    }

    /// Adds the point times a number.
    fn add(&self, number: &Scalar<C>, sum: &mut ProjectivePoint<C>) {
        for (row, digit) in self.0.iter().zip(digits(&number.to_repr())) {
            if let Some(multiple) = digit.checked_sub(1).and_then(|position| row.get(position)) {
                *sum += multiple;
            }
        }
    }
}

/// The digits of a number (big endian), lowest first.
fn digits(number: &[u8]) -> Vec<usize> {
    let bits = number.iter().rev().flat_map(|byte| (0..8).map(move |place| usize::from(byte >> place & 1)));
    let bits: Vec<usize> = bits.collect();
    bits.chunks(DIGIT).map(|digit| digit.iter().rev().fold(0, |value, bit| 2 * value + bit)).collect()
}

/// FIPS 186-5 clause 6.4.2, for a digest as wide as the curve; `None` for others.
fn verifies<C>(generator: &Multiples<C>, key: &Multiples<C>, digest: &[u8], value: &[u8]) -> Option<bool>
where
    C: EcdsaCurve + CurveArithmetic,
{
    let digest = FieldBytes::<C>::try_from(digest).ok()?;
    let Some(signature) = raw_numbers::<C>(value) else { return Some(false) };
    Some(holds(generator, key, &digest, &signature))
}

fn holds<C>(
    generator: &Multiples<C>,
    key: &Multiples<C>,
    digest: &FieldBytes<C>,
    signature: &Signature<C>,
) -> bool
where
    C: EcdsaCurve + CurveArithmetic,
{
    let (r, s) = signature.split_scalars();
    let inverse = *s.invert_vartime();
    let mut sum = ProjectivePoint::<C>::identity();
    generator.add(&(<Scalar<C> as Reduce<FieldBytes<C>>>::reduce(digest) * inverse), &mut sum);
    key.add(&(*r * inverse), &mut sum);
    *r == <Scalar<C> as Reduce<FieldBytes<C>>>::reduce(&sum.to_affine().x())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use signature::hazmat::{PrehashSigner, PrehashVerifier};

    use super::*;
    use crate::scheme::Hash;

    #[test]
    fn digits_make_the_number_again() {
        let number = [0x81, 0x02, 0xff, 0x10];
        let again = digits(&number).iter().rev().fold(0u64, |value, digit| (value << DIGIT) + *digit as u64);
        assert_eq!(again, 0x8102_ff10);
    }

    macro_rules! agrees {
        ($name:ident, $curve:ty, $width:literal) => {
            mod $name {
                use super::*;

                fn tables() -> &'static (ecdsa::SigningKey<$curve>, Multiples<$curve>, Multiples<$curve>) {
                    static TABLES: OnceLock<(
                        ecdsa::SigningKey<$curve>,
                        Multiples<$curve>,
                        Multiples<$curve>,
                    )> = OnceLock::new();
                    TABLES.get_or_init(|| {
                        let key = ecdsa::SigningKey::<$curve>::from_slice(&[0x2b; $width]).unwrap();
                        let of_key = Multiples::of_key(key.verifying_key());
                        (key, Multiples::of_generator(), of_key)
                    })
                }

                proptest! {
                    #![proptest_config(ProptestConfig::with_cases(32))]

                    #[test]
                    fn with_the_plain_way_on_right_and_wrong_signatures(
                        digest in proptest::collection::vec(any::<u8>(), $width),
                        position in 0usize..3 * $width, bit in 0u32..8,
                    ) {
                        let (key, generator, of_key) = tables();
                        let signature: Signature<$curve> = key.sign_prehash(&digest).unwrap();
                        let width: [u8; $width] = digest.clone().try_into().unwrap();
                        prop_assert!(holds(generator, of_key, &width.into(), &signature));
                        let mut changed = [digest, signature.to_vec()].concat();
                        changed[position] ^= 1u8 << bit;
                        let (digest, signature) = changed.split_at($width);
                        if let Ok(signature) = Signature::<$curve>::from_slice(signature) {
                            let plain = key.verifying_key().verify_prehash(digest, &signature).is_ok();
                            let digest: [u8; $width] = digest.try_into().unwrap();
                            prop_assert_eq!(holds(generator, of_key, &digest.into(), &signature), plain);
                        }
                    }
                }
            }
        };
    }

    agrees!(p256_agrees, NistP256, 32);
    agrees!(p384_agrees, NistP384, 48);
    agrees!(brainpool_agrees, BrainpoolP256r1, 32);

    #[test]
    fn a_key_that_is_used_often_gets_a_table_and_the_same_answers() {
        let signing = ecdsa::SigningKey::<NistP384>::from_slice(&[7; 48]).unwrap();
        let key = PublicKey::P384(*signing.verifying_key());
        let (scheme, tables) = (SignatureScheme::Ecdsa(Hash::Sha384), Tables::default());
        let raw: Signature<NistP384> = signing.sign_prehash(&Hash::Sha384.digest(b"text")).unwrap();
        let value = key.encode_signature(&raw.to_bytes()).unwrap();
        for _ in 0..WORTHWHILE + 3 {
            assert!(tables.verifies(b"key", &key, scheme, b"text", &value));
            assert!(!tables.verifies(b"key", &key, scheme, b"other", &value));
        }
        assert!(tables.0.keys.lock().unwrap().values().all(|known| known.table.is_some()));
        // A digest of another width goes the plain way.
        let raw: Signature<NistP384> = signing.sign_prehash(&Hash::Sha256.digest(b"text")).unwrap();
        let value = key.encode_signature(&raw.to_bytes()).unwrap();
        assert!(tables.verifies(b"key", &key, SignatureScheme::Ecdsa(Hash::Sha256), b"text", &value));
    }
}
