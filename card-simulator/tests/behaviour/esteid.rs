//! The Estonian ID card, asked what a real one was asked in the published dialogues with it.

use crate::cards::*;
use card_simulator::ProfileName;
use ecdsa::VerifyingKey;
use ecdsa::signature::hazmat::PrehashVerifier;
use p384::NistP384;
use pkcs8::DecodePublicKey;

const MAIN: &str = "00A4040C10 A000000077010800070000FE00000100";
const AWP: &str = "00A4040C0D E828BD080FF2504F5420415750";
const QSCD: &str = "00A4040C10 51534344204170706C69636174696F6E";
const KEY1: &str = "002241A406 800104 840181";
const KEY2: &str = "002241B606 800154 84019F";
const PIN1: &str = "002000010C 313233343536FFFFFFFFFFFF";
const PIN2: &str = "002000850C 323334353637FFFFFFFFFFFF";
const WRONG_PIN2: &str = "002000850C 3939393939FFFFFFFFFFFFFF";
const PUK: &str = "002000020C 3132333435363738FFFFFFFF";
const DIGEST: &str =
    "86255FA2C36E4B30969EAE17DC34C772CBEBDFC58B58403900BE87614EB1A34B8780263F255EB5E65CA9BBB8641CCCFE";

fn esteid() -> TestCard {
    TestCard::issue(&new_card(ProfileName::Esteid))
}

fn assert_signed(card: &TestCard, name: &str, signature: &[u8]) {
    use der::Encode;
    let certificate = certificate(card.directory.path(), name);
    let info = certificate.tbs_certificate().subject_public_key_info().to_der().unwrap();
    let key = VerifyingKey::<NistP384>::from_public_key_der(&info).unwrap();
    let signature = ecdsa::Signature::from_slice(signature).unwrap();
    key.verify_prehash(&bytes(DIGEST), &signature).unwrap();
}

#[test]
fn the_published_dialogues_work_to_their_signatures() {
    let mut card = esteid();
    let fcp = card.all_ok(&[MAIN, "00A4090404 ADF13401 00"]);
    assert_eq!(hex::encode_upper(&fcp[..4]), "62048002");
    let certificate = card.all_ok(&["00B00000C0"]);
    assert_eq!((certificate.len(), &certificate[..2]), (192, &[0x30, 0x82][..]));
    let tries = card.all_ok(&[MAIN, "00CB3FFF0A 4D087006BF810102A080 00"]);
    let expected = "701EBF81011AA0189A01039B0103A1108C06F300007343009C06F30000734300";
    assert_eq!(hex::encode_upper(tries), expected, "byte for byte what a real card said");
    let signature = card.all_ok(&[AWP, KEY1, PIN1, &format!("0088000030 {DIGEST} 00")]);
    assert_signed(&card, "C.ID.AUT.P384", &signature);
    card.all_ok(&[QSCD, "00CB3FFF0A 4D087006BF810502A080 00"]);
    let signature = card.all_ok(&[QSCD, KEY2, PIN2, &format!("002A9E9A30 {DIGEST} 00")]);
    assert_signed(&card, "C.ID.SIG.P384", &signature);
}

#[test]
fn one_entry_of_pin2_is_one_signature_and_of_pin1_many() {
    let mut card = esteid();
    let sign = format!("002A9E9A30 {DIGEST} 00");
    card.all_ok(&[QSCD, KEY2, PIN2, &sign]);
    card.expect(&sign, 0x6982);
    let authenticate = format!("0088000030 {DIGEST} 00");
    card.all_ok(&[AWP, KEY1, PIN1, &authenticate, &authenticate]);
    card.all_ok(&[AWP, KEY1]);
    card.expect(&authenticate, 0x6982);
}

#[test]
fn keys_belong_to_their_application_and_their_use() {
    let mut card = esteid();
    card.expect(KEY1, 0x6A88);
    card.all_ok(&[AWP]);
    card.expect(KEY2, 0x6A88);
    card.expect("002241B606 800154 840181", 0x6A81);
    card.expect("002241A406 800102 840181", 0x6A81);
    card.expect(PIN2, 0x6A88);
    card.all_ok(&[KEY1, PIN1]);
    card.expect("0088000020 0000000000000000000000000000000000000000000000000000000000000000 00", 0x6A80);
}

#[test]
fn the_authentication_key_agrees_on_a_secret_with_another() {
    use elliptic_curve::sec1::ToSec1Point;
    use elliptic_curve::{PublicKey, SecretKey};
    let mut card = esteid();
    let other = SecretKey::<NistP384>::from_slice(&[0x42; 48]).unwrap();
    let point = hex::encode(other.public_key().to_sec1_point(false).as_bytes());
    let agree = format!("002A808662 00{point} 00");
    card.all_ok(&[AWP, "002241B806 80010B 840181"]);
    card.expect(&agree, 0x6982);
    let secret = card.all_ok(&[PIN1, &agree]);
    let own = PublicKey::<NistP384>::from_public_key_der(&public_key(card.directory.path(), "C.ID.AUT.P384"));
    let expected = elliptic_curve::ecdh::diffie_hellman(other.to_nonzero_scalar(), own.unwrap().as_affine());
    assert_eq!(secret, expected.raw_secret_bytes().to_vec());
    card.expect(&format!("002A808662 01{point} 00"), 0x6A80);
    card.expect(&format!("002A808662 0004{} 00", "11".repeat(96)), 0x6A80);
    card.all_ok(&[QSCD]);
    card.expect("002241B806 80010B 84019F", 0x6A81);
}

#[test]
fn a_blocked_pin_is_set_anew_after_the_puk() {
    let mut card = esteid();
    card.all_ok(&[QSCD]);
    card.expect("0020008506 323334353637", 0x6700);
    for word in [0x63C2, 0x63C1, 0x63C0, 0x6983] {
        card.expect(WRONG_PIN2, word);
    }
    card.expect("002C02850C 3736353433FFFFFFFFFFFFFF", 0x6982);
    card.all_ok(&[PUK, "002C02850C 3736353433FFFFFFFFFFFFFF", "002000850C 3736353433FFFFFFFFFFFFFF"]);
    card.expect("0024008518 3736353433FFFFFFFFFFFFFF 3736353433FFFFFFFFFFFFFF", 0x6985);
    card.all_ok(&["0024008518 3736353433FFFFFFFFFFFFFF 323334353637FFFFFFFFFFFF"]);
}

#[test]
fn personal_data_are_free_to_read() {
    let mut card = esteid();
    let read = |card: &mut TestCard, file: &str| {
        card.all_ok(&[&format!("00A4020C02 {file}")]);
        let (text, _) = card.send("00B0000000");
        String::from_utf8(text).unwrap()
    };
    card.all_ok(&["00A4000C", "00A4010C02 5000"]);
    assert_eq!(read(&mut card, "5001"), "BEISPIEL");
    assert_eq!(read(&mut card, "5006"), "47905040000");
    card.expect("00A4020C02 5099", 0x6A82);
}
