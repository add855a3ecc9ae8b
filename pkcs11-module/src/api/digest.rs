//! Message digests (PKCS#11 v3.1 clause 5.12).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::{Ptr, output};
use crate::error::Result;
use crate::token::Module;

pub(super) fn init(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    mechanism: Ptr<'_, CK_MECHANISM>,
) -> Result<()> {
    if mechanism.is_null() {
        return module.digest_cancel(session);
    }
    let mechanism = mechanism.mechanism()?;
    module.digest_init(session, (mechanism.kind, mechanism.parameter))
}

pub(super) fn digest(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
    digest: Ptr<'_, u8>,
    digest_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(digest, digest_length, |room| module.digest(session, || data.slice(length), room))
}

pub(super) fn update(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
) -> Result<()> {
    module.digest_update(session, || data.slice(length))
}

pub(super) fn finish(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    digest: Ptr<'_, u8>,
    digest_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    output(digest, digest_length, |room| module.digest_final(session, room))
}
