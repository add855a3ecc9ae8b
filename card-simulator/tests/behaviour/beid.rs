//! The Belgian eID cards, as a program with T=0 meets them.

use crate::cards::*;
use card_simulator::ProfileName;
use ecdsa::VerifyingKey;
use ecdsa::signature::hazmat::PrehashVerifier;
use p384::NistP384;
use pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384};

const APPLET: &str = "00A4040C0C A000000177504B43532D3135";
const PIN: &str = "0020000108 26123456FFFFFFFF";
const WRONG: &str = "0020000108 26999999FFFFFFFF";
const PUK: &str = "002C000108 2C123456789012FF";
const WRONG_PUK: &str = "002C000108 2C999999999999FF";
const LOG_OFF: &str = "80E60000";
const CARD_DATA: &str = "80E400001C";

fn new_beid() -> TestCard {
    TestCard::issue(&new_card(ProfileName::Beid18))
}

fn old_beid() -> TestCard {
    TestCard::issue(&new_card(ProfileName::Beid17))
}

fn key(algorithm: u8, reference: u8) -> String {
    format!("002241B605 0480{algorithm:02X}84{reference:02X}")
}

fn pso(input: &[u8]) -> String {
    format!("002A9E9A{:02X} {}", input.len(), hex::encode(input))
}

/// A file, as a reader with T=0 fetches it.
fn read(card: &mut TestCard, path: &str) -> Vec<u8> {
    card.all_ok(&[&format!("00A4080C{:02X} {path}", path.len() / 2)]);
    let mut content = Vec::new();
    loop {
        let offset = content.len();
        let (mut block, mut status) = card.send(&format!("00B0{offset:04X}00"));
        if status & 0xFF00 == 0x6C00 {
            (block, status) = card.send(&format!("00B0{offset:04X}{:02X}", status & 0xFF));
        }
        if status == 0x6B00 {
            return content;
        }
        assert_eq!(status, OK, "{path}");
        let last = block.len() < 256;
        content.extend(block);
        if last {
            return content;
        }
    }
}

/// A signature, fetched as the card announced it.
fn signed(card: &mut TestCard, input: &[u8]) -> Vec<u8> {
    let (data, status) = card.send(&pso(input));
    assert!(data.is_empty() && status & 0xFF00 == 0x6100, "{status:04X}");
    card.all_ok(&[&format!("00C00000{:02X}", status & 0xFF)])
}

fn verifies(card: &TestCard, name: &str, hash: &[u8], signature: &[u8]) -> bool {
    let key =
        VerifyingKey::<NistP384>::from_public_key_der(&public_key(card.directory.path(), name)).unwrap();
    key.verify_prehash(hash, &ecdsa::Signature::from_slice(signature).unwrap()).is_ok()
}

#[test]
fn answers_of_commands_with_data_are_fetched_and_lengths_have_to_be_right() {
    let mut card = new_beid();
    card.expect("80E4000000", 0x6C1C);
    card.expect("80E4000004", 0x6C1C);
    let data = card.all_ok(&[CARD_DATA]);
    assert_eq!((data.len(), data[21]), (28, 0x18));
    assert_eq!(old_beid().all_ok(&[CARD_DATA])[21], 0x17);
    card.all_ok(&[PIN, &key(0x40, 0x82)]);
    card.expect("00C0000060", 0x6985);
    card.expect(&pso(&[7; 48]), 0x6160);
    card.expect("00C0000000", 0x6C60);
    assert_eq!(card.all_ok(&["00C0000060"]).len(), 96);
    card.expect("00C0000060", 0x6985);
    // What is not fetched is gone with the next command.
    card.expect(&pso(&[7; 48]), 0x6160);
    card.all_ok(&[CARD_DATA]);
    card.expect("00C0000060", 0x6985);
    card.expect("00B00000000000", 0x6700);
    card.expect("80200001", 0x6E00);
    card.expect("00E400001C", 0x6E00);
    card.expect("80EA000101", 0x6D00);
}

#[test]
fn files_are_selected_by_path_and_read_without_a_pin() {
    let mut card = new_beid();
    for path in ["3F002F00", "3F00DF005031", "3F00DF005032", "3F00DF005035", "3F00DF01", "3F00"] {
        card.all_ok(&[&format!("00A4080C{:02X} {path}", path.len() / 2)]);
    }
    card.expect("00A4080C06 3F00DF005099", 0x6A82);
    card.expect("00A4080406 3F00DF005038", 0x6A86);
    card.expect("00A4000C02 3F00", 0x6A86);
    card.expect("00A4080C02 5031", 0x6A82);
    let certificate = read(&mut card, "3F00DF005038");
    assert_eq!(certificate[..2], [0x30, 0x82]);
    card.all_ok(&["00A4020C02 5039"]);
    let read_size = usize::from(u16::from_be_bytes([certificate[2], certificate[3]])) + 4;
    assert_eq!(certificate.len(), read_size);
    card.expect(&format!("00B0{read_size:04X}00"), 0x6B00);
}

#[test]
fn the_authentication_key_signs_as_often_as_wanted_after_one_pin() {
    let mut card = new_beid();
    let hash = Sha384::digest("challenge");
    card.all_ok(&[&key(0x40, 0x82)]);
    card.expect(&pso(&hash), 0x6982);
    card.all_ok(&[PIN]);
    for _ in 0..2 {
        let signature = signed(&mut card, &hash);
        assert!(verifies(&card, "C.ID.AUT.P384", &hash, &signature));
    }
    card.all_ok(&[LOG_OFF]);
    card.expect(&pso(&hash), 0x6982);
}

#[test]
fn the_signature_key_wants_the_pin_in_the_command_directly_before() {
    let mut card = new_beid();
    let hash = Sha384::digest("document");
    card.all_ok(&[PIN, &key(0x02, 0x83)]);
    card.expect(&pso(&hash), 0x6982);
    card.all_ok(&[PIN]);
    let signature = signed(&mut card, &hash);
    assert!(verifies(&card, "C.ID.SIG.P384", &hash, &signature));
    card.expect(&pso(&hash), 0x6982);
    card.all_ok(&[PIN, CARD_DATA]);
    card.expect(&pso(&hash), 0x6982);
}

#[test]
fn each_algorithm_takes_digests_of_its_length() {
    let mut card = new_beid();
    card.all_ok(&[PIN]);
    for (algorithm, length) in [(0x01, 32), (0x02, 48), (0x04, 64), (0x08, 32), (0x10, 48), (0x20, 64)] {
        card.all_ok(&[&key(algorithm, 0x82)]);
        card.expect(&pso(&vec![5; length]), 0x6160);
        card.expect(&pso(&vec![5; length - 1]), 0x6A80);
    }
    let short = Sha256::digest("short");
    card.all_ok(&[&key(0x01, 0x82)]);
    let signature = signed(&mut card, &short);
    let padded = [&[0; 16], short.as_slice()].concat();
    assert!(verifies(&card, "C.ID.AUT.P384", &padded, &signature));
    card.expect(&key(0x03, 0x82), 0x6A81);
    card.expect(&key(0x40, 0x81), 0x6A88);
    card.expect("002241B604 80408482", 0x6A80);
    card.expect("0022 41A4 05 0480408482", 0x6A86);
}

#[test]
fn the_older_card_signs_a_digest_info_with_rsa() {
    let mut card = old_beid();
    let public = |name: &str, card: &TestCard| {
        RsaPublicKey::from_public_key_der(&public_key(card.directory.path(), name)).unwrap()
    };
    let hash = Sha256::digest("document");
    let info = [&bytes("3031300D060960864801650304020105000420")[..], &hash].concat();
    card.all_ok(&[&key(0x01, 0x83), PIN]);
    card.expect(&pso(&info), 0x6100);
    let signature = card.all_ok(&["00C0000000"]);
    let sig_key = public("C.ID.SIG.R2048", &card);
    sig_key.verify(Pkcs1v15Sign::new::<Sha256>(), &hash, &signature).unwrap();
    // SHA-1: the card knows the rest of the DigestInfo.
    card.all_ok(&[&key(0x02, 0x82), PIN]);
    let signature = signed(&mut card, &[9; 20]);
    let prefix = bytes("3021300906052B0E03021A05000414");
    let aut_key = public("C.ID.AUT.R2048", &card);
    aut_key.verify(Pkcs1v15Sign::new_unprefixed(), &[&prefix[..], &[9; 20]].concat(), &signature).unwrap();
    card.expect(&pso(&[9; 21]), 0x6A80);
    card.expect(&key(0x40, 0x82), 0x6A81);
}

#[test]
fn a_blocked_pin_is_the_same_again_after_the_puk() {
    let mut card = new_beid();
    for word in [0x63C2, 0x63C1, 0x63C0, 0x6983] {
        card.expect(WRONG, word);
    }
    card.expect(WRONG_PUK, 0x63CB);
    card.all_ok(&[PUK, PIN]);
    card.expect("0024000110 26123456FFFFFFFF 23123FFFFFFFFFFF", 0x6A80);
    card.all_ok(&["0024000110 26123456FFFFFFFF 241234FFFFFFFFFF", "0020000108 241234FFFFFFFFFF"]);
    card.expect("0020000208 26123456FFFFFFFF", 0x6A88);
    card.expect("0020000107 26123456FFFFFF", 0x6700);
}

#[test]
fn selecting_the_applet_ends_the_login() {
    let mut card = new_beid();
    card.all_ok(&[&key(0x40, 0x82), PIN, APPLET]);
    card.expect(&pso(&[1; 48]), 0x6985);
    card.all_ok(&[&key(0x40, 0x82)]);
    card.expect(&pso(&[1; 48]), 0x6982);
}

#[test]
fn the_national_register_signs_identity_and_address() {
    use der::{Decode, Encode};
    let mut card = new_beid();
    let register = x509_cert::Certificate::from_der(&read(&mut card, "3F00DF00503C")).unwrap();
    let info = register.tbs_certificate().subject_public_key_info().to_der().unwrap();
    let key = VerifyingKey::<NistP384>::from_public_key_der(&info).unwrap();
    let identity = read(&mut card, "3F00DF014031");
    let identity_signature = read(&mut card, "3F00DF014032");
    let address = read(&mut card, "3F00DF014033");
    let address_signature = read(&mut card, "3F00DF014034");
    let photo = read(&mut card, "3F00DF014035");
    let check = |data: &[u8], signature: &[u8]| {
        // DER, filled with zeros.
        let signature = &signature[..2 + usize::from(signature[1])];
        let signature = ecdsa::Signature::from_der(signature).unwrap();
        key.verify_prehash(&Sha384::digest(data), &signature).unwrap();
    };
    check(&identity, &identity_signature);
    let end = address.iter().position(|byte| *byte == 0).unwrap();
    assert!(end > 20 && address[end..].iter().all(|byte| *byte == 0));
    check(&[&address[..end], &identity_signature].concat(), &address_signature);
    assert!(identity.ends_with(&Sha384::digest(&photo)));
    assert_eq!(photo[..2], [0xFF, 0xD8]);
}

#[test]
fn only_the_newer_identity_file_begins_with_the_version_of_its_structure() {
    assert_eq!(read(&mut new_beid(), "3F00DF014031")[..4], [0x00, 0x02, 0x00, 0x02]);
    assert_eq!(read(&mut old_beid(), "3F00DF014031")[..2], [0x01, 12]);
    for mut card in [old_beid(), new_beid()] {
        assert_eq!(read(&mut card, "3F00DF014033")[0], 0x01, "the address has no version");
    }
}
