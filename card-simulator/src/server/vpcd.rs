//! The card side of pcscd's virtual reader driver (vsmartcard's vpcd).
//!
//! The driver listens and the card connects; an open connection is an inserted card. While pcscd is away the plug
//! tries again.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::linux::net::TcpStreamExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::slot::{Client, Reply};
use super::socket::{receive, send};
use super::{Address, Plug, Slot, Wake};

const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const ATR: u8 = 0x04;

/// How often an idle plug looks for a removed card or the end.
const GLANCE: Duration = Duration::from_millis(50);
/// Pause before the driver is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Connects a slot to a virtual reader for as long as the plug lives.
pub(super) fn plug(slot: &Slot, host: &str) -> Plug {
    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let (slot, stop, host) = (slot.clone(), stop.clone(), host.to_owned());
        std::thread::spawn(move || run(&slot, &host, &stop))
    };
    Plug {
        address: Address::Vpcd(host.to_owned()),
        stop,
        wake: Arc::new(Waker(slot.clone())),
        thread: Some(thread),
    }
}

fn run(slot: &Slot, host: &str, stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::SeqCst) {
        let Some(insertion) = slot.wait_for_card(GLANCE) else { continue };
        match TcpStream::connect(host) {
            Ok(stream) => serve(stream, slot, insertion, stop),
            Err(_) => std::thread::sleep(RETRY),
        }
    }
}

/// Serves one insertion of a card until it is removed or the driver goes away.
fn serve(mut stream: TcpStream, slot: &Slot, insertion: u32, stop: &Arc<AtomicBool>) {
    if stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(GLANCE))).is_err() {
        return;
    }
    let mut client = slot.client(stop);
    let mut message = Vec::new();
    loop {
        if stop.load(Ordering::SeqCst) || client.status() != (true, insertion) {
            return;
        }
        match wait_for_message(&stream) {
            Ok(true) => {}
            Ok(false) => continue,
            Err(_) => return,
        }
        let received = receive(&mut Patient(&stream), &mut message);
        if received.is_err() || !answer(&mut stream, &mut client, &message) {
            return;
        }
    }
}

/// Answers one message; `false` ends the connection, which pcscd sees as the card's removal.
fn answer(stream: &mut TcpStream, client: &mut Client, message: &[u8]) -> bool {
    let answer = match message {
        [POWER_ON | POWER_OFF | RESET] => {
            client.reset();
            return true;
        }
        [ATR] => client.atr(),
        command => {
            let mut reply = client.transmit(command);
            if reply == Reply::Lost && client.status().0 {
                // Another plug of the slot reset the card. The driver has no message for that, so its next
                // command finds the card as it is now.
                client.atr();
                reply = client.transmit(command);
            }
            match reply {
                Reply::Answer(answer) => answer,
                Reply::Lost => return false,
                // The driver waits; only the card's removal ends that.
                Reply::Silence => return true,
            }
        }
    };
    !(answer.is_empty() && message != [ATR]) && send(stream, &answer).is_ok()
}

/// Whether the driver has sent something. The driver of Debian 12 sends length and body apart, and waits for the
/// acknowledgement of the first: it must not be delayed. The setting does not stick.
fn wait_for_message(stream: &TcpStream) -> std::io::Result<bool> {
    stream.set_quickack(true)?;
    match stream.peek(&mut [0]) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads from the driver with acknowledgements at once; waits out the read timeout inside a message.
struct Patient<'s>(&'s TcpStream);

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        const ATTEMPTS: usize = 100;
        for _ in 0..ATTEMPTS {
            self.0.set_quickack(true)?;
            match self.0.read(buffer) {
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                other => return other,
            }
        }
        Err(ErrorKind::TimedOut.into())
    }
}

/// The thread looks up often enough by itself, unless it waits for another client of the card.
#[derive(Debug)]
struct Waker(Slot);

impl Wake for Waker {
    fn wake(&self) {
        self.0.wake_waiting();
    }
}
