//! The socket transport against a small card that follows `docs/card-socket.md`.
//!
//! The card's whole behaviour is a list of expected messages and answers; a deviation fails the test when the card is
//! joined.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is a test's report")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use card::apdu::{Command, Le};
use card::status::StatusWord;
use card::transport::{
    CardPresence, ReaderSpec, Readers, SocketAddress, SocketTransport, Transport, TransportError,
};
use hex_literal::hex;

const ATR: &[u8] = &hex!("3B9C968131FE458066485043333834739621F3B4");
const STATUS: &[u8] = &[0x07];
const GET_ATR: &[u8] = &[0x04];
const BEGIN: &[u8] = &[0x05];
const END: &[u8] = &[0x06];
/// GET_FEATURE_REQUEST; these readers have no features.
const FEATURES: &[u8] = &hex!("FF42000D48");
/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(60);
const SELECT: &[u8] = &hex!("00A4040C");

/// What the client is expected to send, and the answer.
type Dialogue = Vec<(&'static [u8], Vec<u8>)>;

/// A listening card; one dialogue per connection, one connection after the other.
struct Card {
    thread: JoinHandle<()>,
    address: SocketAddress,
    _folder: tempfile::TempDir,
}

impl Card {
    fn listen(dialogues: Vec<Dialogue>) -> Card {
        let folder = tempfile::tempdir().unwrap();
        let path: PathBuf = folder.path().join("card.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let thread = std::thread::spawn(move || {
            for dialogue in dialogues {
                follow(listener.accept().unwrap().0, dialogue);
            }
        });
        Card { thread, address: SocketAddress::Unix(path), _folder: folder }
    }

    fn connect(&self) -> SocketTransport {
        SocketTransport::connect(&self.address, PATIENCE).unwrap()
    }

    fn join(self) {
        self.thread.join().unwrap();
    }
}

fn follow(mut stream: impl Read + Write, dialogue: Dialogue) {
    for (index, (expected, answer)) in dialogue.into_iter().enumerate() {
        say(&mut stream, expected, &answer);
        // The end of connecting: has the reader a PIN pad?
        if (index, expected, answer.is_empty()) == (1, GET_ATR, false) {
            say(&mut stream, FEATURES, &[]);
        }
    }
}

fn say(stream: &mut (impl Read + Write), expected: &[u8], answer: &[u8]) {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut message).unwrap();
    assert_eq!(hex::encode(&message), hex::encode(expected));
    stream.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes()).unwrap();
    stream.write_all(answer).unwrap();
}

fn status(present: u8, insertions: u8) -> (&'static [u8], Vec<u8>) {
    (STATUS, vec![present, 0, 0, 0, insertions])
}

fn atr() -> (&'static [u8], Vec<u8>) {
    (GET_ATR, ATR.to_vec())
}

fn select() -> Command {
    Command::new(0x00, 0xA4, 0x04, 0x0C)
}

#[test]
fn commands_go_through_a_unix_socket() {
    let read: &[u8] = &hex!("00B0 8200 00");
    let card = Card::listen(vec![vec![
        status(1, 1),
        atr(),
        (BEGIN, vec![0]),
        (SELECT, hex!("9000").to_vec()),
        (read, hex!("5A0102 6282").to_vec()),
        (END, vec![0]),
    ]]);
    let mut transport = card.connect();
    assert_eq!(transport.atr(), ATR);
    transport.begin().unwrap();
    assert_eq!(transport.transmit(&select()).unwrap().status, StatusWord::OK);
    let answer = transport.transmit(&Command::new(0x00, 0xB0, 0x82, 0x00).le(Le::SHORT_WILDCARD)).unwrap();
    assert_eq!((answer.data, answer.status), (vec![0x5A, 1, 2], StatusWord::END_OF_FILE));
    transport.end().unwrap();
    transport.end().unwrap();
    card.join();
}

#[test]
fn commands_go_through_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let long = [&hex!("00D68600 0003E8")[..], &[7; 1000]].concat().leak();
    let dialogue = vec![status(1, 1), atr(), (long, hex!("9000").to_vec())];
    let card = std::thread::spawn(move || follow(listener.accept().unwrap().0, dialogue));
    let mut transport = SocketTransport::connect(&SocketAddress::Tcp(address), PATIENCE).unwrap();
    let command = Command::new(0x00, 0xD6, 0x86, 0x00).data(vec![7; 1000]);
    assert!(transport.transmit(&command).unwrap().status.is_ok());
    card.join().unwrap();
}

#[test]
fn an_empty_reader_has_no_card() {
    let card = Card::listen(vec![vec![status(0, 0), (GET_ATR, vec![])]]);
    assert!(matches!(SocketTransport::connect(&card.address, PATIENCE), Err(TransportError::NoCard)));
    card.join();
}

#[test]
fn a_reset_is_told_until_the_caller_reconnects() {
    let card = Card::listen(vec![vec![
        status(1, 1),
        atr(),
        (SELECT, vec![]),
        status(1, 1),
        atr(),
        status(1, 1),
        atr(),
        (SELECT, hex!("9000").to_vec()),
    ]]);
    let mut transport = card.connect();
    for _ in 0..3 {
        assert!(matches!(transport.transmit(&select()), Err(TransportError::Reset)));
        assert!(matches!(transport.begin(), Err(TransportError::Reset)));
    }
    transport.reconnect().unwrap();
    assert!(transport.transmit(&select()).unwrap().status.is_ok());
    card.join();
}

#[test]
fn a_reset_before_a_section_is_told_before_any_command_is_sent() {
    for (insertions, told) in [(1, "Reset"), (2, "Removed")] {
        let card = Card::listen(vec![vec![
            status(1, 1),
            atr(),
            (BEGIN, vec![1]),
            status(1, insertions),
            atr(),
            (END, vec![0]),
        ]]);
        let mut transport = card.connect();
        assert_eq!(format!("{:?}", transport.begin().unwrap_err()), told);
        card.join();
    }
}

#[test]
fn a_section_is_ended_after_a_reset_within_it() {
    let card = Card::listen(vec![vec![
        status(1, 1),
        atr(),
        (BEGIN, vec![0]),
        (SELECT, vec![]),
        status(1, 1),
        atr(),
        (END, vec![0]),
        status(1, 1),
        atr(),
        (BEGIN, vec![0]),
    ]]);
    let mut transport = card.connect();
    transport.begin().unwrap();
    assert!(matches!(transport.transmit(&select()), Err(TransportError::Reset)));
    transport.end().unwrap();
    transport.reconnect().unwrap();
    transport.begin().unwrap();
    card.join();
}

#[test]
fn a_pulled_card_and_a_swapped_one_are_removed() {
    let pulled = vec![status(0, 1), (GET_ATR, vec![])];
    let swapped = vec![status(1, 2), atr()];
    for what_happened in [pulled, swapped] {
        let mut dialogue = vec![status(1, 1), atr(), (SELECT, vec![])];
        dialogue.extend(what_happened);
        let card = Card::listen(vec![dialogue]);
        let mut transport = card.connect();
        for _ in 0..2 {
            assert!(matches!(transport.transmit(&select()), Err(TransportError::Removed)));
        }
        card.join();
    }
}

#[test]
fn reconnecting_to_an_empty_reader_says_so_and_may_be_tried_again() {
    let card = Card::listen(vec![vec![
        status(1, 1),
        atr(),
        (SELECT, vec![]),
        status(0, 1),
        (GET_ATR, vec![]),
        status(0, 1),
        (GET_ATR, vec![]),
        status(1, 2),
        atr(),
        (SELECT, hex!("9000").to_vec()),
    ]]);
    let mut transport = card.connect();
    assert!(matches!(transport.transmit(&select()), Err(TransportError::Removed)));
    assert!(matches!(transport.reconnect(), Err(TransportError::NoCard)));
    assert!(matches!(transport.transmit(&select()), Err(TransportError::Removed)));
    transport.reconnect().unwrap();
    assert!(transport.transmit(&select()).unwrap().status.is_ok());
    card.join();
}

#[test]
fn a_card_that_hangs_up_is_removed_and_a_reconnect_calls_it_again() {
    let card = Card::listen(vec![
        vec![status(1, 1), atr()],
        vec![status(1, 1), atr(), (SELECT, hex!("9000").to_vec())],
    ]);
    let mut transport = card.connect();
    assert!(matches!(transport.transmit(&select()), Err(TransportError::Removed)));
    assert!(matches!(transport.transmit(&select()), Err(TransportError::NotTransacted)));
    transport.reconnect().unwrap();
    assert!(transport.transmit(&select()).unwrap().status.is_ok());
    card.join();
}

#[test]
fn nonsense_is_no_answer() {
    let card = Card::listen(vec![
        vec![status(1, 1), atr(), (SELECT, vec![0x90])],
        vec![(STATUS, vec![1, 0])],
        vec![status(1, 1), atr(), (BEGIN, vec![2])],
    ]);
    let result = card.connect().transmit(&select());
    assert!(matches!(result, Err(TransportError::Apdu(_))), "{result:?}");
    let result = SocketTransport::connect(&card.address, PATIENCE);
    assert!(
        matches!(result, Err(TransportError::Malformed { what: "reader status", length: 2 })),
        "{result:?}"
    );
    let result = card.connect().begin();
    assert!(matches!(result, Err(TransportError::Malformed { .. })), "{result:?}");
    card.join();
}

#[test]
fn readers_list_and_connect_a_socket() {
    let spec = |path: &Path| ReaderSpec::Socket(SocketAddress::Unix(path.into()));
    let card = Card::listen(vec![
        vec![status(0, 0), status(1, 1), status(1, 2)],
        vec![status(1, 2), atr(), (SELECT, hex!("9000").to_vec())],
    ]);
    let SocketAddress::Unix(path) = &card.address else { panic!("a Unix socket") };
    let name = format!("socket:{}", path.display());
    let mut readers = Readers::open(&[spec(path), spec(Path::new("/nonexistent/card.sock"))]);
    let mut seen = Vec::new();
    for presence in [CardPresence::Absent, CardPresence::Present, CardPresence::Present] {
        let states = readers.list().unwrap();
        let [reader, nobody] = states.as_slice() else { panic!("two readers expected") };
        assert_eq!((reader.name.as_str(), reader.card), (name.as_str(), presence));
        assert_eq!(nobody.card, CardPresence::Absent);
        seen.push(reader.insertions);
    }
    seen.dedup();
    assert_eq!(seen.len(), 3, "every insertion is seen: {seen:?}");
    let mut transport = readers.connect(&name).unwrap();
    transport.transmit(&select()).unwrap();
    assert_eq!(transport.traffic().commands, 1);
    let unknown = readers.connect("socket:/other.sock").map(|_| ());
    assert!(matches!(unknown, Err(TransportError::UnknownReader { .. })), "{unknown:?}");
    drop(readers);
    card.join();
}

#[test]
fn a_restarted_simulator_is_a_change_even_with_the_same_count() {
    let card = Card::listen(vec![vec![status(1, 1)], vec![status(1, 1)]]);
    let mut readers = Readers::open(&[ReaderSpec::Socket(card.address.clone())]);
    let before = readers.list().unwrap();
    let after = readers.list().unwrap();
    assert_eq!(before[0].card, after[0].card);
    assert_ne!(before[0].insertions, after[0].insertions);
    drop(readers);
    card.join();
}
