//! A card that was recorded is played back without it.

use card_simulator::{NewCard, ProfileName};
use serde_json::Value;
use tempfile::TempDir;

use super::{ICCSN, Reader, code, run};

#[test]
fn a_recorded_card_is_identified_again_without_the_card() {
    let directory = TempDir::new().unwrap();
    for profile in [ProfileName::HbaG21, ProfileName::SmcB, ProfileName::EgkG21, ProfileName::Piv] {
        let file = directory.path().join(profile.to_string());
        let file = file.to_str().unwrap();
        let seen = {
            let reader = Reader::with(NewCard::new(profile));
            run(&["identify", "--reader", &reader.name, "--json", "--record-card", file])
        };
        assert_eq!(code(&seen), 0, "{}", String::from_utf8_lossy(&seen.stderr));
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains(&ICCSN[8..]), "{profile}: {text}");
        let replayed = run(&["identify", "--reader", &format!("replay:{file}"), "--json"]);
        assert_eq!(code(&replayed), 0, "{}", String::from_utf8_lossy(&replayed.stderr));
        let card = |output: &[u8]| {
            let mut cards: Value = serde_json::from_slice(output).unwrap();
            cards[0].as_object_mut().unwrap().remove("reader");
            cards
        };
        assert_eq!(card(&seen.stdout), card(&replayed.stdout), "{profile}");
    }
}

#[test]
fn a_card_that_is_watched_is_recorded_too() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("card");
    let file = file.to_str().unwrap();
    {
        let reader = Reader::egk();
        let options = ["--count", "2", "--identify", "--record-card", file];
        let watched = run(&[&["watch", "--reader", &reader.name][..], &options].concat());
        assert_eq!(code(&watched), 0, "{}", String::from_utf8_lossy(&watched.stderr));
    }
    let replayed = run(&["watch", "--count", "2", "--identify", "--reader", &format!("replay:{file}")]);
    let lines = String::from_utf8(replayed.stdout).unwrap();
    assert!(lines.contains("\"card\":\"egk\""), "{lines}");
}

#[test]
fn what_a_recording_does_not_tell_is_damaged_data_when_it_is_played_back() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("card.txt");
    let file = file.to_str().unwrap();
    let reader = Reader::egk();
    assert_eq!(code(&reader.read(&["--record-card", file])), 0);
    let replayed = run(&["read", "--reader", &format!("replay:{file}")]);
    assert_eq!(code(&replayed), 5, "{}", String::from_utf8_lossy(&replayed.stderr));
    assert_eq!(code(&run(&["list", "--reader", &format!("replay:{file}")])), 0);
}

#[test]
fn recordings_that_are_none_or_cannot_be_made_are_named() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("card.txt");
    std::fs::write(&file, "atr 3B\nhello\n").unwrap();
    let told = |output: std::process::Output| {
        assert_eq!(code(&output), 7);
        String::from_utf8(output.stderr).unwrap()
    };
    let damaged = told(run(&["read", "--reader", &format!("replay:{}", file.display())]));
    assert!(damaged.contains("line 2"), "{damaged}");
    let reader = Reader::egk();
    let refused = told(reader.read(&["--record-card", "/nonexistent/card.txt"]));
    assert!(refused.contains("/nonexistent/card.txt"), "{refused}");
}
