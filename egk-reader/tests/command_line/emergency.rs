//! `emergency` with two simulated cards of one certification authority.

use std::path::PathBuf;
use std::process::Output;

use card_simulator::server::{Address, Plug, Slot};
use card_simulator::{Card, CardImage, Interface, NewCard, Profession, ProfileName, RsaKeyPool};
use serde_json::Value;
use tempfile::TempDir;

use super::{code, egk, pack, run};

pub(crate) const DOCUMENT: &str = r#"<NFD_Document xmlns="http://ws.gematik.de/fa/nfds/NFD_Document/v1.4"><Notfalldaten>
<NFD_Versicherter><Versicherter><Versicherten_ID>X110540756</Versicherten_ID></Versicherter></NFD_Versicherter>
<NFD_Befunddaten><Allergien_Unvertraeglichkeiten><Substanz>Penicillin</Substanz></Allergien_Unvertraeglichkeiten>
</NFD_Befunddaten></Notfalldaten></NFD_Document>"#;

/// A patient's and another card, each in a reader of its own.
pub(crate) struct Ward {
    pub(crate) directory: TempDir,
    pub(crate) slots: Vec<Slot>,
    _plugs: Vec<Plug>,
    pub(crate) readers: Vec<String>,
}

impl Ward {
    fn with(other: NewCard) -> Ward {
        Ward::of(egk().file("EF.NFD", pack::pd(DOCUMENT.as_bytes())), other)
    }

    pub(crate) fn of(patient: NewCard, other: NewCard) -> Ward {
        Ward::over([Interface::Contact; 2], patient, other)
    }

    /// The patient's card and the other one through these interfaces.
    pub(crate) fn over(interfaces: [Interface; 2], patient: NewCard, other: NewCard) -> Ward {
        let directory = TempDir::new().unwrap();
        let (mut slots, mut plugs, mut readers) = (Vec::new(), Vec::new(), Vec::new());
        for ((name, card), interface) in [("patient", patient), ("other", other)].into_iter().zip(interfaces)
        {
            let image = directory.path().join(name);
            card.authority(directory.path().join("ca")).rsa_keys(RsaKeyPool::Shared).create(&image).unwrap();
            let slot = Slot::with(Card::new(CardImage::open(&image).unwrap()).over(interface));
            let address = Address::Unix(directory.path().join(format!("{name}.sock")));
            plugs.push(slot.plug(&address).unwrap());
            slots.push(slot);
            readers.push(address.to_string());
        }
        Ward { directory, slots, _plugs: plugs, readers }
    }

    fn physician() -> Ward {
        Ward::with(NewCard::new(ProfileName::HbaG21).profession(Profession::Physician))
    }

    pub(crate) fn pin_file(&self, pin: &str) -> PathBuf {
        let file = self.directory.path().join("pin");
        std::fs::write(&file, format!("{pin}\n")).unwrap();
        file
    }

    fn emergency(&self, pin: &str, options: &[&str]) -> Output {
        let pin = self.pin_file(pin);
        let (patient, other) = (&self.readers[0], &self.readers[1]);
        let fixed = ["emergency", "--reader", patient, "--hpc", other, "--pin-file", pin.to_str().unwrap()];
        run(&[&fixed[..], options].concat())
    }
}

const REASON: [&str; 2] = ["--reason", "found unconscious"];

#[test]
fn a_professionals_card_alone_opens_the_data_and_the_access_is_recorded() {
    let ward = Ward::physician();
    let record = ward.directory.path().join("record.jsonl");
    let options = [&REASON[..], &["--json", "--record", record.to_str().unwrap()]].concat();
    let output = ward.emergency("123456", &options);
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["access"]["reason"], "found unconscious");
    assert!(answer["access"]["rights"].as_array().unwrap().contains(&18.into()));
    assert_eq!(answer["data"]["allergies"][0]["substance"], "Penicillin");
    assert_eq!(answer["access"]["pin"], Value::Null);
    let line: Value = serde_json::from_str(&std::fs::read_to_string(&record).unwrap()).unwrap();
    assert_eq!(line, answer["access"]);
    assert!(!line.to_string().contains("Penicillin") && !line.to_string().contains("X110540756"));
    let xml = ward.emergency("123456", &[&REASON[..], &["--xml"]].concat());
    assert_eq!(String::from_utf8(xml.stdout).unwrap(), DOCUMENT);
    let table = String::from_utf8(ward.emergency("123456", &REASON).stdout).unwrap();
    assert!(table.contains("allergies") && table.contains("substance: Penicillin"), "{table}");
    // Recognised by the command and by the library, the role, the state and the data.
    assert!(ward.slots[0].commands() <= 3 * (1 + 1 + 11 + 3), "{} commands", ward.slots[0].commands());
}

#[test]
fn without_a_reason_nothing_is_sent() {
    let ward = Ward::physician();
    for (options, expected) in [(&[][..], 11), (&["--reason", " "], 2)] {
        let output = ward.emergency("123456", options);
        assert_eq!(code(&output), expected);
    }
    assert_eq!(ward.slots[0].commands() + ward.slots[1].commands(), 0);
}

#[test]
fn without_a_professionals_card_the_data_stay_closed() {
    let ward = Ward::with(NewCard::new(ProfileName::Piv));
    let output = ward.emergency("123456", &REASON);
    assert_eq!(code(&output), 8, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    let ward = Ward::physician();
    ward.slots[1].eject();
    assert_eq!(code(&ward.emergency("123456", &REASON)), 8);
}

#[test]
fn a_wrong_pin_costs_one_try_and_opens_nothing() {
    let ward = Ward::physician();
    let output = ward.emergency("999999", &REASON);
    assert_eq!(code(&output), 9, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty());
    for malformed in ["12345", "123456789", "12a456"] {
        assert_eq!(code(&ward.emergency(malformed, &REASON)), 9, "{malformed} is never sent");
    }
    let tries = ward.slots[1].inspect(|card| {
        let passwords = card.image().summary().passwords;
        passwords.iter().find(|password| password.path.ends_with("PIN.CH")).unwrap().tries
    });
    assert_eq!(tries, Some(2));
}

#[test]
fn an_access_that_cannot_be_recorded_shows_nothing() {
    let ward = Ward::physician();
    let nowhere = ward.directory.path().join("absent").join("record");
    let options = [&REASON[..], &["--record", nowhere.to_str().unwrap()]].concat();
    let output = ward.emergency("123456", &options);
    assert_eq!(code(&output), 1);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_card_without_emergency_data_says_so() {
    let ward = Ward::of(egk(), NewCard::new(ProfileName::HbaG21));
    let output = ward.emergency("123456", &REASON);
    assert_eq!(code(&output), 5);
    assert!(String::from_utf8_lossy(&output.stderr).contains("EF.NFD holds no data"));
}
