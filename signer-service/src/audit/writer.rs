//! Writes into a database that only this process writes. What comes while something else is on its way to the disk goes
//! there together, in one transaction: records, each with the answer of its key, and keys that are taken. Nobody is
//! answered before the disk has it.

use sqlx::{Any, Transaction};
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use super::{
    AuditError, Entry,
    chain::Chain,
    claims::Entered,
    results::{Take, Taken, keep_all},
};

/// Orders that wait; callers beyond that wait for room.
const WAITING: usize = 256;
/// Orders of one transaction.
const TOGETHER: usize = 64;

/// Hands orders to the task that writes.
#[derive(Debug, Clone)]
pub(super) struct Writer(mpsc::Sender<Order>);

enum Order {
    Record(Box<Job<Record, u64>>),
    Take(Box<Job<Take, Taken>>),
    Finish(oneshot::Sender<()>),
}

/// What is to be written, and who waits for what comes of it.
struct Job<W, A> {
    what: W,
    done: oneshot::Sender<Result<A, AuditError>>,
}

struct Record {
    entry: Entry,
    at: OffsetDateTime,
    kept: Option<Kept>,
}

/// The answer that a claimed key is to keep, made with the number of its record.
pub(super) struct Kept {
    pub(super) entered: Entered,
    pub(super) answer: Box<dyn Fn(u64) -> Vec<u8> + Send + Sync>,
}

/// What came of an order.
enum Outcome {
    Recorded(u64),
    Taken(Taken),
}

impl Writer {
    /// Starts the task.
    pub(super) fn start(chain: Chain) -> Writer {
        let (orders, received) = mpsc::channel(WAITING);
        tokio::spawn(write_all(chain, received));
        Writer(orders)
    }

    /// Writes a record and answers its number once it is on the disk.
    pub(super) async fn write(
        &self,
        entry: Entry,
        at: OffsetDateTime,
        kept: Option<Kept>,
    ) -> Result<u64, AuditError> {
        let record = Record { entry, at, kept };
        self.order(|done| Order::Record(Box::new(Job { what: record, done }))).await
    }

    /// Takes a key.
    pub(super) async fn take(&self, take: Take) -> Result<Taken, AuditError> {
        self.order(|done| Order::Take(Box::new(Job { what: take, done }))).await
    }

    async fn order<A>(
        &self,
        order: impl FnOnce(oneshot::Sender<Result<A, AuditError>>) -> Order,
    ) -> Result<A, AuditError> {
        let (done, written) = oneshot::channel();
        self.0.send(order(done)).await.map_err(|_| AuditError::Closed)?;
        written.await.map_err(|_| AuditError::Closed)?
    }

    /// Waits until everything is written that was handed over before.
    pub(super) async fn finish(self) {
        let (done, finished) = oneshot::channel();
        if self.0.send(Order::Finish(done)).await.is_ok() {
            let _ = finished.await;
        }
    }
}

async fn write_all(chain: Chain, mut orders: mpsc::Receiver<Order>) {
    while let Some(first) = orders.recv().await {
        let (mut group, mut finish) = (Vec::new(), None);
        let mut next = Some(first);
        while let Some(order) = next {
            match order {
                Order::Finish(done) => finish = Some(done),
                order => group.push(order),
            }
            let room = group.len() < TOGETHER && finish.is_none();
            next = if room { orders.try_recv().ok() } else { None };
        }
        write(&chain, group).await;
        if let Some(done) = finish {
            let _ = done.send(());
            return;
        }
    }
}

/// Writes a group, and its orders one by one if that fails: one that cannot be written must not take others along.
async fn write(chain: &Chain, group: Vec<Order>) {
    match together(chain, &group).await {
        Ok(outcomes) => {
            group.into_iter().zip(outcomes).for_each(|(order, outcome)| order.answer(Ok(outcome)))
        }
        Err(_) if group.len() > 1 => {
            for order in group {
                let outcomes = together(chain, std::slice::from_ref(&order)).await;
                order.answer(
                    outcomes.and_then(|outcomes| outcomes.into_iter().next().ok_or(AuditError::Closed)),
                );
            }
        }
        Err(error) => {
            if let Some(order) = group.into_iter().next() {
                order.answer(Err(error));
            }
        }
    }
}

/// Everything or nothing. Keys are taken first: nobody has a record of a key in the same group that takes it.
async fn together(chain: &Chain, group: &[Order]) -> Result<Vec<Outcome>, AuditError> {
    let mut transaction = chain.database.pool.begin().await?;
    let takes: Vec<&Take> = group.iter().filter_map(Order::to_take).collect();
    let mut taken = Vec::new().into_iter();
    if !takes.is_empty() {
        taken = Take::carry_out_all(&mut transaction, &takes).await?.into_iter();
    }
    let records: Vec<&Record> = group.iter().filter_map(Order::to_record).collect();
    let mut number = 0;
    if !records.is_empty() {
        number = append(chain, &mut transaction, &records).await?;
    }
    transaction.commit().await?;
    let mut next = || {
        number += 1;
        number - 1
    };
    let outcomes = group.iter().filter_map(|order| match order {
        Order::Record(_) => Some(Outcome::Recorded(next())),
        Order::Take(_) => taken.next().map(Outcome::Taken),
        Order::Finish(_) => None,
    });
    Ok(outcomes.collect())
}

/// Appends records with the answers that their keys keep; answers the first number.
async fn append(
    chain: &Chain,
    transaction: &mut Transaction<'static, Any>,
    records: &[&Record],
) -> Result<u64, AuditError> {
    let entries: Vec<_> = records.iter().map(|record| (&record.entry, record.at)).collect();
    let first = chain.append_all(transaction, &entries).await?;
    let answers: Vec<_> = (first..)
        .zip(records)
        .filter_map(|(number, record)| {
            let kept = record.kept.as_ref()?;
            Some((kept.entered.key.as_str(), (kept.answer)(number)))
        })
        .collect();
    if !answers.is_empty() {
        keep_all(&mut *transaction, &answers).await?;
    }
    Ok(first)
}

impl Order {
    fn to_take(&self) -> Option<&Take> {
        match self {
            Order::Take(job) => Some(&job.what),
            Order::Record(_) | Order::Finish(_) => None,
        }
    }

    fn to_record(&self) -> Option<&Record> {
        match self {
            Order::Record(job) => Some(&job.what),
            Order::Take(_) | Order::Finish(_) => None,
        }
    }

    /// A caller who is gone is not told.
    fn answer(self, outcome: Result<Outcome, AuditError>) {
        match self {
            Order::Record(job) => {
                // Before the answer, so that whoever gets it finds the key free.
                drop(job.what);
                let number = outcome.and_then(|outcome| match outcome {
                    Outcome::Recorded(number) => Ok(number),
                    Outcome::Taken(_) => Err(AuditError::Closed),
                });
                let _ = job.done.send(number);
            }
            Order::Take(job) => {
                let taken = outcome.and_then(|outcome| match outcome {
                    Outcome::Taken(taken) => Ok(taken),
                    Outcome::Recorded(_) => Err(AuditError::Closed),
                });
                let _ = job.done.send(taken);
            }
            Order::Finish(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{AuditTrail, Line, results::Taken};

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    async fn open(folder: &tempfile::TempDir) -> AuditTrail {
        let path = folder.path().join("audit.db");
        AuditTrail::open(&path.clone().into(), &path.with_extension("key")).await.unwrap()
    }

    fn entry() -> Entry {
        Entry::new("r-1".into(), "SignPrescription")
    }

    #[tokio::test]
    async fn records_that_come_at_once_share_transactions_and_make_one_chain() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(&folder).await;
        let writers: Vec<_> = (0..200)
            .map(|_| {
                tokio::spawn({
                    let trail = trail.clone();
                    async move { trail.record(&entry(), NOW).await }
                })
            })
            .collect();
        let mut numbers = Vec::new();
        for writer in writers {
            numbers.push(writer.await.unwrap().unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=200).collect::<Vec<u64>>());
        let mut previous = super::super::record::BEGINNING.to_owned();
        for line in trail.lines(NOW).await.unwrap() {
            if let Line::Record(record) = line {
                assert_eq!(record.hash_after(&previous), record.hash);
                previous = record.hash;
            }
        }
    }

    #[tokio::test]
    async fn one_record_that_cannot_be_written_takes_no_other_along() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(&folder).await;
        // This key was never taken: its answer has no place.
        let stray = trail.claim("stray").await.unwrap().unwrap();
        let mut taken = trail.claim("taken").await.unwrap().unwrap();
        assert_eq!(trail.take_key(&mut taken, &[1; 32], NOW).await.unwrap(), Taken::New);
        let (entry, answer) = (entry(), |number: u64| number.to_be_bytes().to_vec());
        let (first, second, third, fourth) = tokio::join!(
            trail.record(&entry, NOW),
            trail.record_answer(&entry, NOW, stray, answer),
            trail.record_answer(&entry, NOW, taken, answer),
            trail.record(&entry, NOW),
        );
        assert!(matches!(second, Err(AuditError::Answer)));
        let mut numbers = [first.unwrap(), third.unwrap(), fourth.unwrap()];
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3], "no gap, and no record without its answer");
    }

    #[tokio::test]
    async fn what_was_handed_over_is_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(&folder).await;
        let other = trail.clone();
        let writing = tokio::spawn(async move { other.record(&entry(), NOW).await });
        tokio::task::yield_now().await;
        trail.clone().close().await;
        assert_eq!(writing.await.unwrap().unwrap(), 1);
        assert!(matches!(trail.record(&entry(), NOW).await, Err(AuditError::Closed)));
    }
}
