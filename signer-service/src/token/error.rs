//! What can go wrong between the service and a card behind PKCS#11, in the service's own words.
//!
//! The return values of a module (PKCS#11 3.1 clause 5.1) are translated here and nowhere else.

use cryptoki::{context::Function, error::RvError};
use thiserror::Error;

/// Why a token could not be used. No text holds a PIN, a serial number or a name of a person.
#[derive(Debug, Error)]
pub enum TokenError {
    /// The module cannot be loaded or initialised.
    #[error("PKCS#11 module {path}: {reason}")]
    Load {
        /// Path of the shared library.
        path: String,
        /// What the loader or the module says.
        reason: String,
    },
    /// The module knows no reader.
    #[error("no card reader is connected")]
    NoReader,
    /// No reader holds a card.
    #[error("no health professional card in any reader")]
    NoCard,
    /// The readers hold cards, but none the module can use.
    #[error("the card is not a health professional card")]
    ForeignCard,
    /// The selector fits no token.
    #[error("no plugged card fits the selection")]
    NotFound,
    /// Several tokens fit.
    #[error("{count} cards fit: name one by token label or serial number")]
    Several {
        /// How many.
        count: usize,
    },
    /// No certificate for the purpose, or no private key that belongs to it.
    #[error("the card has no {what} for {purpose}")]
    NoKey {
        /// Certificate or private key.
        what: &'static str,
        /// The purpose.
        purpose: &'static str,
    },
    /// The key cannot do what is needed of it.
    #[error("the key cannot be used: {0}")]
    KeyNotUsable(String),
    /// No PIN was given and the token has no entry of its own.
    #[error("a PIN is required")]
    PinRequired,
    /// The PIN has not the form the card wants.
    #[error("the PIN has not the length or the characters the card expects")]
    PinFormat,
    /// The card counted a wrong PIN.
    #[error("the PIN is wrong{0}")]
    PinIncorrect(Tries),
    /// A wrong PIN would block it.
    #[error("one try is left: the PIN was not sent, because the request did not ask to use the last one")]
    LastTry,
    /// No try is left.
    #[error("the PIN is blocked")]
    PinBlocked,
    /// Transport PIN, or no PIN yet.
    #[error("the card has no PIN of its holder yet (transport PIN): it has to be set first")]
    PinNotSet,
    /// Cancelled or timed out at the key pad.
    #[error("PIN entry was cancelled or timed out")]
    PinEntryCancelled,
    /// The card does not accept the login for this signature.
    #[error("the card did not accept the PIN for this signature")]
    NotLoggedIn,
    /// The card went away, or was swapped or reset.
    #[error("the card was removed or reset")]
    Removed,
    /// Anything else.
    #[error("the card or its module failed: {0}")]
    Module(ModuleError),
}

/// What the module knows of the tries that are left. PKCS#11 has flags for it, not a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tries {
    /// Fewer than the card allows, but more than one.
    Low,
    /// One.
    Final,
    /// None.
    None,
    /// The module does not say.
    Unknown,
}

/// A failure without a name of its own here: which function answered what.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct ModuleError(String);

impl ModuleError {
    /// Return value and function, e.g. "DeviceError from Sign".
    pub fn code(&self) -> &str {
        &self.0
    }
}

impl Tries {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Tries::Low => "low",
            Tries::Final => "final",
            Tries::None => "none",
            Tries::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Tries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Tries::Low => "; at least 2 tries are left",
            Tries::Final => "; one try is left",
            Tries::None => "; no try is left, it is blocked now",
            Tries::Unknown => "",
        })
    }
}

impl From<cryptoki::error::Error> for TokenError {
    fn from(error: cryptoki::error::Error) -> Self {
        match error {
            cryptoki::error::Error::Pkcs11(value, function) => from_return_value(value, function),
            other => TokenError::Module(ModuleError(other.to_string())),
        }
    }
}

fn from_return_value(value: RvError, function: Function) -> TokenError {
    match value {
        RvError::PinIncorrect => TokenError::PinIncorrect(Tries::Unknown),
        RvError::PinInvalid | RvError::PinLenRange => TokenError::PinFormat,
        RvError::PinLocked => TokenError::PinBlocked,
        RvError::PinExpired | RvError::UserPinNotInitialized => TokenError::PinNotSet,
        RvError::FunctionCanceled | RvError::Cancel => TokenError::PinEntryCancelled,
        RvError::UserNotLoggedIn => TokenError::NotLoggedIn,
        RvError::DeviceRemoved
        | RvError::TokenNotPresent
        | RvError::SessionHandleInvalid
        | RvError::SessionClosed
        | RvError::ObjectHandleInvalid
        | RvError::KeyHandleInvalid => TokenError::Removed,
        RvError::TokenNotRecognized => TokenError::ForeignCard,
        RvError::MechanismInvalid
        | RvError::MechanismParamInvalid
        | RvError::KeyFunctionNotPermitted
        | RvError::KeyTypeInconsistent
        | RvError::KeySizeRange => TokenError::KeyNotUsable(format!("{value:?}")),
        other => TokenError::Module(ModuleError(format!("{other:?} from {function:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(value: RvError) -> TokenError {
        cryptoki::error::Error::Pkcs11(value, Function::Sign).into()
    }

    #[test]
    fn each_fault_of_a_card_has_its_own_error() {
        assert!(matches!(translated(RvError::PinIncorrect), TokenError::PinIncorrect(Tries::Unknown)));
        assert!(matches!(translated(RvError::PinLocked), TokenError::PinBlocked));
        assert!(matches!(translated(RvError::PinExpired), TokenError::PinNotSet));
        assert!(matches!(translated(RvError::PinLenRange), TokenError::PinFormat));
        assert!(matches!(translated(RvError::DeviceRemoved), TokenError::Removed));
        assert!(matches!(translated(RvError::SessionHandleInvalid), TokenError::Removed));
        assert!(matches!(translated(RvError::TokenNotRecognized), TokenError::ForeignCard));
        assert!(matches!(translated(RvError::UserNotLoggedIn), TokenError::NotLoggedIn));
        assert!(matches!(translated(RvError::MechanismInvalid), TokenError::KeyNotUsable(_)));
    }

    #[test]
    fn an_unnamed_return_value_keeps_value_and_function() {
        let TokenError::Module(error) = translated(RvError::DeviceError) else { panic!() };
        assert_eq!(error.code(), "DeviceError from Sign");
    }
}
