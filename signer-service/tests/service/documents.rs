//! The documents against what they describe: no reason, call or key of the configuration that is not there, and none missing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use prost::Message;
use proto::v1::Reason;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reasons with their status codes, as the comments of the contract have them.
fn reasons_of_the_contract() -> BTreeMap<String, String> {
    let contract = text("proto/proto/hpc/signer/v1/signer.proto");
    let (mut reasons, mut comment) = (BTreeMap::new(), String::new());
    for line in contract.lines().map(str::trim) {
        if let Some(said) = line.strip_prefix("//") {
            comment.push_str(said);
            continue;
        }
        if let Some((name, _)) = line.strip_prefix("REASON_").and_then(|rest| rest.split_once(" = ")) {
            let status = comment.trim().split('.').next().unwrap_or_default().to_owned();
            reasons.insert(name.to_owned(), status);
        }
        comment.clear();
    }
    reasons.remove("UNSPECIFIED");
    reasons
}

#[test]
fn the_api_page_has_every_reason_with_its_status() {
    let contract = reasons_of_the_contract();
    let known: BTreeSet<String> = (1..1000)
        .filter_map(|number| Reason::try_from(number).ok())
        .map(|reason| reason.as_str_name().trim_start_matches("REASON_").to_owned())
        .collect();
    assert_eq!(contract.keys().cloned().collect::<BTreeSet<_>>(), known, "the comments were not understood");
    let page = text("docs/api.md");
    let table = page.split("## Refusals").nth(1).unwrap().split("\n## ").next().unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        Some((cells.next()?.trim_end_matches('`').to_owned(), cells.next()?.trim().to_owned()))
    };
    let page: BTreeMap<String, String> = table.lines().filter_map(row).collect();
    assert_eq!(page, contract);
}

#[test]
fn the_api_page_tells_of_every_call() {
    let page = text("docs/api.md");
    let files = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
    let calls = files.file.iter().flat_map(|file| &file.service).flat_map(|service| &service.method);
    let missing: Vec<&str> = calls.map(|call| call.name()).filter(|call| !page.contains(call)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Keys of the commented default file by section.
fn keys() -> BTreeSet<(String, String)> {
    let default = text("signer-service/src/config.default.toml");
    let (mut section, mut keys) = (String::new(), BTreeSet::new());
    for line in default.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
        {
            keys.insert((section.clone(), key.to_owned()));
        }
    }
    keys
}

/// Mentions like `[limits] calls`.
fn mentioned(page: &str) -> Vec<(String, String)> {
    let word = |text: &str| {
        let end = text.find(|c: char| !(c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()));
        text.get(..end.unwrap_or(text.len())).unwrap_or_default().to_owned()
    };
    let spans = page.split('`').skip(1).step_by(2);
    let mention = |span: &str| {
        let (section, rest) = span.strip_prefix('[')?.split_once("] ")?;
        Some((section.to_owned(), word(rest)))
    };
    spans.filter_map(mention).collect()
}

#[test]
fn every_key_that_a_page_names_is_in_the_default_file() {
    let (keys, mut seen) = (keys(), 0);
    let sections: BTreeSet<&str> = keys.iter().map(|(section, _)| section.as_str()).collect();
    let folders = ["docs", "docs/decisions"].map(|folder| fs::read_dir(repository().join(folder)).unwrap());
    let pages = folders.into_iter().flatten().map(|entry| entry.unwrap().path());
    for page in pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        for (section, key) in mentioned(&fs::read_to_string(&page).unwrap()) {
            assert!(sections.contains(section.as_str()), "{}: [{section}]", page.display());
            let is_group = key.ends_with('_') && keys.iter().any(|(_, known)| known.starts_with(&key));
            let found = is_group || key.is_empty() || keys.contains(&(section.clone(), key.clone()));
            assert!(found, "{}: [{section}] {key}", page.display());
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} mentions were understood");
}
