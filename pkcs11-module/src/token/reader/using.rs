//! What a card is used for: logins, and what they allow. Each function takes the card for the generation its session was
//! opened in.

use card::hpc::{CardError, Hpc};
use card::pin::Pin;
use card::profile::{Application, DecipherScheme, PinProfile, SignatureScheme};
use card::transport::TransportError;
use cryptoki_sys::{CK_SESSION_HANDLE, CKR_PIN_LOCKED};
use zeroize::Zeroizing;

use super::{Link, Reader};
use crate::config::PinPad;
use crate::error::{Error, Result};
use crate::token::lock;
use crate::token::login::OnCard;
use crate::token::snapshot::name;

impl Reader {
    /// C_Login(CKU_USER).
    pub(crate) fn login_user(
        &self,
        application: Application,
        generation: u64,
        pin: Option<&[u8]>,
    ) -> Result<()> {
        let mut link = self.link()?;
        self.slot(application, generation, |slot| slot.login.check_user_login())??;
        let pin = self.user_pin(application, pin)?;
        if let Err(error) = self.verify(&mut link, generation, application, pin.as_ref()) {
            self.slot(application, generation, |slot| slot.login.user_refused()).ok();
            return Err(error);
        }
        let on_card = self.slot(application, generation, |slot| slot.login.user_accepted())?;
        tracing::info!(token = name(application), "user logged in");
        self.end_on_card(&mut link, application, on_card);
        Ok(())
    }

    /// C_Login(CKU_CONTEXT_SPECIFIC) for the operation of a session.
    pub(crate) fn login_context(
        &self,
        application: Application,
        generation: u64,
        session: CK_SESSION_HANDLE,
        pin: Option<&[u8]>,
    ) -> Result<()> {
        let mut link = self.link()?;
        let pin = self.user_pin(application, pin)?;
        if let Err(error) = self.verify(&mut link, generation, application, pin.as_ref()) {
            let blocked = error.rv() == CKR_PIN_LOCKED;
            self.slot(application, generation, |slot| slot.login.context_refused(blocked)).ok();
            return Err(error);
        }
        self.slot(application, generation, |slot| slot.login.context_accepted(session))
    }

    /// C_Logout, or the end of a token's last session. A login of another generation is not touched.
    pub(crate) fn logout(&self, application: Application, generation: u64) -> Result<()> {
        // Sessions that end without a login must not wait for a card that waits for its PIN pad.
        if self.slot(application, generation, |slot| slot.login.is_over()).unwrap_or(true) {
            return Ok(());
        }
        let mut link = self.link()?;
        if lock(&self.view).logout(application, generation) {
            self.end_on_card(&mut link, application, OnCard::End);
        }
        Ok(())
    }

    /// The operation of a session ended without a signature.
    pub(crate) fn operation_ended(
        &self,
        application: Application,
        generation: u64,
        session: CK_SESSION_HANDLE,
    ) -> Result<()> {
        if let Ok(OnCard::End) =
            self.slot(application, generation, |slot| slot.login.operation_ended(session))
        {
            let mut link = self.link()?;
            self.end_on_card(&mut link, application, OnCard::End);
        }
        Ok(())
    }

    /// Signs. The right to do so is spent before the card is asked: one PIN entry never makes two signatures.
    pub(crate) fn sign(
        &self,
        application: Application,
        generation: u64,
        session: CK_SESSION_HANDLE,
        key: u8,
        (scheme, input): (SignatureScheme, &[u8]),
    ) -> Result<Vec<u8>> {
        self.use_key((application, generation, session), |hpc| hpc.sign(key, scheme, input))
    }

    /// Deciphers, with the same right as a signature.
    pub(crate) fn decipher(
        &self,
        application: Application,
        generation: u64,
        session: CK_SESSION_HANDLE,
        key: u8,
        (scheme, cryptogram): (DecipherScheme, &[u8]),
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.use_key((application, generation, session), |hpc| hpc.decipher(key, scheme, cryptogram))
    }

    /// Agrees on a secret with the other side's point, with the same right as a signature.
    pub(crate) fn agree(
        &self,
        application: Application,
        generation: u64,
        session: CK_SESSION_HANDLE,
        key: u8,
        point: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>> {
        self.use_key((application, generation, session), |hpc| hpc.agree(key, point))
    }

    /// Whether a PIN may come from where it comes from.
    pub(crate) fn check_where_entered(&self, has_pad: bool, on_pad: bool) -> Result<()> {
        let pad_only = has_pad && self.source.config().pin_pad == PinPad::Only;
        if on_pad && !has_pad || !on_pad && pad_only { Err(Error::ArgumentsBad) } else { Ok(()) }
    }

    /// Lengths of the PIN.
    pub(crate) fn pin_rules(&self, application: Application) -> Result<&'static PinProfile> {
        Ok(self.known_token(application)?.pin)
    }

    /// Sends a PIN to the card, once; without one, the user enters it on the reader's pad.
    pub(crate) fn verify(
        &self,
        link: &mut Option<Link>,
        generation: u64,
        application: Application,
        pin: Option<&Pin>,
    ) -> Result<()> {
        let result = self.work(link, generation, |hpc| match pin {
            Some(pin) => hpc.verify_pin(application, pin),
            None => hpc.verify_pin_on_pad(application),
        });
        self.note_pin_state(link, application);
        if result.is_ok() {
            self.note_more_objects(link, generation);
        }
        result.map_err(after_secret)
    }

    /// Takes over what the card has said about the PIN.
    pub(crate) fn note_pin_state(&self, link: &Option<Link>, application: Application) {
        if let Some(Link { generation, hpc }) = link {
            let (pin, puk) = (hpc.pin_status(application), hpc.puk_status(application));
            self.slot(application, *generation, |slot| (slot.pin, slot.puk) = (pin, puk)).ok();
        }
    }

    fn use_key<T>(
        &self,
        (application, generation, session): (Application, u64, CK_SESSION_HANDLE),
        task: impl FnOnce(&mut Hpc) -> std::result::Result<T, CardError>,
    ) -> Result<T> {
        let mut link = self.link()?;
        let on_card = self.slot(application, generation, |slot| slot.login.spend(session))??;
        let result = self.work(&mut link, generation, task);
        if matches!(result, Err(Error::Card(CardError::NotLoggedIn))) {
            self.slot(application, generation, |slot| slot.login.lost()).ok();
        }
        self.end_on_card(&mut link, application, on_card);
        result
    }

    /// A PIN that the card may be asked about; `None` if the user has to enter it on the reader's pad.
    fn user_pin(&self, application: Application, pin: Option<&[u8]>) -> Result<Option<Pin>> {
        let token = self.known_token(application)?;
        self.check_where_entered(token.pin_pad.verify, pin.is_none())?;
        let rules = token.pin;
        Ok(pin.map(|pin| rules.parse(pin, rules.min, rules.max)).transpose().map_err(CardError::from)?)
    }
}

/// A PIN was on its way when the card was reset: whether it was compared is unknown. That is the device's failure; that
/// nobody is logged in is no news to a caller who was about to.
pub(crate) fn after_secret(error: Error) -> Error {
    match error {
        Error::Card(CardError::Reset) => Error::Transport(TransportError::NotTransacted),
        error => error,
    }
}
