//! Bad days: at every command of every operation the card is pulled, reset, mute, or answers nonsense.
//!
//! Whatever happens, the answer names it, no PIN goes to the card that the user did not enter, no signature comes out
//! that is not the chosen key's, and the card works again after it was inserted again.
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]
#![allow(clippy::panic, reason = "a failure here is the test's failure")]

use card_simulator::ProfileName;

#[path = "../bench/mod.rs"]
mod bench;
mod desk;
#[path = "../module/mod.rs"]
mod module;
mod table;

use desk::{Desk, Key, Operation};
use table::{FAULTS, permits};

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

/// Every fault at every command of these operations.
#[track_caller]
fn survives(profile: ProfileName, keys: &[Key], operations: &[Operation]) {
    let desk = Desk::with(profile);
    for key in keys {
        for operation in operations {
            let commands = desk.commands_of(*operation, key);
            assert!(commands > 0, "{operation:?} asks the card nothing");
            for (name, fault) in FAULTS {
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
                    outcome.check(*operation, &case);
                    desk.works_after_reinsertion(key, &case);
                }
            }
        }
    }
}
