//! Runs every file in `tests/fixtures`. The file name says what it is and what must happen:
//!
//! `<pd|vd|gvd|status|nfd|dpe|amts>-<what is special>.<verdict>.<xml|hex>`
//!
//! `xml` files are documents, packed here as a card has them; `hex` files are whole card files. The verdict is `ok`
//! (the typed data equal the `.json` file of the same name and nothing is found), `finding-<code>` (read, with exactly
//! that finding) or `refused-<code>` (an error of that code).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test program a panic is the report"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use card::egk::EgkFiles;
use egk_reader::health::{parse_declarations, parse_emergency_data, parse_medication_plan};
use egk_reader::{InsuranceRecord, VsdError, parse};
use serde_json::{Value, json};

#[path = "support/pack.rs"]
mod pack;

#[test]
fn every_fixture_does_what_its_name_says() {
    let mut expected_files = BTreeSet::new();
    let mut verdicts = BTreeSet::new();
    let mut count = 0;
    for path in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let extension = path.extension().unwrap().to_str().unwrap();
        if extension == "json" {
            expected_files.insert(path);
            continue;
        }
        count += 1;
        let stem = name.strip_suffix(extension).unwrap().strip_suffix('.').unwrap();
        let verdict = stem.rsplit_once('.').unwrap().1;
        verdicts.insert(verdict.to_owned());
        let kind = name.split('-').next().unwrap();
        if MEDICAL.contains(&kind) {
            check_medical(&name, kind, verdict, &medical_file(extension, &fs::read(&path).unwrap()), &path);
            continue;
        }
        check(&name, kind, verdict, parse(&card_files(kind, extension, &fs::read(&path).unwrap())), &path);
    }
    for json in expected_files {
        let source = ["xml", "hex"].map(|extension| json.with_extension(extension));
        assert!(source.iter().any(|path| path.exists()), "{} belongs to no fixture", json.display());
    }
    assert!(count >= 103, "only {count} fixtures found");
    assert!(verdicts.len() >= 15, "only {} verdicts", verdicts.len());
}

#[test]
fn no_error_text_and_no_finding_shows_what_is_on_the_card() {
    for path in fixtures() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let extension = path.extension().unwrap().to_str().unwrap();
        let kind = name.split('-').next().unwrap();
        if extension != "xml" || !(kind == "pd" || MEDICAL.contains(&kind)) {
            continue;
        }
        let document = fs::read(&path).unwrap();
        let secrets = words_between_tags(&document);
        if MEDICAL.contains(&kind) {
            let shown = match parsed(kind, &medical_file(extension, &document)) {
                Ok((_, debug)) => debug,
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{name} shows a value: {shown}");
            continue;
        }
        let shown = match parse(&card_files("pd", extension, &document)) {
            Ok(record) => format!("{record:?} {:?} {:?}", record.personal, record.findings),
            Err(error) => format!("{error} {error:?}"),
        };
        for secret in secrets {
            assert!(!shown.contains(&secret), "{name} shows a value: {shown}");
        }
    }
}

fn fixtures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some()).collect()
}

/// A good card with one file replaced.
fn card_files(kind: &str, extension: &str, content: &[u8]) -> EgkFiles {
    let raw = || pack::from_hex(std::str::from_utf8(content).unwrap());
    let mut files = pack::good_card();
    match (kind, extension) {
        ("pd", "xml") => files.pd = pack::pd(content),
        ("vd", "xml") => files.vd = pack::vd(content, None),
        ("gvd", "xml") => files.vd = pack::vd(pack::GOOD_VD.as_bytes(), Some(content)),
        ("pd", "hex") => files.pd = raw(),
        ("vd", "hex") => files.vd = raw(),
        ("status", "hex") => files.status_vd = raw(),
        other => panic!("unknown kind of fixture: {other:?}"),
    }
    files
}

fn check(name: &str, kind: &str, verdict: &str, result: Result<InsuranceRecord, VsdError>, path: &Path) {
    if let Some(code) = verdict.strip_prefix("refused-") {
        let error = result.err().unwrap_or_else(|| panic!("{name}: was read"));
        assert_eq!(error.code(), code, "{name}: {error}");
        return;
    }
    let record = result.unwrap_or_else(|error| panic!("{name}: {error}"));
    let codes: Vec<_> = record.findings.iter().map(|finding| finding.code()).collect();
    if let Some(code) = verdict.strip_prefix("finding-") {
        assert_eq!(codes, [code], "{name}: {:?}", record.findings);
        return;
    }
    assert_eq!(verdict, "ok", "{name}: unknown verdict");
    assert!(codes.is_empty(), "{name}: {:?}", record.findings);
    let expected = path.with_extension("json");
    let expected =
        fs::read_to_string(&expected).unwrap_or_else(|error| panic!("{}: {error}", expected.display()));
    let expected: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(part(kind, &record), expected, "{name}");
}

const MEDICAL: [&str; 3] = ["nfd", "dpe", "amts"];

fn medical_file(extension: &str, content: &[u8]) -> Vec<u8> {
    match extension {
        "hex" => pack::from_hex(std::str::from_utf8(content).unwrap()),
        _ => pack::pd(content),
    }
}

/// The record as JSON, and what `Debug` shows of it.
fn parsed(kind: &str, file: &[u8]) -> Result<(Value, String), VsdError> {
    Ok(match kind {
        "nfd" => {
            let data = parse_emergency_data(file)?;
            (json!(data), format!("{data:?} {:?}", data.as_ref().map(|data| &data.allergies)))
        }
        "dpe" => {
            let data = parse_declarations(file)?;
            (json!(data), format!("{data:?} {:?}", data.as_ref().map(|data| &data.living_will)))
        }
        _ => {
            let data = parse_medication_plan(file)?;
            (json!(data), format!("{data:?} {:?}", data.as_ref().map(|data| &data.blocks)))
        }
    })
}

fn check_medical(name: &str, kind: &str, verdict: &str, file: &[u8], path: &Path) {
    let result = parsed(kind, file);
    if let Some(code) = verdict.strip_prefix("refused-") {
        let error = result.err().unwrap_or_else(|| panic!("{name}: was read"));
        assert_eq!(error.code(), code, "{name}: {error}");
        return;
    }
    assert_eq!(verdict, "ok", "{name}: unknown verdict");
    let (data, _) = result.unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected =
        fs::read_to_string(path.with_extension("json")).unwrap_or_else(|error| panic!("{name}: {error}"));
    let expected: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(data, expected, "{name}");
}

/// The part of the record a fixture is about.
fn part(kind: &str, record: &InsuranceRecord) -> Value {
    match kind {
        "pd" => json!({ "document": record.documents.personal, "data": record.personal }),
        "vd" => json!({ "document": record.documents.coverage, "data": record.coverage }),
        "gvd" => json!({ "document": record.documents.protected, "data": record.protected }),
        _ => json!(record.status),
    }
}

/// Texts of at least five characters between tags: names, numbers, dates.
fn words_between_tags(document: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(document);
    let between = text.split('>').filter_map(|part| part.split('<').next());
    between.map(str::trim).filter(|word| word.len() >= 5).map(str::to_owned).collect()
}
