//! The built command: exit codes, forms, and what goes where.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test program a panic is the report"
)]

use std::process::{Command, Output};

use card_simulator::server::{Address, Fault, Plug, Slot};
use card_simulator::{Card, CardImage, Interface, NewCard, Patient, ProfileName, RsaKeyPool};
use serde_json::Value;
use tempfile::TempDir;

#[path = "../support/pack.rs"]
mod pack;

mod certificates;
mod emergency;
mod identify;
mod identity;
mod pin;
mod radio;
mod recording;
mod show;
mod watch;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_egk-reader")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("ended by itself")
}

#[test]
fn help_documents_the_exit_codes() {
    for arguments in [
        &["--help"][..],
        &["read", "--help"],
        &["identify", "--help"],
        &["watch", "--help"],
        &["show", "--help"],
        &["pin", "--help"],
    ] {
        let output = run(arguments);
        assert_eq!(code(&output), 0);
        let text = String::from_utf8(output.stdout).unwrap();
        for line in [
            "0  done",
            "2  wrong arguments",
            "3  no reader",
            "4  the card is not an eGK",
            "6  an update",
            "11  the card",
        ] {
            assert!(text.contains(line), "{line} is missing in {text}");
        }
    }
}

#[test]
fn wrong_arguments_are_code_2() {
    for arguments in
        [&[][..], &["write"], &["read", "--json", "--fhir"], &["read", "--reader", "socket:nowhere"]]
    {
        assert_eq!(code(&run(arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn a_socket_nobody_listens_on_is_a_reader_without_card() {
    let directory = TempDir::new().unwrap();
    let reader = format!("socket:{}", directory.path().join("nobody").display());
    let output = run(&["read", "--reader", &reader]);
    assert_eq!(code(&output), 3, "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.stdout.is_empty());
    assert!(told.contains("no card reader answers at socket:") && told.contains("No such file"), "{told}");
    let listed = run(&["list", "--reader", &reader, "--json"]);
    assert_eq!(code(&listed), 0);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed[0]["card"], false);
}

/// A card in a reader behind a socket.
struct Reader {
    slot: Slot,
    name: String,
    _plug: Plug,
    _directory: TempDir,
}

const ICCSN: &str = "80276001010000000017";

impl Reader {
    fn with(issue: NewCard) -> Reader {
        Reader::over(issue, Interface::Contact)
    }

    fn over(issue: NewCard, interface: Interface) -> Reader {
        let directory = TempDir::new().unwrap();
        let image = directory.path().join("card");
        issue.iccsn(ICCSN).rsa_keys(RsaKeyPool::Shared).create(&image).unwrap();
        let slot = Slot::with(Card::new(CardImage::open(&image).unwrap()).over(interface));
        let address = Address::Unix(directory.path().join("reader"));
        let plug = slot.plug(&address).unwrap();
        Reader { slot, name: address.to_string(), _plug: plug, _directory: directory }
    }

    /// A card that is not in the reader but near it.
    fn by_radio() -> Reader {
        Reader::over(egk(), Interface::Contactless)
    }

    fn egk() -> Reader {
        Reader::with(egk())
    }

    fn read(&self, options: &[&str]) -> Output {
        run(&[&["read", "--reader", &self.name], options].concat())
    }
}

fn egk() -> NewCard {
    NewCard::new(ProfileName::EgkG21).patient(Patient {
        personal: pack::GOOD_PD.as_bytes().to_vec(),
        insurance: pack::GOOD_VD.as_bytes().to_vec(),
        protected: None,
    })
}

#[test]
fn each_form_prints_the_patient() {
    let reader = Reader::egk();
    let text = |options: &[&str]| {
        let output = reader.read(options);
        assert_eq!(code(&output), 0, "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let table = text(&["--generation"]);
    assert!(
        table.contains("Erna Erfunden") && table.contains("1990-02-15") && table.contains("G2.1"),
        "{table}"
    );
    let json: Value = serde_json::from_str(&text(&["--json"])).unwrap();
    assert_eq!(json["personal"]["kvnr"], "X110540756");
    assert_eq!(json["coverage"]["payer"]["ik"], "108314006");
    assert_eq!(json["card"]["iccsn"], ICCSN);
    let fhir: Value = serde_json::from_str(&text(&["--fhir"])).unwrap();
    assert_eq!(fhir["entry"][0]["resource"]["birthDate"], "1990-02-15");
    let older: Value = serde_json::from_str(&text(&["--fhir", "--fhir-version", "1.2"])).unwrap();
    assert!(older["entry"][0]["resource"]["meta"].get("versionId").is_none());
    let plain: Value = serde_json::from_str(&text(&["--fhir", "--fhir-version", "r4"])).unwrap();
    assert_eq!(plain["entry"][0]["resource"]["gender"], "female");
    assert!(text(&["--fhir-xml"]).contains("<birthDate value=\"1990-02-15\"/>"));
}

#[test]
fn xml_is_what_the_card_holds_byte_for_byte() {
    let reader = Reader::egk();
    assert_eq!(reader.read(&["--xml=personal"]).stdout, pack::GOOD_PD.as_bytes());
    let (pd, vd) = (pack::GOOD_PD, pack::GOOD_VD);
    let framed = format!("# personal {}\n{pd}\n# coverage {}\n{vd}\n", pd.len(), vd.len());
    assert_eq!(String::from_utf8(reader.read(&["--xml"]).stdout).unwrap(), framed);
    assert_eq!(code(&reader.read(&["--xml=protected"])), 5);
}

#[test]
fn what_the_card_lacks_goes_to_standard_error() {
    let output = Reader::egk().read(&["--fhir"]);
    assert_eq!(code(&output), 0);
    let findings = String::from_utf8(output.stderr).unwrap();
    assert!(findings.contains("finding: Coverage.extension(dmp-kennzeichen)"), "{findings}");
}

#[test]
fn reading_takes_six_commands_and_the_generation_two_more() {
    for (options, most) in [(&[][..], 6), (&["--generation"][..], 8)] {
        let reader = Reader::egk();
        assert_eq!(code(&reader.read(options)), 0);
        assert!(reader.slot.commands() <= most, "{} commands", reader.slot.commands());
    }
}

#[test]
fn progress_is_told_after_each_command_if_asked_for() {
    let output = Reader::egk().read(&["--json", "--progress"]);
    let told = String::from_utf8(output.stderr).unwrap();
    let lines: Vec<_> = told.lines().filter(|line| line.contains("commands done")).collect();
    assert_eq!(lines.len(), 6, "{told}");
    assert!(lines[5].starts_with("egk-reader: 6 commands done, "), "{told}");
}

#[test]
fn failures_have_their_codes() {
    let mut status = pack::good_status();
    status[0] = b'1';
    for (issue, expected) in [
        (NewCard::new(ProfileName::HbaG21), 4),
        (egk().file("EF.PD", [0x7F, 0xFF, 0x00]), 5),
        (egk().file("EF.StatusVD", status), 6),
    ] {
        let reader = Reader::with(issue);
        let output = reader.read(&["--json"]);
        assert_eq!(code(&output), expected, "{}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let reader = Reader::egk();
    reader.slot.eject();
    assert_eq!(code(&reader.read(&[])), 3);
}

#[test]
fn a_card_pulled_at_any_command_prints_nothing_and_is_code_7() {
    for command in 1..=6 {
        let reader = Reader::egk();
        reader.slot.fault_at(command, Fault::Pull);
        let output = reader.read(&["--json"]);
        assert_eq!(code(&output), 7, "at {command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn who_reads_another_card_hears_what_it_may_be() {
    for (profile, told) in [
        (ProfileName::Kvk, "of the first kind (KVK)"),
        (ProfileName::Beid18, "Belgian"),
        (ProfileName::Vitale2, "Vitale"),
    ] {
        let output = Reader::with(NewCard::new(profile)).read(&["--json"]);
        let said = String::from_utf8(output.stderr.clone()).unwrap();
        assert_eq!(code(&output), 4, "{said}");
        assert!(said.contains(told) && said.contains("egk-reader identity"), "{said}");
    }
}

/// Names, numbers and dates, as text and as the hexadecimal digits of a command trace.
#[test]
fn the_most_verbose_log_holds_no_personal_data() {
    let reader = Reader::egk();
    let output = Command::new(env!("CARGO_BIN_EXE_egk-reader"))
        .args(["read", "--fhir", "--reader", &reader.name])
        .env("RUST_LOG", "trace")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(log.contains("00B08"), "nothing was traced: {log}");
    for secret in ["X110540756", "Erfunden", "Erna", "19900215", "1990-02-15", ICCSN] {
        let hexadecimal: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let log = log.to_lowercase();
        assert!(!log.contains(&secret.to_lowercase()) && !log.contains(&hexadecimal), "{secret} is logged");
    }
}
