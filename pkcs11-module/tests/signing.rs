//! Signatures of simulated cards, judged by OpenSSL, and the commands they cost.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use card_simulator::{NewCard, ProfileName};
use cryptoki::error::RvError;
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::session::{Session, UserType};
use sha2::{Digest, Sha256, Sha384, Sha512};

mod bench;
mod module;

use bench::{Bench, Check, PIN_CH, PIN_QES, certificate, key, login, openssl_accepts, rv};

fn pss() -> PkcsPssParams {
    PkcsPssParams { hash_alg: MechanismType::SHA256, mgf: PkcsMgfType::MGF1_SHA256, s_len: 32.into() }
}

/// Signs in parts: for raw mechanisms too, and without a length query.
fn sign(session: &Session, mechanism: &Mechanism<'_>, label: &str, data: &[u8]) -> Vec<u8> {
    session.sign_init(mechanism, key(session, label)).unwrap();
    let (first, second) = data.split_at(data.len() / 3);
    session.sign_update(first).unwrap();
    session.sign_update(second).unwrap();
    session.sign_final().unwrap()
}

const TEXT: &[u8] = b"The quick brown fox signs with a card.";

#[test]
fn every_mechanism_makes_signatures_that_openssl_accepts() {
    let (sha256, sha384, sha512) = (Sha256::digest(TEXT), Sha384::digest(TEXT), Sha512::digest(TEXT));
    for (profile, curve) in [(ProfileName::HpcP384, "E384"), (ProfileName::HbaG21, "E256")] {
        let bench = Bench::with(profile);
        let session = bench.logged_in(bench.esign(), PIN_CH);
        let ec = format!("C.HP.AUT.{curve}");
        let ec_certificate = certificate(&session, &ec);
        for (mechanism, digest) in [
            (Mechanism::EcdsaSha256, &sha256[..]),
            (Mechanism::EcdsaSha384, &sha384[..]),
            (Mechanism::EcdsaSha512, &sha512[..]),
        ] {
            for (mechanism, data) in [(&mechanism, TEXT), (&Mechanism::Ecdsa, digest)] {
                let signature = sign(&session, mechanism, &ec, data);
                assert!(openssl_accepts(&ec_certificate, &Check::Ecdsa, digest, &signature), "{mechanism:?}");
            }
        }
        let rsa = "C.HP.AUT.R2048";
        let rsa_certificate = certificate(&session, rsa);
        for (mechanism, hash, digest) in [
            (Mechanism::Sha256RsaPkcs, "sha256", &sha256[..]),
            (Mechanism::Sha384RsaPkcs, "sha384", &sha384[..]),
            (Mechanism::Sha512RsaPkcs, "sha512", &sha512[..]),
        ] {
            let signature = sign(&session, &mechanism, rsa, TEXT);
            assert!(openssl_accepts(&rsa_certificate, &Check::Pkcs1(hash), digest, &signature), "{hash}");
        }
        let prefix = hex::decode("3031300d060960864801650304020105000420").unwrap();
        let info = [prefix.as_slice(), &sha256].concat();
        let raw = sign(&session, &Mechanism::RsaPkcs, rsa, &info);
        assert!(openssl_accepts(&rsa_certificate, &Check::Pkcs1("sha256"), &sha256, &raw));
        for (mechanism, data) in
            [(Mechanism::RsaPkcsPss(pss()), &sha256[..]), (Mechanism::Sha256RsaPkcsPss(pss()), TEXT)]
        {
            let signature = sign(&session, &mechanism, rsa, data);
            assert!(openssl_accepts(&rsa_certificate, &Check::Pss, &sha256, &signature), "{mechanism:?}");
        }
    }
}

#[test]
fn qes_keys_sign_after_a_login_each() {
    for (profile, ec) in [(ProfileName::HpcP384, "C.HP.QES.E384"), (ProfileName::HbaG21, "C.HP.QES.E256")] {
        let bench = Bench::with(profile);
        let digest = Sha256::digest(TEXT);
        let session = bench.logged_in(bench.qes(), PIN_QES);
        let signature = sign(&session, &Mechanism::Ecdsa, ec, &digest);
        assert!(openssl_accepts(&certificate(&session, ec), &Check::Ecdsa, &digest, &signature));
        login(&session, UserType::User, PIN_QES).unwrap();
        let rsa = "C.HP.QES.R2048";
        let signature = sign(&session, &Mechanism::RsaPkcsPss(pss()), rsa, &digest);
        assert!(openssl_accepts(&certificate(&session, rsa), &Check::Pss, &digest, &signature));
    }
}

#[test]
fn digests_of_any_length_serve_any_curve() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let certificate = certificate(&session, "C.HP.AUT.E384");
    let handle = key(&session, "C.HP.AUT.E384");
    for length in [16, 20, 28, 32, 47, 48, 49, 64] {
        let digest = vec![0xA5; length];
        let signature = session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap();
        assert!(openssl_accepts(&certificate, &Check::Ecdsa, &digest, &signature), "{length} bytes");
    }
    assert_eq!(rv(session.sign(&Mechanism::Ecdsa, handle, &[])), RvError::DataLenRange);
}

#[test]
fn p384_signature_puts_the_founding_command_on_the_wire() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.qes(), PIN_QES);
    let digest = Sha384::digest(TEXT);
    bench.reader.take_trace();
    session.sign(&Mechanism::Ecdsa, key(&session, "C.HP.QES.E384"), &digest).unwrap();
    let trace = bench.reader.take_trace().join("\n").replace(' ', "").to_uppercase();
    let expected = format!("002A9E9A30{}00", hex::encode_upper(digest));
    assert!(trace.contains(&expected), "{trace}");
    assert_eq!(trace.matches("2A9E9A").count(), 1, "{trace}");
}

#[test]
fn login_costs_at_most_three_commands_the_first_signature_two_and_every_further_one_one() {
    for profile in [ProfileName::HpcP384, ProfileName::HbaG21] {
        let ec = if profile == ProfileName::HpcP384 { "E384" } else { "E256" };
        let batch = "qes_batch = true";
        for (slot, pin, label) in
            [(0, PIN_CH, format!("C.HP.AUT.{ec}")), (1, PIN_QES, format!("C.HP.QES.{ec}"))]
        {
            let bench = Bench::configured(Some(NewCard::new(profile)), batch);
            let slot = bench.module.get_all_slots().unwrap()[slot];
            let session = bench.session(slot);
            let (_, cost) = bench.cost(|| login(&session, UserType::User, pin).unwrap());
            assert!(cost <= 3, "login: {cost}");
            let handle = key(&session, &label);
            let sign = || session.sign(&Mechanism::Ecdsa, handle, &[7; 32]).unwrap();
            let (_, cost) = bench.cost(sign);
            assert!(cost <= 2, "first signature: {cost}");
            for _ in 0..3 {
                assert_eq!(bench.cost(sign).1, 1, "further signature");
            }
        }
    }
}

#[test]
fn an_institutions_card_is_one_token_with_authentication_and_seals() {
    let bench = Bench::with(ProfileName::SmcB);
    let digest = Sha256::digest(TEXT);
    assert_eq!(bench.module.get_token_info(bench.esign()).unwrap().label(), "SMC-B ESIGN");
    assert_eq!(rv(bench.module.get_token_info(bench.qes())), RvError::TokenNotRecognized);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    for label in ["C.HCI.AUT.E256", "C.HCI.OSIG.E256"] {
        let handle = key(&session, label);
        let (signature, cost) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap());
        assert!(
            openssl_accepts(&certificate(&session, label), &Check::Ecdsa, &digest, &signature),
            "{label}"
        );
        assert!(cost <= 2, "{label}: {cost} commands");
        assert_eq!(bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap()).1, 1, "{label}");
    }
    let label = "C.HCI.AUT.R2048";
    let signature = sign(&session, &Mechanism::Sha256RsaPkcs, label, TEXT);
    let check = Check::Pkcs1("sha256");
    assert!(openssl_accepts(&certificate(&session, label), &check, &digest, &signature), "{label}");
    for label in ["C.HCI.AUT.R2048", "C.HCI.OSIG.R2048"] {
        let signature = sign(&session, &Mechanism::Sha256RsaPkcsPss(pss()), label, TEXT);
        assert!(openssl_accepts(&certificate(&session, label), &Check::Pss, &digest, &signature), "{label}");
    }
}

/// With the end of the PIN state: SELECT of the MF, or reset of the channel and SELECT for the next login.
#[test]
fn single_qes_signatures_cost_five_commands_each() {
    for (profile, label, costs) in
        [(ProfileName::HpcP384, "C.HP.QES.E384", [2, 3]), (ProfileName::HbaG21, "C.HP.QES.E256", [1, 4])]
    {
        let bench = Bench::with(profile);
        let session = bench.session(bench.qes());
        for _ in 0..2 {
            let (_, pin) = bench.cost(|| login(&session, UserType::User, PIN_QES).unwrap());
            let handle = key(&session, label);
            let (_, sign) = bench.cost(|| session.sign(&Mechanism::Ecdsa, handle, &[7; 32]).unwrap());
            assert_eq!([pin, sign], costs, "{profile}");
        }
    }
}

#[test]
fn length_queries_leave_card_and_operation_alone() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, "C.HP.AUT.E384");
    // The client asks for the length first, then signs: one signature.
    let before = bench.signatures();
    assert_eq!(session.sign(&Mechanism::Ecdsa, handle, &[7; 48]).unwrap().len(), 96);
    assert_eq!(bench.signatures(), before + 1);
}

#[test]
fn wrong_mechanisms_keys_and_parameters_are_told_apart() {
    let bench = Bench::with(ProfileName::HbaG21);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let ec = key(&session, "C.HP.AUT.E256");
    let rsa = key(&session, "C.HP.AUT.R2048");
    let encryption = key(&session, "C.HP.ENC.R2048");
    let public = bench::object(&session, cryptoki::object::ObjectClass::PUBLIC_KEY, "C.HP.AUT.E256");
    let certificate = bench::object(&session, cryptoki::object::ObjectClass::CERTIFICATE, "C.HP.AUT.E256");
    let sha384 =
        PkcsPssParams { hash_alg: MechanismType::SHA384, mgf: PkcsMgfType::MGF1_SHA384, s_len: 48.into() };
    let cases = [
        (Mechanism::RsaPkcs, ec, RvError::KeyTypeInconsistent),
        (Mechanism::Ecdsa, rsa, RvError::KeyTypeInconsistent),
        (Mechanism::RsaPkcs, encryption, RvError::KeyFunctionNotPermitted),
        (Mechanism::Ecdsa, public, RvError::KeyFunctionNotPermitted),
        (Mechanism::Ecdsa, certificate, RvError::KeyHandleInvalid),
        (Mechanism::RsaPkcsPss(sha384), rsa, RvError::MechanismParamInvalid),
        (Mechanism::Sha1RsaPkcs, rsa, RvError::MechanismInvalid),
        (Mechanism::Sha256, rsa, RvError::MechanismInvalid),
    ];
    for (mechanism, key, expected) in cases {
        assert_eq!(rv(session.sign_init(&mechanism, key)), expected, "{mechanism:?}");
    }
    session.sign_init(&Mechanism::Ecdsa, ec).unwrap();
    assert_eq!(rv(session.sign_init(&Mechanism::Ecdsa, ec)), RvError::OperationActive);
}

#[test]
fn too_long_input_of_raw_pkcs1_never_reaches_the_card() {
    let bench = Bench::with(ProfileName::HbaG21);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let rsa = key(&session, "C.HP.AUT.R2048");
    let (refused, cost) = bench.cost(|| session.sign(&Mechanism::RsaPkcs, rsa, &[1; 103]));
    assert_eq!((rv(refused), cost), (RvError::DataLenRange, 0));
    session.sign(&Mechanism::RsaPkcs, rsa, &[1; 102]).unwrap();
}

#[test]
fn threads_with_sessions_of_their_own_sign_side_by_side() {
    let bench = Bench::with(ProfileName::HpcP384);
    let _login = bench.logged_in(bench.esign(), PIN_CH);
    let slot = bench.esign();
    let certificate = certificate(&_login, "C.HP.AUT.E384");
    std::thread::scope(|scope| {
        for number in 0..4u8 {
            let (bench, certificate) = (&bench, &certificate);
            scope.spawn(move || {
                let session = bench.session(slot);
                let handle = key(&session, "C.HP.AUT.E384");
                for round in 0..5 {
                    let digest = [number * 16 + round + 1; 48];
                    let signature = session.sign(&Mechanism::Ecdsa, handle, &digest).unwrap();
                    assert!(openssl_accepts(certificate, &Check::Ecdsa, &digest, &signature));
                }
            });
        }
    });
}

#[test]
fn digests_are_made_without_the_card() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.qes());
    let ((), cost) = bench.cost(|| {
        assert_eq!(session.digest(&Mechanism::Sha256, TEXT).unwrap(), Sha256::digest(TEXT).to_vec());
        session.digest_init(&Mechanism::Sha512).unwrap();
        session.digest_update(&TEXT[..5]).unwrap();
        assert_eq!(rv(session.digest_init(&Mechanism::Sha384)), RvError::OperationActive);
        session.digest_update(&TEXT[5..]).unwrap();
        assert_eq!(session.digest_final().unwrap(), Sha512::digest(TEXT).to_vec());
        assert_eq!(rv(session.digest_final()), RvError::OperationNotInitialized);
        assert_eq!(rv(session.digest_init(&Mechanism::Sha1)), RvError::MechanismInvalid);
    });
    assert_eq!(cost, 0);
}

#[test]
fn there_is_no_random_generator() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    assert_eq!(rv(session.generate_random_vec(8)), RvError::RandomNoRng);
    assert_eq!(rv(session.seed_random(&[1])), RvError::RandomNoRng);
}
