//! The module behind the C boundary: slots, tokens, sessions and what is done with them. No unsafe code, no pointers.
//!
//! Locks are taken in this order, and only the card's own is held while a card is talked to: operations of a session,
//! card of a reader, view of a reader. The tables of sessions and slots are locked for look-ups only.

mod cache;
mod certificate;
mod copies;
mod counter;
mod decrypt;
mod derive;
mod digest;
mod handles;
mod login;
mod mechanisms;
mod objects;
mod operations;
mod pins;
mod reader;
mod secret_key;
mod sessions;
mod sign;
mod slots;
mod snapshot;
mod source;
mod verify;
mod view;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use card::profile::Application;

use crate::config::{Config, ConfigError, Qes};
use crate::logging::Log;
pub(crate) use derive::Agreement;
use login::Policy;
pub(crate) use operations::Condition;
use sessions::Sessions;
pub(crate) use sign::{Output, Room};
use slots::Slots;
use source::CardSource;
pub(crate) use source::commands_of_this_thread;

/// One initialised module.
pub(crate) struct Module {
    log: Log,
    slots: Slots,
    sessions: Sessions,
}

impl Module {
    /// A module for a configuration. Readers are looked for later.
    pub(crate) fn new(config: Config) -> Result<Module, ConfigError> {
        let log = Log::open(&config)?;
        log.scope(|| {
            let process = std::process::id();
            tracing::debug!(version = env!("CARGO_PKG_VERSION"), process, %config, "initialised");
            if !config.origin.unknown.is_empty() {
                tracing::info!(unknown = ?config.origin.unknown, "words for others in the text for C_Initialize");
            }
        });
        Ok(Module {
            log,
            slots: Slots::new(Arc::new(CardSource::new(config))),
            sessions: Sessions::default(),
        })
    }

    /// Where this module's events go.
    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// C_Finalize: wakes up who waits, ends logins, lets go of the cards.
    pub(crate) fn finalise(&self) {
        self.sessions.clear();
        self.slots.close();
        tracing::debug!("finalised");
    }
}

/// How the keys of a slot are guarded.
fn policy(application: Application, qes: Qes) -> Policy {
    match (application, qes) {
        (Application::Esign, _) | (Application::Qes, Qes::Batch | Qes::Off) => Policy::Unlimited,
        (Application::Qes, Qes::Login) => Policy::OneEach,
        (Application::Qes, Qes::ContextOnly) => Policy::ContextOnly,
    }
}

/// Locks a table. Each change to these tables is complete in itself, so what a panicking thread left is usable.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
