//! `card-simulator ocsp`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use card_simulator::ocsp::OcspResponder;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// Answer OCSP requests for the certificates of a test authority until interrupted (SIGINT or SIGTERM).
///
/// Certificates are good unless the file issued/SERIAL.status in the authority's directory says otherwise: good,
/// "revoked 2026-01-31T12:00:00Z", unknown, stale, no-cert-hash or wrong-cert-hash. Prints one line beginning with
/// `ready` and the address.
#[derive(Debug, Args)]
pub(crate) struct Ocsp {
    /// Directory of the test authority (`new --ca`; `ca` in the card's directory otherwise).
    #[arg(value_name = "DIR")]
    authority: PathBuf,
    /// Where to listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    listen: SocketAddr,
}

/// Serves until a signal ends it.
pub(crate) fn run(arguments: &Ocsp) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("watching for signals")?;
    let directory = &arguments.authority;
    anyhow::ensure!(directory.is_dir(), "{}: no directory", directory.display());
    let responder = OcspResponder::start(directory, arguments.listen)
        .with_context(|| format!("listening at {}", arguments.listen))?;
    super::tell(&format!("ready {}\n", responder.url()))?;
    signals.forever().next();
    Ok(())
}
