//! Cards that come and go, at the worst moments.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::time::Duration;

use card_simulator::server::{Address, Fault, Slot};
use card_simulator::{NewCard, ProfileName};
use cryptoki::context::Pkcs11;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::session::UserType;

mod bench;
mod module;

use bench::{Bench, PIN_CH, PIN_QES, key, login, rv};
use module::Installed;

const AUT: &str = "C.HP.AUT.E384";
const QES: &str = "C.HP.QES.E384";

#[test]
fn a_pulled_card_ends_its_sessions_and_the_next_one_works() {
    let mut bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, AUT);
    bench.reader.eject();
    assert_eq!(rv(session.sign(&Mechanism::Ecdsa, handle, &[1; 48])), RvError::DeviceRemoved);
    assert_eq!(rv(session.sign(&Mechanism::Ecdsa, handle, &[1; 48])), RvError::SessionHandleInvalid);
    assert!(bench.module.get_slots_with_token().unwrap().is_empty());
    bench.insert(NewCard::new(ProfileName::HpcP384));
    let session = bench.logged_in(bench.esign(), PIN_CH);
    session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]).unwrap();
}

#[test]
fn polling_clients_learn_of_a_pulled_card_from_the_session() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    bench.reader.eject();
    assert_eq!(rv(session.get_session_info()), RvError::SessionHandleInvalid);
    assert_eq!(rv(bench.module.get_token_info(bench.esign())), RvError::TokenNotPresent);
}

#[test]
fn a_card_swapped_after_the_login_never_signs() {
    for (first, second) in [(PIN_CH, 0), (PIN_QES, 1)] {
        let mut bench = Bench::with(ProfileName::HpcP384);
        let slot = bench.module.get_all_slots().unwrap()[second];
        let session = bench.logged_in(slot, first);
        let handle = key(&session, if second == 0 { AUT } else { QES });
        bench.insert(NewCard::new(ProfileName::HpcP384));
        session.sign(&Mechanism::Ecdsa, handle, &[1; 48]).unwrap_err();
        assert_eq!(bench.signatures(), 0);
        assert_eq!(rv(session.sign_init(&Mechanism::Ecdsa, handle)), RvError::SessionHandleInvalid);
        let session = bench.session(slot);
        assert!(session.find_objects(&[]).unwrap().len() > 2);
        assert!(bench::objects(&session, cryptoki::object::ObjectClass::PRIVATE_KEY, AUT).is_empty());
    }
}

#[test]
fn a_card_swapped_before_the_login_gets_no_pin() {
    let mut bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    bench.insert(NewCard::new(ProfileName::HpcP384));
    let (refused, cost) = bench.cost(|| login(&session, UserType::User, PIN_CH));
    assert_eq!((rv(refused), cost), (RvError::SessionHandleInvalid, 0));
}

#[test]
fn a_card_pulled_at_any_command_of_login_and_signature_is_reported_and_can_be_used_again() {
    // VERIFY, MSE, PSO.
    for index in 1..=3 {
        let mut bench = Bench::with(ProfileName::HpcP384);
        let session = bench.session(bench.esign());
        bench.reader.fault_at(bench.reader.commands() + index, Fault::Pull);
        let result = login(&session, UserType::User, PIN_CH)
            .and_then(|()| session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]));
        assert_eq!(rv(result), RvError::DeviceRemoved, "command {index}");
        bench.insert(NewCard::new(ProfileName::HpcP384));
        let session = bench.logged_in(bench.esign(), PIN_CH);
        session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]).unwrap();
    }
}

#[test]
fn a_card_pulled_at_any_command_of_the_first_look_is_read_after_reinsertion() {
    for index in 1..=10 {
        let mut bench = Bench::configured(None, "");
        let card = bench.issue(NewCard::new(ProfileName::HpcP384));
        bench.reader.fault_at(index, Fault::Pull);
        bench.reader.insert(card);
        let slot = bench.esign();
        assert_eq!(rv(bench.module.get_token_info(slot)), RvError::TokenNotPresent, "command {index}");
        bench.insert(NewCard::new(ProfileName::HpcP384));
        assert_eq!(bench.module.get_token_info(slot).unwrap().label(), "HPC P-384 ESIGN");
    }
}

#[test]
fn slots_stay_when_cards_come_and_go() {
    let mut bench = Bench::with(ProfileName::HpcP384);
    let ids = |bench: &Bench| -> Vec<u64> {
        bench.module.get_all_slots().unwrap().iter().map(|slot| slot.id()).collect()
    };
    assert_eq!(ids(&bench), [0, 1]);
    bench.reader.eject();
    assert_eq!(ids(&bench), [0, 1]);
    bench.insert(NewCard::new(ProfileName::HbaG21));
    assert_eq!(ids(&bench), [0, 1]);
    assert_eq!(bench.module.get_token_info(bench.esign()).unwrap().label(), "HBA ESIGN");
}

#[test]
fn insertions_and_removals_are_events_of_both_slots() {
    let mut bench = Bench::configured(None, "");
    let event = |bench: &Bench| bench.module.get_slot_event().unwrap().map(|slot| slot.id());
    assert_eq!(event(&bench), None);
    bench.insert(NewCard::new(ProfileName::HpcP384));
    assert_eq!((event(&bench), event(&bench), event(&bench)), (Some(0), Some(1), None));
    bench.reader.eject();
    assert_eq!((event(&bench), event(&bench), event(&bench)), (Some(0), Some(1), None));
}

#[test]
fn a_waiting_client_is_told_of_an_insertion() {
    let mut bench = Bench::configured(None, "");
    bench.esign();
    let card = bench.issue(NewCard::new(ProfileName::HpcP384));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| bench.module.wait_for_slot_event().unwrap().id());
        std::thread::sleep(Duration::from_millis(50));
        bench.reader.insert(card);
        assert_eq!(waiting.join().unwrap(), 0);
    });
}

#[test]
fn slot_questions_are_answered_while_the_card_works() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let handle = key(&session, AUT);
    let delay = Duration::from_millis(500);
    bench.reader.fault_at(bench.reader.commands() + 1, Fault::Delay(delay));
    let answered = std::thread::scope(|scope| {
        let slot = bench.esign();
        let module = &bench.module;
        let signing = scope.spawn(move || session.sign(&Mechanism::Ecdsa, handle, &[1; 48]).map(|_| ()));
        std::thread::sleep(Duration::from_millis(50));
        let mut answered = 0;
        while !signing.is_finished() {
            module.get_slot_info(slot).unwrap();
            module.get_token_info(slot).unwrap();
            answered += 1;
        }
        signing.join().unwrap().unwrap();
        answered
    });
    assert!(answered > 1, "{answered} answers while the card worked");
}

#[test]
fn a_reader_that_is_plugged_in_later_and_pulled_again_is_noticed_each_time() {
    let mut bench = Bench::configured(None, "");
    let card = bench.issue(NewCard::new(ProfileName::HpcP384));
    let directory = tempfile::tempdir().unwrap();
    let address = directory.path().join("late");
    let installed = Installed::with(&format!(
        "readers = [\"socket:{}\"]\ncertificate_cache = false\n",
        address.display()
    ));
    let module = Pkcs11::new(installed.path()).unwrap();
    bench::initialize(&module, &installed);
    let slot = module.get_all_slots().unwrap()[0];
    assert!(!module.get_slot_info(slot).unwrap().token_present());
    let reader = Slot::with(card);
    for _ in 0..2 {
        let plug = reader.plug(&Address::Unix(address.clone())).unwrap();
        assert_eq!([module.wait_for_slot_event().unwrap().id(), event(&module)], [0, 1]);
        let session = module.open_ro_session(slot).unwrap();
        login(&session, UserType::User, PIN_CH).unwrap();
        session.sign(&Mechanism::Ecdsa, key(&session, AUT), &[1; 48]).unwrap();
        drop(plug);
        assert_eq!([module.wait_for_slot_event().unwrap().id(), event(&module)], [0, 1]);
        assert_eq!(rv(session.get_session_info()), RvError::SessionHandleInvalid);
        assert_eq!(module.get_all_slots().unwrap().len(), 2);
    }
}

fn event(module: &Pkcs11) -> u64 {
    module.get_slot_event().unwrap().unwrap().id()
}
