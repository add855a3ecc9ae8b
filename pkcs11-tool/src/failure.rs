//! Failures of the command line and their exit codes, which are part of its interface.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use card::hpc::{CardError, OpenError};
use card::transport::TransportError;
use pin_entry::SecretError;

/// Why the command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Standard output is closed or full.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// There is no PIN, or the new one was typed differently the second time.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// No reader is there at all.
    #[error("no card reader found")]
    NoReader,
    /// No reader holds a card this program knows.
    #[error("no health professional card found")]
    NoCard,
    /// The card lacks the application.
    #[error("the card has no such PIN")]
    NoSuchPin,
    /// More than one card would do.
    #[error("{0} cards found: say which with --card")]
    Ambiguous(usize),
    /// One wrong entry would block the PIN.
    #[error("only one try is left: a wrong entry blocks the PIN. Say --last-try if that is what you want")]
    LastTry,
    /// The card did what it can do with the PIN.
    #[error("{0}; only the PUK helps (pin unblock)")]
    Blocked(CardError),
    /// There is no transport PIN to be replaced.
    #[error("this PIN is not in its transport state; use pin change")]
    NotInTransportState,
    /// The card or its connection failed.
    #[error(transparent)]
    Card(CardError),
    /// The card could not be read.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The module's configuration is wrong.
    #[error("configuration: {0}")]
    Configuration(Box<dyn std::error::Error + Send + Sync>),
    /// No module was found.
    #[error(
        "libhpc_pkcs11.so was not found beside this program or where packages put it; name it with --module"
    )]
    NoModule,
    /// The module could not be loaded.
    #[error("{path}: {reason}")]
    Module {
        /// The file.
        path: PathBuf,
        /// What the loader or the module says.
        reason: String,
    },
    /// A call of the module failed.
    #[error("{0}")]
    Call(#[from] cryptoki::error::Error),
    /// What goes through the module is recorded by the module.
    #[error(
        "this command talks to cards through the module: set HPC_PKCS11_RECORD_FILE instead of --record-card"
    )]
    RecordedElsewhere,
    /// There is nothing to try.
    #[error("no key of this card can be tried: {0}")]
    NoKey(String),
    /// The module made something that is no signature.
    #[error("{0} signature(s) did not verify")]
    NotVerified(usize),
}

impl From<CardError> for Failure {
    fn from(error: CardError) -> Failure {
        match error {
            CardError::PinBlocked => Failure::Blocked(error),
            _ => Failure::Card(error),
        }
    }
}

impl Failure {
    /// The number that `--help` documents.
    fn code(&self) -> u8 {
        match self {
            Failure::Output(_) => 1,
            Failure::Secret(SecretError::EntriesDiffer) | Failure::NotInTransportState => 5,
            Failure::Secret(_) | Failure::RecordedElsewhere => 2,
            Failure::NoReader | Failure::NoCard | Failure::NoSuchPin => 3,
            Failure::Open(OpenError::Transport(error)) | Failure::Transport(error) => transport_code(error),
            Failure::Ambiguous(_) => 4,
            Failure::LastTry | Failure::Blocked(_) => 6,
            Failure::Card(error) => card_code(error),
            Failure::Open(_) => 7,
            Failure::Call(error) => call_code(error),
            Failure::Configuration(_)
            | Failure::NoModule
            | Failure::Module { .. }
            | Failure::NoKey(_)
            | Failure::NotVerified(_) => 8,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

fn transport_code(error: &TransportError) -> u8 {
    match error {
        TransportError::NoService | TransportError::UnknownReader { .. } | TransportError::NoCard => 3,
        _ => 7,
    }
}

fn card_code(error: &CardError) -> u8 {
    match error {
        CardError::PinIncorrect { .. }
        | CardError::PukIncorrect { .. }
        | CardError::NewPinRefused
        | CardError::PukSetsNoPin
        | CardError::PinFormat(_)
        | CardError::PinNotUsable { .. } => 5,
        CardError::PinBlocked | CardError::PukBlocked => 6,
        CardError::Transport(error) => transport_code(error),
        _ => 7,
    }
}

fn call_code(error: &cryptoki::error::Error) -> u8 {
    use cryptoki::error::{Error, RvError};
    match error {
        Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange | RvError::PinInvalid, _) => 5,
        Error::Pkcs11(RvError::PinLocked, _) => 6,
        Error::Pkcs11(RvError::TokenNotPresent | RvError::DeviceRemoved, _) => 3,
        Error::Pkcs11(RvError::DeviceError, _) => 7,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_as_documented() {
        assert_eq!(Failure::from(TransportError::NoService).code(), 3);
        assert_eq!(Failure::from(CardError::PinIncorrect { tries: 2 }).code(), 5);
        assert_eq!(Failure::from(CardError::PinBlocked).code(), 6);
        assert_eq!(Failure::from(CardError::PukBlocked).code(), 6);
        assert_eq!(Failure::from(CardError::Removed).code(), 7);
        assert_eq!(Failure::NotVerified(1).code(), 8);
    }

    #[test]
    fn a_blocked_pin_names_the_way_out() {
        assert!(Failure::from(CardError::PinBlocked).to_string().contains("pin unblock"));
    }
}
