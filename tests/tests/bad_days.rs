//! What goes wrong at a physician's desk: the right answer, nothing lost, and the next try works.

use std::fs;

use tests::artefacts::{binary, example};
use tests::cards::{CardImage, PIN_QES};
use tests::openssl::verified_content;
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

const NO_CARD: [&str; 2] = ["--no-card", "the test has no insurance card"];

#[test]
fn a_wrong_pin_costs_one_try_and_is_sent_once() {
    let desk = Desk::with(CardImage::of("hba-g21"));
    let before = desk.simulator.verifications();
    let refused = desk.refused("999999");
    assert!(refused.contains("PIN") && refused.contains("at least 2 tries"), "{refused}");
    assert_eq!(desk.simulator.verifications() - before, 1);
    assert_eq!(desk.tries_left("PIN.QES"), 2);
    desk.signs();
    assert_eq!(desk.tries_left("PIN.QES"), 3, "the right PIN gives the tries back");
}

#[test]
fn a_pin_of_wrong_form_never_reaches_the_card() {
    let desk = Desk::with(CardImage::of("hba-g21"));
    for pin in ["12345", "123456789", "12345a", "äöü123"] {
        desk.refused(pin);
    }
    assert_eq!(desk.simulator.verifications(), 0);
    assert_eq!(desk.tries_left("PIN.QES"), 3);
}

#[test]
fn a_blocked_pin_is_named_and_the_right_pin_is_refused_too() {
    let desk = Desk::with(CardImage::of("hba-g21"));
    for _ in 0..2 {
        desk.refused("999999");
    }
    let kept = desk.refused("999999");
    assert!(kept.contains("one try is left"), "{kept}");
    assert_eq!(desk.tries_left("PIN.QES"), 1, "the last try is used on request only");
    desk.refused_with("999999", &["--last-try"]);
    let refused = desk.refused_with(PIN_QES, &["--last-try"]);
    assert!(refused.contains("blocked"), "{refused}");
    assert_eq!(desk.tries_left("PIN.QES"), 0);
}

#[test]
fn a_transport_pin_has_to_be_changed_first_and_loses_no_try() {
    let desk = Desk::with(CardImage::with("hba-g21", &["--transport-pin"]));
    let refused = desk.refused(PIN_QES);
    assert!(refused.contains("transport"), "{refused}");
    assert_eq!(desk.tries_left("PIN.QES"), 3);
}

#[test]
fn a_card_pulled_at_any_command_of_a_signature_is_reported_and_the_next_insertion_signs() {
    let desk = Desk::with(CardImage::of("hpc-p384"));
    desk.signs();
    let start = desk.simulator.commands();
    desk.signs();
    let commands = desk.simulator.commands() - start;
    let mut refusals = 0;
    for index in 1..=commands {
        let signatures = desk.simulator.signatures();
        desk.simulator.pull_at(0, index);
        let (said, signature) = desk.service.sign(&example("prescription.xml"), PIN_QES, &NO_CARD);
        if said.success {
            // What follows the signature only tidies up: the signature was made, verified and is handed out.
            assert_eq!(desk.simulator.signatures(), signatures + 1, "pulled at command {index}");
            assert!(!verified_content(&signature, &desk.card.anchors()).is_empty());
        } else {
            refusals += 1;
            assert_eq!(said.code, Some(5), "pulled at command {index}: {}", said.stderr);
            assert!(!signature.exists(), "pulled at command {index}");
        }
        desk.simulator.insert(0);
        assert_eq!(desk.tries_left("PIN.QES"), 3, "pulled at command {index}");
        desk.signs();
    }
    assert!(
        refusals >= 4,
        "SELECT, VERIFY, MSE and PSO stand before every signature; {refusals} of {commands}"
    );
}

#[test]
fn no_reader_an_empty_reader_and_a_foreign_card_are_three_different_answers() {
    let hpc = CardImage::of("hpc-p384");
    let egk = CardImage::of("egk-g21");
    let directory = tempfile::tempdir().unwrap();
    let answer = |reader: &str| {
        let service = Service::start(Setup::on_readers(&[reader], &hpc.anchors()));
        let (said, _) = service.sign(&example("prescription.xml"), PIN_QES, &NO_CARD);
        assert!(!said.success);
        said.stderr
    };
    let no_reader = answer(&socket_in(&directory, "nobody"));

    let reader = socket_in(&directory, "hpc");
    let simulator = Simulator::start(&[(&hpc, &reader)]);
    simulator.eject(0);
    let empty = answer(&reader);
    drop(simulator);

    let foreign_reader = socket_in(&directory, "egk");
    let _simulator = Simulator::start(&[(&egk, &foreign_reader)]);
    let foreign = answer(&foreign_reader);
    for (case, said) in [("no reader", &no_reader), ("empty reader", &empty), ("foreign card", &foreign)] {
        assert!(said.to_lowercase().contains("card"), "{case}: {said}");
    }
}

#[test]
fn what_is_no_prescription_is_refused_before_the_card_is_asked() {
    let desk = Desk::with(CardImage::of("hpc-p384"));
    let right = fs::read_to_string(example("prescription.xml")).unwrap();
    for (name, text) in [
        ("empty", String::new()),
        ("not XML", "Rp. Beispielolol".to_owned()),
        ("cut off", right[..right.len() / 2].to_owned()),
        ("no Bundle", "<Patient xmlns=\"http://hl7.org/fhir\"/>".to_owned()),
        ("entities", format!("<!DOCTYPE x [<!ENTITY a \"b\">]>{right}")),
        (
            "two patients",
            right.replacen("<Practitioner>", "<Patient>", 1).replacen("</Practitioner>", "</Patient>", 1),
        ),
        ("too large", right.replacen("<entry>", &format!("<!-- {} --><entry>", "x".repeat(1 << 20)), 1)),
    ] {
        let file = desk.service.directory().join("wrong.xml");
        fs::write(&file, text).unwrap();
        let (said, signature) = desk.service.sign(&file, PIN_QES, &NO_CARD);
        assert!(!said.success && !signature.exists(), "{name} was signed");
        assert!(!said.stderr.trim().is_empty(), "{name}: nothing was said");
    }
    assert_eq!(desk.simulator.verifications(), 0, "a PIN was spent on something that is no prescription");
    assert_eq!(desk.simulator.signatures(), 0);
}

#[test]
fn a_gzip_bomb_on_an_insurance_card_is_refused_by_its_size() {
    let directory = tempfile::tempdir().unwrap();
    let right = fs::read(example("patient/pd.xml")).unwrap();
    let bomb = directory.path().join("bomb.xml");
    let mut body = right.clone();
    body.extend(std::iter::repeat_n(b' ', 300_000));
    fs::write(&bomb, body).unwrap();
    let arguments = [bomb, example("patient/vd.xml"), example("patient/gvd.xml")];
    let arguments: Vec<&str> = arguments.iter().map(|path| path.to_str().unwrap()).collect();
    let egk = CardImage::with("egk-g21", &[&["--patient"], &arguments[..]].concat());
    let reader = socket_in(&directory, "egk");
    let _simulator = Simulator::start(&[(&egk, &reader)]);
    let said = run(&mut program(binary("egk-reader"), ["read", "--reader", &reader]));
    assert!(!said.success);
    assert!(
        said.stderr.contains("65536") || said.stderr.contains("64"),
        "the limit is not named: {}",
        said.stderr
    );
}

/// A physician's card in a reader and a service that uses it.
struct Desk {
    card: CardImage,
    simulator: Simulator,
    service: Service,
    _directory: tempfile::TempDir,
}

impl Desk {
    fn with(card: CardImage) -> Desk {
        let directory = tempfile::tempdir().unwrap();
        let reader = socket_in(&directory, "hpc");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let service = Service::start(Setup::on_readers(&[&reader], &card.anchors()));
        Desk { card, simulator, service, _directory: directory }
    }

    #[track_caller]
    fn signs(&self) {
        let (said, signature) = self.service.sign(&example("prescription.xml"), PIN_QES, &NO_CARD);
        said.expect_success();
        assert_eq!(
            verified_content(&signature, &self.card.anchors()),
            fs::read(example("prescription.xml")).unwrap()
        );
    }

    #[track_caller]
    fn refused(&self, pin: &str) -> String {
        self.refused_with(pin, &[])
    }

    #[track_caller]
    fn refused_with(&self, pin: &str, further: &[&str]) -> String {
        let arguments = [&NO_CARD[..], further].concat();
        let (said, signature) = self.service.sign(&example("prescription.xml"), pin, &arguments);
        assert!(!said.success && !signature.exists(), "signed with a wrong PIN");
        assert!(!said.text().contains(pin), "the PIN is shown: {}", said.text());
        said.stderr
    }

    fn tries_left(&self, pin: &str) -> u64 {
        self.simulator.tries_left(0, pin)
    }
}
