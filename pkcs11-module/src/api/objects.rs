//! Attributes and copies of objects (PKCS#11 v3.1 clauses 5.7.2 to 5.7.6).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::Ptr;
use crate::error::Result;
use crate::token::{Condition, Module};

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

pub(super) fn copy(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: Ptr<'_, CK_ATTRIBUTE>,
    count: CK_ULONG,
    copy: Ptr<'_, CK_OBJECT_HANDLE>,
) -> Result<()> {
    copy.check()?;
    let template = conditions(template, count)?;
    copy.write(module.copy_object(session, object, &template)?)
}

pub(super) fn destroy(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
) -> Result<()> {
    module.destroy_object(session, object)
}

pub(super) fn set_attributes(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    template: Ptr<'_, CK_ATTRIBUTE>,
    count: CK_ULONG,
) -> Result<()> {
    module.set_attributes(session, object, &conditions(template, count)?)
}

pub(super) fn size(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    object: CK_OBJECT_HANDLE,
    size: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    size.check()?;
    size.write(module.object_size(session, object)? as CK_ULONG)
}

/// The attributes of a template with their values.
pub(super) fn conditions<'call>(
    template: Ptr<'call, CK_ATTRIBUTE>,
    count: CK_ULONG,
) -> Result<Vec<Condition<'call>>> {
    let entries = template.template(count)?;
    entries.iter().map(|entry| Ok(Condition { kind: entry.kind(), value: entry.value()? })).collect()
}
