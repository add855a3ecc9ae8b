//! What a session is in the middle of: a search (PKCS#11 v3.1 clause 5.7.7 and following) and reading of attributes.

use cryptoki_sys::*;

use super::decrypt::DecryptOperation;
use super::digest::DigestOperation;
use super::objects::Object;
use super::sign::SignOperation;
use super::verify::VerifyOperation;
use super::{Module, lock};
use crate::error::{Error, Result};

/// Operations of a session.
#[derive(Default)]
pub(super) struct Operations {
    /// Handles found and not yet handed out, last first.
    pub(super) find: Option<Vec<CK_OBJECT_HANDLE>>,
    pub(super) sign: Option<SignOperation>,
    pub(super) verify: Option<VerifyOperation>,
    pub(super) decrypt: Option<DecryptOperation>,
    pub(super) digest: Option<DigestOperation>,
}

/// One attribute of a template: a condition of a search, or a value to set.
pub(crate) struct Condition<'a> {
    /// CKA_...
    pub(crate) kind: CK_ATTRIBUTE_TYPE,
    /// The value it must have.
    pub(crate) value: &'a [u8],
}

impl Module {
    /// C_FindObjectsInit. An unknown class or attribute finds nothing and is no error.
    pub(crate) fn find_init(&self, handle: CK_SESSION_HANDLE, template: &[Condition<'_>]) -> Result<()> {
        let session = self.fresh_session(handle)?;
        let mut operations = lock(&session.operations);
        if operations.find.is_some() {
            return Err(Error::OperationActive);
        }
        // Hardware features are found by those who ask for that class only (clause 4.3.1).
        let names_a_class = template.iter().any(|condition| condition.kind == CKA_CLASS);
        let fits = |object: &Object| {
            (names_a_class || !object.is_counter())
                && template.iter().all(|condition| object.matches(condition.kind, condition.value))
        };
        let slot = &session.slot;
        let mut found =
            slot.reader.visible(slot.application, |handle, object| fits(object).then_some(handle))?;
        let all = slot.reader.shows_private_objects(slot.application);
        self.sessions.edit_copies(slot.id, |copies| {
            let seen = copies.iter().filter(|(_, object)| (all || !object.private) && fits(object));
            found.extend(seen.map(|(handle, _)| *handle));
        });
        found.reverse();
        operations.find = Some(found);
        Ok(())
    }

    /// C_FindObjects.
    pub(crate) fn find_next(
        &self,
        handle: CK_SESSION_HANDLE,
        at_most: CK_ULONG,
    ) -> Result<Vec<CK_OBJECT_HANDLE>> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let left = operations.find.as_mut().ok_or(Error::OperationNotInitialised)?;
        let count = usize::try_from(at_most).unwrap_or(usize::MAX).min(left.len());
        Ok(left.split_off(left.len() - count).into_iter().rev().collect())
    }

    /// C_FindObjectsFinal.
    pub(crate) fn find_finish(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        lock(&session.operations).find.take().map(drop).ok_or(Error::OperationNotInitialised)
    }

    /// C_GetOperationState: an operation of a card cannot be taken out of it. (clause 5.6.6)
    pub(crate) fn operation_state(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        let operations = lock(&session.operations);
        let active = operations.sign.is_some()
            || operations.verify.is_some()
            || operations.decrypt.is_some()
            || operations.digest.is_some();
        Err(if active { Error::StateUnsaveable } else { Error::OperationNotInitialised })
    }

    /// C_GetAttributeValue: hands the object to `read`.
    pub(crate) fn with_object<T>(
        &self,
        handle: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        read: impl FnOnce(&Object) -> Result<T>,
    ) -> Result<T> {
        let session = self.session(handle)?;
        let object = self.object(&session, object)?;
        if object.is_counter() { read(&session.slot.reader.counted(&object)) } else { read(&object) }
    }
}
