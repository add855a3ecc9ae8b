//! The built module, loaded as a host program loads it.
//!
//! Cargo puts the library beside the test executables (`target/debug/deps`). PKCS#11 state is one per process and
//! loaded file, so every test loads a copy of its own and can run beside the others.
#![allow(unsafe_code, reason = "a C interface is called")]
#![allow(dead_code, reason = "not every test needs everything")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::ffi::c_void;
use std::path::PathBuf;

use cryptoki_sys::*;
use tempfile::TempDir;

/// Names in the order of the lists: 68 of 2.40, 24 of 3.0, 12 of 3.2.
pub(crate) const NAMES: &str = "C_Initialize C_Finalize C_GetInfo C_GetFunctionList C_GetSlotList C_GetSlotInfo \
    C_GetTokenInfo C_GetMechanismList C_GetMechanismInfo C_InitToken C_InitPIN C_SetPIN C_OpenSession \
    C_CloseSession C_CloseAllSessions C_GetSessionInfo C_GetOperationState C_SetOperationState C_Login C_Logout \
    C_CreateObject C_CopyObject C_DestroyObject C_GetObjectSize C_GetAttributeValue C_SetAttributeValue \
    C_FindObjectsInit C_FindObjects C_FindObjectsFinal C_EncryptInit C_Encrypt C_EncryptUpdate C_EncryptFinal \
    C_DecryptInit C_Decrypt C_DecryptUpdate C_DecryptFinal C_DigestInit C_Digest C_DigestUpdate C_DigestKey \
    C_DigestFinal C_SignInit C_Sign C_SignUpdate C_SignFinal C_SignRecoverInit C_SignRecover C_VerifyInit C_Verify \
    C_VerifyUpdate C_VerifyFinal C_VerifyRecoverInit C_VerifyRecover C_DigestEncryptUpdate C_DecryptDigestUpdate \
    C_SignEncryptUpdate C_DecryptVerifyUpdate C_GenerateKey C_GenerateKeyPair C_WrapKey C_UnwrapKey C_DeriveKey \
    C_SeedRandom C_GenerateRandom C_GetFunctionStatus C_CancelFunction C_WaitForSlotEvent C_GetInterfaceList \
    C_GetInterface C_LoginUser C_SessionCancel C_MessageEncryptInit C_EncryptMessage C_EncryptMessageBegin \
    C_EncryptMessageNext C_MessageEncryptFinal C_MessageDecryptInit C_DecryptMessage C_DecryptMessageBegin \
    C_DecryptMessageNext C_MessageDecryptFinal C_MessageSignInit C_SignMessage C_SignMessageBegin \
    C_SignMessageNext C_MessageSignFinal C_MessageVerifyInit C_VerifyMessage C_VerifyMessageBegin \
    C_VerifyMessageNext C_MessageVerifyFinal C_EncapsulateKey C_DecapsulateKey C_VerifySignatureInit \
    C_VerifySignature C_VerifySignatureUpdate C_VerifySignatureFinal C_GetSessionValidationFlags C_AsyncComplete \
    C_AsyncGetID C_AsyncJoin C_WrapKeyAuthenticated C_UnwrapKeyAuthenticated";

/// Calls the function at a place of a list.
///
/// # Safety
/// The first arguments are what this function takes; it does not see the others.
pub(crate) unsafe fn call(list: *mut c_void, index: usize, arguments: [usize; 10]) -> CK_RV {
    type TenArguments =
        unsafe extern "C" fn(usize, usize, usize, usize, usize, usize, usize, usize, usize, usize) -> CK_RV;
    let [a, b, c, d, e, f, g, h, i, j] = arguments;
    // SAFETY: a list is a version, padded to a pointer, and then function pointers. In the C calling conventions of
    // the supported platforms a function does not see arguments beyond its own.
    unsafe {
        let function = *list.cast::<Option<TenArguments>>().add(1 + index);
        function.unwrap()(a, b, c, d, e, f, g, h, i, j)
    }
}

/// A copy of the module and a configuration for it.
pub(crate) struct Installed {
    directory: TempDir,
    init_text: Vec<u8>,
}

impl Installed {
    /// Writes `configuration` (TOML) beside a copy of the module.
    pub(crate) fn with(configuration: &str) -> Installed {
        let directory = tempfile::tempdir().unwrap();
        std::fs::copy(built(), directory.path().join("module.so")).unwrap();
        let file = directory.path().join("module.toml");
        std::fs::write(&file, configuration).unwrap();
        let init_text = format!("config={}\0", file.display()).into_bytes();
        Installed { directory, init_text }
    }

    /// Where this copy is.
    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("module.so")
    }

    /// The configuration beside it.
    pub(crate) fn configuration(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("module.toml")).unwrap()
    }

    /// Arguments for C_Initialize that name the configuration.
    pub(crate) fn initialize_args(&self) -> CK_C_INITIALIZE_ARGS {
        CK_C_INITIALIZE_ARGS {
            CreateMutex: None,
            DestroyMutex: None,
            LockMutex: None,
            UnlockMutex: None,
            flags: CKF_OS_LOCKING_OK,
            pReserved: self.init_text.as_ptr().cast_mut().cast::<c_void>(),
        }
    }

    /// The loaded copy.
    pub(crate) fn load(&self) -> Loaded {
        // SAFETY: the library runs no code when it is loaded.
        Loaded { library: unsafe { libloading::Library::new(self.path()) }.unwrap() }
    }
}

/// A loaded module.
pub(crate) struct Loaded {
    library: libloading::Library,
}

impl Loaded {
    /// The interface with this version.
    pub(crate) fn interface(&self, major: u8, minor: u8) -> CK_INTERFACE {
        let mut version = CK_VERSION { major, minor };
        let mut interface = std::ptr::null_mut();
        // SAFETY: the symbol has this type; all pointers are valid.
        unsafe {
            let get = self
                .library
                .get::<unsafe extern "C" fn(
                    *mut CK_UTF8CHAR,
                    *mut CK_VERSION,
                    *mut *mut CK_INTERFACE,
                    CK_FLAGS,
                ) -> CK_RV>(b"C_GetInterface")
                .unwrap();
            assert_eq!(get(std::ptr::null_mut(), &mut version, &mut interface, 0), CKR_OK);
            *interface
        }
    }

    /// The list of version 3.2, which has every function.
    pub(crate) fn functions(&self) -> CK_FUNCTION_LIST_3_2 {
        // SAFETY: an interface of this version leads to a list of this type.
        unsafe { *self.interface(3, 2).pFunctionList.cast() }
    }

    /// Whether the library exports a symbol.
    pub(crate) fn has_symbol(&self, name: &str) -> bool {
        // SAFETY: the symbol is not used.
        unsafe { self.library.get::<*const c_void>(name.as_bytes()) }.is_ok()
    }

    /// A symbol as a function.
    pub(crate) fn symbol<T: Copy>(&self, name: &str) -> T {
        // SAFETY: callers name the symbol's type.
        unsafe { *self.library.get::<T>(name.as_bytes()).unwrap() }
    }
}

fn built() -> PathBuf {
    let executable = std::env::current_exe().unwrap();
    executable.parent().unwrap().join("libhpc_pkcs11.so")
}
