//! Deciphering with the encryption keys of simulated cards: OAEP made by OpenSSL, and the German cards' own scheme.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use aes::Aes256;
use aes::cipher::{Array, BlockCipherEncrypt, KeyInit};
use bp256::BrainpoolP256r1;
use card_simulator::ProfileName;
use cmac::{Cmac, Mac};
use cryptoki::error::RvError;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsOaepParams, PkcsOaepSource};
use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::Session;
use elliptic_curve::sec1::ToSec1Point;
use elliptic_curve::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};

mod bench;
mod module;

use bench::openssl::{self, padded, template};
use bench::{Bench, PIN_CH, certificate, key, object, rv};

const RSA: &str = "C.HP.ENC.R2048";
const EC: &str = "C.HP.ENC.E256";
const MESSAGE: &[u8] = b"a content encryption key of 40 bytes ....";
/// Documented in docs/pkcs11-functions.md.
const ELC: u64 = 0xC850_4301;

fn oaep() -> Mechanism<'static> {
    let source = PkcsOaepSource::empty();
    Mechanism::RsaPkcsOaep(PkcsOaepParams::new(MechanismType::SHA256, PkcsMgfType::MGF1_SHA256, source))
}

fn elc() -> Mechanism<'static> {
    let kind = MechanismType::new_vendor_defined(ELC).unwrap();
    Mechanism::VendorDefined(VendorDefinedMechanism::new::<()>(kind, None))
}

/// The other side of the German scheme (gemSpec_COS N004.500), written from its description.
fn elc_encrypts(point: &[u8], message: &[u8]) -> Vec<u8> {
    let card = PublicKey::<BrainpoolP256r1>::from_sec1_bytes(point).unwrap();
    let ephemeral = SecretKey::<BrainpoolP256r1>::from_slice(&[0x42; 32]).unwrap();
    let shared = elliptic_curve::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), card.as_affine());
    let derive = |counter: u8| {
        Sha256::new().chain_update(shared.raw_secret_bytes()).chain_update([0, 0, 0, counter]).finalize()
    };
    let cipher = Aes256::new(&Array::try_from(&derive(1)[..]).unwrap());
    let mut chain = Array::from([0u8; 16]);
    cipher.encrypt_block(&mut chain);
    let mut ciphertext = Vec::new();
    for block in padded(message).chunks(16) {
        chain.iter_mut().zip(block).for_each(|(left, right)| *left ^= right);
        cipher.encrypt_block(&mut chain);
        ciphertext.extend_from_slice(&chain);
    }
    let mac = <Cmac<Aes256> as KeyInit>::new_from_slice(&derive(2)).unwrap();
    let tag = mac.chain_update(padded(&ciphertext)).finalize().into_bytes();
    let oid = [0x06, 0x09, 0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07];
    let point = ephemeral.public_key().to_sec1_point(false);
    template(&oid, point.as_bytes(), &ciphertext, &tag)
}

fn point(session: &Session, label: &str) -> Vec<u8> {
    let handle = object(session, ObjectClass::PUBLIC_KEY, label);
    match session.get_attributes(handle, &[AttributeType::EcPoint]).unwrap().remove(0) {
        Attribute::EcPoint(wrapped) => wrapped.get(2..).unwrap().to_vec(),
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn the_rsa_key_opens_what_openssl_encrypted() {
    for (profile, label) in
        [(ProfileName::HbaG21, RSA), (ProfileName::HpcP384, RSA), (ProfileName::SmcB, "C.HCI.ENC.R2048")]
    {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let cryptogram = openssl::encrypts(&certificate(&session, label), MESSAGE);
        let key = key(&session, label);
        assert_eq!(session.decrypt(&oaep(), key, &cryptogram).unwrap(), MESSAGE);
        let (parts, cost) = bench.cost(|| {
            session.decrypt_init(&oaep(), key).unwrap();
            let (first, second) = cryptogram.split_at(100);
            assert!(session.decrypt_update(first).unwrap().is_empty());
            assert!(session.decrypt_update(second).unwrap().is_empty());
            session.decrypt_final().unwrap()
        });
        assert_eq!(parts, MESSAGE);
        assert!(cost <= 3, "{profile}: {cost} commands");
    }
}

#[test]
fn the_ec_key_opens_the_cards_own_hybrid_scheme() {
    for (profile, label) in [(ProfileName::HbaG21, EC), (ProfileName::SmcB, "C.HCI.ENC.E256")] {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let cryptogram = elc_encrypts(&point(&session, label), MESSAGE);
        assert_eq!(session.decrypt(&elc(), key(&session, label), &cryptogram).unwrap(), MESSAGE);
        let mut forged = cryptogram.clone();
        *forged.last_mut().unwrap() ^= 1;
        let refused = session.decrypt(&elc(), key(&session, label), &forged);
        assert_eq!(rv(refused), RvError::EncryptedDataInvalid);
        assert_eq!(session.decrypt(&elc(), key(&session, label), &cryptogram).unwrap(), MESSAGE);
    }
}

#[test]
fn what_the_card_cannot_do_is_refused_without_it() {
    let bench = Bench::with(ProfileName::HbaG21);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let (rsa, ec, signing) = (key(&session, RSA), key(&session, EC), key(&session, "C.HP.AUT.R2048"));
    let public = object(&session, ObjectClass::PUBLIC_KEY, RSA);
    let usage = session.get_attributes(public, &[AttributeType::Encrypt]).unwrap();
    assert_eq!(usage, [Attribute::Encrypt(false)], "there is no C_Encrypt");
    let sha1 = PkcsOaepParams::new(MechanismType::SHA1, PkcsMgfType::MGF1_SHA1, PkcsOaepSource::empty());
    let ((), cost) = bench.cost(|| {
        for (mechanism, key, expected) in [
            (Mechanism::RsaPkcsOaep(sha1), rsa, RvError::MechanismParamInvalid),
            (Mechanism::RsaPkcs, rsa, RvError::MechanismInvalid),
            (Mechanism::RsaX509, rsa, RvError::MechanismInvalid),
            (elc(), rsa, RvError::KeyTypeInconsistent),
            (oaep(), ec, RvError::KeyTypeInconsistent),
            (oaep(), signing, RvError::KeyFunctionNotPermitted),
            (oaep(), public, RvError::KeyFunctionNotPermitted),
        ] {
            assert_eq!(rv(session.decrypt_init(&mechanism, key)), expected, "{mechanism:?}");
        }
        assert_eq!(rv(session.decrypt(&oaep(), rsa, &[1; 255])), RvError::EncryptedDataLenRange);
    });
    assert_eq!(cost, 0);
    assert_eq!(rv(session.decrypt(&oaep(), rsa, &[1; 256])), RvError::EncryptedDataInvalid);
}

#[test]
fn mechanisms_to_decipher_are_those_of_the_encryption_keys() {
    let bench = Bench::with(ProfileName::HbaG21);
    let elc = MechanismType::new_vendor_defined(ELC).unwrap();
    for (kind, bits) in [(MechanismType::RSA_PKCS_OAEP, 2048), (elc, 256)] {
        let info = bench.module.get_mechanism_info(bench.esign(), kind).unwrap();
        assert!(info.decrypt() && info.hardware() && !info.sign() && !info.derive());
        assert_eq!((info.min_key_size(), info.max_key_size()), (bits, bits));
    }
    let qes = bench.module.get_mechanism_list(bench.qes()).unwrap();
    assert!(!qes.contains(&elc) && !qes.contains(&MechanismType::RSA_PKCS_OAEP));
    let esign = bench.module.get_mechanism_list(bench.esign()).unwrap();
    assert!(!esign.contains(&MechanismType::ECDH1_DERIVE), "the card gives out no shared secret");
}
