//! Failures of the command line and their exit codes, which are part of its interface.

use std::process::ExitCode;
use std::{fmt, io};

use card::egk::EgkError;
use card::transport::TransportError;
use egk_reader::certificates::CertificatesError;
use egk_reader::emergency::EmergencyError;
use egk_reader::{ReadError, VsdError};
use thiserror::Error;

/// Why the command failed.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// There is no reader of that name, or none at all.
    #[error("no card reader found")]
    NoReader,
    /// There is no reader behind the address.
    #[error("no card reader answers at {reader}: {error}")]
    Unreachable {
        /// Its address.
        reader: String,
        /// Why not.
        error: TransportError,
    },
    /// No reader holds a card.
    #[error("no card inserted")]
    NoCard,
    /// The card does not hold the document asked for.
    #[error("the card has no readable copy of the protected data")]
    NoSuchDocument,
    /// The card is not in the catalogue.
    #[error("the card is not known")]
    UnknownCard,
    /// There is no certificate of that name, or it cannot be read.
    #[error("the card has no readable certificate named {name}")]
    NoSuchCertificate {
        /// The name asked for.
        name: String,
    },
    /// The certificates cannot be read.
    #[error(transparent)]
    Certificates(#[from] CertificatesError),
    /// There is no PIN to send.
    #[error("PIN of the professional's card: {0}")]
    NoPin(String),
    /// The emergency data cannot be read.
    #[error(transparent)]
    Emergency(#[from] EmergencyError),
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Standard output is closed or full.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl From<fmt::Error> for Failure {
    fn from(error: fmt::Error) -> Failure {
        Failure::Output(io::Error::other(error))
    }
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Failure {
        Failure::Read(ReadError::Card(EgkError::Transport(error)))
    }
}

impl Failure {
    /// The number that `--help` documents.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Failure::Output(_) => 1,
            Failure::NoReader | Failure::Unreachable { .. } | Failure::NoCard => 3,
            Failure::UnknownCard | Failure::Certificates(CertificatesError::UnknownCard) => 4,
            Failure::NoSuchDocument | Failure::NoSuchCertificate { .. } => 5,
            Failure::Certificates(_) => 7,
            Failure::NoPin(_) => 8,
            Failure::Emergency(error) => match error {
                EmergencyError::NotAnEgk => 4,
                EmergencyError::NotAProfessional | EmergencyError::Role(_) => 8,
                EmergencyError::NoData | EmergencyError::Data(_) => 5,
                EmergencyError::Protected(_) | EmergencyError::Transport(_) => 7,
            },
            Failure::Read(ReadError::Data(VsdError::TransactionOpen)) => 6,
            Failure::Read(ReadError::Data(_)) => 5,
            Failure::Read(ReadError::Card(error)) => match error {
                EgkError::NotAnEgk => 4,
                EgkError::Transport(
                    TransportError::NoService | TransportError::UnknownReader { .. } | TransportError::NoCard,
                ) => 3,
                EgkError::Select { .. } | EgkError::File { .. } | EgkError::Transport(_) => 7,
            },
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_as_documented() {
        let transport = |error| Failure::from(error).code();
        assert_eq!(transport(TransportError::NoService), 3);
        assert_eq!(transport(TransportError::NoCard), 3);
        assert_eq!(transport(TransportError::Removed), 7);
        assert_eq!(Failure::from(ReadError::from(EgkError::NotAnEgk)).code(), 4);
        assert_eq!(Failure::from(ReadError::from(VsdError::TransactionOpen)).code(), 6);
        assert_eq!(Failure::from(ReadError::from(VsdError::StatusFlag { got: 0 })).code(), 5);
    }
}
