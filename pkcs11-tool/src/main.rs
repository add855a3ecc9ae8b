//! What an administrator does with a health professional card: look at it, change or unblock its PINs, try the PKCS#11
//! module on it, and write a report that can be sent to support.
//!
//! Cards are looked at, and PINs changed, through the driver, which knows how many tries are left; signing and the report go
//! through the module as installed, because that is what they are to prove.
#![forbid(unsafe_code)]

mod cards;
mod failure;
mod module;
mod pins;
mod report;
mod show;
mod trial;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use card::transport::Recording;
use clap::{Args, Parser, Subcommand};

use failure::Failure;
use pins::{Old, Replace, Unblock};
use trial::TestSign;

/// Looks after health professional cards and the PKCS#11 module for them.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the output could not be written
  2  wrong arguments, or nobody to ask for a PIN
  3  no reader, no card of this kind, or no PC/SC service
  4  more than one card: say which with --card
  5  a PIN or PUK was wrong or cannot be one; the message says what is left
  6  a PIN or PUK is blocked, or only its last try is left
  7  the card or the connection to it failed
  8  the module or its configuration failed, or a signature did not verify

Readers are those of the module's configuration; HPC_PKCS11_READERS replaces them, e.g.
HPC_PKCS11_READERS=pcsc:cyberJack. No PIN is ever an argument, printed or kept.";

/// Options of every command.
#[derive(Args)]
struct Common {
    /// The card whose serial number ends so
    #[arg(long, global = true, value_name = "DIGITS")]
    card: Option<String>,
    /// The module (default: $HPC_PKCS11_MODULE, beside this program, or where the package puts it)
    #[arg(long, global = true, value_name = "FILE", env = "HPC_PKCS11_MODULE")]
    module: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    /// Record what is said to cards in this file, without PINs, names and contents, so that a failing card can be played
    /// back. Commands that go through the module are recorded by the module's own setting: HPC_PKCS11_RECORD_FILE
    #[arg(long, global = true, value_name = "FILE")]
    record_card: Option<Recording>,
}

#[derive(Subcommand)]
enum Command {
    /// Show cards, their keys and the state of their PINs
    List,
    /// Look after the PINs of a card
    #[command(subcommand)]
    Pin(PinCommand),
    /// Sign random bytes with the keys behind a PIN, through the module, and verify the signatures
    TestSign(TestSign),
    /// Print what support needs to know: versions, configuration, readers, cards without their numbers
    Report,
}

#[derive(Subcommand)]
enum PinCommand {
    /// Ask the card how many tries each PIN has left
    Status,
    /// Replace a PIN by another
    Change(Replace),
    /// Replace the PIN a new card came with by one of your own
    Activate(Replace),
    /// Give a blocked PIN its tries back by the PUK
    Unblock(Unblock),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut out = io::stdout().lock();
    let done = run(&arguments, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "hpc-pkcs11-tool: {failure}");
            failure.exit_code()
        }
    }
}

fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<(), Failure> {
    let common = &arguments.common;
    match &arguments.command {
        Command::List => show::cards(out, &cards::all_with_pins(common)?, common.json),
        Command::Pin(PinCommand::Status) => pins::status(common, out),
        Command::Pin(PinCommand::Change(change)) => pins::replace(change, Old::Pin, common, out),
        Command::Pin(PinCommand::Activate(activate)) => {
            pins::replace(activate, Old::TransportPin, common, out)
        }
        Command::Pin(PinCommand::Unblock(unblock)) => pins::unblock(unblock, common, out),
        Command::TestSign(_) | Command::Report if common.record_card.is_some() => {
            Err(Failure::RecordedElsewhere)
        }
        Command::TestSign(test) => trial::run(test, common, out),
        Command::Report => report::print(out, common),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }
}
