//! Who a call is for, and whether anybody still waits for its result.
//!
//! A call that used the card goes on without its caller, because what a card signed is recorded. A call that did not
//! yet use it ends instead: a caller who gave up waiting asks again, and one prescription would be signed twice.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;
use tonic::{Extensions, Request, metadata::MetadataMap, transport::server::TcpConnectInfo};

use super::{Chosen, Refusal, State};
use crate::{
    access::{Access, Client},
    metrics::Metrics,
    tls::incoming::Peer,
    token::TokenView,
    traces::{Trace, export::Span},
};

/// Kept by whoever waits for the result; dropped when the connection or the deadline ends.
pub(super) struct Presence(watch::Sender<()>);

/// Where a call comes from, and as whom.
#[derive(Debug, Clone)]
pub enum Origin {
    /// The Unix socket: whoever may open it may do everything.
    Local,
    /// The plaintext listener of development: nobody in particular.
    Development,
    /// TLS, with the certificate of this client.
    Client(Arc<Client>),
    /// TLS, with a certificate that is in nobody's permissions.
    Stranger,
    /// The login page, for an application that is registered there.
    Browser,
}

/// The caller as the work of a call sees it.
pub(super) struct Caller {
    /// Identifier of the request.
    pub(super) request_id: String,
    /// Name of the client program; empty if it did not prove to be one.
    pub(super) client: String,
    /// Where it comes from.
    pub(super) origin: Origin,
    /// The clinician's token, if it sent one.
    pub(super) token: Option<String>,
    /// The trace it belongs to.
    pub(super) trace: Trace,
    presence: watch::Receiver<()>,
}

/// What is noted of a call when it ends.
pub(super) struct Told {
    call: &'static str,
    client: String,
    request_id: String,
    trace: Trace,
}

impl Presence {
    pub(super) fn new() -> Presence {
        Presence(watch::Sender::new(()))
    }

    /// The caller of a request, who waits as long as this value lives.
    pub(super) fn caller<Q>(&self, request_id: String, request: &Request<Q>, access: &Access) -> Caller {
        let origin = Origin::of(request.extensions(), access);
        Caller {
            request_id,
            client: origin.client().map_or_else(String::new, |client| client.name.clone()),
            origin,
            token: bearer(request.metadata()),
            trace: Trace::of(request.metadata().get("traceparent").and_then(|value| value.to_str().ok())),
            presence: self.0.subscribe(),
        }
    }

    /// Somebody at a browser that an application sent here, who waits as long as this value lives.
    pub(super) fn browser(&self, request_id: String, client: String) -> Caller {
        Caller {
            request_id,
            client,
            origin: Origin::Browser,
            token: None,
            trace: Trace::of(None),
            presence: self.0.subscribe(),
        }
    }
}

impl Origin {
    /// Of a request, as its connection says.
    pub fn of(extensions: &Extensions, access: &Access) -> Origin {
        if let Some(peer) = extensions.get::<Peer>() {
            return access.client(&peer.identity).map_or(Origin::Stranger, Origin::Client);
        }
        match extensions.get::<TcpConnectInfo>() {
            Some(_) => Origin::Development,
            None => Origin::Local,
        }
    }

    /// May it make this call?
    ///
    /// # Errors
    /// [`Refusal::ClientUnknown`], [`Refusal::CallNotAllowed`].
    pub fn may_call(&self, call: &'static str) -> Result<(), Refusal> {
        match self {
            Origin::Local | Origin::Development | Origin::Browser => Ok(()),
            Origin::Stranger => Err(Refusal::ClientUnknown),
            Origin::Client(client) if client.may_call(call) => Ok(()),
            Origin::Client(_) => Err(Refusal::CallNotAllowed { call }),
        }
    }

    /// Whether there is this card for it.
    pub(super) fn sees(&self, token: &TokenView) -> bool {
        self.client().is_none_or(|client| client.may_use(token))
    }

    /// Whether there is this reader of insurance cards for it.
    pub(super) fn sees_reader(&self, reader: &str) -> bool {
        self.client().is_none_or(|client| client.may_read_in(reader))
    }

    fn client(&self) -> Option<&Client> {
        match self {
            Origin::Client(client) => Some(client),
            _ => None,
        }
    }
}

impl Told {
    /// Notes how the call ended, and when it began.
    pub(super) fn ended(self, state: &State, outcome: &'static str, begun: Instant) {
        let Told { call, client, request_id, trace } = self;
        let took = begun.elapsed();
        state.metrics.call(call, &client, outcome, took);
        state.traces.span(Span { trace, call, client, request_id, outcome, took });
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

    /// Whose wrong PINs those of this call are: an application at the login page is nobody's TLS client, whatever its name.
    pub(super) fn pin_client(&self) -> String {
        match self.origin {
            Origin::Browser => format!("web/{}", self.client),
            _ => self.client.clone(),
        }
    }

    /// What is to be noted of this call.
    pub(super) fn told(&self, call: &'static str) -> Told {
        Told { call, client: self.client.clone(), request_id: self.request_id.clone(), trace: self.trace }
    }

    /// It comes over the network.
    pub(super) fn is_remote(&self) -> bool {
        !matches!(self.origin, Origin::Local)
    }

    /// Comfort signatures are for clients that authenticated themselves (gemSpec_Kon, chapter on the comfort signature), and
    /// for those on the Unix socket, whom the system did.
    pub(super) fn may_use_comfort(&self) -> Result<(), Refusal> {
        match self.origin {
            Origin::Local | Origin::Client(_) => Ok(()),
            Origin::Development | Origin::Stranger | Origin::Browser => Err(Refusal::ComfortNeedsClient),
        }
    }

    /// The span of log lines of one of its calls.
    pub(super) fn span(&self, call: &'static str) -> tracing::Span {
        tracing::info_span!("request", id = %self.request_id, call, client = self.client, trace = %self.trace)
    }

    /// Its turn at a card. A caller who hangs up leaves the queue.
    pub(super) async fn turn<T>(
        &self,
        metrics: &Metrics,
        chosen: &Chosen,
        turn: impl Future<Output = T>,
    ) -> Result<T, Refusal> {
        let _waiting = metrics.waits(&chosen.token.slot_name);
        self.next(turn).await
    }

    async fn next<T>(&self, turn: impl Future<Output = T>) -> Result<T, Refusal> {
        let mut presence = self.presence.clone();
        let turn = tokio::select! {
            turn = turn => turn,
            _ = presence.changed() => return Err(Refusal::CallerGone),
        };
        self.still_waits()?;
        Ok(turn)
    }

    /// To be asked directly before a PIN is used.
    pub(super) fn still_waits(&self) -> Result<(), Refusal> {
        // Nothing is ever sent: the only news is that the sender is gone.
        if self.presence.has_changed().is_err() { Err(Refusal::CallerGone) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_found() {
        let mut request = Request::new(());
        assert_eq!(Presence::new().caller("r-1".into(), &request, &Access::default()).token, None);
        request.metadata_mut().insert("authorization", "bearer abc".parse().unwrap());
        assert_eq!(
            Presence::new().caller("r-1".into(), &request, &Access::default()).token.as_deref(),
            Some("abc")
        );
        request.metadata_mut().insert("authorization", "Basic abc".parse().unwrap());
        assert_eq!(Presence::new().caller("r-1".into(), &request, &Access::default()).token, None);
    }

    #[test]
    fn a_caller_waits_as_long_as_its_presence_lives() {
        let presence = Presence::new();
        let caller = presence.caller("r-1".into(), &Request::new(()), &Access::default());
        assert!(caller.still_waits().is_ok());
        drop(presence);
        assert!(matches!(caller.still_waits(), Err(Refusal::CallerGone)));
    }

    #[tokio::test]
    async fn a_caller_who_hangs_up_leaves_the_queue() {
        let card = Arc::new(tokio::sync::Mutex::new(()));
        let busy = Arc::clone(&card).lock_owned().await;
        let presence = Presence::new();
        let caller = presence.caller("r-1".into(), &Request::new(()), &Access::default());
        let waiting = tokio::spawn(async move { caller.next(card.lock_owned()).await.err() });
        tokio::task::yield_now().await;
        drop(presence);
        assert!(matches!(waiting.await.unwrap(), Some(Refusal::CallerGone)));
        drop(busy);
    }

    #[test]
    fn comfort_signatures_are_for_the_socket_and_for_known_clients() {
        let presence = Presence::new();
        let mut caller = presence.caller("r-1".into(), &Request::new(()), &Access::default());
        assert!(caller.may_use_comfort().is_ok() && !caller.is_remote());
        for origin in [Origin::Development, Origin::Stranger] {
            caller.origin = origin;
            assert!(matches!(caller.may_use_comfort(), Err(Refusal::ComfortNeedsClient)));
            assert!(caller.is_remote());
        }
    }

    #[test]
    fn a_stranger_may_not_even_ask() {
        assert!(matches!(Origin::Stranger.may_call("Health"), Err(Refusal::ClientUnknown)));
        assert!(Origin::Local.may_call("SignBatch").is_ok());
    }
}
