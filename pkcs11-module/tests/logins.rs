//! Logins: what a PIN entry costs, what it is good for, and that it never goes to the card twice.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use card_simulator::server::Fault;
use card_simulator::{NewCard, ProfileName};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::{Session, SessionState, UserType};

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES, WRONG_PIN, key, login, rv};

const QES: &str = "C.HP.QES.E384";
const AUT: &str = "C.HP.AUT.E384";

fn p384(configuration: &str) -> Bench {
    Bench::configured(Some(NewCard::new(ProfileName::HpcP384)), configuration)
}

fn begin(session: &Session) {
    session.sign_init(&Mechanism::Ecdsa, key(session, QES)).unwrap();
}

fn finish(session: &Session) -> Result<Vec<u8>, cryptoki::error::Error> {
    session.sign_update(&[7; 48])?;
    session.sign_final()
}

/// VERIFY commands in the trace since the last look.
fn verifies(bench: &Bench) -> usize {
    let trace = bench.reader.take_trace();
    trace.iter().filter(|line| is_verify(line)).count()
}

/// `number > command`; VERIFY is INS 20 with class 00 to 03.
fn is_verify(line: &str) -> bool {
    let compact: String = line.to_uppercase().split_whitespace().collect();
    (0..4).any(|channel| compact.contains(&format!("0{channel}2000")))
}

#[test]
fn wrong_pin_costs_one_try_and_one_command_more() {
    let bench = p384("");
    let session = bench.session(bench.esign());
    login(&session, UserType::User, WRONG_PIN).unwrap_err();
    let (refused, cost) = bench.cost(|| login(&session, UserType::User, WRONG_PIN));
    assert_eq!((rv(refused), cost), (RvError::PinIncorrect, 1));
    login(&session, UserType::User, PIN_CH).unwrap();
    assert_eq!(verifies(&bench), 3);
}

#[test]
fn impossible_pins_never_reach_the_card() {
    let bench = p384("");
    let session = bench.session(bench.qes());
    for (pin, expected) in [
        ("12345", RvError::PinLenRange),
        ("123456789", RvError::PinLenRange),
        ("", RvError::PinLenRange),
        ("12345a", RvError::PinInvalid),
    ] {
        let (refused, cost) = bench.cost(|| login(&session, UserType::User, pin));
        assert_eq!((rv(refused), cost), (expected, 0), "{pin}");
    }
    assert_eq!(rv(session.login(UserType::User, None)), RvError::ArgumentsBad);
}

#[test]
fn ordinary_login_serves_all_sessions_until_the_last_is_closed() {
    let bench = p384("");
    let first = bench.logged_in(bench.esign(), PIN_CH);
    let second = bench.session(bench.esign());
    assert_eq!(second.get_session_info().unwrap().session_state(), SessionState::RoUser);
    assert_eq!(rv(login(&second, UserType::User, PIN_CH)), RvError::UserAlreadyLoggedIn);
    drop(first);
    second.sign(&Mechanism::Ecdsa, key(&second, AUT), &[1; 48]).unwrap();
    drop(second);
    let third = bench.session(bench.esign());
    assert_eq!(third.get_session_info().unwrap().session_state(), SessionState::RoPublic);
    assert_eq!(rv(third.logout()), RvError::UserNotLoggedIn);
}

#[test]
fn sessions_for_writing_are_granted() {
    let bench = p384("");
    let session = bench.module.open_rw_session(bench.esign()).unwrap();
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwPublic);
    login(&session, UserType::User, PIN_CH).unwrap();
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RwUser);
}

#[test]
fn pins_of_the_two_slots_are_kept_apart() {
    let bench = Bench::with(ProfileName::HbaG21);
    let (aut, digest) = ("C.HP.AUT.E256", [1; 32]);
    let esign = bench.logged_in(bench.esign(), PIN_CH);
    let qes = bench.session(bench.qes());
    assert_eq!(qes.get_session_info().unwrap().session_state(), SessionState::RoPublic);
    assert_eq!(rv(login(&qes, UserType::User, PIN_CH)), RvError::PinIncorrect);
    login(&qes, UserType::User, PIN_QES).unwrap();
    // Neither disturbs the other on a card with channels.
    esign.sign(&Mechanism::Ecdsa, key(&esign, aut), &digest).unwrap();
    qes.sign(&Mechanism::Ecdsa, key(&qes, "C.HP.QES.E256"), &digest).unwrap();
    esign.sign(&Mechanism::Ecdsa, key(&esign, aut), &digest).unwrap();
}

#[test]
fn one_qes_login_makes_one_signature() {
    let bench = p384("");
    let session = bench.logged_in(bench.qes(), PIN_QES);
    session.sign(&Mechanism::Ecdsa, key(&session, QES), &[1; 48]).unwrap();
    let (refused, cost) = bench.cost(|| session.sign(&Mechanism::Ecdsa, key(&session, QES), &[1; 48]));
    assert_eq!((rv(refused), cost), (RvError::UserNotLoggedIn, 0));
    login(&session, UserType::User, PIN_QES).unwrap();
    session.sign(&Mechanism::Ecdsa, key(&session, QES), &[1; 48]).unwrap();
    assert_eq!(bench.signatures(), 2);
}

#[test]
fn context_login_serves_one_operation_of_its_session() {
    let bench = p384("");
    let session = bench.logged_in(bench.qes(), PIN_QES);
    let other = bench.session(bench.qes());
    assert_eq!(rv(login(&session, UserType::ContextSpecific, PIN_QES)), RvError::OperationNotInitialized);
    begin(&session);
    login(&session, UserType::ContextSpecific, PIN_QES).unwrap();
    begin(&other);
    assert_eq!(rv(finish(&other)), RvError::UserNotLoggedIn);
    finish(&session).unwrap();
    begin(&session);
    assert_eq!(rv(finish(&session)), RvError::UserNotLoggedIn);
}

#[test]
fn wrong_context_pin_leaves_the_operation_active() {
    let bench = p384("qes = \"context-only\"");
    let session = bench.session(bench.qes());
    begin(&session);
    assert_eq!(rv(login(&session, UserType::ContextSpecific, WRONG_PIN)), RvError::PinIncorrect);
    login(&session, UserType::ContextSpecific, PIN_QES).unwrap();
    finish(&session).unwrap();
    begin(&session);
    login(&session, UserType::ContextSpecific, WRONG_PIN).unwrap_err();
    assert_eq!(rv(finish(&session)), RvError::UserNotLoggedIn);
}

#[test]
fn context_only_slot_signs_without_user_login_and_only_so() {
    let bench = p384("qes = \"context-only\"");
    let session = bench.session(bench.qes());
    login(&session, UserType::User, PIN_QES).unwrap();
    begin(&session);
    assert_eq!(rv(finish(&session)), RvError::UserNotLoggedIn);
    begin(&session);
    login(&session, UserType::ContextSpecific, PIN_QES).unwrap();
    assert_eq!(finish(&session).unwrap().len(), 96);
}

#[test]
fn ordinary_keys_have_no_context_login() {
    let bench = p384("");
    let session = bench.logged_in(bench.esign(), PIN_CH);
    session.sign_init(&Mechanism::Ecdsa, key(&session, AUT)).unwrap();
    let (refused, cost) = bench.cost(|| login(&session, UserType::ContextSpecific, PIN_CH));
    assert_eq!((rv(refused), cost), (RvError::OperationNotInitialized, 0));
}

#[test]
fn the_right_to_sign_ends_on_the_card_too() {
    let bench = p384("");
    let session = bench.logged_in(bench.qes(), PIN_QES);
    bench.reader.take_trace();
    session.sign(&Mechanism::Ecdsa, key(&session, QES), &[1; 48]).unwrap();
    let trace = bench.reader.take_trace();
    // Without channels the application is left; a channel would be closed.
    let leave = |line: &String| line.contains("00A4040C ");
    assert!(trace.last().is_some_and(leave), "{trace:?}");
    begin_and_abandon(&bench);
}

/// A context login for an operation that is given up leaves no open PIN behind.
fn begin_and_abandon(bench: &Bench) {
    let session = bench.session(bench.qes());
    login(&session, UserType::User, PIN_QES).unwrap();
    begin(&session);
    login(&session, UserType::ContextSpecific, PIN_QES).unwrap();
    let ((), cost) = bench.cost(|| drop(session));
    assert_eq!(cost, 1);
}

#[test]
fn batch_login_serves_until_the_cards_budget_is_used_up() {
    let card = NewCard::new(ProfileName::HpcP384).signatures_per_pin(3);
    let bench = Bench::configured(Some(card), "qes_batch = true");
    let session = bench.logged_in(bench.qes(), PIN_QES);
    let handle = key(&session, QES);
    for _ in 0..3 {
        session.sign(&Mechanism::Ecdsa, handle, &[1; 48]).unwrap();
    }
    assert_eq!(rv(session.sign(&Mechanism::Ecdsa, handle, &[1; 48])), RvError::UserNotLoggedIn);
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RoPublic);
    login(&session, UserType::User, PIN_QES).unwrap();
    session.sign(&Mechanism::Ecdsa, handle, &[1; 48]).unwrap();
}

#[test]
fn a_reset_by_another_program_logs_out_and_sends_no_pin_again() {
    let bench = p384("");
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, AUT);
    bench.reader.take_trace();
    bench.reader.reset();
    assert_eq!(rv(session.sign(&Mechanism::Ecdsa, handle, &[1; 48])), RvError::UserNotLoggedIn);
    assert_eq!(session.get_session_info().unwrap().session_state(), SessionState::RoPublic);
    assert_eq!(verifies(&bench), 0);
    login(&session, UserType::User, PIN_CH).unwrap();
    session.sign(&Mechanism::Ecdsa, handle, &[1; 48]).unwrap();
    assert_eq!(verifies(&bench), 1);
}

#[test]
fn a_reset_before_the_login_is_no_reason_to_fail_it() {
    let bench = p384("");
    let session = bench.session(bench.esign());
    bench.reader.reset();
    login(&session, UserType::User, PIN_CH).unwrap();
    session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]).unwrap();
}

#[test]
fn a_lost_answer_to_verify_is_never_followed_by_the_same_pin() {
    let bench = p384("");
    let session = bench.session(bench.qes());
    // SELECT, VERIFY: the second answer is garbage.
    bench.reader.fault_at(bench.reader.commands() + 2, Fault::Answer(vec![0x6F, 0x00]));
    bench.reader.take_trace();
    assert_eq!(rv(login(&session, UserType::User, PIN_QES)), RvError::DeviceError);
    assert_eq!(verifies(&bench), 1);
    login(&session, UserType::User, PIN_QES).unwrap();
    session.sign(&Mechanism::Ecdsa, key(&session, QES), &[1; 48]).unwrap();
}

#[test]
fn finalize_ends_logins_on_the_card() {
    let bench = p384("");
    let session = bench.logged_in(bench.qes(), PIN_QES);
    std::mem::forget(session);
    let before = bench.reader.commands();
    let Bench { reader, module, .. } = bench;
    module.finalize().unwrap();
    assert_eq!(reader.commands(), before + 1);
}
