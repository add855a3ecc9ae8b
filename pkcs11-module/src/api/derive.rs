//! Agreeing on a key (PKCS#11 v3.1 clause 5.18.5).

use std::sync::Arc;

use cryptoki_sys::*;

use super::objects::conditions;
use super::pointers::Ptr;
use crate::error::Result;
use crate::token::Module;

pub(super) fn derive(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    mechanism: Ptr<'static, CK_MECHANISM>,
    base: CK_OBJECT_HANDLE,
    template: Ptr<'static, CK_ATTRIBUTE>,
    count: CK_ULONG,
    key: Ptr<'_, CK_OBJECT_HANDLE>,
) -> Result<()> {
    key.check()?;
    let kind = mechanism.read()?.mechanism;
    let new =
        module.derive_key(session, kind, || mechanism.agreement(), base, || conditions(template, count))?;
    key.write(new)
}
