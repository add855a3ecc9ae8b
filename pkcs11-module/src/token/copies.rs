//! Session objects (PKCS#11 v3.1 clauses 5.7.2 to 5.7.6): C_CopyObject, C_DestroyObject, C_SetAttributeValue,
//! C_GetObjectSize.
//!
//! They are copies of the card's objects, and [agreed secrets](super::derive). A copy is a second handle with attributes of its own; a copied private key still works on the card, with the login of
//! its token. pkcs11-provider makes one of each key it uses. Copies live in the session that made them, can be seen from
//! all sessions of the token, and die with their session; private ones also at logout.

use std::sync::Arc;

use cryptoki_sys::*;

use super::objects::Object;
use super::operations::Condition;
use super::sessions::Session;
use super::view::new_handle;
use super::{Module, lock};
use crate::error::{Error, Result};

/// Session objects that one session may own; each is a few hundred bytes of the host's memory.
const MOST: usize = 1024;

/// A copy and its handle.
pub(super) type Copy = (CK_OBJECT_HANDLE, Arc<Object>);

impl Module {
    /// C_CopyObject.
    pub(crate) fn copy_object(
        &self,
        handle: CK_SESSION_HANDLE,
        source: CK_OBJECT_HANDLE,
        template: &[Condition<'_>],
    ) -> Result<CK_OBJECT_HANDLE> {
        let session = self.fresh_session(handle)?;
        let source = self.object(&session, source)?;
        if !source.is(CKA_COPYABLE) {
            return Err(Error::ActionProhibited);
        }
        let mut object = Object::clone(&source);
        // Objects of the card cannot be destroyed; a copy can, unless the caller says otherwise.
        object.set(CKA_DESTROYABLE, &[CK_TRUE]);
        change(&mut object, template, Change::OfACopy)?;
        if object.is(CKA_TOKEN) {
            return Err(Error::TokenWriteProtected);
        }
        let copy = session.room_for_an_object()?;
        object.set(CKA_UNIQUE_ID, format!("copy {copy}").as_bytes());
        lock(&session.copies).push((copy, Arc::new(object)));
        Ok(copy)
    }

    /// C_DestroyObject: copies only.
    pub(crate) fn destroy_object(&self, handle: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<()> {
        let session = self.fresh_session(handle)?;
        self.writable(&session, object, CKA_DESTROYABLE)?;
        self.sessions.edit_copies(session.slot.id, |copies| copies.retain(|(known, _)| *known != object));
        Ok(())
    }

    /// C_SetAttributeValue: copies that are CKA_MODIFIABLE.
    pub(crate) fn set_attributes(
        &self,
        handle: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: &[Condition<'_>],
    ) -> Result<()> {
        let session = self.fresh_session(handle)?;
        let mut changed = Object::clone(&*self.writable(&session, object, CKA_MODIFIABLE)?);
        change(&mut changed, template, Change::InPlace)?;
        let changed = Arc::new(changed);
        self.sessions.edit_copies(session.slot.id, |copies| {
            for (_, value) in copies.iter_mut().filter(|(known, _)| *known == object) {
                *value = changed.clone();
            }
        });
        Ok(())
    }

    /// C_GetObjectSize: the bytes of all attribute values that can be read.
    pub(crate) fn object_size(&self, handle: CK_SESSION_HANDLE, object: CK_OBJECT_HANDLE) -> Result<usize> {
        let session = self.session(handle)?;
        Ok(self.object(&session, object)?.size())
    }

    /// The copy with this handle, if its flag allows what is to be done. What is on the card cannot be written.
    fn writable(
        &self,
        session: &Session,
        handle: CK_OBJECT_HANDLE,
        flag: CK_ATTRIBUTE_TYPE,
    ) -> Result<Arc<Object>> {
        let object = self.object(session, handle)?;
        match (object.is(CKA_TOKEN), session.read_write) {
            (true, false) => Err(Error::SessionReadOnly),
            (true, true) => Err(Error::TokenWriteProtected),
            (false, _) if object.is(flag) => Ok(object),
            (false, _) => Err(Error::ActionProhibited),
        }
    }
}

impl Session {
    /// The handle of its next object, if it may have another one. Two threads that ask at once may both get the last one.
    pub(super) fn room_for_an_object(&self) -> Result<CK_OBJECT_HANDLE> {
        if lock(&self.copies).len() < MOST { Ok(new_handle()) } else { Err(Error::HostMemory) }
    }
}

/// When a template is applied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// By C_CopyObject, which may set more.
    OfACopy,
    InPlace,
}

/// Applies a template. Names may change freely; flags only so that the object promises less than before; all else has to
/// stay as it is.
fn change(object: &mut Object, template: &[Condition<'_>], when: Change) -> Result<()> {
    for Condition { kind, value } in template {
        let old = object.value(*kind)?.to_vec();
        match *kind {
            CKA_LABEL | CKA_ID => {}
            CKA_TOKEN | CKA_PRIVATE | CKA_MODIFIABLE | CKA_COPYABLE | CKA_DESTROYABLE => {
                let (before, after) = (flag(&old)?, flag(value)?);
                check_flag(*kind, (before, after), when)?;
            }
            // What could be seen may be hidden from now on, but not the other way round (clause 4.10).
            CKA_SENSITIVE if (flag(&old)?, flag(value)?) == (false, true) => object.withhold_value(),
            CKA_EXTRACTABLE if (flag(&old)?, flag(value)?) == (true, false) => object.withhold_value(),
            _ if old == *value => continue,
            _ => return Err(Error::AttributeReadOnly),
        }
        object.set(*kind, value);
        object.private = object.is(CKA_PRIVATE);
    }
    Ok(())
}

fn check_flag(kind: CK_ATTRIBUTE_TYPE, (before, after): (bool, bool), when: Change) -> Result<()> {
    match (kind, before, after) {
        _ if before == after => Ok(()),
        (CKA_TOKEN | CKA_MODIFIABLE | CKA_DESTROYABLE | CKA_PRIVATE, _, _) if when == Change::InPlace => {
            Err(Error::AttributeReadOnly)
        }
        // Private objects stay private, and what may not be copied on stays so.
        (CKA_PRIVATE, true, false) | (CKA_COPYABLE, false, true) => Err(Error::TemplateInconsistent),
        _ => Ok(()),
    }
}

/// A CK_BBOOL.
pub(super) fn flag(value: &[u8]) -> Result<bool> {
    match value {
        [CK_FALSE] => Ok(false),
        [CK_TRUE] => Ok(true),
        _ => Err(Error::AttributeValueInvalid),
    }
}
