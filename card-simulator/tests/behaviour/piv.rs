//! PIV cards (NIST SP 800-73-4), as a program meets them.

use crate::cards::*;
use card_simulator::ProfileName;
use ecdsa::VerifyingKey;
use ecdsa::signature::hazmat::PrehashVerifier;
use pkcs8::DecodePublicKey;
use rsa::{Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384};

const SELECT: &str = "00A4040009 A00000030800001000 00";
const VERIFY: &str = "0020008008 313233343536FFFF";
const WRONG: &str = "0020008008 393939393939FFFF";
const TRIES: &str = "00200080";

fn piv() -> TestCard {
    TestCard::issue(&new_card(ProfileName::Piv))
}

fn get(tag: &str) -> String {
    format!("00CB3FFF 000005 5C03{tag} 0000")
}

fn authenticate(algorithm: u8, key: u8, tag: u8, data: &[u8]) -> String {
    let inner = format!("8200{tag:02X}{:02X}{}", data.len(), hex::encode(data));
    let template = format!("7C{:02X}{inner}", inner.len() / 2);
    format!("0087{algorithm:02X}{key:02X}{:02X}{template}00", template.len() / 2)
}

/// The value of 7C { 82 value }, whose lengths are one byte each.
fn response(answer: &[u8]) -> &[u8] {
    assert_eq!((answer[0], answer[2]), (0x7C, 0x82));
    &answer[4..]
}

#[test]
fn the_application_tells_its_properties_and_the_card_manager_knows_select_only() {
    let mut card = piv();
    card.expect(TRIES, 0x6D00);
    card.expect("00CB3FFF055C035FC10200", 0x6D00);
    let properties = card.all_ok(&[SELECT]);
    assert_eq!(hex::encode_upper(&properties[..4]), "61164F06");
    assert_eq!(hex::encode_upper(card.all_ok(&["00A4040000"])), "6F0A8408A000000151000000");
    card.expect("00A4040004 A0000003 00", 0x6A82);
    card.expect("00A4040009 A00000030800002000 00", 0x6A82);
    card.expect("00A4000C023F00", 0x6A86);
}

#[test]
fn objects_come_whole_or_in_pieces() {
    let mut card = piv();
    card.all_ok(&[SELECT]);
    let whole = card.all_ok(&[&get("5FC105")]);
    assert_eq!(whole[..2], [0x53, 0x82]);
    let certificate = {
        use der::Encode;
        certificate(card.directory.path(), "C.PIV.AUT.P256").to_der().unwrap()
    };
    assert_eq!(whole[8..8 + certificate.len()], certificate);
    let (mut pieces, mut status) = card.send("00CB3FFF055C035FC10500");
    while status >> 8 == 0x61 {
        let (piece, next) = card.send(&format!("00C00000{:02X}", status & 0xFF));
        pieces.extend(piece);
        status = next;
    }
    assert_eq!((pieces, status), (whole, OK));
    card.expect("00C0000000", 0x6985);
    card.expect(&get("5FC109"), 0x6A82);
    card.expect("00CB0000055C035FC10500", 0x6A86);
    assert_eq!(card.all_ok(&["00CB3FFF035C017E00"])[..2], [0x7E, 0x12]);
    assert_eq!(card.all_ok(&["00CB3FFF055C035FC10200"])[..4], [0x53, 0x3B, 0x30, 0x19]);
}

#[test]
fn wrong_pins_cost_tries_and_malformed_ones_do_not() {
    let mut card = piv();
    card.all_ok(&[SELECT]);
    card.expect(TRIES, 0x63C3);
    card.expect("0020008008 3132333435FFFFFF", 0x6A80);
    card.expect("0020008006 313233343536", 0x6A80);
    card.expect(TRIES, 0x63C3);
    card.expect(WRONG, 0x63C2);
    card.expect(VERIFY, OK);
    card.expect(TRIES, OK);
    card.expect("0020FF80", OK);
    card.expect(TRIES, 0x63C3);
    for left in [0x63C2, 0x63C1, 0x63C0] {
        card.expect(WRONG, left);
    }
    card.reopen();
    card.all_ok(&[SELECT]);
    card.expect(VERIFY, 0x6983);
    card.expect(TRIES, 0x6983);
}

#[test]
fn the_puk_unblocks_with_a_new_pin_and_a_right_one_has_all_its_tries_again() {
    let mut card = piv();
    card.all_ok(&[SELECT]);
    for _ in 0..3 {
        card.send(WRONG);
    }
    card.expect("002C008010 3939393939393939 363534333231FFFF", 0x63C2);
    card.expect("002C008010 3132333435363738 363534333231FFFF", OK);
    card.expect(VERIFY, 0x63C2);
    card.expect("0020008008 363534333231FFFF", OK);
    card.expect("0024008010 363534333231FFFF 3132333435FFFFFF", 0x6A80);
    card.expect("0024008010 363534333231FFFF 313233343536FFFF", OK);
    card.expect(VERIFY, OK);
    for left in [0x63C2, 0x63C1, 0x63C0] {
        card.expect("002C008010 3939393939393939 363534333231FFFF", left);
    }
    card.expect("002C008010 3132333435363738 363534333231FFFF", 0x6983);
}

#[test]
fn keys_sign_after_the_pin_and_the_signature_key_directly_after_it() {
    let mut card = piv();
    let (short, long) = (Sha256::digest("a"), Sha384::digest("b"));
    let (sign, qualified) = (authenticate(0x11, 0x9A, 0x81, &short), authenticate(0x14, 0x9C, 0x81, &long));
    card.all_ok(&[SELECT]);
    card.expect(&sign, 0x6982);
    let signature = card.all_ok(&[VERIFY, &sign]);
    let key = public_key(card.directory.path(), "C.PIV.AUT.P256");
    let key = VerifyingKey::<p256::NistP256>::from_public_key_der(&key).unwrap();
    key.verify_prehash(&short, &ecdsa::Signature::from_der(response(&signature)).unwrap()).unwrap();
    card.expect(&sign, OK);
    card.expect(&qualified, 0x6982);
    let signature = card.all_ok(&[VERIFY, &qualified]);
    let key = public_key(card.directory.path(), "C.PIV.SIG.P384");
    let key = VerifyingKey::<p384::NistP384>::from_public_key_der(&key).unwrap();
    key.verify_prehash(&long, &ecdsa::Signature::from_der(response(&signature)).unwrap()).unwrap();
    card.expect(&qualified, 0x6982);
    card.all_ok(&[VERIFY, TRIES]);
    card.expect(&qualified, 0x6982);
    card.expect(&authenticate(0x11, 0x9C, 0x81, &short), 0x6A86);
    card.expect(&authenticate(0x11, 0x9A, 0x81, &long), 0x6A80);
    card.expect(&authenticate(0x11, 0x9E, 0x81, &short), OK);
    let (challenge, _) = card.send("0087039B04 7C028100 00");
    assert_eq!((challenge.len(), challenge[..4].to_vec()), (12, vec![0x7C, 10, 0x81, 8]));
    card.expect("0087039B0C 7C0A82081122334455667788 00", 0x6982);
}

#[test]
fn an_rsa_key_takes_a_padded_block_in_chained_commands() {
    let mut card = TestCard::issue(&new_card(ProfileName::PivRsa));
    let hash = Sha256::digest("a");
    let info = [&hex::decode("3031300d060960864801650304020105000420").unwrap(), hash.as_slice()].concat();
    let block = [&[0, 1][..], &[0xFF; 202], &[0], &info].concat();
    let template =
        [&hex::decode("7C8201068200818201 00".replace(' ', "")).unwrap(), block.as_slice()].concat();
    card.all_ok(&[SELECT, VERIFY]);
    let first = format!("1087079CFF{}", hex::encode(&template[..255]));
    let last = format!("0087079C{:02X}{}00", template.len() - 255, hex::encode(&template[255..]));
    card.expect(&first, OK);
    let (answer, status) = card.send(&last);
    assert_eq!((answer.len(), status), (256, 0x6108));
    let rest = card.all_ok(&["00C0000008"]);
    let signature = [&answer[8..], &rest].concat();
    let key = public_key(card.directory.path(), "C.PIV.SIG.R2048");
    let key = RsaPublicKey::from_public_key_der(&key).unwrap();
    key.verify(Pkcs1v15Sign::new_unprefixed(), &info, &signature).unwrap();
}

#[test]
fn the_key_for_key_management_agrees_on_a_secret() {
    let mut card = TestCard::issue(&new_card(ProfileName::PivRsa));
    let own = p256::SecretKey::from_slice(&[7; 32]).unwrap();
    let point = own.public_key().to_sec1_bytes();
    let answer = card.all_ok(&[SELECT, VERIFY, &authenticate(0x11, 0x9D, 0x85, &point)]);
    let key = public_key(card.directory.path(), "C.PIV.KM.P256");
    let other = p256::PublicKey::from_public_key_der(&key).unwrap();
    let secret = p256::ecdh::diffie_hellman(own.to_nonzero_scalar(), other.as_affine());
    assert_eq!(response(&answer), secret.raw_secret_bytes().as_slice());
}
