//! Who a call is for, and whether anybody still waits for its result.
//!
//! A call that used the card goes on without its caller, because what a card signed is recorded. A call that did not
//! yet use it ends instead: a caller who gave up waiting asks again, and one prescription would be signed twice.

use std::sync::{Arc, Weak};

use super::Refusal;

/// Kept by whoever waits for the result; dropped when the connection or the deadline ends.
pub(super) struct Presence(Arc<()>);

/// The caller as the work of a call sees it.
pub(super) struct Caller {
    /// Identifier of the request.
    pub(super) request_id: String,
    /// Name of the client program; empty on the Unix socket.
    pub(super) client: String,
    presence: Weak<()>,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence(Arc::new(()))
    }

    /// The caller who waits as long as this value lives.
    pub(super) fn caller(&self, request_id: String, client: String) -> Caller {
        Caller { request_id, client, presence: Arc::downgrade(&self.0) }
    }
}

impl Caller {
    /// A key of this client, apart from those of all others.
    pub(super) fn own(&self, key: &str) -> String {
        if self.client.is_empty() { key.to_owned() } else { format!("{}/{key}", self.client) }
    }

    /// To be asked directly before a PIN is used.
    pub(super) fn still_waits(&self) -> Result<(), Refusal> {
        if self.presence.strong_count() == 0 { Err(Refusal::CallerGone) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_waits_as_long_as_its_presence_lives() {
        let presence = Presence::new();
        let caller = presence.caller("r-1".into(), String::new());
        assert!(caller.still_waits().is_ok());
        drop(presence);
        assert!(matches!(caller.still_waits(), Err(Refusal::CallerGone)));
    }
}
