//! A health professional card: certificates, PINs, signatures.

use std::fmt;

use session::{Connection, Place, Session};
use zeroize::Zeroizing;

use crate::apdu::Channel;
use crate::identify::{CardKind, identify};
use crate::pin::{Pin, PinStatus};
use crate::profile::{
    Application, ApplicationProfile, DecipherScheme, Dialect, KeyProfile, PinFormat, Profile, SignatureScheme,
};
use crate::transport::{PinPad, Traffic, Transport, WholeAnswers};

mod agree;
mod beid;
mod budget;
mod commands;
mod decipher;
mod error;
mod esteid;
mod jpki;
mod known;
mod login;
mod open;
mod pins;
mod piv;
mod session;
mod sign;
#[cfg(test)]
mod tests;

pub use error::{CardError, OpenError, PinPadRefusal};
pub use known::{Clue, KnownCertificates, Recall};
pub(crate) use open::select_home;

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
    /// Whether certificates were read that no earlier reading knew.
    fresh: bool,
    /// Whether everything that is missing is not on the card, rather than not readable this time.
    complete: bool,
    sessions: Vec<Session>,
    connection: Connection,
    /// Whether asking for a logical channel makes sense on this card.
    has_channels: bool,
    /// Channels that a broken connection left open.
    orphans: Vec<Channel>,
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
    /// Certificates that stand behind it in the same file, DER: those of its issuers, if the card has them.
    pub issuers: Vec<Vec<u8>>,
}

impl Hpc {
    /// Identifies the card and reads serial number and all certificates, in one exclusive section and with ten commands. Keys whose certificate file is absent or empty are left out.
    ///
    /// # Errors
    /// [`OpenError::Foreign`] for every other card.
    pub fn open(transport: Box<dyn Transport>) -> Result<Hpc, OpenError> {
        Hpc::begin(transport, |hpc| hpc.read_all(None))
    }

    /// Learns which card it is, and no more than that if it has logical channels: [`Hpc::look_at`] reads what an
    /// application needs. Of another card everything is read. What `recall` knows from an earlier reading is not read
    /// again if the card agrees; it may be asked by a certificate of `application`, the one that is likely to be used.
    ///
    /// # Errors
    /// As [`Hpc::open`].
    pub fn recognise(
        transport: Box<dyn Transport>,
        application: Application,
        recall: Option<&Recall<'_>>,
    ) -> Result<Hpc, OpenError> {
        Hpc::begin(transport, |hpc| hpc.recognise_card(application, recall))
    }

    fn begin(
        transport: Box<dyn Transport>,
        read: impl FnOnce(&mut Hpc) -> Result<(), OpenError>,
    ) -> Result<Hpc, OpenError> {
        let mut transport = Box::new(WholeAnswers::new(transport));
        transport.begin()?;
        let kind = identify(&mut *transport);
        let Ok(CardKind::Hpc(profile)) = kind else {
            end(&mut *transport);
            return kind.map_or_else(|error| Err(error.into()), |_| Err(OpenError::Foreign));
        };
        let session =
            |application: &ApplicationProfile| Session::new(application.application, &application.pin);
        let mut hpc = Hpc {
            sessions: profile.applications.iter().map(session).collect(),
            transport,
            profile,
            iccsn: String::new(),
            keys: Vec::new(),
            fresh: false,
            complete: profile.dialect == Dialect::Cos,
            connection: Connection::Good,
            has_channels: profile.logical_channels,
            orphans: Vec::new(),
        };
        let read = read(&mut hpc);
        end(&mut *hpc.transport);
        read.map(|()| hpc)
    }

    /// Reads the certificates of an application that was not looked at yet. It gets a logical channel of its own, if there
    /// is one, so that a login is VERIFY alone.
    ///
    /// # Errors
    /// Those of the transport, and [`CardError::Status`] if the card refuses.
    pub fn look_at(&mut self, application: Application) -> Result<(), CardError> {
        if self.looked_at(application) { Ok(()) } else { self.section(|hpc| hpc.enter_and_read(application)) }
    }

    /// Whether the certificates of an application have been read, or seen to be known.
    pub fn looked_at(&self, application: Application) -> bool {
        self.sessions.iter().any(|session| session.application == application && session.looked_at)
    }

    /// The card's profile.
    pub fn profile(&self) -> &'static Profile {
        self.profile
    }

    /// Serial number (ICCSN), 20 digits. Personal: keep it out of logs.
    pub fn iccsn(&self) -> &str {
        &self.iccsn
    }

    /// The keys that have a certificate, in the order of the profile; of the applications that have been looked at.
    pub fn keys(&self) -> &[CardKey] {
        &self.keys
    }

    /// The certificates for [`Hpc::recognise`] next time; `None` if they came from there, or if some could not be read
    /// though the card may have them.
    pub fn to_remember(&self) -> Option<KnownCertificates> {
        let file = |key: &CardKey| [key.certificate.clone(), key.issuers.concat()].concat();
        let keys = self.keys.iter().map(|key| (key.profile.id, file(key)));
        (self.fresh && self.complete && !self.keys.is_empty()).then(|| keys.collect())
    }

    /// The PIN state as last seen, without asking the card: unknown before the first use of the PIN.
    pub fn pin_status(&self, application: Application) -> PinStatus {
        let session = self.sessions.iter().find(|session| session.application == application);
        session.map_or(PinStatus::Unknown, |session| session.pin)
    }

    /// Whether this value has logged in to the application and the login has not been lost as far as is known.
    /// [`PinStatus::Verified`] alone may be another program's login. Asks nobody.
    pub fn is_logged_in(&self, application: Application) -> bool {
        self.sessions.iter().any(|session| session.application == application && session.logged_in)
    }

    /// Commands and bytes exchanged so far.
    pub fn traffic(&self) -> Traffic {
        self.transport.traffic()
    }

    /// Enters a PIN. It is sent at most once, whatever happens.
    ///
    /// # Errors
    /// [`CardError::PinIncorrect`] with the tries left. After every error but [`CardError::PinFormat`] the
    /// application is logged out.
    pub fn verify_pin(&mut self, application: Application, pin: &Pin) -> Result<(), CardError> {
        self.log_in(application, pin)
    }

    /// What the reader's own PIN pad can be used for.
    pub fn pin_pad(&self) -> PinPad {
        let mut formats = self.profile.applications.iter().map(|application| application.pin.format);
        if formats.all(|format| format == PinFormat::Format2) {
            self.transport.pin_pad()
        } else {
            PinPad::default()
        }
    }

    /// As [`Hpc::verify_pin`], with the PIN entered on the reader's pad. Takes as long as the user does.
    ///
    /// # Errors
    /// [`CardError::PinPad`] if the card was not asked; else as [`Hpc::verify_pin`].
    pub fn verify_pin_on_pad(&mut self, application: Application) -> Result<(), CardError> {
        self.log_in_on_pad(application)
    }

    /// As [`Hpc::change_pin`], with both PINs entered on the reader's pad.
    ///
    /// # Errors
    /// [`CardError::PinPad`] if the card was not asked to change anything; else as [`Hpc::change_pin`].
    pub fn change_pin_on_pad(&mut self, application: Application) -> Result<(), CardError> {
        self.replace_pin_on_pad(application)
    }

    /// Asks the card for the state of a PIN; at most three commands, no try.
    ///
    /// # Errors
    /// Those of the transport.
    pub fn ask_pin_status(&mut self, application: Application) -> Result<PinStatus, CardError> {
        self.read_pin_status(application)
    }

    /// What is left of the PUK, as far as an answer of the card has told: its uses stand where a PIN has its tries.
    pub fn puk_status(&self, application: Application) -> PinStatus {
        let session = self.sessions.iter().find(|session| session.application == application);
        session.map_or(PinStatus::Unknown, |session| session.puk)
    }

    /// Changes a PIN; also the way from the transport PIN to the first PIN of one's own. Both values are sent at most
    /// once. Asks for the state of the PIN before, so that a value that cannot be right costs no try. A login that is
    /// in force stays.
    ///
    /// # Errors
    /// [`CardError::PinFormat`] for an old value of another length than the PIN has in its present state, or a new one
    /// that is no PIN for this card; [`CardError::PinIncorrect`] with the tries left: the old value was wrong, and the
    /// application is logged out.
    pub fn change_pin(&mut self, application: Application, old: &Pin, new: &Pin) -> Result<(), CardError> {
        self.replace_pin(application, old, new)
    }

    /// Gives a blocked PIN its tries back by the PUK; sets a new PIN on the way if one is given and the card's rules
    /// allow it ([`PinProfile::puk_sets_pin`](crate::profile::PinProfile::puk_sets_pin)). Each call that reaches the card
    /// costs one of the PUK's few uses. Logs nobody in.
    ///
    /// # Errors
    /// [`CardError::PukIncorrect`] with the uses left, [`CardError::PukBlocked`]; [`CardError::PukSetsNoPin`] before
    /// anything is sent.
    pub fn unblock_pin(
        &mut self,
        application: Application,
        puk: &Pin,
        new: Option<&Pin>,
    ) -> Result<(), CardError> {
        self.use_puk(application, puk, new)
    }

    /// As [`Hpc::unblock_pin`], with the PUK entered on the reader's pad, and twice a new PIN if one is set. Takes as long as
    /// the user does.
    ///
    /// # Errors
    /// [`CardError::PinPad`] if the card was not asked, which costs no use of the PUK; else as [`Hpc::unblock_pin`].
    pub fn unblock_pin_on_pad(&mut self, application: Application, sets_pin: bool) -> Result<(), CardError> {
        self.use_puk_on_pad(application, sets_pin)
    }

    /// Signs with the key whose [`KeyProfile::id`] is `key_id`.
    ///
    /// `input` is the digest, exactly as long as the curve's field ([`SignatureScheme::Ecdsa`], answer r||s) or 32
    /// bytes ([`SignatureScheme::RsaPssSha256`]), or a DigestInfo ([`SignatureScheme::RsaPkcs1`]).
    ///
    /// # Errors
    /// [`CardError::NotLoggedIn`] without a login, or when the card's signature budget is used up.
    pub fn sign(&mut self, key_id: u8, scheme: SignatureScheme, input: &[u8]) -> Result<Vec<u8>, CardError> {
        self.sign_input(key_id, scheme, input)
    }

    /// Deciphers with the key whose [`KeyProfile::id`] is `key_id`.
    ///
    /// `cryptogram` is as long as the modulus ([`DecipherScheme::RsaOaepSha256`]), or a template with tag A6
    /// ([`DecipherScheme::Elc`]).
    ///
    /// # Errors
    /// [`CardError::CryptogramRefused`] for what the key does not open; [`CardError::NotLoggedIn`] without a login.
    pub fn decipher(
        &mut self,
        key_id: u8,
        scheme: DecipherScheme,
        cryptogram: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CardError> {
        self.open_cryptogram(key_id, scheme, cryptogram)
    }

    /// Agrees on a secret with somebody who has another key on the same curve: the x-coordinate of the point that the key
    /// whose [`KeyProfile::id`] is `key_id` and theirs have in common (NIST SP 800-56A clause 5.7.1.2), as long as the
    /// curve's field. Nothing is derived from it.
    ///
    /// `point` is their public key, `04‖x‖y`. It is checked before the card is asked.
    ///
    /// # Errors
    /// [`CardError::PointRefused`], [`CardError::CannotAgree`]; [`CardError::NotLoggedIn`] without a login.
    pub fn agree(&mut self, key_id: u8, point: &[u8]) -> Result<Zeroizing<Vec<u8>>, CardError> {
        self.agree_on_secret(key_id, point)
    }

    /// Ends the login of an application; two commands at most. Without a login, does nothing. A channel of its own stays
    /// its own, so that the next login is as cheap as the first.
    ///
    /// # Errors
    /// The connection failed; the application counts as logged out nevertheless.
    pub fn logout(&mut self, application: Application) -> Result<(), CardError> {
        self.log_out(application)
    }

    /// How many signatures one PIN entry allows (EF.SSEC); `None` if the card sets no limit or does not say. Read at
    /// the first call, remembered afterwards.
    ///
    /// # Errors
    /// Those of the transport.
    pub fn signatures_per_pin(&mut self, application: Application) -> Result<Option<u32>, CardError> {
        self.read_budget(application)
    }
}

/// Closes the card's channels as well as that is possible; no error is told. A process that inherited the value through
/// fork must forget it instead (`std::mem::forget`): the card belongs to the parent.
impl Drop for Hpc {
    fn drop(&mut self) {
        let open = self.sessions.iter().filter(|session| session.place != Place::Nowhere);
        let applications: Vec<_> = open.map(|session| session.application).collect();
        for application in applications {
            if let Err(error) = self.leave(application) {
                tracing::debug!(%error, "logout of a dropped card");
            }
        }
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

fn end(transport: &mut dyn Transport) {
    if let Err(error) = transport.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
}
