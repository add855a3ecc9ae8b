//! The chain of one node in the database: appending to it, and reading it.

use sqlx::{Any, AnyConnection, Row, Transaction, any::AnyRow};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AuditError, Checkpoint, CheckpointKey, Entry, Line, Record, claims::lock_number, record};
use crate::database::{Database, places};

const INSERT: &str = "INSERT INTO audit (node, sequence, recorded_at, request_id, operation, outcome, certificate_issuer, \
     certificate_serial, document_sha256, remark, patient, card, hash) VALUES ";
/// Columns of [`INSERT`].
const INSERTED: usize = 13;
const COLUMNS: &str = "sequence, recorded_at, request_id, operation, outcome, certificate_issuer, \
     certificate_serial, document_sha256, remark, patient, card, hash";
/// Records between two checkpoints that the service writes on its own.
pub(super) const CHECKPOINT_EVERY: u64 = 100;

/// Where the records of this node go.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub(super) database: Database,
    pub(super) key: CheckpointKey,
    /// Whose chain this is.
    pub(super) node: String,
}

impl Chain {
    /// All records and checkpoints of this node in order, and a fresh checkpoint over the last record.
    ///
    /// # Errors
    /// The database.
    pub(super) async fn lines(&self, at: OffsetDateTime) -> Result<Vec<Line>, AuditError> {
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

    /// Appends a record; [`Chain::append_all`] of one.
    pub(super) async fn append(
        &self,
        transaction: &mut Transaction<'static, Any>,
        entry: &Entry,
        at: OffsetDateTime,
    ) -> Result<u64, AuditError> {
        self.append_all(transaction, &[(entry, at)]).await
    }

    /// Appends records in one statement and answers the number of the first. Once in a transaction: the newest record
    /// is known within it only, because others of this process append, too.
    pub(super) async fn append_all(
        &self,
        transaction: &mut Transaction<'static, Any>,
        entries: &[(&Entry, OffsetDateTime)],
    ) -> Result<u64, AuditError> {
        if self.database.is_shared() {
            self.wait_for_turn(transaction).await?;
        }
        let (newest, mut previous) = self.newest(transaction).await?;
        let mut records = Vec::with_capacity(entries.len());
        for (sequence, (entry, at)) in (newest + 1..).zip(entries) {
            let record = linked(entry, sequence, at.format(&Rfc3339)?, &previous);
            previous.clone_from(&record.hash);
            records.push(record);
        }
        self.insert(transaction, &records).await?;
        for record in records.iter().filter(|record| record.sequence.is_multiple_of(CHECKPOINT_EVERY)) {
            let at = record.recorded_at.clone();
            self.add_checkpoint(transaction, record.sequence, &record.hash, at).await?;
        }
        Ok(newest + 1)
    }

    async fn insert(&self, connection: &mut AnyConnection, records: &[Record]) -> Result<(), AuditError> {
        let statement = format!("{INSERT}{}", places(records.len(), INSERTED));
        let mut insert = sqlx::query(sqlx::AssertSqlSafe(statement));
        for record in records {
            insert = insert
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
                .bind(&record.card)
                .bind(&record.hash);
        }
        insert.execute(connection).await?;
        Ok(())
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
    pub(super) async fn adopt_old_records(&self) -> Result<(), AuditError> {
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
        let lock = sqlx::query("SELECT 1 FROM pg_advisory_xact_lock($1)").bind(lock_number(&self.node));
        lock.execute(connection).await?;
        Ok(())
    }
}

/// The record of an attempt, linked to the one before.
fn linked(entry: &Entry, sequence: u64, recorded_at: String, previous: &str) -> Record {
    let mut record = Record {
        sequence,
        recorded_at,
        request_id: entry.request_id.clone(),
        operation: entry.operation.to_owned(),
        outcome: entry.outcome.clone(),
        certificate_issuer: entry.certificate_issuer.clone(),
        certificate_serial: entry.certificate_serial.clone(),
        document_sha256: entry.document_sha256.map(hex::encode),
        remark: entry.remark.clone(),
        patient: entry.patient.clone(),
        card: entry.card.clone(),
        hash: String::new(),
    };
    record.hash = record.hash_after(previous);
    record
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
        card: row.try_get(10)?,
        hash: row.try_get::<Option<String>, _>(11)?.unwrap_or_default(),
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
