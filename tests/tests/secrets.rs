//! With everything at its most verbose, no PIN and no patient shows up in anything that was written.

use std::fs;
use std::path::Path;

use tests::artefacts::{binary, example};
use tests::cards::CardImage;
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

/// Eight digits, so that they do not turn up in a digest by chance.
const PIN_CH: &str = "50917364";
const PIN_QES: &str = "70419356";
const WRONG_PIN: &str = "86420975";
const ICCSN: &str = "80276001048153926470";

#[test]
fn nothing_secret_is_logged() {
    for profile in ["hpc-p384", "hba-g21"] {
        let pins = ["--pin-ch", PIN_CH, "--pin-qes", PIN_QES, "--iccsn", ICCSN];
        let hpc = CardImage::with(profile, &pins);
        let egk = CardImage::of("egk-g21");
        let directory = tempfile::tempdir().unwrap();
        let (hpc_reader, egk_reader) = (socket_in(&directory, "hpc"), socket_in(&directory, "egk"));
        let simulator = Simulator::start(&[(&hpc, &hpc_reader), (&egk, &egk_reader)]);
        let module_log = directory.path().join("module.log");
        let anchors = hpc.anchors();
        let mut setup = Setup::on_readers(&[&hpc_reader], &anchors).insurance(&egk_reader);
        setup.module_configuration += &format!("log_level = \"trace\"\nlog_file = {module_log:?}\n");
        let service = Service::start(setup);

        let prescription = example("prescription.xml");
        let egk_arguments = ["--egk", egk_reader.as_str()];
        service.sign(&prescription, PIN_QES, &egk_arguments).0.expect_success();
        let wrong = service.sign(&prescription, WRONG_PIN, &egk_arguments).0;
        assert!(!wrong.success);
        let other = directory.path().join("other.xml");
        let text = fs::read_to_string(&prescription).unwrap();
        fs::write(&other, text.replace("T028491609", "T028491611")).unwrap();
        let mismatch = service.sign(&other, PIN_QES, &egk_arguments).0;
        assert!(!mismatch.success);
        let cut = directory.path().join("cut.xml");
        fs::write(&cut, &text[..text.find("birthDate").unwrap() + 20]).unwrap();
        let malformed = service.sign(&cut, PIN_QES, &egk_arguments).0;
        assert!(!malformed.success);
        let authenticate =
            service.command(&["authenticate", "--pin-env", "TEST_PIN"]).env("TEST_PIN", PIN_CH).output();
        assert!(authenticate.unwrap().status.success());
        service.client(&["read-card"]).expect_success();
        let mut read = program(binary("egk-reader"), ["read", "--reader", &egk_reader]);
        let reader_log = run(read.env("RUST_LOG", "trace")).expect_success().stderr;

        let written = [
            ("the service's log", service.log()),
            ("the module's log", fs::read_to_string(&module_log).unwrap()),
            ("the simulator's trace", simulator.trace().join("\n")),
            ("the reader's log", reader_log),
            ("the answer to a wrong PIN", wrong.text()),
            ("the answer to a mismatch", mismatch.text()),
            ("the answer to a malformed prescription", malformed.text()),
            ("the audit record", audit(service.directory())),
        ];
        assert!(written.iter().take(3).all(|(_, text)| text.len() > 500), "there was nothing to look at");
        for (place, text) in &written {
            let lower = text.to_lowercase();
            for secret in secrets() {
                // The trace of the simulated card shows the wire, files of the insurance card included; PINs never.
                if *place == "the simulator's trace" && !secret.pin {
                    continue;
                }
                assert!(
                    !lower.contains(&secret.text.to_lowercase()),
                    "{place} shows {}:\n{text}",
                    secret.text
                );
            }
        }
    }
}

struct Secret {
    text: String,
    pin: bool,
}

/// PINs as digits, in the form of PIN blocks and as bytes in hex or decimal; the patient by number and name.
fn secrets() -> Vec<Secret> {
    let mut all = Vec::new();
    for pin in [PIN_CH, PIN_QES, WRONG_PIN] {
        let pairs: Vec<&str> = (0..4).map(|pair| &pin[2 * pair..2 * pair + 2]).collect();
        let ascii_hex: Vec<String> = pin.bytes().map(|byte| format!("{byte:02x}")).collect();
        let ascii_decimal: Vec<String> = pin.bytes().map(|byte| byte.to_string()).collect();
        for text in [
            pin.to_owned(),
            pairs.join(" "),
            ascii_hex.concat(),
            ascii_hex.join(" "),
            ascii_decimal.join(", "),
        ] {
            all.push(Secret { text, pin: true });
        }
    }
    for text in
        ["T028491609", "T028491611", "Wörtheim", "Zoë", "19840229", "1984-02-29", "Straße der Prüfung", ICCSN]
    {
        all.push(Secret { text: text.into(), pin: false });
    }
    all
}

fn audit(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_string_lossy().starts_with("audit") {
            text += &String::from_utf8_lossy(&fs::read(path).unwrap());
        }
    }
    assert!(!text.is_empty(), "there is no audit record");
    text
}
