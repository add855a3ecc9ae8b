//! The bare token, the bare service, the service: in turn, and as ratios.

use std::{fs, path::PathBuf, time::Duration};

use client::proto::v1;

use crate::{
    arguments::Arguments,
    calls::{Signed, Work},
    desk::{PIN, Service, Token, processor_time},
    figures::{Kind, Window},
    raw::Raw,
};

/// Kinds of windows in the order of a round.
const KINDS: [&str; 5] =
    ["raw C_Sign", "bare service", "service", "service, idempotency keys", "service, batches"];

/// Makes a token and runs this program again with an environment that names it: SoftHSM finds its tokens no other way.
pub(crate) fn start(arguments: &[String]) {
    let token = Token::new();
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.arg("throughput-on").arg(token.folder()).args(arguments);
    let (name, value) = token.environment();
    assert!(again.env(name, value).status().unwrap().success());
}

pub(crate) async fn print(token: &Token, arguments: &Arguments) {
    let (name, value) = token.environment();
    let configuration = token.configuration();
    let bare = Service::start(&configuration, &[(name, value.clone())], true);
    let full = Service::start(&configuration, &[(name, value)], false);
    let raw = Raw::load();
    let serial = raw.serial();
    let prescription = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/prescription.xml");
    let prescription = fs::read_to_string(prescription).unwrap();
    let bytes = prescription.len();
    let work = |service: &Service, keys| Work {
        address: service.address(),
        prescription: prescription.clone(),
        card: v1::CardSelector { serial_suffix: serial.clone(), ..Default::default() },
        pin: PIN.into(),
        keys,
    };
    let (of_bare, of_full, of_keys) = (work(&bare, false), work(&full, false), work(&full, true));
    let length = Duration::from_secs(arguments.seconds);
    println!("## SoftHSM, P-384, prescriptions of {bytes} bytes\n");
    println!(
        "{} windows of {} s each; ratios within a round, medians.\n",
        arguments.rounds, arguments.seconds
    );
    println!(
        "| clients | | per second | of raw | p50 | p99 | processor for each |\n|---|---|---|---|---|---|---|"
    );
    let judge = Judge { address: full.address(), anchors: token.path("ca.pem") };
    let mut stages = Vec::new();
    for &clients in &arguments.clients {
        let mut kinds: [Kind; 5] = Default::default();
        for _ in 0..arguments.rounds {
            let windows: [Window; 5] = [
                raw.window(clients, length),
                judge.window(&bare, of_bare.prescriptions(clients, length)).await,
                judge.window(&full, of_full.prescriptions(clients, length)).await,
                judge.window(&full, of_keys.prescriptions(clients, length)).await,
                judge.window(&full, of_full.batches(clients, length)).await,
            ];
            kinds.iter_mut().zip(windows).for_each(|(kind, window)| kind.0.push(window));
        }
        for (name, kind) in KINDS.iter().zip(&kinds) {
            println!(
                "| {clients} | {name} | {:.0} | {:.0} % | {:.2} ms | {:.2} ms | {:.2} ms |",
                kind.rate(),
                kind.percent_of(&kinds[0]),
                kind.quantile(0.5),
                kind.quantile(0.99),
                kind.processor()
            );
        }
        stages.push((clients, kinds));
    }
    println!("\nMean time of each stage in milliseconds, as the answers tell it:\n");
    for (clients, kinds) in &stages {
        for (name, kind) in KINDS.iter().zip(kinds).skip(1) {
            let stages: Vec<String> =
                kind.stages().iter().map(|(step, time)| format!("{step} {time:.2}")).collect();
            println!("- {clients} clients, {name}: {}", stages.join(", "));
        }
    }
    println!("\nAudit trail of the service: {}", full.verified_audit());
}

/// Looks at windows and at what was signed in them.
struct Judge {
    /// A service that verifies.
    address: String,
    anchors: PathBuf,
}

impl Judge {
    /// One window of a service, with the time of the processor that it and its clients used; checked.
    async fn window(&self, service: &Service, signing: impl Future<Output = Signed>) -> Window {
        let used = || service.processor_time() + processor_time(std::process::id());
        let before = used();
        let mut signed = signing.await;
        signed.window.processor = used() - before;
        signed.checked(&self.address, &self.anchors).await
    }
}
