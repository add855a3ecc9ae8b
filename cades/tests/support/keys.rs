//! Key pairs of every kind, made anew in each run.

use std::sync::{Arc, LazyLock};

use bp256::BrainpoolP256r1;
use ecdsa::SigningKey;
use getrandom::SysRng;
use p256::NistP256;
use p384::NistP384;
use rand_core::UnwrapErr;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::{Pkcs1v15Sign, Pss, RsaPrivateKey};
use sha2::{Digest, Sha256, Sha384};
use signature::hazmat::PrehashSigner;

use super::{oid, tlv};

#[derive(Clone)]
pub enum Key {
    P256(SigningKey<NistP256>),
    P384(SigningKey<NistP384>),
    Brainpool(SigningKey<BrainpoolP256r1>),
    Rsa(Arc<RsaPrivateKey>),
}

/// Two RSA keys serve a whole test binary: making one takes its time.
static RSA: LazyLock<[Arc<RsaPrivateKey>; 2]> = LazyLock::new(|| {
    std::array::from_fn(|_| Arc::new(RsaPrivateKey::new(&mut UnwrapErr(SysRng), 2048).unwrap()))
});

impl Key {
    pub fn p256() -> Key {
        Key::P256(fresh(32, SigningKey::from_slice))
    }

    pub fn p384() -> Key {
        Key::P384(fresh(48, SigningKey::from_slice))
    }

    pub fn brainpool() -> Key {
        Key::Brainpool(fresh(32, SigningKey::from_slice))
    }

    pub fn rsa() -> Key {
        Key::Rsa(RSA[0].clone())
    }

    pub fn rsa_ca() -> Key {
        Key::Rsa(RSA[1].clone())
    }

    /// What a card answers: r‖s, or an RSASSA-PSS number with a salt as long as the digest.
    pub fn sign_digest(&self, digest: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => prehash::<NistP256>(key, digest).to_vec(),
            Key::P384(key) => prehash::<NistP384>(key, digest).to_vec(),
            Key::Brainpool(key) => prehash::<BrainpoolP256r1>(key, digest).to_vec(),
            Key::Rsa(key) => {
                key.sign_with_rng(&mut UnwrapErr(SysRng), Pss::<Sha256>::new_with_salt(32), digest).unwrap()
            }
        }
    }

    /// The value in a certificate: ECDSA as DER, RSA with PKCS#1 v1.5 padding.
    pub fn sign_certificate(&self, body: &[u8]) -> Vec<u8> {
        match self {
            Key::P256(key) => prehash(key, &Sha256::digest(body)).to_der().as_bytes().to_vec(),
            Key::P384(key) => prehash(key, &Sha384::digest(body)).to_der().as_bytes().to_vec(),
            Key::Brainpool(key) => prehash(key, &Sha256::digest(body)).to_der().as_bytes().to_vec(),
            Key::Rsa(key) => key.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(body)).unwrap(),
        }
    }

    /// RSASSA-PSS over the SHA-256 of `body`.
    pub fn sign_certificate_with_pss(&self, body: &[u8]) -> Vec<u8> {
        self.sign_digest(&Sha256::digest(body))
    }

    /// Algorithm of [`Key::sign_certificate`].
    pub fn certificate_algorithm(&self) -> Vec<u8> {
        match self {
            Key::P384(_) => tlv(0x30, &[&oid("1.2.840.10045.4.3.3")]),
            Key::Rsa(_) => tlv(0x30, &[&oid("1.2.840.113549.1.1.11"), &[5, 0]]),
            Key::P256(_) | Key::Brainpool(_) => tlv(0x30, &[&oid("1.2.840.10045.4.3.2")]),
        }
    }

    pub fn spki(&self) -> Vec<u8> {
        let (algorithm, bits) = match self {
            Key::P256(key) => (ec("1.2.840.10045.3.1.7"), key.verifying_key().to_sec1_bytes().to_vec()),
            Key::P384(key) => (ec("1.3.132.0.34"), key.verifying_key().to_sec1_bytes().to_vec()),
            Key::Brainpool(key) => {
                (ec("1.3.36.3.3.2.8.1.1.7"), key.verifying_key().to_sec1_point(false).as_bytes().to_vec())
            }
            Key::Rsa(key) => (
                tlv(0x30, &[&oid("1.2.840.113549.1.1.1"), &[5, 0]]),
                key.to_public_key().to_pkcs1_der().unwrap().as_bytes().to_vec(),
            ),
        };
        tlv(0x30, &[&algorithm, &tlv(0x03, &[&[0], &bits])])
    }

    /// Key identifier as certificates use it (RFC 5280 clause 4.2.1.2 leaves the method open).
    pub fn identifier(&self) -> Vec<u8> {
        Sha256::digest(self.spki())[..20].to_vec()
    }
}

fn ec(curve: &str) -> Vec<u8> {
    tlv(0x30, &[&oid("1.2.840.10045.2.1"), &oid(curve)])
}

/// Random bytes until they are a scalar of the curve.
fn fresh<T, E>(width: usize, parse: impl Fn(&[u8]) -> Result<T, E>) -> T {
    loop {
        let mut bytes = vec![0; width];
        getrandom::fill(&mut bytes).unwrap();
        if let Ok(key) = parse(&bytes) {
            return key;
        }
    }
}

fn prehash<C>(key: &SigningKey<C>, digest: &[u8]) -> ecdsa::Signature<C>
where
    C: ecdsa::EcdsaCurve,
    C: elliptic_curve::CurveArithmetic,
    SigningKey<C>: PrehashSigner<ecdsa::Signature<C>>,
{
    key.sign_prehash(digest).unwrap()
}
