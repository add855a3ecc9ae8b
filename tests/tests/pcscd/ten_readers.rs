//! Ten readers at once. The driver of the virtual readers serves two in one process, so that ten are five daemons, and who
//! speaks to all of them is five processes (`docs/simulator.md`).

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::thread;

use tests::artefacts::binary;
use tests::cards::{CardImage, PIN_CH};
use tests::host::Host;
use tests::openssl::verify_raw_ecdsa;
use tests::pcscd::Pcscd;
use tests::programs::{program, run};

/// Professionals' cards of different kinds, so that a signature tells which card made it: profile, name of the key in the
/// module and of its certificate in the image, bytes of a digest.
const SIGNING: [(&str, &str, &str, usize); DAEMONS] = [
    ("hpc-p384", "C.HP.AUT.E384", "C.HP.AUT.E384", 48),
    ("hba-g21", "C.HP.AUT.E256", "C.HP.AUT.E256", 32),
    ("piv", "C.PIV.AUT.P256", "C.PIV.AUT.P256", 32),
    ("esteid", "C.EST.AUT.P384", "C.ID.AUT.P384", 48),
    ("smc-b", "C.HCI.AUT.E256", "C.HCI.AUT.E256", 32),
];
const DAEMONS: usize = 5;

#[test]
fn ten_cards_in_ten_readers_are_signed_with_and_read_at_once_and_again_after_they_were_pulled() {
    let room = Room::with_ten_cards();
    let mut hosts: Vec<Host> = room.desks.iter().map(Desk::host).collect();
    let used = room.work_at_once(&mut hosts);
    assert!(used.iter().all(|commands| *commands > 0), "commands of each card: {used:?}");
    room.tell_all("eject");
    for (desk, host) in room.desks.iter().zip(&mut hosts) {
        desk.daemon.wait_for_cards(0);
        let refused = host.ask(&desk.sign());
        assert!(refused.starts_with("error"), "{refused}");
    }
    room.tell_all("insert");
    room.desks.iter().for_each(|desk| desk.daemon.wait_for_cards(2));
    let used_again = room.work_at_once(&mut hosts);
    assert!(used_again.iter().all(|commands| *commands > 0), "commands of each card: {used_again:?}");
}

/// Five desks, and one simulator that holds all their cards and takes orders.
struct Room {
    desks: Vec<Desk>,
    simulator: Child,
    control: PathBuf,
    _directory: tempfile::TempDir,
}

/// One daemon with a professional's card in the first of its readers and an insurance card in the second.
struct Desk {
    daemon: Pcscd,
    cards: [CardImage; 2],
    signing: (&'static str, &'static str, &'static str, usize),
    directory: tempfile::TempDir,
}

impl Room {
    fn with_ten_cards() -> Room {
        let desks: Vec<Desk> = SIGNING.into_iter().map(Desk::of).collect();
        let directory = tempfile::tempdir().unwrap();
        let control = directory.path().join("control");
        let mut simulate = program(binary("card-simulator"), ["run", "--control"]);
        simulate.arg(&control);
        for desk in &desks {
            for (number, card) in desk.cards.iter().enumerate() {
                simulate.arg("--plug").arg(format!("{}={}", card.path().display(), desk.daemon.plug(number)));
            }
        }
        let mut simulator = simulate.stdout(Stdio::piped()).spawn().expect("the simulator can be started");
        let mut ready = String::new();
        let out = simulator.stdout.take().expect("a pipe was asked for");
        BufReader::new(out).read_line(&mut ready).expect("the simulator prints text");
        let room = Room { desks, simulator, control, _directory: directory };
        assert_eq!(ready.matches("vpcd:").count(), 2 * DAEMONS, "{ready}");
        room.desks.iter().for_each(|desk| desk.daemon.wait_for_cards(2));
        room
    }

    /// An order for each card, or a question to each.
    fn tell_all(&self, order: &str) -> Vec<String> {
        let tell = |card: &CardImage| {
            let mut tell = program(binary("card-simulator"), ["tell"]);
            run(tell.arg(&self.control).arg(order).arg(card.path())).expect_success().stdout
        };
        self.desks.iter().flat_map(|desk| &desk.cards).map(tell).collect()
    }

    /// Ten threads sign with five cards and read five others; answers what that cost each card.
    fn work_at_once(&self, hosts: &mut [Host]) -> Vec<u64> {
        let commands =
            || self.tell_all("commands").into_iter().map(|told| told.trim().parse::<u64>().unwrap());
        let before: Vec<u64> = commands().collect();
        thread::scope(|scope| {
            for (desk, host) in self.desks.iter().zip(hosts) {
                scope.spawn(|| desk.sign_three_times(host));
                scope.spawn(|| desk.read());
            }
        });
        commands().zip(before).map(|(after, before)| after - before).collect()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.simulator.kill();
        let _ = self.simulator.wait();
    }
}

impl Desk {
    fn of(signing: (&'static str, &'static str, &'static str, usize)) -> Desk {
        let directory = tempfile::tempdir().unwrap();
        let daemon = Pcscd::start(directory.path()).unwrap();
        Desk { daemon, cards: [signing.0, "egk-g21"].map(CardImage::of), signing, directory }
    }

    /// A process with the module that knows no reader but those of this daemon.
    fn host(&self) -> Host {
        let environment = [
            ("PCSCLITE_CSOCK_NAME", self.daemon.socket().as_os_str()),
            ("HPC_PKCS11_CONFIG", "/dev/null".as_ref()),
            ("HPC_PKCS11_CERTIFICATE_CACHE", "off".as_ref()),
        ];
        Host::start_with(env!("CARGO_BIN_EXE_token-driver"), &environment)
    }

    fn digest(&self) -> Vec<u8> {
        vec![0x5A; self.signing.3]
    }

    fn sign(&self) -> String {
        format!("sign ESIGN {} {}", self.signing.1, hex::encode(self.digest()))
    }

    fn sign_three_times(&self, host: &mut Host) {
        host.succeed(&format!("login ESIGN {PIN_CH}"));
        let certificate = self.cards[0].certificate(self.signing.2);
        for _ in 0..3 {
            let signature = hex::decode(host.succeed(&self.sign())).expect("a signature in hexadecimal");
            verify_raw_ecdsa(&self.digest(), &signature, &certificate, self.directory.path());
        }
    }

    /// In the second reader only: looking at the other card would end the login of one that has no logical channels.
    fn read(&self) {
        let reader = "pcsc:Simulated 00 01";
        let mut read = program(binary("egk-reader"), ["read", "--json", "--reader", reader]);
        let said = run(read.env("PCSCLITE_CSOCK_NAME", self.daemon.socket())).expect_success();
        let record: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
        assert!(record.to_string().contains("T028491609"), "{record}");
    }
}
