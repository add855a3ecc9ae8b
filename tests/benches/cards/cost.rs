//! What the module itself costs for each signature, with a card that answers at once: on the card socket, and through a
//! real PC/SC daemon.
//!
//! The same command is sent without a module, in turns with it, so that both see the same machine; the best turn of each
//! counts, as the others measure what else the machine did.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tests::cards::PIN_QES;
use tests::host::Host;
use tests::simulator::Simulator;

use crate::Bench;
use crate::daemon::Daemon;

const TURNS: u32 = 8;
/// Both halves of a turn stay below the 250 signatures that the German card makes for one PIN.
const SIGNATURES: u32 = 50;
const BATCH: &str = "qes_batch = true\n";

/// Prints rows for each card and way.
pub(crate) fn print() {
    println!("\n| each signature, CKM_ECDSA | card | way | time | per second |\n|---|---|---|---|---|");
    for (profile, key, bytes) in [("hpc-p384", "C.HP.QES.E384", 48), ("hba-g21", "C.HP.QES.E256", 32)] {
        let order = format!("{key} {}", "5a".repeat(bytes));
        let bench = Bench::with(profile, BATCH);
        compare(profile, "card socket", &order, &mut bench.host(), &bench.simulator, |command| {
            on_socket(&bench.reader, command)
        });
        let daemon = Daemon::with(profile, BATCH);
        let mut raw = daemon.host(None);
        compare(profile, "pcscd", &order, &mut daemon.host(None), &daemon.simulator, |command| {
            nanoseconds(&raw.succeed(&format!("raw {} {SIGNATURES}", hex::encode(command))))
        });
    }
}

fn compare(
    profile: &str,
    way: &str,
    order: &str,
    host: &mut Host,
    simulator: &Simulator,
    mut without: impl FnMut(&[u8]) -> Duration,
) {
    let (mut module, mut raw) = (Duration::MAX, Duration::MAX);
    for _ in 0..TURNS {
        host.ask("logout QES");
        host.succeed(&format!("login QES {PIN_QES}"));
        host.succeed(&format!("sign QES {order}"));
        let sent = simulator.sent();
        let command = hex::decode(sent.last().expect("a signature was asked for")).expect("a command");
        module = module.min(nanoseconds(&host.succeed(&format!("rate QES {order} {SIGNATURES}"))));
        raw = raw.min(without(&command));
    }
    let (module, raw) = (module / SIGNATURES, raw / SIGNATURES);
    row("module, C_SignInit and C_Sign", profile, way, module);
    row("the same command without a module", profile, way, raw);
    let own = module.saturating_sub(raw);
    let share = own.as_secs_f64() / raw.as_secs_f64() * 100.0;
    println!(
        "| **the module's own cost** | {profile} | {way} | {:.0} µs | {share:.0} % slower |",
        own.as_secs_f64() * 1e6
    );
}

/// The command of the module's last signature, sent again and again by nobody in particular.
fn on_socket(reader: &str, command: &[u8]) -> Duration {
    let path = reader.strip_prefix("socket:").expect("a socket");
    let mut line = UnixStream::connect(path).expect("the simulator listens");
    let start = Instant::now();
    for _ in 0..SIGNATURES {
        let length = u16::try_from(command.len()).expect("a short command");
        line.write_all(&[&length.to_be_bytes()[..], command].concat()).expect("the simulator listens");
        let mut length = [0; 2];
        line.read_exact(&mut length).expect("an answer");
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        line.read_exact(&mut answer).expect("an answer");
        assert!(answer.ends_with(&[0x90, 0x00]), "no signature: {}", hex::encode(answer));
    }
    start.elapsed()
}

fn nanoseconds(text: &str) -> Duration {
    Duration::from_nanos(text.parse().expect("nanoseconds"))
}

fn row(what: &str, card: &str, way: &str, time: Duration) {
    let microseconds = time.as_secs_f64() * 1e6;
    println!("| {what} | {card} | {way} | {microseconds:.0} µs | {:.0} |", 1e6 / microseconds);
}
