//! The C functions of PKCS#11 2.40, 3.0 and 3.2 in the order of their function lists, and the lists made of them.
//!
//! One table says for each function its arguments and what answers it: `always` (callable before C_Initialize),
//! `initialised` (needs a module), or `unsupported`. From it come the entry functions and the three lists
//! (CK_FUNCTION_LIST 68, _3_0 92, _3_2 104 functions), so that no list can miss one or hold NULL.
#![allow(non_snake_case, reason = "the names of the specification")]

use std::ffi::c_void;

use cryptoki_sys::*;

use super::boundary;
use super::pointers::Incoming;
use super::{
    decrypt, derive, digest, find, general, interfaces, login, objects, sessions, sign, slots, verify,
};

/// Hands the whole table to another macro.
macro_rules! functions {
    ($take:ident) => {
        $take! {
            v2_40 {
                C_Initialize(a: *mut c_void) = always(general::initialize);
                C_Finalize(a: *mut c_void) = always(general::finalize);
                C_GetInfo(a: *mut CK_INFO) = initialised(general::info_3_2);
                C_GetFunctionList(a: *mut *mut CK_FUNCTION_LIST) = always(interfaces::function_list);
                C_GetSlotList(
                    a: CK_BBOOL, b: *mut CK_SLOT_ID, c: *mut CK_ULONG
                ) = initialised(slots::slot_list);
                C_GetSlotInfo(a: CK_SLOT_ID, b: *mut CK_SLOT_INFO) = initialised(slots::slot_info);
                C_GetTokenInfo(a: CK_SLOT_ID, b: *mut CK_TOKEN_INFO) = initialised(slots::token_info);
                C_GetMechanismList(
                    a: CK_SLOT_ID, b: *mut CK_MECHANISM_TYPE, c: *mut CK_ULONG
                ) = initialised(slots::mechanism_list);
                C_GetMechanismInfo(
                    a: CK_SLOT_ID, b: CK_MECHANISM_TYPE, c: *mut CK_MECHANISM_INFO
                ) = initialised(slots::mechanism_info);
                C_InitToken(
                    a: CK_SLOT_ID, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_UTF8CHAR
                ) = unsupported();
                C_InitPIN(
                    a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG
                ) = initialised(login::init_pin);
                C_SetPIN(
                    a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_UTF8CHAR,
                    e: CK_ULONG
                ) = initialised(login::set_pin);
                C_OpenSession(
                    a: CK_SLOT_ID, b: CK_FLAGS, c: *mut c_void, d: CK_NOTIFY, e: *mut CK_SESSION_HANDLE
                ) = initialised(sessions::open);
                C_CloseSession(a: CK_SESSION_HANDLE) = initialised(sessions::close);
                C_CloseAllSessions(a: CK_SLOT_ID) = initialised(sessions::close_all);
                C_GetSessionInfo(a: CK_SESSION_HANDLE, b: *mut CK_SESSION_INFO) = initialised(sessions::info);
                C_GetOperationState(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG
                ) = initialised(sessions::operation_state);
                C_SetOperationState(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: CK_OBJECT_HANDLE,
                    e: CK_OBJECT_HANDLE
                ) = unsupported();
                C_Login(
                    a: CK_SESSION_HANDLE, b: CK_USER_TYPE, c: *mut CK_UTF8CHAR, d: CK_ULONG
                ) = initialised(login::login);
                C_Logout(a: CK_SESSION_HANDLE) = initialised(login::logout);
                C_CreateObject(
                    a: CK_SESSION_HANDLE, b: *mut CK_ATTRIBUTE, c: CK_ULONG, d: *mut CK_OBJECT_HANDLE
                ) = unsupported();
                C_CopyObject(
                    a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE,
                    d: CK_ULONG, e: *mut CK_OBJECT_HANDLE
                ) = initialised(objects::copy);
                C_DestroyObject(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE) = initialised(objects::destroy);
                C_GetObjectSize(
                    a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ULONG
                ) = initialised(objects::size);
                C_GetAttributeValue(
                    a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG
                ) = initialised(objects::attribute_value);
                C_SetAttributeValue(
                    a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE, c: *mut CK_ATTRIBUTE, d: CK_ULONG
                ) = initialised(objects::set_attributes);
                C_FindObjectsInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_ATTRIBUTE, c: CK_ULONG
                ) = initialised(find::init);
                C_FindObjects(
                    a: CK_SESSION_HANDLE, b: *mut CK_OBJECT_HANDLE, c: CK_ULONG, d: *mut CK_ULONG
                ) = initialised(find::next);
                C_FindObjectsFinal(a: CK_SESSION_HANDLE) = initialised(find::finish);
                C_EncryptInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_Encrypt(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_EncryptUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_EncryptFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG) = unsupported();
                C_DecryptInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = initialised(decrypt::init);
                C_Decrypt(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = initialised(decrypt::decrypt);
                C_DecryptUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = initialised(decrypt::update);
                C_DecryptFinal(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG
                ) = initialised(decrypt::finish);
                C_DigestInit(a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM) = initialised(digest::init);
                C_Digest(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = initialised(digest::digest);
                C_DigestUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG) = initialised(digest::update);
                C_DigestKey(a: CK_SESSION_HANDLE, b: CK_OBJECT_HANDLE) = unsupported();
                C_DigestFinal(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG) = initialised(digest::finish);
                C_SignInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = initialised(sign::init);
                C_Sign(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = initialised(sign::sign);
                C_SignUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG) = initialised(sign::update);
                C_SignFinal(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: *mut CK_ULONG
                ) = initialised(sign::finish);
                C_SignRecoverInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_SignRecover(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_VerifyInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = initialised(verify::init);
                C_Verify(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG
                ) = initialised(verify::verify);
                C_VerifyUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG
                ) = initialised(verify::update);
                C_VerifyFinal(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG
                ) = initialised(verify::finish);
                C_VerifyRecoverInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_VerifyRecover(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_DigestEncryptUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_DecryptDigestUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_SignEncryptUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_DecryptVerifyUpdate(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG, d: *mut CK_BYTE, e: *mut CK_ULONG
                ) = unsupported();
                C_GenerateKey(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: *mut CK_ATTRIBUTE, d: CK_ULONG,
                    e: *mut CK_OBJECT_HANDLE
                ) = unsupported();
                C_GenerateKeyPair(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: *mut CK_ATTRIBUTE, d: CK_ULONG,
                    e: *mut CK_ATTRIBUTE, f: CK_ULONG, g: *mut CK_OBJECT_HANDLE, h: *mut CK_OBJECT_HANDLE
                ) = unsupported();
                C_WrapKey(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: CK_OBJECT_HANDLE,
                    e: *mut CK_BYTE, f: *mut CK_ULONG
                ) = unsupported();
                C_UnwrapKey(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_BYTE,
                    e: CK_ULONG, f: *mut CK_ATTRIBUTE, g: CK_ULONG, h: *mut CK_OBJECT_HANDLE
                ) = unsupported();
                C_DeriveKey(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE,
                    d: *mut CK_ATTRIBUTE, e: CK_ULONG, f: *mut CK_OBJECT_HANDLE
                ) = initialised(derive::derive);
                C_SeedRandom(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG
                ) = initialised(general::seed_random);
                C_GenerateRandom(
                    a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG
                ) = initialised(general::generate_random);
                C_GetFunctionStatus(a: CK_SESSION_HANDLE) = initialised(general::not_parallel);
                C_CancelFunction(a: CK_SESSION_HANDLE) = initialised(general::not_parallel);
                C_WaitForSlotEvent(
                    a: CK_FLAGS, b: *mut CK_SLOT_ID, c: *mut c_void
                ) = initialised(slots::wait_for_event);
            }
            v3_0 {
                C_GetInterfaceList(a: *mut CK_INTERFACE, b: *mut CK_ULONG) = always(interfaces::list);
                C_GetInterface(
                    a: *mut CK_UTF8CHAR, b: *mut CK_VERSION, c: *mut *mut CK_INTERFACE, d: CK_FLAGS
                ) = always(interfaces::get);
                C_LoginUser(
                    a: CK_SESSION_HANDLE, b: CK_USER_TYPE, c: *mut CK_UTF8CHAR, d: CK_ULONG,
                    e: *mut CK_UTF8CHAR, f: CK_ULONG
                ) = unsupported();
                C_SessionCancel(a: CK_SESSION_HANDLE, b: CK_FLAGS) = initialised(sessions::cancel);
                C_MessageEncryptInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_EncryptMessage(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: CK_ULONG, h: *mut CK_BYTE, i: *mut CK_ULONG
                ) = unsupported();
                C_EncryptMessageBegin(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG
                ) = unsupported();
                C_EncryptMessageNext(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: *mut CK_ULONG, h: CK_FLAGS
                ) = unsupported();
                C_MessageEncryptFinal(a: CK_SESSION_HANDLE) = unsupported();
                C_MessageDecryptInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_DecryptMessage(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: CK_ULONG, h: *mut CK_BYTE, i: *mut CK_ULONG
                ) = unsupported();
                C_DecryptMessageBegin(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG
                ) = unsupported();
                C_DecryptMessageNext(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: *mut CK_ULONG, h: CK_FLAGS
                ) = unsupported();
                C_MessageDecryptFinal(a: CK_SESSION_HANDLE) = unsupported();
                C_MessageSignInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_SignMessage(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: *mut CK_ULONG
                ) = unsupported();
                C_SignMessageBegin(a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG) = unsupported();
                C_SignMessageNext(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: *mut CK_ULONG
                ) = unsupported();
                C_MessageSignFinal(a: CK_SESSION_HANDLE) = unsupported();
                C_MessageVerifyInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE
                ) = unsupported();
                C_VerifyMessage(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: CK_ULONG
                ) = unsupported();
                C_VerifyMessageBegin(a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG) = unsupported();
                C_VerifyMessageNext(
                    a: CK_SESSION_HANDLE, b: *mut c_void, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG,
                    f: *mut CK_BYTE, g: CK_ULONG
                ) = unsupported();
                C_MessageVerifyFinal(a: CK_SESSION_HANDLE) = unsupported();
            }
            v3_2 {
                C_EncapsulateKey(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE,
                    d: *mut CK_ATTRIBUTE, e: CK_ULONG, f: *mut CK_BYTE, g: *mut CK_ULONG,
                    h: *mut CK_OBJECT_HANDLE
                ) = unsupported();
                C_DecapsulateKey(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE,
                    d: *mut CK_ATTRIBUTE, e: CK_ULONG, f: *mut CK_BYTE, g: CK_ULONG,
                    h: *mut CK_OBJECT_HANDLE
                ) = unsupported();
                C_VerifySignatureInit(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_BYTE,
                    e: CK_ULONG
                ) = unsupported();
                C_VerifySignature(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG) = unsupported();
                C_VerifySignatureUpdate(a: CK_SESSION_HANDLE, b: *mut CK_BYTE, c: CK_ULONG) = unsupported();
                C_VerifySignatureFinal(a: CK_SESSION_HANDLE) = unsupported();
                C_GetSessionValidationFlags(
                    a: CK_SESSION_HANDLE, b: CK_SESSION_VALIDATION_FLAGS_TYPE, c: *mut CK_FLAGS
                ) = unsupported();
                C_AsyncComplete(
                    a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: *mut CK_ASYNC_DATA
                ) = unsupported();
                C_AsyncGetID(a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: *mut CK_ULONG) = unsupported();
                C_AsyncJoin(
                    a: CK_SESSION_HANDLE, b: *mut CK_UTF8CHAR, c: CK_ULONG, d: *mut CK_BYTE, e: CK_ULONG
                ) = unsupported();
                C_WrapKeyAuthenticated(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: CK_OBJECT_HANDLE,
                    e: *mut CK_BYTE, f: CK_ULONG, g: *mut CK_BYTE, h: *mut CK_ULONG
                ) = unsupported();
                C_UnwrapKeyAuthenticated(
                    a: CK_SESSION_HANDLE, b: *mut CK_MECHANISM, c: CK_OBJECT_HANDLE, d: *mut CK_BYTE,
                    e: CK_ULONG, f: *mut CK_ATTRIBUTE, g: CK_ULONG, h: *mut CK_BYTE, i: CK_ULONG,
                    j: *mut CK_OBJECT_HANDLE
                ) = unsupported();
            }
        }
    };
}

/// The entry functions.
macro_rules! entries {
    ($( $version:ident { $(
        $name:ident ( $first:ident : $first_type:ty $(, $arg:ident : $type:ty )* ) = $by:ident ( $($shell:path)? );
    )* } )*) => { $($(
        #[allow(clippy::too_many_arguments)]
        pub(super) unsafe extern "C" fn $name($first: $first_type $(, $arg: $type)*) -> CK_RV {
            let handle = Incoming::traced(&$first);
            entries!(@$by $name, handle, $($shell)?, ($first $(, $arg)*))
        }
    )*)* };
    (@unsupported $name:ident, $handle:ident, , ($($arg:ident),*)) => {{
        $( let _ = $arg; )*
        boundary::unsupported(stringify!($name), $handle)
    }};
    (@initialised $name:ident, $handle:ident, $shell:path, ($($arg:ident),*)) => {
        boundary::initialised(stringify!($name), $handle, |module| {
            // SAFETY: PKCS#11 obliges the caller to pass NULL or valid memory (v3.1 clause 5.1.6).
            $shell(module, $(unsafe { Incoming::into_argument($arg) }),*)
        })
    };
    (@always $name:ident, $handle:ident, $shell:path, ($($arg:ident),*)) => {{
        let _ = $handle;
        boundary::always(|| {
            // SAFETY: as above.
            $shell($(unsafe { Incoming::into_argument($arg) }),*)
        })
    }};
}

functions!(entries);

// C_GetInfo is the one function that differs between the lists: NSS believes the version it reports, not the one
// in the list, and would call functions behind the end of a shorter list.
unsafe extern "C" fn C_GetInfo_2_40(info: *mut CK_INFO) -> CK_RV {
    let handle = None;
    entries!(@initialised C_GetInfo, handle, general::info_2_40, (info))
}

unsafe extern "C" fn C_GetInfo_3_0(info: *mut CK_INFO) -> CK_RV {
    let handle = None;
    entries!(@initialised C_GetInfo, handle, general::info_3_0, (info))
}

/// The functions of some versions as the fields of a list.
macro_rules! list {
    ($list:ident, $major:literal, $minor:literal; $( $( $name:ident )* ),*) => {
        $list { version: CK_VERSION { major: $major, minor: $minor }, $($( $name: Some($name), )*)* }
    };
}
macro_rules! list_2_40 {
    (v2_40 { $( $a:ident $args_a:tt = $by_a:ident $shell_a:tt; )* }
     v3_0 { $($b:tt)* } v3_2 { $($c:tt)* }) => { list!(CK_FUNCTION_LIST, 2, 40; $($a)*) };
}
macro_rules! list_3_0 {
    (v2_40 { $( $a:ident $args_a:tt = $by_a:ident $shell_a:tt; )* }
     v3_0 { $( $b:ident $args_b:tt = $by_b:ident $shell_b:tt; )* }
     v3_2 { $($c:tt)* }) => { list!(CK_FUNCTION_LIST_3_0, 3, 0; $($a)*, $($b)*) };
}
macro_rules! list_3_2 {
    (v2_40 { $( $a:ident $args_a:tt = $by_a:ident $shell_a:tt; )* }
     v3_0 { $( $b:ident $args_b:tt = $by_b:ident $shell_b:tt; )* }
     v3_2 { $( $c:ident $args_c:tt = $by_c:ident $shell_c:tt; )* }) => {
        list!(CK_FUNCTION_LIST_3_2, 3, 2; $($a)*, $($b)*, $($c)*)
    };
}

/// PKCS#11 2.40.
pub(super) static LIST_2_40: CK_FUNCTION_LIST =
    CK_FUNCTION_LIST { C_GetInfo: Some(C_GetInfo_2_40), ..functions!(list_2_40) };
/// PKCS#11 3.0, which also serves 3.1.
pub(super) static LIST_3_0: CK_FUNCTION_LIST_3_0 =
    CK_FUNCTION_LIST_3_0 { C_GetInfo: Some(C_GetInfo_3_0), ..functions!(list_3_0) };
/// PKCS#11 3.2.
pub(super) static LIST_3_2: CK_FUNCTION_LIST_3_2 = functions!(list_3_2);
