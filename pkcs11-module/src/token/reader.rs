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

use card::hpc::{CardError, Hpc};
use card::profile::Application;
use card::transport::{CardPresence, HangUp, ReaderState};
use cryptoki_sys::CK_OBJECT_HANDLE;

use super::counter::Commands;
use super::lock;
use super::login::{LoginState, OnCard};
use super::objects::Object;
use super::snapshot::Token;
use super::source::CardSource;
use super::view::{Slot, View};
use crate::error::{Error, Result};
pub(super) use using::after_secret;

mod recognising;
mod using;

/// How long a call whose connection was ended may take to return.
const ENDED_CALLS_RETURN: Duration = Duration::from_secs(1);

/// A reader.
pub(crate) struct Reader {
    source: Arc<CardSource>,
    view: Mutex<View>,
    /// Ends what waits for the card.
    hang_up: Mutex<Option<HangUp>>,
    card: Mutex<Option<Link>>,
    commands: Commands,
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
        Reader {
            source,
            view: Mutex::new(view),
            hang_up: Mutex::default(),
            card: Mutex::new(None),
            commands: Commands::default(),
        }
    }

    /// The reader's name, once it has one.
    pub(crate) fn name(&self) -> Option<String> {
        lock(&self.view).name.clone()
    }

    /// The counter with the number of commands that the cards in it were sent so far.
    pub(crate) fn counted(&self, counter: &Object) -> Object {
        self.commands.shown(counter, &self.name().unwrap_or_default())
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

/// The card in it, for those who work with it.
impl Reader {
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

    /// The token as it was read.
    pub(super) fn known_token(&self, application: Application) -> Result<Arc<Token>> {
        let known = lock(&self.view).token(application);
        Ok(known.unwrap_or(Err(Error::TokenNotPresent))?.token)
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
