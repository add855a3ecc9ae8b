//! A professional's card reached by radio: with its access number in the configuration the module works as over contacts.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use card_simulator::{Interface, NewCard, ProfileName};
use cryptoki::mechanism::Mechanism;
use sha2::{Digest, Sha256};

mod bench;
mod module;

use bench::{Bench, Check, PIN_CH, PIN_QES, certificate, key, openssl_accepts};

#[test]
fn login_and_signatures_work_under_secure_messaging() {
    let card = NewCard::new(ProfileName::HbaG21);
    let bench = Bench::over(Interface::Contactless, Some(card), "can = \"123123\"");
    let digest = Sha256::digest("text");
    for (slot, pin, label) in
        [(bench.esign(), PIN_CH, "C.HP.AUT.E256"), (bench.qes(), PIN_QES, "C.HP.QES.E256")]
    {
        let session = bench.logged_in(slot, pin);
        let signature = session.sign(&Mechanism::Ecdsa, key(&session, label), &digest).unwrap();
        assert!(
            openssl_accepts(&certificate(&session, label), &Check::Ecdsa, &digest, &signature),
            "{label}"
        );
    }
    let sent = bench.reader.take_trace();
    let plain = sent.iter().filter(|line| !line.contains("  0C") && !line.contains("  8C")).count();
    assert_eq!(plain, 8, "SELECT of MF and EF.CardAccess, READ, MSE and four steps of PACE: {sent:#?}");
}
