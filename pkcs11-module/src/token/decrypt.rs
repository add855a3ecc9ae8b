//! Deciphering with the encryption keys (PKCS#11 v3.1 clause 5.10).
//!
//! How long the message is, only the card knows. A question for the length is answered with the most it can be; when the
//! card has deciphered and the caller's room does not do, the message waits in the operation, and the card is not asked
//! again.

use card::profile::{DecipherScheme, KeyKind, KeyProfile};
use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::handles::Key;
use super::mechanisms::{Input, decipher_scheme};
use super::operations::Operations;
use super::sessions::Session;
use super::sign::{Output, Room};
use super::{Module, lock};
use crate::error::{Error, Result};

/// A decipherment.
pub(super) struct DecryptOperation {
    key: &'static KeyProfile,
    scheme: DecipherScheme,
    input: Vec<u8>,
    multi_part: bool,
    message: Option<Zeroizing<Vec<u8>>>,
}

impl Module {
    /// C_DecryptInit.
    pub(crate) fn decrypt_init(
        &self,
        handle: CK_SESSION_HANDLE,
        (kind, parameter): (CK_MECHANISM_TYPE, &[u8]),
        key: CK_OBJECT_HANDLE,
    ) -> Result<()> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        if operations.decrypt.is_some() {
            return Err(Error::OperationActive);
        }
        let Key { profile: key, .. } = self.private_key(&session, key)?;
        session.slot.reader.token(session.slot.application)?.token.check_offered(kind)?;
        let scheme = decipher_scheme(kind, parameter)?;
        match key.deciphers {
            Some((known, _)) if known == scheme => {}
            Some(_) => return Err(Error::KeyTypeInconsistent),
            None => return Err(Error::KeyFunctionNotPermitted),
        }
        operations.decrypt =
            Some(DecryptOperation { key, scheme, input: Vec::new(), multi_part: false, message: None });
        Ok(())
    }

    /// C_DecryptInit with a NULL mechanism: ends the active operation.
    pub(crate) fn decrypt_cancel(&self, handle: CK_SESSION_HANDLE) -> Result<()> {
        let session = self.session(handle)?;
        lock(&session.operations).decrypt.take().map(drop).ok_or(Error::ArgumentsBad)
    }

    /// C_Decrypt.
    pub(crate) fn decrypt<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
        room: Room,
    ) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let operation = active(&mut operations)?;
        if operation.multi_part {
            return Err(Error::OperationActive);
        }
        if room.is_none() {
            let length = data().and_then(|data| operation.most(data.len()));
            return self.or_end(&mut operations, length.map(Output::Length));
        }
        let collected = match operation.message {
            None => data().and_then(|data| operation.collect(data)),
            Some(_) => Ok(()),
        };
        self.or_end(&mut operations, collected)?;
        self.complete_decrypt(&session, &mut operations, room)
    }

    /// C_DecryptUpdate. Nothing comes out before the end.
    pub(crate) fn decrypt_update<'a>(
        &self,
        handle: CK_SESSION_HANDLE,
        data: impl FnOnce() -> Result<&'a [u8]>,
        room: Room,
    ) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let operation = active(&mut operations)?;
        if room.is_none() {
            return Ok(Output::Length(0));
        }
        operation.multi_part = true;
        let collected = data().and_then(|data| operation.collect(data));
        self.or_end(&mut operations, collected.map(|()| Output::Bytes(Vec::new())))
    }

    /// C_DecryptFinal.
    pub(crate) fn decrypt_final(&self, handle: CK_SESSION_HANDLE, room: Room) -> Result<Output> {
        let session = self.session(handle)?;
        let mut operations = lock(&session.operations);
        let operation = active(&mut operations)?;
        if room.is_none() {
            let length = operation.most(operation.input.len());
            return self.or_end(&mut operations, length.map(Output::Length));
        }
        self.complete_decrypt(&session, &mut operations, room)
    }

    /// Has the card decipher, if it has not, and hands out the message if there is room.
    fn complete_decrypt(&self, session: &Session, operations: &mut Operations, room: Room) -> Result<Output> {
        let mut operation = operations.decrypt.take().ok_or(Error::OperationNotInitialised)?;
        let message = match operation.message.take() {
            Some(message) => message,
            None => {
                let slot = &session.slot;
                let order = (operation.scheme, operation.input.as_slice());
                let key = operation.key.id;
                let done =
                    slot.reader.decipher(slot.application, session.generation, session.handle, key, order);
                done.map_err(of_cryptogram)?
            }
        };
        match Output::length_if_short(message.len(), room) {
            Some(short) => {
                operation.message = Some(message);
                operations.decrypt = Some(operation);
                Ok(short)
            }
            None => Ok(Output::Secret(message)),
        }
    }

    /// An error ends the operation.
    fn or_end<T>(&self, operations: &mut Operations, result: Result<T>) -> Result<T> {
        result.inspect_err(|_| operations.decrypt = None)
    }
}

impl DecryptOperation {
    fn collect(&mut self, data: &[u8]) -> Result<()> {
        if self.input.len() + data.len() > Input::MOST {
            return Err(Error::EncryptedDataLenRange);
        }
        self.input.extend_from_slice(data);
        Ok(())
    }

    /// The longest message that a cryptogram of this length can hold.
    fn most(&self, cryptogram: usize) -> Result<usize> {
        if let Some(message) = &self.message {
            return Ok(message.len());
        }
        match (self.scheme, self.key.kind) {
            // RFC 8017 clause 7.1.1: two hashes and two bytes less than the modulus.
            (DecipherScheme::RsaOaepSha256, KeyKind::Rsa { bits }) => Ok(usize::from(bits) / 8 - 66),
            _ => Ok(cryptogram),
        }
    }
}

/// A wrong length is one of the cryptogram here.
fn of_cryptogram(error: Error) -> Error {
    match error.rv() {
        CKR_DATA_LEN_RANGE => Error::EncryptedDataLenRange,
        _ => error,
    }
}

fn active(operations: &mut Operations) -> Result<&mut DecryptOperation> {
    operations.decrypt.as_mut().ok_or(Error::OperationNotInitialised)
}
