//! Message digests in software (PKCS#11 v3.1 clause 5.12). Java asks the token that signs to hash as well.

use cryptoki_sys::*;

use super::mechanisms::{Hash, Input};
use super::sign::{Output, Room};
use super::{Module, lock};
use crate::error::{Error, Result};

/// A digest being made.
pub(super) struct DigestOperation {
    hash: Hash,
    input: Input,
    multi_part: bool,
}

impl Module {
    /// C_DigestInit.
    pub(crate) fn digest_init(
        &self,
        handle: CK_SESSION_HANDLE,
        (kind, parameter): (CK_MECHANISM_TYPE, &[u8]),
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        if operations.digest.is_some() {
            return Err(Error::OperationActive);
        }
        let hash = Hash::by_type(kind)?;
        if !parameter.is_empty() {
            return Err(Error::MechanismParamInvalid);
        }
        operations.digest = Some(DigestOperation { hash, input: Input::new(Some(hash)), multi_part: false });
        Ok(())
    }

    /// C_DigestInit with a NULL mechanism: ends the active operation.
    pub(crate) fn digest_cancel(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        lock(&session.operations).digest.take().map(drop).ok_or(Error::ArgumentsBad)
    }

    /// C_Digest.
    pub(crate) fn digest<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
        room: Room,
    ) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let active = operations.digest.as_ref().ok_or(Error::OperationNotInitialised)?;
        if active.multi_part {
            return Err(Error::OperationActive);
        }
        if let Some(length) = Output::length_if_short(active.hash.len(), room) {
            return Ok(length);
        }
        let mut active = operations.digest.take().ok_or(Error::OperationNotInitialised)?;
        active.input.update(data()?)?;
        Ok(Output::Bytes(active.input.finish()))
    }

    /// C_DigestUpdate. An error ends the operation.
    pub(crate) fn digest_update<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let mut active = operations.digest.take().ok_or(Error::OperationNotInitialised)?;
        active.input.update(data()?)?;
        active.multi_part = true;
        operations.digest = Some(active);
        Ok(())
    }

    /// C_DigestFinal.
    pub(crate) fn digest_final(&self, handle: CK_SESSION_HANDLE, room: Room) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let active = operations.digest.as_ref().ok_or(Error::OperationNotInitialised)?;
        if let Some(length) = Output::length_if_short(active.hash.len(), room) {
            return Ok(length);
        }
        let active = operations.digest.take().ok_or(Error::OperationNotInitialised)?;
        Ok(Output::Bytes(active.input.finish()))
    }
}
