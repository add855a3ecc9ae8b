//! C_GetAttributeValue (PKCS#11 v3.1 clause 5.7.5).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::Ptr;
use crate::error::Result;
use crate::token::Module;

/// Answers what can be answered and marks the rest; the first reason why something is missing is the return value.
pub(super) fn attribute_value(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: Ptr<'_, CK_ATTRIBUTE>,
    count: CK_ULONG,
) -> Result<()> {
    template.check()?;
    let entries = template.template(count)?;
    module.with_object(session, object, |object| {
        let mut result = Ok(());
        for entry in &entries {
            let answered = match object.value(entry.kind()) {
                Ok(value) => entry.answer(value),
                Err(reason) => entry.answer_unavailable().and(Err(reason)),
            };
            result = result.and(answered);
        }
        result
    })
}
