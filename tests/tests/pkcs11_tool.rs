//! `hpc-pkcs11-tool`: cards, PINs, trials and reports, as an administrator uses it.

use serde_json::Value;
use tests::artefacts::{binary, module};
use tests::cards::{CardImage, PIN_CH, PIN_QES, PUK};
use tests::desk::{Desk, text_of};
use tests::programs::Ran;

const WRONG: &str = "999999";

#[test]
fn cards_keys_and_pins_are_listed() {
    for (profile, key) in [("hpc-p384", "C.HP.AUT.E384"), ("hba-g21", "C.HP.AUT.E256")] {
        let desk = Desk::with(profile);
        let text = tool(&desk, &["list"]).expect_success().stdout;
        for part in [key, "PIN.CH", "PIN.QES", "ready, 3 tries left"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let cards = json(&tool(&desk, &["list", "--json"]).expect_success());
        assert_eq!(cards[0]["keys"].as_array().unwrap().len(), 6);
        assert_eq!(cards[0]["pins"][0]["tries_left"], 3);
    }
}

#[test]
fn a_changed_pin_is_the_only_one_that_works() {
    let desk = Desk::with("hba-g21");
    with_secrets(&desk, &["pin", "change", "ch"], &[PIN_CH, "246802"]).expect_success();
    with_secrets(&desk, &["test-sign"], &["246802"]).expect_success();
    with_secrets(&desk, &["pin", "change", "ch"], &["246802", PIN_CH]).expect_success();
    with_secrets(&desk, &["test-sign"], &[PIN_CH]).expect_success();
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_last_one_is_only_used_on_request() {
    let desk = Desk::with("hba-g21");
    let change: &[&str] = &["pin", "change", "ch"];
    for left in ["2 tries left", "1 tries left"] {
        let said = with_secrets(&desk, change, &[WRONG, "246802"]).expect_code(5);
        assert!(said.stderr.contains(left), "{}", said.text());
    }
    let said = with_secrets(&desk, change, &[PIN_CH, "246802"]).expect_code(6);
    assert!(said.stderr.contains("--last-try"), "{}", said.text());
    with_secrets(&desk, &[change, &["--last-try"]].concat(), &[PIN_CH, PIN_CH]).expect_success();
}

#[test]
fn what_cannot_be_a_pin_costs_no_try() {
    let desk = Desk::with("hpc-p384");
    for secrets in [["12345", "246802"], ["12345x", "246802"], [PIN_CH, "1"]] {
        with_secrets(&desk, &["pin", "change", "ch"], &secrets).expect_code(5);
    }
    with_secrets(&desk, &["pin", "change", "qes"], &[PIN_QES]).expect_code(2);
}

#[test]
fn the_puk_brings_a_blocked_pin_back() {
    let desk = Desk::with("hba-g21");
    for _ in 0..2 {
        with_secrets(&desk, &["pin", "change", "qes"], &[WRONG, "246802"]).expect_code(5);
    }
    let last = &["pin", "change", "qes", "--last-try"];
    with_secrets(&desk, last, &[WRONG, "246802"]).expect_code(6);
    let said = with_secrets(&desk, last, &[PIN_QES, "246802"]).expect_code(6);
    assert!(said.stderr.contains("pin unblock"), "{}", said.text());
    let blocked = json(&tool(&desk, &["pin", "status", "--json"]).expect_success());
    assert_eq!(blocked[0]["pins"][1]["state"], "blocked");
    with_secrets(&desk, &["pin", "unblock", "qes"], &[PUK]).expect_success();
    with_secrets(&desk, &["test-sign", "qes"], &[PIN_QES]).expect_success();
}

#[test]
fn a_puk_is_entered_on_the_pad_of_the_reader() {
    let desk = Desk::on_socket("hba-g21");
    let new = "246802";
    desk.simulator.set_pin_pad(0, &["cancel"]);
    let unblock = ["pin", "unblock", "ch", "--new-pin"];
    let said = tool(&desk, &unblock).expect_code(7);
    assert!(said.stderr.contains("PUK and twice the new PIN on the reader's pad"), "{}", said.text());
    assert!(said.stderr.contains("cancelled"), "{}", said.text());
    desk.simulator.set_pin_pad(0, &[PUK, new, new]);
    tool(&desk, &unblock).expect_success();
    desk.simulator.set_pin_pad(0, &[new, PIN_CH, PIN_CH]);
    tool(&desk, &["pin", "change", "ch"]).expect_success();
    desk.simulator.set_pin_pad(0, &[PUK]);
    let said = tool(&desk, &["pin", "unblock", "qes"]).expect_success();
    assert!(said.stderr.contains("Please enter the PUK on the reader's pad."), "{}", said.text());
    // What is given in a file is taken from there.
    with_secrets(&desk, &["pin", "unblock", "qes"], &[PUK]).expect_success();
    let refused = with_secrets(&desk, &["pin", "unblock", "qes", "--new-pin"], &[PUK, new]).expect_code(5);
    assert!(refused.stderr.contains("sets no new PIN"), "{}", refused.text());
}

#[test]
fn a_new_card_is_activated_with_its_transport_pin() {
    let desk = Desk::holding(CardImage::with("hba-g21", &["--transport-pin"]), "hba-g21", "");
    let status = json(&tool(&desk, &["pin", "status", "--json"]).expect_success());
    let state = status[0]["pins"][0]["state"].as_str().unwrap();
    assert!(state.contains("activated"), "{state}");
    for (pin, delivered, own) in [("ch", "12345", PIN_CH), ("qes", "23456", PIN_QES)] {
        with_secrets(&desk, &["pin", "activate", pin], &[delivered, own]).expect_success();
        with_secrets(&desk, &["test-sign", pin], &[own]).expect_success();
        let again = with_secrets(&desk, &["pin", "activate", pin], &[delivered, own]).expect_code(5);
        assert!(again.stderr.contains("transport state"), "{}", again.text());
    }
}

#[test]
fn keys_are_tried_through_the_module() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::with(profile);
        let tried = with_secrets(&desk, &["test-sign", "--json"], &[PIN_CH]).expect_success();
        let tried = json(&tried);
        let tried = tried.as_array().unwrap();
        assert!(tried.len() >= 2, "{tried:?}");
        assert!(tried.iter().all(|key| key["verified"] == true), "{tried:?}");
        assert_eq!(desk.simulator.signatures(), tried.len());
        let qualified = with_secrets(&desk, &["test-sign", "qes"], &[PIN_QES]).expect_success();
        assert!(qualified.stdout.contains("C.HP.QES"), "{}", qualified.text());
    }
}

#[test]
fn a_report_tells_everything_but_whose_card_it_is() {
    let desk = Desk::with("hba-g21");
    let said = tool(&desk, &["report", "--json"]).expect_success();
    let report = json(&said);
    assert_eq!(report["readers"][0]["card"]["content"]["profile"], "hba-g21");
    assert_eq!(report["module"]["tokens"].as_array().unwrap().len(), 2);
    assert!(report["configuration"].as_str().unwrap().contains("module.toml"));
    let serial = json(&tool(&desk, &["list", "--json"]).expect_success());
    let serial = serial[0]["serial"].as_str().unwrap().to_owned();
    assert!(!said.stdout.contains(&serial), "{}", said.stdout);
    assert!(!said.stdout.contains("Beispiel"), "{}", said.stdout);
}

#[test]
fn what_is_missing_is_named() {
    let desk = Desk::with("hba-g21");
    let elsewhere = |readers: &str| {
        let mut command = desk.command(&text_of(&binary("hpc-pkcs11-tool")), &["list"]);
        tests::programs::run(command.env("HPC_PKCS11_READERS", readers))
    };
    elsewhere("socket:/nonexistent/card").expect_code(3);
    let said = elsewhere("nonsense").expect_code(8);
    assert!(said.stderr.contains("\"nonsense\" is no reader"), "{}", said.text());
    tool(&desk, &["list", "--card", "0000000000"]).expect_code(3);
    let said = tool(&desk, &["test-sign", "--module", "/nonexistent.so"]).expect_code(8);
    assert!(said.stderr.contains("/nonexistent.so"), "{}", said.text());
}

fn tool(desk: &Desk, arguments: &[&str]) -> Ran {
    let mut command = desk.command(&text_of(&binary("hpc-pkcs11-tool")), arguments);
    tests::programs::run(command.env("HPC_PKCS11_MODULE", module()))
}

fn with_secrets(desk: &Desk, arguments: &[&str], secrets: &[&str]) -> Ran {
    let file = desk.file("secrets", secrets.join("\n"));
    tool(desk, &[arguments, &["--pin-file", &text_of(&file)]].concat())
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).expect("the answer is JSON")
}
