//! The program killed again and again in the middle of its work: what is on disk never favours who holds the card.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use card_simulator::{CardImage, NewCard, ProfileName, RsaKeyPool};

use crate::run;

const KILLS: u32 = 40;
const SELECT_QES: &str = "00A4040C0BF04850433338342E514553";
const CHOOSE_KEY: &str = "002241B606840186800100";
const VERIFY: &str = "002000810826234567FFFFFFFF";
const VERIFY_WRONG: &str = "002000810826999999FFFFFFFF";
const UNBLOCK: &str = "002C0181082812345678FFFFFF";

/// What is on the disk: tries of PIN.QES, uses of its PUK, signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counters {
    tries: u8,
    puk_uses: u8,
    signatures: u64,
}

fn counters(image: &Path) -> Counters {
    // The kernel may still be taking the killed process apart, which holds the lock.
    let patience = Instant::now() + Duration::from_secs(10);
    let image = loop {
        match CardImage::open(image) {
            Ok(image) => break image,
            Err(error) => assert!(Instant::now() < patience, "{error}"),
        }
    };
    let passwords = image.summary().passwords;
    let pin = passwords.iter().find(|password| password.path.ends_with("/PIN.QES")).unwrap();
    Counters { tries: pin.tries, puk_uses: pin.puk_uses, signatures: image.signatures() }
}

/// The least and the most that the counters can be, from what was sent and what was answered.
#[derive(Debug)]
struct Bounds {
    least: Counters,
    most: Counters,
}

impl Bounds {
    /// A command is about to be sent; it may be executed or not, or be cut off between two writes.
    fn sent(&mut self, command: &str) {
        match command {
            // The counter goes down before the PIN is compared, and up again if it was right.
            VERIFY => {
                self.least.tries = self.least.tries.saturating_sub(1);
                self.most.tries = 3;
            }
            VERIFY_WRONG => self.least.tries = self.least.tries.saturating_sub(1),
            UNBLOCK => {
                self.least.puk_uses -= 1;
                self.most.tries = 3;
            }
            sign if sign.starts_with("002A9E9A") => self.most.signatures += 1,
            _ => {}
        }
    }

    /// It was answered: what the card said is so.
    fn answered(&mut self, command: &str, status: u16) {
        match (command, status) {
            (VERIFY, 0x9000) => (self.least.tries, self.most.tries) = (3, 3),
            (VERIFY | VERIFY_WRONG, 0x63C0..=0x63C3) => {
                let tries = u8::try_from(status & 0x0F).unwrap();
                (self.least.tries, self.most.tries) = (tries, tries);
            }
            (VERIFY | VERIFY_WRONG, 0x6983) => (self.least.tries, self.most.tries) = (0, 0),
            (UNBLOCK, 0x9000) => {
                self.most.puk_uses = self.least.puk_uses;
                (self.least.tries, self.most.tries) = (3, 3);
            }
            (sign, 0x9000) if sign.starts_with("002A9E9A") => self.least.signatures += 1,
            (_, 0x9000) => {}
            other => panic!("{other:04X?}"),
        }
    }

    fn hold(&self, found: Counters) {
        let Bounds { least, most } = self;
        assert!((least.tries..=most.tries).contains(&found.tries), "{found:?} {self:?}");
        assert!((least.puk_uses..=most.puk_uses).contains(&found.puk_uses), "{found:?} {self:?}");
        assert!((least.signatures..=most.signatures).contains(&found.signatures), "{found:?} {self:?}");
    }
}

/// The status word; `None` once the program is dead.
fn ask(stream: &mut UnixStream, command: &str) -> Option<u16> {
    let command = hex::decode(command).unwrap();
    let message = [u16::try_from(command.len()).unwrap().to_be_bytes().as_slice(), &command].concat();
    stream.write_all(&message).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).ok()?;
    answer.last_chunk::<2>().map(|status| u16::from_be_bytes(*status))
}

/// Numbers that look random and are the same in every run (xorshift).
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Works with the card until it dies. PIN.QES is never left with a last try that a kill could take.
fn work(stream: &mut UnixStream, bounds: &mut Bounds, seed: &mut u64) {
    let sign = format!("002A9E9A30{}00", "5A".repeat(48));
    let mut turn = |command: &str, bounds: &mut Bounds| {
        bounds.sent(command);
        let status = ask(stream, command)?;
        bounds.answered(command, status);
        Some(status)
    };
    if turn(SELECT_QES, bounds).is_none() {
        return;
    }
    loop {
        let mut commands = vec![VERIFY, CHOOSE_KEY];
        commands.extend((0..next(seed) % 4).map(|_| sign.as_str()));
        if next(seed).is_multiple_of(2) && bounds.least.tries == 3 {
            commands.insert(0, VERIFY_WRONG);
        }
        if bounds.least.tries == 0 {
            commands.insert(0, UNBLOCK);
        }
        for command in commands {
            match turn(command, bounds) {
                None => return,
                // Blocked by kills between the two writes of a right entry: the PUK is next.
                Some(0x6983) => break,
                Some(_) => {}
            }
        }
    }
}

#[test]
fn no_moment_to_kill_it_gives_a_try_a_puk_or_a_signature_back() {
    let directory = tempfile::tempdir().unwrap();
    let (image, socket) = (directory.path().join("card"), directory.path().join("card.sock"));
    NewCard::new(ProfileName::HpcP384).rsa_keys(RsaKeyPool::Shared).create(&image).unwrap();
    let plug = format!("{}=socket:{}", image.display(), socket.display());
    let mut seed = 0x9E37_79B9_7F4A_7C15;
    let (mut unanswered, first) = (0, counters(&image));
    let mut before = first;
    for _ in 0..KILLS {
        let (mut child, _out) = run(&plug, &[]);
        let mut stream = UnixStream::connect(&socket).unwrap();
        let moment = Duration::from_micros(next(&mut seed) % 40_000);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment);
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let mut bounds = Bounds { least: before, most: before };
        work(&mut stream, &mut bounds, &mut seed);
        killer.join().unwrap();
        let found = counters(&image);
        bounds.hold(found);
        unanswered += u32::from(bounds.least != bounds.most);
        before = found;
    }
    assert!(before.signatures > first.signatures, "it did work: {before:?}");
    assert!(unanswered > 0, "no kill came between a command and its answer");
}
