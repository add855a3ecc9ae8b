//! Cases of emergency access, each change in one transaction with its record: what is not recorded did not happen.

use sqlx::{Any, Row, Transaction, any::AnyRow};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AuditError, AuditTrail, Entry, claims::lock_number};

const OPEN: &str = "SELECT id FROM emergency WHERE patient = $1 AND requester = $2 AND ends_at > $3";

/// A case as it is kept.
#[derive(Debug, Clone)]
pub struct KeptCase {
    /// Changes so far.
    pub version: i64,
    /// JSON.
    pub body: String,
}

/// A case whose access is over and that may wait for its review.
#[derive(Debug, Clone)]
pub struct Unreviewed {
    /// UUID.
    pub id: String,
    /// Telematik-ID.
    pub requester: String,
    /// Seconds since 1970.
    pub ends_at: i64,
    /// The case, if only reading it tells whether it does.
    pub unknown: Option<KeptCase>,
}

/// A new case.
#[derive(Debug, Clone)]
pub struct NewCase<'a> {
    /// UUID.
    pub id: &'a str,
    /// Keyed pseudonym.
    pub patient: &'a str,
    /// Telematik-ID.
    pub requester: &'a str,
    /// Seconds since 1970.
    pub ends_at: i64,
    /// JSON.
    pub body: &'a str,
}

/// A change of a case.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// UUID.
    pub id: &'a str,
    /// The version that was changed.
    pub of: i64,
    /// Seconds since 1970.
    pub ends_at: i64,
    /// It was opened, and nobody reviewed it.
    pub wants_review: bool,
    /// JSON.
    pub body: &'a str,
}

impl AuditTrail {
    /// Keeps a new case and its record; `None` if this person has a case for this patient that is not over.
    ///
    /// # Errors
    /// The database; then neither is kept.
    pub async fn add_case(
        &self,
        case: NewCase<'_>,
        entry: &Entry,
        at: OffsetDateTime,
    ) -> Result<Option<u64>, AuditError> {
        let mut transaction = self.begin_case().await?;
        let open = sqlx::query(OPEN).bind(case.patient).bind(case.requester).bind(at.unix_timestamp());
        if open.fetch_optional(&mut *transaction).await?.is_some() {
            return Ok(None);
        }
        sqlx::query(
            "INSERT INTO emergency (id, opened_at, patient, requester, ends_at, version, body, review) \
             VALUES ($1, $2, $3, $4, $5, 1, $6, 2)",
        )
        .bind(case.id)
        .bind(at.format(&Rfc3339)?)
        .bind(case.patient)
        .bind(case.requester)
        .bind(case.ends_at)
        .bind(case.body)
        .execute(&mut *transaction)
        .await?;
        let sequence = self.chain.append(&mut transaction, entry, at).await?;
        transaction.commit().await?;
        Ok(Some(sequence))
    }

    /// Changes a case and keeps its record; `None` if somebody else changed it since it was looked at.
    ///
    /// # Errors
    /// The database; then nothing is changed.
    pub async fn change_case(
        &self,
        change: Change<'_>,
        entry: &Entry,
        at: OffsetDateTime,
    ) -> Result<Option<u64>, AuditError> {
        let mut transaction = self.begin_case().await?;
        let changed = sqlx::query(
            "UPDATE emergency SET body = $1, ends_at = $2, review = $3, version = version + 1 \
             WHERE id = $4 AND version = $5",
        )
        .bind(change.body)
        .bind(change.ends_at)
        .bind(review(change.wants_review))
        .bind(change.id)
        .bind(change.of)
        .execute(&mut *transaction)
        .await?;
        if changed.rows_affected() != 1 {
            return Ok(None);
        }
        let sequence = self.chain.append(&mut transaction, entry, at).await?;
        transaction.commit().await?;
        Ok(Some(sequence))
    }

    /// Does this person have a case for this patient that is not over?
    ///
    /// # Errors
    /// The database.
    pub async fn has_open_case(
        &self,
        patient: &str,
        requester: &str,
        at: OffsetDateTime,
    ) -> Result<bool, AuditError> {
        let open = sqlx::query(OPEN).bind(patient).bind(requester).bind(at.unix_timestamp());
        Ok(open.fetch_optional(&self.chain.database.pool).await?.is_some())
    }

    /// A case by its name.
    ///
    /// # Errors
    /// The database.
    pub async fn case(&self, id: &str) -> Result<Option<KeptCase>, AuditError> {
        let row = sqlx::query("SELECT version, body FROM emergency WHERE id = $1").bind(id);
        let row = row.fetch_optional(&self.chain.database.pool).await?;
        row.as_ref().map(kept).transpose()
    }

    /// All cases, the newest first.
    ///
    /// # Errors
    /// The database.
    pub async fn cases(&self) -> Result<Vec<KeptCase>, AuditError> {
        let rows = sqlx::query("SELECT version, body FROM emergency ORDER BY opened_at DESC, id");
        let rows = rows.fetch_all(&self.chain.database.pool).await?;
        rows.iter().map(kept).collect()
    }

    /// Cases whose access ended at this time (seconds since 1970) or before, and that wait for their review, as far as is
    /// known.
    ///
    /// # Errors
    /// The database.
    pub async fn unreviewed_cases(&self, over: i64) -> Result<Vec<Unreviewed>, AuditError> {
        let rows = sqlx::query(
            "SELECT version, body, id, requester, ends_at, review FROM emergency \
             WHERE review < 2 AND ends_at <= $1",
        );
        let rows = rows.bind(over).fetch_all(&self.chain.database.pool).await?;
        let unreviewed = |row: &AnyRow| {
            let is_known = row.try_get::<i64, _>(5)? == review(true);
            Ok(Unreviewed {
                id: row.try_get(2)?,
                requester: row.try_get(3)?,
                ends_at: row.try_get(4)?,
                unknown: if is_known { None } else { Some(kept(row)?) },
            })
        };
        rows.iter().map(unreviewed).collect()
    }

    /// Notes whether a case of this version waits for its review.
    ///
    /// # Errors
    /// The database.
    pub async fn settle_review(&self, id: &str, version: i64, wanted: bool) -> Result<(), AuditError> {
        let settle = sqlx::query("UPDATE emergency SET review = $1 WHERE id = $2 AND version = $3");
        settle.bind(review(wanted)).bind(id).bind(version).execute(&self.chain.database.pool).await?;
        Ok(())
    }

    /// One node at a time works on cases.
    async fn begin_case(&self) -> Result<Transaction<'static, Any>, AuditError> {
        let mut transaction = self.chain.database.pool.begin().await?;
        if self.chain.database.is_shared() {
            let lock = sqlx::query("SELECT 1 FROM pg_advisory_xact_lock($1)").bind(lock_number("emergency"));
            lock.execute(&mut *transaction).await?;
        }
        Ok(transaction)
    }
}

/// As it is kept (migrations/0007_reviews.sql).
fn review(wanted: bool) -> i64 {
    if wanted { 1 } else { 2 }
}

fn kept(row: &AnyRow) -> Result<KeptCase, AuditError> {
    Ok(KeptCase { version: row.try_get(0)?, body: row.try_get(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry::new("r-1".into(), "RequestEmergencyAccess")
    }

    fn new<'a>(id: &'a str, patient: &'a str) -> NewCase<'a> {
        NewCase { id, patient, requester: "1-1", ends_at: 60, body: "{}" }
    }

    #[tokio::test]
    async fn a_case_is_kept_with_its_record_and_changed_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = AuditTrail::open(&path.clone().into(), &path.with_extension("key")).await.unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(trail.add_case(new("a", "p"), &entry(), now).await.unwrap(), Some(1));
        assert_eq!(trail.add_case(new("b", "p"), &entry(), now).await.unwrap(), None, "one is open");
        assert_eq!(trail.add_case(new("c", "q"), &entry(), now).await.unwrap(), Some(2));
        let later = now + time::Duration::seconds(60);
        assert_eq!(trail.add_case(new("d", "p"), &entry(), later).await.unwrap(), Some(3));

        let case = trail.case("a").await.unwrap().unwrap();
        let body = "{\"x\":1}";
        let change = Change { id: "a", of: case.version, ends_at: 1, wants_review: true, body };
        assert_eq!(trail.change_case(change.clone(), &entry(), now).await.unwrap(), Some(4));
        assert_eq!(
            trail.change_case(change, &entry(), now).await.unwrap(),
            None,
            "it is another version now"
        );
        trail.close().await;
        let trail = AuditTrail::open(&path.clone().into(), &path.with_extension("key")).await.unwrap();
        assert_eq!(trail.case("a").await.unwrap().unwrap().body, "{\"x\":1}");
        assert_eq!(trail.cases().await.unwrap().len(), 3);
        assert!(trail.case("b").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_waits_for_its_review_is_found_also_if_an_earlier_version_kept_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = AuditTrail::open(&path.clone().into(), &path.with_extension("key")).await.unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        for (id, patient) in [("a", "p"), ("b", "q"), ("c", "r")] {
            trail.add_case(new(id, patient), &entry(), now).await.unwrap();
        }
        let change = |id, ends_at| Change { id, of: 1, ends_at, wants_review: true, body: "{}" };
        trail.change_case(change("a", 60), &entry(), now).await.unwrap();
        trail.change_case(change("b", 90), &entry(), now).await.unwrap();
        let found = async |over| {
            let found = trail.unreviewed_cases(over).await.unwrap();
            found.into_iter().map(|case| (case.id, case.unknown.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(found(59).await, []);
        assert_eq!(found(60).await, [("a".to_owned(), false)]);
        // As the table was before the column.
        let old = sqlx::query("UPDATE emergency SET review = 0 WHERE id = 'c'");
        old.execute(&trail.chain.database.pool).await.unwrap();
        assert_eq!(found(60).await, [("a".to_owned(), false), ("c".to_owned(), true)]);
        trail.settle_review("c", 1, false).await.unwrap();
        assert_eq!(found(90).await, [("a".to_owned(), false), ("b".to_owned(), false)]);
    }
}
