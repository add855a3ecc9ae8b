//! `identity` on the cards of neighbours.

use std::os::unix::fs::PermissionsExt;

use card_simulator::{NewCard, ProfileName};
use serde_json::Value;
use tempfile::TempDir;

use super::{Reader, code, run};

fn identity(reader: &Reader, options: &[&str]) -> Value {
    let output = run(&[&["identity", "--json", "--reader", &reader.name], options].concat());
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let mut answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["identity"].take()
}

fn assert_says(identity: &Value, expected: &[(&str, &str)]) {
    for (field, value) in expected {
        assert_eq!(identity.pointer(field).and_then(Value::as_str), Some(*value), "{field} in {identity}");
    }
}

/// A file with a PIN.
fn pin(directory: &TempDir, pin: &str) -> String {
    let path = directory.path().join("pin");
    std::fs::write(&path, format!("{pin}\n")).unwrap();
    path.to_str().unwrap().to_owned()
}

fn tries(reader: &Reader, pin: &str) -> u8 {
    let summary = reader.slot.inspect(|card| card.image().summary()).unwrap();
    summary.passwords.iter().find(|password| password.path.ends_with(pin)).unwrap().tries
}

#[test]
fn a_belgian_card_says_who_lives_where_and_shows_the_photo() {
    for profile in [ProfileName::Beid17, ProfileName::Beid18] {
        let reader = Reader::with(NewCard::new(profile));
        let directory = TempDir::new().unwrap();
        let photo = directory.path().join("photo.jpg");
        let identity = identity(&reader, &["--photo", photo.to_str().unwrap()]);
        assert_says(
            &identity,
            &[
                ("/card", "beid"),
                ("/family_name", "Voorbeeld"),
                ("/given_names", "Ada Marie"),
                ("/national_number", "79050400220"),
                ("/birth_date", "04 MEI  1979"),
                ("/address/street", "Voorbeeldstraat 12 bus 3"),
                ("/address/municipality", "Brussel"),
            ],
        );
        assert!(identity["noble_condition"].is_null(), "an empty field says nothing");
        assert_says(&identity, &[("/register/identity", "valid"), ("/register/address", "valid")]);
        let subject = identity["register"]["certificate"]["subject"].as_str().unwrap();
        assert!(subject.contains("National register"), "{subject}");
        assert!(std::fs::read(&photo).unwrap().starts_with(&[0xFF, 0xD8]));
        assert_eq!(std::fs::metadata(&photo).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

/// A card with files of another one: its address, and a name that nobody signed.
#[test]
fn what_the_belgian_register_did_not_sign_is_said() {
    let address = [&[0x01, 8][..], b"Dorp 100", &[0x02, 4], b"9000", &[0; 20]].concat();
    let moved = Reader::with(NewCard::new(ProfileName::Beid17).file("EF.ID.Address", address));
    let output = run(&["identity", "--json", "--reader", &moved.name]);
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let register = &answer["identity"]["register"];
    assert_eq!((&register["identity"], &register["address"]), (&"valid".into(), &"invalid".into()));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("finding") && told.contains("address") && !told.contains("Dorp"), "{told}");
    let unsigned = NewCard::new(ProfileName::Beid18).file("EF.SGN.RN", [0; 256]);
    let answer = identity(&Reader::with(unsigned), &[]);
    assert_says(&answer, &[("/register/identity", "missing"), ("/register/address", "invalid")]);
    let renamed = [&[0x06, 11][..], b"79050400220", &[0x07, 3], b"Bob"].concat();
    let answer = identity(&Reader::with(NewCard::new(ProfileName::Beid18).file("EF.ID.RN", renamed)), &[]);
    assert_says(&answer, &[("/family_name", "Bob"), ("/register/identity", "invalid")]);
}

#[test]
fn a_kvk_says_who_is_insured_where_a_terminal_offers_it() {
    let reader = Reader::with(NewCard::new(ProfileName::Kvk));
    let identity = identity(&reader, &[]);
    assert_says(
        &identity,
        &[
            ("/card", "kvk"),
            ("/insurer_name", "Erfundene Krankenkasse"),
            ("/insurer_number", "8314006"),
            ("/family_name", "Mößig"),
            ("/given_name", "Jürgen"),
            ("/street", "Beispielstraße 1"),
            ("/birth_date", "04051979"),
            ("/country", "D"),
        ],
    );
    assert_eq!(reader.slot.commands(), 2, "its ATR is known");
    let table = String::from_utf8(run(&["identity", "--reader", &reader.name]).stdout).unwrap();
    assert!(table.contains("Mößig") && table.contains("valid until"), "{table}");
    let script = "[[file]]\nname = \"EF.KVK\"\ndo = [{ flip = [20] }]\n";
    let damaged = NewCard::new(ProfileName::Kvk).script(script).unwrap();
    let output = run(&["identity", "--reader", &Reader::with(damaged).name]);
    assert_eq!(code(&output), 5, "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_estonian_card_says_who_and_until_when() {
    let identity = identity(&Reader::with(NewCard::new(ProfileName::Esteid)), &[]);
    assert_says(
        &identity,
        &[
            ("/card", "esteid"),
            ("/family_name", "BEISPIEL"),
            ("/given_names", "ADA"),
            ("/personal_code", "47905040000"),
            ("/birth", "04.05.1979 EST"),
            ("/valid_until", "31.12.2099"),
        ],
    );
}

#[test]
fn a_piv_card_says_its_identifiers_and_the_name_in_its_certificate() {
    for profile in [ProfileName::Piv, ProfileName::PivRsa, ProfileName::PivP384] {
        let identity = identity(&Reader::with(NewCard::new(profile)), &[]);
        assert_says(&identity, &[("/card", "piv"), ("/fasc_n/agency", "9999"), ("/valid_until", "20991231")]);
        assert_eq!(identity["guid"].as_str().unwrap().len(), 32);
        assert!(identity["subject"].as_str().unwrap().contains("Ada"), "{identity}");
    }
}

#[test]
fn a_japanese_card_wants_its_pin_and_tells_the_number_on_request_only() {
    let reader = Reader::with(NewCard::new(ProfileName::Jpki));
    let output = run(&["identity", "--reader", &reader.name]);
    assert_eq!(code(&output), 9);
    assert!(String::from_utf8_lossy(&output.stderr).contains("3 tries left"));
    assert_eq!(tries(&reader, "PIN.TEXT"), 3, "asking costs nothing");
    let directory = TempDir::new().unwrap();
    let file = pin(&directory, "1234");
    let plain = identity(&reader, &["--pin-file", &file]);
    assert_says(&plain, &[("/card", "jpki"), ("/name", "見本　太郎"), ("/birth_date", "19790504")]);
    assert!(plain.get("individual_number").is_none());
    let whole = identity(&reader, &["--pin-file", &file, "--my-number"]);
    assert_says(&whole, &[("/individual_number", "123456789018")]);
}

#[test]
fn a_wrong_pin_costs_one_try_and_the_last_one_is_spent_on_request_only() {
    let reader = Reader::with(NewCard::new(ProfileName::Jpki));
    let directory = TempDir::new().unwrap();
    let wrong = pin(&directory, "9999");
    for left in [2, 1] {
        let output = run(&["identity", "--reader", &reader.name, "--pin-file", &wrong]);
        assert_eq!((code(&output), tries(&reader, "PIN.TEXT")), (9, left));
    }
    let output = run(&["identity", "--reader", &reader.name, "--pin-file", &wrong]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("--last-try"));
    assert_eq!((code(&output), tries(&reader, "PIN.TEXT")), (10, 1));
    let short = pin(&directory, "123");
    let output = run(&["identity", "--reader", &reader.name, "--pin-file", &short, "--last-try"]);
    assert_eq!((code(&output), tries(&reader, "PIN.TEXT")), (9, 1), "what cannot be a PIN is not sent");
    let right = pin(&directory, "1234");
    identity(&reader, &["--pin-file", &right, "--last-try"]);
    assert_eq!(tries(&reader, "PIN.TEXT"), 3);
}

#[test]
fn a_french_card_says_who_and_which_files_stay_closed() {
    let reader = Reader::with(NewCard::new(ProfileName::Vitale2));
    let identity = identity(&reader, &[]);
    assert_says(
        &identity,
        &[
            ("/card", "vitale2"),
            ("/holders/0/family_name", "EXEMPLE"),
            ("/holders/0/given_name", "CAMILLE"),
            ("/holders/0/birth_date", "19790504"),
            ("/holders/0/social_security_number", "279057511111152"),
            ("/valid_from", "20240101"),
            ("/closed_files/0", "PRESCR"),
        ],
    );
    let table = run(&["identity", "--reader", &reader.name]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("xperimental"), "said to people too");
}

#[test]
fn people_get_a_table() {
    let output = run(&["identity", "--reader", &Reader::with(NewCard::new(ProfileName::Beid18)).name]);
    assert_eq!(code(&output), 0);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains("family name") && table.contains("Voorbeeld"), "{table}");
}

#[test]
fn other_cards_and_damaged_files_have_their_codes() {
    let insurance = Reader::egk();
    let output = run(&["identity", "--reader", &insurance.name]);
    assert_eq!(code(&output), 4);
    assert!(String::from_utf8_lossy(&output.stderr).contains("egk-reader read reads an eGK"));
    let empty = NewCard::new(ProfileName::Beid18).file("EF.ID.RN", b"\x07\x03Bob".to_vec());
    assert_eq!(code(&run(&["identity", "--reader", &Reader::with(empty).name])), 5);
    let estonian = Reader::with(NewCard::new(ProfileName::Esteid));
    let photo = ["identity", "--photo", "/nonexistent/photo", "--reader", &estonian.name];
    let output = run(&photo);
    assert_eq!(code(&output), 4);
    assert!(String::from_utf8_lossy(&output.stderr).contains("no photo"));
}
