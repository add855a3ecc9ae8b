//! This module and OpenSC's, on the same simulated card through the same pcscd, driven by the same program.

use std::ffi::OsStr;
use std::fs;

use card_simulator::server::Traffic;
use tests::cards::CardImage;
use tests::host::Host;
use tests::pcscd::Pcscd;
use tests::simulator::Simulator;

use crate::{DRIVER, columns};

/// Prints a row for each thing both can do.
pub(crate) fn print() {
    println!("\n| on the same card, through pcscd | card | ours | OpenSC |\n|---|---|---|---|");
    // Neither module knows the insurance card. OpenSC knows neither of the others.
    for profile in ["egk-g21", "hpc-p384", "hba-g21"] {
        let ours = (profile == "egk-g21").then(|| looks(profile, None));
        let theirs = looks(profile, Some("opensc-pkcs11.so"));
        for (look, what) in ["first look at a foreign card", "second look at it"].into_iter().enumerate() {
            let ours = ours.map_or("(our card)".to_owned(), |ours| cell(ours[look]));
            println!("| {what} | {profile} | {ours} | {} |", cell(theirs[look]));
        }
    }
}

/// Lists tokens twice in one process, and says what each time cost.
fn looks(profile: &str, module: Option<&str>) -> [Traffic; 2] {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let daemon = Pcscd::start(directory.path()).expect("pcscd");
    let card = CardImage::of(profile);
    let simulator = Simulator::start(&[(&card, &daemon.plug(0))]);
    daemon.wait_for_cards(1);
    let configuration = directory.path().join("module.toml");
    fs::write(&configuration, "certificate_cache = false\n").expect("a file can be written");
    let mut environment = vec![
        ("PCSCLITE_CSOCK_NAME", daemon.socket().as_os_str()),
        ("HPC_PKCS11_CONFIG", configuration.as_os_str()),
    ];
    if let Some(module) = module {
        environment.push(("TOKEN_DRIVER_MODULE", OsStr::new(module)));
    }
    let mut host = Host::start_with(DRIVER, &environment);
    [(); 2].map(|()| {
        let before = simulator.traffic(0);
        // There is no such token; all there are have to be looked at to know.
        host.ask("objects nowhere");
        simulator.traffic(0).since(before)
    })
}

fn cell(traffic: Traffic) -> String {
    let [commands, bytes, modelled] = columns(traffic);
    format!("{commands} commands, {bytes} bytes, {modelled}")
}
