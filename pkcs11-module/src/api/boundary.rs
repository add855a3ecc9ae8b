//! What every entry function does: stop panics, check the process, trace, turn the result into a CK_RV.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use cryptoki_sys::{CK_RV, CKR_OK};

use super::process;
use super::trace::Call;
use crate::error::{Error, Result};
use crate::token::Module;

/// Answers a function that works before C_Initialize. It is not traced: there is no log outside a module, and an event
/// that first happens without one would be taken for unwanted for ever (interest cache of `tracing`).
pub(super) fn always(body: impl FnOnce() -> Result<()>) -> CK_RV {
    answer(body)
}

/// Answers a function that needs an initialised module.
pub(super) fn initialised(
    name: &'static str,
    handle: Option<u64>,
    body: impl FnOnce(&Arc<Module>) -> Result<()>,
) -> CK_RV {
    answer(|| {
        let module = process::module()?;
        module.log().scope(|| {
            let call = Call::begin(&module, name, handle);
            let result = body(&module);
            if let Some(call) = call {
                call.end(&result);
            }
            result
        })
    })
}

/// Answers a function that this module does not have. Before C_Initialize that is not the answer (v3.1 clause 5.4.1).
pub(super) fn unsupported(name: &'static str, handle: Option<u64>) -> CK_RV {
    initialised(name, handle, |_| Err(Error::FunctionNotSupported))
}

/// A panic that left an `extern "C"` function would abort the host; here it becomes CKR_GENERAL_ERROR. Locks held by
/// the panicking call are dealt with where they are taken (`token::lock`).
fn answer(body: impl FnOnce() -> Result<()>) -> CK_RV {
    match catch_unwind(AssertUnwindSafe(body)).unwrap_or(Err(Error::Panicked)) {
        Ok(()) => CKR_OK,
        Err(error) => error.rv(),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki_sys::{CKR_ARGUMENTS_BAD, CKR_GENERAL_ERROR};

    use super::*;

    extern "C" fn entry_that_panics() -> CK_RV {
        always(|| panic!("on purpose"))
    }

    #[test]
    fn a_panic_becomes_general_error_and_the_host_lives_on() {
        assert_eq!(entry_that_panics(), CKR_GENERAL_ERROR);
        assert_eq!(always(|| Ok(())), CKR_OK);
    }

    #[test]
    fn errors_become_their_return_value() {
        assert_eq!(always(|| Err(Error::ArgumentsBad)), CKR_ARGUMENTS_BAD);
    }
}
