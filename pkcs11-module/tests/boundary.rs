//! The C boundary as a hostile or careless host sees it: wrong states, NULL everywhere, forks, threads.
#![allow(unsafe_code, reason = "calls a C interface")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure here is the test's failure")]

use std::ffi::c_void;
use std::ptr::null_mut;

use cryptoki_sys::*;

mod module;
use module::{Installed, Loaded, NAMES, call};

const NO_READERS: &str = "readers = []";

/// What an initialised module without cards answers when every argument is 0 or NULL; every other function is not
/// supported.
const WITH_ZEROS: &[(&str, CK_RV)] = &[
    ("C_Initialize", CKR_CRYPTOKI_ALREADY_INITIALIZED),
    ("C_GetInfo", CKR_ARGUMENTS_BAD),
    ("C_GetFunctionList", CKR_ARGUMENTS_BAD),
    ("C_GetSlotList", CKR_ARGUMENTS_BAD),
    ("C_GetSlotInfo", CKR_ARGUMENTS_BAD),
    ("C_GetTokenInfo", CKR_ARGUMENTS_BAD),
    ("C_GetMechanismList", CKR_ARGUMENTS_BAD),
    ("C_GetMechanismInfo", CKR_ARGUMENTS_BAD),
    ("C_InitPIN", CKR_SESSION_HANDLE_INVALID),
    ("C_SetPIN", CKR_SESSION_HANDLE_INVALID),
    ("C_OpenSession", CKR_ARGUMENTS_BAD),
    ("C_CloseSession", CKR_SESSION_HANDLE_INVALID),
    ("C_CloseAllSessions", CKR_OK),
    ("C_GetSessionInfo", CKR_ARGUMENTS_BAD),
    ("C_GetOperationState", CKR_ARGUMENTS_BAD),
    ("C_Login", CKR_SESSION_HANDLE_INVALID),
    ("C_Logout", CKR_SESSION_HANDLE_INVALID),
    ("C_GetAttributeValue", CKR_ARGUMENTS_BAD),
    ("C_FindObjectsInit", CKR_SESSION_HANDLE_INVALID),
    ("C_FindObjects", CKR_ARGUMENTS_BAD),
    ("C_FindObjectsFinal", CKR_SESSION_HANDLE_INVALID),
    ("C_CopyObject", CKR_ARGUMENTS_BAD),
    ("C_DestroyObject", CKR_SESSION_HANDLE_INVALID),
    ("C_GetObjectSize", CKR_ARGUMENTS_BAD),
    ("C_SetAttributeValue", CKR_SESSION_HANDLE_INVALID),
    ("C_DecryptInit", CKR_SESSION_HANDLE_INVALID),
    ("C_Decrypt", CKR_ARGUMENTS_BAD),
    ("C_DecryptUpdate", CKR_ARGUMENTS_BAD),
    ("C_DecryptFinal", CKR_ARGUMENTS_BAD),
    ("C_VerifyInit", CKR_SESSION_HANDLE_INVALID),
    ("C_Verify", CKR_SESSION_HANDLE_INVALID),
    ("C_VerifyUpdate", CKR_SESSION_HANDLE_INVALID),
    ("C_VerifyFinal", CKR_SESSION_HANDLE_INVALID),
    ("C_DigestInit", CKR_SESSION_HANDLE_INVALID),
    ("C_Digest", CKR_ARGUMENTS_BAD),
    ("C_DigestUpdate", CKR_SESSION_HANDLE_INVALID),
    ("C_DigestFinal", CKR_ARGUMENTS_BAD),
    ("C_SignInit", CKR_SESSION_HANDLE_INVALID),
    ("C_Sign", CKR_ARGUMENTS_BAD),
    ("C_SignUpdate", CKR_SESSION_HANDLE_INVALID),
    ("C_SignFinal", CKR_ARGUMENTS_BAD),
    ("C_DeriveKey", CKR_ARGUMENTS_BAD),
    ("C_SeedRandom", CKR_SESSION_HANDLE_INVALID),
    ("C_GenerateRandom", CKR_SESSION_HANDLE_INVALID),
    ("C_GetFunctionStatus", CKR_SESSION_HANDLE_INVALID),
    ("C_CancelFunction", CKR_SESSION_HANDLE_INVALID),
    ("C_WaitForSlotEvent", CKR_ARGUMENTS_BAD),
    ("C_GetInterfaceList", CKR_ARGUMENTS_BAD),
    ("C_GetInterface", CKR_ARGUMENTS_BAD),
    ("C_SessionCancel", CKR_SESSION_HANDLE_INVALID),
];

const LISTS: [(u8, u8, usize); 3] = [(2, 40, 68), (3, 0, 92), (3, 2, 104)];

/// Calls the function at a place of a list with zeros for all arguments.
fn call_with_zeros(list: *mut c_void, index: usize) -> CK_RV {
    // SAFETY: zeros are what the functions must stand.
    unsafe { call(list, index, [0; 10]) }
}

fn initialize(loaded: &Loaded, arguments: *mut CK_C_INITIALIZE_ARGS) -> CK_RV {
    // SAFETY: callers pass NULL or valid arguments.
    unsafe { loaded.functions().C_Initialize.unwrap()(arguments.cast()) }
}

fn finalize(loaded: &Loaded) -> CK_RV {
    // SAFETY: NULL is what the specification asks for.
    unsafe { loaded.functions().C_Finalize.unwrap()(null_mut()) }
}

#[test]
fn every_function_refuses_to_work_before_initialize() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    for (major, minor, count) in LISTS {
        let list = loaded.interface(major, minor).pFunctionList;
        for (index, name) in NAMES.split_whitespace().take(count).enumerate() {
            let expected = match name {
                "C_Initialize" => continue,
                "C_GetFunctionList" | "C_GetInterface" | "C_GetInterfaceList" => CKR_ARGUMENTS_BAD,
                _ => CKR_CRYPTOKI_NOT_INITIALIZED,
            };
            assert_eq!(call_with_zeros(list, index), expected, "{name} of {major}.{minor}");
        }
    }
}

#[test]
fn every_function_survives_null_and_zero() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    for (major, minor, count) in LISTS {
        let list = loaded.interface(major, minor).pFunctionList;
        for (index, name) in NAMES.split_whitespace().take(count).enumerate() {
            if name == "C_Finalize" {
                continue;
            }
            let known = WITH_ZEROS.iter().find(|(known, _)| *known == name);
            let expected = known.map_or(CKR_FUNCTION_NOT_SUPPORTED, |(_, rv)| *rv);
            assert_eq!(call_with_zeros(list, index), expected, "{name} of {major}.{minor}");
        }
    }
    assert_eq!(finalize(&loaded), CKR_OK);
    assert_eq!(finalize(&loaded), CKR_CRYPTOKI_NOT_INITIALIZED);
}

#[test]
fn the_documentation_names_every_function_and_what_is_not_offered() {
    let table = include_str!("../../docs/pkcs11-functions.md");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `C_"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let named: Vec<&str> = rows.iter().map(|row| row[1].trim_matches('`')).collect();
    assert_eq!(named, NAMES.split_whitespace().collect::<Vec<_>>());
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    let list = loaded.interface(3, 2).pFunctionList;
    for (index, row) in rows.iter().enumerate() {
        assert!(!row[3].is_empty(), "{row:?} has a clause");
        let offered = match named[index] {
            "C_Finalize" => true,
            _ => call_with_zeros(list, index) != CKR_FUNCTION_NOT_SUPPORTED,
        };
        assert_eq!(row[4], if offered { "yes" } else { "not offered" }, "{}", named[index]);
    }
}

#[test]
fn each_list_and_its_info_say_the_same_version() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    for (major, minor, _) in LISTS {
        let list = loaded.interface(major, minor).pFunctionList.cast::<CK_FUNCTION_LIST>();
        let mut info = CK_INFO::default();
        // SAFETY: all lists begin with the fields of the oldest.
        let version = unsafe {
            assert_eq!((*list).C_GetInfo.unwrap()(&mut info), CKR_OK);
            (*list).version
        };
        assert_eq!((version.major, version.minor), (major, minor));
        assert_eq!((info.cryptokiVersion.major, info.cryptokiVersion.minor), (major, minor));
    }
}

#[test]
fn interfaces_are_found_by_name_version_and_flags() {
    let loaded = Installed::with(NO_READERS).load();
    let get = loaded.functions().C_GetInterface.unwrap();
    let ask = |name: Option<&[u8]>, version: Option<(u8, u8)>, flags| {
        let name = name.map_or(null_mut(), |name| name.as_ptr().cast_mut());
        let mut version = version.map(|(major, minor)| CK_VERSION { major, minor });
        let mut found: *mut CK_INTERFACE = null_mut();
        let version = version.as_mut().map_or(null_mut(), std::ptr::from_mut);
        // SAFETY: all pointers are NULL or valid.
        match unsafe { get(name, version, &mut found, flags) } {
            CKR_OK => Ok(unsafe {
                let version = *(*found).pFunctionList.cast::<CK_VERSION>();
                (version.major, version.minor)
            }),
            rv => Err(rv),
        }
    };
    assert_eq!(ask(None, None, 0), Ok((3, 2)));
    assert_eq!(ask(Some(b"PKCS 11\0"), Some((2, 40)), 0), Ok((2, 40)));
    assert_eq!(ask(Some(b"PKCS 11\0"), Some((3, 1)), 0), Err(CKR_ARGUMENTS_BAD));
    assert_eq!(ask(Some(b"PKCS 11\0"), None, CKF_INTERFACE_FORK_SAFE), Err(CKR_ARGUMENTS_BAD));
    assert_eq!(ask(Some(b"Vendor NSS FIPS Interface\0"), None, 0), Err(CKR_ARGUMENTS_BAD));
    assert_eq!(ask(Some(b"PKCS\0"), None, 0), Err(CKR_ARGUMENTS_BAD));
}

#[test]
fn interface_list_follows_the_two_call_pattern() {
    let loaded = Installed::with(NO_READERS).load();
    let list = loaded.functions().C_GetInterfaceList.unwrap();
    let empty = CK_INTERFACE { pInterfaceName: null_mut(), pFunctionList: null_mut(), flags: 0 };
    let mut interfaces = [empty; 3];
    let mut count: CK_ULONG = 0;
    // SAFETY: the buffer has as many elements as `count` says.
    unsafe {
        assert_eq!(list(null_mut(), &mut count), CKR_OK);
        assert_eq!(count, 3);
        count = 2;
        assert_eq!(list(interfaces.as_mut_ptr(), &mut count), CKR_BUFFER_TOO_SMALL);
        assert_eq!(count, 3);
        assert_eq!(list(interfaces.as_mut_ptr(), &mut count), CKR_OK);
    }
    assert!(interfaces.iter().all(|interface| !interface.pFunctionList.is_null()));
}

#[test]
fn only_the_three_entry_symbols_are_found_by_name() {
    let loaded = Installed::with(NO_READERS).load();
    type GetFunctionList = unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV;
    let get: GetFunctionList = loaded.symbol("C_GetFunctionList");
    for name in NAMES.split_whitespace() {
        let found = loaded.has_symbol(name);
        assert_eq!(
            found,
            ["C_GetFunctionList", "C_GetInterface", "C_GetInterfaceList"].contains(&name),
            "{name}"
        );
    }
    let mut list = null_mut();
    // SAFETY: `list` is valid for writing, and then points to a list.
    unsafe {
        assert_eq!(get(&mut list), CKR_OK);
        assert_eq!(((*list).version.major, (*list).version.minor), (2, 40));
    }
}

unsafe extern "C" fn create_mutex(_: *mut *mut c_void) -> CK_RV {
    CKR_OK
}

unsafe extern "C" fn use_mutex(_: *mut c_void) -> CK_RV {
    CKR_OK
}

#[test]
fn initialize_takes_the_arguments_real_programs_pass() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    let plain = installed.initialize_args();
    let callbacks = CK_C_INITIALIZE_ARGS {
        CreateMutex: Some(create_mutex),
        DestroyMutex: Some(use_mutex),
        LockMutex: Some(use_mutex),
        UnlockMutex: Some(use_mutex),
        ..plain
    };
    let cases = [
        (CK_C_INITIALIZE_ARGS { flags: 0, ..plain }, CKR_OK),
        (plain, CKR_OK),
        (CK_C_INITIALIZE_ARGS { flags: 3, ..plain }, CKR_OK),
        (CK_C_INITIALIZE_ARGS { flags: 3, ..callbacks }, CKR_OK),
        (CK_C_INITIALIZE_ARGS { flags: 0, ..callbacks }, CKR_CANT_LOCK),
        (CK_C_INITIALIZE_ARGS { LockMutex: None, ..callbacks }, CKR_ARGUMENTS_BAD),
    ];
    for (mut arguments, expected) in cases {
        assert_eq!(initialize(&loaded, &mut arguments), expected, "{arguments:?}");
        if expected == CKR_OK {
            assert_eq!(initialize(&loaded, null_mut()), CKR_CRYPTOKI_ALREADY_INITIALIZED);
            assert_eq!(finalize(&loaded), CKR_OK);
        }
    }
}

#[test]
fn finalize_refuses_reserved_arguments() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    let mut something = 0u8;
    // SAFETY: the pointer is valid.
    let rv = unsafe { loaded.functions().C_Finalize.unwrap()((&raw mut something).cast()) };
    assert_eq!(rv, CKR_ARGUMENTS_BAD);
    assert_eq!(finalize(&loaded), CKR_OK);
}

#[test]
fn unreadable_configuration_fails_initialize() {
    let installed = Installed::with("reader = \"a mistake\"");
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_GENERAL_ERROR);
    assert_eq!(finalize(&loaded), CKR_CRYPTOKI_NOT_INITIALIZED);
}

const NO_CALLBACKS: CK_C_INITIALIZE_ARGS = CK_C_INITIALIZE_ARGS {
    CreateMutex: None,
    DestroyMutex: None,
    LockMutex: None,
    UnlockMutex: None,
    flags: 0,
    pReserved: null_mut(),
};

#[test]
fn one_of_many_threads_initializes() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    let initialize = loaded.functions().C_Initialize.unwrap();
    let results: Vec<CK_RV> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let text = installed.initialize_args().pReserved as usize;
                scope.spawn(move || {
                    let mut arguments =
                        CK_C_INITIALIZE_ARGS { pReserved: text as *mut c_void, ..NO_CALLBACKS };
                    // SAFETY: the arguments are valid; their text lives in `installed`.
                    unsafe { initialize((&raw mut arguments).cast()) }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|rv| **rv == CKR_OK).count(), 1);
    assert_eq!(results.iter().filter(|rv| **rv == CKR_CRYPTOKI_ALREADY_INITIALIZED).count(), 7);
}

#[test]
fn there_is_a_slot_even_without_readers() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    let functions = loaded.functions();
    let mut slots = [9; 4];
    let mut count: CK_ULONG = 4;
    let mut info = CK_SLOT_INFO::default();
    let mut token = CK_TOKEN_INFO::default();
    let mut session = 0;
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(functions.C_GetSlotList.unwrap()(CK_FALSE, slots.as_mut_ptr(), &mut count), CKR_OK);
        assert_eq!((count, &slots[..2]), (2, &[0, 1][..]));
        assert_eq!(functions.C_GetSlotInfo.unwrap()(0, &mut info), CKR_OK);
        assert_eq!(functions.C_GetSlotInfo.unwrap()(2, &mut info), CKR_SLOT_ID_INVALID);
        assert_eq!(functions.C_GetTokenInfo.unwrap()(0, &mut token), CKR_TOKEN_NOT_PRESENT);
        let open = functions.C_OpenSession.unwrap();
        assert_eq!(open(0, CKF_SERIAL_SESSION, null_mut(), None, &mut session), CKR_TOKEN_NOT_PRESENT);
        assert_eq!(open(0, 0, null_mut(), None, &mut session), CKR_SESSION_PARALLEL_NOT_SUPPORTED);
        count = 4;
        assert_eq!(functions.C_GetSlotList.unwrap()(CK_TRUE, slots.as_mut_ptr(), &mut count), CKR_OK);
        assert_eq!(count, 0);
    }
    assert_eq!(info.flags, CKF_REMOVABLE_DEVICE | CKF_HW_SLOT);
}

#[test]
fn qes_off_leaves_out_the_second_slot_of_each_block() {
    let installed = Installed::with("readers = []\nqes = \"off\"");
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    let mut count: CK_ULONG = 0;
    // SAFETY: the pointer is valid.
    unsafe { loaded.functions().C_GetSlotList.unwrap()(CK_FALSE, null_mut(), &mut count) };
    assert_eq!(count, 1);
}

#[test]
fn finalize_ends_a_wait_for_slot_events() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    let wait = loaded.functions().C_WaitForSlotEvent.unwrap();
    let mut slot = 0;
    // SAFETY: all pointers are valid.
    unsafe {
        assert_eq!(wait(CKF_DONT_BLOCK, &mut slot, null_mut()), CKR_NO_EVENT);
    }
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let mut slot = 0;
            // SAFETY: as above.
            unsafe { wait(0, &mut slot, null_mut()) }
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert_eq!(finalize(&loaded), CKR_OK);
        assert_eq!(waiting.join().unwrap(), CKR_CRYPTOKI_NOT_INITIALIZED);
    });
}

unsafe extern "C" {
    fn fork() -> i32;
    fn waitpid(pid: i32, status: *mut i32, options: i32) -> i32;
    fn _exit(status: i32) -> !;
}

#[test]
fn a_forked_child_starts_afresh() {
    let installed = Installed::with(NO_READERS);
    let loaded = installed.load();
    assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
    let functions = loaded.functions();
    let mut arguments = installed.initialize_args();
    let mut info = CK_INFO::default();
    // SAFETY: the child calls the module and leaves without running anything of the test harness.
    unsafe {
        let child = fork();
        if child == 0 {
            let before = functions.C_GetInfo.unwrap()(&mut info);
            let made = functions.C_Initialize.unwrap()((&raw mut arguments).cast());
            let after = functions.C_GetInfo.unwrap()(&mut info);
            let good = (before, made, after) == (CKR_CRYPTOKI_NOT_INITIALIZED, CKR_OK, CKR_OK);
            _exit(if good { 0 } else { 1 });
        }
        let mut status = -1;
        assert_eq!(waitpid(child, &mut status, 0), child);
        assert_eq!(status, 0);
        assert_eq!(functions.C_GetInfo.unwrap()(&mut info), CKR_OK);
    }
}

#[test]
fn loading_and_unloading_many_times_leaves_the_host_well() {
    let installed = Installed::with(NO_READERS);
    for _ in 0..100 {
        let loaded = installed.load();
        assert_eq!(initialize(&loaded, &mut installed.initialize_args()), CKR_OK);
        assert_eq!(finalize(&loaded), CKR_OK);
    }
}
