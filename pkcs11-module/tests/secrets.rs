//! The log at its most talkative holds nothing secret.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

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
    assert_eq!(holds_a_secret(&compact), None);
    assert!(!compact.contains(&hex::encode(&digest[..8])));
    assert!(!compact.contains(&hex::encode(&signature[..8])));
}

#[test]
fn the_trace_for_support_tells_what_each_call_did_and_cost_but_no_secret() {
    let traces = tempfile::tempdir().unwrap();
    let path = traces.path().join("trace");
    let configuration = format!("log_level = \"off\"\ntrace_file = \"{}\"", path.display());
    let card = NewCard::new(ProfileName::HpcP384).iccsn(ICCSN).holder(HOLDER);
    let bench = Bench::configured(Some(card), &configuration);
    let session = bench.session(bench.qes());
    login(&session, UserType::User, WRONG_PIN).unwrap_err();
    login(&session, UserType::User, PIN_QES).unwrap();

    let trace = std::fs::read_to_string(&path).unwrap();
    let logins: Vec<_> = trace.lines().filter(|line| line.contains("C_Login")).collect();
    assert_eq!(logins.len(), 2, "{trace}");
    for part in ["slot=1", "session=", "rv=\"0xa0\"", "time=", "commands=2", "2 tries left"] {
        assert!(logins[0].contains(part), "{part} is not in {}", logins[0]);
    }
    assert!(logins[1].contains("rv=\"0x0\"") && logins[1].contains("commands=2"), "{}", logins[1]);
    assert!(trace.contains("00200081"), "card commands are traced");
    assert!(trace.contains(&format!("{}**********", &ICCSN[..10])), "{trace}");
    let compact = trace.to_lowercase().replace([' ', ':', ','], "");
    assert_eq!(holds_a_secret(&compact), None);
}

/// The first secret in a text, if there is one.
fn holds_a_secret(compact: &str) -> Option<String> {
    let pins = [WRONG_PIN, PIN_QES, "12345678901"].map(|pin| [pin.to_owned(), hex::encode(pin)]);
    let others = [ICCSN[10..].to_owned(), hex::encode(&ICCSN[10..]), "beispiel".to_owned()];
    pins.into_iter().flatten().chain(others).find(|secret| compact.contains(secret))
}
