//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{audit::command::AuditCommand, client};

/// Signs and verifies e-prescriptions with a health professional card.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done; `verify`: the signature is VALID
  1  a fault of the service or of this machine
  2  wrong use of the command line
  3  the service refused the document or the request
  4  PIN wrong, blocked, missing or not set
  5  card or reader missing, wrong, removed or failing
  6  the service does not answer
  7  `verify`: the signature is INVALID; `emergency verify`: something does not hold
  8  `verify`: the signature is INCONCLUSIVE";

/// The commands: some for running the service, the others are clients of one that runs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the service
    Serve(ServeArgs),
    /// Write a commented default configuration, and make certificates for TLS: authority, service, first client
    Init(InitArgs),
    /// Make the certificate of a further client
    ClientCertificate(ClientCertificateArgs),
    /// Make the certificate of the service anew, e.g. before it expires; its key stays
    ServerCertificate(ServerCertificateArgs),
    /// Sign a prescription
    Sign {
        /// Which and how.
        #[command(flatten)]
        args: client::SignArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Fill patient and insurance of a draft from an insurance card
    Prepare {
        /// Which and where.
        #[command(flatten)]
        args: client::PrepareArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Sign many prescriptions with one PIN, in the order of their names
    SignBatch {
        /// Which and how.
        #[command(flatten)]
        args: client::SignBatchArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Keep a card unlocked for one user, within limits
    Comfort {
        /// What to do.
        #[command(subcommand)]
        command: client::ComfortCommand,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Verify a signed prescription
    Verify {
        /// Which.
        #[command(flatten)]
        args: client::VerifyArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Read an insurance card
    ReadCard {
        /// Which.
        #[command(flatten)]
        args: client::ReadCardArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Authenticate the clinician whose card is plugged in
    Authenticate {
        /// For whom.
        #[command(flatten)]
        args: client::AuthenticateArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Answer a login challenge of the national identity provider
    AnswerIdp {
        /// Which.
        #[command(flatten)]
        args: client::AnswerIdpArgs,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Emergency access: what a patient did not consent to, opened by two clinicians and reviewed by a third
    Emergency {
        /// What to do.
        #[command(subcommand)]
        command: client::EmergencyCommand,
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
    /// Export, query and check the audit trail, without the running service
    Audit {
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// List cards, their certificates and the readers for insurance cards
    ListCards {
        /// Where and in which form.
        #[command(flatten)]
        connection: client::Connection,
    },
}

/// `serve`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Only load everything that is configured, say what was found, and end
    #[arg(long)]
    pub check: bool,
    /// Allow the plaintext TCP listener of the configuration: PINs pass in clear, for development only
    #[arg(long)]
    pub insecure_development: bool,
}

/// `init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Folder for config.toml and tls/, made if it does not exist
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Name of the first client, which may do everything
    #[arg(long, value_name = "NAME", default_value = "first")]
    pub client: String,
    /// Where it is reached.
    #[command(flatten)]
    pub server: ServerNames,
}

/// `client-certificate`
#[derive(Debug, Args)]
pub struct ClientCertificateArgs {
    /// Name of the client: letters, digits, "-" and "."
    pub name: String,
    /// Folder of the authority
    #[arg(long, value_name = "DIR", default_value = "tls")]
    pub dir: PathBuf,
    /// Days the certificate lasts
    #[arg(long, value_name = "DAYS", default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub days: u32,
}

/// `server-certificate`
#[derive(Debug, Args)]
pub struct ServerCertificateArgs {
    /// Folder of the authority
    #[arg(long, value_name = "DIR", default_value = "tls")]
    pub dir: PathBuf,
    /// Where it is reached.
    #[command(flatten)]
    pub server: ServerNames,
}

/// Under which names the service is reached.
#[derive(Debug, Args)]
pub struct ServerNames {
    /// Host name or address that clients connect to; several are possible. Default: localhost, its addresses, this machine
    #[arg(long = "server-name", value_name = "NAME")]
    pub names: Vec<String>,
    /// Days the service's certificate lasts
    #[arg(long, value_name = "DAYS", default_value_t = 397, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub server_days: u32,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn signing_needs_one_kind_of_insurance_check() {
        let parse = |more: &[&str]| {
            let base = ["signer-service", "sign", "in.xml", "--out", "out.p7s"];
            Cli::try_parse_from(base.iter().chain(more)).map(|_| ())
        };
        assert!(parse(&[]).is_err());
        assert!(parse(&["--egk", "A", "--no-card", "lost"]).is_err());
        assert!(parse(&["--egk"]).is_ok());
        assert!(parse(&["--no-card", "lost"]).is_ok());
        assert!(parse(&["--egk", "--pin-env", "A", "--pin-file", "b"]).is_err());
    }
}
