//! C_Login, C_Logout, C_SetPIN and C_InitPIN (PKCS#11 v3.1 clauses 5.6.8, 5.6.10, 5.5.9 and 5.5.8).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::Ptr;
use crate::error::Result;
use crate::token::Module;

pub(super) fn login(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    user: CK_USER_TYPE,
    pin: Ptr<'_, CK_UTF8CHAR>,
    length: CK_ULONG,
) -> Result<()> {
    module.login(session, user, typed(pin, length)?)
}

pub(super) fn logout(module: &Arc<Module>, session: CK_SESSION_HANDLE) -> Result<()> {
    module.logout(session)
}

pub(super) fn set_pin(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    old: Ptr<'_, CK_UTF8CHAR>,
    old_length: CK_ULONG,
    new: Ptr<'_, CK_UTF8CHAR>,
    new_length: CK_ULONG,
) -> Result<()> {
    module.set_pin(session, typed(old, old_length)?, typed(new, new_length)?)
}

pub(super) fn init_pin(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    pin: Ptr<'_, CK_UTF8CHAR>,
    length: CK_ULONG,
) -> Result<()> {
    module.init_pin(session, typed(pin, length)?)
}

/// A PIN that the caller has; `None` is one that would have to be typed at the reader.
fn typed(pin: Ptr<'_, CK_UTF8CHAR>, length: CK_ULONG) -> Result<Option<&[u8]>> {
    if pin.is_null() { Ok(None) } else { pin.slice(length).map(Some) }
}
