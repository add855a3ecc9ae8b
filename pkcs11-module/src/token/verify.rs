//! Checking signatures, in software with the public key of the certificate (PKCS#11 v3.1 clause 5.15). No login, no card.
//!
//! An operation ends with every answer of C_Verify and C_VerifyFinal, and with every error of C_VerifyUpdate.

use card::profile::KeyProfile;
use card::public_key::PublicKey;
use cryptoki_sys::*;

use super::handles::Key;
use super::mechanisms::{Input, Mechanism};
use super::operations::Operations;
use super::sign::known_type_mismatch;
use super::{Module, lock};
use crate::error::{Error, Result};

/// A signature being checked.
pub(super) struct VerifyOperation {
    key: &'static KeyProfile,
    public_key: PublicKey,
    mechanism: Mechanism,
    input: Input,
    multi_part: bool,
}

impl Module {
    /// C_VerifyInit.
    pub(crate) fn verify_init(
        &self,
        handle: CK_SESSION_HANDLE,
        (kind, parameter): (CK_MECHANISM_TYPE, &[u8]),
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        if operations.verify.is_some() {
            return Err(Error::OperationActive);
        }
        let Key { profile: key, object } = self.public_key(&session, key)?;
        let token = session.slot.reader.token(session.slot.application)?.token;
        token.check_offered(kind).or_else(|error| known_type_mismatch(kind, key, error))?;
        let mechanism = Mechanism::parse(kind, parameter)?;
        mechanism.check_key(key)?;
        let public_key = PublicKey::from_key_info(object.value(CKA_PUBLIC_KEY_INFO)?, key.kind);
        operations.verify = Some(VerifyOperation {
            key,
            public_key: public_key.ok_or(Error::KeyTypeInconsistent)?,
            mechanism,
            input: mechanism.input(),
            multi_part: false,
        });
        Ok(())
    }

    /// C_VerifyInit with a NULL mechanism: ends the active operation.
    pub(crate) fn verify_cancel(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        lock(&session.operations).verify.take().map(drop).ok_or(Error::ArgumentsBad)
    }

    /// C_Verify.
    pub(crate) fn verify<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
        signature: impl FnOnce() -> Result<&'a [u8]>,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        if active(&mut operations)?.multi_part {
            return Err(Error::OperationActive);
        }
        let mut operation = operations.verify.take().ok_or(Error::OperationNotInitialised)?;
        operation.input.update(data()?)?;
        operation.judge(signature()?)
    }

    /// C_VerifyUpdate.
    pub(crate) fn verify_update<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let operation = active(&mut operations)?;
        operation.multi_part = true;
        let result = data().and_then(|data| operation.input.update(data));
        if result.is_err() {
            operations.verify = None;
        }
        result
    }

    /// C_VerifyFinal.
    pub(crate) fn verify_final<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        signature: impl FnOnce() -> Result<&'a [u8]>,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let operation = lock(&session.operations).verify.take().ok_or(Error::OperationNotInitialised)?;
        operation.judge(signature()?)
    }
}

impl VerifyOperation {
    fn judge(self, signature: &[u8]) -> Result<()> {
        if signature.len() != self.key.kind.signature_len() {
            return Err(Error::SignatureLenRange);
        }
        let input = self.mechanism.card_input(self.key.kind, self.input.finish())?;
        match self.public_key.verifies(self.mechanism.scheme(), &input, signature) {
            true => Ok(()),
            false => Err(Error::SignatureInvalid),
        }
    }
}

fn active(operations: &mut Operations) -> Result<&mut VerifyOperation> {
    operations.verify.as_mut().ok_or(Error::OperationNotInitialised)
}
