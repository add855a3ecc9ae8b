//! What goes over the wire, command by command, and what the driver knows afterwards.

use super::*;
use crate::apdu::Response;
use crate::script::{self, Log, Script};
use crate::status::StatusWord;
use crate::transport::TransportError;

mod deciphering;
mod failures;
mod fallback;
mod hostile;
mod known;
mod looks;
mod pins;
mod signing;
mod start;

/// A complete, if meaningless, DER object as a certificate.
const CERTIFICATE: &str = "3003020105";
/// VERIFY on channel 1.
const VERIFY_QES: &str = "01200081 08 26123456FFFFFFFF";
const QES_DIGEST: [u8; 48] = [0xA5; 48];

/// Everything `Hpc::open` asks of the generic card.
fn start_up() -> Script {
    Script::new("3B9C968131FE458066485043333834739621F3B4")
        .on("00A4040400", &script::fcp("F04850433338342E4D46"))
        .on("00B0820000", "5A0A802768831100002208859000")
        .on("00A4040C0BF04850433338342E514553", "9000")
        .on("00B08600000000", &format!("{CERTIFICATE}9000"))
        .on("00B09000000000", &format!("{CERTIFICATE}9000"))
        .on("00A4040C0DF04850433338342E455349474E", "9000")
        .on("00B08600000000", &format!("{CERTIFICATE}9000"))
        .on("00B08100000000", &format!("{CERTIFICATE}9000"))
        .on("00B08500000000", &format!("{CERTIFICATE}9000"))
        .on("00B08200000000", &format!("{CERTIFICATE}9000"))
}

/// An open generic card with the commands that follow.
fn opened(more: Script) -> (Hpc, Log) {
    let (transport, log) = start_up().start();
    let mut hpc = Hpc::open(transport).unwrap();
    // The generic card has none; most tests are about cards that have.
    hpc.has_channels = true;
    log.take_count();
    log.then(more);
    (hpc, log)
}

fn more() -> Script {
    Script::new("")
}

/// Login to DF.QES on channel 1.
fn qes_login() -> Script {
    more().on("0070000001", "019000").on("01A4040C0BF04850433338342E514553", "9000").on(VERIFY_QES, "9000")
}

fn select_key(channel: u8, reference: u8, algorithm: u8) -> String {
    format!("{channel:02X}2241B6068401{reference:02X}8001{algorithm:02X}")
}

fn pso(channel: u8) -> String {
    format!("{channel:02X}2A9E9A30{}00", hex::encode_upper(QES_DIGEST))
}

fn signature() -> String {
    format!("{}9000", "C7".repeat(96))
}

fn pin() -> Pin {
    Pin::parse(b"123456", 6, 8).unwrap()
}

/// Closes the channel as the last thing; a test's script ends with it.
fn done(hpc: Hpc, log: &Log, farewell: Script) {
    log.then(farewell);
    drop(hpc);
    log.assert_finished();
}
