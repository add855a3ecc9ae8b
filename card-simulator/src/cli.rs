//! Command line of the program.

#![allow(clippy::print_stderr, reason = "this module is the program's voice")]

pub(crate) mod control;
pub(crate) mod new;
pub(crate) mod ocsp;
pub(crate) mod run;
pub(crate) mod show;

use std::io::{ErrorKind, Write};

use clap::{Parser, Subcommand};

/// Simulated health professional cards and insurance cards.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a card image with fresh keys and test certificates.
    New(Box<new::New>),
    /// Plug card images into readers until interrupted.
    Run(run::Run),
    Tell(control::Tell),
    /// Answer OCSP requests for the certificates of a test authority until interrupted.
    Ocsp(ocsp::Ocsp),
    /// Show what is in a card image: PIN states, counters, keys, files.
    Show(show::Show),
}

/// Tells the user what was asked for. A reader who left early has seen enough: that is no error.
pub(crate) fn tell(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Tells the user what went wrong, with the causes that the message does not tell itself.
pub(crate) fn complain(error: &anyhow::Error) {
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    eprintln!("card-simulator: {told}");
}
