//! Command line of the eGK reader: arguments, the choice of a reader, and exit codes. What is printed is in `cli`.
#![forbid(unsafe_code)]

mod cli;

use std::io::{self, Write};
use std::process::ExitCode;

use card::pace::Can;
use card::transport::{ReaderSpec, ReaderSpecError, Readers};
use clap::{Args, Parser, Subcommand, ValueEnum};
use egk_reader::fhir::ProfileVersion;

use cli::failure::Failure;
use cli::select;

/// Reads the German health insurance card (eGK).
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; findings about the data go to standard error
  1  the output could not be written
  2  wrong arguments
  3  no reader, no card, or no PC/SC service
  4  the card is not an eGK
  5  the insurance data on the card are damaged or of an unknown schema
  6  an update of the insurance data was interrupted, they must not be used
  7  the card or the connection to it failed

RUST_LOG=debug shows what happens on standard error, RUST_LOG=card=trace the commands without personal data.";

#[derive(Subcommand)]
enum Subcommands {
    /// Read personal data, insurance data and status of a card
    #[command(after_help = EXIT_CODES)]
    Read(Read),
    /// List the readers and whether they hold a card
    List(List),
}

#[derive(Args)]
struct Read {
    /// pcsc:, pcsc:<part of the name>, socket:<address>, or a part of a PC/SC reader's name. Without it, the first
    /// PC/SC reader that holds an eGK
    #[arg(long, value_parser = reader_spec, default_value = "pcsc:", hide_default_value = true)]
    reader: ReaderSpec,
    #[command(flatten)]
    form: Form,
    /// Version of the profiles KBV_PR_FOR_Patient and KBV_PR_FOR_Coverage for --fhir and --fhir-xml
    #[arg(long, value_name = "VERSION", default_value = "1.3")]
    fhir_version: FhirVersion,
    /// The number printed on the card (six digits), for a card that is read by radio
    #[arg(long, value_name = "DIGITS")]
    can: Option<Can>,
    /// Also read which generation the card is of, for two card commands more
    #[arg(long)]
    generation: bool,
}

/// Without any of these: a table for people.
#[derive(Args)]
#[group(multiple = false)]
struct Form {
    /// Print the typed record as JSON
    #[arg(long)]
    json: bool,
    /// Print the XML of the card, byte for byte. All documents: before each a line with "# ", its name and its length
    /// in bytes, after each a line feed. One document: nothing but its bytes
    #[arg(long, value_name = "DOCUMENT", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    xml: Option<XmlChoice>,
    /// Print a FHIR Bundle (collection) with Patient and Coverage as JSON
    #[arg(long)]
    fhir: bool,
    /// Print that Bundle as XML
    #[arg(long)]
    fhir_xml: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum XmlChoice {
    All,
    Personal,
    Coverage,
    Protected,
}

#[derive(Clone, Copy, ValueEnum)]
enum FhirVersion {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
}

#[derive(Args)]
struct List {
    /// As for read
    #[arg(long, value_parser = reader_spec, default_value = "pcsc:", hide_default_value = true)]
    reader: ReaderSpec,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    let done = match &arguments.command {
        Subcommands::Read(options) => read(options),
        Subcommands::List(options) => list(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "egk-reader: {failure}");
            failure.exit_code()
        }
    }
}

fn read(options: &Read) -> Result<(), Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&options.reader));
    let found = select::read_first(&mut readers, options.can.as_ref(), options.generation)?;
    let version = match options.fhir_version {
        FhirVersion::V1_2 => ProfileVersion::V1_2,
        FhirVersion::V1_3 => ProfileVersion::V1_3,
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

/// A plain text is part of a PC/SC reader's name.
fn reader_spec(text: &str) -> Result<ReaderSpec, ReaderSpecError> {
    let named = ["pcsc:", "socket:"].iter().any(|scheme| text.starts_with(scheme));
    if named { text.parse() } else { Ok(ReaderSpec::Pcsc { filter: Some(text.to_owned()) }) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_plain_name_is_a_pcsc_reader_even_with_a_colon() {
        for name in ["ACR", "Reader: 00 00"] {
            assert_eq!(reader_spec(name), Ok(ReaderSpec::Pcsc { filter: Some(name.to_owned()) }));
        }
        assert_eq!(reader_spec("pcsc:"), Ok(ReaderSpec::Pcsc { filter: None }));
        assert!(matches!(reader_spec("socket:/run/card"), Ok(ReaderSpec::Socket(_))));
        assert!(reader_spec("socket:nowhere").is_err());
    }

    #[test]
    fn forms_exclude_each_other() {
        assert!(Arguments::try_parse_from(["egk-reader", "read", "--json", "--fhir"]).is_err());
        assert!(Arguments::try_parse_from(["egk-reader", "read", "--xml=personal"]).is_ok());
        assert!(Arguments::try_parse_from(["egk-reader", "read", "--xml", "--fhir-version=1.2"]).is_ok());
    }
}
