//! `show` and `certificates`: each file behind exactly the rule of the card.

use card_simulator::{NewCard, Profession, ProfileName};
use serde_json::Value;

use super::emergency::{DOCUMENT, Ward};
use super::{Reader, code, egk, pack, run};

const DECLARATIONS: &str = r#"<DPE_Document DPE_Version="1.0.1"><Persoenliche_Erklaerungen><DPE_Patientenverfuegung>
<DPE_PV_Beschreibung>oberste Schublade</DPE_PV_Beschreibung></DPE_Patientenverfuegung></Persoenliche_Erklaerungen>
</DPE_Document>"#;
const PLAN: &str = r#"<MP iv="1.6.0"><S c="412"><M a="Erfundol" m="1" v="1"/></S></MP>"#;

pub(crate) fn filled() -> NewCard {
    egk()
        .file("EF.NFD", pack::pd(DOCUMENT.as_bytes()))
        .file("EF.DPE", pack::pd(DECLARATIONS.as_bytes()))
        .file("EF.AMTS", pack::pd(PLAN.as_bytes()))
        .file("EF.OSE", b"spender".to_vec())
}

fn ward() -> Ward {
    Ward::of(filled(), NewCard::new(ProfileName::HbaG21).profession(Profession::Physician))
}

/// With the lines of `pins` and, if wanted, the professional's card.
pub(crate) fn show(
    ward: &Ward,
    file: &str,
    pins: &str,
    professional: bool,
    options: &[&str],
) -> (i32, String, String) {
    let pins = ward.pin_file(pins);
    let mut arguments =
        vec!["show", file, "--reader", &ward.readers[0], "--pin-file", pins.to_str().unwrap()];
    if professional {
        arguments.extend(["--hpc", &ward.readers[1]]);
    }
    let output = run(&[&arguments, options].concat());
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (code(&output), text(output.stdout), text(output.stderr))
}

pub(crate) fn tries(ward: &Ward, slot: usize) -> Option<u8> {
    let look = |card: &card_simulator::Card| {
        let passwords = card.image().summary().passwords;
        passwords.iter().find(|password| password.path.ends_with("PIN.CH")).unwrap().tries
    };
    ward.slots[slot].inspect(look)
}

#[test]
fn the_patients_pin_opens_what_the_patient_may_read_alone() {
    let ward = ward();
    for (file, part) in [
        ("dpe", "oberste Schublade"),
        ("ose", "\"length\": 7"),
        ("log", "\"data\": []"),
        ("consents", "\"data\": []"),
        ("references", "\"data\": []"),
        ("data-consents", "\"data\": ["),
        ("data-references", "\"data\": ["),
        ("medication-references", "\"data\": ["),
    ] {
        let (code, out, errors) = show(&ward, file, "123456", false, &["--json"]);
        assert_eq!(code, 0, "{file}: {errors}");
        assert!(out.contains(part) && out.contains("MRPIN.home"), "{file}: {out}");
    }
    let (_, xml, _) = show(&ward, "dpe", "123456", false, &["--xml"]);
    assert_eq!(xml, DECLARATIONS);
    let commands = ward.slots[0].commands();
    assert_eq!(show(&ward, "log", "123456", false, &["--xml"]).0, 5, "records are no document");
    assert_eq!(ward.slots[0].commands(), commands, "and nobody is asked for a PIN for them");
}

#[test]
fn what_the_card_wants_more_for_is_refused_before_a_pin_is_asked_for() {
    let ward = ward();
    // No PIN at all: asking for one would be another code.
    for (file, professional, options) in [
        ("nfd", false, &[][..]),
        ("amts", false, &[]),
        ("dpe", true, &[]),
        ("amts", true, &["--reason", "found unconscious"]),
        ("log", true, &["--reason", "found unconscious"]),
    ] {
        let (code, out, errors) = show(&ward, file, "", professional, options);
        assert_eq!(code, 11, "{file} {professional} {options:?}: {errors}");
        assert!(out.is_empty());
    }
    assert_eq!((tries(&ward, 0), tries(&ward, 1)), (Some(3), Some(3)));
}

#[test]
fn a_professional_and_the_patient_open_the_medication_plan_and_the_emergency_data() {
    let ward = ward();
    let (status, out, errors) = show(&ward, "amts", "123456\n123456", true, &["--json"]);
    assert_eq!(status, 0, "{errors}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["access"]["pin"], "MRPIN.AMTS");
    let line = &answer["data"]["blocks"][0]["lines"][0];
    assert_eq!(line["medication"]["name"], "Erfundol");
    let (status, out, errors) = show(&ward, "nfd", "123456\n123456", true, &["--json"]);
    assert_eq!(status, 0, "{errors}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&answer["access"]["pin"], &answer["access"]["reason"]),
        (&"MRPIN.NFD_READ".into(), &Value::Null)
    );
    assert_eq!(answer["data"]["allergies"][0]["substance"], "Penicillin");
}

#[test]
fn a_representative_opens_the_medication_plan_with_a_pin_of_their_own() {
    let ward = ward();
    let (status, out, errors) = show(&ward, "amts", "123456\n345678", true, &["--representative", "--json"]);
    assert_eq!(status, 0, "{errors}");
    assert!(out.contains("PIN.AMTS_REP") && out.contains("Erfundol"), "{out}");
}

#[test]
fn a_professional_alone_opens_insurance_data_and_with_a_reason_declarations() {
    let ward = Ward::of(
        NewCard::new(ProfileName::EgkG21).file("EF.DPE", pack::pd(DECLARATIONS.as_bytes())),
        NewCard::new(ProfileName::HbaG21).profession(Profession::Physician),
    );
    let (status, out, errors) = show(&ward, "gvd", "123456", true, &["--json"]);
    assert_eq!(status, 0, "{errors}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["data"]["data"]["copayment_exempt"], false);
    assert_eq!(answer["data"]["document"]["schema"], "5.2");
    let record = ward.directory.path().join("record");
    let options = ["--reason", "found unconscious", "--record", record.to_str().unwrap()];
    let (status, out, errors) = show(&ward, "dpe", "123456", true, &options);
    assert_eq!(status, 0, "{errors}");
    assert!(out.contains("description: oberste Schublade"), "{out}");
    assert!(std::fs::read_to_string(record).unwrap().contains("found unconscious"));
}

#[test]
fn a_role_that_lacks_the_right_costs_the_patient_no_try() {
    let ward = Ward::of(filled(), NewCard::new(ProfileName::HbaG21).profession(Profession::Paramedic));
    let (status, out, errors) = show(&ward, "amts", "123456\n999999", true, &[]);
    assert_eq!(status, 8, "{errors}");
    assert!(errors.contains("right 46") && out.is_empty(), "{errors}");
    assert_eq!(tries(&ward, 0), Some(3));
}

#[test]
fn the_last_try_is_used_on_request_only() {
    let ward = ward();
    for left in [2, 1] {
        assert_eq!(show(&ward, "log", "999999", false, &[]).0, 9);
        assert_eq!(tries(&ward, 0), Some(left));
    }
    for malformed in ["12345", "abcdef", ""] {
        show(&ward, "log", malformed, false, &["--last-try"]);
    }
    let (status, _, errors) = show(&ward, "log", "999999", false, &[]);
    assert_eq!(status, 10, "{errors}");
    assert_eq!(tries(&ward, 0), Some(1), "nothing was sent");
    assert_eq!(show(&ward, "log", "123456", false, &["--last-try"]).0, 0);
    assert_eq!(tries(&ward, 0), Some(3));
}

#[test]
fn an_interrupted_update_is_told_and_the_whole_document_shown() {
    let status = [b"1".as_slice(), &[b'0'; 24]].concat();
    let ward = Ward::of(filled().file("EF.StatusDPE", status), NewCard::new(ProfileName::HbaG21));
    let (code, out, errors) = show(&ward, "dpe", "123456", false, &["--json"]);
    assert_eq!(code, 0, "{errors}");
    assert!(errors.contains("an update of EF.DPE was interrupted"), "{errors}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["interrupted"], true);
}

#[test]
fn the_certificates_under_a_pseudonym_open_to_the_patient_and_to_a_professional() {
    let ward = ward();
    let pins = ward.pin_file("123456");
    let fixed = ["certificates", "--json", "--reader", &ward.readers[0]];
    let listed = |options: &[&str]| {
        let output = run(&[&fixed[..], options].concat());
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let readable = answer["certificates"].as_array().unwrap().iter().filter(|one| one["pem"].is_string());
        readable.map(|one| one["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let pins = pins.to_str().unwrap();
    assert!(!listed(&[]).iter().any(|name| name.contains("AUTN") || name.contains("ENCV")));
    for keys in [&["--patient"][..], &["--hpc", &ward.readers[1]]] {
        let names = listed(&[keys, &["--pin-file", pins]].concat());
        assert!(names.contains(&"C.CH.AUTN.E256".to_owned()), "{keys:?}: {names:?}");
        assert!(names.contains(&"C.CH.ENCV.E256".to_owned()), "{keys:?}: {names:?}");
        ward.slots[0].reset();
    }
}

#[test]
fn the_receipt_of_the_last_check_is_free_for_all() {
    let show = |issue: NewCard, options: &[&str]| {
        let reader = Reader::with(issue);
        let output = run(&[&["show", "receipt", "--reader", &reader.name], options].concat());
        assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(show(egk(), &["--json"]).contains("none"));
    assert!(show(egk().file("EF.Pruefungsnachweis", [0x5A; 120]), &[]).contains("length: 120"));
    let clear = "<PN><TS>20260302131454</TS><E>1</E></PN>";
    let shown = show(egk().file("EF.Pruefungsnachweis", clear.as_bytes()), &["--json"]);
    assert!(shown.contains("\"result\": \"1\""), "{shown}");
}
