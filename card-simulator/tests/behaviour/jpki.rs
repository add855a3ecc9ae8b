//! The Japanese individual number card, as OpenSC and MYNA meet it.

use crate::cards::*;
use card_simulator::ProfileName;
use pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256};

const JPKI: &str = "00A4040C0A D392F000260100000001";
const TEXT: &str = "00A4040C0A D3921000310001010408";
const PIN_FILE: &str = "00A4020C02 0018";
const SIGN_PIN_FILE: &str = "00A4020C02 001B";
const PIN: &str = "0020008004 31323334";
const SIGN_PIN: &str = "0020008006 414243313233";
const TRIES: &str = "00200080";
const KEY: &str = "00A4020C02 0017";
const SIGN_KEY: &str = "00A4020C02 001A";

fn jpki() -> TestCard {
    TestCard::issue(&new_card(ProfileName::Jpki))
}

fn digest_info() -> (Vec<u8>, Vec<u8>) {
    let hash = Sha256::digest("text").to_vec();
    ([&bytes("3031300D060960864801650304020105000420")[..], &hash].concat(), hash)
}

fn pso(info: &[u8]) -> String {
    format!("802A0080{:02X} {} 00", info.len(), hex::encode(info))
}

#[test]
fn both_keys_sign_a_digest_info_each_behind_its_pin() {
    let mut card = jpki();
    let (info, hash) = digest_info();
    for (file, pin, key, name) in
        [(PIN_FILE, PIN, KEY, "C.ID.AUT.R2048"), (SIGN_PIN_FILE, SIGN_PIN, SIGN_KEY, "C.ID.SIG.R2048")]
    {
        card.all_ok(&[JPKI, key]);
        card.expect(&pso(&info), 0x6982);
        let signature = card.all_ok(&[file, pin, key, &pso(&info)]);
        let public = RsaPublicKey::from_public_key_der(&public_key(card.directory.path(), name)).unwrap();
        public.verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &signature).unwrap();
    }
    card.expect(&pso(&[1; 103]), 0x6A80);
}

#[test]
fn the_signature_certificate_is_read_after_its_pin_only() {
    let mut card = jpki();
    card.all_ok(&[JPKI, "00A4020C02 000A"]);
    assert_eq!(card.all_ok(&["00B0000004"])[0], 0x30);
    card.all_ok(&["00A4020C02 0001"]);
    card.expect("00B0000004", 0x6982);
    card.all_ok(&[PIN_FILE, PIN, "00A4020C02 0001"]);
    card.expect("00B0000004", 0x6982);
    card.all_ok(&[SIGN_PIN_FILE, SIGN_PIN, "00A4020C02 0001"]);
    assert_eq!(card.all_ok(&["00B0000004"])[0], 0x30);
    card.all_ok(&[JPKI, "00A4020C02 0001"]);
    card.expect("00B0000004", 0x6982);
}

#[test]
fn tries_are_told_and_a_pin_that_is_not_selected_is_not_compared() {
    let mut card = jpki();
    card.all_ok(&[JPKI]);
    card.expect(PIN, 0x6986);
    card.all_ok(&[PIN_FILE]);
    card.expect(TRIES, 0x63C3);
    for word in [0x63C2, 0x63C1, 0x63C0, 0x6983] {
        card.expect("0020008004 39393939", word);
    }
    card.expect(PIN, 0x6983);
    card.all_ok(&[SIGN_PIN_FILE]);
    card.expect(TRIES, 0x63C5);
    card.expect("0020008006 616263313233", 0x63C4);
    card.all_ok(&[SIGN_PIN]);
    card.expect(TRIES, 0x63C5);
}

#[test]
fn a_pin_is_changed_after_it_was_entered() {
    let mut card = jpki();
    card.all_ok(&[JPKI, SIGN_PIN_FILE]);
    card.expect("0024018006 58595A393939", 0x6982);
    card.all_ok(&[SIGN_PIN]);
    card.expect("0024018005 58595A3939", 0x6A80);
    card.expect("0024018006 78797A393939", 0x6A80);
    card.all_ok(&["0024018006 58595A393939", JPKI, SIGN_PIN_FILE, "0020008006 58595A393939"]);
}

#[test]
fn the_text_application_opens_with_its_own_pin() {
    let mut card = jpki();
    card.expect("00A4020C02 0001", 0x6A82);
    card.all_ok(&[TEXT, "00A4020C02 0005"]);
    assert_eq!(card.send("00B0000000").1, 0x6282);
    card.all_ok(&["00A4020C02 0001"]);
    card.expect("00B0000011", 0x6982);
    card.all_ok(&["00A4020C02 0011", PIN, "00A4020C02 0001"]);
    let number = card.all_ok(&["00B0000011"]);
    assert_eq!((number.len(), &number[3..15]), (17, &b"123456789018"[..]));
    card.expect("00A4020C02 0018", 0x6A82);
}
