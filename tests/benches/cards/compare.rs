//! This module and OpenSC's, on the same simulated card through the same pcscd, driven by the same program.

use card_simulator::server::Traffic;
use tests::cards::PIN_CH;

use crate::columns;
use crate::daemon::Daemon;

const OPENSC: Option<&str> = Some("opensc-pkcs11.so");

/// Prints a row for each thing both can do.
pub(crate) fn print() {
    println!("\n| on the same card, through pcscd | card | ours | OpenSC |\n|---|---|---|---|");
    // Neither module knows the insurance card. OpenSC knows neither of the two others.
    for profile in ["egk-g21", "hpc-p384", "hba-g21"] {
        let ours = (profile == "egk-g21").then(|| looks(profile, None));
        let theirs = looks(profile, OPENSC);
        for (look, what) in ["first look at a foreign card", "second look at it"].into_iter().enumerate() {
            let ours = ours.map_or("(our card)".to_owned(), |ours| cell(ours[look]));
            println!("| {what} | {profile} | {ours} | {} |", cell(theirs[look]));
        }
    }
    // Both know the card of NIST SP 800-73-4.
    let (ours, theirs) = (uses("piv", None), uses("piv", OPENSC));
    for (ours, theirs) in ours.into_iter().zip(theirs) {
        println!("| {} | piv | {} | {} |", ours.0, cell(ours.1), cell(theirs.1));
    }
}

/// Lists tokens twice in one process, and says what each time cost.
fn looks(profile: &str, module: Option<&str>) -> [Traffic; 2] {
    let daemon = Daemon::with(profile, "");
    let mut host = daemon.host(module);
    // There is no such token; all there are have to be looked at to know.
    [(); 2].map(|()| daemon.traffic_of(|| drop(host.ask("objects nowhere"))))
}

/// What a user of the first token pays for, from the insertion to the second signature.
fn uses(profile: &str, module: Option<&str>) -> [(&'static str, Traffic); 4] {
    let daemon = Daemon::with(profile, "");
    let mut host = daemon.host(module);
    let sign = format!("sign * * {}", "5a".repeat(32));
    [
        ("start-up, objects of one token listed", "objects *".to_owned()),
        ("login", format!("login * {PIN_CH}")),
        ("first signature", sign.clone()),
        ("each further signature", sign),
    ]
    .map(|(what, line)| (what, daemon.traffic_of(|| drop(host.succeed(&line)))))
}

fn cell(traffic: Traffic) -> String {
    let [commands, bytes, modelled] = columns(traffic);
    format!("{commands} commands, {bytes} bytes, {modelled}")
}
