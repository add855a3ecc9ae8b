//! Slot and token management (PKCS#11 v3.1 clause 5.5).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::{Ptr, Reserved, write_list};
use crate::error::{Error, Result};
use crate::token::Module;

pub(super) fn slot_list(
    module: &Arc<Module>,
    token_present: CK_BBOOL,
    list: Ptr<'_, CK_SLOT_ID>,
    count: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    count.check()?;
    write_list(&module.slot_ids(token_present != CK_FALSE), list, count)
}

pub(super) fn slot_info(module: &Arc<Module>, id: CK_SLOT_ID, info: Ptr<'_, CK_SLOT_INFO>) -> Result<()> {
    info.check()?;
    info.write(module.slot_info(id)?)
}

pub(super) fn token_info(module: &Arc<Module>, id: CK_SLOT_ID, info: Ptr<'_, CK_TOKEN_INFO>) -> Result<()> {
    info.check()?;
    info.write(module.token_info(id)?)
}

pub(super) fn mechanism_list(
    module: &Arc<Module>,
    id: CK_SLOT_ID,
    list: Ptr<'_, CK_MECHANISM_TYPE>,
    count: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    count.check()?;
    write_list(&module.mechanism_list(id)?, list, count)
}

pub(super) fn mechanism_info(
    module: &Arc<Module>,
    id: CK_SLOT_ID,
    kind: CK_MECHANISM_TYPE,
    info: Ptr<'_, CK_MECHANISM_INFO>,
) -> Result<()> {
    info.check()?;
    info.write(module.mechanism_info(id, kind)?)
}

pub(super) fn wait_for_event(
    module: &Arc<Module>,
    flags: CK_FLAGS,
    slot: Ptr<'_, CK_SLOT_ID>,
    reserved: Reserved<'_>,
) -> Result<()> {
    slot.check()?;
    if !reserved.is_null() {
        return Err(Error::ArgumentsBad);
    }
    slot.write(module.wait_for_slot_event(flags & CKF_DONT_BLOCK == 0)?)
}
