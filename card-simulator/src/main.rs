//! The `card-simulator` program: makes card images, plugs them in, shows what is in them.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let result = match cli::Arguments::parse().command {
        cli::Command::New(arguments) => cli::new::run(*arguments),
        cli::Command::Run(arguments) => cli::run::run(arguments),
        cli::Command::Tell(arguments) => cli::control::tell(&arguments),
        cli::Command::Ocsp(arguments) => cli::ocsp::run(&arguments),
        cli::Command::Show(arguments) => cli::show::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            cli::complain(&error);
            ExitCode::FAILURE
        }
    }
}
