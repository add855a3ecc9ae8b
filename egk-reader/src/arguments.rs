//! The command line's arguments.

use std::num::NonZeroU64;
use std::path::PathBuf;

use card::pace::Can;
use card::transport::{ReaderSpec, ReaderSpecError, Recording};
use clap::{Args, Parser, Subcommand, ValueEnum};
use egk_reader::Reason;
use pin_entry::SecretSource;

/// Reads the German health insurance card (eGK), and says of any card what it is.
#[derive(Parser)]
#[command(version, after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Subcommands,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; findings about the data go to standard error
  1  the output could not be written
  2  wrong arguments
  3  no reader, no card, or no PC/SC service
  4  the card is not an eGK; for identify, identity and certificates: it is no
     card that is known
  5  the data on the card are damaged, absent or of an unknown schema
  6  an update of the insurance data was interrupted, they must not be used
  7  the card or the connection to it failed
  8  there is no health professional's card, or its role was not accepted
  9  a PIN was wrong, malformed or missing, or the card does not allow this with it; no try is spent on what cannot be right
 10  a PIN or its PUK is blocked, or a wrong entry would block it (--last-try)
 11  the card opens the file only with the patient's PIN, a professional's card or a reason that was not given

RUST_LOG=debug shows what happens on standard error, RUST_LOG=card=trace the commands without personal data.";

#[derive(Subcommand)]
pub(crate) enum Subcommands {
    /// Read personal data, insurance data and status of a card
    #[command(after_help = EXIT_CODES)]
    Read(Read),
    /// List the readers and whether they hold a card
    #[command(after_help = EXIT_CODES)]
    List(List),
    /// Name the cards in the readers: standard, generation, applications, interface, what they are certified for
    #[command(after_help = EXIT_CODES)]
    Identify(Identify),
    /// Read who the holder is of a Belgian, Estonian, PIV, Japanese or French card, or of a KVK
    ///
    /// The Japanese card wants the PIN of its text application (four digits): it is asked for, and sent once. The French card
    /// (Carte Vitale 2) is experimental. Of a Belgian card it is also said whether the national register's signatures are
    /// valid.
    #[command(after_help = EXIT_CODES)]
    Identity(IdentityOptions),
    /// List the certificates of a card; no PIN needed but for those under a pseudonym
    #[command(after_help = EXIT_CODES)]
    Certificates(Certificates),
    /// Print a line of JSON for each card inserted or removed, and each reader that comes or goes
    #[command(after_help = EXIT_CODES)]
    Watch(Watch),
    /// Read the emergency data with a health professional's card, without the patient's PIN
    ///
    /// The professional's card (HBA, SMC-B) proves its role to the insurance card; its PIN is asked for. A reason must be
    /// given; keep it with the record of the access.
    #[command(after_help = EXIT_CODES)]
    Emergency(Emergency),
    /// Read one of the other files of an insurance card, behind exactly the card's own rule
    ///
    /// What opens a file: log, consents and references: the patient's PIN. gvd, dpe, ose: the patient's PIN, or a
    /// professional's card (--hpc; for dpe and ose with --reason). nfd: a professional's card and the patient's PIN, or
    /// that card alone with --reason. amts: a professional's card and the PIN of the patient or of a representative.
    /// receipt: nothing.
    #[command(after_help = EXIT_CODES)]
    Show(Show),
    /// The PINs of an insurance card: state, change, first value, unblock, switch off and on
    #[command(subcommand, after_help = EXIT_CODES)]
    Pin(PinCommand),
}

/// Which cards are meant, and how they are reached.
#[derive(Args)]
pub(crate) struct Source {
    /// pcsc:, pcsc:<part of the name>, socket:<address>, replay:<file>, or a part of a PC/SC reader's name. Without it,
    /// all PC/SC readers
    #[arg(long, value_parser = reader_spec, default_value = "pcsc:", hide_default_value = true)]
    pub(crate) reader: ReaderSpec,
    /// The number printed on the card (six digits), for a card that is read by radio
    #[arg(long, value_name = "DIGITS")]
    pub(crate) can: Option<Can>,
    /// Say on standard error how far it is after each command; else only when it takes longer than two seconds
    #[arg(long)]
    pub(crate) progress: bool,
    /// Record what is said to cards in this file, without PINs, names and contents, so that a failing card can be played
    /// back (--reader replay:FILE)
    #[arg(long, value_name = "FILE")]
    pub(crate) record_card: Option<Recording>,
}

#[derive(Args)]
pub(crate) struct Read {
    /// The first reader that holds an eGK is read.
    #[command(flatten)]
    pub(crate) source: Source,
    #[command(flatten)]
    pub(crate) form: Form,
    /// Version of the profiles KBV_PR_FOR_Patient and KBV_PR_FOR_Coverage for --fhir and --fhir-xml, or plain R4
    #[arg(long, value_name = "VERSION", default_value = "1.3")]
    pub(crate) fhir_version: FhirVersion,
    /// Also read which generation the card is of, for two card commands more
    #[arg(long)]
    pub(crate) generation: bool,
}

/// Without any of these: a table for people.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Form {
    /// Print the typed record as JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the XML of the card, byte for byte. All documents: before each a line with "# ", its name and its length
    /// in bytes, after each a line feed. One document: nothing but its bytes
    #[arg(long, value_name = "DOCUMENT", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    pub(crate) xml: Option<XmlChoice>,
    /// Print a FHIR Bundle (collection) with Patient and Coverage as JSON
    #[arg(long)]
    pub(crate) fhir: bool,
    /// Print that Bundle as XML
    #[arg(long)]
    pub(crate) fhir_xml: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum XmlChoice {
    All,
    Personal,
    Coverage,
    Protected,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum FhirVersion {
    #[value(name = "1.2")]
    V1_2,
    #[value(name = "1.3")]
    V1_3,
    /// No profile: plain FHIR R4
    R4,
}

#[derive(Args)]
pub(crate) struct List {
    /// As for read
    #[arg(long, value_parser = reader_spec, default_value = "pcsc:", hide_default_value = true)]
    pub(crate) reader: ReaderSpec,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct Identify {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Print JSON: a list with one entry for each card
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct IdentityOptions {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the photo of a Belgian card (JPEG) to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) photo: Option<PathBuf>,
    /// Also read the individual number of a Japanese card; the law says who may
    #[arg(long)]
    pub(crate) my_number: bool,
    #[command(flatten)]
    pub(crate) secrets: SecretSource,
    /// Send the PIN even if only one try is left
    #[arg(long)]
    pub(crate) last_try: bool,
}

#[derive(Args)]
pub(crate) struct Certificates {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Print JSON
    #[arg(long, conflicts_with = "pem")]
    pub(crate) json: bool,
    /// Print the certificates in PEM: all that can be read, or the one with this name
    #[arg(long, value_name = "NAME", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) pem: Option<String>,
    /// Ask the patient for a PIN, so that an insurance card shows the certificates under a pseudonym too
    #[arg(long)]
    pub(crate) patient: bool,
    /// Let the professional's card in this reader open them instead (as for --reader)
    #[arg(long, value_name = "READER", value_parser = reader_spec, conflicts_with = "patient")]
    pub(crate) hpc: Option<ReaderSpec>,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
}

#[derive(Args)]
pub(crate) struct Watch {
    /// As for read
    #[arg(long, value_parser = reader_spec, default_value = "pcsc:", hide_default_value = true)]
    pub(crate) reader: ReaderSpec,
    /// Ask each inserted card what it is, which may disturb programs that work with it; else its ATR has to tell
    #[arg(long)]
    pub(crate) identify: bool,
    /// Record what is said to cards in this file, as for read; with --identify, else there is only their ATR
    #[arg(long, value_name = "FILE")]
    pub(crate) record_card: Option<Recording>,
    /// End after so many lines
    #[arg(long, value_name = "LINES")]
    pub(crate) count: Option<NonZeroU64>,
    /// Accepted for symmetry: the lines are JSON in any case
    #[arg(long)]
    pub(crate) json: bool,
}

/// What opens protected files.
#[derive(Args)]
pub(crate) struct Unlock {
    /// Why the data are read without the patient's PIN
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<Reason>,
    /// Append the access (time, file, reason, rights) as a line of JSON to this file before anything is shown
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
    /// Go on although a wrong entry would block the PIN
    #[arg(long)]
    pub(crate) last_try: bool,
    /// The number printed on the professional's card, if that card is read by radio
    #[arg(long, value_name = "DIGITS")]
    pub(crate) hpc_can: Option<Can>,
    /// The professional's card is asked for its PIN before the patient
    #[command(flatten)]
    pub(crate) secrets: SecretSource,
}

/// Without any of these: an outline for people.
#[derive(Args)]
#[group(multiple = false)]
pub(crate) struct Shape {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print the document of the card, byte for byte
    #[arg(long)]
    pub(crate) xml: bool,
}

#[derive(Args)]
pub(crate) struct Emergency {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Reader of the professional's card, as for --reader
    #[arg(long, value_name = "READER", value_parser = reader_spec, default_value = "pcsc:", hide_default_value = true)]
    pub(crate) hpc: ReaderSpec,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

#[derive(Args)]
pub(crate) struct Show {
    /// Which file
    pub(crate) file: ShownFile,
    #[command(flatten)]
    pub(crate) source: Source,
    /// A professional's card is there, in this reader (as for --reader)
    #[arg(long, value_name = "READER", value_parser = reader_spec)]
    pub(crate) hpc: Option<ReaderSpec>,
    /// It is the patient's representative who enters a PIN (amts)
    #[arg(long)]
    pub(crate) representative: bool,
    #[command(flatten)]
    pub(crate) unlock: Unlock,
    #[command(flatten)]
    pub(crate) shape: Shape,
}

/// The files that `show` knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShownFile {
    /// Emergency data (EF.NFD)
    Nfd,
    /// Where personal declarations are kept (EF.DPE)
    Dpe,
    /// Medication plan (EF.AMTS)
    Amts,
    /// Protected insurance data (EF.GVD)
    Gvd,
    /// Organ donation declaration (EF.OSE), as it is on the card
    Ose,
    /// Log of accesses (EF.Logging)
    Log,
    /// Consents (EF.Einwilligung)
    Consents,
    /// References (EF.Verweis)
    References,
    /// Consents to the use of data that lie elsewhere (EF.EinwilligungGDD)
    DataConsents,
    /// References to those data (EF.VerweiseGDD)
    DataReferences,
    /// References of the medication plan (EF.VerweiseAMTS)
    MedicationReferences,
    /// Receipt of the last online check (EF.Pruefungsnachweis)
    Receipt,
}

#[derive(Subcommand)]
pub(crate) enum PinCommand {
    /// State of every PIN; costs no try
    Status(PinStatusOptions),
    /// Change a PIN; asks for the present one, then the new one
    Change(OnePin),
    /// Give a PIN its first value: replaces a transport PIN, or sets PIN.AMTS_REP after PIN.CH was entered
    Activate(OnePin),
    /// Give a blocked PIN its tries back; asks for the PUK (for PIN.AMTS_REP for PIN.CH), then with --new-pin for a new PIN
    Unblock(UnblockPin),
    /// Let the card ask for a PIN again that was switched off
    Enable(OnePin),
    /// Let the card no longer ask for a PIN, where it allows that
    Disable(OnePin),
}

#[derive(Args)]
pub(crate) struct PinStatusOptions {
    #[command(flatten)]
    pub(crate) source: Source,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct OnePin {
    /// Name of the PIN: PIN.CH, MRPIN.home, ... (see pin status); without the part before the dot it is found as well
    pub(crate) pin: String,
    #[command(flatten)]
    pub(crate) source: Source,
    /// Go on although a wrong entry would block the PIN
    #[arg(long)]
    pub(crate) last_try: bool,
    #[command(flatten)]
    pub(crate) secrets: SecretSource,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct UnblockPin {
    #[command(flatten)]
    pub(crate) one: OnePin,
    /// Also set a new PIN
    #[arg(long)]
    pub(crate) new_pin: bool,
}

/// A plain text is part of a PC/SC reader's name.
fn reader_spec(text: &str) -> Result<ReaderSpec, ReaderSpecError> {
    let named = ["pcsc:", "socket:", "replay:"].iter().any(|scheme| text.starts_with(scheme));
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
        assert!(Arguments::try_parse_from(["egk-reader", "certificates", "--json", "--pem"]).is_err());
        assert!(Arguments::try_parse_from(["egk-reader", "show", "dpe", "--json", "--xml"]).is_err());
        assert!(Arguments::try_parse_from(["egk-reader", "pin", "change", "PIN.CH", "123456"]).is_err());
    }
}
