//! C_Initialize, C_Finalize, C_GetInfo and what needs no slot (PKCS#11 v3.1 clauses 5.4.1 to 5.4.3, 5.19, 5.20).

use std::ffi::c_void;
use std::sync::Arc;

use cryptoki_sys::*;

use super::pointers::{Ptr, Reserved};
use super::process;
use crate::config::Config;
use crate::error::{Error, Result};
use crate::logging::{Level, Log};
use crate::text::padded;
use crate::token::Module;

/// Longest text that `pReserved` may be.
const MAX_INIT_TEXT: usize = 4096;

pub(super) fn initialize(arguments: Ptr<'_, c_void>) -> Result<()> {
    let arguments = arguments.cast::<CK_C_INITIALIZE_ARGS>();
    let text = if arguments.is_null() { None } else { check(&arguments.read()?)? };
    process::initialise(|| {
        let module = Config::load(text.as_deref()).and_then(Module::new);
        module.map_err(|error| {
            // There is no log yet: the place every user can see.
            Log::stderr(Level::Error)
                .scope(|| tracing::error!(%error, "configuration of the PKCS#11 module"));
            Error::Configuration(error)
        })
    })
}

/// Locks are always those of the operating system. `pReserved`, which the specification keeps NULL, is where NSS,
/// p11-kit and pkcs11-provider put the text that a user configured for the module.
fn check(arguments: &CK_C_INITIALIZE_ARGS) -> Result<Option<String>> {
    let callbacks = [
        arguments.CreateMutex.is_some(),
        arguments.DestroyMutex.is_some(),
        arguments.LockMutex.is_some(),
        arguments.UnlockMutex.is_some(),
    ];
    let all = callbacks.iter().all(|given| *given);
    if callbacks.iter().any(|given| *given) && !all {
        return Err(Error::ArgumentsBad);
    }
    if all && arguments.flags & CKF_OS_LOCKING_OK == 0 {
        return Err(Error::CantLock);
    }
    // SAFETY: NULL or, by the convention of those callers, a NUL-terminated text.
    let text: Ptr<'_, u8> = unsafe { Ptr::new(arguments.pReserved.cast()) };
    Ok(text.text(MAX_INIT_TEXT))
}

pub(super) fn finalize(reserved: Reserved<'_>) -> Result<()> {
    if !reserved.is_null() {
        return Err(Error::ArgumentsBad);
    }
    let module = process::finalise()?;
    let log = module.log().clone();
    log.scope(|| {
        module.finalise();
        drop(module);
    });
    Ok(())
}

pub(super) fn info_2_40(_: &Arc<Module>, info: Ptr<'_, CK_INFO>) -> Result<()> {
    info.write(library_info(2, 40))
}

pub(super) fn info_3_0(_: &Arc<Module>, info: Ptr<'_, CK_INFO>) -> Result<()> {
    info.write(library_info(3, 0))
}

pub(super) fn info_3_2(_: &Arc<Module>, info: Ptr<'_, CK_INFO>) -> Result<()> {
    info.write(library_info(3, 2))
}

fn library_info(major: u8, minor: u8) -> CK_INFO {
    CK_INFO {
        cryptokiVersion: CK_VERSION { major, minor },
        manufacturerID: padded("HPC Signer"),
        flags: 0,
        libraryDescription: padded("Health professional cards"),
        libraryVersion: CK_VERSION { major: 0, minor: 1 },
    }
}

pub(super) fn seed_random(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    _seed: Ptr<'_, u8>,
    _length: CK_ULONG,
) -> Result<()> {
    no_random(module, session)
}

pub(super) fn generate_random(
    module: &Arc<Module>,
    session: CK_SESSION_HANDLE,
    _out: Ptr<'_, u8>,
    _length: CK_ULONG,
) -> Result<()> {
    no_random(module, session)
}

/// The cards' random numbers are not offered: NSS would mix in and seed every token that has a generator.
fn no_random(module: &Module, session: CK_SESSION_HANDLE) -> Result<()> {
    module.session(session)?;
    Err(Error::RandomNoRng)
}

/// C_GetFunctionStatus and C_CancelFunction are relics of version 1 (clause 5.20).
pub(super) fn not_parallel(module: &Arc<Module>, session: CK_SESSION_HANDLE) -> Result<()> {
    module.session(session)?;
    Err(Error::FunctionNotParallel)
}
