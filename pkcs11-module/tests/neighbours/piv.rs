//! PIV cards through the module: the certificate says which kind of key there is, signatures are judged by OpenSSL.

use card_simulator::ProfileName;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::UserType;
use sha2::{Digest, Sha256, Sha384};

use crate::bench::{Bench, Check, PIN_CH, WRONG_PIN, certificate, key, login, openssl_accepts, rv};

const TEXT: &[u8] = b"The quick brown fox signs with a card.";

#[test]
fn elliptic_curve_keys_sign_with_their_own_lengths() {
    let bench = Bench::with(ProfileName::Piv);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let label = "C.PIV.AUT.P256";
    let signature = session.sign(&Mechanism::EcdsaSha256, key(&session, label), TEXT).unwrap();
    assert!(openssl_accepts(&certificate(&session, label), &Check::Ecdsa, &Sha256::digest(TEXT), &signature));
    drop(session);
    let session = bench.logged_in(bench.qes(), PIN_CH);
    let label = "C.PIV.SIG.P384";
    let digest = Sha384::digest(TEXT);
    let signature = session.sign(&Mechanism::Ecdsa, key(&session, label), &digest).unwrap();
    assert!(openssl_accepts(&certificate(&session, label), &Check::Ecdsa, &digest, &signature));
    assert_eq!(
        rv(session.sign(&Mechanism::Ecdsa, key(&session, label), &digest)),
        RvError::UserNotLoggedIn,
        "one PIN entry, one signature"
    );
}

#[test]
fn rsa_keys_sign_blocks_that_are_padded_here() {
    let bench = Bench::with(ProfileName::PivRsa);
    let label = "C.PIV.AUT.R2048";
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let signature = session.sign(&Mechanism::Sha256RsaPkcs, key(&session, label), TEXT).unwrap();
    let digest = Sha256::digest(TEXT);
    assert!(openssl_accepts(&certificate(&session, label), &Check::Pkcs1("sha256"), &digest, &signature));
}

#[test]
fn further_signatures_cost_one_command_each() {
    let bench = Bench::with(ProfileName::Piv);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let digest = Sha256::digest(TEXT);
    let handle = key(&session, "C.PIV.AUT.P256");
    let (_, first) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
    let (_, second) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
    assert_eq!((first, second), (1, 1));
}

#[test]
fn both_tokens_can_be_logged_in_at_once() {
    let bench = Bench::with(ProfileName::Piv);
    let authentication = bench.logged_in(bench.esign(), PIN_CH);
    let signature = bench.logged_in(bench.qes(), PIN_CH);
    let digest = Sha256::digest(TEXT);
    let other = key(&authentication, "C.PIV.AUT.P256");
    authentication.sign(&Mechanism::Ecdsa, other, &digest).unwrap();
    login(&signature, UserType::User, PIN_CH).unwrap_err();
    signature.logout().unwrap();
    login(&signature, UserType::User, PIN_CH).unwrap();
    let handle = key(&signature, "C.PIV.SIG.P384");
    signature.sign(&Mechanism::Ecdsa, handle, &Sha384::digest(TEXT)).unwrap();
    authentication.sign(&Mechanism::Ecdsa, other, &digest).unwrap();
}

#[test]
fn a_wrong_pin_costs_one_try() {
    let bench = Bench::with(ProfileName::Piv);
    let session = bench.session(bench.esign());
    assert_eq!(rv(login(&session, UserType::User, WRONG_PIN)), RvError::PinIncorrect);
    assert_eq!(rv(login(&session, UserType::User, "12345")), RvError::PinLenRange);
    let tries = bench.reader.inspect(|card| card.image().summary().passwords[0].tries).unwrap();
    assert_eq!(tries, 2);
}
