//! `certificates` on cards of each kind; OpenSSL reads what is exported.

use std::io::Write;
use std::process::{Command, Stdio};

use card_simulator::{NewCard, ProfileName};
use serde_json::Value;

use super::{Reader, code, run};

fn listed(reader: &Reader) -> Vec<Value> {
    let output = run(&["certificates", "--json", "--reader", &reader.name]);
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    answer["certificates"].as_array().unwrap().clone()
}

fn named<'a>(list: &'a [Value], name: &str) -> &'a Value {
    list.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name} in {list:?}"))
}

#[test]
fn an_insurance_card_shows_its_certificates_and_which_are_protected() {
    let list = listed(&Reader::egk());
    let aut = &named(&list, "C.CH.AUT.E256")["certificate"];
    assert_eq!(aut["key"], "brainpoolP256r1");
    assert!(aut["subject"].as_str().unwrap().contains("Erfunden"), "{aut}");
    assert_eq!(named(&list, "C.CH.ENC.R2048")["certificate"]["key"], "rsaEncryption");
    let protected = named(&list, "C.CH.AUTN.E256");
    assert!(protected["certificate"].is_null());
    assert!(protected["refused"].as_str().unwrap().contains("6982"), "{protected}");
}

#[test]
fn a_professionals_card_shows_the_certificates_of_both_applications() {
    let list = listed(&Reader::with(NewCard::new(ProfileName::HbaG21)));
    assert_eq!(named(&list, "C.HP.AUT.E256")["application"], "ESIGN");
    assert_eq!(named(&list, "C.HP.QES.E256")["application"], "QES");
    let reader = Reader::with(NewCard::new(ProfileName::Piv));
    let table = run(&["certificates", "--reader", &reader.name]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.contains("C.PIV.SIG.P384 (QES)\n") && table.contains("secp384r1"), "{table}");
}

#[test]
fn a_belgian_card_shows_those_who_issued_its_certificates_too() {
    for profile in [ProfileName::Beid17, ProfileName::Beid18] {
        let list = listed(&Reader::with(NewCard::new(profile)));
        let root = named(&list, "C.Root");
        assert_eq!(root["application"], "issuers");
        for name in ["C.CA", "C.RRN"] {
            assert_eq!(named(&list, name)["certificate"]["issuer"], root["certificate"]["subject"], "{name}");
        }
    }
    let gone = NewCard::new(ProfileName::Beid18).file("EF.C.RRN", Vec::new());
    let list = listed(&Reader::with(gone));
    assert!(
        named(&list, "C.RRN")["certificate"].is_null() && named(&list, "C.CA")["certificate"].is_object()
    );
}

#[test]
fn cards_of_neighbours_show_what_opens_without_a_pin() {
    for (profile, names) in [
        (ProfileName::PivP384, ["C.PIV.AUT.P384", "C.PIV.SIG.P256"]),
        (ProfileName::Esteid, ["C.EST.AUT.P384", "C.EST.SIG.P384"]),
        (ProfileName::Beid17, ["C.BE.AUT.R2048", "C.BE.SIG.R2048"]),
        (ProfileName::Beid18, ["C.BE.AUT.P384", "C.BE.SIG.P384"]),
    ] {
        let list = listed(&Reader::with(NewCard::new(profile)));
        for name in names {
            let certificate = &named(&list, name)["certificate"];
            assert!(certificate["subject"].as_str().unwrap().contains("Ada"), "{certificate}");
        }
    }
    let list = listed(&Reader::with(NewCard::new(ProfileName::Jpki)));
    assert!(named(&list, "C.JPKI.AUT.R2048")["certificate"].is_object());
    let behind_pin = named(&list, "C.JPKI.SIG.R2048");
    assert!(behind_pin["certificate"].is_null() && behind_pin["refused"].is_string(), "{behind_pin}");
}

#[test]
fn exported_certificates_are_read_by_openssl() {
    let reader = Reader::egk();
    let one = run(&["certificates", "--pem=C.CH.AUT.E256", "--reader", &reader.name]);
    assert_eq!(code(&one), 0);
    let mut openssl = Command::new("openssl")
        .args(["x509", "-noout", "-subject"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(&one.stdout).unwrap();
    let read = openssl.wait_with_output().unwrap();
    assert!(String::from_utf8(read.stdout).unwrap().contains("Erfunden"));
    let all = String::from_utf8(run(&["certificates", "--pem", "--reader", &reader.name]).stdout).unwrap();
    assert_eq!(all.matches("BEGIN CERTIFICATE").count(), 4, "{all}");
    let absent = run(&["certificates", "--pem=C.CH.AUTN.E256", "--reader", &reader.name]);
    assert_eq!(code(&absent), 5);
}
