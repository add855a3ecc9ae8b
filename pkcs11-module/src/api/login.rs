//! C_Login and C_Logout (PKCS#11 v3.1 clauses 5.6.8 and 5.6.10).

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
    let pin = if pin.is_null() { None } else { Some(pin.slice(length)?) };
    module.login(session, user, pin)
}

pub(super) fn logout(module: &Arc<Module>, session: CK_SESSION_HANDLE) -> Result<()> {
    module.logout(session)
}
