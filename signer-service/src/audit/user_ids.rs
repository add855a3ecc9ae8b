//! User ids of comfort sessions that were used: none serves again within the next thousand activations, whatever card
//! and client they were for (gemSpec_Kon, A_20074). Kept in the service's database so that a restart forgets none.

use sqlx::Row;

use super::{AuditError, AuditTrail, claims::lock_number};

/// Activations an id is kept for.
const ACTIVATIONS: i64 = 1000;

impl AuditTrail {
    /// Takes the hash of a user id for an activation; `false` if one of the last thousand had it.
    ///
    /// # Errors
    /// The database.
    pub async fn take_user_id(&self, hash: &str) -> Result<bool, AuditError> {
        let mut transaction = self.chain.database.pool.begin().await?;
        if self.chain.database.is_shared() {
            let lock =
                sqlx::query("SELECT 1 FROM pg_advisory_xact_lock($1)").bind(lock_number("comfort_user"));
            lock.execute(&mut *transaction).await?;
        }
        let newest = sqlx::query("SELECT COALESCE(MAX(activation), 0) FROM comfort_user");
        let newest: i64 = newest.fetch_one(&mut *transaction).await?.try_get(0)?;
        sqlx::query("DELETE FROM comfort_user WHERE activation <= $1")
            .bind(newest - ACTIVATIONS)
            .execute(&mut *transaction)
            .await?;
        let known = sqlx::query("SELECT activation FROM comfort_user WHERE user_sha256 = $1")
            .bind(hash)
            .fetch_optional(&mut *transaction)
            .await?;
        if known.is_some() {
            return Ok(false);
        }
        sqlx::query("INSERT INTO comfort_user (activation, user_sha256) VALUES ($1, $2)")
            .bind(newest + 1)
            .bind(hash)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Gives an id free that activated nothing.
    ///
    /// # Errors
    /// The database; the id then counts as used.
    pub async fn release_user_id(&self, hash: &str) -> Result<(), AuditError> {
        let statement = "DELETE FROM comfort_user WHERE user_sha256 = $1";
        sqlx::query(statement).bind(hash).execute(&self.chain.database.pool).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_user_id_comes_again_after_a_thousand_others_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let key = path.with_extension("key");
        let trail = AuditTrail::open(&path.clone().into(), &key).await.unwrap();
        // A thousand times waiting for the disk would show nothing.
        sqlx::query("PRAGMA synchronous = OFF").execute(&trail.chain.database.pool).await.unwrap();
        assert!(trail.take_user_id("ada").await.unwrap());
        assert!(!trail.take_user_id("ada").await.unwrap());
        for number in 0..ACTIVATIONS - 1 {
            assert!(trail.take_user_id(&number.to_string()).await.unwrap());
        }
        assert!(!trail.take_user_id("ada").await.unwrap(), "the thousandth is too early");
        trail.close().await;
        let trail = AuditTrail::open(&path.clone().into(), &key).await.unwrap();
        assert!(!trail.take_user_id("ada").await.unwrap(), "a restart forgot it");
        assert!(trail.take_user_id("another").await.unwrap());
        assert!(trail.take_user_id("ada").await.unwrap());
    }

    #[tokio::test]
    async fn an_id_that_activated_nothing_is_free_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.db");
        let trail = AuditTrail::open(&path.clone().into(), &path.with_extension("key")).await.unwrap();
        assert!(trail.take_user_id("ada").await.unwrap());
        trail.release_user_id("ada").await.unwrap();
        assert!(trail.take_user_id("ada").await.unwrap());
    }
}
