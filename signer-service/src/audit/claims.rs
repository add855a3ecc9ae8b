//! Idempotency keys at work: one call per key, in this process and, where the database is shared, in all nodes.
//!
//! A node holds a key by a lock of PostgreSQL that belongs to an open transaction (pg_try_advisory_xact_lock). The answer
//! is written in this very transaction: a node that dies, or loses its connection, loses the key with it and can record
//! nothing under it any more.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use sha2::{Digest, Sha256};
use sqlx::{Any, Row, Transaction};

use super::{AuditError, AuditTrail};

/// Keys whose call is at work in this process.
#[derive(Debug, Clone, Default)]
pub(super) struct AtWork(Arc<Mutex<HashSet<String>>>);

/// A key that belongs to one call until this value is dropped.
pub struct Claim {
    pub(super) entered: Entered,
    pub(super) held: Option<Transaction<'static, Any>>,
}

/// A key that is at work in this process until this value is dropped.
pub(super) struct Entered {
    at_work: AtWork,
    pub(super) key: String,
}

impl AuditTrail {
    /// Claims a key; none if another call works with it.
    ///
    /// # Errors
    /// The database.
    pub async fn claim(&self, key: &str) -> Result<Option<Claim>, AuditError> {
        if !self.at_work.enter(key) {
            return Ok(None);
        }
        // From here on dropping the claim gives the key back.
        let entered = Entered { at_work: self.at_work.clone(), key: key.to_owned() };
        let mut claim = Claim { entered, held: None };
        let Some(pool) = &self.chain.database.held else { return Ok(Some(claim)) };
        let mut transaction = pool.begin().await?;
        let lock = sqlx::query("SELECT pg_try_advisory_xact_lock($1)").bind(lock_number(key));
        let is_free: bool = lock.fetch_one(&mut *transaction).await?.try_get(0)?;
        claim.held = Some(transaction);
        Ok(is_free.then_some(claim))
    }
}

impl Claim {
    /// The keys under this one, which nobody else can work with as long as this one is claimed.
    pub fn keys_under(&self) -> KeysUnder {
        let Entered { at_work, key } = &self.entered;
        KeysUnder { at_work: at_work.clone(), beginning: format!("{key}/") }
    }
}

/// Keys under a claimed one.
pub struct KeysUnder {
    at_work: AtWork,
    beginning: String,
}

impl KeysUnder {
    /// What they begin with.
    pub fn beginning(&self) -> &str {
        &self.beginning
    }

    /// One of them. It holds no lock of its own.
    pub fn claim(&self, key: &str) -> Claim {
        let key = format!("{}{key}", self.beginning);
        self.at_work.enter(&key);
        Claim { entered: Entered { at_work: self.at_work.clone(), key }, held: None }
    }
}

/// The number that PostgreSQL knows a name by in its locks.
pub(super) fn lock_number(name: &str) -> i64 {
    let hash: [u8; 32] = Sha256::digest(name).into();
    hash.first_chunk::<8>().map_or(0, |head| i64::from_be_bytes(*head))
}

impl AtWork {
    fn enter(&self, key: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.to_owned())
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.at_work.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}
