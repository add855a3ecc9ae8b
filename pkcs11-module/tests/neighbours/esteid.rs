//! The Estonian ID card through the module; signatures are judged by OpenSSL.

use card_simulator::ProfileName;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::UserType;
use sha2::{Digest, Sha384};

use crate::bench::{Bench, Check, PIN_CH, PIN_QES, WRONG_PIN, certificate, key, login, openssl_accepts, rv};

const TEXT: &[u8] = b"The quick brown fox signs with a card.";

#[test]
fn both_keys_sign_each_with_its_pin() {
    let bench = Bench::with(ProfileName::Esteid);
    let digest = Sha384::digest(TEXT);
    for (slot, pin, label) in
        [(bench.esign(), PIN_CH, "C.EST.AUT.P384"), (bench.qes(), PIN_QES, "C.EST.SIG.P384")]
    {
        let session = bench.logged_in(slot, pin);
        let signature = session.sign(&Mechanism::Ecdsa, key(&session, label), &digest).unwrap();
        assert!(
            openssl_accepts(&certificate(&session, label), &Check::Ecdsa, &digest, &signature),
            "{label}"
        );
    }
}

#[test]
fn one_entry_of_pin2_makes_one_signature() {
    let bench = Bench::with(ProfileName::Esteid);
    let session = bench.logged_in(bench.qes(), PIN_QES);
    let digest = Sha384::digest(TEXT);
    let handle = key(&session, "C.EST.SIG.P384");
    session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap();
    assert_eq!(rv(session.sign(&Mechanism::Ecdsa, handle, &digest)), RvError::UserNotLoggedIn);
}

#[test]
fn authentications_cost_one_command_each() {
    let bench = Bench::with(ProfileName::Esteid);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, "C.EST.AUT.P384");
    let digest = Sha384::digest(TEXT);
    let (_, first) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
    let (_, second) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
    assert_eq!((first, second), (2, 1), "the key is selected once");
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_puk_sets_another() {
    let bench = Bench::with(ProfileName::Esteid);
    let session = bench.module.open_rw_session(bench.qes()).unwrap();
    for expected in [RvError::PinIncorrect, RvError::PinIncorrect, RvError::PinLocked] {
        assert_eq!(rv(login(&session, UserType::User, WRONG_PIN)), expected);
    }
    login(&session, UserType::So, "12345678").unwrap();
    session.init_pin(&cryptoki::types::AuthPin::new("765432".into())).unwrap();
    session.logout().unwrap();
    login(&session, UserType::User, "765432").unwrap();
}
