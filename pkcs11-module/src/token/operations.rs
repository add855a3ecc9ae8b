//! What a session is in the middle of: a search (PKCS#11 v3.1 clause 5.7.7 and following) and reading of attributes.

use cryptoki_sys::*;

use super::digest::DigestOperation;
use super::sign::SignOperation;
use super::{Module, lock};
use crate::error::{Error, Result};

/// Operations of a session.
#[derive(Default)]
pub(super) struct Operations {
    /// Handles found and not yet handed out, last first.
    pub(super) find: Option<Vec<CK_OBJECT_HANDLE>>,
    pub(super) sign: Option<SignOperation>,
    pub(super) digest: Option<DigestOperation>,
}

/// One condition of a search.
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
        let mut found = session.slot.reader.visible(session.slot.application, |handle, object| {
            let fits = template.iter().all(|condition| object.matches(condition.kind, condition.value));
            fits.then_some(handle)
        })?;
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

    /// C_GetAttributeValue: hands the object to `read`.
    pub(crate) fn with_object<T>(
        &self,
        handle: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        read: impl FnOnce(&super::objects::Object) -> Result<T>,
    ) -> Result<T> {
        let session = self.session(handle)?;
        let (token, index, visible) = session.slot.reader.locate(session.slot.application, object)?;
        let object = token.objects.get(index).filter(|_| visible).ok_or(Error::ObjectHandleInvalid)?;
        read(object)
    }
}
