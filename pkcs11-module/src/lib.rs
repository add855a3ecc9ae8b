//! A PKCS#11 module for health professional cards: `libhpc_pkcs11.so`.
//!
//! Every card in a reader shows as two tokens, because it has two PINs: ESIGN (authentication) and QES (qualified
//! signature). [`C_GetFunctionList`], [`C_GetInterfaceList`] and [`C_GetInterface`] are all a program has to look up;
//! `docs/pkcs11-functions.md` says what each function does.
//!
//! The C boundary (`api`) checks pointers, stops panics and knows nothing of cards; the rest is safe code. The module
//! starts no thread, registers nothing that runs at exit, stores no PIN and asks the card nothing twice.

mod api;
mod beside;
mod config;
mod error;
mod logging;
mod text;
mod token;

pub use api::{C_GetFunctionList, C_GetInterface, C_GetInterfaceList};
pub use beside::{Configuration, configuration};
