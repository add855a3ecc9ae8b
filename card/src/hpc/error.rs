//! What can go wrong with a health professional card, by cause.

use crate::pin::{PinFormatError, PinStatus};
use crate::profile::{Curve, SignatureScheme};
use crate::status::StatusWord;
use crate::transport::TransportError;

/// Why a card could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a health professional card this crate knows.
    #[error("not a known health professional card")]
    Foreign,
    /// A file of the card does not hold what its specification says.
    #[error("{file} of the card is malformed")]
    Malformed {
        /// Name of the file.
        file: &'static str,
    },
    /// The card refused a command.
    #[error("{command}: {status}")]
    Status {
        /// What was asked.
        command: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// What ended an entry on a PIN pad. The card was not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PinPadRefusal {
    /// The reader has no pad for this.
    #[error("the reader has none for this")]
    Absent,
    /// Nobody entered anything in time.
    #[error("nothing was entered in time")]
    Timeout,
    /// The user pressed the cancel key.
    #[error("the entry was cancelled")]
    Cancelled,
    /// The new PIN was entered differently the second time.
    #[error("the new PINs are not the same")]
    Mismatch,
    /// Too few or too many digits.
    #[error("too few or too many digits")]
    Length,
}

/// Why an operation with a card failed.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// Wrong PIN; the card has one try fewer.
    #[error("wrong PIN, {tries} tries left")]
    PinIncorrect {
        /// Tries left, at least 1.
        tries: u8,
    },
    /// The PIN is blocked, now or since long.
    #[error("the PIN is blocked")]
    PinBlocked,
    /// Wrong PUK; the card accepts one PUK fewer. Right ones count too.
    #[error("wrong PUK, {uses} uses left")]
    PukIncorrect {
        /// Uses left, at least 1.
        uses: u8,
    },
    /// The PUK has been used as often as it can be.
    #[error("the PUK is used up")]
    PukBlocked,
    /// The card does not take this as a new PIN.
    #[error("the card refuses the new PIN")]
    NewPinRefused,
    /// The card's PUK gives a PIN its tries back but sets no other PIN; nothing was sent.
    #[error("the PUK of this PIN sets no new PIN")]
    PukSetsNoPin,
    /// Nothing was entered on the reader's PIN pad that could be sent to the card.
    #[error("PIN pad: {0}")]
    PinPad(PinPadRefusal),
    /// The PIN must be set first.
    #[error("the PIN cannot be used yet: it must be set first ({status:?})")]
    PinNotUsable {
        /// [`PinStatus::TransportPin`] or [`PinStatus::EmptyPin`].
        status: PinStatus,
    },
    /// The PIN cannot be right; nothing was sent.
    #[error(transparent)]
    PinFormat(#[from] PinFormatError),
    /// No PIN entered, the entry used up or lost.
    #[error("the PIN has not been entered, or the entry is used up")]
    NotLoggedIn,
    /// No such key on this card.
    #[error("no such key on this card")]
    KeyMissing,
    /// The key does not do this.
    #[error("the key does not sign with {scheme}")]
    SchemeNotAllowed {
        /// What was asked for.
        scheme: SignatureScheme,
    },
    /// The key does not decipher, or not so.
    #[error("the key does not decipher this way")]
    CannotDecipher,
    /// What was to be deciphered was not made for this key, or was damaged.
    #[error("the cryptogram is not one for this key")]
    CryptogramRefused,
    /// The key gives out no secret that it has in common with another one.
    #[error("the key does not agree on secrets")]
    CannotAgree,
    /// The other side's public key is not an uncompressed point on the key's curve; nothing was sent.
    #[error("the other side's public key is no uncompressed point on {curve}")]
    PointRefused {
        /// The curve of the card's key.
        curve: Curve,
    },
    /// The card answered with something else than a secret.
    #[error("common secret of {got} bytes, expected {expected}")]
    SecretLength {
        /// Bytes expected.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// Input of the wrong length; nothing was sent. For [`SignatureScheme::RsaPkcs1`] `expected` is the maximum.
    #[error("input of {got} bytes, expected {expected}")]
    InputLength {
        /// Bytes expected.
        expected: usize,
        /// Bytes given.
        got: usize,
    },
    /// The card was pulled or swapped. Open it again.
    #[error("the card was removed")]
    Removed,
    /// The card was reset by another program; logins are gone, the card is still there.
    #[error("the card was reset by another program")]
    Reset,
    /// The card refused a command.
    #[error("{command}: {status}")]
    Status {
        /// What was asked.
        command: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// The card answered with something else than a signature.
    #[error("signature of {got} bytes, expected {expected}")]
    SignatureLength {
        /// Bytes expected.
        expected: usize,
        /// Bytes received.
        got: usize,
    },
    /// The connection failed; logins are gone.
    #[error(transparent)]
    Transport(TransportError),
}
