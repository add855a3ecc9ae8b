//! Signatures and decipherments, checked with the public keys of the certificates.

use crate::cards::*;
use ecdsa::VerifyingKey;
use ecdsa::signature::hazmat::PrehashVerifier;
use pkcs8::DecodePublicKey;
use rsa::{Oaep, Pkcs1v15Sign, Pss, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384};

fn rsa_key(card: &TestCard, name: &str) -> RsaPublicKey {
    RsaPublicKey::from_public_key_der(&public_key(card.directory.path(), name)).unwrap()
}

fn verifies_brainpool(card: &TestCard, name: &str, hash: &[u8], signature: &[u8]) -> bool {
    let key = public_key(card.directory.path(), name);
    let key = VerifyingKey::<bp256::BrainpoolP256r1>::from_public_key_der(&key).unwrap();
    key.verify_prehash(hash, &ecdsa::Signature::from_slice(signature).unwrap()).is_ok()
}

fn verifies_p384(card: &TestCard, name: &str, hash: &[u8], signature: &[u8]) -> bool {
    let key = public_key(card.directory.path(), name);
    let key = VerifyingKey::<p384::NistP384>::from_public_key_der(&key).unwrap();
    key.verify_prehash(hash, &ecdsa::Signature::from_slice(signature).unwrap()).is_ok()
}

#[test]
fn the_p384_card_signs_a_sha384_digest_with_the_qes_key() {
    let mut card = hpc_p384();
    let hash = Sha384::digest("document");
    let signature = card.all_ok(&[P384_QES, VERIFY_QES, "002241B606840186800100", &sign(&hash)]);
    assert_eq!(signature.len(), 96);
    assert!(verifies_p384(&card, "C.HP.QES.E384", &hash, &signature));
}

#[test]
fn the_hba_signs_a_sha256_digest_with_the_qes_key() {
    let mut card = hba();
    let hash = Sha256::digest("document");
    let signature = card.all_ok(&[HBA_QES, VERIFY_QES, "002241B606840186800100", &sign(&hash)]);
    assert_eq!(signature.len(), 64);
    assert!(verifies_brainpool(&card, "C.HP.QES.E256", &hash, &signature));
}

#[test]
fn the_same_key_reference_means_another_key_in_another_application() {
    let mut card = hba();
    let hash = Sha256::digest("challenge");
    let signature = card.all_ok(&[HBA_ESIGN, VERIFY_CH, "002241B606840186800100", &sign(&hash)]);
    assert!(verifies_brainpool(&card, "C.HP.AUT.E256", &hash, &signature));
    assert!(!verifies_brainpool(&card, "C.HP.QES.E256", &hash, &signature));
}

#[test]
fn rsa_keys_sign_with_pss_and_a_salt_of_32_bytes() {
    let hash = Sha256::digest("document");
    for mut card in [hba(), hpc_p384()] {
        let qes = if card.send(HBA_QES).1 == OK { HBA_QES } else { P384_QES };
        let signature = card.all_ok(&[qes, VERIFY_QES, "002241B606840184800105", &sign(&hash)]);
        let key = rsa_key(&card, "C.HP.QES.R2048");
        key.verify(Pss::<Sha256>::new_with_salt(32), &hash, &signature).unwrap();
    }
}

#[test]
fn rsa_authentication_keys_sign_a_digest_info() {
    let mut card = hba();
    let hash = Sha256::digest("document");
    let info = [hex_literal::hex!("3031300D060960864801650304020105000420").as_slice(), &hash].concat();
    let signature = card.all_ok(&[HBA_ESIGN, VERIFY_CH, "002241B606840182800102", &sign(&info)]);
    rsa_key(&card, "C.HP.AUT.R2048").verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &signature).unwrap();
}

#[test]
fn client_authentication_pads_the_token_as_it_is() {
    let mut card = hba();
    let token = [0x5A; 102];
    let command = format!("0088000066 {} 00", hex::encode(token));
    let signature = card.all_ok(&[HBA_ESIGN, VERIFY_CH, "002241A406840182800105", &command]);
    let key = rsa_key(&card, "C.HP.AUT.R2048");
    key.verify(Pkcs1v15Sign::new_unprefixed(), &token, &signature).unwrap();
    card.expect(&format!("0088000067 {} 00", hex::encode([0x5A; 103])), 0x6A80);
}

#[test]
fn the_encryption_key_opens_an_oaep_cryptogram() {
    let mut card = hpc_p384();
    let key = rsa_key(&card, "C.HP.ENC.R2048");
    let mut rng = rsa::rand_core::UnwrapErr(getrandom::SysRng);
    let cryptogram = key.encrypt(&mut rng, Oaep::<Sha256>::new(), b"content key").unwrap();
    let command = format!("002A8086000101 00{} 0000", hex::encode(&cryptogram));
    let plain = card.all_ok(&[P384_ESIGN, VERIFY_CH, "002241B806840183800185", &command]);
    assert_eq!(plain, b"content key");
    let mut damaged = cryptogram;
    damaged[17] ^= 1;
    card.expect(&format!("002A8086000101 00{} 0000", hex::encode(&damaged)), 0x6A80);
}

#[test]
fn public_keys_are_read_without_a_pin_and_match_the_certificates() {
    let mut card = hba();
    let point = card.all_ok(&[HBA_QES, "00468186000000"]);
    let spki = public_key(card.directory.path(), "C.HP.QES.E256");
    assert_eq!(point[..5], [0x7F, 0x49, 0x43, 0x86, 0x41]);
    assert!(spki.ends_with(&point[5..]));
    let modulus = card.all_ok(&["00468184000000"]);
    assert_eq!(modulus[..9], [0x7F, 0x49, 0x82, 0x01, 0x09, 0x81, 0x82, 0x01, 0x00]);
    card.expect("0046818400", 0x6700);
}

#[test]
fn certificate_files_hold_the_certificates() {
    use der::Encode;
    for (mut card, select, sfid, name) in [
        (hpc_p384(), P384_QES, "86", "C.HP.QES.E384"),
        (hba(), HBA_ESIGN, "81", "C.HP.AUT.R2048"),
        (egk(), HBA_ESIGN, "84", "C.CH.AUT.E256"),
    ] {
        let body = card.all_ok(&[select, &format!("00B0{sfid}00000000")]);
        assert_eq!(body, certificate(card.directory.path(), name).to_der().unwrap());
    }
}

#[test]
fn each_signature_is_counted_on_disk() {
    let mut card = hba();
    card.all_ok(&[HBA_QES, VERIFY_QES, "002241B606840186800100", &sign(&[7; 32]), &sign(&[8; 32])]);
    card.reopen();
    assert_eq!(card.card().image().signatures(), 2);
}
