//! One reader with its two slots, and the card in it.
//!
//! Two locks. `view` is held for moments only and never while the card is talked to: whatever a client polls
//! (C_GetSlotInfo, C_GetSessionInfo, searches) is answered from it. `card` serialises the work with the card; it is
//! taken first.
//!
//! A card lives for one *generation*. Pulling it, or putting in another, begins the next one: sessions, object
//! handles and logins of the old one are void, so that nothing is ever signed by a card that was not logged in to.

use std::sync::{Arc, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use card::hpc::{CardError, Clue, Hpc, OpenError};
use card::pin::Pin;
use card::profile::{Application, DecipherScheme, PinProfile, Profile, SignatureScheme};
use card::transport::{CardPresence, HangUp, ReaderState, Transport, TransportError};
use cryptoki_sys::{CK_OBJECT_HANDLE, CK_SESSION_HANDLE, CKR_PIN_LOCKED};
use zeroize::Zeroizing;

use super::lock;
use super::login::{LoginState, OnCard};
use super::objects::Object;
use super::snapshot::{Token, name};
use super::source::CardSource;
use super::view::{Slot, TokenView, View};
use crate::config::PinPad;
use crate::error::{Error, Result};

/// How long a call whose connection was ended may take to return.
const ENDED_CALLS_RETURN: Duration = Duration::from_secs(1);

/// A reader.
pub(crate) struct Reader {
    source: Arc<CardSource>,
    view: Mutex<View>,
    /// Ends what waits for the card.
    hang_up: Mutex<Option<HangUp>>,
    card: Mutex<Option<Link>>,
}

/// A connection to the card of a generation.
pub(super) struct Link {
    pub(super) generation: u64,
    pub(super) hpc: Hpc,
}

impl Reader {
    /// A place for a reader that is not there yet.
    pub(crate) fn new(source: Arc<CardSource>) -> Self {
        let view = View::new(source.config().qes);
        Reader { source, view: Mutex::new(view), hang_up: Mutex::default(), card: Mutex::new(None) }
    }

    /// The reader's name, once it has one.
    pub(crate) fn name(&self) -> Option<String> {
        lock(&self.view).name.clone()
    }

    /// Whether a card is in it.
    pub(crate) fn present(&self) -> bool {
        lock(&self.view).present
    }

    /// The present generation.
    pub(crate) fn generation(&self) -> u64 {
        lock(&self.view).generation
    }

    /// Takes note of the reader's state; `None` if there is no such reader any more. `first_look`: what is found is
    /// the beginning, not an event.
    pub(crate) fn observe(&self, state: Option<&ReaderState>, first_look: bool) {
        let mut view = lock(&self.view);
        if let (None, Some(state)) = (&view.name, state) {
            view.name = Some(state.name.clone());
            view.insertions = state.insertions;
        }
        let present = state.is_some_and(|state| state.card == CardPresence::Present);
        let insertions = state.map_or(view.insertions, |state| state.insertions);
        if (present, insertions) == (view.present, view.insertions) {
            return;
        }
        tracing::info!(reader = view.name, present, "card presence changed");
        (view.present, view.insertions) = (present, insertions);
        view.next_generation();
        if !first_look {
            view.slots.iter_mut().for_each(|slot| slot.event = true);
        }
    }

    /// Takes the event of a slot, if there is one.
    pub(crate) fn take_event(&self, application: Application) -> bool {
        lock(&self.view).slot(application).is_ok_and(|slot| std::mem::take(&mut slot.event))
    }

    /// The token in a slot with its objects. The first call after an insertion reads them.
    pub(crate) fn token(&self, application: Application) -> Result<TokenView> {
        self.look(application, View::token)
    }

    /// The token in a slot without its objects. The first call after an insertion learns which card it is.
    pub(crate) fn face(&self, application: Application) -> Result<TokenView> {
        self.look(application, View::face)
    }

    /// Asks the view, and the card as long as the view has no answer.
    fn look(
        &self,
        application: Application,
        known: fn(&mut View, Application) -> Option<Result<TokenView>>,
    ) -> Result<TokenView> {
        if let Some(known) = known(&mut lock(&self.view), application) {
            return known;
        }
        let mut link = self.link()?;
        // Somebody may have read it while we waited.
        if let Some(known) = known(&mut lock(&self.view), application) {
            return known;
        }
        let generation = self.generation();
        if link.as_ref().is_none_or(|link| link.generation != generation) {
            self.recognise_card(&mut link, application)?;
        }
        if let Some(known) = known(&mut lock(&self.view), application) {
            return known;
        }
        self.read_card(&mut link, application)?;
        known(&mut lock(&self.view), application).unwrap_or(Err(Error::TokenNotPresent))
    }

    /// The objects that can be seen now, with their handles.
    pub(crate) fn visible<T>(
        &self,
        application: Application,
        mut pick: impl FnMut(CK_OBJECT_HANDLE, &Object) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut view = lock(&self.view);
        let token = view.token(application).unwrap_or(Err(Error::TokenNotPresent))?.token;
        let slot = view.slot(application)?;
        let all = slot.login.shows_private_objects();
        let seen = slot.handles.iter().zip(&token.objects).filter(|(_, object)| all || !object.private);
        Ok(seen.filter_map(|(handle, object)| pick(*handle, object)).collect())
    }

    /// The token and the place of an object in it, whether it can be seen now or not.
    pub(crate) fn locate(
        &self,
        application: Application,
        handle: CK_OBJECT_HANDLE,
    ) -> Result<(Arc<Token>, usize, bool)> {
        let mut view = lock(&self.view);
        let token = view.token(application).unwrap_or(Err(Error::TokenNotPresent))?.token;
        let slot = view.slot(application)?;
        let index =
            slot.handles.iter().position(|known| *known == handle).ok_or(Error::ObjectHandleInvalid)?;
        let private = token.objects.get(index).is_some_and(|object| object.private);
        Ok((token, index, !private || slot.login.shows_private_objects()))
    }

    /// Whether private objects can be seen now.
    pub(crate) fn shows_private_objects(&self, application: Application) -> bool {
        lock(&self.view).slot(application).is_ok_and(|slot| slot.login.shows_private_objects())
    }

    /// Whether a user login makes sense now.
    pub(crate) fn check_user_login(&self, application: Application) -> Result<()> {
        lock(&self.view).slot(application)?.login.check_user_login()
    }

    /// Who is logged in.
    pub(crate) fn login_state(&self, application: Application) -> LoginState {
        lock(&self.view).slot(application).map_or(LoginState::Nobody, |slot| slot.login.state())
    }
}

/// Work with the card. Each function takes the card for the generation its session was opened in.
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

    /// Ends all logins and lets go of the card. A call that still works with it when the patience is over is ended
    /// where the connection can be; elsewhere the connection is closed when the call returns.
    pub(crate) fn close(&self, patience: Instant) {
        let link = self.card_until(patience).or_else(|| {
            lock(&self.hang_up).as_ref()?.now();
            self.card_until(Instant::now() + ENDED_CALLS_RETURN)
        });
        let Some(mut link) = link else { return };
        lock(&self.view).next_generation();
        *link = None;
    }

    /// A PIN that the card may be asked about; `None` if the user has to enter it on the reader's pad.
    fn user_pin(&self, application: Application, pin: Option<&[u8]>) -> Result<Option<Pin>> {
        let token = self.known_token(application)?;
        self.check_where_entered(token.pin_pad.verify, pin.is_none())?;
        let rules = token.pin;
        Ok(pin.map(|pin| rules.parse(pin, rules.min, rules.max)).transpose().map_err(CardError::from)?)
    }

    /// Whether a PIN may come from where it comes from.
    pub(super) fn check_where_entered(&self, has_pad: bool, on_pad: bool) -> Result<()> {
        let pad_only = has_pad && self.source.config().pin_pad == PinPad::Only;
        if on_pad && !has_pad || !on_pad && pad_only { Err(Error::ArgumentsBad) } else { Ok(()) }
    }

    /// Lengths of the PIN.
    pub(super) fn pin_rules(&self, application: Application) -> Result<&'static PinProfile> {
        Ok(self.known_token(application)?.pin)
    }

    /// The token as it was read.
    pub(super) fn known_token(&self, application: Application) -> Result<Arc<Token>> {
        let known = lock(&self.view).token(application);
        Ok(known.unwrap_or(Err(Error::TokenNotPresent))?.token)
    }

    /// Sends a PIN to the card, once; without one, the user enters it on the reader's pad.
    pub(super) fn verify(
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
    pub(super) fn note_pin_state(&self, link: &Option<Link>, application: Application) {
        if let Some(Link { generation, hpc }) = link {
            let (pin, puk) = (hpc.pin_status(application), hpc.puk_status(application));
            self.slot(application, *generation, |slot| (slot.pin, slot.puk) = (pin, puk)).ok();
        }
    }

    /// Some cards show a certificate only after the PIN in front of it.
    fn note_more_objects(&self, link: &Option<Link>, generation: u64) {
        let mut view = lock(&self.view);
        if let Some(Link { hpc, .. }) = link.as_ref().filter(|_| view.generation == generation) {
            view.accept(hpc, self.source.config());
        }
    }

    /// The card, if it is free before a time. After a panic nothing is known about it.
    fn card_until(&self, deadline: Instant) -> Option<MutexGuard<'_, Option<Link>>> {
        loop {
            match self.card.try_lock() {
                Ok(link) => return Some(link),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(_) => return None,
            }
        }
    }

    /// Does something with the card and draws the conclusions from a failure.
    pub(super) fn work<T>(
        &self,
        link: &mut Option<Link>,
        generation: u64,
        task: impl FnOnce(&mut Hpc) -> std::result::Result<T, CardError>,
    ) -> Result<T> {
        let result = match link {
            Some(link) if link.generation == generation => task(&mut link.hpc),
            _ => Err(CardError::Removed),
        };
        match &result {
            Err(CardError::Removed) => {
                *link = None;
                lock(&self.view).next_generation();
            }
            Err(CardError::Reset | CardError::Transport(_)) => {
                // Everything the card knew is gone, for both applications.
                lock(&self.view).slots.iter_mut().for_each(|slot| slot.login.lost());
            }
            _ => {}
        }
        Ok(result?)
    }

    /// Ends the PIN state on the card. What goes wrong here is found by the next use of the card.
    pub(super) fn end_on_card(&self, link: &mut Option<Link>, application: Application, on_card: OnCard) {
        if let (Some(link), OnCard::End) = (link, on_card)
            && let Err(error) = link.hpc.logout(application)
        {
            tracing::debug!(%error, "logout");
        }
    }

    /// Reads what an application needs from the card that is in the reader.
    fn read_card(&self, link: &mut Option<Link>, application: Application) -> Result<()> {
        let generation = self.generation();
        let mut look = || self.work(link, generation, |hpc| hpc.look_at(application));
        let looked = match look() {
            // Nothing but reading was interrupted.
            Err(Error::Card(CardError::Reset)) => look(),
            Err(Error::Card(CardError::Removed)) => Err(Error::TokenNotPresent),
            result => result,
        };
        let mut view = lock(&self.view);
        if let Some(Link { hpc, .. }) = link.as_ref().filter(|_| view.generation == generation) {
            if looked.is_err() {
                view.slot(application)?.failures += 1;
            }
            view.accept(hpc, self.source.config());
            self.remember(hpc);
        }
        looked
    }

    /// Learns which card is in the reader now.
    fn recognise_card(&self, link: &mut Option<Link>, application: Application) -> Result<()> {
        let (name, generation) = {
            let view = lock(&self.view);
            (view.name.clone().ok_or(Error::TokenNotPresent)?, view.generation)
        };
        *link = None;
        let open = || {
            let card = self.source.connect(&name).map_err(OpenError::from)?;
            self.open(card, application)
        };
        let opened = match open() {
            // Nothing but reading was interrupted.
            Err(OpenError::Transport(TransportError::Reset)) => open(),
            result => result,
        };
        let mut view = lock(&self.view);
        if view.generation != generation {
            return Err(Error::TokenNotPresent);
        }
        match opened {
            Ok(hpc) => {
                tracing::info!(
                    reader = name,
                    card = hpc.profile().name,
                    number = issuer_only(hpc.iccsn()),
                    commands = hpc.traffic().commands,
                    "card recognised"
                );
                view.accept(&hpc, self.source.config());
                *link = Some(Link { generation, hpc });
                Ok(())
            }
            Err(error) => {
                tracing::info!(reader = name, %error, "card not read");
                view.refuse(&error);
                Err(error.into())
            }
        }
    }

    /// Opens a card, with its certificates from the cache if they are there.
    fn open(
        &self,
        card: Box<dyn Transport>,
        application: Application,
    ) -> std::result::Result<Hpc, OpenError> {
        *lock(&self.hang_up) = card.hang_up();
        let hpc = match self.source.cache() {
            Some(cache) => {
                let recall = |profile: &Profile, clue: Clue<'_>| cache.recall(&profile.name, clue);
                Hpc::recognise(card, application, Some(&recall))
            }
            None => Hpc::recognise(card, application, None),
        }?;
        self.remember(&hpc);
        Ok(hpc)
    }

    fn remember(&self, hpc: &Hpc) {
        if let (Some(cache), Some(certificates)) = (self.source.cache(), hpc.to_remember()) {
            cache.store(&hpc.profile().name, hpc.iccsn(), &certificates);
        }
    }

    /// Takes the card. After a panic in the middle of an exchange nothing is known about it.
    pub(super) fn link(&self) -> Result<MutexGuard<'_, Option<Link>>> {
        self.card.lock().map_err(|_| Error::Panicked)
    }

    /// Changes a slot, if it still belongs to this generation.
    pub(super) fn slot<T>(
        &self,
        application: Application,
        generation: u64,
        change: impl FnOnce(&mut Slot) -> T,
    ) -> Result<T> {
        let mut view = lock(&self.view);
        if view.generation != generation {
            return Err(Error::SessionHandleInvalid);
        }
        view.slot(application).map(change)
    }
}

/// A card's number as a log may show it: card type, country and issuer (ITU-T E.118), but not which card.
fn issuer_only(iccsn: &str) -> String {
    let (issuer, card) = iccsn.split_at_checked(10).unwrap_or_default();
    format!("{issuer}{}", "*".repeat(card.len()))
}

/// A PIN was on its way when the card was reset: whether it was compared is unknown. That is the device's failure; that
/// nobody is logged in is no news to a caller who was about to.
pub(super) fn after_secret(error: Error) -> Error {
    match error {
        Error::Card(CardError::Reset) => Error::Transport(TransportError::NotTransacted),
        error => error,
    }
}
