//! Bad days: at every command of every operation the card is pulled, reset, mute, or answers nonsense.
//!
//! Whatever happens, the answer names it, no PIN goes to the card that the user did not enter, no signature comes out
//! that is not the chosen key's, and the card works again after it was inserted again.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]
#![allow(clippy::panic, reason = "a failure here is the test's failure")]

use card_simulator::{Interface, ProfileName};

#[path = "../bench/mod.rs"]
mod bench;
mod desk;
#[path = "../module/mod.rs"]
mod module;
mod table;

use desk::{Desk, Key, Operation};
use table::{FAULTS, FORGERIES, NamedFault, permits};

const P384: [Key; 2] = [Key::esign("C.HP.AUT.E384"), Key::qes("C.HP.QES.E384")];
const HBA: [Key; 2] = [Key::esign("C.HP.AUT.E256"), Key::qes("C.HP.QES.E256")];

#[test]
fn start_up_of_the_generic_card() {
    survives(ProfileName::HpcP384, &P384[..1], &[Operation::StartUp]);
}

#[test]
fn start_up_of_the_german_card() {
    survives(ProfileName::HbaG21, &HBA[..1], &[Operation::StartUp]);
}

#[test]
fn logins_on_the_generic_card() {
    survives(ProfileName::HpcP384, &P384, &[Operation::Login, Operation::WrongLogin]);
}

#[test]
fn logins_on_the_german_card() {
    survives(ProfileName::HbaG21, &HBA, &[Operation::Login, Operation::WrongLogin]);
}

#[test]
fn signatures_of_the_generic_card() {
    survives(ProfileName::HpcP384, &P384, &[Operation::FirstSignature, Operation::FurtherSignature]);
}

#[test]
fn signatures_of_the_german_card() {
    survives(ProfileName::HbaG21, &HBA, &[Operation::FirstSignature, Operation::FurtherSignature]);
}

#[test]
fn changes_of_the_generic_cards_pins() {
    survives(ProfileName::HpcP384, &P384, &[Operation::ChangePin, Operation::WrongChange]);
}

#[test]
fn changes_of_the_german_cards_pins() {
    survives(ProfileName::HbaG21, &HBA, &[Operation::ChangePin, Operation::WrongChange]);
}

#[test]
fn forged_answers_while_a_card_is_reached_by_radio() {
    survives_by_radio(&HBA[..1], &[Operation::StartUp]);
}

#[test]
fn forged_answers_to_the_pins_of_a_card_reached_by_radio() {
    let operations = [Operation::Login, Operation::WrongLogin, Operation::ChangePin, Operation::WrongChange];
    survives_by_radio(&HBA, &operations);
}

#[test]
fn forged_answers_to_the_signatures_of_a_card_reached_by_radio() {
    survives_by_radio(&HBA, &[Operation::FirstSignature, Operation::FurtherSignature]);
}

/// Every fault at every command of these operations.
#[track_caller]
fn survives(profile: ProfileName, keys: &[Key], operations: &[Operation]) {
    survives_each(&Desk::with(profile, Interface::Contact), &FAULTS, keys, operations);
}

/// Somebody forges each answer, those of PACE included.
#[track_caller]
fn survives_by_radio(keys: &[Key], operations: &[Operation]) {
    let desk = Desk::with(ProfileName::HbaG21, Interface::Contactless);
    survives_each(&desk, &FORGERIES, keys, operations);
}

#[track_caller]
fn survives_each(desk: &Desk, faults: &[NamedFault], keys: &[Key], operations: &[Operation]) {
    for key in keys {
        for operation in operations {
            let commands = desk.commands_of(*operation, key);
            assert!(commands > 0, "{operation:?} asks the card nothing");
            for (name, fault) in faults {
                for index in 1..=commands {
                    let case =
                        format!("{operation:?} {}, {name} at command {index} of {commands}", key.label);
                    let outcome = desk.try_with(*operation, key, index, fault(), &case);
                    assert!(
                        permits(*operation, name, outcome.result),
                        "{case}: {:?}\n{:#?}",
                        outcome.result,
                        outcome.trace
                    );
                    // The last command carries the PIN.
                    if name.starts_with("forged") && *operation == Operation::Login && index == commands {
                        assert!(outcome.result.is_some(), "{case}: a login that the card did not confirm");
                    }
                    outcome.check(*operation, &case);
                    desk.works_after_reinsertion(key, &case);
                }
            }
        }
    }
}
