//! Patient and Coverage against the rules of KBV_PR_FOR_Patient and KBV_PR_FOR_Coverage, and against worked examples.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test program a panic is the report"
)]

use std::fs;
use std::path::Path;

use egk_reader::fhir::{self, Mapped, ProfileVersion, ResourceIds};
use egk_reader::{Finding, Gender, InsuranceRecord, parse};
use serde_json::{Value, json};

#[path = "support/pack.rs"]
mod pack;

const PATIENT_ID: &str = "8d2c8f0e-6b1e-4f0a-9d0f-1c1f6f0f3a01";
const COVERAGE_ID: &str = "8d2c8f0e-6b1e-4f0a-9d0f-1c1f6f0f3a02";

fn ids() -> ResourceIds {
    ResourceIds { patient: PATIENT_ID.to_owned(), coverage: COVERAGE_ID.to_owned() }
}

fn record(pd: &str, vd: &str, gvd: Option<&str>) -> InsuranceRecord {
    let read = |name: &str| fs::read(folder().join(format!("{name}.ok.xml"))).unwrap();
    let mut files = pack::good_card();
    files.pd = pack::pd(&read(pd));
    files.vd = pack::vd(&read(vd), gvd.map(read).as_deref());
    parse(&files).unwrap()
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn patient(pd: &str) -> Mapped {
    let record = record(pd, "vd-5.2-member", None);
    fhir::patient(&record.personal, PATIENT_ID, ProfileVersion::V1_3)
}

fn coverage(vd: &str, gvd: Option<&str>) -> Mapped {
    let record = record("pd-5.3-no-gender", vd, gvd);
    let reference = format!("urn:uuid:{PATIENT_ID}");
    fhir::coverage(&record.coverage, record.protected.as_ref(), COVERAGE_ID, &reference, ProfileVersion::V1_3)
}

fn string(url: &str, value: &str) -> Value {
    json!({ "url": url, "valueString": value })
}

#[test]
fn a_full_patient_is_mapped_field_by_field() {
    let mapped = patient("pd-5.2-both-addresses");
    assert_eq!(mapped.findings, []);
    let hl7 = |name: &str| format!("http://hl7.org/fhir/StructureDefinition/{name}");
    let expected = json!({
        "resourceType": "Patient",
        "id": PATIENT_ID,
        "meta": { "versionId": "1", "profile": ["https://fhir.kbv.de/StructureDefinition/KBV_PR_FOR_Patient|1.3"] },
        "identifier": [{
            "type": { "coding": [{
                "system": "http://fhir.de/CodeSystem/identifier-type-de-basis", "code": "KVZ10"
            }] },
            "system": "http://fhir.de/sid/gkv/kvid-10",
            "value": "B482109376"
        }],
        "name": [{
            "use": "official",
            "family": "Freifrau von der Weißflöter",
            "_family": { "extension": [
                string("http://fhir.de/StructureDefinition/humanname-namenszusatz", "Freifrau"),
                string(&hl7("humanname-own-prefix"), "von der"),
                string(&hl7("humanname-own-name"), "Weißflöter"),
            ] },
            "given": ["Käthe Ottilie"],
            "prefix": ["Dr. med."],
            "_prefix": [{ "extension": [{ "url": hl7("iso21090-EN-qualifier"), "valueCode": "AC" }] }]
        }],
        "birthDate": "1987-04-18",
        "address": [{
            "type": "both",
            "line": ["Günterstalstraße 17 b", "3. Obergeschoß"],
            "_line": [
                { "extension": [
                    string(&hl7("iso21090-ADXP-streetName"), "Günterstalstraße"),
                    string(&hl7("iso21090-ADXP-houseNumber"), "17 b"),
                ] },
                { "extension": [string(&hl7("iso21090-ADXP-additionalLocator"), "3. Obergeschoß")] }
            ],
            "city": "Freiburg im Breisgau",
            "postalCode": "79100",
            "country": "D"
        }]
    });
    assert_eq!(mapped.resource.to_json(), expected);
}

#[test]
fn a_full_coverage_names_the_billing_payer_and_only_the_end() {
    let mapped = coverage("vd-5.2-billing-payer", Some("gvd-5.2-all-fields"));
    assert_eq!(mapped.findings, []);
    let code = |name: &str, system: &str, code: &str| {
        json!({
            "url": format!("http://fhir.de/StructureDefinition/gkv/{name}"),
            "valueCoding": { "system": format!("https://fhir.kbv.de/CodeSystem/{system}"), "code": code }
        })
    };
    let expected = json!({
        "resourceType": "Coverage",
        "id": COVERAGE_ID,
        "meta": { "versionId": "1", "profile": ["https://fhir.kbv.de/StructureDefinition/KBV_PR_FOR_Coverage|1.3"] },
        "extension": [
            code("besondere-personengruppe", "KBV_CS_SFHIR_KBV_PERSONENGRUPPE", "09"),
            code("dmp-kennzeichen", "KBV_CS_SFHIR_KBV_DMP", "30"),
            code("wop", "KBV_CS_SFHIR_ITA_WOP", "03"),
            code("versichertenart", "KBV_CS_SFHIR_KBV_VERSICHERTENSTATUS", "5"),
        ],
        "status": "active",
        "type": { "coding": [{ "system": "http://fhir.de/CodeSystem/versicherungsart-de-basis", "code": "GKV" }] },
        "beneficiary": { "reference": format!("urn:uuid:{PATIENT_ID}") },
        "period": { "end": "2039-12-31" },
        "payor": [{
            "identifier": { "system": "http://fhir.de/sid/arge-ik/iknr", "value": "104927008" },
            "display": "Erfundene Ersatzkasse/Übertragung"
        }]
    });
    assert_eq!(mapped.resource.to_json(), expected);
}

#[test]
fn version_1_2_has_no_version_id_and_its_own_profile() {
    let record = record("pd-5.2-both-addresses", "vd-5.2-member", Some("gvd-5.2-nothing-special"));
    let bundle = fhir::bundle(&record, &ids(), ProfileVersion::V1_2).resource.to_json();
    for (index, name) in ["Patient", "Coverage"].into_iter().enumerate() {
        let profile = format!("https://fhir.kbv.de/StructureDefinition/KBV_PR_FOR_{name}|1.2");
        assert_eq!(bundle["entry"][index]["resource"]["meta"], json!({ "profile": [profile] }));
    }
}

#[test]
fn the_bundle_is_a_collection_whose_coverage_refers_to_its_patient() {
    let record = record("pd-5.2-both-addresses", "vd-5.2-member", Some("gvd-5.2-nothing-special"));
    let bundle = fhir::bundle(&record, &ids(), ProfileVersion::V1_3);
    assert_eq!(bundle.findings, []);
    let json = bundle.resource.to_json();
    assert_eq!((&json["resourceType"], &json["type"]), (&json!("Bundle"), &json!("collection")));
    let entries = json["entry"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["fullUrl"], entries[1]["resource"]["beneficiary"]["reference"]);
    let xml = bundle.resource.to_xml();
    assert_eq!(xml.matches("xmlns=").count(), 1);
    assert!(xml.contains("<given value=\"Käthe Ottilie\"/>") && xml.contains("<code value=\"00\"/>"));
}

#[test]
fn special_group_and_programme_are_none_only_if_the_card_says_so() {
    let codes = |mapped: &Mapped| -> Vec<String> {
        let json = mapped.resource.to_json();
        let extensions = json["extension"].as_array().cloned().unwrap_or_default();
        extensions
            .iter()
            .map(|extension| extension["valueCoding"]["code"].as_str().unwrap().to_owned())
            .collect()
    };
    let read = coverage("vd-5.2-member", Some("gvd-5.2-nothing-special"));
    assert_eq!(codes(&read), ["00", "00", "52", "1"]);
    let not_read = coverage("vd-5.2-member", None);
    assert_eq!(codes(&not_read), ["52", "1"]);
    assert_eq!(not_read.findings.len(), 2);
}

#[test]
fn shortened_cards_list_what_is_missing() {
    let mapped = coverage("vd-5.3-shortened", None);
    let missing: Vec<_> = mapped
        .findings
        .iter()
        .map(|finding| match finding {
            Finding::MissingElement { element, .. } => *element,
            other => panic!("unexpected: {other}"),
        })
        .collect();
    assert_eq!(
        missing,
        [
            "Coverage.extension(besondere-personengruppe)",
            "Coverage.extension(dmp-kennzeichen)",
            "Coverage.extension(versichertenart)"
        ]
    );
    assert!(mapped.resource.to_json().get("extension").is_none());
}

#[test]
fn an_end_without_a_beginning_is_kept_and_a_partial_end_is_reported() {
    assert_eq!(
        coverage("vd-5.3-end-without-begin", None).resource.to_json()["period"],
        json!({ "end": "2028-12-31" })
    );
    let mapped = coverage("vd-no-payer-name", Some("gvd-5.2-nothing-special"));
    assert!(mapped.resource.to_json().get("period").is_none());
    let elements: Vec<_> = mapped.findings.iter().map(Finding::to_string).collect();
    assert_eq!(elements.len(), 2, "{elements:?}");
    assert!(
        elements[0].starts_with("Coverage.period.end") && elements[1].starts_with("Coverage.payor.display")
    );
}

#[test]
fn private_insurance_is_pkv_and_nothing_is_made_up() {
    let mapped = coverage("vd-pkv-1.0", None);
    assert_eq!(mapped.resource.to_json()["type"]["coding"][0]["code"], "PKV");
    assert_eq!(mapped.findings.len(), 3);
}

#[test]
fn partial_birth_dates_keep_their_precision() {
    let birth_date = |pd| patient(pd).resource.to_json()["birthDate"].clone();
    assert_eq!(birth_date("pd-5.2-birth-year-and-post-box-only"), "1958");
    assert_eq!(birth_date("pd-5.2-only-house-number"), "1945-05");
    let unknown = patient("pd-5.2-birth-date-unknown-no-address").resource.to_json();
    assert!(unknown.get("birthDate").is_none() && unknown.get("address").is_none());
    assert_eq!(unknown["_birthDate"]["extension"][0]["valueCode"], "unknown");
}

#[test]
fn address_lines_follow_what_is_there() {
    let lines = |pd| patient(pd).resource.to_json()["address"][0]["line"].clone();
    assert_eq!(lines("pd-5.2-no-declaration"), json!(["Weg"]));
    assert_eq!(lines("pd-5.2-only-house-number"), json!(["7", "Warft"]));
    assert_eq!(lines("pd-5.2-only-address-addition"), json!(["Haus Dünenblick"]));
    assert_eq!(lines("pd-5.2-birth-year-and-post-box-only"), json!(["88"]));
    assert_eq!(lines("pd-5.2-empty-optional-strings"), Value::Null);
}

#[test]
fn plain_r4_keeps_what_the_profiles_forbid() {
    let record = record("pd-5.2-both-addresses", "vd-5.2-billing-payer", Some("gvd-5.2-all-fields"));
    let bundle = fhir::plain_bundle(&record, &ids());
    assert_eq!(bundle.findings, []);
    let json = bundle.resource.to_json();
    let (patient, coverage) = (&json["entry"][0]["resource"], &json["entry"][1]["resource"]);
    assert!(patient.get("meta").is_none() && coverage.get("meta").is_none());
    assert_eq!(patient["name"][0]["given"], json!(["Käthe", "Ottilie"]));
    assert_eq!(patient["name"][0]["family"], "Freifrau von der Weißflöter");
    assert_eq!(patient["identifier"][0]["value"], "B482109376");
    assert_eq!((&patient["gender"], &patient["birthDate"]), (&json!("female"), &json!("1987-04-18")));
    let kinds: Vec<_> =
        patient["address"].as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(kinds, ["physical", "postal"]);
    assert_eq!(patient["address"][0]["country"], "DE");
    assert_eq!(coverage["subscriberId"], "B482109376");
    let payers = coverage["payor"].as_array().unwrap();
    assert_eq!(payers.len(), 2);
    assert_eq!(payers[1]["identifier"]["value"], "104927008");
    assert!(coverage["period"]["start"].is_string());
    assert_eq!(coverage["period"]["end"], "2039-12-31");
    assert_eq!(coverage["relationship"]["coding"][0]["code"], "self");
    let xml = bundle.resource.to_xml();
    let order = ["<subscriberId", "<beneficiary>", "<relationship>", "<period>", "<payor>"];
    let places: Vec<_> = order.iter().map(|element| xml.find(element).unwrap()).collect();
    assert!(places.is_sorted(), "{xml}");
}

#[test]
fn plain_r4_tells_the_genders_it_has_no_word_for_by_an_extension() {
    let mut record = record("pd-5.2-both-addresses", "vd-5.2-member", None);
    for (letter, word) in [('M', "male"), ('W', "female"), ('D', "other"), ('X', "other"), ('Q', "unknown")] {
        record.personal.gender = Some(Gender::from(letter));
        let json = fhir::plain_patient(&record.personal, "1").resource.to_json();
        assert_eq!(json["gender"], word);
        let extension = &json["_gender"]["extension"][0]["valueCoding"]["code"];
        assert_eq!(*extension, if word == "other" { json!(letter) } else { Value::Null }, "{letter}");
    }
    record.personal.gender = None;
    assert!(fhir::plain_patient(&record.personal, "1").resource.to_json().get("gender").is_none());
}

/// What the profile forbids or demands of any Patient, whatever is on the card.
#[test]
fn every_readable_fixture_keeps_the_rules_of_the_patient_profile() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".ok.xml").filter(|stem| stem.starts_with("pd-")) else {
            continue;
        };
        count += 1;
        let json = patient(stem).resource.to_json();
        let allowed =
            ["resourceType", "id", "meta", "identifier", "name", "birthDate", "_birthDate", "address"];
        for key in json.as_object().unwrap().keys() {
            assert!(allowed.contains(&key.as_str()), "{stem}: {key}");
        }
        assert_eq!(json["identifier"].as_array().unwrap().len(), 1);
        assert_eq!(json["name"].as_array().unwrap().len(), 1);
        assert_eq!(json["name"][0]["given"].as_array().unwrap().len(), 1);
        assert!(json["birthDate"].is_string() != json["_birthDate"].is_object());
        for address in json["address"].as_array().into_iter().flatten() {
            check_address(stem, address);
        }
    }
    assert!(count >= 13, "only {count} fixtures");
}

/// Constraints -for-adresszeilenAufbauPatientRessource-1 to -8.
fn check_address(name: &str, address: &Value) {
    let keys = ["type", "line", "_line", "city", "postalCode", "country"];
    assert!(address.as_object().unwrap().keys().all(|key| keys.contains(&key.as_str())), "{name}");
    assert_eq!(address["type"] == "postal", name.contains("post-box-only"), "{name}");
    let lines = address["line"].as_array().cloned().unwrap_or_default();
    assert!(lines.len() <= 2, "{name}");
    let part = |line: usize, kind: &str| {
        let extensions = address["_line"][line]["extension"].as_array().cloned().unwrap_or_default();
        let url = format!("http://hl7.org/fhir/StructureDefinition/iso21090-ADXP-{kind}");
        extensions
            .iter()
            .find(|extension| extension["url"] == url.as_str())
            .map(|found| found["valueString"].clone())
    };
    for (index, line) in lines.iter().enumerate() {
        let text = line.as_str().unwrap();
        let parts: Vec<_> = ["streetName", "houseNumber", "additionalLocator", "postBox"]
            .into_iter()
            .filter_map(|kind| part(index, kind))
            .map(|value| value.as_str().unwrap().to_owned())
            .collect();
        assert_eq!(text, parts.join(" "), "{name}");
        let street = part(index, "streetName").is_some() || part(index, "houseNumber").is_some();
        assert!(!(street && part(index, "additionalLocator").is_some()), "{name}");
        assert_eq!(
            street,
            index == 0 && part(index, "additionalLocator").or(part(index, "postBox")).is_none()
        );
    }
    if lines.len() == 2 {
        assert!(part(0, "additionalLocator").is_none() && part(1, "additionalLocator").is_some(), "{name}");
    }
}
