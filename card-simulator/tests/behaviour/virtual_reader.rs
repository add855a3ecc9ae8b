//! The plug for pcscd's virtual reader, against a stand-in for its driver.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use card_simulator::server::{Address, Fault, Plug, Slot};
use tempfile::TempDir;

use crate::cards::*;

struct Driver {
    listener: TcpListener,
    slot: Slot,
    _plug: Plug,
    _directory: TempDir,
}

fn driver() -> Driver {
    let (directory, card) = hba().into_card();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let slot = Slot::with(card);
    let plug = slot.plug(&Address::Vpcd(listener.local_addr().unwrap().to_string())).unwrap();
    Driver { listener, slot, _plug: plug, _directory: directory }
}

fn tell(stream: &mut TcpStream, message: &str) {
    let message = bytes(message);
    stream.write_all(&(message.len() as u16).to_be_bytes()).unwrap();
    // The driver of Debian 12 sends the body apart; give the length time to travel alone.
    std::thread::sleep(Duration::from_millis(1));
    stream.write_all(&message).unwrap();
}

fn ask(stream: &mut TcpStream, message: &str) -> String {
    tell(stream, message);
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    hex::encode_upper(answer)
}

fn is_closed(mut stream: TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
}

#[test]
fn the_card_connects_answers_and_forgets_on_reset() {
    let driver = driver();
    let (mut stream, _) = driver.listener.accept().unwrap();
    tell(&mut stream, "01");
    assert_eq!(ask(&mut stream, "04"), "3B909681B1FE451F0391");
    assert_eq!(ask(&mut stream, VERIFY_CH), "9000");
    assert_eq!(ask(&mut stream, "80200001"), "9000");
    for control in ["02", "00", "01"] {
        tell(&mut stream, control);
    }
    assert_eq!(ask(&mut stream, "80200001"), "63C3");
}

#[test]
fn a_removed_card_hangs_up_and_an_inserted_one_connects_again() {
    let driver = driver();
    let (stream, _) = driver.listener.accept().unwrap();
    let card = driver.slot.eject().unwrap();
    assert!(is_closed(stream));
    driver.slot.insert(card);
    let (mut stream, _) = driver.listener.accept().unwrap();
    assert_eq!(ask(&mut stream, "80200001"), "63C3");
}

#[test]
fn a_driver_that_went_away_is_found_again() {
    let driver = driver();
    let (stream, _) = driver.listener.accept().unwrap();
    drop(stream);
    let (mut stream, _) = driver.listener.accept().unwrap();
    assert_eq!(ask(&mut stream, "04"), "3B909681B1FE451F0391");
}

#[test]
fn a_card_pulled_before_it_answers_hangs_up() {
    let driver = driver();
    driver.slot.fault_at(1, Fault::Pull);
    let (mut stream, _) = driver.listener.accept().unwrap();
    tell(&mut stream, MASTER);
    assert!(is_closed(stream));
}

#[test]
fn socket_and_virtual_reader_share_one_card() {
    let driver = driver();
    let path = driver._directory.path().join("card.sock");
    let _second = driver.slot.plug(&Address::Unix(path.clone())).unwrap();
    let (mut stream, _) = driver.listener.accept().unwrap();
    assert_eq!(ask(&mut stream, VERIFY_CH), "9000");
    let mut other = std::os::unix::net::UnixStream::connect(path).unwrap();
    other.write_all(&bytes("0004 80200001")).unwrap();
    let mut answer = [0; 4];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [0, 2, 0x90, 0]);
}

#[test]
fn a_plug_that_waits_for_another_client_can_be_taken_out() {
    let Driver { listener, slot, _plug, _directory } = driver();
    let (mut stream, _) = listener.accept().unwrap();
    assert_eq!(ask(&mut stream, "80200001"), "63C3");
    let socket = Address::Unix(_directory.path().join("card.sock"));
    let other = slot.plug(&socket).unwrap();
    let mut holder = std::os::unix::net::UnixStream::connect(_directory.path().join("card.sock")).unwrap();
    holder.write_all(&[0, 1, 5]).unwrap();
    let mut held = [0; 3];
    holder.read_exact(&mut held).unwrap();
    assert_eq!(held, [0, 1, 0]);
    tell(&mut stream, "80200001");
    std::thread::sleep(Duration::from_millis(100));
    drop(_plug);
    assert!(is_closed(stream));
    assert_eq!(slot.commands(), 1);
    drop(other);
}
