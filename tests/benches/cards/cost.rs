//! What the module itself costs for each signature, with a card that answers at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use tests::cards::PIN_QES;

use crate::Bench;

const SIGNATURES: u32 = 400;

/// Prints a row for each card.
pub(crate) fn print() {
    println!(
        "\n| each of {SIGNATURES} signatures (CKM_ECDSA, card socket) | card | time | per second |\n|---|---|---|---|"
    );
    for (profile, key, bytes) in [("hpc-p384", "C.HP.QES.E384", 48), ("hba-g21", "C.HP.QES.E256", 32)] {
        let bench = Bench::with(profile, "qes_batch = true\n");
        // The card's own limit would end the run.
        let mut host = bench.host();
        let sign = format!("{key} {}", "5a".repeat(bytes));
        let mut module = Duration::ZERO;
        let mut raw = Duration::ZERO;
        // In turns, so that both see the same machine.
        for _ in 0..4 {
            host.ask("logout QES");
            host.succeed(&format!("login QES {PIN_QES}"));
            host.succeed(&format!("sign QES {sign}"));
            let count = SIGNATURES / 8;
            let answer = host.succeed(&format!("rate QES {sign} {count}"));
            module += Duration::from_nanos(answer.parse().expect("nanoseconds"));
            let sent = bench.simulator.sent();
            let command = hex::decode(sent.last().expect("a signature was asked for")).expect("a command");
            raw += raw_signatures(&bench.reader, &command, count);
        }
        let each = |all: Duration| all / (SIGNATURES / 2);
        row("module, C_SignInit and C_Sign", profile, each(module));
        row("the same command without a module", profile, each(raw));
        row("difference", profile, each(module).saturating_sub(each(raw)));
    }
}

/// The command of the module's last signature, sent again and again by nobody in particular.
fn raw_signatures(reader: &str, command: &[u8], count: u32) -> Duration {
    let path = reader.strip_prefix("socket:").expect("a socket");
    let mut line = UnixStream::connect(path).expect("the simulator listens");
    let start = Instant::now();
    for _ in 0..count {
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

fn row(what: &str, card: &str, time: Duration) {
    let microseconds = time.as_secs_f64() * 1e6;
    println!("| {what} | {card} | {microseconds:.0} µs | {:.0} |", 1e6 / microseconds);
}
