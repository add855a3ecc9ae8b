//! The audit trail: one record for each attempt to use a key, written before its result is handed out.
//!
//! Records name keys by certificate, documents by hash, cards and patients by keyed pseudonyms; no PIN, no card number
//! (gemSpec_Kon, TIP1-A_4710). Each carries a hash over itself and the one before ([`record`]); checkpoints sign the
//! newest hash ([`checkpoint`]); an export is checked without the service ([`export`]). Nodes that share a database have a
//! chain each.

pub mod cases;
mod chain;
pub mod checkpoint;
mod claims;
pub mod command;
pub mod export;
pub mod pseudonym;
pub mod record;
pub mod results;
mod user_ids;
mod writer;

use std::{
    path::Path,
    sync::{Arc, atomic::AtomicI64},
};

use thiserror::Error;
use time::OffsetDateTime;

pub use checkpoint::{Checkpoint, CheckpointKey, CheckpointVerifier};
pub use claims::{Claim, KeysUnder};
pub use export::Line;
pub use record::Record;

use chain::Chain;
use writer::Writer;

use crate::{
    certificate::Certificate,
    database::{Database, DatabaseError, Location},
    key_file::KeyError,
};

/// An open audit trail.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    chain: Chain,
    at_work: claims::AtWork,
    /// None where other nodes write, too, or nobody does.
    writer: Option<Writer>,
    /// When answers that are too old were cleared away last, in seconds since 1970.
    cleaned_at: Arc<AtomicI64>,
}

/// What is recorded of one attempt.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Identifier of the request.
    pub request_id: String,
    /// Name of the call.
    pub operation: &'static str,
    /// `OK` or the reason of the refusal.
    pub outcome: String,
    /// Issuer of the certificate that was used.
    pub certificate_issuer: Option<String>,
    /// Serial number of the certificate that was used.
    pub certificate_serial: Option<String>,
    /// SHA-256 of the document.
    pub document_sha256: Option<[u8; 32]>,
    /// How the insurance card was checked.
    pub remark: Option<String>,
    /// Keyed pseudonym of the patient.
    pub patient: Option<String>,
    /// Keyed pseudonym of the card.
    pub card: Option<String>,
}

/// Why the trail cannot be opened or written.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] DatabaseError),
    /// The database failed.
    #[error("audit database: {0}")]
    Database(#[from] sqlx::Error),
    /// The clock is beyond what the format can say.
    #[error("audit time: {0}")]
    Time(#[from] time::error::Format),
    /// The key for checkpoints.
    #[error("audit.checkpoint_key: {0}")]
    Key(#[from] KeyError),
    /// A kept answer cannot be read.
    #[error("a kept answer is damaged")]
    Answer,
    /// A kept case of emergency access cannot be read.
    #[error("a kept case of emergency access is damaged")]
    Case,
    /// The service ends.
    #[error("the audit trail was closed")]
    Closed,
}

impl Entry {
    /// A success of an operation, to be completed.
    pub fn new(request_id: String, operation: &'static str) -> Entry {
        Entry {
            request_id,
            operation,
            outcome: "OK".to_owned(),
            certificate_issuer: None,
            certificate_serial: None,
            document_sha256: None,
            remark: None,
            patient: None,
            card: None,
        }
    }

    /// Adds which certificate was used.
    pub fn name_certificate(&mut self, certificate: &Certificate) {
        self.certificate_issuer = Some(certificate.issuer.clone());
        self.certificate_serial = Some(certificate.serial.clone());
    }
}

impl AuditTrail {
    /// Opens or creates the database and brings its tables up to date.
    ///
    /// # Errors
    /// The database, tables made by a later version, or the key for checkpoints.
    pub async fn open(location: &Location, checkpoint_key: &Path) -> Result<AuditTrail, AuditError> {
        let key = CheckpointKey::open(checkpoint_key)?;
        let mut trail = AuditTrail::new(Database::open(location).await?, key);
        if !trail.chain.database.is_shared() {
            trail.chain.adopt_old_records().await?;
            trail.writer = Some(Writer::start(trail.chain.clone()));
        }
        Ok(trail)
    }

    /// Opens an existing database for reading only; the service may be running on it.
    ///
    /// # Errors
    /// The database, or the key for checkpoints.
    pub async fn open_to_read(location: &Location, checkpoint_key: &Path) -> Result<AuditTrail, AuditError> {
        std::fs::metadata(checkpoint_key)
            .map_err(|source| KeyError::File { path: checkpoint_key.display().to_string(), source })?;
        let key = CheckpointKey::open(checkpoint_key)?;
        Ok(AuditTrail::new(Database::open_to_read(location).await?, key))
    }

    fn new(database: Database, key: CheckpointKey) -> AuditTrail {
        let chain = Chain { database, node: key.name(), key };
        let cleaned_at = Arc::new(AtomicI64::new(i64::MIN));
        AuditTrail { chain, at_work: claims::AtWork::default(), writer: None, cleaned_at }
    }

    /// Writes one record and answers its number. When this returns, the record is on the disk.
    ///
    /// # Errors
    /// The database; then nothing was written.
    pub async fn record(&self, entry: &Entry, at: OffsetDateTime) -> Result<u64, AuditError> {
        if let Some(writer) = &self.writer {
            return writer.write(entry.clone(), at, None).await;
        }
        let mut transaction = self.chain.database.pool.begin().await?;
        let sequence = self.chain.append(&mut transaction, entry, at).await?;
        transaction.commit().await?;
        Ok(sequence)
    }

    /// All records and checkpoints of this node in order, and a fresh checkpoint over the last record.
    ///
    /// # Errors
    /// The database.
    pub async fn lines(&self, at: OffsetDateTime) -> Result<Vec<Line>, AuditError> {
        self.chain.lines(at).await
    }

    /// Waits for running writes and closes the database.
    pub async fn close(self) {
        if let Some(writer) = self.writer {
            writer.finish().await;
        }
        self.chain.database.close().await;
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};

    use sqlx::Row;

    use super::{chain::CHECKPOINT_EVERY, *};

    async fn open(path: &Path) -> Result<AuditTrail, AuditError> {
        AuditTrail::open(&path.to_owned().into(), &path.with_extension("key")).await
    }

    fn entry(outcome: &str) -> Entry {
        Entry {
            outcome: outcome.into(),
            certificate_issuer: Some("CN=CA".into()),
            certificate_serial: Some("01ab".into()),
            document_sha256: Some([0xAB; 32]),
            remark: Some("insurance card: compared".into()),
            ..Entry::new("r-1".into(), "SignPrescription")
        }
    }

    #[tokio::test]
    async fn rows_are_numbered_from_one_and_survive_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = open(&path).await.unwrap();
        assert_eq!(trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 1);
        trail.close().await;
        let trail = open(&path).await.unwrap();
        assert_eq!(trail.record(&entry("PIN_WRONG"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 2);
        let row = sqlx::query("SELECT recorded_at, outcome, document_sha256 FROM audit WHERE sequence = $1")
            .bind(1i64)
            .fetch_one(&trail.chain.database.pool)
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>(0), "1970-01-01T00:00:00Z");
        assert_eq!(row.get::<String, _>(1), "OK");
        assert_eq!(row.get::<String, _>(2), "ab".repeat(32));
    }

    #[tokio::test]
    async fn concurrent_writers_leave_no_gap() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(&folder.path().join("audit.db")).await.unwrap();
        let writers: Vec<_> = (0..20)
            .map(|_| {
                let trail = trail.clone();
                tokio::spawn(
                    async move { trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap() },
                )
            })
            .collect();
        let mut numbers = Vec::new();
        for writer in writers {
            numbers.push(writer.await.unwrap());
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=20).collect::<Vec<u64>>());
    }

    #[tokio::test]
    async fn the_database_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        open(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_trail_that_cannot_be_written_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(&folder.path().join("audit.db")).await.unwrap();
        sqlx::query("DROP TABLE audit").execute(&trail.chain.database.pool).await.unwrap();
        let error = trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap_err();
        assert!(matches!(error, AuditError::Database(_)), "{error}");
    }

    #[tokio::test]
    async fn a_row_that_fails_at_its_commit_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let trail = open(&folder.path().join("audit.db")).await.unwrap();
        // Stands for a full disk: the row is made, and its commit fails.
        for statement in [
            "CREATE TABLE disk (page INTEGER PRIMARY KEY)",
            "CREATE TABLE used (page INTEGER REFERENCES disk (page) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER fill AFTER INSERT ON audit BEGIN INSERT INTO used VALUES (1); END",
        ] {
            sqlx::query(statement).execute(&trail.chain.database.pool).await.unwrap();
        }
        for _ in 0..2 {
            let error = trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap_err();
            assert!(matches!(error, AuditError::Database(_)), "{error}");
        }
        sqlx::query("INSERT INTO disk VALUES (1)").execute(&trail.chain.database.pool).await.unwrap();
        assert_eq!(trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        std::fs::write(&path, "something else entirely, long enough for a header of a database file")
            .unwrap();
        let error = open(&path).await.unwrap_err();
        assert!(error.to_string().contains("audit.db"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            AuditTrail::open(&PathBuf::from("/nowhere/audit.db").into(), &folder.path().join("audit.key"))
                .await
                .unwrap_err();
        assert!(error.to_string().contains("/nowhere/audit.db"), "{error}");
    }

    async fn exported(trail: &AuditTrail) -> String {
        let lines = trail.lines(OffsetDateTime::UNIX_EPOCH).await.unwrap();
        lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect()
    }

    #[tokio::test]
    async fn an_export_verifies_until_a_row_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = open(&path).await.unwrap();
        // A hundred times waiting for the disk would show nothing.
        sqlx::query("PRAGMA synchronous = OFF").execute(&trail.chain.database.pool).await.unwrap();
        for _ in 0..CHECKPOINT_EVERY + 3 {
            trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap();
        }
        let key = CheckpointVerifier::open(&path.with_extension("pub")).unwrap();
        let verified = export::verify(exported(&trail).await.as_bytes(), &key, None).unwrap();
        assert_eq!((verified.records, verified.checkpoints), (CHECKPOINT_EVERY + 3, 2));
        let reader =
            AuditTrail::open_to_read(&path.clone().into(), &path.with_extension("key")).await.unwrap();
        assert!(reader.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.is_err());
        sqlx::query("UPDATE audit SET outcome = 'PIN_WRONG' WHERE sequence = 7")
            .execute(&trail.chain.database.pool)
            .await
            .unwrap();
        let fault = export::verify(exported(&reader).await.as_bytes(), &key, None).unwrap_err();
        assert!(matches!(fault, export::Fault::Changed { sequence: 7 }), "{fault}");
    }

    #[tokio::test]
    async fn records_that_name_a_card_follow_those_that_do_not_and_no_card_can_be_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = open(&path).await.unwrap();
        for card in [None, Some("key:name".to_owned()), None] {
            trail.record(&Entry { card, ..entry("OK") }, OffsetDateTime::UNIX_EPOCH).await.unwrap();
        }
        let key = CheckpointVerifier::open(&path.with_extension("pub")).unwrap();
        let before = exported(&trail).await;
        assert_eq!(export::verify(before.as_bytes(), &key, None).unwrap().records, 3);
        assert_eq!(before.matches("\"card\"").count(), 1, "{before}");
        for (changed, sequence) in [("'key:other' WHERE sequence = 2", 2), ("NULL", 2), ("'key:name'", 1)] {
            let change = format!("UPDATE audit SET card = {changed}");
            sqlx::query(sqlx::AssertSqlSafe(change)).execute(&trail.chain.database.pool).await.unwrap();
            let fault = export::verify(exported(&trail).await.as_bytes(), &key, None).unwrap_err();
            assert!(matches!(fault, export::Fault::Changed { sequence: n } if n == sequence), "{fault}");
        }
    }

    #[tokio::test]
    async fn rows_of_earlier_versions_get_their_node_and_their_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = open(&path).await.unwrap();
        for _ in 0..3 {
            trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap();
        }
        let before = exported(&trail).await;
        sqlx::query("UPDATE audit SET hash = NULL, node = ''")
            .execute(&trail.chain.database.pool)
            .await
            .unwrap();
        trail.close().await;
        let trail = open(&path).await.unwrap();
        let records = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.contains("\"record\"")).map(str::to_owned).collect()
        };
        assert_eq!(records(&exported(&trail).await), records(&before));
        assert_eq!(trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 4);
    }
}
