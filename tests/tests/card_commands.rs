//! The budget: on plastic every command costs 10 to 100 ms, so commands are counted at the card.

use std::fs;
use std::path::PathBuf;

use tests::artefacts::binary;
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::host::Host;
use tests::programs::{program, run};
use tests::simulator::{Simulator, socket_in};

const DRIVER: &str = env!("CARGO_BIN_EXE_token-driver");

/// A card without logical channels is read as a whole. On one with channels each slot is read by itself when it is first
/// looked at, its channel included.
#[test]
fn a_slot_is_listed_with_ten_commands_and_listed_again_with_none() {
    for (profile, costs) in [("hpc-p384", [10, 0]), ("hba-g21", [8, 4])] {
        let mut bench = Bench::with(profile, "");
        let mut found = 0;
        for (token, cost) in ["ESIGN", "QES"].into_iter().zip(costs) {
            let listed = bench.host.succeed(&format!("objects {token}"));
            found += listed.split(' ').filter(|label| label.starts_with("C.HP.")).count();
            assert_eq!(bench.spent(), cost, "{profile} {token}: {:#?}", bench.simulator.sent());
        }
        assert!(found >= 6, "{profile}: {found}");
        bench.host.succeed("objects ESIGN");
        bench.host.succeed("objects QES");
        assert_eq!(bench.spent(), 0, "{profile}: the card was asked again");
    }
    let mut bench = Bench::with("hba-g21", "");
    bench.host.succeed("objects QES");
    assert_eq!(bench.spent(), 6, "{:#?}", bench.simulator.sent());
}

#[test]
fn a_foreign_card_costs_two_commands_once_and_none_until_it_is_inserted_again() {
    let mut bench = Bench::with("egk-g21", "");
    for insertion in 0..2 {
        assert!(bench.host.ask("objects ESIGN").starts_with("error"));
        let first = bench.spent();
        assert!((1..=2).contains(&first), "insertion {insertion}: {:#?}", bench.simulator.sent());
        for _ in 0..3 {
            assert!(bench.host.ask("objects QES").starts_with("error"));
        }
        assert_eq!(bench.spent(), 0, "insertion {insertion}: the card was asked again");
        bench.simulator.insert(0);
    }
}

/// VERIFY. On a card without channels SELECT makes sure whose PIN.QES is compared (docs/decisions/logical-channels.md).
#[test]
fn a_login_costs_one_command_and_that_of_a_shared_signature_application_two() {
    for (profile, token, pin, commands) in [
        ("hpc-p384", "ESIGN", PIN_CH, ["VERIFY"].as_slice()),
        ("hpc-p384", "QES", PIN_QES, &["SELECT", "VERIFY"]),
        ("hba-g21", "ESIGN", PIN_CH, &["VERIFY"]),
        ("hba-g21", "QES", PIN_QES, &["VERIFY"]),
    ] {
        let mut bench = Bench::with(profile, "");
        bench.host.succeed("objects ESIGN");
        bench.host.succeed("objects QES");
        let before = bench.simulator.sent().len();
        bench.host.succeed(&format!("login {token} {pin}"));
        let sent = bench.simulator.sent();
        let names: Vec<&str> = sent[before..].iter().map(|command| name(command)).collect();
        assert_eq!(names, commands, "{profile} {token}");
    }
}

fn name(command: &str) -> &'static str {
    match &command[2..4] {
        "20" => "VERIFY",
        "70" => "MANAGE CHANNEL",
        "A4" => "SELECT",
        _ => "something else",
    }
}

#[test]
fn the_first_signature_after_login_costs_two_commands_and_each_further_one() {
    for (profile, label, bytes) in [("hpc-p384", "C.HP.AUT.E384", 48), ("hba-g21", "C.HP.AUT.E256", 32)] {
        let mut bench = Bench::with(profile, "");
        bench.host.succeed(&format!("login ESIGN {PIN_CH}"));
        bench.counts_signatures("ESIGN", label, bytes);
    }
}

#[test]
fn in_a_batch_the_signature_key_costs_the_same() {
    for (profile, label, bytes) in [("hpc-p384", "C.HP.QES.E384", 48), ("hba-g21", "C.HP.QES.E256", 32)] {
        let mut bench = Bench::with(profile, "qes_batch = true\n");
        bench.host.succeed(&format!("login QES {PIN_QES}"));
        bench.counts_signatures("QES", label, bytes);
    }
}

#[test]
fn outside_a_batch_one_pin_is_one_signature() {
    let mut bench = Bench::with("hba-g21", "");
    bench.host.succeed(&format!("login QES {PIN_QES}"));
    let digest = "5a".repeat(32);
    bench.host.succeed(&format!("sign QES C.HP.QES.E256 {digest}"));
    let second = bench.host.ask(&format!("sign QES C.HP.QES.E256 {digest}"));
    assert!(second.starts_with("error"), "a second signature without a PIN: {second}");
    assert_eq!(bench.simulator.signatures(), 1);
}

#[test]
fn the_cards_own_budget_ends_a_batch() {
    let mut bench = Bench::with("hba-g21", "qes_batch = true\n");
    bench.host.succeed(&format!("login QES {PIN_QES}"));
    let digest = "5a".repeat(32);
    for _ in 0..250 {
        bench.host.succeed(&format!("sign QES C.HP.QES.E256 {digest}"));
    }
    let beyond = bench.host.ask(&format!("sign QES C.HP.QES.E256 {digest}"));
    assert!(beyond.starts_with("error"), "the card allows 250 signatures: {beyond}");
}

#[test]
fn insurance_data_and_its_state_cost_six_commands() {
    let egk = CardImage::of("egk-g21");
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "egk");
    let simulator = Simulator::start(&[(&egk, &reader)]);
    run(&mut program(binary("egk-reader"), ["read", "--reader", &reader])).expect_success();
    assert!(simulator.commands() <= 6, "{:#?}", simulator.sent());
}

struct Bench {
    host: Host,
    simulator: Simulator,
    counted: u64,
    _card: CardImage,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn with(profile: &str, configuration: &str) -> Bench {
        let card = CardImage::of(profile);
        let directory = tempfile::tempdir().unwrap();
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let file: PathBuf = directory.path().join("module.toml");
        fs::write(&file, format!("readers = [{reader:?}]\ncertificate_cache = false\n{configuration}"))
            .unwrap();
        let host = Host::start(DRIVER, &file);
        Bench { host, simulator, counted: 0, _card: card, _directory: directory }
    }

    /// Commands since the last question.
    fn spent(&mut self) -> u64 {
        let now = self.simulator.commands();
        now - std::mem::replace(&mut self.counted, now)
    }

    fn counts_signatures(&mut self, token: &str, label: &str, bytes: usize) {
        let digest = "5a".repeat(bytes);
        self.spent();
        self.host.succeed(&format!("sign {token} {label} {digest}"));
        let first = self.spent();
        assert!(first <= 2, "{label}: the first signature cost {first}: {:#?}", self.simulator.sent());
        for _ in 0..3 {
            self.host.succeed(&format!("sign {token} {label} {digest}"));
            assert_eq!(self.spent(), 1, "{label}: a further signature: {:#?}", self.simulator.sent());
        }
    }
}
