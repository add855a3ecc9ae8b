//! Answers for callers who ask again: one key of the caller, one document, one signature.
//!
//! A key is taken before the card is used and keeps its answer in the transaction that writes the audit record. So
//! whatever happens in between - the answer is lost, the power fails, the process is killed - a key has either an
//! answer that is recorded, or none that anybody got. Documents are not kept: who asks again sends it again.

use std::{collections::HashSet, sync::atomic::Ordering};

use base64::{Engine, prelude::BASE64_STANDARD};
use sqlx::{AnyConnection, Row};
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AuditError, AuditTrail, Claim, Entry, writer::Kept};
use crate::database::places;

/// How long answers are kept: longer than anybody repeats a call.
const KEPT: Duration = Duration::days(30);
/// How often those that are older are cleared away: looking for them reads the whole table.
const CLEANING: Duration = Duration::hours(1);

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is new and now belongs to this document.
    New,
    /// It belongs to this document, but an earlier attempt did not come to an end: nothing was handed out.
    Interrupted,
    /// This answer was given to it.
    Answered(Vec<u8>),
    /// It belongs to another document.
    OtherDocument,
}

impl AuditTrail {
    /// Takes a claimed key for a document.
    ///
    /// # Errors
    /// The database.
    pub async fn take_key(
        &self,
        claim: &mut Claim,
        document_sha256: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Taken, AuditError> {
        let take = Take {
            key: claim.entered.key.clone(),
            document: hex::encode(document_sha256),
            now: now.format(&Rfc3339)?,
            oldest: (now - KEPT).format(&Rfc3339)?,
            clean: self.cleaning_is_due(now),
        };
        if let Some(writer) = &self.writer {
            return writer.take(take).await;
        }
        let mut transaction = self.chain.database.pool.begin().await?;
        let taken = Take::carry_out_all(&mut transaction, &[&take]).await?.pop();
        transaction.commit().await?;
        taken.ok_or(AuditError::Answer)
    }

    /// Writes a record and, in the same transaction, the answer of a claimed key. `answer` gets the record's number.
    ///
    /// # Errors
    /// The database; then neither is written.
    pub async fn record_answer(
        &self,
        entry: &Entry,
        at: OffsetDateTime,
        mut claim: Claim,
        answer: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
    ) -> Result<u64, AuditError> {
        if let Some(writer) = &self.writer {
            let kept = Kept { entered: claim.entered, answer: Box::new(answer) };
            return writer.write(entry.clone(), at, Some(kept)).await;
        }
        let mut transaction = match claim.held.take() {
            Some(held) => held,
            None => self.chain.database.pool.begin().await?,
        };
        let sequence = self.chain.append(&mut transaction, entry, at).await?;
        keep_all(&mut transaction, &[(&claim.entered.key, answer(sequence))]).await?;
        transaction.commit().await?;
        Ok(sequence)
    }

    fn cleaning_is_due(&self, now: OffsetDateTime) -> bool {
        let (now, every) = (now.unix_timestamp(), CLEANING.whole_seconds());
        let next = |last: i64| (now >= last.saturating_add(every)).then_some(now);
        self.cleaned_at.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    /// How many keys with this beginning have answers.
    ///
    /// # Errors
    /// The database.
    pub async fn count_keys(&self, beginning: &str) -> Result<u32, AuditError> {
        let pool = &self.chain.database.pool;
        let row = if self.chain.database.is_shared() {
            // Its order of texts is that of a language, so that a beginning is no range of the index.
            let statement = "SELECT COUNT(*) FROM result WHERE answer IS NOT NULL \
                 AND substr(idempotency_key, 1, CAST($1 AS INTEGER)) = $2";
            let characters = i64::try_from(beginning.chars().count()).unwrap_or(i64::MAX);
            sqlx::query(statement).bind(characters).bind(beginning).fetch_one(pool).await?
        } else {
            // By the index: a look at every answer would keep all others waiting. What follows a beginning is a document's
            // number, and so below DEL.
            let statement = "SELECT COUNT(*) FROM result WHERE idempotency_key >= $1 AND idempotency_key < $2 \
                 AND answer IS NOT NULL";
            sqlx::query(statement).bind(beginning).bind(format!("{beginning}\u{7f}")).fetch_one(pool).await?
        };
        Ok(u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX))
    }

    /// Gives a key free that got no answer.
    ///
    /// # Errors
    /// The database; the key then stays with its document.
    pub async fn release_key(&self, claim: Claim) -> Result<(), AuditError> {
        sqlx::query("DELETE FROM result WHERE idempotency_key = $1 AND answer IS NULL")
            .bind(&claim.entered.key)
            .execute(&self.chain.database.pool)
            .await?;
        Ok(())
    }
}

/// A key that is to be taken for a document.
pub(super) struct Take {
    key: String,
    document: String,
    now: String,
    /// Whatever was begun before this is forgotten.
    oldest: String,
    clean: bool,
}

impl Take {
    /// Takes keys. Those that nobody took before are taken by one statement.
    pub(super) async fn carry_out_all(
        connection: &mut AnyConnection,
        takes: &[&Take],
    ) -> Result<Vec<Taken>, AuditError> {
        if let Some(take) = takes.iter().find(|take| take.clean) {
            let forget = sqlx::query("DELETE FROM result WHERE begun_at < $1").bind(&take.oldest);
            forget.execute(&mut *connection).await?;
        }
        let mut new = insert(&mut *connection, takes).await?;
        let mut taken = Vec::with_capacity(takes.len());
        for take in takes {
            taken.push(if new.remove(&take.key) {
                Taken::New
            } else {
                take.look_up(&mut *connection).await?
            });
        }
        Ok(taken)
    }

    /// What became of a key that was taken before.
    async fn look_up(&self, connection: &mut AnyConnection) -> Result<Taken, AuditError> {
        let Take { key, document, now, oldest, .. } = self;
        let known =
            sqlx::query("SELECT document_sha256, answer, begun_at FROM result WHERE idempotency_key = $1");
        let row = known.bind(key).fetch_one(&mut *connection).await?;
        if row.try_get::<String, _>(2)? < *oldest {
            let again = "UPDATE result SET document_sha256 = $1, begun_at = $2, answer = NULL \
                 WHERE idempotency_key = $3";
            let again = sqlx::query(again).bind(document).bind(now).bind(key);
            again.execute(connection).await?;
            return Ok(Taken::New);
        }
        if row.try_get::<String, _>(0)? != *document {
            return Ok(Taken::OtherDocument);
        }
        let Some(answer) = row.try_get::<Option<String>, _>(1)? else { return Ok(Taken::Interrupted) };
        Ok(Taken::Answered(BASE64_STANDARD.decode(answer).map_err(|_| AuditError::Answer)?))
    }
}

/// Takes those keys that are new and answers which these were.
async fn insert(connection: &mut AnyConnection, takes: &[&Take]) -> Result<HashSet<String>, AuditError> {
    let statement = format!(
        "INSERT INTO result (idempotency_key, document_sha256, begun_at) VALUES {} \
         ON CONFLICT (idempotency_key) DO NOTHING RETURNING idempotency_key",
        places(takes.len(), 3)
    );
    let mut insert = sqlx::query(sqlx::AssertSqlSafe(statement));
    for take in takes {
        insert = insert.bind(&take.key).bind(&take.document).bind(&take.now);
    }
    let rows = insert.fetch_all(connection).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Keeps the answers of keys that have none yet.
pub(super) async fn keep_all(
    connection: &mut AnyConnection,
    answers: &[(&str, Vec<u8>)],
) -> Result<(), AuditError> {
    // Both databases call the columns of VALUES so.
    let statement = format!(
        "UPDATE result SET answer = new.column2 FROM (VALUES {}) AS new \
         WHERE idempotency_key = new.column1 AND answer IS NULL",
        places(answers.len(), 2)
    );
    let mut keep = sqlx::query(sqlx::AssertSqlSafe(statement));
    for (key, answer) in answers {
        keep = keep.bind(*key).bind(BASE64_STANDARD.encode(answer));
    }
    let kept = keep.execute(connection).await?.rows_affected();
    if usize::try_from(kept).is_ok_and(|kept| kept == answers.len()) {
        Ok(())
    } else {
        Err(AuditError::Answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
    const DOCUMENT: [u8; 32] = [7; 32];

    async fn trail(folder: &tempfile::TempDir) -> AuditTrail {
        let path = folder.path().join("audit.db");
        AuditTrail::open(&path.clone().into(), &path.with_extension("key")).await.unwrap()
    }

    fn entry() -> Entry {
        Entry::new("r-1".into(), "SignPrescription")
    }

    async fn claim(trail: &AuditTrail) -> Claim {
        trail.claim("k").await.unwrap().expect("nobody works with the key")
    }

    async fn take(trail: &AuditTrail, document: &[u8; 32], now: OffsetDateTime) -> Taken {
        trail.take_key(&mut claim(trail).await, document, now).await.unwrap()
    }

    #[tokio::test]
    async fn a_key_has_one_document_and_one_answer() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        assert_eq!(take(&trail, &DOCUMENT, NOW).await, Taken::New);
        assert_eq!(take(&trail, &DOCUMENT, NOW).await, Taken::Interrupted);
        assert_eq!(take(&trail, &[8; 32], NOW).await, Taken::OtherDocument);
        let answer = |sequence: u64| format!("answer {sequence}").into_bytes();
        assert_eq!(trail.record_answer(&entry(), NOW, claim(&trail).await, answer).await.unwrap(), 1);
        let known = Taken::Answered(b"answer 1".to_vec());
        assert_eq!(take(&trail, &DOCUMENT, NOW).await, known);
        assert_eq!(take(&trail, &[8; 32], NOW).await, Taken::OtherDocument);
        // A second answer would be a second signature: neither it nor its record is written.
        assert!(trail.record_answer(&entry(), NOW, claim(&trail).await, answer).await.is_err());
        assert_eq!(trail.record(&entry(), NOW).await.unwrap(), 2);
        trail.release_key(claim(&trail).await).await.unwrap();
        assert_eq!(take(&trail, &DOCUMENT, NOW).await, known);
    }

    #[tokio::test]
    async fn a_key_without_answer_is_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        take(&trail, &DOCUMENT, NOW).await;
        trail.release_key(claim(&trail).await).await.unwrap();
        assert_eq!(take(&trail, &[8; 32], NOW).await, Taken::New);
    }

    #[tokio::test]
    async fn keys_with_answers_are_counted_by_their_beginning() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        for (key, answered) in
            [("b/1", true), ("b/20", true), ("b/3", false), ("b0", true), ("a/1", true), ("b", true)]
        {
            let mut claim = trail.claim(key).await.unwrap().unwrap();
            trail.take_key(&mut claim, &DOCUMENT, NOW).await.unwrap();
            if answered {
                trail.record_answer(&entry(), NOW, claim, |_| Vec::new()).await.unwrap();
            }
        }
        assert_eq!(trail.count_keys("b/").await.unwrap(), 2);
        assert_eq!(trail.count_keys("c/").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_key_is_at_work_once() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        let held = claim(&trail).await;
        assert!(trail.claim("k").await.unwrap().is_none());
        assert!(trail.claim("other").await.unwrap().is_some());
        drop(held);
        claim(&trail).await;
    }

    #[tokio::test]
    async fn answers_are_forgotten_after_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        take(&trail, &DOCUMENT, NOW).await;
        trail.record_answer(&entry(), NOW, claim(&trail).await, |_| Vec::new()).await.unwrap();
        let later = NOW + KEPT + Duration::SECOND;
        assert_eq!(take(&trail, &[8; 32], later).await, Taken::New);
    }
}
