//! C_GetFunctionList, C_GetInterfaceList, C_GetInterface (PKCS#11 v3.1 clauses 5.4.4 to 5.4.6).

use std::ffi::c_void;

use cryptoki_sys::{CK_FLAGS, CK_FUNCTION_LIST, CK_INTERFACE, CK_ULONG, CK_UTF8CHAR, CK_VERSION};

use super::pointers::{Ptr, write_list};
use super::table::{LIST_2_40, LIST_3_0, LIST_3_2};
use crate::error::{Error, Result};

const NAME: &[u8] = b"PKCS 11\0";

/// What an interface offers. No flag: CKF_INTERFACE_FORK_SAFE would promise that logins survive a fork.
const FLAGS: CK_FLAGS = 0;

#[repr(transparent)]
struct Interface(CK_INTERFACE);

// SAFETY: the pointers lead to statics that are never written.
unsafe impl Sync for Interface {}

/// Newest first: the first is the default.
static INTERFACES: [(CK_VERSION, Interface); 3] = [
    (LIST_3_2.version, interface(&raw const LIST_3_2 as *mut c_void)),
    (LIST_3_0.version, interface(&raw const LIST_3_0 as *mut c_void)),
    (LIST_2_40.version, interface(&raw const LIST_2_40 as *mut c_void)),
];

const fn interface(list: *mut c_void) -> Interface {
    Interface(CK_INTERFACE { pInterfaceName: NAME.as_ptr().cast_mut(), pFunctionList: list, flags: FLAGS })
}

pub(super) fn function_list(list: Ptr<'_, *mut CK_FUNCTION_LIST>) -> Result<()> {
    list.write((&raw const LIST_2_40).cast_mut())
}

pub(super) fn list(interfaces: Ptr<'_, CK_INTERFACE>, count: Ptr<'_, CK_ULONG>) -> Result<()> {
    let all: Vec<CK_INTERFACE> = INTERFACES.iter().map(|(_, interface)| interface.0).collect();
    write_list(&all, interfaces, count)
}

pub(super) fn get(
    name: Ptr<'_, CK_UTF8CHAR>,
    version: Ptr<'_, CK_VERSION>,
    interface: Ptr<'_, *mut CK_INTERFACE>,
    flags: CK_FLAGS,
) -> Result<()> {
    interface.check()?;
    let known_name = name.is_null() || name.is_text(NAME)?;
    let version = if version.is_null() { None } else { Some(version.read()?) };
    let found = INTERFACES
        .iter()
        .find(|(offered, _)| version.is_none_or(|v| (v.major, v.minor) == (offered.major, offered.minor)));
    match found {
        Some((_, found)) if known_name && flags & !FLAGS == 0 => {
            interface.write((&raw const found.0).cast_mut())
        }
        _ => Err(Error::ArgumentsBad),
    }
}
