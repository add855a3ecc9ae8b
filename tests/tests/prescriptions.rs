//! A prescription signed by each card verifies with OpenSSL and pyHanko, and what comes out is what went in.

use std::fs;
use std::path::{Path, PathBuf};

use card_simulator::ocsp::OcspResponder;
use tests::artefacts::{example, python, root};
use tests::cards::{CardImage, PIN_QES, authority};
use tests::openssl::verified_content;
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

const NO_CARD: [&str; 2] = ["--no-card", "the test has no insurance card"];

#[test]
fn a_generic_hpc_signs_every_form_of_a_prescription_and_openssl_and_pyhanko_agree() {
    signs_every_form("hpc-p384");
}

#[test]
fn a_german_hba_signs_every_form_of_a_prescription_and_openssl_and_pyhanko_agree() {
    signs_every_form("hba-g21");
}

#[test]
fn the_python_example_signs_and_verifies_through_the_contract() {
    let hpc = CardImage::of("hpc-p384");
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let simulator = Simulator::start(&[(&hpc, &reader)]);
    let responder = responder();
    let service = Service::start(Setup::on_readers(&[&reader], &hpc.anchors()).responder(&responder));
    let out = directory.path().join("out.p7s");
    let example_program = root().join("examples/python/sign_and_verify.py");
    let call = |pin: &str| {
        let mut python = program(python(), [&example_program]);
        python.arg(format!("unix:{}", service.socket().display())).arg(example("prescription.xml")).arg(&out);
        run(python.env("HPC_PIN", pin))
    };
    let said = call(PIN_QES).expect_success();
    assert!(said.stdout.contains("verdict: VERDICT_VALID under required"), "{}", said.text());
    assert!(said.stdout.contains("prescription rules: STATE_KEPT"), "{}", said.text());
    assert_eq!(verified_content(&out, &hpc.anchors()), fs::read(example("prescription.xml")).unwrap());
    assert_eq!(simulator.signatures(), 1, "the retry with the same key made a second signature");
    let refused = call("999999");
    assert!(
        !refused.success && refused.stderr.contains("refused: UNAUTHENTICATED: PIN_WRONG"),
        "{}",
        refused.text()
    );
}

#[test]
fn the_insurance_card_in_the_reader_is_compared_before_signing() {
    let hpc = CardImage::of("hpc-p384");
    let egk = CardImage::of("egk-g21");
    let directory = tempfile::tempdir().unwrap();
    let (hpc_reader, egk_reader) = (socket_in(&directory, "hpc"), socket_in(&directory, "egk"));
    let simulator = Simulator::start(&[(&hpc, &hpc_reader), (&egk, &egk_reader)]);
    let service = Service::start(Setup::on_readers(&[&hpc_reader], &hpc.anchors()).insurance(&egk_reader));

    let (said, signature) = service.sign(&example("prescription.xml"), PIN_QES, &["--egk", &egk_reader]);
    said.expect_success();
    assert_eq!(verified_content(&signature, &hpc.anchors()), fs::read(example("prescription.xml")).unwrap());

    let right = fs::read_to_string(example("prescription.xml")).unwrap();
    for (field, from, to) in [
        ("Patient.identifier", "T028491609", "T028491611"),
        ("Patient.name.family", "family value=\"von Wörtheim\"", "family value=\"von Wortheim\""),
        ("Patient.name.given", "given value=\"Zoë Änne\"", "given value=\"Zoe\""),
        ("Patient.birthDate", "1984-02-29", "1984-02-28"),
        ("Coverage.payor.identifier", "108537221", "104212505"),
    ] {
        assert!(right.contains(from), "the example does not have {from}");
        let wrong = directory.path().join("wrong.xml");
        fs::write(&wrong, right.replace(from, to)).unwrap();
        let before = simulator.signatures();
        let (said, signature) = service.sign(&wrong, PIN_QES, &["--egk", &egk_reader]);
        assert!(!said.success, "{field} differs and was signed");
        assert!(said.stderr.contains(field), "the field {field} is not named: {}", said.stderr);
        assert!(
            !said.stderr.contains(from) && !said.stderr.contains(to),
            "a value is shown: {}",
            said.stderr
        );
        assert!(!signature.exists(), "{field} differs and a signature was left");
        assert_eq!(simulator.signatures(), before, "the physician's card signed although {field} differs");
    }
}

/// What pyHanko says of a signature.
fn pyhanko(signature: &Path, anchors: &Path) -> String {
    let source = root().join("tests/python/judge_with_pyhanko.py");
    let said = run(program(python(), [source]).arg(signature).arg(anchors)).expect_success();
    said.stdout.trim().to_owned()
}

#[test]
fn a_draft_is_filled_from_the_insurance_card_and_then_signed() {
    let hpc = CardImage::of("hpc-p384");
    let egk = CardImage::of("egk-g21");
    let directory = tempfile::tempdir().unwrap();
    let (hpc_reader, egk_reader) = (socket_in(&directory, "hpc"), socket_in(&directory, "egk"));
    let _simulator = Simulator::start(&[(&hpc, &hpc_reader), (&egk, &egk_reader)]);
    let service = Service::start(Setup::on_readers(&[&hpc_reader], &hpc.anchors()).insurance(&egk_reader));
    let example = fs::read_to_string(example("prescription.xml")).unwrap();
    let emptied = |text: &str, kind: &str| {
        let (head, rest) = text.split_once(&format!("<{kind}>")).unwrap();
        let (body, tail) = rest.split_once(&format!("</{kind}>")).unwrap();
        let id = body.lines().find(|line| line.contains("<id ")).unwrap();
        format!("{head}<{kind}>{id}</{kind}>{tail}")
    };
    let (draft, filled) = (directory.path().join("draft.xml"), directory.path().join("filled.xml"));
    fs::write(&draft, emptied(&emptied(&example, "Patient"), "Coverage")).unwrap();
    let arguments = ["prepare", draft.to_str().unwrap(), "--out", filled.to_str().unwrap()];
    service.client(&arguments).expect_success();
    let (said, signature) = service.sign(&filled, PIN_QES, &["--egk", &egk_reader]);
    said.expect_success();
    let content = verified_content(&signature, &hpc.anchors());
    assert_eq!(content, fs::read(&filled).unwrap());
    assert!(String::from_utf8(content).unwrap().contains("T028491609"));
}

/// The responder of the cards' authority.
fn responder() -> OcspResponder {
    OcspResponder::start(&authority(), "127.0.0.1:0".parse().unwrap()).unwrap()
}

fn signs_every_form(profile: &str) {
    let card = CardImage::of(profile);
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let _simulator = Simulator::start(&[(&card, &reader)]);
    let responder = responder();
    let service = Service::start(Setup::on_readers(&[&reader], &card.anchors()).responder(&responder));
    for file in forms(directory.path()) {
        let (said, signature) = service.sign(&file, PIN_QES, &NO_CARD);
        assert!(said.success, "{}: {}", file.display(), said.text());
        assert_eq!(
            verified_content(&signature, &card.anchors()),
            fs::read(&file).unwrap(),
            "the content of {} changed",
            file.display()
        );
        assert_eq!(pyhanko(&signature, &card.anchors()), "intact=True valid=True trusted=True");
        let verify = ["verify", signature.to_str().unwrap(), "--check-revocation", "--json"];
        let judged = service.client(&verify).expect_success();
        let judged: serde_json::Value = serde_json::from_str(&judged.stdout).unwrap();
        assert_eq!(
            (&judged["verdict"], &judged["prescription_rules"]["state"]),
            (&"VALID".into(), &"KEPT".into())
        );
    }
}

/// The same prescription in the forms that practice software writes: nothing of this may be normalised away.
fn forms(directory: &Path) -> Vec<PathBuf> {
    let plain = fs::read_to_string(example("prescription.xml")).unwrap();
    let write = |name: &str, text: String| {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        path
    };
    vec![
        write("plain.xml", plain.clone()),
        write("crlf.xml", plain.replace('\n', "\r\n")),
        write("comments.xml", plain.replacen("<entry>", "<!-- first -->\n<entry>", 1)),
        write("one-line.xml", plain.lines().map(str::trim).collect()),
        write("declaration.xml", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{plain}")),
        write("trailing-newlines.xml", format!("{plain}\n\n")),
        write(
            "large.xml",
            plain.replacen("<entry>", &format!("<!-- {} -->\n<entry>", "x".repeat(900_000)), 1),
        ),
    ]
}
