//! Private keys of cards and of the test certification authority.

use bp256::BrainpoolP256r1;
use ecdsa::{EcdsaCurve, SignatureSize, SigningKey};
use elliptic_curve::array::ArraySize;
use elliptic_curve::ops::Invert;
use elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use elliptic_curve::subtle::CtOption;
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize, Generate, PublicKey, Scalar};
use getrandom::SysRng;
use p256::NistP256;
use p384::NistP384;
use pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey};
use rsa::hazmat::rsa_decrypt_and_check;
use rsa::rand_core::UnwrapErr;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Oaep, Pkcs1v15Sign, Pss, RsaPrivateKey};
use sha2::Sha256;
use signature::hazmat::PrehashSigner;
use thiserror::Error;
use zeroize::Zeroizing;

use super::elc;
use crate::layout::{Curve, KeyKind};

/// A computation a card refuses or cannot do.
#[derive(Debug, Error)]
pub(crate) enum CryptoError {
    #[error("input of {got} bytes where {expected} are allowed")]
    InputLength { expected: usize, got: usize },
    #[error("this kind of key cannot do that")]
    WrongKind,
    #[error("the cryptogram does not open")]
    Cryptogram,
    #[error("the key is damaged")]
    Damaged,
    #[error("the computation failed")]
    Failed,
}

/// A private key.
pub(crate) enum PrivateKey {
    Brainpool(Box<SigningKey<BrainpoolP256r1>>),
    P256(Box<SigningKey<NistP256>>),
    P384(Box<SigningKey<NistP384>>),
    Rsa(Box<RsaPrivateKey>),
}

/// Longest input of RSA with PKCS#1 v1.5 padding: 40 % of a 2048-bit modulus.
const PKCS1_LIMIT_PERCENT: usize = 40;

impl PrivateKey {
    /// A fresh key of the kind, or `None` for kinds that are not private keys.
    pub(crate) fn generate(kind: KeyKind) -> Result<Option<PrivateKey>, CryptoError> {
        let mut rng = SysRng;
        Ok(Some(match kind {
            KeyKind::EcPrivate(Curve::BrainpoolP256r1) => PrivateKey::Brainpool(Box::new(
                SigningKey::try_generate_from_rng(&mut rng).map_err(|_| CryptoError::Failed)?,
            )),
            KeyKind::EcPrivate(Curve::P256) => PrivateKey::P256(Box::new(
                SigningKey::try_generate_from_rng(&mut rng).map_err(|_| CryptoError::Failed)?,
            )),
            KeyKind::EcPrivate(Curve::P384) => PrivateKey::P384(Box::new(
                SigningKey::try_generate_from_rng(&mut rng).map_err(|_| CryptoError::Failed)?,
            )),
            KeyKind::RsaPrivate { bits } => {
                let key = RsaPrivateKey::new(&mut UnwrapErr(rng), bits).map_err(|_| CryptoError::Failed)?;
                PrivateKey::Rsa(Box::new(key))
            }
            KeyKind::EcPublic | KeyKind::Aes | KeyKind::Pace => return Ok(None),
        }))
    }

    /// PKCS #8 DER.
    pub(crate) fn to_der(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let document = match self {
            PrivateKey::Brainpool(key) => key.to_pkcs8_der(),
            PrivateKey::P256(key) => key.to_pkcs8_der(),
            PrivateKey::P384(key) => key.to_pkcs8_der(),
            PrivateKey::Rsa(key) => key.to_pkcs8_der(),
        };
        Ok(document.map_err(|_| CryptoError::Failed)?.to_bytes())
    }

    /// Reads PKCS #8 DER.
    pub(crate) fn from_der(der: &[u8]) -> Result<PrivateKey, CryptoError> {
        if let Ok(key) = SigningKey::<BrainpoolP256r1>::from_pkcs8_der(der) {
            return Ok(PrivateKey::Brainpool(Box::new(key)));
        }
        if let Ok(key) = SigningKey::<NistP256>::from_pkcs8_der(der) {
            return Ok(PrivateKey::P256(Box::new(key)));
        }
        if let Ok(key) = SigningKey::<NistP384>::from_pkcs8_der(der) {
            return Ok(PrivateKey::P384(Box::new(key)));
        }
        let key = RsaPrivateKey::from_pkcs8_der(der).map_err(|_| CryptoError::Damaged)?;
        Ok(PrivateKey::Rsa(Box::new(key)))
    }

    /// PKCS #8 in hexadecimal, as images have it.
    pub(crate) fn to_hex(&self) -> Result<String, CryptoError> {
        Ok(hex::encode(self.to_der()?.as_slice()))
    }

    /// Reads PKCS #8 in hexadecimal.
    pub(crate) fn from_hex(text: &str) -> Result<PrivateKey, CryptoError> {
        PrivateKey::from_der(&Zeroizing::new(hex::decode(text).map_err(|_| CryptoError::Damaged)?))
    }

    /// SubjectPublicKeyInfo DER.
    pub(crate) fn public_der(&self) -> Result<Vec<u8>, CryptoError> {
        let document = match self {
            PrivateKey::Brainpool(key) => key.verifying_key().to_public_key_der(),
            PrivateKey::P256(key) => key.verifying_key().to_public_key_der(),
            PrivateKey::P384(key) => key.verifying_key().to_public_key_der(),
            PrivateKey::Rsa(key) => key.to_public_key().to_public_key_der(),
        };
        Ok(document.map_err(|_| CryptoError::Failed)?.into_vec())
    }

    /// The public point, uncompressed, of an elliptic-curve key.
    pub(crate) fn point(&self) -> Option<Vec<u8>> {
        match self {
            PrivateKey::Brainpool(key) => {
                Some(key.verifying_key().as_affine().to_sec1_point(false).as_bytes().to_vec())
            }
            PrivateKey::P256(key) => {
                Some(key.verifying_key().as_affine().to_sec1_point(false).as_bytes().to_vec())
            }
            PrivateKey::P384(key) => {
                Some(key.verifying_key().as_affine().to_sec1_point(false).as_bytes().to_vec())
            }
            PrivateKey::Rsa(_) => None,
        }
    }

    /// Modulus and public exponent of an RSA key, big-endian without leading zeros.
    pub(crate) fn modulus_and_exponent(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        match self {
            PrivateKey::Rsa(key) => Some((key.n_bytes().into_vec(), key.e_bytes().into_vec())),
            _ => None,
        }
    }

    /// ECDSA over a hash of exactly the curve's length; `r` and `s` at fixed width.
    pub(crate) fn sign_ecdsa(&self, hash: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let expected = match self {
            PrivateKey::Brainpool(_) | PrivateKey::P256(_) => 32,
            PrivateKey::P384(_) => 48,
            PrivateKey::Rsa(_) => return Err(CryptoError::WrongKind),
        };
        if hash.len() != expected {
            return Err(CryptoError::InputLength { expected, got: hash.len() });
        }
        match self {
            PrivateKey::Brainpool(key) => {
                let signature: Result<ecdsa::Signature<BrainpoolP256r1>, _> = key.sign_prehash(hash);
                Ok(signature.map_err(|_| CryptoError::Failed)?.to_bytes().to_vec())
            }
            PrivateKey::P256(key) => {
                let signature: Result<ecdsa::Signature<NistP256>, _> = key.sign_prehash(hash);
                Ok(signature.map_err(|_| CryptoError::Failed)?.to_bytes().to_vec())
            }
            PrivateKey::P384(key) => {
                let signature: Result<ecdsa::Signature<NistP384>, _> = key.sign_prehash(hash);
                Ok(signature.map_err(|_| CryptoError::Failed)?.to_bytes().to_vec())
            }
            PrivateKey::Rsa(_) => Err(CryptoError::WrongKind),
        }
    }

    /// RSASSA-PSS over a SHA-256 hash, salt of 32 bytes.
    pub(crate) fn sign_pss(&self, hash: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = self.rsa()?;
        if hash.len() != 32 {
            return Err(CryptoError::InputLength { expected: 32, got: hash.len() });
        }
        key.sign_with_rng(&mut UnwrapErr(SysRng), Pss::<Sha256>::new_blinded_with_salt(32), hash)
            .map_err(|_| CryptoError::Failed)
    }

    /// RSA with PKCS #1 v1.5 signature padding of the bytes as they are (a DigestInfo, or a token).
    pub(crate) fn sign_pkcs1(&self, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = self.rsa()?;
        let limit = key.size() * PKCS1_LIMIT_PERCENT / 100;
        if data.is_empty() || data.len() > limit {
            return Err(CryptoError::InputLength { expected: limit, got: data.len() });
        }
        key.sign_with_rng(&mut UnwrapErr(SysRng), Pkcs1v15Sign::new_unprefixed(), data)
            .map_err(|_| CryptoError::Failed)
    }

    /// RSAES-OAEP with SHA-256.
    pub(crate) fn decipher_oaep(&self, cryptogram: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let key = self.rsa()?;
        key.decrypt_blinded(&mut UnwrapErr(SysRng), Oaep::<Sha256>::new(), cryptogram)
            .map(Zeroizing::new)
            .map_err(|_| CryptoError::Cryptogram)
    }

    /// The card's own hybrid decipherment with an elliptic-curve key.
    pub(crate) fn decipher_elc(&self, template: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        match self {
            PrivateKey::Brainpool(key) => elc::decipher(key.as_nonzero_scalar(), template),
            PrivateKey::P384(key) => elc::decipher(key.as_nonzero_scalar(), template),
            PrivateKey::P256(_) | PrivateKey::Rsa(_) => Err(CryptoError::WrongKind),
        }
    }

    /// RSA with the private exponent on a block as long as the modulus: the caller has done the padding.
    pub(crate) fn rsa_raw(&self, block: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let key = self.rsa()?;
        if block.len() != key.size() {
            return Err(CryptoError::InputLength { expected: key.size(), got: block.len() });
        }
        let bits = key.n().bits_precision();
        let number = BoxedUint::from_be_slice(block, bits).map_err(|_| CryptoError::Cryptogram)?;
        let result = rsa_decrypt_and_check(key, Some(&mut UnwrapErr(SysRng)), &number);
        Ok(result.map_err(|_| CryptoError::Cryptogram)?.to_be_bytes().into_vec())
    }

    /// The x-coordinate of the common point with another party's public point (ECDH).
    pub(crate) fn shared_x(&self, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        match self {
            PrivateKey::Brainpool(key) => shared(key, point),
            PrivateKey::P256(key) => shared(key, point),
            PrivateKey::P384(key) => shared(key, point),
            PrivateKey::Rsa(_) => Err(CryptoError::WrongKind),
        }
    }

    fn rsa(&self) -> Result<&RsaPrivateKey, CryptoError> {
        match self {
            PrivateKey::Rsa(key) => Ok(key),
            _ => Err(CryptoError::WrongKind),
        }
    }
}

fn shared<C>(key: &SigningKey<C>, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError>
where
    C: EcdsaCurve + CurveArithmetic,
    Scalar<C>: Invert<Output = CtOption<Scalar<C>>>,
    SignatureSize<C>: ArraySize,
    FieldBytesSize<C>: ModulusSize,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
{
    let public = PublicKey::<C>::from_sec1_bytes(point).map_err(|_| CryptoError::Cryptogram)?;
    let common = elliptic_curve::ecdh::diffie_hellman(key.as_nonzero_scalar(), public.as_affine());
    Ok(Zeroizing::new(common.raw_secret_bytes().to_vec()))
}
