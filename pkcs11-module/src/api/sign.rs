//! Signing (PKCS#11 v3.1 clause 5.13).

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
        return module.sign_cancel(session);
    }
    let mechanism = mechanism.mechanism()?;
    module.sign_init(session, (mechanism.kind, mechanism.parameter), key)
}

pub(super) fn sign(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
    signature: Ptr<'_, u8>,
    signature_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(signature, signature_length, |room| module.sign(session, || data.slice(length), room))
}

pub(super) fn update(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
) -> Result<()> {
    module.sign_update(session, || data.slice(length))
}

pub(super) fn finish(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    signature: Ptr<'_, u8>,
    signature_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(signature, signature_length, |room| module.sign_final(session, room))
}
