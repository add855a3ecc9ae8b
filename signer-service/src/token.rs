//! Health professional cards, reached through any PKCS#11 module: ours, a soft token, an HSM's.
//!
//! All calls here block, some as long as a card takes to sign: callers run them on blocking threads, one at a time per
//! token ([`Module::queue`]). A PIN is passed on once and not kept.

mod choice;
mod error;
mod key;
mod listing;
mod login;
mod places;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11},
    error::{Error, RvError},
    session::Session,
    slot::Slot,
};

pub use choice::{Choice, Purpose, Selector, best, choose};
pub use error::{ModuleError, TokenError, Tries};
pub use key::{PinEntry, UnlockedKey};
pub use listing::{CertificateObject, TokenView};
pub use login::{Lease, Login};
pub use places::{Known, Place};

/// A loaded and initialised module.
pub struct Module {
    context: Pkcs11,
    /// One session per slot that stays open: with some modules closing the last one races with opening the next.
    idle: Mutex<HashMap<u64, Session>>,
    /// How often a new card was found in a slot.
    insertions: Mutex<HashMap<u64, u64>>,
    queues: Mutex<HashMap<u64, Queue>>,
}

/// Held while a token works: one operation with a PIN at a time, in the order of arrival.
pub type Queue = Arc<tokio::sync::Mutex<Login>>;

impl Module {
    /// Loads and initialises the module.
    ///
    /// # Errors
    /// [`TokenError::Load`] with what the loader or the module says.
    pub fn load(path: &Path) -> Result<Module, TokenError> {
        let refuse =
            |error: Error| TokenError::Load { path: path.display().to_string(), reason: error.to_string() };
        let context = Pkcs11::new(path).map_err(refuse)?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, Function::Initialize)) => {}
            Err(error) => return Err(refuse(error)),
        }
        Ok(Module { context, idle: Mutex::default(), insertions: Mutex::default(), queues: Mutex::default() })
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
        Arc::clone(queues.entry(token.slot.id()).or_default())
    }

    fn all_queues(&self) -> Vec<(u64, Queue)> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.iter().map(|(slot, queue)| (*slot, Arc::clone(queue))).collect()
    }

    /// Logs out everywhere, closes all sessions and finalises the module.
    pub fn close(self) {
        for (_, queue) in self.all_queues() {
            if let Ok(mut login) = queue.try_lock() {
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
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.get(&slot.id()).is_none_or(|session| session.get_session_info().is_err()) {
            idle.insert(slot.id(), self.context.open_ro_session(slot)?);
            self.count_insertion(slot);
        }
        Ok(self.context.open_ro_session(slot)?)
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

    fn count_insertion(&self, slot: Slot) {
        let mut insertions = self.insertions.lock().unwrap_or_else(PoisonError::into_inner);
        *insertions.entry(slot.id()).or_default() += 1;
    }
}
