//! PINs changed, set for the first time and unblocked, and what the token says of them.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use card_simulator::{NewCard, ProfileName};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES, WRONG_PIN, key, login, rv};

const PUK: &str = "12345678";
const WRONG_PUK: &str = "87654321";
const NEW: &str = "86420864";

fn card(profile: ProfileName) -> Bench {
    Bench::with(profile)
}

fn writing(bench: &Bench, slot: Slot) -> Session {
    bench.module.open_rw_session(slot).unwrap()
}

fn pin(digits: &str) -> AuthPin {
    AuthPin::new(digits.to_owned().into())
}

fn change(session: &Session, old: &str, new: &str) -> Result<(), Error> {
    session.set_pin(&pin(old), &pin(new))
}

fn info(bench: &Bench, slot: Slot) -> TokenInfo {
    bench.module.get_token_info(slot).unwrap()
}

/// Enters wrong PINs until there are no tries left.
fn block(session: &Session) {
    for _ in 0..2 {
        assert_eq!(rv(login(session, UserType::User, WRONG_PIN)), RvError::PinIncorrect);
    }
    assert_eq!(rv(login(session, UserType::User, WRONG_PIN)), RvError::PinLocked);
}

#[test]
fn a_pin_is_changed_with_the_old_one() {
    for profile in [ProfileName::HbaG21, ProfileName::HpcP384] {
        let bench = card(profile);
        for (slot, old) in [(bench.esign(), PIN_CH), (bench.qes(), PIN_QES)] {
            let session = writing(&bench, slot);
            change(&session, old, NEW).unwrap();
            assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwPublic);
            assert_eq!(rv(login(&session, UserType::User, old)), RvError::PinIncorrect);
            login(&session, UserType::User, NEW).unwrap();
        }
    }
}

#[test]
fn the_transport_pin_is_named_and_replaced() {
    let mut bench = Bench::configured(None, "");
    bench.insert(NewCard::new(ProfileName::HbaG21).transport_pins(true));
    for (slot, transport) in [(bench.esign(), "12345"), (bench.qes(), "23456")] {
        let session = writing(&bench, slot);
        assert_eq!(rv(login(&session, UserType::User, PIN_CH)), RvError::PinExpired);
        assert!(info(&bench, slot).user_pin_to_be_changed());
        assert_eq!(rv(change(&session, PIN_CH, NEW)), RvError::PinLenRange, "only the transport PIN fits");
        assert_eq!(rv(change(&session, transport, "12345")), RvError::PinLenRange);
        change(&session, transport, NEW).unwrap();
        assert!(!info(&bench, slot).user_pin_to_be_changed());
        login(&session, UserType::User, NEW).unwrap();
    }
}

#[test]
fn a_wrong_old_pin_costs_one_try_and_logs_out() {
    let bench = card(ProfileName::HpcP384);
    let session = writing(&bench, bench.esign());
    login(&session, UserType::User, PIN_CH).unwrap();
    assert_eq!(rv(change(&session, WRONG_PIN, NEW)), RvError::PinIncorrect);
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwPublic);
    assert!(info(&bench, bench.esign()).user_pin_count_low());
    login(&session, UserType::User, PIN_CH).unwrap();
    assert!(!info(&bench, bench.esign()).user_pin_count_low(), "the right PIN was entered");
}

#[test]
fn a_user_stays_logged_in_over_a_change() {
    let bench = card(ProfileName::HbaG21);
    let session = writing(&bench, bench.esign());
    login(&session, UserType::User, PIN_CH).unwrap();
    change(&session, PIN_CH, NEW).unwrap();
    let key = key(&session, "C.HP.AUT.E256");
    session.sign(&Mechanism::Ecdsa, key, &[5; 32]).unwrap();
}

#[test]
fn a_change_needs_a_session_for_writing_and_both_values() {
    let bench = card(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    assert_eq!(rv(change(&session, PIN_CH, NEW)), RvError::SessionReadOnly);
    let session = writing(&bench, bench.esign());
    for (old, new, expected) in [
        (PIN_CH, "12345", RvError::PinLenRange),
        (PIN_CH, "123456789", RvError::PinLenRange),
        (PIN_CH, "12345a", RvError::PinInvalid),
        ("1234", NEW, RvError::PinLenRange),
    ] {
        let (refused, cost) = bench.cost(|| change(&session, old, new));
        assert_eq!((rv(refused), cost), (expected, 0), "{old} {new}");
    }
}

#[test]
fn a_blocked_pin_gets_a_new_value_by_the_puk() {
    let bench = card(ProfileName::HbaG21);
    let session = writing(&bench, bench.esign());
    block(&session);
    assert!(info(&bench, bench.esign()).user_pin_locked());
    let (_, cost) = bench.cost(|| login(&session, UserType::So, PUK).unwrap());
    assert_eq!(cost, 0, "the card has no such login");
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwSecurityOfficer);
    session.init_pin(&pin(NEW)).unwrap();
    session.logout().unwrap();
    assert!(!info(&bench, bench.esign()).user_pin_locked());
    login(&session, UserType::User, NEW).unwrap();
}

#[test]
fn a_blocked_qes_pin_is_unblocked_and_stays_the_same() {
    let bench = card(ProfileName::HbaG21);
    let session = writing(&bench, bench.qes());
    block(&session);
    login(&session, UserType::So, PUK).unwrap();
    assert_eq!(rv(session.init_pin(&pin(NEW))), RvError::PinIncorrect, "the card can set no other PIN");
    session.logout().unwrap();
    login(&session, UserType::So, PUK).unwrap();
    session.init_pin(&pin(PIN_QES)).unwrap();
    session.logout().unwrap();
    login(&session, UserType::So, PUK).unwrap();
    session.init_pin(&pin("")).unwrap();
    session.logout().unwrap();
    login(&session, UserType::User, PIN_QES).unwrap();
}

#[test]
fn a_wrong_puk_is_told_once_and_forgotten() {
    let bench = card(ProfileName::HpcP384);
    let session = writing(&bench, bench.esign());
    login(&session, UserType::So, WRONG_PUK).unwrap();
    assert_eq!(rv(session.init_pin(&pin(NEW))), RvError::PinIncorrect);
    let (again, cost) = bench.cost(|| session.init_pin(&pin(NEW)));
    assert_eq!((rv(again), cost), (RvError::UserNotLoggedIn, 0), "a PUK is sent once");
    assert!(info(&bench, bench.esign()).so_pin_count_low());
    session.logout().unwrap();
    login(&session, UserType::User, PIN_CH).unwrap();
}

#[test]
fn an_officer_and_a_user_keep_out_of_each_others_way() {
    let bench = card(ProfileName::HpcP384);
    let slot = bench.esign();
    let reading = bench.session(slot);
    assert_eq!(rv(login(&reading, UserType::So, PUK)), RvError::SessionReadOnly);
    let session = writing(&bench, slot);
    assert_eq!(rv(login(&session, UserType::So, PUK)), RvError::SessionReadOnlyExists);
    drop(reading);
    assert_eq!(rv(session.init_pin(&pin(NEW))), RvError::UserNotLoggedIn);
    for (puk, expected) in [("1234567", RvError::PinLenRange), ("1234567a", RvError::PinInvalid)] {
        assert_eq!(rv(login(&session, UserType::So, puk)), expected);
    }
    login(&session, UserType::So, PUK).unwrap();
    assert_eq!(rv(login(&session, UserType::So, PUK)), RvError::UserAlreadyLoggedIn);
    assert_eq!(rv(login(&session, UserType::User, PIN_CH)), RvError::UserAnotherAlreadyLoggedIn);
    assert_eq!(rv(bench.module.open_ro_session(slot)), RvError::SessionReadWriteSoExists);
    assert_eq!(rv(change(&session, PUK, NEW)), RvError::FunctionNotSupported);
    session.logout().unwrap();
    login(&session, UserType::User, PIN_CH).unwrap();
    assert_eq!(rv(login(&session, UserType::So, PUK)), RvError::UserAnotherAlreadyLoggedIn);
}
