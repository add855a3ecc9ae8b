//! The C boundary: entry functions, function lists and pointer checks, and nothing else. The only unsafe code of the
//! workspace is here; what the calls mean is in [`crate::token`].
#![allow(unsafe_code, reason = "a C interface is made of raw pointers")]

mod boundary;
mod decrypt;
mod derive;
mod digest;
mod find;
mod general;
mod interfaces;
mod login;
mod objects;
mod pointers;
mod process;
mod sessions;
mod sign;
mod slots;
mod table;
mod trace;
mod verify;

use cryptoki_sys::{CK_FLAGS, CK_FUNCTION_LIST, CK_INTERFACE, CK_RV, CK_ULONG, CK_UTF8CHAR, CK_VERSION};

// The three symbols that programs look up by name; all other functions are reached through the lists.

/// PKCS#11 v3.1 clause 5.4.4: the function list of version 2.40.
///
/// # Safety
/// `list` is NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
    // SAFETY: the caller's promise is handed on.
    unsafe { table::C_GetFunctionList(list) }
}

/// PKCS#11 v3.1 clause 5.4.5: the interfaces 3.2, 3.0 and 2.40.
///
/// # Safety
/// `count` is NULL or valid; `interfaces` is NULL or has room for `count` elements.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterfaceList(interfaces: *mut CK_INTERFACE, count: *mut CK_ULONG) -> CK_RV {
    // SAFETY: the caller's promise is handed on.
    unsafe { table::C_GetInterfaceList(interfaces, count) }
}

/// PKCS#11 v3.1 clause 5.4.6: one interface by name, version and flags.
///
/// # Safety
/// `name` is NULL or a NUL-terminated text, `version` NULL or valid, `interface` NULL or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn C_GetInterface(
    name: *mut CK_UTF8CHAR,
    version: *mut CK_VERSION,
    interface: *mut *mut CK_INTERFACE,
    flags: CK_FLAGS,
) -> CK_RV {
    // SAFETY: the caller's promise is handed on.
    unsafe { table::C_GetInterface(name, version, interface, flags) }
}
