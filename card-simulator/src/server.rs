//! Readers that programs reach: a [`Slot`] holds a card, [`Plug`]s connect it to the world.
//!
//! A slot may have several plugs at once: the card socket (`docs/card-socket.md`) and pcscd's virtual reader. All
//! clients of a slot share its one card, as they would share a reader.

mod address;
mod fault;
mod pin_pad;
mod slot;
mod socket;
mod speed;
mod trace;
mod vpcd;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use thiserror::Error;

pub use address::Address;
pub use fault::{Fault, FaultError, FaultPlan};
pub use pin_pad::{PinPad, Typed};
pub use slot::Slot;
pub use speed::{Speed, SpeedError, Traffic};
pub use trace::masked;

/// A plug could not be made.
#[derive(Debug, Error)]
pub enum PlugError {
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address.
        address: Address,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// A connection of a slot to the world; it ends when the value is dropped.
#[derive(Debug)]
pub struct Plug {
    address: Address,
    stop: Arc<AtomicBool>,
    wake: Arc<dyn Wake>,
    thread: Option<JoinHandle<()>>,
}

/// Ends what a plug's thread is waiting for.
trait Wake: Send + Sync + std::fmt::Debug {
    fn wake(&self);
}

impl Plug {
    /// The address programs use; for TCP port 0 the port that was chosen.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake.wake();
        if let Some(thread) = self.thread.take() {
            // A panic in the thread has been printed already; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl Slot {
    /// Connects the slot to an address. A socket is listened on when this returns; a virtual reader is connected
    /// to as soon as it is there and a card is inserted.
    ///
    /// # Errors
    /// [`PlugError::Listen`] if the socket cannot be listened on.
    pub fn plug(&self, address: &Address) -> Result<Plug, PlugError> {
        match address {
            Address::Unix(_) | Address::Tcp(_) => socket::plug(self, address),
            Address::Vpcd(host) => Ok(vpcd::plug(self, host)),
        }
    }
}
