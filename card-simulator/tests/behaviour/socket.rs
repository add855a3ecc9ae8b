//! The card socket as its page describes it, and what a shared reader means.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use card_simulator::server::{Address, Fault, Plug, Slot};
use tempfile::TempDir;

use crate::cards::*;

struct Reader {
    slot: Slot,
    path: PathBuf,
    _plug: Plug,
    _directory: TempDir,
}

struct Connection(UnixStream);

fn reader(card: TestCard) -> Reader {
    let (directory, card) = card.into_card();
    let slot = Slot::with(card);
    let path = directory.path().join("card.sock");
    let plug = slot.plug(&Address::Unix(path.clone())).unwrap();
    Reader { slot, path, _plug: plug, _directory: directory }
}

impl Reader {
    fn connect(&self) -> Connection {
        Connection(UnixStream::connect(&self.path).unwrap())
    }
}

impl Connection {
    fn tell(&mut self, message: &str) {
        let message = bytes(message);
        self.0.write_all(&(message.len() as u16).to_be_bytes()).unwrap();
        self.0.write_all(&message).unwrap();
    }

    fn answer(&mut self) -> String {
        let mut length = [0; 2];
        self.0.read_exact(&mut length).unwrap();
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.0.read_exact(&mut message).unwrap();
        hex::encode_upper(message)
    }

    fn ask(&mut self, message: &str) -> String {
        self.tell(message);
        self.answer()
    }

    /// Whether the simulator has nothing to say for a while.
    fn is_waiting(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(60))).unwrap();
        let waiting = self.0.read(&mut [0; 1]).is_err();
        self.0.set_read_timeout(None).unwrap();
        waiting
    }

    fn is_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

#[test]
fn a_client_asks_for_the_atr_and_sends_commands() {
    let reader = reader(hpc_p384());
    let mut client = reader.connect();
    assert_eq!(client.ask("07"), "0100000001");
    assert_eq!(client.ask("04"), "3B9C968131FE458066485043333834739621F3B4");
    client.tell("01");
    client.tell("00");
    assert_eq!(client.ask(MASTER), "9000");
    assert_eq!(reader.slot.commands(), 1);
}

#[test]
fn a_first_command_needs_no_atr() {
    let reader = reader(hba());
    assert_eq!(reader.connect().ask("80200001"), "63C3");
}

#[test]
fn a_foreign_reset_is_told_once_and_the_own_one_is_not() {
    let reader = reader(hba());
    let (mut one, mut two) = (reader.connect(), reader.connect());
    assert_eq!(one.ask(VERIFY_CH), "9000");
    assert_eq!(two.ask("80200001"), "9000");
    one.tell("02");
    assert_eq!(one.ask("80200001"), "63C3");
    assert_eq!(two.ask(VERIFY_CH), "");
    assert_eq!(two.ask(VERIFY_CH), "");
    assert!(!two.ask("04").is_empty());
    assert_eq!(two.ask("80200001"), "63C3");
    assert_eq!(reader.slot.commands(), 4);
}

#[test]
fn a_removed_card_answers_nothing_and_a_new_one_is_noticed() {
    let reader = reader(hba());
    let mut client = reader.connect();
    assert_eq!(client.ask("80200001"), "63C3");
    let card = reader.slot.eject().unwrap();
    assert_eq!(client.ask("07"), "0000000001");
    assert_eq!(client.ask("80200001"), "");
    assert_eq!(client.ask("04"), "");
    assert!(reader.slot.insert(card).is_none());
    assert_eq!(client.ask("07"), "0100000002");
    assert_eq!(client.ask("80200001"), "");
    assert!(!client.ask("04").is_empty());
    assert_eq!(client.ask("80200001"), "63C3");
}

#[test]
fn a_held_card_makes_others_wait() {
    let reader = reader(hba());
    let (mut one, mut two) = (reader.connect(), reader.connect());
    assert_eq!(one.ask("05"), "00");
    two.tell("80200001");
    assert!(two.is_waiting());
    assert_eq!(one.ask(VERIFY_CH), "9000");
    assert_eq!(one.ask("06"), "00");
    assert_eq!(two.answer(), "9000");
}

#[test]
fn hanging_up_releases_the_card() {
    let reader = reader(hba());
    let (mut one, mut two) = (reader.connect(), reader.connect());
    assert_eq!(one.ask("05"), "00");
    two.tell("05");
    assert!(two.is_waiting());
    drop(one);
    assert_eq!(two.answer(), "00");
}

#[test]
fn a_broken_message_ends_the_connection() {
    let reader = reader(hba());
    for broken in ["0000", "000000", "03", "08"] {
        let mut client = reader.connect();
        client.tell(broken);
        assert!(client.is_closed(), "{broken}");
    }
}

#[test]
fn a_card_pulled_in_the_middle_has_executed_the_command() {
    let reader = reader(hba());
    reader.slot.fault_at(2, Fault::Pull);
    let mut client = reader.connect();
    assert_eq!(client.ask("80200001"), "63C3");
    assert_eq!(client.ask(WRONG_CH), "");
    assert_eq!(client.ask("04"), "");
    assert!(!reader.slot.has_card());
    let mut card = TestCard::open(reader._directory.path());
    card.expect("80200001", 0x63C2);
}

#[test]
fn faults_come_at_their_command() {
    let reader = reader(hba());
    reader.slot.fault_at(1, Fault::Answer(vec![0x6F, 0]));
    reader.slot.fault_at(3, Fault::Reset);
    let mut client = reader.connect();
    assert_eq!(client.ask(MASTER), "6F00");
    assert_eq!(client.ask(VERIFY_CH), "9000");
    assert_eq!(client.ask("80200001"), "");
    assert!(!client.ask("04").is_empty());
    assert_eq!(client.ask("80200001"), "63C3");
}

#[test]
fn a_mute_card_has_executed_the_command_and_serves_others() {
    let reader = reader(hba());
    reader.slot.fault_at(1, Fault::Mute);
    let (mut one, mut two) = (reader.connect(), reader.connect());
    one.tell(WRONG_CH);
    assert!(one.is_waiting());
    drop(one);
    assert_eq!(two.ask("80200001"), "63C2");
}

#[test]
fn a_slow_card_leaves_questions_for_the_reader_alone_and_can_be_pulled() {
    let reader = reader(hba());
    reader.slot.set_speed("command=3600000".parse().unwrap());
    let (mut one, mut two) = (reader.connect(), reader.connect());
    one.tell("80200001");
    while reader.slot.commands() == 0 {
        std::thread::yield_now();
    }
    assert_eq!(two.ask("07"), "0100000001");
    reader.slot.eject();
    assert_eq!(one.answer(), "");
    assert_eq!(two.ask("07"), "0000000001");
}

#[test]
fn bytes_and_signatures_are_counted() {
    let reader = reader(hba());
    let mut client = reader.connect();
    client.ask(MASTER);
    client.ask("80200001");
    let traffic = reader.slot.traffic();
    assert_eq!((traffic.commands, traffic.bytes, traffic.signatures), (2, 4 + 2 + 4 + 2, 0));
}

#[test]
fn the_trace_numbers_commands_and_masks_pins() {
    let reader = reader(hba());
    let mut client = reader.connect();
    client.ask(MASTER);
    client.ask(VERIFY_CH);
    let trace = reader.slot.take_trace();
    assert_eq!(trace, ["    1  00A4040C  9000", "    2  0020000108**  9000"]);
    assert!(reader.slot.take_trace().is_empty());
}

#[test]
fn a_plug_taken_out_frees_its_address() {
    let reader = reader(hba());
    let mut client = reader.connect();
    assert_eq!(client.ask(MASTER), "9000");
    let Reader { slot, path, _plug, _directory } = reader;
    drop(_plug);
    assert!(client.is_closed());
    assert!(!path.exists());
    let tcp = slot.plug(&"socket:127.0.0.1:0".parse().unwrap()).unwrap();
    let Address::Tcp(host) = tcp.address() else { panic!("{tcp:?}") };
    assert!(std::net::TcpStream::connect(host).is_ok());
}

#[test]
fn a_plug_can_be_taken_out_after_its_directory_is_gone() {
    let Reader { slot, _plug, _directory, .. } = reader(hba());
    _directory.close().unwrap();
    drop(_plug);
    assert!(slot.has_card());
}

#[test]
fn a_plug_leaves_alone_what_took_its_place() {
    let Reader { slot, path, _plug, _directory } = reader(hba());
    std::fs::remove_file(&path).unwrap();
    let successor = slot.plug(&Address::Unix(path.clone())).unwrap();
    drop(_plug);
    assert!(UnixStream::connect(&path).is_ok());
    drop(successor);
    assert!(!path.exists());
}

#[test]
fn a_socket_left_behind_is_replaced_and_nothing_else_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("card.sock");
    let slot = Slot::empty();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let live = slot.plug(&Address::Unix(path.clone())).unwrap();
    assert!(slot.plug(&Address::Unix(path.clone())).is_err());
    assert!(UnixStream::connect(&path).is_ok());
    drop(live);
    std::fs::write(&path, "letters to grandmother").unwrap();
    assert!(slot.plug(&Address::Unix(path.clone())).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "letters to grandmother");
}
