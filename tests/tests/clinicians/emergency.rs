//! An emergency with simulated cards: three physicians, their authority's OCSP responder, and a patient's card that opens its
//! emergency data to a professional's card.

use std::fs;
use std::path::PathBuf;

use card_simulator::ocsp::OcspResponder;
use serde_json::Value;
use tests::cards::{CardImage, PIN_CH, authority};
use tests::network::metrics;
use tests::programs::{Ran, program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

/// The patient of the simulated insurance card.
const KVNR: &str = "T028491609";
const NAMED: &str = "http://ocsp.card-simulator.invalid/";
const EXPORT: [&str; 3] = ["1-request", "2-approval", "3-revocation"];

/// Readers: Ada, Bob, Eve, the patient.
struct Ward {
    directory: tempfile::TempDir,
    cards: Vec<CardImage>,
    simulator: Simulator,
    service: Service,
    _responder: OcspResponder,
    serials: Vec<String>,
}

impl Ward {
    fn new() -> Ward {
        Ward::configured("")
    }

    /// With further lines of configuration.
    fn configured(further: &str) -> Ward {
        let directory = tempfile::tempdir().unwrap();
        let people = ["1-HBA-ada", "1-HBA-bob", "1-HBA-eve"];
        let mut cards: Vec<CardImage> =
            people.iter().map(|id| CardImage::with("hba-g21", &["--telematik-id", id])).collect();
        let nfd = emergency_data(&directory.path().join("nfd"));
        cards.push(CardImage::with("egk-g21", &["--replace", &format!("EF.NFD={}", nfd.display())]));
        let readers = ["ada", "bob", "eve", "patient"].map(|name| socket_in(&directory, name));
        let plugged: Vec<(&CardImage, &str)> = cards.iter().zip(readers.iter().map(String::as_str)).collect();
        let simulator = Simulator::start(&plugged);
        let responder = OcspResponder::start(&authority(), "127.0.0.1:0".parse().unwrap()).unwrap();
        let anchors = cards[0].anchors();
        let mut setup = Setup::on_readers(&[&readers[0], &readers[1], &readers[2]], &anchors);
        setup = setup.insurance(&readers[3]);
        setup.module_configuration.push_str("qes = \"off\"\n");
        setup.further_configuration = format!(
            "[emergency]\nenabled = true\nrole_readers = [{:?}]\n{further}[ocsp.addresses]\n{NAMED:?} = {:?}\n",
            readers[0],
            responder.url()
        );
        let service = Service::start(setup);
        let listed = service.client(&["list-cards", "--json"]).expect_success();
        let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
        let tokens = listed["tokens"].as_array().unwrap();
        assert_eq!(tokens.len(), 3, "{listed}");
        let serials =
            tokens.iter().map(|token| token["serial_suffix"].as_str().unwrap().to_owned()).collect();
        Ward { directory, cards, simulator, service, _responder: responder, serials }
    }

    fn emergency(&self, arguments: &[&str]) -> Ran {
        let mut command = self.service.command(&["emergency"]);
        command.args(arguments).arg("--json").current_dir(self.directory.path());
        run(command.env("TEST_PIN", PIN_CH))
    }

    /// A step with somebody's card.
    fn step(&self, person: usize, arguments: &[&str]) -> Ran {
        let card = ["--serial", &self.serials[person], "--pin-env", "TEST_PIN"];
        self.emergency(&[arguments, &card].concat())
    }

    fn request(&self) -> Ran {
        let request = ["request", "--egk", "--reason", "unconscious", "--text", "found unconscious"];
        self.step(0, &[&request[..], &["--claim-file", "claim"]].concat())
    }

    fn open(&self, id: &str) -> Ran {
        self.emergency(&["open", id, "--claim-file", "claim", "--token-file", "token"])
    }

    fn read(&self, pin: &str) -> Ran {
        let mut command = self.service.command(&["emergency", "read", "--json", "--token", "token"]);
        command.args(["--pin-env", "TEST_PIN", "--xml", "nfd.xml"]).env("TEST_PIN", pin);
        run(command.current_dir(self.directory.path()))
    }
}

#[test]
fn two_cards_open_the_emergency_data_of_a_third_and_openssl_sees_why() {
    let ward = Ward::new();
    let id = said(&ward.request(), "request_id");
    assert!(!ward.read(PIN_CH).success, "there is no token yet");
    let approved = ward.step(1, &["approve", &id]);
    assert_eq!(said(&approved, "standing"), "approved");
    ward.open(&id).expect_success();

    let wrong = ward.read("654321");
    assert!(wrong.code == Some(4) && wrong.stdout.contains("PIN_WRONG"), "{}", wrong.text());
    let read = ward.read(PIN_CH).expect_success();
    assert!(read.stdout.contains("Penicillin"), "{}", read.stdout);
    let xml = fs::read_to_string(ward.directory.path().join("nfd.xml")).unwrap();
    assert!(xml.contains("Penicillin") && xml.contains(KVNR));

    let revoked = ward.step(0, &["revoke", &id]);
    assert_eq!(said(&revoked, "standing"), "revoked");
    let late = ward.read(PIN_CH);
    assert!(late.stdout.contains("EMERGENCY_STANDING"), "{}", late.text());
    assert_eq!(ward.simulator.answers_to_pins().iter().filter(|answer| *answer != "9000").count(), 1);

    judged(&ward, &id);
    let log = ward.service.log();
    for secret in [KVNR, "Penicillin", PIN_CH, "654321"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

/// The export judged by the program without its service, and by OpenSSL, OCSP answers too.
fn judged(ward: &Ward, id: &str) {
    ward.emergency(&["export", id, "--out", "case.json"]).expect_success();
    let anchors = ward.cards[0].anchors();
    let anchors = anchors.to_str().unwrap();
    let verified = ward.emergency(&["verify", "case.json", "--anchors", anchors, "--extract", "steps"]);
    let verified: Value = serde_json::from_str(&verified.expect_success().stdout).unwrap();
    assert_eq!((&verified["holds"], &verified["offline_steps"]), (&true.into(), &serde_json::json!([])));
    let accesses = verified["accesses"].as_array().unwrap();
    let uses: Vec<&str> = accesses.iter().map(|access| access["what"].as_str().unwrap()).collect();
    assert_eq!(uses, ["token", "EF.NFD"]);
    for step in EXPORT {
        let mut verify =
            program("openssl", ["cms", "-verify", "-binary", "-purpose", "any", "-inform", "DER"]);
        verify.args([
            "-partial_chain",
            "-CAfile",
            anchors,
            "-in",
            &format!("steps/{step}.p7s"),
            "-out",
            "content",
        ]);
        run(verify.current_dir(ward.directory.path())).expect_success();
        let mut ocsp = program("openssl", ["ocsp", "-noverify", "-resp_text", "-respin"]);
        let told = run(ocsp.arg(format!("steps/{step}.ocsp")).current_dir(ward.directory.path()));
        assert!(told.stdout.contains("Cert Status: good"), "{step}: {}", told.text());
    }
}

#[test]
fn wrong_pins_for_emergency_data_are_limited_without_asking_the_card() {
    let ward = Ward::configured("[limits]\nwrong_pins_per_card = 1\n");
    let id = said(&ward.request(), "request_id");
    ward.step(1, &["approve", &id]).expect_success();
    ward.open(&id).expect_success();
    let wrong = ward.read("654321");
    assert!(wrong.stdout.contains("PIN_WRONG"), "{}", wrong.text());
    let sent = ward.simulator.verifications();
    let limited = ward.read(PIN_CH);
    assert!(
        limited.stdout.contains("PIN_RATE_LIMITED") && limited.stdout.contains("retry_seconds"),
        "{}",
        limited.text()
    );
    assert_eq!(ward.simulator.verifications(), sent, "a PIN was sent");
    let text = metrics(&ward.service);
    let counted = |outcome: &str| {
        let part = format!("operation=\"PIN\",outcome=\"{outcome}\"");
        text.lines().any(|line| line.contains(&part) && line.contains("ada") && line.ends_with(" 1"))
    };
    assert!(counted("PIN_WRONG"), "{text}");
}

#[test]
fn a_card_that_was_revoked_agrees_to_nothing() {
    let ward = Ward::new();
    let id = said(&ward.request(), "request_id");
    let mut serial = program("openssl", ["x509", "-noout", "-serial", "-in"]);
    let printed = run(serial.arg(ward.cards[1].certificate("C.HP.AUT.E256"))).expect_success().stdout;
    let serial = printed.trim().strip_prefix("serial=").unwrap().to_lowercase();
    let status: PathBuf = authority().join("issued").join(format!("{serial}.status"));
    fs::write(status, "revoked 2026-01-31T12:00:00Z").unwrap();
    let before = ward.simulator.verifications();
    let refused = ward.step(1, &["approve", &id]);
    assert!(refused.stdout.contains("CERTIFICATE_REVOKED"), "{}", refused.text());
    let opened = ward.open(&id);
    assert!(opened.stdout.contains("EMERGENCY_STANDING"), "{}", opened.text());
    assert_eq!(ward.simulator.verifications(), before, "a PIN was spent");
}

fn said(ran: &Ran, field: &str) -> String {
    let json: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}", ran.text()));
    json[field].as_str().unwrap_or_else(|| panic!("no {field}: {}", ran.text())).to_owned()
}

/// EF.NFD: two bytes of length and the packed document (gemSpec_eGK_Fach_NFDM).
fn emergency_data(path: &std::path::Path) -> PathBuf {
    let document = format!(
        "<NFD_Document xmlns=\"http://ws.gematik.de/fa/nfds/NFD_Document/v1.4\"><Notfalldaten><NFD_Versicherter><Versicherter>\
         <Versicherten_ID>{KVNR}</Versicherten_ID></Versicherter></NFD_Versicherter><NFD_Befunddaten>\
         <Allergien_Unvertraeglichkeiten><Substanz>Penicillin</Substanz></Allergien_Unvertraeglichkeiten></NFD_Befunddaten>\
         </Notfalldaten></NFD_Document>"
    );
    fs::write(path, document).unwrap();
    let packed = program("gzip", ["-nc"]).arg(path).output().unwrap().stdout;
    let length = u16::try_from(packed.len()).unwrap().to_be_bytes();
    fs::write(path, [&length[..], &packed].concat()).unwrap();
    path.to_owned()
}
