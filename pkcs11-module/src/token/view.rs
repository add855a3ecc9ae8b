//! What is known of a reader and its card without asking anybody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use card::hpc::{Hpc, OpenError};
use card::pin::PinStatus;
use card::profile::Application;
use card::transport::TransportError;
use cryptoki_sys::CK_OBJECT_HANDLE;

use super::login::Login;
use super::policy;
use super::snapshot::{Snapshot, Token};
use crate::config::{Config, Qes};
use crate::error::{Error, Result};

/// A card that fails to be read this often is left alone until it is inserted again.
const READ_ATTEMPTS: u8 = 3;

/// What is known without asking anybody.
pub(super) struct View {
    /// `None` for the slots that exist before there is a reader.
    pub(super) name: Option<String>,
    pub(super) present: bool,
    pub(super) insertions: u32,
    pub(super) generation: u64,
    contents: Contents,
    pub(super) slots: Vec<Slot>,
}

/// What is in the reader.
enum Contents {
    /// Not read yet, or not successfully.
    Unread {
        failures: u8,
    },
    /// A card that is no token of ours.
    Foreign,
    Card(Snapshot),
}

/// The changing part of a slot.
pub(super) struct Slot {
    application: Application,
    pub(super) login: Login,
    pub(super) pin: PinStatus,
    pub(super) puk: PinStatus,
    /// One for each object of the token.
    pub(super) handles: Vec<CK_OBJECT_HANDLE>,
    pub(super) event: bool,
    /// How often reading it failed on a card that could be read otherwise.
    pub(super) failures: u8,
}

/// A token as one moment shows it.
pub(crate) struct TokenView {
    /// What does not change.
    pub(crate) token: Arc<Token>,
    /// What is known of the PIN.
    pub(crate) pin: PinStatus,
    /// What is known of its PUK.
    pub(crate) puk: PinStatus,
    /// The generation of the card.
    pub(crate) generation: u64,
}

impl View {
    /// Nothing is known.
    pub(super) fn new(qes: Qes) -> View {
        let slots = qes.applications().iter().map(|application| Slot::new(*application, qes)).collect();
        let contents = Contents::Unread { failures: 0 };
        View { name: None, present: false, insertions: 0, generation: 0, contents, slots }
    }

    /// The slot of an application.
    pub(super) fn slot(&mut self, application: Application) -> Result<&mut Slot> {
        self.slots.iter_mut().find(|slot| slot.application == application).ok_or(Error::SlotIdInvalid)
    }

    /// The token with its objects if they are known, `None` if the card has to be read first.
    pub(super) fn token(&mut self, application: Application) -> Option<Result<TokenView>> {
        let failed = self.slot(application).is_ok_and(|slot| slot.failures >= READ_ATTEMPTS);
        match self.face(application) {
            Some(Ok(view)) if !view.token.complete && failed => Some(Err(Error::TokenNotRecognized)),
            Some(Ok(view)) if !view.token.complete => None,
            answer => answer,
        }
    }

    /// The token without its objects if it is known, `None` if it has to be seen first which card this is.
    pub(super) fn face(&mut self, application: Application) -> Option<Result<TokenView>> {
        if !self.present {
            return Some(Err(Error::TokenNotPresent));
        }
        let token = match &self.contents {
            Contents::Unread { failures } if *failures < READ_ATTEMPTS => return None,
            Contents::Unread { .. } | Contents::Foreign => Err(Error::TokenNotRecognized),
            Contents::Card(snapshot) => snapshot.token(application),
        };
        let generation = self.generation;
        Some(token.and_then(|token| {
            let slot = self.slot(application)?;
            Ok(TokenView { token, pin: slot.pin, puk: slot.puk, generation })
        }))
    }

    /// The user logged out: handles of private objects are void, now and after the next login (clause 5.6.10).
    /// Answers whether this was about the card that is known now.
    pub(super) fn logout(&mut self, application: Application, generation: u64) -> bool {
        let token = match &self.contents {
            Contents::Card(snapshot) if self.generation == generation => snapshot.token(application).ok(),
            _ => None,
        };
        let (Some(token), Ok(slot)) = (token, self.slot(application)) else {
            return false;
        };
        slot.login.lost();
        for (handle, object) in slot.handles.iter_mut().zip(&token.objects) {
            if object.private {
                *handle = new_handle();
            }
        }
        true
    }

    /// Whatever was known of the card in the reader is void.
    pub(super) fn next_generation(&mut self) {
        self.generation += 1;
        self.contents = Contents::Unread { failures: 0 };
        for slot in &mut self.slots {
            slot.login.lost();
            slot.handles.clear();
            slot.failures = 0;
            (slot.pin, slot.puk) = (PinStatus::Unknown, PinStatus::Unknown);
        }
    }

    /// The card has been read, or more of it. What was known before stays as it is.
    pub(super) fn accept(&mut self, hpc: &Hpc, config: &Config) {
        let mut snapshot = match std::mem::replace(&mut self.contents, Contents::Unread { failures: 0 }) {
            Contents::Card(snapshot) => snapshot,
            _ => Snapshot::default(),
        };
        for (application, token) in snapshot.update(hpc, config) {
            if let Ok(slot) = self.slot(application) {
                // What was known before stands first and keeps its handles.
                slot.handles.resize_with(token.objects.len(), new_handle);
            }
        }
        self.contents = Contents::Card(snapshot);
    }

    /// A foreign card stays one; what may pass is tried again a few times.
    pub(super) fn refuse(&mut self, error: &OpenError) {
        self.contents = match (error, &self.contents) {
            (OpenError::Foreign, _) => Contents::Foreign,
            (OpenError::Transport(TransportError::Sharing), Contents::Unread { failures }) => {
                Contents::Unread { failures: *failures }
            }
            (_, Contents::Unread { failures }) => Contents::Unread { failures: failures + 1 },
            _ => Contents::Unread { failures: 1 },
        };
    }
}

impl Slot {
    fn new(application: Application, qes: Qes) -> Self {
        let login = Login::new(policy(application, qes));
        let unknown = PinStatus::Unknown;
        Slot {
            application,
            login,
            pin: unknown,
            puk: unknown,
            handles: Vec::new(),
            event: false,
            failures: 0,
        }
    }
}

/// Unique in the process, so that a handle of another slot or an earlier card is never valid by accident.
pub(super) fn new_handle() -> CK_OBJECT_HANDLE {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) as CK_OBJECT_HANDLE
}
