//! Health professional cards, reached through any PKCS#11 module: ours, a soft token, an HSM's.
//!
//! All calls here block, some as long as a card takes to sign: callers run them on blocking threads, in their turn
//! ([`Module::queue`]). A PIN is passed on once and not kept.

mod choice;
mod commands;
mod error;
mod key;
mod listing;
mod login;
mod places;
mod turn;

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11},
    error::{Error, RvError},
    session::Session,
    slot::Slot,
};

pub use choice::{Choice, Purpose, Selector, best, choose};
pub use commands::Commands;
pub use error::{ModuleError, TokenError, Tries};
pub use key::{PinEntry, UnlockedKey};
pub use listing::{CertificateObject, TokenView};
pub use login::{Lease, Login};
pub use places::{Known, Place};
pub use turn::{Queue, Turn};

use crate::config;

/// A loaded and initialised module.
pub struct Module {
    context: Pkcs11,
    /// One session per slot that stays open: with some modules closing the last one races with opening the next.
    idle: Mutex<HashMap<u64, Session>>,
    /// How often a new card was found in a slot.
    insertions: Mutex<HashMap<u64, u64>>,
    queues: Mutex<HashMap<u64, Queue>>,
    /// Sessions that may sign at once on one token.
    sessions: usize,
    recent: Mutex<Option<listing::Recent>>,
    /// Held while tokens are listed.
    listing: Mutex<()>,
}

impl Module {
    /// Loads and initialises the module.
    ///
    /// # Errors
    /// [`TokenError::Load`] with what the loader or the module says.
    pub fn load(configured: &config::Module) -> Result<Module, TokenError> {
        let path = &configured.module;
        let refuse =
            |error: Error| TokenError::Load { path: path.display().to_string(), reason: error.to_string() };
        let context = Pkcs11::new(path).map_err(refuse)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, Function::Initialize)) => {}
            Err(error) => return Err(refuse(error)),
        }
        Ok(Module {
            context,
            idle: Mutex::default(),
            insertions: Mutex::default(),
            queues: Mutex::default(),
            sessions: usize::try_from(configured.sessions).unwrap_or(1),
            recent: Mutex::default(),
            listing: Mutex::default(),
        })
    }

    /// Name and version the module gives itself.
    ///
    /// # Errors
    /// The module does not answer.
    pub fn description(&self) -> Result<String, TokenError> {
        let info = self.context.get_library_info()?;
        Ok(format!("{} {}", info.library_description(), info.library_version()))
    }

    /// The queue of one token.
    pub fn queue(&self, token: &TokenView) -> Queue {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.entry(token.slot.id()).or_insert_with(|| Queue::new(self.sessions)).clone()
    }

    fn all_queues(&self) -> Vec<(u64, Queue)> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().map(|(slot, queue)| (*slot, queue.clone())).collect()
    }

    /// Logs out everywhere, closes all sessions and finalises the module.
    pub fn close(self) {
        for (_, queue) in self.all_queues() {
            if let Some(mut login) = queue.try_alone() {
                login.lose();
            }
        }
        drop(self.idle);
        if let Err(error) = self.context.finalize() {
            tracing::warn!(%error, "the PKCS#11 module did not finalise");
        }
    }

    /// A new session; read-only is enough for everything here.
    fn session(&self, slot: Slot) -> Result<Session, TokenError> {
        self.session_and_insertion(slot).map(|(session, _)| session)
    }

    fn session_and_insertion(&self, slot: Slot) -> Result<(Session, u64), TokenError> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle.get(&slot.id()).is_some_and(|session| session.get_session_info().is_ok());
        if !known {
            idle.insert(slot.id(), self.context.open_ro_session(slot)?);
        }
        let insertion = self.count_insertion(slot, !known);
        Ok((self.context.open_ro_session(slot)?, insertion))
    }

    /// Which insertion the card of this token is: another number, or none, once it left its place. Costs no card command.
    pub fn insertion(&self, token: &TokenView) -> Option<u64> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let present = self.context.get_slot_info(token.slot).is_ok_and(|place| place.token_present());
        if !present || idle.get(&token.slot.id())?.get_session_info().is_err() {
            idle.remove(&token.slot.id());
            return None;
        }
        let insertions = self.insertions.lock().unwrap_or_else(PoisonError::into_inner);
        insertions.get(&token.slot.id()).copied()
    }

    /// The number of the present insertion; the next one if it is new.
    fn count_insertion(&self, slot: Slot, is_new: bool) -> u64 {
        let mut insertions = self.insertions.lock().unwrap_or_else(PoisonError::into_inner);
        let insertion = insertions.entry(slot.id()).or_default();
        *insertion += u64::from(is_new);
        *insertion
    }
}
