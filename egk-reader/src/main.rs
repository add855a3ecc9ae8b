//! Command line of the eGK reader: logging, dispatch, exit codes. Arguments are in `arguments`, what is printed in `cli`.
#![forbid(unsafe_code)]

mod arguments;
mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use card::transport::Readers;
use clap::Parser;
use egk_reader::fhir::ProfileVersion;

use arguments::{Arguments, FhirVersion, List, Read, Subcommands};
use cli::failure::Failure;
use cli::select;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let done = match &arguments.command {
        Subcommands::Read(options) => read(options),
        Subcommands::List(options) => list(options),
        Subcommands::Identify(options) => cli::identify::run(options),
        Subcommands::Identity(options) => cli::identity::run(options),
        Subcommands::Certificates(options) => cli::certificates::run(options),
        Subcommands::Watch(options) => cli::watch::run(options),
        Subcommands::Emergency(options) => cli::show::emergency(options),
        Subcommands::Show(options) => cli::show::run(options),
        Subcommands::Pin(command) => cli::pin::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "egk-reader: {failure}");
            if let Some(hint) = failure.hint() {
                let _ = writeln!(io::stderr(), "egk-reader: {hint}");
            }
            failure.exit_code()
        }
    }
}

fn read(options: &Read) -> Result<(), Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&options.source.reader));
    let found = select::read_first(&mut readers, &options.source, options.generation)?;
    let version = match options.fhir_version {
        FhirVersion::V1_2 => Some(ProfileVersion::V1_2),
        FhirVersion::V1_3 => Some(ProfileVersion::V1_3),
        FhirVersion::R4 => None,
    };
    let form = &options.form;
    let out = &mut io::stdout().lock();
    let findings = match form.xml {
        Some(choice) => cli::output::xml(out, &found.record, choice)?,
        None if form.json => cli::output::json(out, &found.record)?,
        None if form.fhir => cli::output::fhir(out, &found.record, version, cli::output::Syntax::Json)?,
        None if form.fhir_xml => cli::output::fhir(out, &found.record, version, cli::output::Syntax::Xml)?,
        None => cli::table::print(out, &found)?,
    };
    out.flush()?;
    let errors = &mut io::stderr().lock();
    for finding in findings {
        writeln!(errors, "finding: {finding}")?;
    }
    Ok(())
}

fn list(options: &List) -> Result<(), Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&options.reader));
    let states = readers.list()?;
    cli::output::readers(&mut io::stdout().lock(), &states, options.json)?;
    if states.is_empty() { Err(Failure::NoReader) } else { Ok(()) }
}
