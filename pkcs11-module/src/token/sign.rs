//! Signing (PKCS#11 v3.1 clause 5.13).
//!
//! An operation ends with every answer of C_Sign and C_SignFinal except a length query and CKR_BUFFER_TOO_SMALL, and
//! with every error of C_SignUpdate.

use card::profile::KeyProfile;
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::handles::Key;
use super::mechanisms::{Input, Mechanism};
use super::operations::Operations;
use super::sessions::Session;
use super::{Module, lock};
use crate::error::{Error, Result};

/// A signature being made.
pub(super) struct SignOperation {
    key: &'static KeyProfile,
    mechanism: Mechanism,
    input: Input,
    multi_part: bool,
    /// Whether the key wants a login of its own for it.
    pub(super) always_authenticate: bool,
}

/// The caller's room for an output, or `None` for a question about its length.
pub(crate) type Room = Option<CK_ULONG>;

/// What an operation yields, or its length for a caller without room.
pub(crate) enum Output {
    Length(usize),
    Bytes(Vec<u8>),
    /// A deciphered message.
    Secret(Zeroizing<Vec<u8>>),
}

impl Output {
    /// The answer for a caller who has not given enough room; nothing is done and the operation goes on.
    pub(super) fn length_if_short(length: usize, room: Room) -> Option<Output> {
        let enough = room.is_some_and(|room| usize::try_from(room).is_ok_and(|room| room >= length));
        (!enough).then_some(Output::Length(length))
    }
}

impl Module {
    /// C_SignInit.
    pub(crate) fn sign_init(
        &self,
        handle: CK_SESSION_HANDLE,
        mechanism: (CK_MECHANISM_TYPE, &[u8]),
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        if operations.sign.is_some() {
            return Err(Error::OperationActive);
        }
        let Key { profile: key, object } = self.private_key(&session, key)?;
        let (kind, parameter) = mechanism;
        let token = session.slot.reader.token(session.slot.application)?.token;
        token.check_offered(kind).or_else(|error| known_type_mismatch(kind, key, error))?;
        let mechanism = Mechanism::parse(kind, parameter)?;
        mechanism.check_key(key)?;
        operations.sign = Some(SignOperation {
            key,
            mechanism,
            input: mechanism.input(),
            multi_part: false,
            always_authenticate: object.is(CKA_ALWAYS_AUTHENTICATE),
        });
        Ok(())
    }

    /// C_SignInit with a NULL mechanism: ends the active operation.
    pub(crate) fn sign_cancel(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        operations.sign.take().ok_or(Error::ArgumentsBad)?;
        session.operation_ended()
    }

    /// C_Sign.
    pub(crate) fn sign<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
        room: Room,
    ) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let active = operations.sign.as_ref().ok_or(Error::OperationNotInitialised)?;
        if active.multi_part {
            return Err(Error::OperationActive);
        }
        if let Some(length) = active.too_small(room) {
            return Ok(length);
        }
        self.complete(&session, &mut operations, |input| input.update(data()?))
    }

    /// C_SignUpdate.
    pub(crate) fn sign_update<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let active = operations.sign.as_mut().ok_or(Error::OperationNotInitialised)?;
        active.multi_part = true;
        let result = data().and_then(|data| active.input.update(data));
        if result.is_err() {
            operations.sign = None;
            session.operation_ended()?;
        }
        result
    }

    /// C_SignFinal.
    pub(crate) fn sign_final(&self, handle: CK_SESSION_HANDLE, room: Room) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let active = operations.sign.as_ref().ok_or(Error::OperationNotInitialised)?;
        if let Some(length) = active.too_small(room) {
            return Ok(length);
        }
        self.complete(&session, &mut operations, |_| Ok(()))
    }

    /// Ends the operation with a signature or an error.
    fn complete(
        &self,
        session: &Session,
        operations: &mut Operations,
        last: impl FnOnce(&mut Input) -> Result<()>,
    ) -> Result<Output> {
        let SignOperation { key, mechanism, mut input, .. } =
            operations.sign.take().ok_or(Error::OperationNotInitialised)?;
        let slot = &session.slot;
        let prepared = last(&mut input).and_then(|()| mechanism.card_input(key.kind, input.finish()));
        let signed = prepared.and_then(|input| {
            let order = (mechanism.scheme(), input.as_slice());
            slot.reader.sign(slot.application, session.generation, session.handle, key.id, order)
        });
        session.operation_ended()?;
        signed.map(Output::Bytes)
    }
}

impl SignOperation {
    fn too_small(&self, room: Room) -> Option<Output> {
        Output::length_if_short(self.key.kind.signature_len(), room)
    }
}

/// A mechanism that exists but not on this slot is worth a precise answer when it is for the other kind of key.
pub(super) fn known_type_mismatch(kind: CK_MECHANISM_TYPE, key: &KeyProfile, error: Error) -> Result<()> {
    match Mechanism::parse(kind, &[]).map(|mechanism| mechanism.check_key(key)) {
        Ok(Err(Error::KeyTypeInconsistent)) => Err(Error::KeyTypeInconsistent),
        _ => Err(error),
    }
}
