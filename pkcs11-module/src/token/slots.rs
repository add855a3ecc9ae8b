//! Slots and tokens (PKCS#11 v3.1 clause 5.5).
//!
//! Each reader has a block of two slot ids, ESIGN and QES, from the moment it is first seen until C_Finalize: the
//! list never shrinks, and the first block exists before there is any reader, because SSH takes an empty list for an
//! error and NSS reads the list only once.

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use card::pin::PinStatus;
use card::profile::Application;
use cryptoki_sys::*;

use super::reader::Reader;
use super::snapshot::{Token, name};
use super::source::CardSource;
use super::view::TokenView;
use super::{Module, lock, policy};
use crate::config::Qes;
use crate::error::{Error, Result};
use crate::text::padded;

/// Slot ids per reader.
const BLOCK: usize = 2;
/// How long C_Finalize waits for calls that still work with cards.
const FINALISE_PATIENCE: Duration = Duration::from_secs(2);
/// How often a waiting C_WaitForSlotEvent looks.
const WAIT_SLICE: Duration = Duration::from_millis(200);

/// The slots of a module.
pub(super) struct Slots {
    source: Arc<CardSource>,
    readers: Mutex<Vec<Arc<Reader>>>,
    /// Held while the readers are asked, so that an older answer never overwrites a newer one.
    looked: Mutex<bool>,
    closed: Mutex<bool>,
    closing: Condvar,
}

/// One slot.
#[derive(Clone)]
pub(super) struct SlotRef {
    pub(super) id: CK_SLOT_ID,
    pub(super) reader: Arc<Reader>,
    pub(super) application: Application,
}

impl Slots {
    pub(super) fn new(source: Arc<CardSource>) -> Self {
        let first = Arc::new(Reader::new(source.clone()));
        Slots {
            source,
            readers: Mutex::new(vec![first]),
            looked: Mutex::new(false),
            closed: Mutex::new(false),
            closing: Condvar::new(),
        }
    }

    /// Looks which readers there are and which hold a card. No card is talked to.
    pub(super) fn refresh(&self) {
        let mut looked = lock(&self.looked);
        let first_look = !std::mem::replace(&mut *looked, true);
        let states = self.source.list().unwrap_or_else(|error| {
            tracing::debug!(%error, "no readers");
            Vec::new()
        });
        let mut readers = lock(&self.readers);
        for reader in readers.iter() {
            if let Some(name) = reader.name() {
                reader.observe(states.iter().find(|state| state.name == name), first_look);
            }
        }
        for state in &states {
            if readers.iter().any(|reader| reader.name().as_deref() == Some(&state.name)) {
                continue;
            }
            let unnamed = readers.iter().find(|reader| reader.name().is_none()).cloned();
            let reader = unnamed.unwrap_or_else(|| {
                let reader = Arc::new(Reader::new(self.source.clone()));
                readers.push(reader.clone());
                reader
            });
            reader.observe(Some(state), first_look);
        }
    }

    /// All slots in the order of their ids.
    pub(super) fn all(&self) -> Vec<SlotRef> {
        let readers = lock(&self.readers).clone();
        let block = |(index, reader): (usize, Arc<Reader>)| {
            self.qes().applications().iter().map(move |application| SlotRef {
                id: slot_id(index, *application),
                reader: reader.clone(),
                application: *application,
            })
        };
        readers.into_iter().enumerate().flat_map(block).collect()
    }

    /// The slot with this id.
    pub(super) fn slot(&self, id: CK_SLOT_ID) -> Result<SlotRef> {
        self.all().into_iter().find(|slot| slot.id == id).ok_or(Error::SlotIdInvalid)
    }

    /// Ends waits and lets go of all cards.
    pub(super) fn close(&self) {
        *lock(&self.closed) = true;
        self.closing.notify_all();
        let readers = lock(&self.readers).clone();
        let patience = Instant::now() + FINALISE_PATIENCE;
        readers.iter().for_each(|reader| reader.close(patience));
    }

    fn qes(&self) -> Qes {
        self.source.config().qes
    }

    fn wait(&self) -> Result<()> {
        let closed = lock(&self.closed);
        let waited = self.closing.wait_timeout_while(closed, WAIT_SLICE, |closed| !*closed);
        let closed = waited.map_or_else(|poisoned| *poisoned.into_inner().0, |(closed, _)| *closed);
        if closed { Err(Error::NotInitialised) } else { Ok(()) }
    }
}

impl Module {
    /// C_GetSlotList.
    pub(crate) fn slot_ids(&self, token_present: bool) -> Vec<CK_SLOT_ID> {
        self.slots.refresh();
        let slots = self.slots.all().into_iter();
        slots.filter(|slot| !token_present || slot.reader.present()).map(|slot| slot.id).collect()
    }

    /// C_GetSlotInfo. Asks for the reader's state, never the card.
    pub(crate) fn slot_info(&self, id: CK_SLOT_ID) -> Result<CK_SLOT_INFO> {
        self.slots.refresh();
        let slot = self.slots.slot(id)?;
        let reader = slot.reader.name().unwrap_or_else(|| "No reader".to_owned());
        let present = if slot.reader.present() { CKF_TOKEN_PRESENT } else { 0 };
        Ok(CK_SLOT_INFO {
            slotDescription: padded(&description(&reader, slot.application)),
            manufacturerID: padded("HPC Signer"),
            flags: CKF_REMOVABLE_DEVICE | CKF_HW_SLOT | present,
            hardwareVersion: CK_VERSION { major: 0, minor: 0 },
            firmwareVersion: CK_VERSION { major: 0, minor: 0 },
        })
    }

    /// C_GetTokenInfo.
    pub(crate) fn token_info(&self, id: CK_SLOT_ID) -> Result<CK_TOKEN_INFO> {
        self.slots.refresh();
        let slot = self.slots.slot(id)?;
        let view = slot.reader.face(slot.application)?;
        let token = &view.token;
        let (sessions, rw_sessions) = self.sessions.count(id);
        Ok(CK_TOKEN_INFO {
            label: padded(&token.label),
            manufacturerID: padded(&token.manufacturer),
            model: padded(&token.model),
            serialNumber: padded(&token.serial),
            flags: token_flags(token, view.pin, view.puk) | self.login_flag(slot.application),
            ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
            ulSessionCount: sessions,
            ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
            ulRwSessionCount: rw_sessions,
            ulMaxPinLen: token.pin.max.into(),
            ulMinPinLen: token.pin.min.into(),
            ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
            hardwareVersion: CK_VERSION { major: 0, minor: 0 },
            firmwareVersion: CK_VERSION { major: 0, minor: 0 },
            utcTime: [b' '; 16],
        })
    }

    /// C_GetMechanismList.
    pub(crate) fn mechanism_list(&self, id: CK_SLOT_ID) -> Result<Vec<CK_MECHANISM_TYPE>> {
        Ok(self.present_token(id)?.1.token.mechanisms.clone())
    }

    /// C_GetMechanismInfo.
    pub(crate) fn mechanism_info(
        &self,
        id: CK_SLOT_ID,
        kind: CK_MECHANISM_TYPE,
    ) -> Result<CK_MECHANISM_INFO> {
        self.present_token(id)?.1.token.mechanism_info(kind)
    }

    /// C_WaitForSlotEvent. Waits in the caller's thread; C_Finalize ends it.
    pub(crate) fn wait_for_slot_event(&self, block: bool) -> Result<CK_SLOT_ID> {
        loop {
            self.slots.refresh();
            let slots = self.slots.all();
            if let Some(slot) = slots.iter().find(|slot| slot.reader.take_event(slot.application)) {
                return Ok(slot.id);
            }
            if !block {
                return Err(Error::NoEvent);
            }
            self.slots.wait()?;
        }
    }

    /// The token in a slot, as of now.
    pub(super) fn present_token(&self, id: CK_SLOT_ID) -> Result<(SlotRef, TokenView)> {
        self.slots.refresh();
        let slot = self.slots.slot(id)?;
        let view = slot.reader.token(slot.application)?;
        Ok((slot, view))
    }

    fn login_flag(&self, application: Application) -> CK_FLAGS {
        let hidden = policy(application, self.slots.qes()) != super::login::Policy::ContextOnly;
        if hidden { CKF_LOGIN_REQUIRED } else { 0 }
    }
}

/// Flags of the token and its PIN, from what is known; the card is not asked.
fn token_flags(token: &Token, pin: PinStatus, puk: PinStatus) -> CK_FLAGS {
    let pin_flags = match pin {
        PinStatus::NotVerified { tries: 0 } | PinStatus::Blocked => CKF_USER_PIN_LOCKED,
        PinStatus::NotVerified { tries: 1 } => CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY,
        PinStatus::NotVerified { tries } if tries < token.pin.tries => CKF_USER_PIN_COUNT_LOW,
        PinStatus::TransportPin | PinStatus::EmptyPin => CKF_USER_PIN_TO_BE_CHANGED,
        PinStatus::Verified | PinStatus::NotVerified { .. } | PinStatus::Disabled | PinStatus::Unknown => 0,
    };
    // A PUK is known by its last answer only, and how often it can be used at first is nowhere on the card.
    let puk_flags = match puk {
        PinStatus::Blocked => CKF_SO_PIN_LOCKED,
        PinStatus::NotVerified { tries: 1 } => CKF_SO_PIN_COUNT_LOW | CKF_SO_PIN_FINAL_TRY,
        PinStatus::NotVerified { .. } => CKF_SO_PIN_COUNT_LOW,
        _ => 0,
    };
    let pad_flag = if token.pin_pad.verify { CKF_PROTECTED_AUTHENTICATION_PATH } else { 0 };
    CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | CKF_WRITE_PROTECTED | pin_flags | puk_flags | pad_flag
}

/// Reader name and application in 64 bytes; a long reader name is cut, the application stays readable.
fn description(reader: &str, application: Application) -> String {
    let application = name(application);
    let room = 64 - 1 - application.len();
    let reader = reader.get(..reader.floor_char_boundary(room)).unwrap_or(reader);
    format!("{reader} {application}")
}

fn slot_id(reader: usize, application: Application) -> CK_SLOT_ID {
    let offset = match application {
        Application::Esign => 0,
        Application::Qes => 1,
    };
    (reader * BLOCK + offset) as CK_SLOT_ID
}
