//! The module as any program loads it.

use std::path::{Path, PathBuf};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::slot::{Slot, TokenInfo};

use crate::Common;
use crate::failure::Failure;

const FILE: &str = "libhpc_pkcs11.so";

/// A loaded and initialised module.
pub(crate) struct Module {
    /// Its functions.
    pub(crate) functions: Pkcs11,
    /// Where it was found.
    pub(crate) path: PathBuf,
}

/// A token and what it says of itself.
pub(crate) struct Token {
    /// Where it is.
    pub(crate) slot: Slot,
    /// Name of the reader.
    pub(crate) reader: String,
    /// Its description.
    pub(crate) info: TokenInfo,
}

impl Module {
    /// Loads the module that the arguments name, or the installed one.
    pub(crate) fn load(common: &Common) -> Result<Module, Failure> {
        let path = common.module.clone().or_else(installed).ok_or(Failure::NoModule)?;
        let refuse =
            |error: cryptoki::error::Error| Failure::Module { path: path.clone(), reason: error.to_string() };
        let functions = Pkcs11::new(&path).map_err(refuse)?;
        functions.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(refuse)?;
        Ok(Module { functions, path })
    }

    /// All tokens that are there.
    pub(crate) fn tokens(&self) -> Result<Vec<Token>, Failure> {
        let mut tokens = Vec::new();
        for slot in self.functions.get_slots_with_initialized_token()? {
            let info = self.functions.get_token_info(slot)?;
            let reader = self.functions.get_slot_info(slot)?.slot_description().to_owned();
            tokens.push(Token { slot, reader, info });
        }
        Ok(tokens)
    }
}

/// Beside this program (a build directory), or where a package puts it: `<prefix>/lib/<machine>/pkcs11`.
fn installed() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let directory = program.parent()?;
    let libraries = directory.join("../lib");
    let machine = format!("{}-linux-gnu/pkcs11", std::env::consts::ARCH);
    [directory.to_owned(), libraries.join(machine), libraries.join("pkcs11"), libraries]
        .iter()
        .map(|place: &PathBuf| place.join(FILE))
        .find(|path: &PathBuf| Path::exists(path))
}
