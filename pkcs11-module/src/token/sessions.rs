//! Sessions and logins (PKCS#11 v3.1 clause 5.6).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use cryptoki_sys::*;

use super::copies::Copy;
use super::login::LoginState;
use super::objects::Object;
use super::operations::Operations;
use super::slots::SlotRef;
use super::{Module, lock};
use crate::error::{Error, Result};

/// All sessions of a module.
#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<CK_SESSION_HANDLE, Arc<Session>>>,
}

/// One session.
pub(crate) struct Session {
    pub(super) handle: CK_SESSION_HANDLE,
    pub(super) slot: SlotRef,
    /// The card it was opened for.
    pub(super) generation: u64,
    pub(super) read_write: bool,
    pub(super) operations: Mutex<Operations>,
    /// Session objects it has made.
    pub(super) copies: Mutex<Vec<Copy>>,
}

impl Sessions {
    /// Sessions of a slot: all, and those for reading and writing.
    pub(super) fn count(&self, slot: CK_SLOT_ID) -> (CK_ULONG, CK_ULONG) {
        let open = lock(&self.open);
        let of_slot = open.values().filter(|session| session.slot.id == slot && session.valid());
        of_slot.fold((0, 0), |(all, rw), session| (all + 1, rw + CK_ULONG::from(session.read_write)))
    }

    /// The session object with this handle, if it is one of this slot.
    pub(super) fn copy(&self, slot: CK_SLOT_ID, handle: CK_OBJECT_HANDLE) -> Option<Arc<Object>> {
        let mut found = None;
        self.edit_copies(slot, |copies| {
            let here = copies.iter().find(|(known, _)| *known == handle);
            found = found.take().or_else(|| here.map(|(_, object)| object.clone()));
        });
        found
    }

    /// Goes through the session objects of a slot, session by session.
    pub(super) fn edit_copies(&self, slot: CK_SLOT_ID, mut edit: impl FnMut(&mut Vec<Copy>)) {
        let open = lock(&self.open);
        let of_slot = open.values().filter(|session| session.slot.id == slot && session.valid());
        of_slot.for_each(|session| edit(&mut lock(&session.copies)));
    }

    /// Forgets all.
    pub(super) fn clear(&self) {
        lock(&self.open).clear();
    }

    fn remove_where(&self, condition: impl Fn(&Session) -> bool) {
        lock(&self.open).retain(|_, session| !condition(session));
    }
}

impl Session {
    /// Its operation ended without a signature: a login that was made for it ends too.
    pub(super) fn operation_ended(&self) -> Result<()> {
        self.slot.reader.operation_ended(self.slot.application, self.generation, self.handle)
    }

    /// Whether it is in the middle of something that needs a login of its own.
    fn check_asks_for_login(&self) -> Result<()> {
        let operations = lock(&self.operations);
        let asks = operations.sign.as_ref().is_some_and(|sign| sign.always_authenticate);
        if asks { Ok(()) } else { Err(Error::OperationNotInitialised) }
    }

    fn logout(&self) -> Result<()> {
        self.slot.reader.logout(self.slot.application, self.generation)
    }

    fn valid(&self) -> bool {
        self.slot.reader.generation() == self.generation
    }
}

impl Module {
    /// C_OpenSession. Sessions for reading and writing are granted though the token is write-protected: OpenSSH opens
    /// no others.
    pub(crate) fn open_session(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> Result<CK_SESSION_HANDLE> {
        if flags & CKF_SERIAL_SESSION == 0 {
            return Err(Error::SessionParallelNotSupported);
        }
        let (slot, view) = self.present_token(slot)?;
        let read_write = flags & CKF_RW_SESSION != 0;
        if !read_write && slot.reader.login_state(slot.application) == LoginState::Officer {
            return Err(Error::SessionReadWriteSoExists);
        }
        self.sessions.remove_where(|session| !session.valid());
        let handle = new_handle();
        let session = Session {
            handle,
            slot,
            generation: view.generation,
            read_write,
            operations: Mutex::default(),
            copies: Mutex::default(),
        };
        lock(&self.sessions.open).insert(handle, Arc::new(session));
        Ok(handle)
    }

    /// The session with this handle. A session whose card is gone is gone too.
    pub(crate) fn session(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        let mut open = lock(&self.sessions.open);
        let session = open.get(&handle).cloned().ok_or(Error::SessionHandleInvalid)?;
        if !session.valid() {
            open.remove(&handle);
            return Err(Error::SessionHandleInvalid);
        }
        Ok(session)
    }

    /// The slot of a session, for the trace.
    #[allow(clippy::useless_conversion, reason = "handles are 32 bits wide on some targets")]
    pub(crate) fn slot_of_session(&self, handle: u64) -> Option<u64> {
        let handle = CK_SESSION_HANDLE::try_from(handle).ok()?;
        lock(&self.sessions.open).get(&handle).map(|session| session.slot.id.into())
    }

    /// The session with this handle, after looking whether its card is still there.
    pub(super) fn fresh_session(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        self.session(handle)?;
        self.slots.refresh();
        self.session(handle)
    }

    /// C_CloseSession. With the last session of a token its user is logged out.
    pub(crate) fn close_session(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        lock(&self.sessions.open).remove(&handle);
        self.end_operations(&session)?;
        if self.sessions.count(session.slot.id).0 == 0 {
            session.logout()?;
        }
        Ok(())
    }

    /// C_CloseAllSessions.
    pub(crate) fn close_all_sessions(&self, slot: CK_SLOT_ID) -> Result<()> {
        let slot = self.slots.slot(slot)?;
        self.sessions.remove_where(|session| session.slot.id == slot.id);
        slot.reader.logout(slot.application, slot.reader.generation())
    }

    /// C_GetSessionInfo.
    pub(crate) fn session_info(&self, handle: CK_SESSION_HANDLE) -> Result<CK_SESSION_INFO> {
        let session = self.fresh_session(handle)?;
        let login = session.slot.reader.login_state(session.slot.application);
        let state = match (session.read_write, login) {
            (false, LoginState::User) => CKS_RO_USER_FUNCTIONS,
            (false, _) => CKS_RO_PUBLIC_SESSION,
            (true, LoginState::Nobody) => CKS_RW_PUBLIC_SESSION,
            (true, LoginState::User) => CKS_RW_USER_FUNCTIONS,
            (true, LoginState::Officer) => CKS_RW_SO_FUNCTIONS,
        };
        let write = if session.read_write { CKF_RW_SESSION } else { 0 };
        let flags = CKF_SERIAL_SESSION | write;
        Ok(CK_SESSION_INFO { slotID: session.slot.id, state, flags, ulDeviceError: 0 })
    }

    /// C_SessionCancel (v3.1 clause 5.6.5). Operations that are not active are passed over; nothing ever fails to be
    /// cancelled, or Java would sign to get rid of it.
    pub(crate) fn cancel(&self, handle: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        if flags & CKF_FIND_OBJECTS != 0 {
            operations.find = None;
        }
        if flags & CKF_DIGEST != 0 {
            operations.digest = None;
        }
        if flags & CKF_VERIFY != 0 {
            operations.verify = None;
        }
        if flags & CKF_DECRYPT != 0 {
            operations.decrypt = None;
        }
        if flags & CKF_SIGN != 0 && operations.sign.take().is_some() {
            session.operation_ended()?;
        }
        Ok(())
    }

    /// C_Login. `None` for a NULL PIN: the user enters it on the PIN pad of the reader.
    pub(crate) fn login(
        &self,
        handle: CK_SESSION_HANDLE,
        user: CK_USER_TYPE,
        pin: Option<&[u8]>,
    ) -> Result<()> {
        let session = self.fresh_session(handle)?;
        let slot = &session.slot;
        match user {
            CKU_USER => {
                slot.reader.check_user_login(slot.application)?;
                slot.reader.login_user(slot.application, session.generation, pin)
            }
            CKU_CONTEXT_SPECIFIC => {
                session.check_asks_for_login()?;
                slot.reader.login_context(slot.application, session.generation, handle, pin)?;
                // No lock was held while the user typed: the operation may have ended meanwhile.
                session.check_asks_for_login().or_else(|error| session.operation_ended().and(Err(error)))
            }
            CKU_SO => {
                if !session.read_write {
                    return Err(Error::SessionReadOnly);
                }
                let (all, read_write) = self.sessions.count(slot.id);
                if all != read_write {
                    return Err(Error::SessionReadOnlyExists);
                }
                slot.reader.login_officer(slot.application, session.generation, pin)
            }
            _ => Err(Error::UserTypeInvalid),
        }
    }

    /// C_SetPIN: the user's PIN, whether the user is logged in or not. The officer's, the PUK, no card can change.
    pub(crate) fn set_pin(
        &self,
        handle: CK_SESSION_HANDLE,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<()> {
        let session = self.fresh_session(handle)?;
        if !session.read_write {
            return Err(Error::SessionReadOnly);
        }
        let slot = &session.slot;
        if slot.reader.login_state(slot.application) == LoginState::Officer {
            return Err(Error::FunctionNotSupported);
        }
        if old.is_some() != new.is_some() {
            return Err(Error::ArgumentsBad);
        }
        slot.reader.change_pin(slot.application, session.generation, old.zip(new))
    }

    /// C_InitPIN: what the PUK is for.
    pub(crate) fn init_pin(&self, handle: CK_SESSION_HANDLE, pin: Option<&[u8]>) -> Result<()> {
        let session = self.fresh_session(handle)?;
        let slot = &session.slot;
        slot.reader.unblock_pin(slot.application, session.generation, pin)
    }

    /// C_Logout.
    pub(crate) fn logout(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        let slot = &session.slot;
        if slot.reader.login_state(slot.application) == LoginState::Nobody {
            return Err(Error::UserNotLoggedIn);
        }
        self.sessions.edit_copies(slot.id, |copies| copies.retain(|(_, object)| !object.private));
        session.logout()
    }

    /// What a closed session leaves undone.
    fn end_operations(&self, session: &Session) -> Result<()> {
        lock(&session.operations).sign = None;
        session.operation_ended()
    }
}

fn new_handle() -> CK_SESSION_HANDLE {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) as CK_SESSION_HANDLE
}
