//! Answers for callers who ask again: one key of the caller, one document, one signature.
//!
//! A key is taken before the card is used and keeps its answer in the transaction that writes the audit record. So
//! whatever happens in between - the answer is lost, the power fails, the process is killed - a key has either an
//! answer that is recorded, or none that anybody got. Documents are not kept: who asks again sends it again.

use base64::{Engine, prelude::BASE64_STANDARD};
use sqlx::Row;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AuditError, AuditTrail, Claim, Entry};

/// How long answers are kept: longer than anybody repeats a call.
const KEPT: Duration = Duration::days(30);

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
        let document = hex::encode(document_sha256);
        let mut transaction = self.database.pool.begin().await?;
        sqlx::query("DELETE FROM result WHERE begun_at < $1")
            .bind((now - KEPT).format(&Rfc3339)?)
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT document_sha256, answer FROM result WHERE idempotency_key = $1")
            .bind(&claim.key)
            .fetch_optional(&mut *transaction)
            .await?;
        let taken = match row {
            None => {
                sqlx::query(
                    "INSERT INTO result (idempotency_key, document_sha256, begun_at) VALUES ($1, $2, $3)",
                )
                .bind(&claim.key)
                .bind(&document)
                .bind(now.format(&Rfc3339)?)
                .execute(&mut *transaction)
                .await?;
                Taken::New
            }
            Some(row) if row.try_get::<String, _>(0)? != document => Taken::OtherDocument,
            Some(row) => match row.try_get::<Option<String>, _>(1)? {
                None => Taken::Interrupted,
                Some(answer) => {
                    Taken::Answered(BASE64_STANDARD.decode(answer).map_err(|_| AuditError::Answer)?)
                }
            },
        };
        transaction.commit().await?;
        Ok(taken)
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
        answer: impl FnOnce(u64) -> Vec<u8> + Send,
    ) -> Result<u64, AuditError> {
        let mut transaction = match claim.held.take() {
            Some(held) => held,
            None => self.database.pool.begin().await?,
        };
        let sequence = self.append(&mut transaction, entry, at).await?;
        let kept = sqlx::query("UPDATE result SET answer = $1 WHERE idempotency_key = $2 AND answer IS NULL")
            .bind(BASE64_STANDARD.encode(answer(sequence)))
            .bind(&claim.key)
            .execute(&mut *transaction)
            .await?;
        if kept.rows_affected() != 1 {
            return Err(AuditError::Answer);
        }
        transaction.commit().await?;
        Ok(sequence)
    }

    /// How many keys with this beginning have answers.
    ///
    /// # Errors
    /// The database.
    pub async fn count_keys(&self, beginning: &str) -> Result<u32, AuditError> {
        let statement =
            "SELECT COUNT(*) FROM result WHERE answer IS NOT NULL AND substr(idempotency_key, 1, $1) = $2";
        let characters = i64::try_from(beginning.chars().count()).unwrap_or(i64::MAX);
        let row =
            sqlx::query(statement).bind(characters).bind(beginning).fetch_one(&self.database.pool).await?;
        Ok(u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(u32::MAX))
    }

    /// Gives a key free that got no answer.
    ///
    /// # Errors
    /// The database; the key then stays with its document.
    pub async fn release_key(&self, claim: Claim) -> Result<(), AuditError> {
        sqlx::query("DELETE FROM result WHERE idempotency_key = $1 AND answer IS NULL")
            .bind(&claim.key)
            .execute(&self.database.pool)
            .await?;
        Ok(())
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
