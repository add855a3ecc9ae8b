//! The same through a real PC/SC daemon with a virtual reader, private to each test.

use std::fs;

use tests::artefacts::{binary, example, module};
use tests::cards::{CardImage, PIN_QES};
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

/// A daemon with the physician's card in one reader and an insurance card in the other.
struct Bench {
    anchors: std::path::PathBuf,
    _hpc: CardImage,
    _egk: CardImage,
    _simulator: Simulator,
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
        Bench {
            anchors: hpc.anchors(),
            _hpc: hpc,
            _egk: egk,
            _simulator: simulator,
            daemon,
            _directory: directory,
        }
    }

    fn environment(&self) -> (String, String) {
        ("PCSCLITE_CSOCK_NAME".into(), self.daemon.socket().display().to_string())
    }
}
