//! Belgian eID cards of both applets.

use card_simulator::ProfileName;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::UserType;
use sha2::{Digest, Sha256, Sha384};

use crate::bench::{Bench, Check, PIN_CH, WRONG_PIN, certificate, key, login, openssl_accepts, rv};

const TEXT: &[u8] = b"The quick brown fox signs with a card.";

#[test]
fn both_keys_of_the_newer_card_sign_on_p384() {
    let bench = Bench::with(ProfileName::Beid18);
    let digest = Sha384::digest(TEXT);
    for (slot, label) in [(bench.esign(), "C.BE.AUT.P384"), (bench.qes(), "C.BE.SIG.P384")] {
        let session = bench.logged_in(slot, PIN_CH);
        let signature = session.sign(&Mechanism::Ecdsa, key(&session, label), &digest).unwrap();
        assert!(
            openssl_accepts(&certificate(&session, label), &Check::Ecdsa, &digest, &signature),
            "{label}"
        );
    }
}

#[test]
fn both_keys_of_the_older_card_sign_with_rsa() {
    let bench = Bench::with(ProfileName::Beid17);
    let digest = Sha256::digest(TEXT);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let label = "C.BE.AUT.R2048";
    let signature = session.sign(&Mechanism::Sha256RsaPkcs, key(&session, label), TEXT).unwrap();
    assert!(openssl_accepts(&certificate(&session, label), &Check::Pkcs1("sha256"), &digest, &signature));
    drop(session);
    let session = bench.logged_in(bench.qes(), PIN_CH);
    let label = "C.BE.SIG.R2048";
    let info = [&hex::decode("3031300d060960864801650304020105000420").unwrap()[..], &digest].concat();
    let signature = session.sign(&Mechanism::RsaPkcs, key(&session, label), &info).unwrap();
    assert!(openssl_accepts(&certificate(&session, label), &Check::Pkcs1("sha256"), &digest, &signature));
}

#[test]
fn the_key_is_chosen_before_the_pin_so_that_a_signature_follows_it_directly() {
    let bench = Bench::with(ProfileName::Beid18);
    let session = bench.session(bench.qes());
    let handle_before = session.find_objects(&[]).unwrap().len();
    bench.reader.take_trace();
    login(&session, UserType::User, PIN_CH).unwrap();
    let digest = Sha384::digest(TEXT);
    session.sign(&Mechanism::Ecdsa, key(&session, "C.BE.SIG.P384"), &digest).unwrap();
    let trace = bench.reader.take_trace();
    let sent: Vec<_> = trace.iter().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let heads: Vec<_> = sent.iter().map(|command| &command[..8]).collect();
    assert_eq!(heads[..5], ["00A4080C", "002241B6", "00200001", "002A9E9A", "00C00000"], "{sent:?}");
    assert!(session.find_objects(&[]).unwrap().len() > handle_before);
    let again = session.sign(&Mechanism::Ecdsa, key(&session, "C.BE.SIG.P384"), &digest);
    assert_eq!(rv(again), RvError::UserNotLoggedIn, "one PIN entry, one signature");
}

#[test]
fn authentications_cost_one_command_each_and_the_fetching_of_its_answer() {
    let bench = Bench::with(ProfileName::Beid18);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, "C.BE.AUT.P384");
    let digest = Sha384::digest(TEXT);
    let (_, first) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
    let (_, second) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
    assert_eq!((first, second), (3, 2), "the key is selected once");
}

#[test]
fn an_authentication_between_pin_and_signature_costs_the_signature_its_pin() {
    let bench = Bench::with(ProfileName::Beid18);
    let authentication = bench.logged_in(bench.esign(), PIN_CH);
    let signature = bench.logged_in(bench.qes(), PIN_CH);
    let digest = Sha384::digest(TEXT);
    let aut = key(&authentication, "C.BE.AUT.P384");
    authentication.sign(&Mechanism::Ecdsa, aut, &digest).unwrap();
    let sig = key(&signature, "C.BE.SIG.P384");
    assert_eq!(rv(signature.sign(&Mechanism::Ecdsa, sig, &digest)), RvError::UserNotLoggedIn);
    login(&signature, UserType::User, PIN_CH).unwrap();
    let sig = key(&signature, "C.BE.SIG.P384");
    let made = signature.sign(&Mechanism::Ecdsa, sig, &digest).unwrap();
    let certificate = certificate(&signature, "C.BE.SIG.P384");
    assert!(openssl_accepts(&certificate, &Check::Ecdsa, &digest, &made));
    authentication.sign(&Mechanism::Ecdsa, aut, &digest).unwrap();
}

#[test]
fn logging_out_ends_the_login_on_the_card() {
    let bench = Bench::with(ProfileName::Beid18);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    bench.reader.take_trace();
    session.logout().unwrap();
    let trace = bench.reader.take_trace();
    assert!(trace.iter().any(|line| line.contains("80E60000")), "{trace:?}");
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_puk_gives_them_back() {
    let bench = Bench::with(ProfileName::Beid18);
    let session = bench.module.open_rw_session(bench.esign()).unwrap();
    assert_eq!(rv(login(&session, UserType::User, "123")), RvError::PinLenRange);
    for expected in [RvError::PinIncorrect, RvError::PinIncorrect, RvError::PinLocked] {
        assert_eq!(rv(login(&session, UserType::User, WRONG_PIN)), expected);
    }
    login(&session, UserType::So, "123456789012").unwrap();
    session.init_pin(&cryptoki::types::AuthPin::new(PIN_CH.into())).unwrap();
    session.logout().unwrap();
    login(&session, UserType::User, PIN_CH).unwrap();
    session
        .set_pin(&cryptoki::types::AuthPin::new(PIN_CH.into()), &cryptoki::types::AuthPin::new("4321".into()))
        .unwrap();
    session.logout().unwrap();
    login(&session, UserType::User, "4321").unwrap();
}
