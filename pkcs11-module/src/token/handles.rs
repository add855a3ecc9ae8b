//! From handles to objects: those of the card, and session copies of them.

use std::sync::Arc;

use card::profile::KeyProfile;
use cryptoki_sys::*;

use super::Module;
use super::objects::Object;
use super::sessions::Session;
use crate::error::{Error, Result};

/// An object that a handle leads to.
pub(super) struct Found {
    pub(super) object: Arc<Object>,
    /// Whether it can be seen now.
    pub(super) visible: bool,
}

/// A key that may be used now.
pub(super) struct Key {
    pub(super) profile: &'static KeyProfile,
    pub(super) object: Arc<Object>,
}

impl Module {
    /// The object with this handle, seen from a session, whether it can be seen now or not.
    pub(super) fn found(&self, session: &Session, handle: CK_OBJECT_HANDLE) -> Result<Found> {
        let slot = &session.slot;
        if let Some(object) = self.sessions.copy(slot.id, handle) {
            let visible = !object.private || slot.reader.shows_private_objects(slot.application);
            return Ok(Found { object, visible });
        }
        let (token, index, visible) = slot.reader.locate(slot.application, handle)?;
        let object = token.objects.get(index).cloned().ok_or(Error::ObjectHandleInvalid)?;
        Ok(Found { object, visible })
    }

    /// The object with this handle, if it can be seen.
    pub(super) fn object(&self, session: &Session, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        let found = self.found(session, handle)?;
        if found.visible { Ok(found.object) } else { Err(Error::ObjectHandleInvalid) }
    }

    /// The private key with this handle. A public one is a key too, but not for this.
    pub(super) fn private_key(&self, session: &Session, handle: CK_OBJECT_HANDLE) -> Result<Key> {
        let found = self.found(session, handle).map_err(|_| Error::KeyHandleInvalid)?;
        match (found.object.private_key, found.object.public_key) {
            (Some(_), _) if !found.visible => Err(Error::UserNotLoggedIn),
            (Some(profile), _) => Ok(Key { profile, object: found.object }),
            (None, Some(_)) => Err(Error::KeyFunctionNotPermitted),
            (None, None) => Err(Error::KeyHandleInvalid),
        }
    }

    /// The public key with this handle.
    pub(super) fn public_key(&self, session: &Session, handle: CK_OBJECT_HANDLE) -> Result<Key> {
        let object = self.object(session, handle).map_err(|_| Error::KeyHandleInvalid)?;
        match (object.public_key, object.private_key) {
            (Some(profile), _) => Ok(Key { profile, object }),
            (None, Some(_)) => Err(Error::KeyFunctionNotPermitted),
            (None, None) => Err(Error::KeyHandleInvalid),
        }
    }
}
