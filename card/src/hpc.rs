//! A health professional card: certificates, PINs, signatures.

use std::fmt;

use crate::pin::{Pin, PinStatus};
use crate::profile::{Application, KeyProfile, Profile, SignatureScheme};
use crate::transport::{Traffic, Transport};

mod error;

pub use error::{CardError, OpenError};

/// An identified card with everything that was read from it. All questions about it are answered from memory; only
/// the methods that return a `Result` talk to the card.
///
/// A reset by another program drops the login, not the card: the call that notices it fails with
/// [`CardError::Reset`], the next login starts afresh. A removed card stays removed: drop the value and open again.
pub struct Hpc {
    transport: Box<dyn Transport>,
    profile: &'static Profile,
    iccsn: String,
    keys: Vec<CardKey>,
}

/// A private key on the card with its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardKey {
    /// Where the key lives.
    pub application: Application,
    /// Its data.
    pub profile: &'static KeyProfile,
    /// The X.509 certificate, DER.
    pub certificate: Vec<u8>,
}

impl Hpc {
    /// Identifies the card and reads serial number, certificates and PIN states, in one exclusive section and with
    /// twelve commands. Keys whose certificate file is absent or empty are left out.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] for every other card.
    pub fn open(_transport: Box<dyn Transport>) -> Result<Hpc, OpenError> {
        Err(OpenError::Foreign)
    }

    /// The card's profile.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Serial number (ICCSN), 20 digits. Personal: keep it out of logs.
    pub fn iccsn(&self) -> &str {
        &self.iccsn
    }

    /// The keys that have a certificate, in the order of the profile.
    pub fn keys(&self) -> &[CardKey] {
        &self.keys
    }

    /// The PIN state as last seen, without asking the card.
    pub fn pin_status(&self, _application: Application) -> PinStatus {
        PinStatus::Unknown
    }

    /// Commands and bytes exchanged so far.
    pub fn traffic(&self) -> Traffic {
        self.transport.traffic()
    }

    /// Enters a PIN. It is sent at most once, whatever happens.
    ///
    /// # Errors
    /// [`CardError::PinIncorrect`] with the tries left; every error leaves the application logged out.
    pub fn verify_pin(&mut self, _application: Application, _pin: &Pin) -> Result<(), CardError> {
        Err(CardError::Removed)
    }

    /// Signs with the key whose [`KeyProfile::id`] is `key_id`.
    ///
    /// `input` is the digest, exactly as long as the curve's field ([`SignatureScheme::Ecdsa`], answer r||s) or 32
    /// bytes ([`SignatureScheme::RsaPssSha256`]), or a DigestInfo ([`SignatureScheme::RsaPkcs1`]).
    ///
    /// # Errors
    /// [`CardError::NotLoggedIn`] without a login, or when the card's signature budget is used up.
    pub fn sign(
        &mut self,
        _key_id: u8,
        _scheme: SignatureScheme,
        _input: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        Err(CardError::Removed)
    }

    /// Ends the login of an application; one command at most. Without a login, does nothing.
    ///
    /// # Errors
    /// The connection failed; the application counts as logged out nevertheless.
    pub fn logout(&mut self, _application: Application) -> Result<(), CardError> {
        Err(CardError::Removed)
    }

    /// How many signatures one PIN entry allows (EF.SSEC); `None` if the card sets no limit or does not say. Read at
    /// the first call, remembered afterwards.
    ///
    /// # Errors
    /// Those of the transport.
    pub fn signatures_per_pin(&mut self, _application: Application) -> Result<Option<u32>, CardError> {
        Ok(None)
    }
}

/// Shows the profile and the number of keys, nothing personal.
impl fmt::Debug for Hpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hpc")
            .field("profile", &self.profile.name)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}
