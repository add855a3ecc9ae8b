//! Message digests (PKCS#11 v3.1 clause 5.12).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::{Ptr, room, write_output};
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
    let room = room(digest, digest_length)?;
    let made = module.digest(session, || data.slice(length), room)?;
    write_output(made, room, digest, digest_length)
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
    let room = room(digest, digest_length)?;
    let made = module.digest_final(session, room)?;
    write_output(made, room, digest, digest_length)
}
