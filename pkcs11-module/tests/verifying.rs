//! Signatures checked by the module itself, and session copies of keys.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use card_simulator::ProfileName;
use cryptoki::error::RvError;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES, key, object, objects, rv};

const TEXT: &[u8] = b"The quick brown fox signs with a card.";

fn pss() -> PkcsPssParams {
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() }
}

/// Every mechanism with the label of a key for it and data it takes.
fn mechanisms(ec: &str) -> Vec<(Mechanism<'static>, String, Vec<u8>)> {
    let rsa = "C.HP.AUT.R2048";
    let of = |mechanism, label: &str, data: &[u8]| (mechanism, label.to_owned(), data.to_vec());
    vec![
        of(Mechanism::Ecdsa, ec, &[7; 48]),
        of(Mechanism::Ecdsa, ec, &[7; 20]),
        of(Mechanism::Ecdsa, ec, &[7; 64]),
        of(Mechanism::EcdsaSha256, ec, TEXT),
        of(Mechanism::EcdsaSha384, ec, TEXT),
        of(Mechanism::EcdsaSha512, ec, TEXT),
        of(Mechanism::RsaPkcs, rsa, TEXT),
        of(Mechanism::Sha256RsaPkcs, rsa, TEXT),
        of(Mechanism::Sha384RsaPkcs, rsa, TEXT),
        of(Mechanism::Sha512RsaPkcs, rsa, TEXT),
        of(Mechanism::RsaPkcsPss(pss()), rsa, &[7; 32]),
        of(Mechanism::Sha256RsaPkcsPss(pss()), rsa, TEXT),
    ]
}

#[test]
fn signatures_of_every_mechanism_are_checked_in_software() {
    for (profile, ec) in [(ProfileName::HpcP384, "C.HP.AUT.E384"), (ProfileName::HbaG21, "C.HP.AUT.E256")] {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), PIN_CH);
        for (mechanism, label, data) in mechanisms(ec) {
            let signature = session.sign(&mechanism, key(&session, &label), &data).unwrap();
            let public = object(&session, ObjectClass::PUBLIC_KEY, &label);
            let ((), cost) = bench.cost(|| {
                session.verify(&mechanism, public, &data, &signature).unwrap();
                session.verify_init(&mechanism, public).unwrap();
                let (first, second) = data.split_at(5);
                session.verify_update(first).unwrap();
                session.verify_update(second).unwrap();
                session.verify_final(&signature).unwrap();
                let mut other = data.clone();
                *other.first_mut().unwrap() ^= 1;
                let refused = session.verify(&mechanism, public, &other, &signature);
                assert_eq!(rv(refused), RvError::SignatureInvalid, "{mechanism:?}");
                let short = signature.get(1..).unwrap();
                let refused = session.verify(&mechanism, public, &data, short);
                assert_eq!(rv(refused), RvError::SignatureLenRange, "{mechanism:?}");
            });
            assert_eq!(cost, 0, "{mechanism:?}");
        }
    }
}

#[test]
fn checking_needs_no_login_and_the_right_key() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.qes(), PIN_QES);
    let qes = "C.HP.QES.E384";
    let signature = session.sign(&Mechanism::Ecdsa, key(&session, qes), &[9; 48]).unwrap();
    session.logout().unwrap();
    let public = object(&session, ObjectClass::PUBLIC_KEY, qes);
    session.verify(&Mechanism::Ecdsa, public, &[9; 48], &signature).unwrap();
    let certificate = object(&session, ObjectClass::CERTIFICATE, qes);
    let esign = bench.logged_in(bench.esign(), PIN_CH);
    let private = key(&esign, "C.HP.AUT.E384");
    let encryption = object(&esign, ObjectClass::PUBLIC_KEY, "C.HP.ENC.E384");
    let rsa = object(&esign, ObjectClass::PUBLIC_KEY, "C.HP.AUT.R2048");
    for (session, key, expected) in [
        (&session, certificate, RvError::KeyHandleInvalid),
        (&esign, public, RvError::KeyHandleInvalid),
        (&esign, private, RvError::KeyFunctionNotPermitted),
        (&esign, encryption, RvError::KeyFunctionNotPermitted),
        (&esign, rsa, RvError::KeyTypeInconsistent),
    ] {
        assert_eq!(rv(session.verify_init(&Mechanism::Ecdsa, key)), expected);
    }
    for kind in [MechanismType::ECDSA, MechanismType::SHA256_RSA_PKCS] {
        assert!(bench.module.get_mechanism_info(bench.esign(), kind).unwrap().verify());
    }
}

#[test]
fn a_copied_key_signs_like_the_key_it_is_a_copy_of() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let label = "C.HP.AUT.E384";
    let original = key(&session, label);
    let template =
        [Attribute::Token(false), Attribute::Label(b"mine".to_vec()), Attribute::Destroyable(true)];
    let copy = session.copy_object(original, &template).unwrap();
    assert_eq!(key(&session, "mine"), copy);
    let signature = session.sign(&Mechanism::EcdsaSha384, copy, TEXT).unwrap();
    let public = object(&session, ObjectClass::PUBLIC_KEY, label);
    session.verify(&Mechanism::EcdsaSha384, public, TEXT, &signature).unwrap();
    let ids = |handle| session.get_attributes(handle, &[AttributeType::Id, AttributeType::Token]).unwrap();
    assert_eq!(ids(copy), [Attribute::Id(vec![1]), Attribute::Token(false)]);
    let other = bench.session(bench.esign());
    assert_eq!(key(&other, "mine"), copy, "session objects belong to the token's sessions");
    session.destroy_object(copy).unwrap();
    assert!(objects(&session, ObjectClass::PRIVATE_KEY, "mine").is_empty());
    assert_eq!(rv(session.sign_init(&Mechanism::Ecdsa, copy)), RvError::KeyHandleInvalid);
}

#[test]
fn a_copy_promises_no_more_than_its_original() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let original = key(&session, "C.HP.AUT.E384");
    let session_object = Attribute::Token(false);
    for (attribute, expected) in [
        (Attribute::Token(true), RvError::TokenWriteProtected),
        (Attribute::Private(false), RvError::TemplateInconsistent),
        (Attribute::Sensitive(false), RvError::AttributeReadOnly),
        (Attribute::Extractable(true), RvError::AttributeReadOnly),
        (Attribute::Decrypt(true), RvError::AttributeReadOnly),
        (Attribute::Modulus(vec![1]), RvError::AttributeTypeInvalid),
    ] {
        let refused = session.copy_object(original, &[session_object.clone(), attribute.clone()]);
        assert_eq!(rv(refused), expected, "{attribute:?}");
    }
    assert_eq!(
        rv(session.copy_object(original, &[])),
        RvError::TokenWriteProtected,
        "it would be a token object"
    );
    let template = [session_object.clone(), Attribute::Copyable(false), Attribute::Destroyable(false)];
    let fixed = session.copy_object(original, &template).unwrap();
    assert_eq!(rv(session.copy_object(fixed, &[])), RvError::ActionProhibited);
    assert_eq!(rv(session.destroy_object(fixed)), RvError::ActionProhibited);
    let relabel = [Attribute::Label(b"other".to_vec())];
    assert_eq!(rv(session.update_attributes(fixed, &relabel)), RvError::ActionProhibited);
    assert_eq!(rv(session.update_attributes(original, &relabel)), RvError::SessionReadOnly);
    assert_eq!(rv(session.destroy_object(original)), RvError::SessionReadOnly);
    let writing = bench.module.open_rw_session(bench.esign()).unwrap();
    assert_eq!(rv(writing.update_attributes(original, &relabel)), RvError::TokenWriteProtected);
    assert_eq!(rv(writing.destroy_object(original)), RvError::TokenWriteProtected);
    let template = [session_object, Attribute::Modifiable(true)];
    let open = session.copy_object(original, &template).unwrap();
    session.update_attributes(open, &relabel).unwrap();
    assert_eq!(key(&session, "other"), open);
}

#[test]
fn copies_die_with_their_session_and_private_ones_at_logout() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let other = bench.session(bench.esign());
    let named = |name: &str| [Attribute::Token(false), Attribute::Label(name.as_bytes().to_vec())];
    session.copy_object(key(&session, "C.HP.AUT.E384"), &named("private")).unwrap();
    let public = object(&session, ObjectClass::PUBLIC_KEY, "C.HP.AUT.E384");
    session.copy_object(public, &named("public")).unwrap();
    session.logout().unwrap();
    assert!(objects(&other, ObjectClass::PRIVATE_KEY, "private").is_empty());
    assert_eq!(objects(&other, ObjectClass::PUBLIC_KEY, "public").len(), 1);
    drop(session);
    assert!(objects(&other, ObjectClass::PUBLIC_KEY, "public").is_empty());
}
