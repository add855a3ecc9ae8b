//! The gRPC calls. Each has a file that says what it does in which order, and [`contract`] names them; this one gives them what
//! they share: the state of the service, a request id, a log line, and the turn from [`Refusal`] to status.

mod authenticate;
mod batch;
mod caller;
mod card_use;
mod cards;
mod check;
mod clinician;
mod comfort;
mod contract;
mod convert;
mod document;
mod emergency;
mod evidence;
mod idp;
mod insurance;
mod once;
mod prepare;
mod refusal;
mod sign;
mod upkeep;
mod verify;
mod web;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Instant,
};

use cades::TrustAnchors;
use proto::v1::{self, sign_prescription_request::InsuranceCheck};
use secrecy::SecretString;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming, metadata::MetadataMap};
use tracing::Instrument;

pub use batch::JobCodes;
pub use caller::Origin;
pub use refusal::Refusal;
pub use web::{CardLogin, LoggedIn, TokenOrder, WebToken};

use caller::{Caller, Presence, Told};

use crate::{
    access::Access,
    audit::{AuditTrail, Entry, pseudonym::PseudonymKey},
    clinician::Clinicians,
    comfort::ComfortSessions,
    config::Config,
    insurance::InsuranceReaders,
    metrics::Metrics,
    ocsp::OcspClient,
    pin_limits::PinLimits,
    token::{
        CertificateObject, Choice, Module, PinEntry, Place, Purpose, Queue, Selector, TokenError, TokenView,
        choose,
    },
    traces::export::Exporter,
};

/// What all calls work with.
pub struct State {
    /// Who may do what over the network.
    pub access: Access,
    /// The cards.
    pub module: Module,
    /// The readers of insurance cards.
    pub readers: InsuranceReaders,
    /// Whom to trust.
    pub anchors: TrustAnchors,
    /// Who knows what was revoked.
    pub ocsp: OcspClient,
    /// The record of what was done.
    pub audit: AuditTrail,
    /// Names for patients and cards in it.
    pub pseudonyms: PseudonymKey,
    /// Job codes of batches at work.
    pub jobs: JobCodes,
    /// Who proved who they are.
    pub clinicians: Clinicians,
    /// Cards that are kept unlocked.
    pub comfort: ComfortSessions,
    /// Wrong PINs of late.
    pub pins: PinLimits,
    /// What is measured.
    pub metrics: Arc<Metrics>,
    /// Where spans of calls go.
    pub traces: Exporter,
    /// Where cards were seen last.
    pub places: Mutex<Vec<Place>>,
    /// Whether signatures are verified and recorded.
    pub proof: Proof,
    /// The configuration.
    pub config: Config,
}

/// Whether a signature is verified and recorded before it is handed out. The service always does both; leaving it out is
/// for measuring what it costs, and no configuration can.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// It is.
    Kept,
    /// It is not.
    LeftOut,
}

/// The service behind the contract.
#[derive(Clone)]
pub struct Signer {
    state: Arc<State>,
    /// Held for reading by each call at work, which may outlive its connection: what a card signed is recorded.
    working: Arc<RwLock<()>>,
    /// How many calls more may be at work.
    room: Arc<Semaphore>,
}

impl Signer {
    /// A service over this state.
    pub fn new(state: State) -> Signer {
        let room = Arc::new(Semaphore::new(state.config.limits.calls));
        Signer { state: Arc::new(state), working: Arc::default(), room }
    }

    /// Waits until no call is at work and gives the state back, if nobody else holds the service.
    pub async fn finish(self) -> Option<State> {
        drop(self.working.write().await);
        Arc::into_inner(self.state)
    }

    /// A place among the calls at work.
    fn room(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.room).try_acquire_owned().map_err(|_| Refusal::Busy)
    }

    /// Runs a call on a task of its own and answers it.
    async fn answer<Q, A, F>(
        &self,
        call: &'static str,
        request: Request<Q>,
        work: impl FnOnce(Arc<State>, Caller, Q) -> F,
    ) -> Result<Response<A>, Status>
    where
        F: Future<Output = Result<A, Refusal>> + Send + 'static,
        A: Send + 'static,
    {
        let id = request_id(request.metadata());
        let presence = Presence::new();
        let caller = presence.caller(id.clone(), &request, &self.state.access);
        let span = caller.span(call);
        let told = caller.told(call);
        let work = match caller.origin.may_call(call) {
            Ok(()) => Ok(work(Arc::clone(&self.state), caller, request.into_inner())),
            Err(refusal) => Err(refusal),
        };
        let result = self.run(told, span, presence, async move { work?.await }).await;
        let mut answer = result.map(Response::new).map_err(|refusal| refusal.status());
        match &mut answer {
            Ok(response) => identify(response.metadata_mut(), &id),
            Err(status) => identify(status.metadata_mut(), &id),
        }
        answer
    }

    /// Runs work on a task of its own, which goes on when nobody waits for it any more.
    async fn run<A: Send + 'static>(
        &self,
        told: Told,
        span: tracing::Span,
        // Goes away with this future, which ends when nobody waits for it any more.
        presence: Presence,
        work: impl Future<Output = Result<A, Refusal>> + Send + 'static,
    ) -> Result<A, Refusal> {
        let working = Arc::clone(&self.working).read_owned().await;
        let (state, room, begun) = (Arc::clone(&self.state), self.room(), Instant::now());
        let task = async move {
            let result = match room {
                Ok(_room) => work.await,
                Err(refusal) => Err(refusal),
            };
            note(&state, told, &result, begun);
            drop(state);
            drop(working);
            result
        };
        let joined = tokio::spawn(task.instrument(span)).await;
        drop(presence);
        joined.unwrap_or(Err(Refusal::Internal("the call did not finish")))
    }

    /// Runs a conversation on a task of its own; its answers come as it makes them.
    async fn converse<F>(
        &self,
        call: &'static str,
        request: Request<Streaming<v1::BatchRequest>>,
        work: impl FnOnce(Arc<State>, Caller, Streaming<v1::BatchRequest>, batch::Out) -> F,
    ) -> Result<Response<Answers>, Status>
    where
        F: Future<Output = Result<(), Refusal>> + Send + 'static,
    {
        let id = request_id(request.metadata());
        let working = Arc::clone(&self.working).read_owned().await;
        let presence = Presence::new();
        let caller = presence.caller(id.clone(), &request, &self.state.access);
        let span = caller.span(call);
        let (out, answers) = batch::channel();
        let (state, told) = (Arc::clone(&self.state), caller.told(call));
        let admitted = caller.origin.may_call(call).and_then(|()| self.room());
        let work = admitted
            .map(|room| (room, work(Arc::clone(&self.state), caller, request.into_inner(), out.clone())));
        let (begun, refused_id) = (Instant::now(), id.clone());
        let task = async move {
            let result = match work {
                Ok((_room, work)) => work.await,
                Err(refusal) => Err(refusal),
            };
            note(&state, told, &result, begun);
            drop(state);
            if let Err(refusal) = result {
                let mut status = refusal.status();
                identify(status.metadata_mut(), &refused_id);
                // A caller who is gone gets nothing.
                let _ = out.send(Err(status)).await;
            }
            drop(working);
        };
        tokio::spawn(task.instrument(span));
        let answers = ReceiverStream::new(answers);
        let mut response = Response::new(Answers { answers, _presence: presence });
        identify(response.metadata_mut(), &id);
        Ok(response)
    }
}

/// Answers of a conversation; the caller is present as long as they are waited for.
pub struct Answers {
    answers: ReceiverStream<Result<v1::BatchAnswer, Status>>,
    _presence: Presence,
}

impl Stream for Answers {
    type Item = Result<v1::BatchAnswer, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.answers).poll_next(context)
    }
}

fn note<A>(state: &State, told: Told, result: &Result<A, Refusal>, begun: Instant) {
    told.ended(state, result.as_ref().map_or_else(Refusal::reason, |_| "OK"), begun);
    let milliseconds = begun.elapsed().as_millis();
    if let Err(Refusal::Audit(error)) = result {
        tracing::error!(%error, "the audit trail cannot be written");
    }
    match result {
        Ok(_) => tracing::info!(milliseconds, "done"),
        Err(refusal) => tracing::warn!(milliseconds, reason = refusal.reason(), "refused: {refusal}"),
    }
}

fn identify(metadata: &mut MetadataMap, id: &str) {
    if let Ok(value) = id.parse() {
        metadata.insert(proto::REQUEST_ID, value);
    }
}

/// The caller's request id if it is harmless, else a fresh one.
fn request_id(metadata: &MetadataMap) -> String {
    let given = metadata.get(proto::REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if (1..=64).contains(&given.len()) && given.bytes().all(harmless) {
        given.to_owned()
    } else {
        uuid::Uuid::new_v4().to_string()
    }
}

/// Runs blocking work - cards, readers, long computations - off the threads that serve connections.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let span = tracing::Span::current();
    let joined = tokio::task::spawn_blocking(move || span.in_scope(work)).await;
    joined.map_err(|_| Refusal::Internal("a step did not finish"))
}

/// The PIN as PKCS#11 wants it. The message's own copy is wiped when it is dropped here.
fn secret(pin: Option<v1::Pin>) -> PinEntry {
    let Some(pin) = pin else { return PinEntry::default() };
    let value = (!pin.value.is_empty()).then(|| SecretString::from(pin.value.as_str()));
    PinEntry { value, last_try: pin.last_try }
}

fn selector(card: Option<v1::CardSelector>) -> Result<Selector, Refusal> {
    let card = card.unwrap_or_default();
    if !card.serial_suffix.is_empty() && card.serial_suffix.chars().count() < 4 {
        return Err(Refusal::BadRequest { field: "card.serial_suffix", problem: "at least four characters" });
    }
    let given = |text: String| (!text.is_empty()).then_some(text);
    Ok(Selector { token_label: given(card.token_label), serial_suffix: given(card.serial_suffix) })
}

/// A chosen certificate that can go from thread to thread, and is cheap to clone.
#[derive(Clone)]
struct Chosen {
    token: Arc<TokenView>,
    certificate: Arc<CertificateObject>,
    queue: Queue,
}

impl Chosen {
    fn new(module: &Module, choice: &Choice<'_>) -> Chosen {
        Chosen {
            queue: module.queue(choice.token),
            token: Arc::new(choice.token.clone()),
            certificate: Arc::new(choice.certificate.clone()),
        }
    }

    fn choice(&self) -> Choice<'_> {
        Choice { token: &self.token, certificate: &self.certificate }
    }

    /// Says in a record which card and certificate are used.
    fn name_in(&self, entry: &mut Entry, state: &State) {
        entry.name_certificate(&self.certificate.certificate);
        entry.card = state.pseudonyms.card(&self.token.serial);
    }
}

/// The token and certificate for a purpose, under the caller's selection and the configuration.
async fn find_key(
    state: &Arc<State>,
    caller: &Caller,
    selector: Selector,
    purpose: Purpose,
) -> Result<Chosen, Refusal> {
    let (state, origin) = (Arc::clone(state), caller.origin.clone());
    blocking(move || {
        let configured = match purpose {
            Purpose::Signature => &state.config.signing,
            Purpose::Authentication | Purpose::NationalLogin => &state.config.authentication,
        };
        let choose_from = |tokens: &[TokenView]| {
            let visible = tokens.iter().filter(|token| origin.sees(token));
            let choice = choose(visible, &selector, configured, purpose)?;
            Ok::<_, TokenError>((
                Chosen::new(&state.module, &choice),
                state.module.is_same_card(choice.token),
            ))
        };
        let recent = state.module.recent(selector.serial_suffix.is_some());
        let chosen = match recent.map(|tokens| choose_from(&tokens)) {
            Some(Ok((chosen, true))) => chosen,
            _ => choose_from(&state.module.tokens()?)?.0,
        };
        // A card that was pulled and put back since the last look has lost its comfort sessions.
        state.module.tidy_token(&chosen.token);
        Ok(chosen)
    })
    .await?
}

/// Records what became of an attempt, and answers an answer with the number of its record.
async fn recorded<A>(state: &State, entry: Entry, result: Result<A, Refusal>) -> Result<(A, u64), Refusal> {
    match result {
        Ok(answer) => {
            let number = state.audit.record(&entry, time::OffsetDateTime::now_utc()).await;
            Ok((answer, number.map_err(Refusal::Audit)?))
        }
        Err(refusal) => {
            record_refusal(state, entry, &refusal).await;
            Err(refusal)
        }
    }
}

/// Records an attempt that failed. The caller gets the refusal in any case: nothing was handed out.
async fn record_refusal(state: &State, mut entry: Entry, refusal: &Refusal) {
    entry.outcome = refusal.reason().to_owned();
    if let Err(error) = state.audit.record(&entry, time::OffsetDateTime::now_utc()).await {
        tracing::error!(%error, "a refusal could not be recorded");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(given: &str) -> String {
        let mut metadata = MetadataMap::new();
        metadata.insert(proto::REQUEST_ID, given.parse().unwrap());
        request_id(&metadata)
    }

    #[test]
    fn a_harmless_request_id_is_kept() {
        assert_eq!(id_for("ward-3.2026_11"), "ward-3.2026_11");
    }

    #[test]
    fn other_request_ids_are_replaced() {
        for given in ["", "a b", "a\u{7f}", "x".repeat(65).as_str(), "../etc"] {
            let Ok(value) = given.parse() else { continue };
            let mut metadata = MetadataMap::new();
            metadata.insert(proto::REQUEST_ID, value);
            assert_eq!(request_id(&metadata).len(), 36, "{given:?}");
        }
        assert_eq!(request_id(&MetadataMap::new()).len(), 36);
    }

    #[test]
    fn a_serial_number_of_less_than_four_characters_selects_nothing() {
        let card = v1::CardSelector { serial_suffix: "123".into(), ..Default::default() };
        assert!(matches!(selector(Some(card)), Err(Refusal::BadRequest { field: "card.serial_suffix", .. })));
        assert!(selector(None).unwrap().token_label.is_none());
    }
}
