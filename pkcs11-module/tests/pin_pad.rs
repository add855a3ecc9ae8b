//! PINs that are entered on the reader's own pad.
#![allow(unsafe_code, reason = "calls a C interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::ptr::null_mut;
use std::sync::mpsc;
use std::time::Duration;

use card_simulator::server::{PinPad, Typed};
use card_simulator::{NewCard, ProfileName};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use cryptoki_sys::*;

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES, WRONG_PIN, key, login, rv};

const AUT: &str = "C.HP.AUT.E384";
const QES: &str = "C.HP.QES.E384";
const PUK: &str = "12345678";

/// A card in a reader with a pad, and somebody who does these things in turn.
fn bench(steps: &[&str], configuration: &str) -> Bench {
    let mut bench = Bench::configured(None, configuration);
    bench.reader.set_pin_pad(PinPad::script(steps.iter().map(|step| step.parse().unwrap()).collect()));
    bench.insert(NewCard::new(ProfileName::HpcP384));
    bench
}

fn on_pad(session: &Session) -> Result<(), cryptoki::error::Error> {
    session.login(UserType::User, None)
}

/// C_SetPIN with two NULLs in a session of its own.
fn change_on_pad(bench: &Bench) -> CK_RV {
    let functions = bench.functions();
    let mut session = 0;
    let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    // SAFETY: the pointers are valid or NULL, as the functions allow.
    unsafe {
        let opened = functions.C_OpenSession.unwrap()(0, flags, null_mut(), None, &mut session);
        assert_eq!(opened, CKR_OK);
        let answer = functions.C_SetPIN.unwrap()(session, null_mut(), 0, null_mut(), 0);
        assert_eq!(functions.C_CloseSession.unwrap()(session), CKR_OK);
        answer
    }
}

#[test]
fn a_pin_entered_on_the_pad_logs_in() {
    let bench = bench(&[PIN_CH], "");
    assert!(bench.module.get_token_info(bench.esign()).unwrap().protected_authentication_path());
    let session = bench.session(bench.esign());
    let (logged_in, commands) = bench.cost(|| on_pad(&session));
    logged_in.unwrap();
    assert_eq!(commands, 1);
    session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]).unwrap();
}

#[test]
fn a_wrong_pin_on_the_pad_costs_one_try() {
    let bench = bench(&[WRONG_PIN, PIN_CH], "");
    let session = bench.session(bench.esign());
    let (refused, commands) = bench.cost(|| on_pad(&session));
    assert_eq!((rv(refused), commands), (RvError::PinIncorrect, 1));
    assert!(bench.module.get_token_info(bench.esign()).unwrap().user_pin_count_low());
    on_pad(&session).unwrap();
    assert!(!bench.module.get_token_info(bench.esign()).unwrap().user_pin_count_low());
}

#[test]
fn what_goes_wrong_at_the_pad_costs_no_try_and_is_told() {
    let bench = bench(&["cancel", "timeout", "12345", "123456789", PIN_CH], "");
    let session = bench.session(bench.esign());
    let expected =
        [RvError::FunctionCanceled, RvError::FunctionCanceled, RvError::PinLenRange, RvError::PinLenRange];
    for expected in expected {
        let (refused, commands) = bench.cost(|| on_pad(&session));
        assert_eq!((rv(refused), commands), (expected, 0));
    }
    assert!(!bench.module.get_token_info(bench.esign()).unwrap().user_pin_count_low());
    on_pad(&session).unwrap();
}

#[test]
fn a_pin_from_the_program_is_taken_only_if_the_user_wants_that() {
    for (setting, has_pad, from_program, on_the_pad) in [
        ("only", true, Some(RvError::ArgumentsBad), None),
        ("optional", true, None, None),
        ("off", false, None, Some(RvError::ArgumentsBad)),
    ] {
        let bench = bench(&[PIN_CH], &format!("pin_pad = \"{setting}\""));
        let info = bench.module.get_token_info(bench.esign()).unwrap();
        assert_eq!(info.protected_authentication_path(), has_pad, "{setting}");
        let session = bench.session(bench.esign());
        let try_login = |result: Result<(), cryptoki::error::Error>| match result {
            Ok(()) => {
                session.logout().unwrap();
                None
            }
            refused => Some(rv(refused)),
        };
        let (refused, commands) = bench.cost(|| try_login(login(&session, UserType::User, PIN_CH)));
        assert_eq!(refused, from_program, "{setting}");
        assert!(from_program.is_none() || commands == 0, "{setting}");
        assert_eq!(try_login(on_pad(&session)), on_the_pad, "{setting}");
    }
}

#[test]
fn a_qualified_signature_is_allowed_on_the_pad() {
    let bench = bench(&["cancel", PIN_QES], "qes = \"context-only\"");
    let session = bench.session(bench.qes());
    let key = key(&session, QES);
    session.sign_init(&Mechanism::Ecdsa, key).unwrap();
    assert_eq!(rv(session.login(UserType::ContextSpecific, None)), RvError::FunctionCanceled);
    session.login(UserType::ContextSpecific, None).unwrap();
    session.sign_update(&[1; 48]).unwrap();
    session.sign_final().unwrap();
    assert_eq!(bench.signatures(), 1);
    assert_eq!(rv(session.login(UserType::ContextSpecific, None)), RvError::OperationNotInitialized);
}

#[test]
fn a_pin_is_changed_on_the_pad() {
    let new = "654321";
    let bench = bench(
        &[
            PIN_CH, new, "111111", // entered differently
            PIN_CH, "cancel", // in the middle
            WRONG_PIN, new, new, // the old one is wrong
            PIN_CH, new, new, // as it should be
            new, // login
        ],
        "",
    );
    let change = || bench.cost(|| change_on_pad(&bench)).0;
    assert_eq!(change(), CKR_PIN_INVALID);
    assert_eq!(change(), CKR_FUNCTION_CANCELED);
    assert_eq!(change(), CKR_PIN_INCORRECT);
    assert_eq!(change(), CKR_OK);
    on_pad(&bench.session(bench.esign())).unwrap();
}

#[test]
fn a_transport_pin_is_replaced_on_the_pad() {
    let mut bench = Bench::configured(None, "");
    let steps = ["12345", "12345", PIN_CH, PIN_CH, PIN_CH];
    bench.reader.set_pin_pad(PinPad::script(steps.map(|step| step.parse().unwrap()).to_vec()));
    bench.insert(NewCard::new(ProfileName::HpcP384).transport_pins(true));
    assert_eq!(rv(on_pad(&bench.session(bench.esign()))), RvError::PinLenRange, "five digits are no PIN");
    assert_eq!(change_on_pad(&bench), CKR_OK);
    assert!(!bench.module.get_token_info(bench.esign()).unwrap().user_pin_to_be_changed());
    on_pad(&bench.session(bench.esign())).unwrap();
}

/// C_Login(CKU_SO) and C_InitPIN with NULLs, and C_Logout, in a session of its own; what C_InitPIN answers.
fn unblock_on_pad(bench: &Bench, slot: CK_SLOT_ID) -> CK_RV {
    let functions = bench.functions();
    let mut session = 0;
    let flags = CKF_SERIAL_SESSION | CKF_RW_SESSION;
    // SAFETY: the pointers are valid or NULL, as the functions allow.
    unsafe {
        let opened = functions.C_OpenSession.unwrap()(slot, flags, null_mut(), None, &mut session);
        assert_eq!(opened, CKR_OK);
        assert_eq!(functions.C_Login.unwrap()(session, CKU_SO, null_mut(), 0), CKR_OK);
        let answer = functions.C_InitPIN.unwrap()(session, null_mut(), 0);
        assert_eq!(functions.C_CloseSession.unwrap()(session), CKR_OK);
        answer
    }
}

fn block(bench: &Bench, slot: Slot) {
    let session = bench.session(slot);
    for expected in [RvError::PinIncorrect, RvError::PinIncorrect, RvError::PinLocked] {
        assert_eq!(rv(on_pad(&session)), expected);
    }
}

#[test]
fn a_puk_and_a_new_pin_are_entered_on_the_pad() {
    let new = "654321";
    let bench = bench(
        &[
            WRONG_PIN, WRONG_PIN, WRONG_PIN, // blocked
            "cancel",  // nothing is spent
            PUK, new, "111111", // the new PINs differ
            "99999999", new, new, // a wrong PUK
            PUK, new, new, // as it should be
            new, // login
        ],
        "",
    );
    block(&bench, bench.esign());
    let (answers, commands) = bench.cost(|| [(); 4].map(|()| unblock_on_pad(&bench, bench.esign().id())));
    assert_eq!(answers, [CKR_FUNCTION_CANCELED, CKR_PIN_INVALID, CKR_PIN_INCORRECT, CKR_OK]);
    assert_eq!(commands, 2, "two PUKs reached the card");
    let summary = bench.reader.inspect(|card| card.image().summary()).unwrap();
    let pin = summary.passwords.iter().find(|password| password.path.ends_with("PIN.CH")).unwrap();
    assert_eq!((pin.tries, pin.puk_uses), (3, 8));
    on_pad(&bench.session(bench.esign())).unwrap();
}

#[test]
fn a_puk_that_sets_no_pin_is_all_that_is_entered() {
    let bench = bench(&[WRONG_PIN, WRONG_PIN, WRONG_PIN, PUK, PIN_QES], "");
    block(&bench, bench.qes());
    assert_eq!(unblock_on_pad(&bench, bench.qes().id()), CKR_OK);
    on_pad(&bench.session(bench.qes())).unwrap();
}

#[test]
fn a_puk_and_a_pin_come_from_one_place() {
    let bench = bench(&[PUK], "");
    let session = bench.module.open_rw_session(bench.esign()).unwrap();
    assert_eq!(rv(login(&session, UserType::So, PUK)), RvError::ArgumentsBad, "the pad is there for that");
    session.login(UserType::So, None).unwrap();
    let (refused, commands) = bench.cost(|| session.init_pin(&AuthPin::new("654321".into())));
    assert_eq!((rv(refused), commands), (RvError::ArgumentsBad, 0));
    let optional = Bench::configured(Some(NewCard::new(ProfileName::HpcP384)), "pin_pad = \"optional\"");
    optional.reader.set_pin_pad(PinPad::script(vec![Typed::Cancel]));
    let session = optional.module.open_rw_session(optional.esign()).unwrap();
    login(&session, UserType::So, PUK).unwrap();
    session.init_pin(&AuthPin::new("654321".into())).unwrap();
}

/// A pad at which somebody hesitates until told what to do; the first channel says that the pad asks.
fn hesitating() -> (PinPad, mpsc::Receiver<()>, mpsc::Sender<Typed>) {
    let (asked, asks) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let pad = PinPad::new(move || {
        asked.send(()).ok();
        told.recv().unwrap_or(Typed::Nothing)
    });
    (pad, asks, tell)
}

#[test]
fn other_calls_are_answered_while_the_pad_waits() {
    let mut bench = Bench::configured(None, "");
    let (pad, asks, tell) = hesitating();
    bench.reader.set_pin_pad(pad);
    bench.insert(NewCard::new(ProfileName::HpcP384));
    let waiting = bench.session(bench.esign());
    let other = bench.session(bench.esign());
    let (esign, qes) = (bench.esign(), bench.qes());
    std::thread::scope(|scope| {
        let login = scope.spawn(move || on_pad(&waiting).map(|()| waiting));
        asks.recv_timeout(Duration::from_secs(60)).unwrap();
        for slot in [esign, qes] {
            bench.module.get_slot_info(slot).unwrap();
            bench.module.get_token_info(slot).unwrap();
            bench.module.get_mechanism_list(slot).unwrap();
            bench.session(slot).find_objects(&[]).unwrap();
        }
        other.get_session_info().unwrap();
        assert_eq!(bench.module.get_all_slots().unwrap().len(), 2);
        assert!(!login.is_finished());
        tell.send(Typed::Digits(PIN_CH.to_owned())).unwrap();
        let waited = login.join().unwrap().unwrap();
        waited.sign(&Mechanism::Ecdsa, key(&waited, AUT), &[1; 48]).unwrap();
    });
}

#[test]
fn finalize_ends_a_login_that_waits_at_the_pad() {
    let mut bench = Bench::configured(None, "");
    let (pad, asks, _tell) = hesitating();
    bench.reader.set_pin_pad(pad);
    bench.insert(NewCard::new(ProfileName::HpcP384));
    let session = bench.session(bench.esign());
    std::thread::scope(|scope| {
        let login = scope.spawn(move || {
            let result = on_pad(&session);
            std::mem::forget(session);
            result
        });
        asks.recv_timeout(Duration::from_secs(60)).unwrap();
        // SAFETY: NULL is the only argument.
        assert_eq!(unsafe { bench.functions().C_Finalize.unwrap()(null_mut()) }, CKR_OK);
        login.join().unwrap().unwrap_err();
    });
}
