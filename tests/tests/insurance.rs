//! Insurance data packed into a simulated eGK is read back as it was.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tests::artefacts::{binary, example};
use tests::cards::CardImage;
use tests::programs::{program, run};
use tests::simulator::{Simulator, socket_in};

#[test]
fn a_packed_patient_is_read_back_with_every_letter() {
    let record =
        read_json(&[example("patient/pd.xml"), example("patient/vd.xml"), example("patient/gvd.xml")]);
    let text = record.to_string();
    for value in ["T028491609", "Zoë Änne", "Wörtheim", "von", "Straße der Prüfung", "12a", "Köthen", "06366"]
    {
        assert!(text.contains(value), "{value} is missing: {text}");
    }
    for value in ["108537221", "Musterkasse Süd"] {
        assert!(text.contains(value), "{value} is missing: {text}");
    }
}

#[test]
fn the_original_documents_come_back_byte_for_byte() {
    let parts = [example("patient/pd.xml"), example("patient/vd.xml"), example("patient/gvd.xml")];
    let card = packed(&parts);
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "egk");
    let _simulator = Simulator::start(&[(&card, &reader)]);
    let output = program(binary("egk-reader"), ["read", "--xml", "--reader", &reader]).output().unwrap();
    assert!(output.status.success());
    for part in &parts[..2] {
        let document = fs::read(part).unwrap();
        let document = document.trim_ascii_end();
        assert!(output.stdout.windows(document.len()).any(|window| window == document), "{}", part.display());
    }
}

#[test]
fn the_fhir_form_is_a_patient_and_a_coverage() {
    let card = CardImage::of("egk-g21");
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "egk");
    let _simulator = Simulator::start(&[(&card, &reader)]);
    let said =
        run(&mut program(binary("egk-reader"), ["read", "--fhir", "--reader", &reader])).expect_success();
    let bundle: Value = serde_json::from_str(&said.stdout).unwrap();
    let kinds: Vec<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert!(kinds.contains(&"Patient") && kinds.contains(&"Coverage"), "{kinds:?}");
}

fn read_json(parts: &[PathBuf; 3]) -> Value {
    let card = packed(parts);
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "egk");
    let _simulator = Simulator::start(&[(&card, &reader)]);
    let said =
        run(&mut program(binary("egk-reader"), ["read", "--json", "--reader", &reader])).expect_success();
    serde_json::from_str(&said.stdout).expect("JSON")
}

fn packed(parts: &[PathBuf; 3]) -> CardImage {
    let parts: Vec<&str> = parts.iter().map(|part| part.to_str().unwrap()).collect();
    CardImage::with("egk-g21", &[&["--patient"], &parts[..]].concat())
}
