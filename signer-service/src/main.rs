//! The program.

use std::process::ExitCode;

fn main() -> ExitCode {
    signer_service::program::run()
}
