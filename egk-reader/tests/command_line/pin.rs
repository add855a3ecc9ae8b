//! `pin`: every PIN of an insurance card from the command line.

use std::process::{Command, Output};

use card_simulator::server::PinPad;
use serde_json::Value;

use super::{Reader, code, egk, run};

const PINS: [&str; 9] = [
    "PIN.CH",
    "MRPIN.home",
    "MRPIN.NFD",
    "MRPIN.DPE",
    "MRPIN.GDD",
    "MRPIN.NFD_READ",
    "MRPIN.OSE",
    "MRPIN.AMTS",
    "PIN.AMTS_REP",
];

impl Reader {
    /// `pin COMMAND ...` with these lines as the secrets.
    fn pin(&self, command: &[&str], secrets: &str) -> Output {
        let fixed = ["pin", command[0], "--reader", &self.name, "--pin-env", "PIN_TEST_SECRETS"];
        Command::new(env!("CARGO_BIN_EXE_egk-reader"))
            .args([&fixed[..], &command[1..]].concat())
            .env("PIN_TEST_SECRETS", secrets)
            .env_remove("RUST_LOG")
            .output()
            .unwrap()
    }

    fn states(&self) -> Vec<(String, String, Value)> {
        let output = run(&["pin", "status", "--json", "--reader", &self.name]);
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
        let list: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = list.as_array().unwrap().iter();
        list.map(|pin| (text(&pin["name"]), text(&pin["state"]), pin["tries"].clone())).collect()
    }

    fn state(&self, name: &str) -> String {
        self.states().into_iter().find(|(found, ..)| found == name).unwrap().1
    }

    fn tries(&self) -> Value {
        self.states().into_iter().find(|(found, ..)| found == "PIN.CH").unwrap().2
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_state_of_every_pin_is_told_and_costs_no_try() {
    let reader = Reader::egk();
    for _ in 0..4 {
        let states = reader.states();
        assert_eq!(states.iter().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(), PINS);
        for (name, state, tries) in states {
            let off = ["MRPIN.NFD", "MRPIN.DPE"].contains(&name.as_str());
            assert_eq!(state, if off { "switched off" } else { "not verified" }, "{name}");
            assert_eq!(tries, if off { Value::Null } else { 3.into() }, "{name}");
        }
    }
    let table = run(&["pin", "status", "--reader", &reader.name]);
    assert!(String::from_utf8(table.stdout).unwrap().contains("MRPIN.home"));
}

#[test]
fn every_pin_is_changed_and_shared_values_change_together() {
    let reader = Reader::egk();
    let (mut present, values) = ("123456", ["246810", "1357913", "86420864"]);
    for (name, new) in PINS.iter().take(8).zip(values.iter().cycle()) {
        if ["MRPIN.NFD", "MRPIN.DPE"].contains(name) {
            continue;
        }
        let output = reader.pin(&["change", name], &format!("{present}\n{new}\n"));
        assert_eq!(code(&output), 0, "{name}: {}", told(&output));
        present = new;
    }
    let representative = reader.pin(&["change", "AMTS_REP"], &format!("{present}\n55555555\n"));
    assert_eq!(code(&representative), 0, "{}", told(&representative));
    assert_eq!(code(&reader.pin(&["change", "ch", "--json"], &format!("{present}\n123456"))), 0);
}

#[test]
fn input_that_cannot_be_right_costs_no_try() {
    let reader = Reader::egk();
    for secrets in ["12345\n246810", "123456\n24681", "123456\n123456789", "12345x\n246810", "123456", ""] {
        let output = reader.pin(&["change", "PIN.CH"], secrets);
        assert_eq!(code(&output), 9, "{secrets:?}: {}", told(&output));
    }
    for secrets in ["1234567", "123456789", "1234567a"] {
        assert_eq!(code(&reader.pin(&["unblock", "PIN.CH"], secrets)), 9);
    }
    let unknown = reader.pin(&["change", "PIN.QES"], "123456\n246810");
    assert_eq!(code(&unknown), 9);
    assert!(told(&unknown).contains("PIN.AMTS_REP"), "the names there are: {}", told(&unknown));
    for command in [&["disable", "PIN.CH"][..], &["activate", "PIN.CH"], &["unblock", "--new-pin", "x"]] {
        assert_eq!(code(&reader.pin(command, "12345678\n246810")), 9, "{command:?}");
    }
    assert_eq!(reader.tries(), 3);
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_last_one_only_on_request() {
    let reader = Reader::egk();
    for left in [2, 1] {
        let output = reader.pin(&["change", "PIN.CH"], "999999\n246810");
        assert_eq!(code(&output), 9, "{}", told(&output));
        assert!(
            told(&output).contains(&format!("{left} tries are left")) && !told(&output).contains("999999")
        );
    }
    for command in ["change", "enable"] {
        let output = reader.pin(&[command, "MRPIN.AMTS"], "999999\n246810");
        assert_eq!(code(&output), 10, "{command}: {}", told(&output));
        assert!(told(&output).contains("--last-try"));
    }
    assert_eq!(reader.tries(), 1);
    let output = reader.pin(&["change", "PIN.CH", "--last-try"], "999999\n246810");
    assert_eq!(code(&output), 10, "{}", told(&output));
    assert_eq!(reader.state("PIN.CH"), "blocked");
    assert_eq!(code(&reader.pin(&["change", "PIN.CH"], "123456\n246810")), 10);
    let wrong = reader.pin(&["unblock", "PIN.CH"], "00000000");
    assert_eq!(code(&wrong), 9);
    assert!(told(&wrong).contains("9 uses are left"), "{}", told(&wrong));
    let output = reader.pin(&["unblock", "PIN.CH", "--new-pin"], "12345678\n246810");
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(reader.tries(), 3);
    assert_eq!(code(&reader.pin(&["change", "PIN.CH"], "246810\n123456")), 0);
}

#[test]
fn a_pin_that_another_rules_is_unblocked_after_it() {
    let reader = Reader::egk();
    let output = reader.pin(&["unblock", "PIN.AMTS_REP"], "123456\n55555555");
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(code(&reader.pin(&["unblock", "PIN.AMTS_REP"], "999999\n55555555")), 9);
    assert_eq!(reader.tries(), 2);
}

#[test]
fn asking_for_a_pin_is_switched_off_and_on_where_the_card_allows_it() {
    let reader = Reader::egk();
    for (command, expected) in [("enable", "not verified"), ("disable", "switched off")] {
        let output = reader.pin(&[command, "MRPIN.NFD"], "123456");
        assert_eq!(code(&output), 0, "{command}: {}", told(&output));
        assert_eq!(reader.state("MRPIN.NFD"), expected);
        let again = reader.pin(&[command, "MRPIN.NFD"], "");
        assert_eq!(code(&again), 0, "{command} again asks for nothing: {}", told(&again));
    }
}

#[test]
fn a_transport_pin_becomes_ones_own() {
    let reader = Reader::with(egk().transport_pins(true));
    assert_eq!(reader.state("PIN.CH"), "transport PIN");
    assert_eq!(code(&reader.pin(&["activate", "PIN.CH"], "123456\n246810")), 9, "a transport PIN is shorter");
    let output = reader.pin(&["activate", "PIN.CH"], "12345\n246810");
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert_eq!(reader.state("MRPIN.home"), "not verified");
    assert_eq!(code(&reader.pin(&["activate", "PIN.CH"], "246810\n123456")), 9, "it has its value");
    assert_eq!(code(&reader.pin(&["change", "PIN.CH"], "246810\n123456")), 0);
}

#[test]
fn nothing_is_asked_of_a_person_who_is_not_there() {
    let reader = Reader::egk();
    let output = Command::new(env!("CARGO_BIN_EXE_egk-reader"))
        .args(["pin", "change", "PIN.CH", "--reader", &reader.name])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert_eq!(code(&output), 9);
    assert!(told(&output).contains("--pin-file"), "{}", told(&output));
    assert_eq!(reader.tries(), 3);
}

#[test]
fn pins_are_in_no_log() {
    let reader = Reader::egk();
    let output = Command::new(env!("CARGO_BIN_EXE_egk-reader"))
        .args(["pin", "change", "PIN.CH", "--reader", &reader.name, "--pin-env", "PIN_TEST_SECRETS"])
        .env("PIN_TEST_SECRETS", "123456\n86420864")
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", told(&output));
    let log = told(&output).to_uppercase();
    assert!(log.contains("0024"), "nothing was traced: {log}");
    for secret in ["26123456", "2886420864", "86420864", "123456FF"] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[test]
fn a_readers_pad_takes_pins_where_it_has_one() {
    let reader = Reader::egk();
    let steps = ["123456", "86420864", "86420864", "86420864"].map(|digits| digits.parse().unwrap());
    reader.slot.set_pin_pad(PinPad::script(steps.to_vec()));
    let output = run(&["pin", "change", "PIN.CH", "--reader", &reader.name]);
    assert_eq!(code(&output), 0, "{}", told(&output));
    assert!(told(&output).contains("on the reader's pad"), "{}", told(&output));
    let output = run(&["show", "log", "--json", "--reader", &reader.name]);
    assert_eq!(code(&output), 0, "{}", told(&output));
    reader.slot.set_pin_pad(PinPad::script(vec!["cancel".parse().unwrap()]));
    reader.slot.reset();
    assert_eq!(code(&run(&["pin", "change", "PIN.CH", "--reader", &reader.name])), 9);
    assert_eq!(reader.tries(), 3);
    assert_eq!(code(&reader.pin(&["change", "PIN.CH"], "86420864\n123456")), 0, "a file goes before the pad");
}

#[test]
fn by_radio_everything_is_done_under_secure_messaging() {
    let radio = Reader::by_radio();
    let can = ["--can", "123123"];
    let listed = run(&[&["pin", "status", "--json", "--reader", &radio.name][..], &can].concat());
    assert_eq!(code(&listed), 0, "{}", told(&listed));
    assert!(String::from_utf8(listed.stdout).unwrap().contains("PIN.AMTS_REP"));
    for (secrets, expected) in [("999999\n246810", 9), ("123456\n246810", 0), ("246810\n123456", 0)] {
        let output = radio.pin(&[&["change", "PIN.CH"][..], &can].concat(), secrets);
        assert_eq!(code(&output), expected, "{}", told(&output));
    }
    let output = radio.pin(&[&["unblock", "PIN.CH"][..], &can].concat(), "12345678");
    assert_eq!(code(&output), 0, "{}", told(&output));
    let plain = run(&["pin", "status", "--reader", &radio.name]);
    assert_eq!(code(&plain), 7, "without the number the card tells nothing: {}", told(&plain));
}
