//! What a caller sends after the begin of a batch, sorted: documents in their order, PINs, and the wish to stop. Reading
//! never waits for the documents that were read, or a PIN behind them could not come through.

use proto::v1::{self, batch_request::Step};
use tokio::sync::{mpsc, watch};
use tonic::Streaming;

use crate::service::Refusal;

/// A caller's steps. Reading them ends with this value.
pub(super) struct Steps {
    /// Documents; ends when the caller has no more.
    pub(super) documents: mpsc::Receiver<v1::BatchDocument>,
    /// PINs; ends when the caller will send none.
    pub(super) pins: mpsc::Receiver<v1::BatchPin>,
    /// Why nothing further is to be signed.
    pub(super) stop: Stop,
    reader: tokio::task::JoinHandle<()>,
}

/// Whether and why a batch stops. The first reason stays.
#[derive(Clone)]
pub(super) struct Stop(watch::Sender<Option<std::sync::Arc<Refusal>>>);

impl Stop {
    fn new() -> Stop {
        Stop(watch::Sender::new(None))
    }

    /// Nothing further is to be signed.
    pub(super) fn because(&self, refusal: Refusal) {
        self.0.send_if_modified(|reason| {
            let first = reason.is_none();
            if first {
                *reason = Some(std::sync::Arc::new(refusal));
            }
            first
        });
    }

    /// Why, if it stops.
    pub(super) fn reason(&self) -> Option<std::sync::Arc<Refusal>> {
        self.0.borrow().clone()
    }

    /// Waits until it stops.
    pub(super) async fn stopped(&self) {
        // This value is a sender: the channel does not end while it is waited for.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Begins to read.
pub(super) fn read(asked: Streaming<v1::BatchRequest>, window: usize) -> Steps {
    let (to_documents, documents) = mpsc::channel(window);
    let (to_pins, pins) = mpsc::channel(1);
    let stop = Stop::new();
    let sorter = Sorter { to_documents: Some(to_documents), to_pins, stop: stop.clone(), last: 0 };
    let reader = tokio::spawn(sorter.sort(asked));
    Steps { documents, pins, stop, reader }
}

struct Sorter {
    /// Until the caller has no more.
    to_documents: Option<mpsc::Sender<v1::BatchDocument>>,
    to_pins: mpsc::Sender<v1::BatchPin>,
    stop: Stop,
    last: u32,
}

impl Sorter {
    async fn sort(mut self, mut asked: Streaming<v1::BatchRequest>) {
        loop {
            let step = match asked.message().await {
                Ok(Some(request)) => request.step,
                Ok(None) => return,
                Err(_) => return self.stop.because(Refusal::CallerGone),
            };
            if let Err(refusal) = self.take(step) {
                return self.stop.because(refusal);
            }
        }
    }

    fn take(&mut self, step: Option<Step>) -> Result<(), Refusal> {
        let refuse = |field, problem| Err(Refusal::BadRequest { field, problem });
        match step {
            Some(Step::Document(document)) if document.number <= self.last => {
                refuse("document.number", "each number once, in ascending order, from 1 on")
            }
            Some(Step::Document(document)) => {
                self.last = document.number;
                let Some(to_documents) = &self.to_documents else {
                    return refuse("document", "comes after the last one");
                };
                let taken = to_documents.try_send(document);
                taken.or_else(|_| refuse("document", "more documents under way than the window allows"))
            }
            Some(Step::Pin(pin)) => {
                self.to_pins.try_send(pin).or_else(|_| refuse("pin", "nobody asked for it"))
            }
            Some(Step::Complete(_)) => {
                self.to_documents = None;
                Ok(())
            }
            Some(Step::Cancel(_)) => Err(Refusal::BatchCancelled),
            Some(Step::Begin(_)) => refuse("begin", "comes once"),
            None => refuse("step", "is missing"),
        }
    }
}
