//! The client commands: each one call of the service, shown for people or as JSON.

mod batch;
mod calls;
mod comfort;
mod emergency;
mod pin;
mod show;

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    process::ExitCode,
};

use ::client::{Credentials, Error, Refusal};
use clap::Args;
use serde_json::{Value, json};
use tonic::{Code, Status};

pub use ::client::Client;
pub use batch::{SignBatchArgs, sign_batch};
pub use calls::{
    AnswerIdpArgs, AuthenticateArgs, CardArgs, PrepareArgs, ReadCardArgs, SignArgs, VerifyArgs, answer_idp,
    authenticate, list_cards, prepare, read_card, sign, verify,
};
pub use comfort::{ComfortCommand, comfort};
pub use emergency::{EmergencyCommand, ReasonArg, RequestArgs, StepArgs, emergency};
pub use pin::PinSource;

/// Options of all client commands.
#[derive(Debug, Clone, Args)]
pub struct Connection {
    /// Address of the service: unix:/path, https://host:port, or http://127.0.0.1:port of a development service
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "HPC_SIGNER_ADDRESS",
        global = true,
        default_value = "unix:/run/hpc-signer/signer.sock"
    )]
    pub connect: String,
    /// With https: the authority of the service's certificate, PEM
    #[arg(long, value_name = "FILE", env = "HPC_SIGNER_CA", global = true)]
    pub ca: Option<PathBuf>,
    /// With https: the certificate of this client, PEM
    #[arg(long, value_name = "FILE", env = "HPC_SIGNER_CERT", global = true, requires = "key")]
    pub cert: Option<PathBuf>,
    /// With https: the private key of this client, PEM
    #[arg(long, value_name = "FILE", env = "HPC_SIGNER_KEY", global = true, requires = "cert")]
    pub key: Option<PathBuf>,
    /// File with the access token of a clinician (`authenticate --token-file`)
    #[arg(long, value_name = "FILE", global = true)]
    pub token: Option<PathBuf>,
    /// Answer as JSON, errors too
    #[arg(long, global = true)]
    pub json: bool,
}

/// Connects to `unix:/path`, `https://host:port` or `http://host:port`.
///
/// # Errors
/// Nobody answers there, one side does not take the other's certificate, or a file cannot be used.
pub async fn connect(connection: &Connection) -> Result<Client, ClientError> {
    let read = |path: &Option<PathBuf>| path.as_deref().map(read_file).transpose();
    let token = read(&connection.token)?.map(|token| String::from_utf8(token).unwrap_or_default());
    let credentials = Credentials {
        token,
        authority: read(&connection.ca)?,
        certificate: read(&connection.cert)?.zip(read(&connection.key)?),
    };
    Ok(::client::connect(&connection.connect, credentials).await?)
}

/// What a command says at its end.
#[derive(Debug)]
pub struct Outcome {
    /// For people, without a line feed at the end.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// 0, or what the signature is worth.
    pub exit: Exit,
}

/// Exit codes, as `--help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; a verified signature is VALID.
    Success = 0,
    /// A fault of the service or of this machine.
    Failure = 1,
    /// The service refused the document or the request.
    Refused = 3,
    /// The PIN.
    Pin = 4,
    /// Card or reader.
    Card = 5,
    /// The service does not answer.
    Unreachable = 6,
    /// The signature is INVALID.
    Invalid = 7,
    /// The signature is INCONCLUSIVE.
    Inconclusive = 8,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The service refused, or was not reached.
    #[error(transparent)]
    Service(#[from] ::client::Error),
    /// A file.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No PIN to send.
    #[error("PIN: {0}")]
    Pin(String),
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        ClientError::Service(status.into())
    }
}

impl ClientError {
    /// The exit code of this error.
    pub fn exit(&self) -> Exit {
        match self {
            ClientError::Service(error) => exit_of(error),
            ClientError::File { .. } => Exit::Failure,
            ClientError::Pin(_) => Exit::Pin,
        }
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let ClientError::Service(Error::Refused(refusal)) = self else {
            let message = match self {
                ClientError::Service(Error::Broken(status)) => status.message().to_owned(),
                other => other.to_string(),
            };
            return json!({ "error": { "reason": null, "message": message, "metadata": null, "request_id": null } });
        };
        let Refusal { reason, message, metadata, request_id, .. } = refusal;
        json!({ "error": { "reason": reason, "message": message, "metadata": metadata, "request_id": request_id } })
    }
}

fn exit_of(error: &Error) -> Exit {
    match error {
        Error::Unreachable { .. } => Exit::Unreachable,
        Error::Refused(refusal) => exit_of_reason(&refusal.reason),
        Error::Broken(status) => {
            // With TLS 1.3 a refused certificate shows when the first call is made: the connection breaks.
            let broken = std::error::Error::source(&**status)
                .is_some_and(|cause| cause.is::<tonic::transport::Error>());
            let unreachable = broken || status.code() == Code::Unavailable;
            if unreachable { Exit::Unreachable } else { Exit::Failure }
        }
        Error::BatchBrokeOff | Error::Token => Exit::Failure,
    }
}

fn exit_of_reason(reason: &str) -> Exit {
    match reason {
        reason if reason.starts_with("PIN_") || reason == "NOT_LOGGED_IN" => Exit::Pin,
        "NO_READER"
        | "NO_CARD"
        | "FOREIGN_CARD"
        | "CARD_NOT_FOUND"
        | "SEVERAL_CARDS"
        | "CARD_REMOVED"
        | "CARD_ERROR"
        | "INSURANCE_UNREADABLE" => Exit::Card,
        "SELF_CHECK_FAILED" | "AUDIT_FAILED" | "INTERNAL" => Exit::Failure,
        _ => Exit::Refused,
    }
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, ClientError> {
    fs::read(path).map_err(|source| ClientError::File { path: path.to_owned(), source })
}

/// Writes a secret of the caller.
fn write_private(path: &std::path::Path, bytes: &[u8]) -> Result<(), ClientError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| ClientError::File { path: path.to_owned(), source })
}

fn write_file(path: &std::path::Path, bytes: &[u8]) -> Result<(), ClientError> {
    fs::write(path, bytes).map_err(|source| ClientError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    fn refused(reason: &str, metadata: &[(&str, &str)]) -> ClientError {
        let metadata: HashMap<String, String> =
            metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let details = ErrorDetails::with_error_info(reason, proto::ERROR_DOMAIN, metadata);
        Status::with_error_details(Code::FailedPrecondition, "a sentence", details).into()
    }

    #[test]
    fn exit_codes_tell_pin_card_and_document_apart() {
        assert_eq!(refused("PIN_WRONG", &[]).exit(), Exit::Pin);
        assert_eq!(refused("NO_CARD", &[]).exit(), Exit::Card);
        assert_eq!(refused("INSURANCE_MISMATCH", &[]).exit(), Exit::Refused);
        assert_eq!(refused("AUDIT_FAILED", &[]).exit(), Exit::Failure);
        assert_eq!(ClientError::from(Status::unavailable("x")).exit(), Exit::Unreachable);
    }

    #[test]
    fn a_refusal_is_shown_with_reason_and_details() {
        let error = refused("INSURANCE_MISMATCH", &[("field", "Patient.birthDate")]);
        assert_eq!(error.to_string(), "INSURANCE_MISMATCH: a sentence (field: Patient.birthDate)");
        assert_eq!(error.json()["error"]["metadata"]["field"], "Patient.birthDate");
    }
}
