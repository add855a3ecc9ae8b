//! `identify` on cards of each kind.

use card_simulator::{NewCard, ProfileName};
use serde_json::Value;

use super::{Reader, code, run};

fn identified(reader: &Reader) -> Value {
    let output = run(&["identify", "--json", "--reader", &reader.name]);
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let mut list: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list.len(), 1);
    list.remove(0)
}

#[test]
fn an_insurance_card_is_named_with_generation_and_applications() {
    let card = identified(&Reader::egk());
    for (field, expected) in [
        ("card", "egk"),
        ("country", "DE"),
        ("generation", "G2.1"),
        ("known_by", "master file"),
        ("interface", "contacts"),
        ("master_file", "D2760001448000"),
    ] {
        assert_eq!(card[field], expected, "{field}");
    }
    assert_eq!(card["protocols"], serde_json::json!(["T=1"]));
    assert!(card["assurance"]["source"].as_str().unwrap().contains("BSI-CC-PP-0082"));
    let names: Vec<_> = card["applications"].as_array().unwrap().iter().map(|entry| &entry["name"]).collect();
    assert!(names.contains(&&Value::from("DF.HCA, insurance data")), "{names:?}");
    assert!(names.contains(&&Value::from("DF.NFD, emergency data")), "{names:?}");
    assert!(card["abilities"].as_array().unwrap().contains(&"insurance-data".into()));
}

#[test]
fn professional_and_foreign_cards_are_named() {
    for (profile, name, known_by) in [
        (ProfileName::HbaG21, "hba-g21", "master file"),
        (ProfileName::HpcP384, "hpc-p384", "master file"),
        (ProfileName::Piv, "piv", "application"),
        (ProfileName::Esteid, "esteid", "application"),
        (ProfileName::PivRsa, "piv", "application"),
        (ProfileName::PivP384, "piv", "application"),
        (ProfileName::Beid17, "beid", "application"),
        (ProfileName::Beid18, "beid", "application"),
        (ProfileName::Jpki, "jpki", "application"),
    ] {
        let card = identified(&Reader::with(NewCard::new(profile)));
        assert_eq!(card["card"], name);
        assert_eq!(card["known_by"], known_by);
        assert!(card["abilities"].as_array().unwrap().contains(&"sign".into()), "{card}");
    }
}

#[test]
fn a_card_that_only_tells_who_its_holder_is_is_named_with_that() {
    let card = identified(&Reader::with(NewCard::new(ProfileName::Vitale2)));
    assert_eq!((&card["card"], &card["known_by"]), (&"vitale2".into(), &"application".into()));
    assert_eq!(card["abilities"], serde_json::json!(["identity"]));
    assert_eq!(card["protocols"], serde_json::json!(["T=0"]));
    let card = identified(&Reader::with(NewCard::new(ProfileName::Kvk)));
    assert_eq!((&card["card"], &card["known_by"]), (&"kvk".into(), &"application".into()));
    assert_eq!(card["applications"][0]["aid"], "D27600000101");
}

#[test]
fn people_get_a_table() {
    let reader = Reader::egk();
    let output = run(&["identify", "--reader", &reader.name]);
    assert_eq!(code(&output), 0);
    let table = String::from_utf8(output.stdout).unwrap();
    for part in [
        "German health insurance card (eGK)",
        "Generation   G2.1",
        "contacts, T=1",
        "DF.AMTS, medication plan",
        "EAL4",
        "insurance-data, certificates",
    ] {
        assert!(table.contains(part), "{part} is missing in {table}");
    }
}

#[test]
fn an_empty_reader_is_code_3() {
    let reader = Reader::egk();
    reader.slot.eject();
    let output = run(&["identify", "--json", "--reader", &reader.name]);
    assert_eq!(code(&output), 3);
    assert!(output.stdout.is_empty());
}
