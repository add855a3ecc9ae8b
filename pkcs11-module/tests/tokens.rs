//! Slots, tokens and objects of simulated cards, and what showing them costs.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use card_simulator::{NewCard, ProfileName};
use cryptoki::error::RvError;
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, CertificateType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki_sys::{CK_ULONG, CKA_VENDOR_DEFINED};

mod bench;
mod module;

use bench::{Bench, PIN_CH, WRONG_PIN, login, objects, rv};

#[test]
fn a_card_shows_as_two_tokens_with_stable_names() {
    for (profile, label) in [(ProfileName::HpcP384, "HPC P-384"), (ProfileName::HbaG21, "HBA")] {
        let card = NewCard::new(profile).iccsn("80276001234567890123");
        let bench = Bench::configured(Some(card), "");
        let slots = bench.module.get_slots_with_token().unwrap();
        assert_eq!(slots.iter().map(|slot| slot.id()).collect::<Vec<_>>(), [0, 1]);
        for (slot, name) in slots.into_iter().zip(["ESIGN", "QES"]) {
            let token = bench.module.get_token_info(slot).unwrap();
            assert_eq!(token.label(), format!("{label} {name}"));
            assert_eq!(token.serial_number(), "6001234567890123");
            assert_eq!(token.model(), profile.as_str());
            assert_eq!((token.min_pin_length(), token.max_pin_length()), (6, 8));
            assert!(token.token_initialized() && token.user_pin_initialized());
            assert!(token.login_required() && token.write_protected() && !token.rng());
            let info = bench.module.get_slot_info(slot).unwrap();
            assert!(info.token_present() && info.removable_device() && info.hardware_slot());
            assert!(info.slot_description().ends_with(name));
        }
    }
}

/// CKA_HPC_COMMANDS.
const COMMANDS: AttributeType = AttributeType::VendorDefined(CKA_VENDOR_DEFINED | 0x4850_4301);

/// Shows everything about a slot and everything in it.
fn list(bench: &Bench, slot: Slot) {
    bench.module.get_slot_info(slot).unwrap();
    bench.module.get_token_info(slot).unwrap();
    bench.module.get_mechanism_list(slot).unwrap();
    let session = bench.session(slot);
    session.get_session_info().unwrap();
    for object in session.find_objects(&[]).unwrap() {
        session.get_attributes(object, &[AttributeType::Label, AttributeType::Value]).unwrap();
    }
}

/// A card without channels is read as a whole; on one with channels each slot costs what it needs, its channel included.
#[test]
fn showing_the_objects_of_a_slot_costs_at_most_ten_commands_once() {
    for (profile, slots, costs) in [
        (ProfileName::HpcP384, [0, 1], [10, 0]),
        (ProfileName::HpcP384, [1, 0], [10, 0]),
        (ProfileName::HbaG21, [0, 1], [8, 4]),
        (ProfileName::HbaG21, [1, 0], [6, 6]),
    ] {
        let bench = Bench::with(profile);
        let slots = slots.map(|slot| bench.module.get_all_slots().unwrap()[slot]);
        let first = slots.map(|slot| bench.cost(|| list(&bench, slot)).1);
        assert_eq!(first, costs, "{profile} {slots:?}");
        assert_eq!(slots.map(|slot| bench.cost(|| list(&bench, slot)).1), [0, 0], "{profile}");
    }
}

#[test]
fn names_of_both_tokens_cost_two_commands_on_a_card_with_channels() {
    let bench = Bench::with(ProfileName::HbaG21);
    let ((), cost) = bench.cost(|| {
        for slot in bench.module.get_all_slots().unwrap() {
            bench.module.get_token_info(slot).unwrap();
        }
    });
    assert_eq!(cost, 2);
}

#[test]
fn slot_questions_never_reach_the_card() {
    let bench = Bench::with(ProfileName::HpcP384);
    let ((), commands) = bench.cost(|| {
        for slot in bench.module.get_all_slots().unwrap() {
            assert!(bench.module.get_slot_info(slot).unwrap().token_present());
        }
    });
    assert_eq!(commands, 0);
}

#[test]
fn private_keys_appear_with_the_login_and_their_handles_end_with_the_logout() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.session(bench.esign());
    let private = || session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY)]).unwrap();
    assert!(private().is_empty());
    login(&session, UserType::User, PIN_CH).unwrap();
    let first = private();
    assert_eq!(first.len(), 4);
    session.logout().unwrap();
    assert!(private().is_empty());
    login(&session, UserType::User, PIN_CH).unwrap();
    assert!(private().iter().all(|handle| !first.contains(handle)));
    let stale = session.get_attributes(first[0], &[AttributeType::Label]);
    assert_eq!(rv(stale), RvError::ObjectHandleInvalid);
}

#[test]
fn certificate_public_and_private_key_share_id_and_label() {
    let bench = Bench::with(ProfileName::HbaG21);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    for (label, id) in
        [("C.HP.AUT.E256", 1), ("C.HP.AUT.R2048", 4), ("C.HP.ENC.E256", 2), ("C.HP.ENC.R2048", 5)]
    {
        for class in [ObjectClass::CERTIFICATE, ObjectClass::PUBLIC_KEY, ObjectClass::PRIVATE_KEY] {
            let found = session.find_objects(&[Attribute::Class(class), Attribute::Id(vec![id])]).unwrap();
            assert_eq!(found, objects(&session, class, label), "{class:?} {label}");
            assert_eq!(found.len(), 1);
        }
    }
}

#[test]
fn every_token_has_a_profile_object_and_no_object_of_classes_it_does_not_know() {
    let bench = Bench::with(ProfileName::HbaG21);
    for slot in bench.module.get_all_slots().unwrap() {
        let session = bench.session(slot);
        let profile = session.find_objects(&[Attribute::Class(ObjectClass::PROFILE), Attribute::Token(true)]);
        assert_eq!(profile.unwrap().len(), 1);
        for class in [ObjectClass::SECRET_KEY, ObjectClass::DATA] {
            assert!(session.find_objects(&[Attribute::Class(class)]).unwrap().is_empty());
        }
    }
}

/// The number of commands and the reader's name, as the module's counter has them.
fn counted(session: &Session) -> (CK_ULONG, String) {
    let found = session.find_objects(&[Attribute::Class(ObjectClass::HARDWARE_FEATURE)]).unwrap();
    assert_eq!(found.len(), 1);
    let (mut count, mut reader) = (None, None);
    for attribute in session.get_attributes(found[0], &[COMMANDS, AttributeType::Label]).unwrap() {
        match attribute {
            Attribute::VendorDefined((COMMANDS, bytes)) => count = bytes.try_into().ok(),
            Attribute::Label(bytes) => reader = String::from_utf8(bytes).ok(),
            _ => {}
        }
    }
    (CK_ULONG::from_ne_bytes(count.unwrap()), reader.unwrap())
}

#[test]
fn a_counter_tells_how_many_commands_the_cards_in_a_reader_were_sent_and_sends_none() {
    for profile in [ProfileName::HpcP384, ProfileName::HbaG21] {
        let mut bench = Bench::with(profile);
        let ((esign, qes), read) = bench.cost(|| (bench.session(bench.esign()), bench.session(bench.qes())));
        let (before, reader) = counted(&esign);
        assert_eq!(before, read, "{profile}");
        assert!(bench.module.get_slot_info(bench.esign()).unwrap().slot_description().starts_with(&reader));
        let ((), login_cost) = bench.cost(|| login(&esign, UserType::User, PIN_CH).unwrap());
        let ((after, _), cost) = bench.cost(|| counted(&esign));
        assert_eq!((after - before, cost), (login_cost, 0), "{profile}");
        assert_eq!(counted(&qes), counted(&esign), "both tokens are of one card");
        // The next card in the reader goes on where this one ended.
        drop((esign, qes));
        bench.insert(NewCard::new(profile));
        let (session, cost) = bench.cost(|| bench.session(bench.esign()));
        assert!(cost > 0 && counted(&session).0 >= after + cost, "{profile}");
    }
}

/// PKCS#11 v3.1 clause 4.3.1: a search that names no class does not find hardware features.
#[test]
fn only_who_asks_for_hardware_features_finds_the_counter() {
    let bench = Bench::with(ProfileName::HbaG21);
    let session = bench.session(bench.esign());
    for template in [&[][..], &[Attribute::Token(true)]] {
        for object in session.find_objects(template).unwrap() {
            let class = session.get_attributes(object, &[AttributeType::Class]).unwrap();
            assert_ne!(class, [Attribute::Class(ObjectClass::HARDWARE_FEATURE)]);
        }
    }
    let counter = session.find_objects(&[Attribute::Class(ObjectClass::HARDWARE_FEATURE)]).unwrap()[0];
    assert_eq!(rv(session.destroy_object(counter)), RvError::ActionProhibited);
    assert_eq!(rv(session.copy_object(counter, &[])), RvError::ActionProhibited);
}

#[test]
fn what_exists_is_answered_beside_what_does_not() {
    let bench = Bench::with(ProfileName::HpcP384);
    let session = bench.logged_in(bench.esign(), PIN_CH);
    let key = bench::key(&session, "C.HP.AUT.E384");
    let asked = [AttributeType::Value, AttributeType::EcParams, AttributeType::Modulus];
    let answers = session.get_attribute_info(key, &asked).unwrap();
    assert!(matches!(answers[0], AttributeInfo::Sensitive));
    assert!(matches!(answers[1], AttributeInfo::Available(7)));
    assert!(matches!(answers[2], AttributeInfo::TypeInvalid));
}

#[test]
fn qes_slots_list_raw_mechanisms_only() {
    let bench = Bench::with(ProfileName::HbaG21);
    let signing = |slot| {
        let all = bench.module.get_mechanism_list(slot).unwrap().into_iter();
        let info = |kind| bench.module.get_mechanism_info(slot, kind).unwrap();
        all.filter(|kind| info(*kind).sign()).collect::<Vec<_>>()
    };
    assert_eq!(signing(bench.qes()), [MechanismType::ECDSA, MechanismType::RSA_PKCS_PSS]);
    assert_eq!(signing(bench.esign()).len(), 10);
}

#[test]
fn an_empty_reader_has_slots_without_tokens() {
    let bench = Bench::configured(None, "");
    assert_eq!(bench.module.get_all_slots().unwrap().len(), 2);
    assert!(bench.module.get_slots_with_token().unwrap().is_empty());
    assert!(!bench.module.get_slot_info(bench.esign()).unwrap().token_present());
    assert_eq!(rv(bench.module.get_token_info(bench.esign())), RvError::TokenNotPresent);
    assert_eq!(rv(bench.module.open_ro_session(bench.qes())), RvError::TokenNotPresent);
}

#[test]
fn a_foreign_card_is_asked_once_and_then_left_alone() {
    let bench = Bench::with(ProfileName::EgkG21);
    let look = || {
        for slot in bench.module.get_slots_with_token().unwrap() {
            assert_eq!(rv(bench.module.get_token_info(slot)), RvError::TokenNotRecognized);
            assert_eq!(rv(bench.module.open_ro_session(slot)), RvError::TokenNotRecognized);
        }
    };
    let ((), first) = bench.cost(look);
    assert!(first <= 2, "{first} commands");
    assert_eq!(bench.cost(look).1, 0);
}

#[test]
fn context_only_shows_the_signature_key_without_login() {
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HpcP384)), "qes = \"context-only\"");
    assert!(!bench.module.get_token_info(bench.qes()).unwrap().login_required());
    let session = bench.session(bench.qes());
    let key = bench::key(&session, "C.HP.QES.E384");
    let attributes =
        session.get_attributes(key, &[AttributeType::Private, AttributeType::AlwaysAuthenticate]);
    assert_eq!(attributes.unwrap(), [Attribute::Private(true), Attribute::AlwaysAuthenticate(true)]);
}

#[test]
fn pin_flags_follow_what_the_card_says() {
    let bench = Bench::with(ProfileName::HpcP384);
    let slot = bench.esign();
    let flags = || {
        let token = bench.module.get_token_info(slot).unwrap();
        (token.user_pin_count_low(), token.user_pin_final_try(), token.user_pin_locked())
    };
    let session = bench.session(slot);
    assert_eq!(flags(), (false, false, false));
    assert_eq!(rv(login(&session, UserType::User, WRONG_PIN)), RvError::PinIncorrect);
    assert_eq!(flags(), (true, false, false));
    assert_eq!(rv(login(&session, UserType::User, WRONG_PIN)), RvError::PinIncorrect);
    assert_eq!(flags(), (true, true, false));
    login(&session, UserType::User, PIN_CH).unwrap();
    assert_eq!(flags(), (false, false, false));
    session.logout().unwrap();
    for _ in 0..3 {
        login(&session, UserType::User, WRONG_PIN).unwrap_err();
    }
    assert_eq!(flags(), (false, false, true));
    assert_eq!(rv(login(&session, UserType::User, PIN_CH)), RvError::PinLocked);
}

#[test]
fn hidden_keys_show_neither_objects_nor_mechanisms() {
    let bench = Bench::configured(Some(NewCard::new(ProfileName::HbaG21)), "hide_keys = [\"brainpool\"]");
    for (slot, left) in [(bench.esign(), 2), (bench.qes(), 1)] {
        let session = bench.session(slot);
        let certificates = session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE)]).unwrap();
        assert_eq!(certificates.len(), left);
        for certificate in certificates {
            let label = session.get_attributes(certificate, &[AttributeType::Label]).unwrap().remove(0);
            let Attribute::Label(label) = label else { unreachable!() };
            assert!(label.ends_with(b"R2048"));
        }
        assert!(!bench.module.get_mechanism_list(slot).unwrap().contains(&MechanismType::ECDSA));
    }
}

#[test]
fn a_ca_certificate_on_the_card_is_an_object_and_costs_no_further_command() {
    let own = include_bytes!("../testdata/secp384r1.der").as_slice();
    let issuer = include_bytes!("../testdata/brainpoolp256r1.der").as_slice();
    let file = [own, issuer].concat();
    let bench =
        Bench::configured(Some(NewCard::new(ProfileName::HpcP384).file("EF.C.HP.AUT.E384", file)), "");
    let authority = [Attribute::CertificateType(CertificateType::X_509), Attribute::Value(issuer.to_vec())];
    let (found, cost) = bench.cost(|| bench.session(bench.esign()).find_objects(&authority).unwrap());
    assert_eq!((found.len(), cost), (1, 10));
    let session = bench.session(bench.esign());
    assert_eq!(objects(&session, ObjectClass::CERTIFICATE, "C.HP.AUT.E384 issuer"), found);
    assert!(objects(&session, ObjectClass::PUBLIC_KEY, "C.HP.AUT.E384 issuer").is_empty());
}
