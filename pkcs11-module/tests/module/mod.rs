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
