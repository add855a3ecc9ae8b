//! The audit trail: one record for each attempt to use a key, written before its result is handed out.
//!
//! Records name cards by certificate, documents by hash, patients by a keyed pseudonym; no PIN, no card number
//! (gemSpec_Kon, TIP1-A_4710). Each carries a hash over itself and the one before ([`record`]); checkpoints sign the
//! newest hash ([`checkpoint`]); an export is checked without the service ([`export`]). Nodes that share a database have a
//! chain each.

pub mod cases;
pub mod checkpoint;
mod claims;
pub mod command;
pub mod export;
pub mod pseudonym;
pub mod record;
pub mod results;
mod user_ids;

use std::path::Path;

use sqlx::{Any, AnyConnection, Row, Transaction, any::AnyRow};
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub use checkpoint::{Checkpoint, CheckpointKey, CheckpointVerifier};
pub use claims::{Claim, KeysUnder};
pub use export::Line;
pub use record::Record;

use crate::{
    certificate::Certificate,
    database::{Database, DatabaseError, Location},
    key_file::KeyError,
};

const INSERT: &str = "INSERT INTO audit (node, sequence, recorded_at, request_id, operation, outcome, certificate_issuer, \
     certificate_serial, document_sha256, remark, patient, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const COLUMNS: &str = "sequence, recorded_at, request_id, operation, outcome, certificate_issuer, \
     certificate_serial, document_sha256, remark, patient, hash";
/// Records between two checkpoints that the service writes on its own.
const CHECKPOINT_EVERY: u64 = 100;

/// An open audit trail.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    database: Database,
    key: CheckpointKey,
    /// Whose chain this is.
    node: String,
    at_work: claims::AtWork,
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
        let trail = AuditTrail::new(Database::open(location).await?, key);
        if !trail.database.is_shared() {
            trail.adopt_old_records().await?;
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
        AuditTrail { database, node: key.name(), key, at_work: claims::AtWork::default() }
    }

    /// Writes one record and answers its number. When this returns, the record is on the disk.
    ///
    /// # Errors
    /// The database; then nothing was written.
    pub async fn record(&self, entry: &Entry, at: OffsetDateTime) -> Result<u64, AuditError> {
        let mut transaction = self.database.pool.begin().await?;
        let sequence = self.append(&mut transaction, entry, at).await?;
        transaction.commit().await?;
        Ok(sequence)
    }

    /// All records and checkpoints of this node in order, and a fresh checkpoint over the last record.
    ///
    /// # Errors
    /// The database.
    pub async fn lines(&self, at: OffsetDateTime) -> Result<Vec<Line>, AuditError> {
        let rows = format!("SELECT {COLUMNS} FROM audit WHERE node = $1 ORDER BY sequence");
        let rows = sqlx::query(sqlx::AssertSqlSafe(rows)).bind(&self.node);
        let rows = rows.fetch_all(&self.database.pool).await?;
        let checkpoints = "SELECT sequence, hash, made_at, signature FROM audit_checkpoint WHERE node = $1 \
             ORDER BY sequence";
        let checkpoints = sqlx::query(checkpoints).bind(&self.node);
        let checkpoints = checkpoints.fetch_all(&self.database.pool).await?;
        let mut checkpoints = checkpoints.iter().map(checkpoint_of).peekable();
        let mut lines = Vec::new();
        let mut last = None;
        for row in &rows {
            let record = record_of(row)?;
            last = Some((record.sequence, record.hash.clone()));
            let sequence = record.sequence;
            lines.push(Line::Record(record));
            let due = |next: &Result<Checkpoint, sqlx::Error>| {
                next.as_ref().is_ok_and(|next| next.sequence <= sequence) || next.is_err()
            };
            while let Some(checkpoint) = checkpoints.next_if(due) {
                lines.push(Line::Checkpoint(checkpoint?));
            }
        }
        if let Some((sequence, hash)) = last {
            lines.push(Line::Checkpoint(self.key.sign(sequence, &hash, at.format(&Rfc3339)?)));
        }
        Ok(lines)
    }

    async fn append(
        &self,
        transaction: &mut Transaction<'static, Any>,
        entry: &Entry,
        at: OffsetDateTime,
    ) -> Result<u64, AuditError> {
        if self.database.is_shared() {
            self.wait_for_turn(transaction).await?;
        }
        let (newest, previous) = self.newest(transaction).await?;
        let mut record = Record {
            sequence: newest + 1,
            recorded_at: at.format(&Rfc3339)?,
            request_id: entry.request_id.clone(),
            operation: entry.operation.to_owned(),
            outcome: entry.outcome.clone(),
            certificate_issuer: entry.certificate_issuer.clone(),
            certificate_serial: entry.certificate_serial.clone(),
            document_sha256: entry.document_sha256.map(hex::encode),
            remark: entry.remark.clone(),
            patient: entry.patient.clone(),
            hash: String::new(),
        };
        record.hash = record.hash_after(&previous);
        sqlx::query(INSERT)
            .bind(&self.node)
            .bind(signed(record.sequence))
            .bind(&record.recorded_at)
            .bind(&record.request_id)
            .bind(&record.operation)
            .bind(&record.outcome)
            .bind(&record.certificate_issuer)
            .bind(&record.certificate_serial)
            .bind(&record.document_sha256)
            .bind(&record.remark)
            .bind(&record.patient)
            .bind(&record.hash)
            .execute(&mut **transaction)
            .await?;
        if record.sequence.is_multiple_of(CHECKPOINT_EVERY) {
            self.add_checkpoint(transaction, record.sequence, &record.hash, record.recorded_at).await?;
        }
        Ok(record.sequence)
    }

    async fn add_checkpoint(
        &self,
        connection: &mut AnyConnection,
        sequence: u64,
        hash: &str,
        at: String,
    ) -> Result<(), AuditError> {
        let checkpoint = self.key.sign(sequence, hash, at);
        sqlx::query(
            "INSERT INTO audit_checkpoint (node, sequence, hash, made_at, signature) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&self.node)
        .bind(signed(checkpoint.sequence))
        .bind(&checkpoint.hash)
        .bind(&checkpoint.made_at)
        .bind(&checkpoint.signature)
        .execute(connection)
        .await?;
        Ok(())
    }

    /// Gives the records of versions without names of nodes this one, and those of versions without hashes theirs.
    async fn adopt_old_records(&self) -> Result<(), AuditError> {
        let mut transaction = self.database.pool.begin().await?;
        for table in ["audit", "audit_checkpoint"] {
            let statement = format!("UPDATE {table} SET node = $1 WHERE node = ''");
            let adopted = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(&self.node);
            adopted.execute(&mut *transaction).await?;
        }
        let statement = format!("SELECT {COLUMNS} FROM audit WHERE hash IS NULL ORDER BY sequence");
        let rows = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *transaction).await?;
        let mut previous = record::BEGINNING.to_owned();
        for row in &rows {
            let record = record_of(row)?;
            previous = record.hash_after(&previous);
            sqlx::query("UPDATE audit SET hash = $1 WHERE node = $2 AND sequence = $3")
                .bind(&previous)
                .bind(&self.node)
                .bind(signed(record.sequence))
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Number and hash of the newest record.
    async fn newest(&self, connection: &mut AnyConnection) -> Result<(u64, String), AuditError> {
        let statement = "SELECT sequence, hash FROM audit WHERE node = $1 ORDER BY sequence DESC LIMIT 1";
        let row = sqlx::query(statement).bind(&self.node).fetch_optional(connection).await?;
        let Some(row) = row else { return Ok((0, record::BEGINNING.to_owned())) };
        Ok((row.try_get::<i64, _>(0)?.unsigned_abs(), row.try_get(1)?))
    }

    /// Nobody else writes into this chain until the transaction ends.
    async fn wait_for_turn(&self, connection: &mut AnyConnection) -> Result<(), AuditError> {
        let lock =
            sqlx::query("SELECT 1 FROM pg_advisory_xact_lock($1)").bind(claims::lock_number(&self.node));
        lock.execute(connection).await?;
        Ok(())
    }

    /// Waits for running writes and closes the database.
    pub async fn close(self) {
        self.database.close().await;
    }
}

fn record_of(row: &AnyRow) -> Result<Record, sqlx::Error> {
    Ok(Record {
        sequence: row.try_get::<i64, _>(0)?.unsigned_abs(),
        recorded_at: row.try_get(1)?,
        request_id: row.try_get(2)?,
        operation: row.try_get(3)?,
        outcome: row.try_get(4)?,
        certificate_issuer: row.try_get(5)?,
        certificate_serial: row.try_get(6)?,
        document_sha256: row.try_get(7)?,
        remark: row.try_get(8)?,
        patient: row.try_get(9)?,
        hash: row.try_get::<Option<String>, _>(10)?.unwrap_or_default(),
    })
}

fn checkpoint_of(row: &AnyRow) -> Result<Checkpoint, sqlx::Error> {
    Ok(Checkpoint {
        sequence: row.try_get::<i64, _>(0)?.unsigned_abs(),
        hash: row.try_get(1)?,
        made_at: row.try_get(2)?,
        signature: row.try_get(3)?,
    })
}

fn signed(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};

    use super::*;

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
            .fetch_one(&trail.database.pool)
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
        sqlx::query("DROP TABLE audit").execute(&trail.database.pool).await.unwrap();
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
            sqlx::query(statement).execute(&trail.database.pool).await.unwrap();
        }
        for _ in 0..2 {
            let error = trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap_err();
            assert!(matches!(error, AuditError::Database(_)), "{error}");
        }
        sqlx::query("INSERT INTO disk VALUES (1)").execute(&trail.database.pool).await.unwrap();
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
        sqlx::query("PRAGMA synchronous = OFF").execute(&trail.database.pool).await.unwrap();
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
            .execute(&trail.database.pool)
            .await
            .unwrap();
        let fault = export::verify(exported(&reader).await.as_bytes(), &key, None).unwrap_err();
        assert!(matches!(fault, export::Fault::Changed { sequence: 7 }), "{fault}");
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
        sqlx::query("UPDATE audit SET hash = NULL, node = ''").execute(&trail.database.pool).await.unwrap();
        trail.close().await;
        let trail = open(&path).await.unwrap();
        let records = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.contains("\"record\"")).map(str::to_owned).collect()
        };
        assert_eq!(records(&exported(&trail).await), records(&before));
        assert_eq!(trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 4);
    }
}
