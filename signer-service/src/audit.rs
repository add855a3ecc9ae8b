//! The audit trail: one row for each attempt to use a key, written before its result is handed out.
//!
//! Rows name cards by certificate and documents by hash; nothing of a patient, no PIN, no card number (gemSpec_Kon,
//! TIP1-A_4710). The statements use what SQLite and PostgreSQL have in common, and are checked at run time: a build
//! needs no database.

use std::{os::unix::fs::OpenOptionsExt, path::Path};

use sqlx::{
    ConnectOptions, Row, SqlSafeStr, SqlitePool,
    migrate::{Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use thiserror::Error;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::certificate::Certificate;

/// The tables, brought up to date when the trail is opened: number, description, statements. Written out here because
/// sqlx's macro for it would build sqlx and SQLite a second time, for the compiler.
const MIGRATIONS: [(i64, &str, &str); 1] = [(1, "audit", include_str!("../migrations/0001_audit.sql"))];

/// Takes the next number and the row in one statement, so that two writers cannot share a number.
const INSERT: &str = "INSERT INTO audit (sequence, recorded_at, request_id, operation, outcome, certificate_issuer, \
     certificate_serial, document_sha256, remark) \
     SELECT COALESCE(MAX(sequence), 0) + 1, $1, $2, $3, $4, $5, $6, $7, $8 FROM audit RETURNING sequence";

/// An open audit trail.
#[derive(Debug, Clone)]
pub struct AuditTrail {
    pool: SqlitePool,
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
}

/// Why the trail cannot be opened or written.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The file cannot be created.
    #[error("audit.database: {path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is no database, or a broken one.
    #[error("audit.database: {path}: expected an SQLite database: {source}")]
    NotADatabase {
        /// The file.
        path: String,
        /// What SQLite says.
        source: sqlx::Error,
    },
    /// The tables cannot be brought up to date.
    #[error("audit.database: {path}: expected tables of this version or an earlier one: {source}")]
    Migration {
        /// The file.
        path: String,
        /// What does not fit.
        source: sqlx::migrate::MigrateError,
    },
    /// The database failed.
    #[error("audit database: {0}")]
    Database(#[from] sqlx::Error),
    /// The clock is beyond what the format can say.
    #[error("audit time: {0}")]
    Time(#[from] time::error::Format),
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
        }
    }

    /// Adds which certificate was used.
    pub fn name_certificate(&mut self, certificate: &Certificate) {
        self.certificate_issuer = Some(certificate.issuer.clone());
        self.certificate_serial = Some(certificate.serial.clone());
    }
}

impl AuditTrail {
    /// Opens or creates the SQLite database and brings its tables up to date.
    ///
    /// # Errors
    /// The file or the database, or tables made by a later version.
    pub async fn open(path: &Path) -> Result<AuditTrail, AuditError> {
        let name = || path.display().to_string();
        create_private(path).map_err(|source| AuditError::File { path: name(), source })?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A row that was acknowledged survives a power cut.
            .synchronous(SqliteSynchronous::Full)
            .disable_statement_logging();
        // One connection: SQLite has one writer, and the statement above relies on nobody writing in between.
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
        let pool = pool.map_err(|source| AuditError::NotADatabase { path: name(), source })?;
        let migrated = migrator().run(&pool).await;
        migrated.map_err(|source| AuditError::Migration { path: name(), source })?;
        Ok(AuditTrail { pool })
    }

    /// Could the database be there? Looks only.
    ///
    /// # Errors
    /// Its folder does not exist.
    pub fn check(path: &Path) -> Result<(), AuditError> {
        let folder = path.parent().unwrap_or(path);
        std::fs::read_dir(folder)
            .map(|_| ())
            .map_err(|source| AuditError::File { path: path.display().to_string(), source })
    }

    /// Writes one row and answers its number. When this returns, the row is on the disk.
    ///
    /// # Errors
    /// The database; then nothing was written.
    pub async fn record(&self, entry: &Entry, at: OffsetDateTime) -> Result<u64, AuditError> {
        // All rows, though there is one: SQLite answers it before the commit, which ends the statement and can fail.
        let rows = sqlx::query(INSERT)
            .bind(at.format(&Rfc3339)?)
            .bind(&entry.request_id)
            .bind(entry.operation)
            .bind(&entry.outcome)
            .bind(&entry.certificate_issuer)
            .bind(&entry.certificate_serial)
            .bind(entry.document_sha256.map(hex::encode))
            .bind(&entry.remark)
            .fetch_all(&self.pool)
            .await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(row.try_get::<i64, _>(0)?.unsigned_abs())
    }

    /// Waits for running writes and closes the database.
    pub async fn close(self) {
        self.pool.close().await;
    }
}

/// Creates an empty file that only its owner can read; an existing one stays as it is.
fn create_private(path: &Path) -> std::io::Result<()> {
    std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path).map(|_| ())
}

fn migrator() -> Migrator {
    let migration = |(number, description, statements): (i64, &'static str, &'static str)| {
        Migration::new(number, description.into(), MigrationType::Simple, statements.into_sql_str(), false)
    };
    Migrator::with_migrations(MIGRATIONS.into_iter().map(migration).collect())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

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
        let trail = AuditTrail::open(&path).await.unwrap();
        assert_eq!(trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 1);
        trail.close().await;
        let trail = AuditTrail::open(&path).await.unwrap();
        assert_eq!(trail.record(&entry("PIN_WRONG"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 2);
        let row = sqlx::query("SELECT recorded_at, outcome, document_sha256 FROM audit WHERE sequence = $1")
            .bind(1i64)
            .fetch_one(&trail.pool)
            .await
            .unwrap();
        assert_eq!(row.get::<String, _>(0), "1970-01-01T00:00:00Z");
        assert_eq!(row.get::<String, _>(1), "OK");
        assert_eq!(row.get::<String, _>(2), "ab".repeat(32));
    }

    #[tokio::test]
    async fn concurrent_writers_leave_no_gap() {
        let folder = tempfile::tempdir().unwrap();
        let trail = AuditTrail::open(&folder.path().join("audit.db")).await.unwrap();
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
        AuditTrail::open(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_trail_that_cannot_be_written_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let trail = AuditTrail::open(&folder.path().join("audit.db")).await.unwrap();
        sqlx::query("DROP TABLE audit").execute(&trail.pool).await.unwrap();
        let error = trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap_err();
        assert!(matches!(error, AuditError::Database(_)), "{error}");
    }

    #[tokio::test]
    async fn a_row_that_fails_at_its_commit_is_no_record() {
        let folder = tempfile::tempdir().unwrap();
        let trail = AuditTrail::open(&folder.path().join("audit.db")).await.unwrap();
        // Stands for a full disk: the row is made, and its commit fails.
        for statement in [
            "CREATE TABLE disk (page INTEGER PRIMARY KEY)",
            "CREATE TABLE used (page INTEGER REFERENCES disk (page) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER fill AFTER INSERT ON audit BEGIN INSERT INTO used VALUES (1); END",
        ] {
            sqlx::query(statement).execute(&trail.pool).await.unwrap();
        }
        for _ in 0..2 {
            let error = trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap_err();
            assert!(matches!(error, AuditError::Database(_)), "{error}");
        }
        sqlx::query("INSERT INTO disk VALUES (1)").execute(&trail.pool).await.unwrap();
        assert_eq!(trail.record(&entry("OK"), OffsetDateTime::UNIX_EPOCH).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn a_file_that_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        std::fs::write(&path, "something else entirely, long enough for a header of a database file")
            .unwrap();
        let error = AuditTrail::open(&path).await.unwrap_err();
        assert!(error.to_string().contains("audit.db"), "{error}");
    }

    #[tokio::test]
    async fn a_missing_folder_is_named() {
        let error = AuditTrail::open(Path::new("/nowhere/audit.db")).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/audit.db"), "{error}");
    }
}
