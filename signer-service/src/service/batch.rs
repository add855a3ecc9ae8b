//! SignBatch: a conversation about many documents.
//!
//! Documents go through three stages in their order, each at work on another one: what can be known without the card
//! ([`Document::examine`]), the card's turn, and verification and record. The caller is told how many documents it may have
//! under way (the window), so that nothing piles up and a PIN or a wish to stop never waits behind documents.
//!
//! A document's key is made of batch id and number. So a batch that broke off anywhere is taken up again by sending it
//! again: what was signed is answered and not signed twice.

mod stages;
mod steps;

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use proto::v1::{self, batch_answer::Step as Answer, batch_request::Step};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{Caller, Chosen, Refusal, State, clinician, comfort, find_key, once, selector};
use crate::{
    audit::{Claim, KeysUnder},
    comfort::Session,
    token::Purpose,
};

/// Documents that may be under way.
const WINDOW: usize = 16;
/// Answers that may wait for the caller to read them.
const ANSWERS: usize = 8;

/// Where answers go.
pub(super) type Out = mpsc::Sender<Result<v1::BatchAnswer, Status>>;

/// A batch at work.
struct Batch {
    id: String,
    chosen: Chosen,
    comfort: Option<Arc<Session>>,
    job: JobCode,
    caller: Caller,
    /// The keys of its documents.
    keys: KeysUnder,
}

/// Job codes in use.
#[derive(Clone, Default)]
pub struct JobCodes(Arc<Mutex<HashSet<String>>>);

/// A job code that no other job has until this is dropped.
struct JobCode {
    codes: JobCodes,
    code: String,
}

/// A channel for answers.
pub(super) fn channel() -> (Out, mpsc::Receiver<Result<v1::BatchAnswer, Status>>) {
    mpsc::channel(ANSWERS)
}

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    mut asked: Streaming<v1::BatchRequest>,
    out: Out,
) -> Result<(), Refusal> {
    let first = asked.message().await.map_err(|_| Refusal::CallerGone)?.and_then(|request| request.step);
    let Some(Step::Begin(begin)) = first else {
        return Err(Refusal::BadRequest { field: "begin", problem: "comes first" });
    };
    // Nobody else works with this batch as long as it is claimed.
    let (batch, _claim) = begin_batch(&state, caller, begin).await?;
    let batch = Arc::new(batch);
    let signed_before = state.audit.count_keys(batch.keys.beginning()).await.map_err(Refusal::Audit)?;
    let started = v1::BatchStarted {
        batch_id: batch.id.clone(),
        job_code: batch.job.code.clone(),
        window: u32::try_from(WINDOW).unwrap_or(u32::MAX),
        signed_before,
    };
    tracing::info!(batch = batch.id, job = batch.job.code, "batch started");
    send(&out, Answer::Started(started)).await;
    let end = stages::run(&state, &batch, steps::read(asked, WINDOW), &out).await;
    tracing::info!(signed = end.signed, refused = end.refused, outstanding = end.outstanding, "batch ended");
    send(&out, Answer::End(end)).await;
    Ok(())
}

async fn begin_batch(
    state: &Arc<State>,
    caller: Caller,
    begin: v1::BatchBegin,
) -> Result<(Batch, Claim), Refusal> {
    let id = match once::read_key(&begin.batch_id) {
        Ok(None) => uuid::Uuid::new_v4().to_string(),
        Ok(Some(id)) if id.len() <= 64 => id.to_owned(),
        _ => {
            let problem = "at most 64 letters, digits and characters of - _ . :";
            return Err(Refusal::BadRequest { field: "begin.batch_id", problem });
        }
    };
    let chosen = find_key(state, &caller, selector(begin.card)?, Purpose::Signature).await?;
    clinician::authorize(state, &caller, &chosen).await?;
    let comfort = comfort::admit(state, &caller, &chosen, &begin.comfort_user_id).await?;
    // Callers' own keys have no stroke.
    let claim = once::claim(state, &caller.own(&format!("batch/{id}"))).await?;
    let (job, keys) = (state.jobs.make()?, claim.keys_under());
    Ok((Batch { id, chosen, comfort, job, caller, keys }, claim))
}

impl JobCodes {
    /// Three letters and three digits (gemSpec_Kon, TIP1-A_4639).
    fn make(&self) -> Result<JobCode, Refusal> {
        for _ in 0..100 {
            let mut random = [0; 6];
            getrandom::fill(&mut random).map_err(|_| Refusal::Internal("no random numbers"))?;
            let [letters @ .., a, b, c] = random;
            let letters: String = letters.iter().map(|byte| char::from(b'A' + byte % 26)).collect();
            let code = format!("{letters}-{}{}{}", a % 10, b % 10, c % 10);
            if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(code.clone()) {
                return Ok(JobCode { codes: self.clone(), code });
            }
        }
        Err(Refusal::Internal("no job code is free"))
    }
}

impl Drop for JobCode {
    fn drop(&mut self) {
        self.codes.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.code);
    }
}

/// Answers; a caller who is gone gets nothing.
async fn send(out: &Out, step: Answer) -> bool {
    out.send(Ok(v1::BatchAnswer { step: Some(step) })).await.is_ok()
}
