//! Why a call failed, and the return value that says so (PKCS#11 v3.1 clause 5.1).

use card::hpc::{CardError, OpenError, PinPadRefusal};
use card::pin::PinFormatError;
use card::status::StatusWord;
use card::transport::TransportError;
use cryptoki_sys::*;

use crate::config::ConfigError;

/// Result of everything behind the C boundary.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The causes this module can name. Each has one return value, see [`Error::rv`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the module is already initialised in this process")]
    AlreadyInitialised,
    #[error("a pointer is NULL or misaligned, or a length is impossible")]
    ArgumentsBad,
    #[error("the attribute does not exist")]
    AttributeTypeInvalid,
    #[error("the attribute is a secret of the card")]
    AttributeSensitive,
    #[error("the buffer is too small")]
    BufferTooSmall,
    #[error("only operating system locks are offered")]
    CantLock,
    #[error("the configuration: {0}")]
    Configuration(ConfigError),
    #[error("the data is of the wrong length for this key and mechanism")]
    DataLenRange,
    #[error("functions do not run in parallel with the application")]
    FunctionNotParallel,
    #[error("the function is not supported")]
    FunctionNotSupported,
    #[error("a number does not fit")]
    HostMemory,
    #[error("no such key")]
    KeyHandleInvalid,
    #[error("the key is not for this")]
    KeyFunctionNotPermitted,
    #[error("the key is of another type than the mechanism")]
    KeyTypeInconsistent,
    #[error("the mechanism is not offered on this slot")]
    MechanismInvalid,
    #[error("the mechanism's parameter is not one the card can honour")]
    MechanismParamInvalid,
    #[error("nothing happened in any slot")]
    NoEvent,
    #[error("the module is not initialised in this process")]
    NotInitialised,
    #[error("no such object")]
    ObjectHandleInvalid,
    #[error("another operation is active in the session")]
    OperationActive,
    #[error("no such operation is active in the session")]
    OperationNotInitialised,
    #[error("a call failed in a way it never should")]
    Panicked,
    #[error("this token has no random number generator")]
    RandomNoRng,
    #[error("the session is read-only")]
    SessionReadOnly,
    #[error("a read-only session is open")]
    SessionReadOnlyExists,
    #[error("a security officer is logged in")]
    SessionReadWriteSoExists,
    #[error("the signature is not one over this data by this key")]
    SignatureInvalid,
    #[error("the signature is of the wrong length")]
    SignatureLenRange,
    #[error("the encrypted data is of the wrong length")]
    EncryptedDataLenRange,
    #[error("the object does not allow this")]
    ActionProhibited,
    #[error("the attribute cannot be given this value")]
    AttributeReadOnly,
    #[error("the attribute cannot have such a value")]
    AttributeValueInvalid,
    #[error("the template contradicts the object")]
    TemplateInconsistent,
    #[error("the template lacks what this kind of object needs")]
    TemplateIncomplete,
    #[error("the token is write-protected")]
    TokenWriteProtected,
    #[error("the state of an operation cannot be taken out")]
    StateUnsaveable,
    #[error("no such session")]
    SessionHandleInvalid,
    #[error("sessions are serial")]
    SessionParallelNotSupported,
    #[error("no such slot")]
    SlotIdInvalid,
    #[error("no card in the reader")]
    TokenNotPresent,
    #[error("the card is none this module knows, or has no such application")]
    TokenNotRecognized,
    #[error("somebody else is already logged in")]
    UserAnotherAlreadyLoggedIn,
    #[error("the user is already logged in")]
    UserAlreadyLoggedIn,
    #[error("the user is not logged in")]
    UserNotLoggedIn,
    #[error("there is no such kind of user")]
    UserTypeInvalid,
    #[error(transparent)]
    Card(#[from] CardError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl Error {
    /// The CKR_ value of the cause.
    pub(crate) fn rv(&self) -> CK_RV {
        match self {
            Error::AlreadyInitialised => CKR_CRYPTOKI_ALREADY_INITIALIZED,
            Error::ArgumentsBad => CKR_ARGUMENTS_BAD,
            Error::AttributeTypeInvalid => CKR_ATTRIBUTE_TYPE_INVALID,
            Error::AttributeSensitive => CKR_ATTRIBUTE_SENSITIVE,
            Error::BufferTooSmall => CKR_BUFFER_TOO_SMALL,
            Error::CantLock => CKR_CANT_LOCK,
            Error::Configuration(_) | Error::Panicked => CKR_GENERAL_ERROR,
            Error::DataLenRange => CKR_DATA_LEN_RANGE,
            Error::FunctionNotParallel => CKR_FUNCTION_NOT_PARALLEL,
            Error::FunctionNotSupported => CKR_FUNCTION_NOT_SUPPORTED,
            Error::HostMemory => CKR_HOST_MEMORY,
            Error::KeyHandleInvalid => CKR_KEY_HANDLE_INVALID,
            Error::KeyFunctionNotPermitted => CKR_KEY_FUNCTION_NOT_PERMITTED,
            Error::KeyTypeInconsistent => CKR_KEY_TYPE_INCONSISTENT,
            Error::MechanismInvalid => CKR_MECHANISM_INVALID,
            Error::MechanismParamInvalid => CKR_MECHANISM_PARAM_INVALID,
            Error::NoEvent => CKR_NO_EVENT,
            Error::NotInitialised => CKR_CRYPTOKI_NOT_INITIALIZED,
            Error::ObjectHandleInvalid => CKR_OBJECT_HANDLE_INVALID,
            Error::OperationActive => CKR_OPERATION_ACTIVE,
            Error::OperationNotInitialised => CKR_OPERATION_NOT_INITIALIZED,
            Error::RandomNoRng => CKR_RANDOM_NO_RNG,
            Error::SessionReadOnly => CKR_SESSION_READ_ONLY,
            Error::SessionReadOnlyExists => CKR_SESSION_READ_ONLY_EXISTS,
            Error::SessionReadWriteSoExists => CKR_SESSION_READ_WRITE_SO_EXISTS,
            Error::UserAnotherAlreadyLoggedIn => CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
            Error::SignatureInvalid => CKR_SIGNATURE_INVALID,
            Error::SignatureLenRange => CKR_SIGNATURE_LEN_RANGE,
            Error::EncryptedDataLenRange => CKR_ENCRYPTED_DATA_LEN_RANGE,
            Error::ActionProhibited => CKR_ACTION_PROHIBITED,
            Error::AttributeReadOnly => CKR_ATTRIBUTE_READ_ONLY,
            Error::AttributeValueInvalid => CKR_ATTRIBUTE_VALUE_INVALID,
            Error::TemplateInconsistent => CKR_TEMPLATE_INCONSISTENT,
            Error::TemplateIncomplete => CKR_TEMPLATE_INCOMPLETE,
            Error::TokenWriteProtected => CKR_TOKEN_WRITE_PROTECTED,
            Error::StateUnsaveable => CKR_STATE_UNSAVEABLE,
            Error::SessionHandleInvalid => CKR_SESSION_HANDLE_INVALID,
            Error::SessionParallelNotSupported => CKR_SESSION_PARALLEL_NOT_SUPPORTED,
            Error::SlotIdInvalid => CKR_SLOT_ID_INVALID,
            Error::TokenNotPresent => CKR_TOKEN_NOT_PRESENT,
            Error::TokenNotRecognized => CKR_TOKEN_NOT_RECOGNIZED,
            Error::UserAlreadyLoggedIn => CKR_USER_ALREADY_LOGGED_IN,
            Error::UserNotLoggedIn => CKR_USER_NOT_LOGGED_IN,
            Error::UserTypeInvalid => CKR_USER_TYPE_INVALID,
            Error::Card(error) => card_rv(error),
            Error::Open(error) => open_rv(error),
            Error::Transport(error) => transport_rv(error),
        }
    }
}

/// What a session call answers when the card said no.
fn card_rv(error: &CardError) -> CK_RV {
    match error {
        CardError::PinIncorrect { .. } | CardError::PukIncorrect { .. } => CKR_PIN_INCORRECT,
        CardError::PinBlocked | CardError::PukBlocked => CKR_PIN_LOCKED,
        CardError::NewPinRefused => CKR_PIN_LEN_RANGE,
        CardError::PinPad(refusal) => match refusal {
            PinPadRefusal::Absent => CKR_ARGUMENTS_BAD,
            PinPadRefusal::Timeout | PinPadRefusal::Cancelled => CKR_FUNCTION_CANCELED,
            PinPadRefusal::Mismatch => CKR_PIN_INVALID,
            PinPadRefusal::Length => CKR_PIN_LEN_RANGE,
        },
        CardError::PukSetsNoPin => CKR_FUNCTION_REJECTED,
        CardError::PinNotUsable { .. } => CKR_PIN_EXPIRED,
        CardError::PinFormat(PinFormatError::Length { .. }) => CKR_PIN_LEN_RANGE,
        CardError::PinFormat(PinFormatError::NotDigits | PinFormatError::NotCapitals) => CKR_PIN_INVALID,
        CardError::NotLoggedIn | CardError::Reset => CKR_USER_NOT_LOGGED_IN,
        CardError::KeyMissing => CKR_KEY_HANDLE_INVALID,
        CardError::SchemeNotAllowed { .. } => CKR_MECHANISM_INVALID,
        CardError::InputLength { .. } => CKR_DATA_LEN_RANGE,
        CardError::CannotDecipher | CardError::CannotAgree => CKR_KEY_FUNCTION_NOT_PERMITTED,
        CardError::PointRefused { .. } => CKR_PUBLIC_KEY_INVALID,
        CardError::CryptogramRefused => CKR_ENCRYPTED_DATA_INVALID,
        CardError::Removed => CKR_DEVICE_REMOVED,
        CardError::Status { status, .. } => status_rv(*status),
        CardError::SignatureLength { .. } | CardError::SecretLength { .. } => CKR_DEVICE_ERROR,
        CardError::Transport(error) => transport_rv(error),
    }
}

/// Status words that [`CardError`] has no name for. What the driver cannot explain is the device's fault.
fn status_rv(status: StatusWord) -> CK_RV {
    match status.0 {
        0x6982 => CKR_USER_NOT_LOGGED_IN,
        0x6983 => CKR_PIN_LOCKED,
        0x6A80 => CKR_DATA_INVALID,
        0x6A81 => CKR_MECHANISM_INVALID,
        0x6A88 | 0x6988 => CKR_KEY_HANDLE_INVALID,
        _ => CKR_DEVICE_ERROR,
    }
}

/// What a slot call answers when a card could not be read.
fn open_rv(error: &OpenError) -> CK_RV {
    match error {
        OpenError::Foreign => CKR_TOKEN_NOT_RECOGNIZED,
        OpenError::Malformed { .. } | OpenError::Status { .. } => CKR_DEVICE_ERROR,
        OpenError::Transport(TransportError::NoCard | TransportError::Removed) => CKR_TOKEN_NOT_PRESENT,
        // Nobody was logged in yet.
        OpenError::Transport(TransportError::Reset) => CKR_DEVICE_ERROR,
        OpenError::Transport(error) => transport_rv(error),
    }
}

fn transport_rv(error: &TransportError) -> CK_RV {
    match error {
        TransportError::NoService
        | TransportError::UnknownReader { .. }
        | TransportError::NoCard
        | TransportError::Removed => CKR_DEVICE_REMOVED,
        TransportError::Sharing => CKR_FUNCTION_FAILED,
        TransportError::Reset => CKR_USER_NOT_LOGGED_IN,
        TransportError::Unresponsive
        | TransportError::NotTransacted
        | TransportError::Timeout
        | TransportError::Malformed { .. }
        | TransportError::Apdu(_)
        | TransportError::Secure(_)
        | TransportError::Io(_)
        | TransportError::Transcript(_)
        | TransportError::Pcsc(_) => CKR_DEVICE_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use card::pin::PinStatus;
    use card::profile::{Curve, SignatureScheme};

    use super::*;

    #[test]
    fn every_card_error_has_its_return_value() {
        let table = [
            (CardError::PinIncorrect { tries: 2 }, CKR_PIN_INCORRECT),
            (CardError::PinBlocked, CKR_PIN_LOCKED),
            (CardError::PukIncorrect { uses: 9 }, CKR_PIN_INCORRECT),
            (CardError::PukBlocked, CKR_PIN_LOCKED),
            (CardError::NewPinRefused, CKR_PIN_LEN_RANGE),
            (CardError::PinPad(PinPadRefusal::Absent), CKR_ARGUMENTS_BAD),
            (CardError::PinPad(PinPadRefusal::Timeout), CKR_FUNCTION_CANCELED),
            (CardError::PinPad(PinPadRefusal::Cancelled), CKR_FUNCTION_CANCELED),
            (CardError::PinPad(PinPadRefusal::Mismatch), CKR_PIN_INVALID),
            (CardError::PinPad(PinPadRefusal::Length), CKR_PIN_LEN_RANGE),
            (CardError::PukSetsNoPin, CKR_FUNCTION_REJECTED),
            (CardError::PinNotUsable { status: PinStatus::TransportPin }, CKR_PIN_EXPIRED),
            (PinFormatError::Length { got: 3, min: 6, max: 8 }.into(), CKR_PIN_LEN_RANGE),
            (PinFormatError::NotDigits.into(), CKR_PIN_INVALID),
            (CardError::NotLoggedIn, CKR_USER_NOT_LOGGED_IN),
            (CardError::KeyMissing, CKR_KEY_HANDLE_INVALID),
            (CardError::SchemeNotAllowed { scheme: SignatureScheme::RsaPkcs1 }, CKR_MECHANISM_INVALID),
            (CardError::InputLength { expected: 48, got: 32 }, CKR_DATA_LEN_RANGE),
            (CardError::CannotDecipher, CKR_KEY_FUNCTION_NOT_PERMITTED),
            (CardError::CryptogramRefused, CKR_ENCRYPTED_DATA_INVALID),
            (CardError::CannotAgree, CKR_KEY_FUNCTION_NOT_PERMITTED),
            (CardError::PointRefused { curve: Curve::P256 }, CKR_PUBLIC_KEY_INVALID),
            (CardError::SecretLength { expected: 32, got: 0 }, CKR_DEVICE_ERROR),
            (CardError::Removed, CKR_DEVICE_REMOVED),
            (CardError::Reset, CKR_USER_NOT_LOGGED_IN),
            (CardError::SignatureLength { expected: 96, got: 95 }, CKR_DEVICE_ERROR),
            (CardError::Transport(TransportError::Sharing), CKR_FUNCTION_FAILED),
        ];
        for (error, expected) in table {
            assert_eq!(card_rv(&error), expected, "{error}");
        }
    }

    #[test]
    fn every_status_word_has_its_return_value() {
        let table = [
            (0x6982, CKR_USER_NOT_LOGGED_IN),
            (0x6983, CKR_PIN_LOCKED),
            (0x6A80, CKR_DATA_INVALID),
            (0x6A81, CKR_MECHANISM_INVALID),
            (0x6A88, CKR_KEY_HANDLE_INVALID),
            (0x6988, CKR_KEY_HANDLE_INVALID),
            (0x6985, CKR_DEVICE_ERROR),
            (0x6400, CKR_DEVICE_ERROR),
            (0x6700, CKR_DEVICE_ERROR),
            (0x6F00, CKR_DEVICE_ERROR),
        ];
        for (status, expected) in table {
            let error = CardError::Status { command: "test", status: StatusWord(status) };
            assert_eq!(Error::from(error).rv(), expected, "{status:04X}");
        }
    }

    #[test]
    fn every_transport_error_has_its_return_value() {
        let io = std::io::Error::other("broken");
        let table = [
            (TransportError::NoService, CKR_DEVICE_REMOVED),
            (TransportError::UnknownReader { name: "x".into() }, CKR_DEVICE_REMOVED),
            (TransportError::NoCard, CKR_DEVICE_REMOVED),
            (TransportError::Unresponsive, CKR_DEVICE_ERROR),
            (TransportError::Removed, CKR_DEVICE_REMOVED),
            (TransportError::Reset, CKR_USER_NOT_LOGGED_IN),
            (TransportError::Sharing, CKR_FUNCTION_FAILED),
            (TransportError::NotTransacted, CKR_DEVICE_ERROR),
            (TransportError::Timeout, CKR_DEVICE_ERROR),
            (TransportError::Malformed { what: "answer", length: 1 }, CKR_DEVICE_ERROR),
            (TransportError::Io(io), CKR_DEVICE_ERROR),
        ];
        for (error, expected) in table {
            assert_eq!(Error::from(error).rv(), expected);
        }
    }

    #[test]
    fn a_card_that_cannot_be_read_is_not_a_token() {
        let table = [
            (OpenError::Foreign, CKR_TOKEN_NOT_RECOGNIZED),
            (OpenError::Malformed { file: "EF.GDO" }, CKR_DEVICE_ERROR),
            (OpenError::Transport(TransportError::NoCard), CKR_TOKEN_NOT_PRESENT),
            (OpenError::Transport(TransportError::Removed), CKR_TOKEN_NOT_PRESENT),
            (OpenError::Transport(TransportError::Sharing), CKR_FUNCTION_FAILED),
        ];
        for (error, expected) in table {
            assert_eq!(Error::from(error).rv(), expected);
        }
    }
}
