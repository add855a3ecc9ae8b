//! What the usual things cost: card commands, bytes, the time they take on plastic, the time the host adds, memory.
//!
//! `cargo bench --workspace --bench cards` prints the tables. The simulated cards answer at once; how long a card at
//! [`PLASTIC`] would take is computed from what went over the wire.

use std::fs;
use std::time::{Duration, Instant};

use card_simulator::server::{Speed, Traffic};
use tempfile::TempDir;
use tests::artefacts::{binary, example};
use tests::cards::{CardImage, PIN_CH, PIN_QES};
use tests::host::Host;
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

mod compare;
mod cost;
mod daemon;

const DRIVER: &str = env!("CARGO_BIN_EXE_token-driver");
const REPEATS: u32 = 200;

/// A line at 115200 bits per second, 10 ms for each command, 100 ms for each signature.
const PLASTIC: &str = "bits=115200,command=10,signature=100";

fn main() {
    println!("Modelled time: a card at {PLASTIC} (milliseconds), without the host.\n");
    println!("| operation | card | commands | bytes | modelled time | host's time, card at no time |");
    println!("|---|---|---|---|---|---|");
    for (profile, key, bytes) in [("hpc-p384", "C.HP.QES.E384", 48), ("hba-g21", "C.HP.QES.E256", 32)] {
        token(profile, key, bytes);
        service(profile);
    }
    insurance();
    compare::print();
    cost::print();
    println!("\n| memory | KiB |\n|---|---|");
    memory();
}

/// The module in a process of its own, straight on the card socket.
fn token(profile: &str, key: &str, bytes: usize) {
    let bench = Bench::with(profile, "qes_batch = true\n");
    let mut host = bench.host();
    bench.measure("module: insertion to objects of the QES slot listed", profile, 1, || {
        host.succeed("objects QES");
    });
    bench.measure("module: objects listed again", profile, 1, || {
        host.succeed("objects QES");
    });
    bench.measure("module: login", profile, 1, || {
        host.succeed(&format!("login QES {PIN_QES}"));
    });
    let line = format!("sign QES {key} {}", "5a".repeat(bytes));
    bench.measure("module: first signature", profile, 1, || {
        host.succeed(&line);
    });
    bench.measure("module: each further signature", profile, REPEATS, || {
        host.succeed(&line);
    });
    bench.measure("module: the other slot's objects too", profile, 1, || {
        host.succeed("objects ESIGN");
    });
}

/// The service with its own client program, one PIN each.
fn service(profile: &str) {
    let bench = Bench::with(profile, "");
    let service = Service::start(Setup::on_readers(&[&bench.reader], &bench.card.anchors()));
    let sign = || {
        service.sign(&example("prescription.xml"), PIN_QES, &["--no-card", "benchmark"]).0.expect_success();
    };
    bench.measure("service: first prescription (PIN, sign, verify, record)", profile, 1, sign);
    bench.measure("service: each further prescription", profile, 20, sign);
    bench.measure("service: authenticate a clinician", profile, 1, || {
        let mut authenticate = service.command(&["authenticate", "--pin-env", "TEST_PIN"]);
        run(authenticate.env("TEST_PIN", PIN_CH)).expect_success();
    });
}

fn insurance() {
    let bench = Bench::with("egk-g21", "");
    bench.measure("egk-reader: insurance data and their state", "egk-g21", 1, || {
        run(&mut program(binary("egk-reader"), ["read", "--reader", &bench.reader])).expect_success();
    });
}

fn memory() {
    let bench = Bench::with("hba-g21", "");
    let mut host = bench.host();
    let resident = |host: &mut Host| host.succeed("memory").parse::<u64>().expect("a number");
    let before = resident(&mut host);
    host.succeed("objects ESIGN");
    host.succeed(&format!("login ESIGN {PIN_CH}"));
    host.succeed(&format!("sign ESIGN C.HP.AUT.E256 {}", "5a".repeat(32)));
    println!(
        "| what the module adds to its host, card read and one signature made | {} |",
        resident(&mut host) - before
    );
    drop(host);

    let service = Service::start(Setup::on_readers(&[&bench.reader], &bench.card.anchors()));
    service.client(&["list-cards"]).expect_success();
    let status =
        fs::read_to_string(format!("/proc/{}/status", service.process_id())).expect("the service runs");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says VmRSS");
    println!("| the idle service, module loaded | {} |", resident.trim().trim_end_matches(" kB"));
}

struct Bench {
    card: CardImage,
    simulator: Simulator,
    reader: String,
    directory: TempDir,
}

impl Bench {
    fn with(profile: &str, configuration: &str) -> Bench {
        let card = CardImage::of(profile);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let reader = socket_in(&directory, "card");
        let simulator = Simulator::start(&[(&card, &reader)]);
        let text = format!("readers = [{reader:?}]\ncertificate_cache = false\n{configuration}");
        fs::write(directory.path().join("module.toml"), text).expect("a file can be written");
        Bench { card, simulator, reader, directory }
    }

    fn host(&self) -> Host {
        Host::start(DRIVER, &self.directory.path().join("module.toml"))
    }

    fn measure(&self, operation: &str, card: &str, repeats: u32, mut work: impl FnMut()) {
        let before = self.simulator.traffic(0);
        let start = Instant::now();
        (0..repeats).for_each(|_| work());
        let time = start.elapsed() / repeats;
        let all = self.simulator.traffic(0).since(before);
        let each = |count: u64| count / u64::from(repeats);
        let traffic = Traffic {
            commands: each(all.commands),
            bytes: each(all.bytes),
            signatures: each(all.signatures),
        };
        let [commands, bytes, modelled] = columns(traffic);
        let host = milliseconds(time);
        println!("| {operation} | {card} | {commands} | {bytes} | {modelled} | {host} |");
    }
}

/// Commands, bytes and modelled time.
fn columns(traffic: Traffic) -> [String; 3] {
    let plastic: Speed = PLASTIC.parse().expect("a speed");
    [traffic.commands.to_string(), traffic.bytes.to_string(), milliseconds(plastic.time(traffic))]
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
