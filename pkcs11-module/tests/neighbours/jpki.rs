//! The Japanese individual number card, whose certificate for signatures is seen after a login only.

use card_simulator::ProfileName;
use cryptoki::error::RvError;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::ObjectClass;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, Check, certificate, key, login, object, objects, openssl_accepts, rv};

const TEXT: &[u8] = b"The quick brown fox signs with a card.";
const PIN: &str = "1234";
const SIGN_PIN: &str = "ABC123";
const AUT: &str = "C.JPKI.AUT.R2048";
const SIG: &str = "C.JPKI.SIG.R2048";

fn digest_info(digest: &[u8]) -> Vec<u8> {
    [&hex::decode("3031300d060960864801650304020105000420").unwrap()[..], digest].concat()
}

#[test]
fn both_keys_sign_each_with_its_pin() {
    let bench = Bench::with(ProfileName::Jpki);
    let digest = Sha256::digest(TEXT);
    let session = bench.logged_in(bench.esign(), PIN);
    let signature = session.sign(&Mechanism::Sha256RsaPkcs, key(&session, AUT), TEXT).unwrap();
    assert!(openssl_accepts(&certificate(&session, AUT), &Check::Pkcs1("sha256"), &digest, &signature));
    drop(session);
    let session = bench.logged_in(bench.qes(), SIGN_PIN);
    let signature = session.sign(&Mechanism::RsaPkcs, key(&session, SIG), &digest_info(&digest)).unwrap();
    assert!(openssl_accepts(&certificate(&session, SIG), &Check::Pkcs1("sha256"), &digest, &signature));
}

#[test]
fn the_certificate_for_signatures_comes_with_the_login_and_goes_with_the_logout() {
    let bench = Bench::with(ProfileName::Jpki);
    let session = bench.session(bench.qes());
    assert!(session.find_objects(&[]).unwrap().is_empty(), "nothing is known before");
    let mechanisms = bench.module.get_mechanism_list(bench.qes()).unwrap();
    assert!(mechanisms.contains(&MechanismType::RSA_PKCS), "what the key can do is");
    login(&session, UserType::User, SIGN_PIN).unwrap();
    let shown = object(&session, ObjectClass::CERTIFICATE, SIG);
    assert_eq!(session.find_objects(&[]).unwrap().len(), 3);
    session.logout().unwrap();
    assert!(objects(&session, ObjectClass::CERTIFICATE, SIG).is_empty());
    login(&session, UserType::User, SIGN_PIN).unwrap();
    let anew = object(&session, ObjectClass::CERTIFICATE, SIG);
    assert_ne!(shown, anew, "handles of private objects end with the logout");
    let (_, cost) = bench.cost(|| certificate(&session, SIG));
    assert_eq!(cost, 0, "it was read once");
}

#[test]
fn an_authentication_does_not_show_the_other_certificate() {
    let bench = Bench::with(ProfileName::Jpki);
    let _authentication = bench.logged_in(bench.esign(), PIN);
    let session = bench.session(bench.qes());
    assert!(session.find_objects(&[]).unwrap().is_empty());
}

#[test]
fn further_authentications_cost_one_command_each() {
    let bench = Bench::with(ProfileName::Jpki);
    let session = bench.logged_in(bench.esign(), PIN);
    let info = digest_info(&Sha256::digest(TEXT));
    let handle = key(&session, AUT);
    let (_, first) = bench.cost(|| session.sign(&Mechanism::RsaPkcs, handle, &info).unwrap());
    let (_, second) = bench.cost(|| session.sign(&Mechanism::RsaPkcs, handle, &info).unwrap());
    assert_eq!((first, second), (2, 1), "the key is selected once");
}

#[test]
fn one_login_is_one_signature() {
    let bench = Bench::with(ProfileName::Jpki);
    let session = bench.logged_in(bench.qes(), SIGN_PIN);
    let info = digest_info(&Sha256::digest(TEXT));
    session.sign(&Mechanism::RsaPkcs, key(&session, SIG), &info).unwrap();
    let again = session.sign(&Mechanism::RsaPkcs, key(&session, SIG), &info);
    assert_eq!(rv(again), RvError::UserNotLoggedIn);
}

#[test]
fn a_pin_that_cannot_be_one_costs_no_try_and_a_wrong_one_costs_one() {
    let bench = Bench::with(ProfileName::Jpki);
    let tries = |pin: &str| {
        let summary = bench.reader.inspect(|card| card.image().summary()).unwrap();
        summary.passwords.iter().find(|password| password.path.ends_with(pin)).unwrap().tries
    };
    let session = bench.session(bench.qes());
    for (pin, expected) in [
        ("ABC12", RvError::PinLenRange),
        ("abc123", RvError::PinInvalid),
        ("ABCDEFGH123456789", RvError::PinLenRange),
    ] {
        assert_eq!(rv(login(&session, UserType::User, pin)), expected, "{pin}");
    }
    assert_eq!(tries("PIN.SIG"), 5);
    assert_eq!(rv(login(&session, UserType::User, "XYZ999")), RvError::PinIncorrect);
    assert_eq!((tries("PIN.SIG"), tries("PIN.AUT")), (4, 3));
    let other = bench.session(bench.esign());
    assert_eq!(rv(login(&other, UserType::User, "ABC123")), RvError::PinLenRange);
}

#[test]
fn a_pin_is_changed_and_nobody_is_logged_in_by_that() {
    let bench = Bench::with(ProfileName::Jpki);
    let session = bench.module.open_rw_session(bench.qes()).unwrap();
    let pin = |text: &str| AuthPin::new(text.to_owned().into());
    assert_eq!(rv(session.set_pin(&pin("WRONG1"), &pin("XYZ999"))), RvError::PinIncorrect);
    session.set_pin(&pin(SIGN_PIN), &pin("XYZ999")).unwrap();
    assert!(session.find_objects(&[]).unwrap().is_empty());
    assert_eq!(rv(login(&session, UserType::User, SIGN_PIN)), RvError::PinIncorrect);
    login(&session, UserType::User, "XYZ999").unwrap();
}
