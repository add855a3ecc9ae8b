//! The same through a real PC/SC daemon with a virtual reader, private to each test.

mod recipe;
mod ten_readers;

use std::fs;

use tests::artefacts::{binary, example, module};
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::host::Host;
use tests::openssl::verified_content;
use tests::pcscd::Pcscd;
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::Simulator;

#[test]
fn a_prescription_is_signed_through_pcscd_with_both_cards_in_their_readers() {
    for profile in ["hpc-p384", "hba-g21"] {
        let bench = Bench::with(profile);
        let mut setup = Setup::on_readers(&["pcsc:"], &bench.anchors).insurance("pcsc:");
        setup.environment.push(bench.environment());
        let service = Service::start(setup);
        let (said, signature) =
            service.sign(&example("prescription.xml"), PIN_QES, &["--egk", "Simulated 00 01"]);
        assert!(said.success, "{profile}: {}", said.text());
        let content = verified_content(&signature, &bench.anchors);
        assert_eq!(content, fs::read(example("prescription.xml")).unwrap());
    }
}

#[test]
fn the_insurance_card_is_read_through_pcscd() {
    let bench = Bench::with("hpc-p384");
    let (name, value) = bench.environment();
    let mut read = program(binary("egk-reader"), ["read", "--json"]);
    let said = run(read.env(name, value)).expect_success();
    let record: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    assert!(record.to_string().contains("T028491609"), "{record}");
}

#[test]
fn pkcs11_tool_finds_the_card_through_pcscd_without_any_configuration() {
    let bench = Bench::with("hba-g21");
    let (name, value) = bench.environment();
    let mut list = program("pkcs11-tool", ["-L", "--module"]);
    list.arg(module()).env(name, value).env("HPC_PKCS11_CERTIFICATE_CACHE", "off");
    let said = run(list.env_remove("HPC_PKCS11_CONFIG")).expect_success();
    assert!(said.stdout.contains("ESIGN") && said.stdout.contains("QES"), "{}", said.stdout);
}

#[test]
fn two_processes_alternate_signatures_with_three_commands_each() {
    let bench = Bench::with("hba-g21");
    let mut hosts = [bench.host(), bench.host()];
    for host in &mut hosts {
        host.succeed(&format!("login ESIGN {PIN_CH}"));
    }
    let sign = format!("sign ESIGN C.HP.AUT.E256 {}", "5a".repeat(32));
    for round in 0..5 {
        for host in &mut hosts {
            let before = bench.simulator.commands();
            host.succeed(&sign);
            let spent = bench.simulator.commands() - before;
            assert!(spent <= 3, "round {round}: {spent} commands: {:#?}", bench.simulator.sent());
        }
    }
}

#[test]
fn a_reset_by_another_process_ends_the_login_and_no_pin_is_sent_again() {
    let bench = Bench::with("hba-g21");
    let mut host = bench.host();
    let sign = format!("sign ESIGN C.HP.AUT.E256 {}", "5a".repeat(32));
    host.succeed(&format!("login ESIGN {PIN_CH}"));
    host.succeed(&sign);
    let (name, value) = bench.environment();
    run(program("opensc-tool", ["--reader", "0", "--reset"]).env(name, value));
    let refused = host.ask(&sign);
    assert!(refused.starts_with("error") && refused.contains("logged in"), "{refused}");
    let verified = |sent: Vec<String>| sent.iter().filter(|command| command.contains("20000108")).count();
    assert_eq!(verified(bench.simulator.sent()), 1);
    host.succeed(&format!("login ESIGN {PIN_CH}"));
    host.succeed(&sign);
}

#[test]
fn a_process_that_waits_is_told_of_cards_that_come_and_go() {
    let bench = Bench::with("hba-g21");
    let mut host = bench.host();
    host.succeed("objects ESIGN");
    let both = |host: &mut Host| [host.succeed("event"), host.succeed("event")];
    bench.simulator.eject(0);
    assert_eq!(both(&mut host), ["0", "1"]);
    bench.simulator.insert(0);
    assert_eq!(both(&mut host), ["0", "1"]);
    host.succeed(&format!("login ESIGN {PIN_CH}"));
}

/// A daemon with the physician's card in one reader and an insurance card in the other.
struct Bench {
    anchors: std::path::PathBuf,
    _hpc: CardImage,
    _egk: CardImage,
    simulator: Simulator,
    daemon: Pcscd,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn with(profile: &str) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Pcscd::start(directory.path()).unwrap();
        let (hpc, egk) = (CardImage::of(profile), CardImage::of("egk-g21"));
        let simulator = Simulator::start(&[(&hpc, &daemon.plug(0)), (&egk, &daemon.plug(1))]);
        daemon.wait_for_cards(2);
        Bench { anchors: hpc.anchors(), _hpc: hpc, _egk: egk, simulator, daemon, _directory: directory }
    }

    /// A process with the module and no other configuration than the daemon's address.
    fn host(&self) -> Host {
        let environment = [
            ("PCSCLITE_CSOCK_NAME", self.daemon.socket().as_os_str()),
            ("HPC_PKCS11_CONFIG", "/dev/null".as_ref()),
            ("HPC_PKCS11_CERTIFICATE_CACHE", "off".as_ref()),
        ];
        Host::start_with(env!("CARGO_BIN_EXE_token-driver"), &environment)
    }

    fn environment(&self) -> (String, String) {
        ("PCSCLITE_CSOCK_NAME".into(), self.daemon.socket().display().to_string())
    }
}
