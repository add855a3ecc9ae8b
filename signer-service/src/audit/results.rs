//! Answers for callers who ask again: one key of the caller, one document, one signature.
//!
//! A key is taken before the card is used and keeps its answer in the transaction that writes the audit record. So
//! whatever happens in between - the answer is lost, the power fails, the process is killed - a key has either an
//! answer that is recorded, or none that anybody got. Documents are not kept: who asks again sends it again.

use base64::{Engine, prelude::BASE64_STANDARD};
use sqlx::Row;
use time::{Duration, OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AuditError, AuditTrail, Entry};

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
    /// Takes a key for a document.
    ///
    /// # Errors
    /// The database.
    pub async fn take_key(
        &self,
        key: &str,
        document_sha256: &[u8; 32],
        now: OffsetDateTime,
    ) -> Result<Taken, AuditError> {
        let document = hex::encode(document_sha256);
        let mut transaction = self.pool.begin().await?;
        sqlx::query("DELETE FROM result WHERE begun_at < $1")
            .bind((now - KEPT).format(&Rfc3339)?)
            .execute(&mut *transaction)
            .await?;
        let row = sqlx::query("SELECT document_sha256, answer FROM result WHERE idempotency_key = $1")
            .bind(key)
            .fetch_optional(&mut *transaction)
            .await?;
        let taken = match row {
            None => {
                sqlx::query(
                    "INSERT INTO result (idempotency_key, document_sha256, begun_at) VALUES ($1, $2, $3)",
                )
                .bind(key)
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

    /// Writes a record and, in the same transaction, the answer of a key. `answer` gets the record's number.
    ///
    /// # Errors
    /// The database; then neither is written.
    pub async fn record_answer(
        &self,
        entry: &Entry,
        at: OffsetDateTime,
        key: &str,
        answer: impl FnOnce(u64) -> Vec<u8> + Send,
    ) -> Result<u64, AuditError> {
        let mut transaction = self.pool.begin().await?;
        let sequence = self.append(&mut transaction, entry, at).await?;
        let kept = sqlx::query("UPDATE result SET answer = $1 WHERE idempotency_key = $2 AND answer IS NULL")
            .bind(BASE64_STANDARD.encode(answer(sequence)))
            .bind(key)
            .execute(&mut *transaction)
            .await?;
        if kept.rows_affected() != 1 {
            return Err(AuditError::Answer);
        }
        transaction.commit().await?;
        Ok(sequence)
    }

    /// Gives a key free that got no answer.
    ///
    /// # Errors
    /// The database; the key then stays with its document.
    pub async fn release_key(&self, key: &str) -> Result<(), AuditError> {
        sqlx::query("DELETE FROM result WHERE idempotency_key = $1 AND answer IS NULL")
            .bind(key)
            .execute(&self.pool)
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
        AuditTrail::open(&path, &path.with_extension("key")).await.unwrap()
    }

    fn entry() -> Entry {
        Entry::new("r-1".into(), "SignPrescription")
    }

    #[tokio::test]
    async fn a_key_has_one_document_and_one_answer() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        assert_eq!(trail.take_key("k", &DOCUMENT, NOW).await.unwrap(), Taken::New);
        assert_eq!(trail.take_key("k", &DOCUMENT, NOW).await.unwrap(), Taken::Interrupted);
        assert_eq!(trail.take_key("k", &[8; 32], NOW).await.unwrap(), Taken::OtherDocument);
        let answer = |sequence: u64| format!("answer {sequence}").into_bytes();
        assert_eq!(trail.record_answer(&entry(), NOW, "k", answer).await.unwrap(), 1);
        let known = Taken::Answered(b"answer 1".to_vec());
        assert_eq!(trail.take_key("k", &DOCUMENT, NOW).await.unwrap(), known);
        assert_eq!(trail.take_key("k", &[8; 32], NOW).await.unwrap(), Taken::OtherDocument);
        // A second answer would be a second signature: neither it nor its record is written.
        assert!(trail.record_answer(&entry(), NOW, "k", answer).await.is_err());
        assert_eq!(trail.record(&entry(), NOW).await.unwrap(), 2);
        trail.release_key("k").await.unwrap();
        assert_eq!(trail.take_key("k", &DOCUMENT, NOW).await.unwrap(), known);
    }

    #[tokio::test]
    async fn a_key_without_answer_is_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        trail.take_key("k", &DOCUMENT, NOW).await.unwrap();
        trail.release_key("k").await.unwrap();
        assert_eq!(trail.take_key("k", &[8; 32], NOW).await.unwrap(), Taken::New);
    }

    #[tokio::test]
    async fn answers_are_forgotten_after_their_time() {
        let folder = tempfile::tempdir().unwrap();
        let trail = trail(&folder).await;
        trail.take_key("k", &DOCUMENT, NOW).await.unwrap();
        trail.record_answer(&entry(), NOW, "k", |_| Vec::new()).await.unwrap();
        let later = NOW + KEPT + Duration::SECOND;
        assert_eq!(trail.take_key("k", &[8; 32], later).await.unwrap(), Taken::New);
    }
}
