//! Who a call is for, and whether anybody still waits for its result.
//!
//! A call that used the card goes on without its caller, because what a card signed is recorded. A call that did not
//! yet use it ends instead: a caller who gave up waiting asks again, and one prescription would be signed twice.

use std::sync::{Arc, Weak};

use tonic::{Request, metadata::MetadataMap};

use super::Refusal;

/// Kept by whoever waits for the result; dropped when the connection or the deadline ends.
pub(super) struct Presence(Arc<()>);

/// The caller as the work of a call sees it.
pub(super) struct Caller {
    /// Identifier of the request.
    pub(super) request_id: String,
    /// Name of the client program; empty on the Unix socket.
    pub(super) client: String,
    /// It comes over the network.
    pub(super) is_remote: bool,
    /// The clinician's token, if it sent one.
    pub(super) token: Option<String>,
    presence: Weak<()>,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence(Arc::new(()))
    }

    /// The caller of a request, who waits as long as this value lives.
    pub(super) fn caller<Q>(&self, request_id: String, request: &Request<Q>) -> Caller {
        Caller {
            request_id,
            client: String::new(),
            is_remote: request.remote_addr().is_some(),
            token: bearer(request.metadata()),
            presence: Arc::downgrade(&self.0),
        }
    }
}

/// What the metadata entry "authorization" bears (RFC 6750 clause 2.1).
fn bearer(metadata: &MetadataMap) -> Option<String> {
    let (scheme, token) = metadata.get("authorization")?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
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
    fn a_bearer_token_is_found() {
        let mut request = Request::new(());
        assert_eq!(Presence::new().caller("r-1".into(), &request).token, None);
        request.metadata_mut().insert("authorization", "bearer abc".parse().unwrap());
        assert_eq!(Presence::new().caller("r-1".into(), &request).token.as_deref(), Some("abc"));
        request.metadata_mut().insert("authorization", "Basic abc".parse().unwrap());
        assert_eq!(Presence::new().caller("r-1".into(), &request).token, None);
    }

    #[test]
    fn a_caller_waits_as_long_as_its_presence_lives() {
        let presence = Presence::new();
        let caller = presence.caller("r-1".into(), &Request::new(()));
        assert!(caller.still_waits().is_ok());
        drop(presence);
        assert!(matches!(caller.still_waits(), Err(Refusal::CallerGone)));
    }
}
