//! The stages of a batch, each at work on another document.

use std::sync::Arc;

use proto::v1::{self, batch_answer::Step as Answer, batch_document, batch_item::Outcome};
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

use super::{
    Batch, Out, send,
    steps::{Steps, Stop},
};
use crate::{
    audit::Entry,
    service::{
        Refusal, State, comfort,
        document::{Authority, Document, Ready, Verify},
        secret,
    },
    token::{Lease, PinEntry, TokenError},
};

/// Documents between two stages.
const BETWEEN: usize = 4;

/// A document between two stages.
struct Item {
    number: u32,
    what: What,
}

enum What {
    /// On its way.
    Ready(Box<Ready>),
    /// Signed by an earlier attempt.
    Replayed(Box<v1::SignPrescriptionResponse>),
    /// Not to be signed.
    Refused(Refusal),
}

/// Runs all stages to the end of the batch.
pub(super) async fn run(state: &Arc<State>, batch: &Arc<Batch>, mut steps: Steps, out: &Out) -> v1::BatchEnd {
    let stop = steps.stop.clone();
    let (to_card, examined) = mpsc::channel(BETWEEN);
    let (to_finish, signed) = mpsc::channel(BETWEEN);
    let (_, nothing) = mpsc::channel(1);
    let documents = std::mem::replace(&mut steps.documents, nothing);
    let examining =
        tokio::spawn(examine(Arc::clone(state), Arc::clone(batch), documents, to_card, stop.clone()));
    let finishing =
        tokio::spawn(finish(Arc::clone(state), Arc::clone(batch), signed, out.clone(), stop.clone()));
    let mut card = Card { state, batch, steps: &mut steps, out, lease: None };
    let outstanding = card.sign_all(examined, to_finish).await;
    let unexamined = examining.await.unwrap_or_default();
    let mut end = finishing.await.unwrap_or_default();
    end.outstanding = outstanding + unexamined;
    end.stopped = stop.reason().map(|refusal| shown(&refusal));
    end
}

/// First stage: everything that can be known without the card. Answers how many documents it did not look at.
async fn examine(
    state: Arc<State>,
    batch: Arc<Batch>,
    mut documents: mpsc::Receiver<v1::BatchDocument>,
    to_card: mpsc::Sender<Item>,
    stop: Stop,
) -> u32 {
    let mut left = 0;
    loop {
        let document = tokio::select! {
            () = stop.stopped() => break,
            document = documents.recv() => document,
        };
        let Some(document) = document else { break };
        let number = document.number;
        let what = examined(&state, &batch, document).await.unwrap_or_else(What::Refused);
        if to_card.send(Item { number, what }).await.is_err() {
            left += 1;
            break;
        }
    }
    documents.close();
    while documents.recv().await.is_some() {
        left += 1;
    }
    left
}

async fn examined(state: &Arc<State>, batch: &Batch, request: v1::BatchDocument) -> Result<What, Refusal> {
    use crate::service::InsuranceCheck;
    let number = request.number;
    let entry = Entry::new(batch.caller.request_id.clone(), "SignBatch");
    let check = request.insurance_check.map(|check| match check {
        batch_document::InsuranceCheck::InsuranceCard(card) => InsuranceCheck::InsuranceCard(card),
        batch_document::InsuranceCheck::NoCard(reason) => InsuranceCheck::NoCard(reason),
    });
    let mut document = Document::read(state, request.prescription, check, entry).await?;
    document.remark(format!("batch {}, document {number}, job {}", batch.id, batch.job.code));
    let looked = async {
        if let Some(answer) = document.take_key(state, batch.keys.claim(&number.to_string())).await? {
            return Ok(Err(answer));
        }
        document.examine(state, &batch.caller.origin).await?;
        document.examine_signer(state, &batch.chosen).await.map(Ok)
    };
    match looked.await {
        Ok(Ok(evidence)) => Ok(What::Ready(Box::new(document.ready(batch.chosen.clone(), evidence)))),
        Ok(Err(answer)) => Ok(What::Replayed(Box::new(answer))),
        Err(refusal) => {
            document.refused(state, &refusal).await;
            Err(refusal)
        }
    }
}

/// Second stage: the card.
struct Card<'a> {
    state: &'a Arc<State>,
    batch: &'a Arc<Batch>,
    steps: &'a mut Steps,
    out: &'a Out,
    lease: Option<Lease>,
}

impl Card<'_> {
    /// Signs until documents or budget or patience end. Answers how many documents it left.
    async fn sign_all(&mut self, mut examined: mpsc::Receiver<Item>, to_finish: mpsc::Sender<Item>) -> u32 {
        let mut left = 0;
        while let Some(Item { number, what }) = examined.recv().await {
            let What::Ready(mut ready) = what else {
                let _ = to_finish.send(Item { number, what }).await;
                continue;
            };
            match self.sign(number, &mut ready).await {
                Ok(()) => {
                    let _ = to_finish.send(Item { number, what: What::Ready(ready) }).await;
                }
                Err(refusal) => {
                    left += 1;
                    // A card that did not answer, or a PIN that was wrong, is worth a record; a caller who left is not.
                    let document = ready.into_document();
                    match &refusal {
                        Refusal::CallerGone | Refusal::BatchCancelled => document.abandoned(self.state).await,
                        refusal => document.refused(self.state, refusal).await,
                    }
                    self.steps.stop.because(refusal);
                }
            }
        }
        left
    }

    async fn sign(&mut self, number: u32, ready: &mut Ready) -> Result<(), Refusal> {
        loop {
            if self.steps.stop.reason().is_some() {
                return Err(Refusal::BatchCancelled);
            }
            let authority = match (&self.batch.comfort, &self.lease) {
                (Some(session), _) => Authority::Comfort(Arc::clone(session)),
                (None, Some(lease)) => Authority::Lease(lease.clone()),
                (None, None) => Authority::PinKept(self.pin(number).await?),
            };
            let on_lease = matches!(authority, Authority::Lease(_));
            match ready.sign(self.state, &self.batch.caller, authority, Verify::Later).await {
                Ok(lease) => {
                    self.lease = lease.or(self.lease.take());
                    return Ok(());
                }
                // The card's own budget is used up, or somebody else's wrong PIN ended it.
                Err(Refusal::Token(TokenError::NotLoggedIn)) if on_lease => self.lease = None,
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// Asks for a PIN.
    async fn pin(&mut self, number: u32) -> Result<PinEntry, Refusal> {
        let token = &self.batch.chosen.token;
        let wanted = v1::PinWanted {
            job_code: self.batch.job.code.clone(),
            card: Some(v1::CardSelector {
                token_label: token.label.clone(),
                serial_suffix: token.serial_suffix().to_owned(),
            }),
            number,
            pin_pad: token.pin_pad,
        };
        send(self.out, Answer::PinWanted(wanted)).await;
        let pin = tokio::select! {
            () = self.steps.stop.stopped() => return Err(Refusal::BatchCancelled),
            pin = self.steps.pins.recv() => pin,
        };
        let Some(pin) = pin else {
            let stopped = self.steps.stop.reason().is_some();
            return Err(if stopped { Refusal::BatchCancelled } else { TokenError::PinRequired.into() });
        };
        if pin.job_code != self.batch.job.code {
            return Err(Refusal::BadRequest { field: "pin.job_code", problem: "is not this batch's" });
        }
        Ok(secret(pin.pin))
    }
}

/// Third stage: verification, record, answer. Several documents at once, so that their records reach the disk together;
/// the answers come in the order of the documents.
async fn finish(
    state: Arc<State>,
    batch: Arc<Batch>,
    mut signed: mpsc::Receiver<Item>,
    out: Out,
    stop: Stop,
) -> v1::BatchEnd {
    let (under_way, mut finished) = mpsc::channel(BETWEEN);
    let work = Arc::clone(&state);
    let starting = tokio::spawn(
        async move {
            while let Some(Item { number, what }) = signed.recv().await {
                let state = Arc::clone(&work);
                let finishing = tokio::spawn(outcome(state, what).instrument(Span::current()));
                if under_way.send((number, finishing)).await.is_err() {
                    return;
                }
            }
        }
        .instrument(Span::current()),
    );
    let mut end = v1::BatchEnd::default();
    while let Some((number, finishing)) = finished.recv().await {
        let outcome = finishing.await.unwrap_or(Err(Refusal::Internal("a document was not finished")));
        let outcome = match outcome {
            Ok(mut answer) => {
                let count = if answer.replayed { &mut end.replayed } else { &mut end.signed };
                *count += 1;
                let session = batch.comfort.as_ref().filter(|_| !answer.replayed);
                let card = batch.chosen.token.card();
                answer.comfort_session = session.map(|session| comfort::shown(&state, &card, session));
                Outcome::Signed(answer)
            }
            Err(refusal) => {
                end.refused += 1;
                let outcome = Outcome::Refused(shown(&refusal));
                if matches!(refusal, Refusal::Signature(_) | Refusal::Audit(_) | Refusal::Internal(_)) {
                    stop.because(refusal);
                }
                outcome
            }
        };
        send(&out, Answer::Item(v1::BatchItem { number, outcome: Some(outcome) })).await;
    }
    let _ = starting.await;
    end
}

async fn outcome(state: Arc<State>, what: What) -> Result<v1::SignPrescriptionResponse, Refusal> {
    match what {
        What::Ready(ready) => ready.finish(&state).await,
        What::Replayed(answer) => Ok(*answer),
        What::Refused(refusal) => Err(refusal),
    }
}

fn shown(refusal: &Refusal) -> v1::BatchRefusal {
    let (code, reason, metadata) = refusal.parts();
    v1::BatchRefusal { code: code.into(), reason: reason.to_owned(), message: refusal.to_string(), metadata }
}
