//! Searching for objects (PKCS#11 v3.1 clauses 5.7.7 to 5.7.9).

use std::sync::Arc;

use cryptoki_sys::*;

use super::objects::conditions;
use super::pointers::Ptr;
use crate::error::Result;
use crate::token::Module;

pub(super) fn init(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    template: Ptr<'_, CK_ATTRIBUTE>,
    count: CK_ULONG,
) -> Result<()> {
    let conditions = conditions(template, count)?;
    module.find_init(session, &conditions)
}

pub(super) fn next(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    objects: Ptr<'_, CK_OBJECT_HANDLE>,
    room: CK_ULONG,
    count: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    count.check()?;
    if room > 0 {
        objects.check()?;
    }
    let found = module.find_next(session, room)?;
    objects.write_all(&found)?;
    count.write(found.len() as CK_ULONG)
}

pub(super) fn finish(module: &Arc<Module>, session: CK_SESSION_HANDLE) -> Result<()> {
    module.find_finish(session)
}
