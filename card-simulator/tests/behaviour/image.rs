//! The image on disk: who may open it, what is never overwritten, what a failed write leaves.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use card_simulator::{CardImage, ImageError, IssueError, ProfileName};

use crate::cards::*;

/// Names and contents of all files below a directory.
fn files(directory: &Path) -> BTreeMap<std::path::PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
        }
    }
    found
}

#[test]
fn a_second_card_in_a_directory_changes_nothing_there() {
    let directory = tempfile::tempdir().unwrap();
    new_card(ProfileName::HpcP384).create(directory.path()).unwrap();
    let before = files(directory.path());
    for profile in [ProfileName::HpcP384, ProfileName::HbaG21] {
        let again = new_card(profile).create(directory.path());
        assert!(matches!(again, Err(IssueError::Image(ImageError::Exists(_)))), "{again:?}");
    }
    assert_eq!(files(directory.path()), before);
}

#[test]
fn a_directory_without_an_image_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let opened = CardImage::open(directory.path());
    assert!(matches!(opened, Err(ImageError::Missing(_))), "{opened:?}");
    assert!(files(directory.path()).is_empty());
}

#[test]
fn an_image_that_is_about_to_be_released_can_be_opened() {
    let directory = tempfile::tempdir().unwrap();
    new_card(ProfileName::EgkG21).create(directory.path()).unwrap();
    let held = CardImage::open(directory.path()).unwrap();
    let holder = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        drop(held);
    });
    assert!(CardImage::open(directory.path()).is_ok());
    holder.join().unwrap();
}

#[test]
fn an_image_that_stays_in_use_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    new_card(ProfileName::EgkG21).create(directory.path()).unwrap();
    let _held = CardImage::open(directory.path()).unwrap();
    assert!(matches!(CardImage::open(directory.path()), Err(ImageError::InUse(_))));
}

#[test]
fn a_change_that_cannot_be_written_did_not_happen() {
    let mut card = hba();
    // Takes the place of the file the new state is written to.
    std::fs::create_dir(card.directory.path().join("state.next")).unwrap();
    card.expect("0024000110 26123456FFFFFFFF 26654321FFFFFFFF", 0x6581);
    card.expect("0020000108 26654321FFFFFFFF", 0x63C2);
    card.expect(VERIFY_CH, OK);
    card.all_ok(&["00A4040C06 D27600014602"]);
    card.expect("00D68100 02 ABCD", 0x6581);
    card.expect("00B0810000", 0x6B00);
    std::fs::remove_dir(card.directory.path().join("state.next")).unwrap();
    card.reopen();
    card.expect(VERIFY_CH, OK);
}

#[test]
fn names_that_do_not_fit_in_a_certificate_are_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("card");
    let new = || new_card(ProfileName::HpcP384);
    for wrong in [
        new().holder(""),
        new().holder(" "),
        new().holder("A\nB"),
        new().holder("A".repeat(65)),
        new().telematik_id(""),
        new().telematik_id("1-\u{e4}"),
        new().telematik_id("1".repeat(129)),
        new().ocsp(""),
        new().ocsp("http://\u{f6}"),
    ] {
        assert!(matches!(wrong.create(&place), Err(IssueError::Value { .. })), "{wrong:?}");
        assert!(!place.exists());
    }
}

#[test]
fn a_certification_authority_whose_key_is_another_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("ca");
    let new = |name| new_card(ProfileName::HbaG21).authority(&authority).create(directory.path().join(name));
    new("one").unwrap();
    std::fs::copy(authority.join("root-brainpoolP256r1.key.pem"), authority.join("root-rsa2048.key.pem"))
        .unwrap();
    assert!(matches!(new("two"), Err(IssueError::Authority(text)) if text.contains("root-rsa2048.key.pem")));
}
