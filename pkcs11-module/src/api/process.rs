//! The module of this process (PKCS#11 v3.1 clauses 5.4.1, 5.4.2; forks: clause 5.4.1, "General-purpose functions").
//!
//! State is bound to the process id. A forked child sees a state that is not its own, answers
//! CKR_CRYPTOKI_NOT_INITIALIZED, and gets a fresh one at its C_Initialize; the inherited one is abandoned, not
//! dropped: its locks may be held by threads that do not exist in the child, and its PC/SC handles belong to the
//! parent. Nothing here runs at process exit.

use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::{Error, Result};
use crate::token::{Module, lock};

struct Process {
    pid: u32,
    module: Mutex<Option<Arc<Module>>>,
}

static PROCESS: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());

/// The module, if this process has initialised it.
pub(super) fn module() -> Result<Arc<Module>> {
    lock(&own().module).clone().ok_or(Error::NotInitialised)
}

/// Makes a module. A second thread that comes at the same time waits and then learns that there is one.
pub(super) fn initialise(create: impl FnOnce() -> Result<Module>) -> Result<()> {
    let mut module = lock(&own().module);
    if module.is_some() {
        return Err(Error::AlreadyInitialised);
    }
    *module = Some(Arc::new(create()?));
    Ok(())
}

/// Takes the module away. Calls that run in other threads keep it until they return.
pub(super) fn finalise() -> Result<Arc<Module>> {
    lock(&own().module).take().ok_or(Error::NotInitialised)
}

/// The state that belongs to the running process, made on first use.
fn own() -> &'static Process {
    let pid = std::process::id();
    loop {
        let current = PROCESS.load(Ordering::Acquire);
        // SAFETY: NULL, or published below and never freed.
        if let Some(process) = unsafe { current.as_ref() }
            && process.pid == pid
        {
            return process;
        }
        let fresh = Box::into_raw(Box::new(Process { pid, module: Mutex::new(None) }));
        match PROCESS.compare_exchange(current, fresh, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: just made, published, never freed: one small leak per process.
            Ok(_) => return unsafe { &*fresh },
            // SAFETY: not published, so still ours alone.
            Err(_) => drop(unsafe { Box::from_raw(fresh) }),
        }
    }
}
