//! The conversation of SignBatch: documents in their order, at most a window of them under way, a PIN when one is wanted.

use proto::v1::{self, BatchRequest, batch_answer::Step as Answer, batch_request::Step};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{Client, Error};

/// Steps that wait to be sent. More than a window of documents never do.
const WAITING: usize = 64;

/// A batch at work.
pub struct Batch {
    say: mpsc::Sender<BatchRequest>,
    answers: Streaming<v1::BatchAnswer>,
    started: v1::BatchStarted,
    under_way: u32,
    complete: bool,
}

/// What comes next.
#[derive(Debug)]
pub enum Event {
    /// There is room for a document: [`Batch::document`], or [`Batch::complete`] if there is none.
    Room,
    /// A PIN is wanted: [`Batch::pin`], or [`Batch::cancel`].
    PinWanted(v1::PinWanted),
    /// What became of a document.
    Item(Box<v1::BatchItem>),
    /// Nothing further comes.
    End(v1::BatchEnd),
}

impl Batch {
    /// Begins a batch.
    ///
    /// # Errors
    /// The whole batch is refused.
    pub async fn begin(client: &mut Client, begin: v1::BatchBegin) -> Result<Batch, Error> {
        let (say, said) = mpsc::channel(WAITING);
        let first = BatchRequest { step: Some(Step::Begin(begin)) };
        // It has room, and the other end is held here.
        let _ = say.try_send(first);
        let mut answers = client.sign_batch(ReceiverStream::new(said)).await?.into_inner();
        match answers.message().await?.and_then(|answer| answer.step) {
            Some(Answer::Started(started)) => {
                Ok(Batch { say, answers, started, under_way: 0, complete: false })
            }
            _ => Err(Error::BatchBrokeOff),
        }
    }

    /// Batch id, job code, window, and what an earlier attempt left.
    pub fn started(&self) -> &v1::BatchStarted {
        &self.started
    }

    /// What to do next, or what happened.
    ///
    /// # Errors
    /// The connection broke off, or the whole batch was refused.
    pub async fn next(&mut self) -> Result<Event, Error> {
        if !self.complete && self.under_way < self.started.window {
            return Ok(Event::Room);
        }
        loop {
            let answer = self.answers.message().await?.ok_or(Error::BatchBrokeOff)?;
            match answer.step {
                Some(Answer::PinWanted(wanted)) => return Ok(Event::PinWanted(wanted)),
                Some(Answer::Item(item)) => {
                    self.under_way = self.under_way.saturating_sub(1);
                    return Ok(Event::Item(Box::new(item)));
                }
                Some(Answer::End(end)) => return Ok(Event::End(end)),
                Some(Answer::Started(_)) | None => {}
            }
        }
    }

    /// Sends a document.
    pub async fn document(&mut self, document: v1::BatchDocument) {
        self.under_way += 1;
        self.say(Step::Document(document)).await;
    }

    /// Sends the PIN that was wanted; none if it is entered at the reader.
    pub async fn pin(&mut self, wanted: &v1::PinWanted, pin: Option<v1::Pin>) {
        self.say(Step::Pin(v1::BatchPin { job_code: wanted.job_code.clone(), pin })).await;
    }

    /// There are no further documents.
    pub async fn complete(&mut self) {
        self.complete = true;
        self.say(Step::Complete(v1::BatchComplete {})).await;
    }

    /// Nothing further is to be signed.
    pub async fn cancel(&mut self) {
        self.complete = true;
        self.say(Step::Cancel(v1::BatchCancel {})).await;
    }

    async fn say(&self, step: Step) {
        // A service that does not listen any more says why in its answers.
        let _ = self.say.send(BatchRequest { step: Some(step) }).await;
    }
}
