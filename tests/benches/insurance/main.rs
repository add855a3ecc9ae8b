//! An insurance card read by this project and by programs it did not write, on the same simulated card, through the same
//! PC/SC daemon, in the same run: commands, bytes, and the time they would take on plastic.
//!
//! `scripts/setup bench`, then `cargo bench --workspace --bench insurance`, prints the table of `docs/other-readers.md`. What
//! the others say is compared with what `egk-reader` says.

use card_simulator::server::{Speed, Traffic};
use serde_json::Value;
use tests::artefacts::{binary, python, root};
use tests::cards::CardImage;
use tests::pcscd::Pcscd;
use tests::programs::{Ran, program, run};
use tests::simulator::Simulator;

/// A line at 115200 bits per second and 10 ms for each command, as in the other benchmark.
const PLASTIC: &str = "bits=115200,command=10,signature=100";

fn main() {
    let desk = Desk::new();
    println!("Modelled time: a card at {PLASTIC} (milliseconds), without the host.\n");
    println!("| program | asked for | commands | bytes | modelled time | answer |");
    println!("|---|---|---|---|---|---|");
    let reader = binary("egk-reader");
    let reader = reader.to_str().expect("a path that is text");
    let ours = desk.row("egk-reader", "PD, VD, state", reader, &["read", "--json"], |ran| {
        if ran.success { "record" } else { "none" }
    });
    desk.row("egk-reader", "PD, VD, state, generation", reader, &["read", "--json", "--generation"], |ran| {
        if ran.success { "record" } else { "none" }
    });
    let script = root().join("tests/python/with_healthcard.py");
    let python = python();
    let python = python.to_str().expect("a path that is text");
    let script = script.to_str().expect("a path that is text");
    let theirs = desk.row("python-healthcard 1.0.5", "PD, VD, generation", python, &[script], |ran| {
        if ran.success { "object" } else { "none" }
    });
    for options in [&["--pd"][..], &["--vd"], &["--vsd-status"]] {
        desk.row("egk-tool (OpenSC)", options[0], "egk-tool", options, |ran| {
            if ran.stdout.trim().is_empty() { "nothing" } else { "something" }
        });
    }
    compare(&ours.stdout, &theirs.stdout);
    println!("\npython-healthcard and egk-reader name the same person and the same insurer.");
}

/// What both read must be the same.
fn compare(ours: &str, theirs: &str) {
    let ours: Value = serde_json::from_str(ours).expect("JSON of egk-reader");
    let theirs: Value = serde_json::from_str(theirs).expect("JSON of python-healthcard");
    for (field, path) in [
        ("insurant_id", "/personal/kvnr"),
        ("first_name", "/personal/given_name"),
        ("last_name", "/personal/family_name"),
        ("birthdate", "/personal/birth_date"),
        ("insurance_name", "/coverage/payer/name"),
    ] {
        assert_eq!(Some(&theirs[field]), ours.pointer(path), "{field} is not {path}");
    }
}

/// A daemon with an insurance card in its first reader.
struct Desk {
    simulator: Simulator,
    daemon: Pcscd,
    _card: CardImage,
    _directory: tempfile::TempDir,
}

impl Desk {
    fn new() -> Desk {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let daemon = Pcscd::start(directory.path()).expect("pcscd");
        let card = CardImage::of("egk-g21");
        let simulator = Simulator::start(&[(&card, &daemon.plug(0))]);
        daemon.wait_for_cards(1);
        Desk { simulator, daemon, _card: card, _directory: directory }
    }

    /// Runs a program and prints what went over the line.
    fn row(
        &self,
        name: &str,
        asked: &str,
        command: &str,
        arguments: &[&str],
        answer: impl Fn(&Ran) -> &'static str,
    ) -> Ran {
        let before = self.simulator.traffic(0);
        let mut command = program("timeout", ["60", command]);
        let ran = run(command.args(arguments).env("PCSCLITE_CSOCK_NAME", self.daemon.socket()));
        let Traffic { commands, bytes, .. } = self.simulator.traffic(0).since(before);
        let plastic: Speed = PLASTIC.parse().expect("a speed");
        let time = plastic.time(self.simulator.traffic(0).since(before)).as_secs_f64() * 1000.0;
        println!("| {name} | {asked} | {commands} | {bytes} | {time:.0} ms | {} |", answer(&ran));
        ran
    }
}
