//! Session management (PKCS#11 v3.1 clause 5.6).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::{Ptr, Reserved};
use crate::error::Result;
use crate::token::Module;

pub(super) fn open(
    module: &Arc<Module>,
    slot: CK_SLOT_ID,
    flags: CK_FLAGS,
    _application: Reserved<'_>,
    _notify: (),
    session: Ptr<'_, CK_SESSION_HANDLE>,
) -> Result<()> {
    session.check()?;
    session.write(module.open_session(slot, flags)?)
}

pub(super) fn close(module: &Arc<Module>, session: CK_SESSION_HANDLE) -> Result<()> {
    module.close_session(session)
}

pub(super) fn close_all(module: &Arc<Module>, slot: CK_SLOT_ID) -> Result<()> {
    module.close_all_sessions(slot)
}

pub(super) fn info(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    info: Ptr<'_, CK_SESSION_INFO>,
) -> Result<()> {
    info.check()?;
    info.write(module.session_info(session)?)
}

pub(super) fn cancel(module: &Arc<Module>, session: CK_SESSION_HANDLE, flags: CK_FLAGS) -> Result<()> {
    module.cancel(session, flags)
}

pub(super) fn operation_state(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    _state: Ptr<'_, u8>,
    length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    length.check()?;
    module.operation_state(session)
}
