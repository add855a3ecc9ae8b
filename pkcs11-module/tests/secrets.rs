//! The log at its most talkative holds nothing secret.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use card_simulator::{NewCard, ProfileName};
use cryptoki::mechanism::Mechanism;
use cryptoki::session::UserType;

mod bench;
mod module;

use bench::{Bench, PIN_QES, WRONG_PIN, key, login};

const ICCSN: &str = "80276001234567890123";
const HOLDER: &str = "Dr. Ada Beispiel";

#[test]
fn the_finest_log_shows_calls_and_commands_but_no_secret() {
    let logs = tempfile::tempdir().unwrap();
    let path = logs.path().join("module.log");
    let configuration = format!("log_level = \"trace\"\nlog_file = \"{}\"", path.display());
    let card = NewCard::new(ProfileName::HpcP384).iccsn(ICCSN).holder(HOLDER);
    let bench = Bench::configured(Some(card), &configuration);
    let session = bench.session(bench.qes());
    login(&session, UserType::User, WRONG_PIN).unwrap_err();
    login(&session, UserType::User, "12345678901").unwrap_err();
    login(&session, UserType::User, PIN_QES).unwrap();
    let digest = [0xD1; 48];
    let signature = session.sign(&Mechanism::Ecdsa, key(&session, "C.HP.QES.E384"), &digest).unwrap();

    let log = std::fs::read_to_string(&path).unwrap();
    assert!(log.contains("C_Login") && log.contains("C_Sign"), "{log}");
    assert!(log.to_uppercase().contains("2A9E9A"), "card commands are traced");
    let compact = log.to_lowercase().replace([' ', ':', ','], "");
    for pin in [WRONG_PIN, PIN_QES, "12345678901"] {
        assert!(!compact.contains(pin), "a PIN as text");
        assert!(!compact.contains(&hex::encode(pin)), "a PIN in hexadecimal");
    }
    assert!(!compact.contains(&ICCSN[4..]) && !compact.contains("beispiel"));
    assert!(!compact.contains(&hex::encode(&digest[..8])));
    assert!(!compact.contains(&hex::encode(&signature[..8])));
}
