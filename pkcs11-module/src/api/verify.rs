//! Checking signatures (PKCS#11 v3.1 clause 5.15).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::Ptr;
use crate::error::Result;
use crate::token::Module;

pub(super) fn init(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    mechanism: Ptr<'_, CK_MECHANISM>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    if mechanism.is_null() {
        return module.verify_cancel(session);
    }
    let mechanism = mechanism.mechanism()?;
    module.verify_init(session, (mechanism.kind, mechanism.parameter), key)
}

pub(super) fn verify(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
    signature: Ptr<'_, u8>,
    signature_length: CK_ULONG,
) -> Result<()> {
    module.verify(session, || data.slice(length), || signature.slice(signature_length))
}

pub(super) fn update(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
) -> Result<()> {
    module.verify_update(session, || data.slice(length))
}

pub(super) fn finish(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    signature: Ptr<'_, u8>,
    signature_length: CK_ULONG,
) -> Result<()> {
    module.verify_final(session, || signature.slice(signature_length))
}
