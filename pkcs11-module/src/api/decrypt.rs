//! Deciphering (PKCS#11 v3.1 clause 5.10).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::{Ptr, output};
use crate::error::Result;
use crate::token::Module;

pub(super) fn init(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    mechanism: Ptr<'_, CK_MECHANISM>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    if mechanism.is_null() {
        return module.decrypt_cancel(session);
    }
    let mechanism = mechanism.mechanism()?;
    module.decrypt_init(session, (mechanism.kind, mechanism.parameter), key)
}

pub(super) fn decrypt(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    cryptogram: Ptr<'_, u8>,
    length: CK_ULONG,
    message: Ptr<'_, u8>,
    message_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(message, message_length, |room| module.decrypt(session, || cryptogram.slice(length), room))
}

pub(super) fn update(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    cryptogram: Ptr<'_, u8>,
    length: CK_ULONG,
    message: Ptr<'_, u8>,
    message_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(message, message_length, |room| module.decrypt_update(session, || cryptogram.slice(length), room))
}

pub(super) fn finish(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    message: Ptr<'_, u8>,
    message_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(message, message_length, |room| module.decrypt_final(session, room))
}
