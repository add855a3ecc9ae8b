//! Command line of the program.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this module is the program's voice")]

pub(crate) mod new;
pub(crate) mod run;
pub(crate) mod show;

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
    /// Show what is in a card image: PIN states, counters, keys, files.
    Show(show::Show),
}

/// Tells the user what went wrong, with its causes.
pub(crate) fn complain(error: &anyhow::Error) {
    eprintln!("card-simulator: {error:#}");
}
