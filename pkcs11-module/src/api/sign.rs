//! Signing (PKCS#11 v3.1 clause 5.13).

use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::Ptr;
use crate::error::{Error, Result};
use crate::token::{Module, Room, Signature};

pub(super) fn init(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    mechanism: Ptr<'_, CK_MECHANISM>,
    key: CK_OBJECT_HANDLE,
) -> Result<()> {
    if mechanism.is_null() {
        return module.sign_cancel(session);
    }
    let mechanism = mechanism.mechanism()?;
    module.sign_init(session, (mechanism.kind, mechanism.parameter), key)
}

pub(super) fn sign(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
    signature: Ptr<'_, u8>,
    signature_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    let room = room(signature, signature_length)?;
    let made = module.sign(session, || data.slice(length), room)?;
    answer(made, room, signature, signature_length)
}

pub(super) fn update(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    data: Ptr<'_, u8>,
    length: CK_ULONG,
) -> Result<()> {
    module.sign_update(session, || data.slice(length))
}

pub(super) fn finish(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    signature: Ptr<'_, u8>,
    signature_length: Ptr<'_, CK_ULONG>,
) -> Result<()> {
    let room = room(signature, signature_length)?;
    let made = module.sign_final(session, room)?;
    answer(made, room, signature, signature_length)
}

fn room(signature: Ptr<'_, u8>, length: Ptr<'_, CK_ULONG>) -> Result<Room> {
    let room = length.read()?;
    Ok((!signature.is_null()).then_some(room))
}

/// A length is the whole answer to a question for it, and an error for a caller who gave too little room.
fn answer(made: Signature, room: Room, out: Ptr<'_, u8>, length: Ptr<'_, CK_ULONG>) -> Result<()> {
    match made {
        Signature::Bytes(bytes) => {
            out.write_all(&bytes)?;
            length.write(bytes.len() as CK_ULONG)
        }
        Signature::Length(needed) => {
            length.write(needed as CK_ULONG)?;
            if room.is_none() { Ok(()) } else { Err(Error::BufferTooSmall) }
        }
    }
}
