use super::*;
use crate::apdu::{Command, Le};
use crate::script::{Script, fcp};
use crate::status::StatusWord;
use crate::transport::{Transport, TransportError};

const HCA: [u8; 6] = [0xD2, 0x76, 0x00, 0x00, 0x01, 0x02];

fn plain(ins: u8, p1: u8, p2: u8) -> Command {
    Command::new(0x00, ins, p1, p2)
}

#[test]
fn a_recording_holds_no_pin_no_name_and_no_number_and_can_be_played_back() {
    let name = "80276883110000112233";
    let (card, _) = Script::new("3B9F")
        .on("00A4040400", &fcp("D2760001448000"))
        .on("00B0820000", &format!("5A0A{name}9000"))
        .on("00B0910000", "EF05C0030200009000")
        .on("0020000108 26123456FFFFFFFF", "63C2")
        .on("00A4040C06D27600000102", "9000")
        .on("00B08200000000", "0008000AFFFFFFFF1122339000")
        .on("00B08100000000", "01201F8BCCDD9000")
        .on("0088000002 ABCD 00", "11223344559000")
        .fail("00B0000000", TransportError::Timeout)
        .start();
    let recording = Recording::default();
    let mut card = recording.around("Reader of Ada", card).unwrap();
    let commands = [
        plain(0xA4, 0x04, 0x04).le(Le::SHORT_WILDCARD),
        plain(0xB0, 0x82, 0x00).le(Le::SHORT_WILDCARD),
        plain(0xB0, 0x91, 0x00).le(Le::SHORT_WILDCARD),
        plain(0x20, 0x00, 0x01).data(hex::decode("26123456FFFFFFFF").unwrap()).sensitive(),
        plain(0xA4, 0x04, 0x0C).data(HCA),
        plain(0xB0, 0x82, 0x00).le(Le::EXTENDED_WILDCARD),
        plain(0xB0, 0x81, 0x00).le(Le::EXTENDED_WILDCARD),
        plain(0x88, 0x00, 0x00).data([0xAB, 0xCD]).le(Le::SHORT_WILDCARD),
        plain(0xB0, 0x00, 0x00).le(Le::SHORT_WILDCARD),
    ];
    card.begin().unwrap();
    for command in &commands {
        let _ = card.transmit(command);
    }
    card.end().unwrap();
    let text = recording.text();
    for secret in ["123456", "112233", "CCDD", "ABCD", "Ada", "1122334455", "80276883110000"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert!(text.contains("< 5A0A8027????????????????9000"), "{text}");
    assert!(text.contains("> 0020000108????????????????\n< 63C2"), "{text}");
    assert!(text.contains("< 0008000AFFFFFFFF??????9000"), "{text}");
    assert!(text.contains("< EF05C0030200009000"), "{text}");

    let mut card = Replayed::parse(&text).unwrap();
    assert_eq!(card.atr(), [0x3B, 0x9F]);
    let pulled = plain(0xB0, 0x90, 0x00).le(Le::SHORT_WILDCARD);
    assert_eq!(card.transmit(&pulled).unwrap().status, StatusWord::INS_UNKNOWN);
    let answers: Vec<_> = commands.iter().map(|command| card.transmit(command)).collect();
    assert!(card.is_finished());
    assert_eq!(answers[1].as_ref().unwrap().data, hex::decode("5A0A80270000000000000000").unwrap());
    assert_eq!(answers[3].as_ref().unwrap().status, StatusWord(0x63C2));
    assert!(answers[8].is_err());
}

#[test]
fn other_texts_are_no_recordings() {
    for (text, line) in [
        ("hello", 1),
        ("atr 3B\n> 00\n< 9", 3),
        ("< 9000", 1),
        ("atr xyz", 1),
        ("atr 3B\n2 reader 0", 2),
        ("atr 3B\n2 reader 3", 2),
        ("99999999999999999999999 atr 3B", 1),
    ] {
        let error = Replayed::parse(text).unwrap_err();
        assert_eq!(error.to_string(), TranscriptError::Line { line }.to_string(), "{text}");
    }
    assert!(Replayed::parse("# a comment\n\natr 3B9F\n").unwrap().is_finished());
}

#[test]
fn nothing_is_told_of_other_cards_numbers_and_of_texts() {
    let (card, _) = Script::new("3B")
        .on("002281A411 830C000680276883110000220885 800100", "9000")
        .on("002241B606 840186800100", "9000")
        .on("00B0000000", "4153303031323334359000")
        .on("00CB3FFF055C035FC10200", "53020102 9000")
        .on("80CA010000", "E00102039000")
        .start();
    let recording = Recording::default();
    let mut card = recording.around("", card).unwrap();
    card.begin().unwrap();
    let commands = [
        plain(0x22, 0x81, 0xA4).data(hex::decode("830C000680276883110000220885800100").unwrap()),
        plain(0x22, 0x41, 0xB6).data([0x84, 0x01, 0x86, 0x80, 0x01, 0x00]),
        plain(0xB0, 0x00, 0x00).le(Le::SHORT_WILDCARD),
        plain(0xCB, 0x3F, 0xFF).data([0x5C, 0x03, 0x5F, 0xC1, 0x02]).le(Le::SHORT_WILDCARD),
        Command::new(0x80, 0xCA, 0x01, 0x00).le(Le::SHORT_WILDCARD),
    ];
    commands.iter().for_each(|command| drop(card.transmit(command).unwrap()));
    card.end().unwrap();
    let masked = |bytes| "??".repeat(bytes);
    let expected = [
        "reader 1".to_owned(),
        "atr 3B".to_owned(),
        format!("> 002281A411{}", masked(17)),
        "< 9000".to_owned(),
        "> 002241B606840186800100".to_owned(),
        "< 9000".to_owned(),
        "> 00B0000000".to_owned(),
        format!("< 4153{}9000", masked(7)),
        format!("> 00CB3FFF05{}00", masked(5)),
        format!("< {}9000", masked(4)),
        "> 80CA010000".to_owned(),
        format!("< {}9000", masked(4)),
    ];
    assert_eq!(recording.text().lines().collect::<Vec<_>>(), expected);
}

#[test]
fn several_readers_share_a_file_that_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cards.txt");
    std::fs::write(&path, "what was there").unwrap();
    let recording = Recording::to_file(&path);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "what was there", "before the first connection");
    let select = plain(0xA4, 0x04, 0x0C);
    for (reader, status) in [("a", "9000"), ("b", "6A82"), ("a", "6D00")] {
        let (card, _) = Script::new("3B01").on("00A4040C", status).start();
        let mut card = recording.around(reader, card).unwrap();
        card.begin().unwrap();
        card.transmit(&select).unwrap();
        card.end().unwrap();
    }
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let mut replay = Replay::open(&path).unwrap();
    assert_eq!(replay.readers(), 2);
    for (reader, status) in [(1, 0x6A82), (0, 0x9000), (0, 0x6D00)] {
        let mut card = replay.connect(reader).unwrap();
        assert_eq!(card.transmit(&select).unwrap().status, StatusWord(status));
    }
    assert!(replay.connect(0).is_none(), "it was connected to twice");
}

#[test]
fn a_file_that_cannot_be_made_is_told_before_a_card_is_used() {
    let recording = Recording::to_file("/nonexistent/cards.txt");
    let (card, log) = Script::new("").start();
    let refused = recording.around("a", card);
    assert!(matches!(refused, Err(TransportError::Transcript(TranscriptError::File { .. }))));
    log.assert_finished();
    let missing = Replay::open(std::path::Path::new("/nonexistent/cards.txt"));
    assert!(missing.unwrap_err().to_string().contains("/nonexistent/cards.txt"));
}
