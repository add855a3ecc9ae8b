//! Deciphering with the encryption keys of simulated cards: OAEP made by OpenSSL, and the German cards' own scheme.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::process::{Command, Stdio};

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

/// What OpenSSL encrypts for the key of a certificate.
fn openssl_encrypts(certificate: &[u8], message: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("certificate.der");
    std::fs::write(&file, certificate).unwrap();
    let mut command = Command::new("openssl");
    command.args(["pkeyutl", "-encrypt", "-certin", "-keyform", "DER", "-inkey"]).arg(&file);
    for option in ["rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"] {
        command.args(["-pkeyopt", option]);
    }
    let plain = directory.path().join("plain");
    std::fs::write(&plain, message).unwrap();
    command.arg("-in").arg(plain).stderr(Stdio::inherit());
    let output = command.output().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// The other side of the German scheme (gemSpec_COS N004.500), written from its description.
fn elc_encrypts(point: &[u8], message: &[u8]) -> Vec<u8> {
    let card = PublicKey::<BrainpoolP256r1>::from_sec1_bytes(point).unwrap();
    let ephemeral = SecretKey::<BrainpoolP256r1>::from_slice(&[0x42; 32]).unwrap();
    let shared = elliptic_curve::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), card.as_affine());
    let derive = |counter: u8| {
        Sha256::new().chain_update(shared.raw_secret_bytes()).chain_update([0, 0, 0, counter]).finalize()
    };
    let pad = |bytes: &[u8]| {
        let mut padded = [bytes, &[0x80]].concat();
        padded.resize(padded.len().next_multiple_of(16), 0);
        padded
    };
    let cipher = Aes256::new(&Array::try_from(&derive(1)[..]).unwrap());
    let mut chain = Array::from([0u8; 16]);
    cipher.encrypt_block(&mut chain);
    let mut ciphertext = Vec::new();
    for block in pad(message).chunks(16) {
        chain.iter_mut().zip(block).for_each(|(left, right)| *left ^= right);
        cipher.encrypt_block(&mut chain);
        ciphertext.extend_from_slice(&chain);
    }
    let mac = <Cmac<Aes256> as KeyInit>::new_from_slice(&derive(2)).unwrap();
    let tag = mac.chain_update(pad(&ciphertext)).finalize().into_bytes();
    let oid = [0x06, 0x09, 0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07];
    let point = ephemeral.public_key().to_sec1_point(false);
    let key = tlv(&[0x7F, 0x49], &tlv(&[0x86], point.as_bytes()));
    let data = tlv(&[0x86], &[&[0x02], ciphertext.as_slice()].concat());
    tlv(&[0xA6], &[&oid, key.as_slice(), &data, &tlv(&[0x8E], tag.get(..8).unwrap())].concat())
}

/// The same with OpenSSL for all of the cryptography: key pair, agreement, both digests, AES and CMAC.
fn openssl_elc_encrypts(certificate: &[u8], curve: &str, message: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        std::fs::write(directory.path().join(name), content).unwrap();
    };
    let openssl = |arguments: &[&str]| {
        let mut command = Command::new("openssl");
        command.args(arguments).current_dir(directory.path()).stderr(Stdio::inherit());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    file("certificate.der", certificate);
    file("card.pem", &openssl(&["x509", "-inform", "DER", "-in", "certificate.der", "-noout", "-pubkey"]));
    file("own.pem", &openssl(&["ecparam", "-genkey", "-noout", "-name", curve]));
    let info = openssl(&["pkey", "-in", "own.pem", "-pubout", "-outform", "DER"]);
    let shared = openssl(&["pkeyutl", "-derive", "-inkey", "own.pem", "-peerkey", "card.pem"]);
    let width = shared.len();
    let derive = |counter: u8| {
        file("seed", &[shared.as_slice(), &[0, 0, 0, counter]].concat());
        hex::encode(openssl(&["dgst", "-sha256", "-binary", "seed"]))
    };
    let pad = |bytes: &[u8]| {
        let mut padded = [bytes, &[0x80]].concat();
        padded.resize(padded.len().next_multiple_of(16), 0);
        padded
    };
    let (cipher_key, mac_key) = (derive(1), derive(2));
    file("zeros", &[0; 16]);
    let first = openssl(&["enc", "-aes-256-ecb", "-nopad", "-K", &cipher_key, "-in", "zeros"]);
    file("message", &pad(message));
    let start = hex::encode(first);
    let arguments = ["enc", "-aes-256-cbc", "-nopad", "-K", &cipher_key, "-iv", &start, "-in", "message"];
    let ciphertext = openssl(&arguments);
    file("authenticated", &pad(&ciphertext));
    let key_option = format!("hexkey:{mac_key}");
    let arguments =
        ["mac", "-cipher", "AES-256-CBC", "-macopt", &key_option, "-binary", "-in", "authenticated", "CMAC"];
    let tag = openssl(&arguments);
    let point = info.get(info.len() - 2 * width - 1..).unwrap();
    // The object identifier of brainpoolP256r1, or of secp384r1.
    let oid: &[u8] = if width == 32 {
        &[0x06, 0x09, 0x2B, 0x24, 0x03, 0x03, 0x02, 0x08, 0x01, 0x01, 0x07]
    } else {
        &[0x06, 0x05, 0x2B, 0x81, 0x04, 0x00, 0x22]
    };
    let key = tlv(&[0x7F, 0x49], &tlv(&[0x86], point));
    let data = tlv(&[0x86], &[&[0x02], ciphertext.as_slice()].concat());
    tlv(&[0xA6], &[oid, key.as_slice(), &data, &tlv(&[0x8E], tag.get(..8).unwrap())].concat())
}

fn tlv(tag: &[u8], value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).unwrap();
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [tag, &length, value].concat()
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
        let cryptogram = openssl_encrypts(&certificate(&session, label), MESSAGE);
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
fn the_ec_keys_of_both_cards_open_what_openssl_encrypted_in_their_scheme() {
    for (profile, label, curve) in
        [(ProfileName::HbaG21, EC, "brainpoolP256r1"), (ProfileName::HpcP384, "C.HP.ENC.E384", "secp384r1")]
    {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let cryptogram = openssl_elc_encrypts(&certificate(&session, label), curve, MESSAGE);
        assert_eq!(session.decrypt(&elc(), key(&session, label), &cryptogram).unwrap(), MESSAGE, "{profile}");
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
