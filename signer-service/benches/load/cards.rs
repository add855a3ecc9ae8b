//! A hospital's node: simulated cards at the speed of plastic, each with documents waiting.

use std::{
    fs,
    time::{Duration, Instant},
};

use card_simulator::{
    Card, CardImage, NewCard, ProfileName, RsaKeyPool,
    server::{Plug, Slot, Speed, Traffic},
};
use client::proto::v1;
use tempfile::TempDir;

use crate::{
    arguments::Arguments,
    calls::Work,
    desk::{Service, processor_time},
    figures::Kind,
};

/// Until every card must have signed once.
const START: Duration = Duration::from_secs(30);
/// The simulator's documented PIN.
const PIN_QES: &str = "234567";

/// Cards in their readers.
struct Ward {
    folder: TempDir,
    slots: Vec<Slot>,
    serials: Vec<String>,
    // Ends with the ward.
    _plugs: Vec<Plug>,
}

impl Ward {
    fn new(cards: usize) -> Ward {
        let folder = tempfile::tempdir().unwrap();
        let pool = RsaKeyPool::default();
        let (mut slots, mut serials, mut plugs) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..cards {
            let image = folder.path().join(format!("card-{number}"));
            let card = NewCard::new(ProfileName::HpcP384).authority(folder.path().join("ca"));
            let issued = card.rsa_keys(pool).create(&image).unwrap();
            let slot = Slot::with(Card::new(CardImage::open(&image).unwrap()));
            let address = reader(&folder, number).parse().unwrap();
            plugs.push(slot.plug(&address).unwrap());
            slots.push(slot);
            serials.push(issued.iccsn);
        }
        Ward { folder, slots, serials, _plugs: plugs }
    }

    fn traffic(&self) -> Vec<Traffic> {
        self.slots.iter().map(Slot::traffic).collect()
    }
}

fn reader(folder: &TempDir, number: usize) -> String {
    format!("socket:{}", folder.path().join(format!("{number}.sock")).display())
}

pub(crate) async fn print(arguments: &Arguments) {
    let speed: Speed = arguments.speed.parse().expect("a speed");
    let ward = Ward::new(arguments.cards);
    let service = serve(&ward);
    let length = Duration::from_secs(arguments.seconds);
    ward.slots.iter().for_each(|slot| slot.set_speed(speed));
    let idle = service.memory().0;
    let (before, own) = (service.processor_time(), processor_time(std::process::id()));
    let running: Vec<_> = ward
        .serials
        .iter()
        .map(|serial| {
            let work = work(&service, serial);
            tokio::spawn(async move { work.batches(1, START + length).await })
        })
        .collect();
    // The start - first looks at all cards, PINs - is not what is measured.
    let started = Instant::now();
    while ward.traffic().iter().any(|traffic| traffic.signatures == 0) {
        assert!(started.elapsed() < START, "not every card has signed yet");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let start = started.elapsed();
    let (begun, first) = (Instant::now(), ward.traffic());
    tokio::time::sleep(length).await;
    let (measured, last) = (begun.elapsed(), ward.traffic());
    let mut all = Kind::default();
    let mut answers = 0;
    for batch in running {
        let signed = batch.await.unwrap();
        answers += signed.answers.len();
        all.0.push(signed.checked(&service.address(), &ward.folder.path().join("card-0/ca.pem")).await);
    }
    let mut busy: Vec<f64> = first
        .iter()
        .zip(&last)
        .map(|(first, last)| speed.time(last.since(*first)).as_secs_f64() / measured.as_secs_f64())
        .collect();
    busy.sort_by(f64::total_cmp);
    let signatures: u64 = first.iter().zip(&last).map(|(first, last)| last.since(*first).signatures).sum();
    let (now, most) = service.memory();
    let mean = busy.iter().sum::<f64>() / busy.len() as f64;
    println!("\n## {} cards on one node, a batch each, {} s\n", arguments.cards, arguments.seconds);
    println!("Cards at {}.\n", arguments.speed);
    println!("| | |\n|---|---|");
    println!("| until every card had signed once | {:.1} s |", start.as_secs_f64());
    println!("| signatures per second | {:.0} |", signatures as f64 / measured.as_secs_f64());
    println!("| cards at work, mean | {:.1} % of the time |", 100.0 * mean);
    println!("| the least busy card | {:.1} % |", 100.0 * busy[0]);
    println!("| answers, all checked | {answers} |");
    println!("| document sent to signature back, p50 (a window of 16 waits) | {:.0} ms |", all.quantile(0.5));
    println!("| memory of the service: idle, at work, most | {idle:.0}, {now:.0}, {most:.0} MiB |");
    let (service, own) = (service.processor_time() - before, processor_time(std::process::id()) - own);
    println!(
        "| processor: the service; cards and clients | {:.1} s; {:.1} s |",
        service.as_secs_f64(),
        own.as_secs_f64()
    );
}

fn work(service: &Service, serial: &str) -> Work {
    let prescription = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/prescription.xml");
    Work {
        address: service.address(),
        prescription: fs::read_to_string(prescription).unwrap(),
        card: v1::CardSelector { serial_suffix: serial[serial.len() - 12..].into(), ..Default::default() },
        pin: PIN_QES.into(),
        keys: false,
    }
}

/// The service with this project's module on all readers.
fn serve(ward: &Ward) -> Service {
    let at = ward.folder.path();
    let readers: Vec<String> = (0..ward.slots.len()).map(|number| reader(&ward.folder, number)).collect();
    let module = at.join("module.toml");
    fs::write(&module, format!("readers = {readers:?}\nqes_batch = true\ncertificate_cache = false\n"))
        .unwrap();
    let service = format!(
        "[pkcs11]\nmodule = {:?}\n[trust]\nanchors = {:?}\n[verification]\nrequire_qualified = false\nrevocation = \
         \"not-required\"\n",
        library(),
        at.join("card-0/ca.pem")
    );
    Service::start(&service, &[("HPC_PKCS11_CONFIG", module)], false)
}

/// This project's module; a release build of the workspace puts it beside the service.
fn library() -> std::path::PathBuf {
    let mut cargo = std::process::Command::new(env!("CARGO"));
    // What cargo tells the programs it runs: ring's build script looks at it, and the service would be built again.
    for (name, _) in std::env::vars() {
        if name == "CARGO_MANIFEST_DIR" || name.starts_with("CARGO_PKG_") {
            cargo.env_remove(name);
        }
    }
    let built = cargo.args(["build", "--release", "--quiet", "--workspace", "--locked"]).status();
    assert!(built.is_ok_and(|status| status.success()), "the release build failed");
    std::path::Path::new(env!("CARGO_BIN_EXE_signer-service")).with_file_name("libhpc_pkcs11.so")
}
