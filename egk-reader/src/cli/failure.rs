//! Failures of the command line and their exit codes, which are part of its interface.

use std::process::ExitCode;
use std::{fmt, io};

use card::egk::{EgkError, ProtectedError};
use card::pin::PinFormatError;
use card::pins::PinError;
use card::status::StatusWord;
use card::transport::TransportError;
use egk_reader::access::AccessError;
use egk_reader::certificates::CertificatesError;
use egk_reader::identity::IdentityError;
use egk_reader::kvk::KvkError;
use egk_reader::{ReadError, VsdError};
use pin_entry::SecretError;
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
    /// What is stored is not a document that could be printed as it is.
    #[error("what is stored there is no document: leave out --xml, or use --json")]
    NoDocument,
    /// Some other card is there.
    #[error("the card is not an eGK; by its ATR it may be a {title}{}", if *.reads { ", which egk-reader identity reads" } else { "" })]
    OtherCard {
        /// What its ATR points at.
        title: &'static str,
        /// Whether `identity` can say more.
        reads: bool,
    },
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
    /// The identity data cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// There is no PIN to send.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// What was entered is no PIN of this card. It was not sent.
    #[error(transparent)]
    Format(#[from] PinFormatError),
    /// The card has other PINs.
    #[error("the card has no such PIN; it has {known}")]
    NoSuchPin {
        /// Their names.
        known: String,
    },
    /// One wrong entry would block the PIN.
    #[error(
        "only one try is left for {pin}: a wrong entry blocks it. Say --last-try if that is what you want"
    )]
    LastTry {
        /// The PIN.
        pin: String,
    },
    /// The card did not do what was asked with a PIN.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A protected file cannot be read.
    #[error(transparent)]
    Access(#[from] AccessError),
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
            Failure::OtherCard { .. }
            | Failure::UnknownCard
            | Failure::Certificates(CertificatesError::UnknownCard) => 4,
            Failure::NoSuchDocument | Failure::NoDocument | Failure::NoSuchCertificate { .. } => 5,
            Failure::Certificates(_) => 7,
            Failure::Secret(_) | Failure::Format(_) | Failure::NoSuchPin { .. } => 9,
            Failure::LastTry { .. } => 10,
            Failure::Pin(error) => pin_code(error),
            Failure::Access(error) => access_code(error),
            Failure::Identity(error) => match error {
                IdentityError::UnknownCard
                | IdentityError::NoPhoto
                | IdentityError::Kvk(KvkError::NotAKvk(_)) => 4,
                IdentityError::Malformed { .. } => 5,
                IdentityError::Kvk(KvkError::Template(_) | KvkError::Checksum(_)) => 5,
                IdentityError::Refused { .. } | IdentityError::Transport(_) | IdentityError::Kvk(_) => 7,
                IdentityError::PinNeeded { .. } | IdentityError::PinIncorrect { .. } => 9,
                IdentityError::PinBlocked => 10,
            },
            Failure::Read(ReadError::Data(VsdError::TransactionOpen)) => 6,
            Failure::Read(ReadError::Data(_)) => 5,
            Failure::Read(ReadError::Card(error)) => egk_code(error),
        }
    }

    /// What may help, in one line.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        if self.status() == Some(StatusWord::SECURITY_STATUS) {
            return Some("if the card is read by radio, it wants the number printed on it: --can DIGITS");
        }
        Some(match self {
            Failure::NoReader => "egk-reader list shows the readers there are",
            Failure::Identity(IdentityError::UnknownCard) => {
                "egk-reader identify tells what card it is; egk-reader read reads an eGK"
            }
            Failure::UnknownCard | Failure::Certificates(CertificatesError::UnknownCard) => {
                "egk-reader identify tells what card it is"
            }
            Failure::Access(AccessError::NotAProfessional | AccessError::ProfessionalNeeded { .. }) => {
                "--hpc READER tells where the card of the professional is (HBA, SMC-B)"
            }
            Failure::Access(AccessError::ReasonNeeded { .. }) => "--reason TEXT tells why",
            _ => match self.transport()? {
                TransportError::NoService => {
                    "start pcscd (Debian has it in the package pcscd), or name another reader with --reader"
                }
                TransportError::UnknownReader { .. } => "egk-reader list shows the readers there are",
                _ => return None,
            },
        })
    }

    fn transport(&self) -> Option<&TransportError> {
        match self {
            Failure::Read(ReadError::Card(EgkError::Transport(error)))
            | Failure::Access(
                AccessError::Transport(error)
                | AccessError::Egk(EgkError::Transport(error))
                | AccessError::Pin { source: PinError::Transport(error), .. },
            )
            | Failure::Pin(PinError::Transport(error))
            | Failure::Identity(IdentityError::Transport(error))
            | Failure::Certificates(CertificatesError::Transport(error)) => Some(error),
            _ => None,
        }
    }

    /// What the card refused something with.
    fn status(&self) -> Option<StatusWord> {
        match self {
            Failure::Read(ReadError::Card(
                EgkError::File { status, .. } | EgkError::Select { status, .. },
            ))
            | Failure::Certificates(CertificatesError::Egk(EgkError::File { status, .. }))
            | Failure::Pin(PinError::Refused { status, .. })
            | Failure::Access(
                AccessError::Pin { source: PinError::Refused { status, .. }, .. }
                | AccessError::Egk(EgkError::File { status, .. } | EgkError::Select { status, .. }),
            ) => Some(*status),
            _ => None,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }
}

fn access_code(error: &AccessError) -> u8 {
    match error {
        AccessError::NotAnEgk => 4,
        AccessError::NotAProfessional | AccessError::Role(_) | AccessError::RoleLacks { .. } => 8,
        AccessError::NotEntered { .. } => 9,
        AccessError::LastTry { .. } => 10,
        AccessError::Pin { source, .. } => pin_code(source),
        AccessError::ProfessionalNeeded { .. }
        | AccessError::PatientNeeded { .. }
        | AccessError::ReasonNeeded { .. }
        | AccessError::Protected(ProtectedError::Locked { .. }) => 11,
        AccessError::NoData { .. } | AccessError::Data(_) => 5,
        AccessError::Egk(error) => egk_code(error),
        AccessError::Transport(error) => transport_code(error),
        AccessError::Protected(_) => 7,
    }
}

fn pin_code(error: &PinError) -> u8 {
    match error {
        PinError::Blocked | PinError::PukUsedUp => 10,
        PinError::Wrong { tries: 0 } | PinError::WrongPuk { uses: 0 } => 10,
        PinError::Refused { .. } => 7,
        PinError::Transport(error) => transport_code(error),
        PinError::UnknownCard => 4,
        PinError::Format(_)
        | PinError::Wrong { .. }
        | PinError::WrongPuk { .. }
        | PinError::State(_)
        | PinError::NotAllowed { .. }
        | PinError::OtherPinFirst { .. }
        | PinError::Pad { .. } => 9,
    }
}

fn egk_code(error: &EgkError) -> u8 {
    match error {
        EgkError::NotAnEgk => 4,
        EgkError::Transport(error) => transport_code(error),
        EgkError::Select { .. } | EgkError::File { .. } => 7,
    }
}

fn transport_code(error: &TransportError) -> u8 {
    match error {
        TransportError::NoService | TransportError::UnknownReader { .. } | TransportError::NoCard => 3,
        _ => 7,
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
        assert_eq!(Failure::from(PinError::Wrong { tries: 2 }).code(), 9);
        assert_eq!(Failure::from(PinError::Wrong { tries: 0 }).code(), 10);
        assert_eq!(Failure::from(AccessError::LastTry { pin: "PIN.CH".to_owned() }).code(), 10);
        assert_eq!(Failure::from(AccessError::PatientNeeded { file: "EF.AMTS" }).code(), 11);
        assert_eq!(Failure::from(AccessError::NotAProfessional).code(), 8);
    }

    #[test]
    fn who_may_be_helped_gets_a_hint() {
        let hint = |failure: Failure| failure.hint().unwrap_or_default();
        assert!(hint(TransportError::NoService.into()).contains("pcscd"));
        let closed = EgkError::File { name: "EF.PD", status: StatusWord::SECURITY_STATUS };
        assert!(hint(ReadError::from(closed).into()).contains("--can"));
        assert!(hint(AccessError::NotAProfessional.into()).contains("--hpc"));
        assert!(hint(AccessError::ReasonNeeded { file: "EF.NFD" }.into()).contains("--reason"));
        assert!(hint(IdentityError::UnknownCard.into()).contains("identify"));
        assert_eq!(Failure::NoCard.hint(), None);
    }
}
