//! Public keys of cards, to check signatures.
//!
//! Where another program may have changed the card's selection meanwhile, a signature is believed only after it was
//! verified (`docs/decisions/logical-channels.md`).

use bp256::BrainpoolP256r1;
use ecdsa::{EcdsaCurve, Signature, VerifyingKey};
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize};
use p256::NistP256;
use p384::NistP384;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::Sha256;
use signature::hazmat::PrehashVerifier;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use crate::profile::{Curve, KeyKind, SignatureScheme};

/// Salt length of the card's PSS (gemSpec_COS: as long as the hash).
const PSS_SALT_LEN: usize = 32;

/// A key that signatures of one card key are checked with.
#[derive(Debug, Clone)]
pub struct PublicKey(Kind);

#[derive(Debug, Clone)]
enum Kind {
    P256(VerifyingKey<NistP256>),
    P384(VerifyingKey<NistP384>),
    BrainpoolP256r1(VerifyingKey<BrainpoolP256r1>),
    Rsa(RsaPublicKey),
}

impl PublicKey {
    /// The key in a certificate, DER; `None` if it is not of this kind or the certificate cannot be read.
    pub fn from_certificate(certificate: &[u8], kind: KeyKind) -> Option<PublicKey> {
        let certificate = Certificate::from_der(certificate).ok()?;
        let info = certificate.tbs_certificate().subject_public_key_info();
        PublicKey::from_bits(info.subject_public_key.as_bytes()?, kind)
    }

    /// The key in a SubjectPublicKeyInfo (RFC 5280 clause 4.1), DER; `None` if it is not of this kind.
    pub fn from_key_info(key_info: &[u8], kind: KeyKind) -> Option<PublicKey> {
        let info = SubjectPublicKeyInfoRef::from_der(key_info).ok()?;
        PublicKey::from_bits(info.subject_public_key.as_bytes()?, kind)
    }

    fn from_bits(bits: &[u8], kind: KeyKind) -> Option<PublicKey> {
        let key = match kind {
            KeyKind::Ec(Curve::P256) => Kind::P256(point(bits)?),
            KeyKind::Ec(Curve::P384) => Kind::P384(point(bits)?),
            KeyKind::Ec(Curve::BrainpoolP256r1) => Kind::BrainpoolP256r1(point(bits)?),
            KeyKind::Rsa { bits: wanted } => {
                let key = RsaPublicKey::from_pkcs1_der(bits).ok()?;
                Kind::Rsa(Some(key).filter(|key| key.size() * 8 == usize::from(wanted))?)
            }
        };
        Some(PublicKey(key))
    }

    /// Whether this key's private half made the signature over the input, both as [`crate::hpc::Hpc::sign`] has them.
    pub fn verifies(&self, scheme: SignatureScheme, input: &[u8], signature: &[u8]) -> bool {
        match (&self.0, scheme) {
            (Kind::P256(key), SignatureScheme::Ecdsa) => ecdsa_verifies(key, input, signature),
            (Kind::P384(key), SignatureScheme::Ecdsa) => ecdsa_verifies(key, input, signature),
            (Kind::BrainpoolP256r1(key), SignatureScheme::Ecdsa) => ecdsa_verifies(key, input, signature),
            (Kind::Rsa(key), SignatureScheme::RsaPkcs1) => {
                key.verify(Pkcs1v15Sign::new_unprefixed(), input, signature).is_ok()
            }
            (Kind::Rsa(key), SignatureScheme::RsaPssSha256) => {
                key.verify(Pss::<Sha256>::new_with_salt(PSS_SALT_LEN), input, signature).is_ok()
            }
            _ => false,
        }
    }
}

/// Whether the bytes are `04‖x‖y` of a point on the curve (SEC 1 clause 2.3.3). The neutral element is none.
pub(crate) fn is_point(curve: Curve, bytes: &[u8]) -> bool {
    const UNCOMPRESSED: u8 = 0x04;
    let on_curve = match curve {
        Curve::P256 => point::<NistP256>(bytes).is_some(),
        Curve::P384 => point::<NistP384>(bytes).is_some(),
        Curve::BrainpoolP256r1 => point::<BrainpoolP256r1>(bytes).is_some(),
    };
    on_curve && bytes.first() == Some(&UNCOMPRESSED)
}

fn point<C>(bytes: &[u8]) -> Option<VerifyingKey<C>>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    VerifyingKey::from_sec1_bytes(bytes).ok()
}

/// r and s, each in the curve's full width.
fn ecdsa_verifies<C>(key: &VerifyingKey<C>, digest: &[u8], signature: &[u8]) -> bool
where
    C: EcdsaCurve + CurveArithmetic,
{
    Signature::<C>::from_slice(signature)
        .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
}
