//! Protected files by radio: PACE first, then the card's own rules, each of which wants a secured command besides.

use card_simulator::{Interface, NewCard, Patient, Profession, ProfileName};
use serde_json::Value;

use super::emergency::Ward;
use super::show::{filled, show, tries};
use super::{Reader, code, run};

const CAN: [&str; 2] = ["--can", "123123"];
const REASON: [&str; 2] = ["--reason", "found unconscious"];

/// The patient's card near the reader, the professional's in another one.
fn ward(profession: Profession) -> Ward {
    let interfaces = [Interface::Contactless, Interface::Contact];
    Ward::over(
        interfaces,
        filled().patient(Patient::default()),
        NewCard::new(ProfileName::HbaG21).profession(profession),
    )
}

/// What opens each file: lines of PINs, the professional's card, more options. The professional's PIN comes first.
const KEYS: [(&str, &str, bool, &[&str]); 15] = [
    ("dpe", "123456", false, &[]),
    ("ose", "123456", false, &[]),
    ("gvd", "123456", false, &[]),
    ("log", "123456", false, &[]),
    ("consents", "123456", false, &[]),
    ("references", "123456", false, &[]),
    ("data-consents", "123456", false, &[]),
    ("data-references", "123456", false, &[]),
    ("medication-references", "123456", false, &[]),
    ("gvd", "123456", true, &[]),
    ("dpe", "123456", true, &REASON),
    ("nfd", "123456", true, &REASON),
    ("nfd", "123456\n123456", true, &[]),
    ("amts", "123456\n123456", true, &[]),
    ("amts", "123456\n345678", true, &["--representative"]),
];

#[test]
fn every_file_opens_by_radio_to_the_keys_that_open_it_over_contacts() {
    let ward = ward(Profession::Physician);
    for (file, pins, professional, options) in KEYS {
        let (code, out, errors) =
            show(&ward, file, pins, professional, &[&CAN[..], options, &["--json"]].concat());
        assert_eq!(code, 0, "{file} {options:?}: {errors}");
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert!(!answer["data"].is_null(), "{file}: {out}");
        ward.slots.iter().for_each(|slot| slot.reset());
    }
    assert_eq!((tries(&ward, 0), tries(&ward, 1)), (Some(3), Some(3)));
}

#[test]
fn without_the_number_or_with_a_wrong_one_nothing_opens_and_no_pin_is_sent() {
    let ward = ward(Profession::Physician);
    for wrong in [&[][..], &["--can", "123124"]] {
        for (file, pins, professional, options) in KEYS {
            // A PIN that would cost a try.
            let pins = pins.replace("123456", "999999").replace("345678", "999999");
            let pins = pins.replacen("999999", if professional { "123456" } else { "999999" }, 1);
            let (code, out, errors) =
                show(&ward, file, &pins, professional, &[wrong, options, &["--json"]].concat());
            assert!(code != 0 && out.is_empty(), "{file} {options:?}: {code} {out} {errors}");
            ward.slots.iter().for_each(|slot| slot.reset());
        }
    }
    assert_eq!((tries(&ward, 0), tries(&ward, 1)), (Some(3), Some(3)));
}

#[test]
fn the_rules_are_the_same_by_radio() {
    let ward = ward(Profession::Paramedic);
    for (file, pins, professional, expected) in [
        ("nfd", "", false, 11),
        ("amts", "", false, 11),
        ("dpe", "", true, 11),
        ("log", "999999", false, 9),
        // The role of a paramedic reads no medication plan: the patient's PIN is not spent.
        ("amts", "123456\n999999", true, 8),
    ] {
        let (code, out, errors) = show(&ward, file, pins, professional, &CAN);
        assert_eq!(code, expected, "{file}: {errors}");
        assert!(out.is_empty());
    }
    assert_eq!((tries(&ward, 0), tries(&ward, 1)), (Some(2), Some(3)));
}

#[test]
fn emergency_data_open_by_radio_to_a_professional_with_a_reason() {
    let ward = ward(Profession::Paramedic);
    let pin = ward.pin_file("123456");
    let emergency = |options: &[&str]| {
        let fixed = ["emergency", "--reader", &ward.readers[0], "--hpc", &ward.readers[1], "--json"];
        run(&[&fixed[..], &["--pin-file", pin.to_str().unwrap()], options].concat())
    };
    assert_eq!(code(&emergency(&CAN)), 11);
    assert_eq!(ward.slots[0].commands() + ward.slots[1].commands(), 0, "no reason, no command");
    let output = emergency(&[CAN, REASON].concat());
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["data"]["allergies"][0]["substance"], "Penicillin");
    assert_eq!(answer["access"]["reason"], "found unconscious");
    let most = 8 + 1 + 1 + 11 + 3;
    assert!(
        ward.slots[0].commands() <= most,
        "{} commands: PACE and what contacts need",
        ward.slots[0].commands()
    );
}

#[test]
fn the_professionals_card_may_be_near_the_reader_too() {
    let ward = Ward::over([Interface::Contactless; 2], filled(), NewCard::new(ProfileName::HbaG21));
    let (status, _, errors) = show(&ward, "nfd", "123456", true, &[CAN, REASON].concat());
    assert_ne!(status, 0, "the professional's card wants its number: {errors}");
    let options = [&CAN[..], &REASON, &["--hpc-can", "123123", "--json"]].concat();
    let (status, out, errors) = show(&ward, "nfd", "123456", true, &options);
    assert_eq!(status, 0, "{errors}");
    assert!(out.contains("Penicillin"), "{out}");
    assert_eq!((tries(&ward, 0), tries(&ward, 1)), (Some(3), Some(3)));
}

#[test]
fn insurance_data_and_the_receipt_want_the_number_and_no_key() {
    let reader = Reader::by_radio();
    for command in [&["read"][..], &["show", "receipt"]] {
        let fixed = [command, &["--json", "--reader", &reader.name]].concat();
        let refused = run(&fixed);
        assert_eq!(code(&refused), 7, "{}", String::from_utf8_lossy(&refused.stderr));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("--can") && refused.stdout.is_empty());
        let output = run(&[&fixed[..], &CAN].concat());
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
    }
    let generation = run(&[&["read", "--generation", "--reader", &reader.name][..], &CAN].concat());
    assert!(String::from_utf8(generation.stdout).unwrap().contains("G2.1"));
}
