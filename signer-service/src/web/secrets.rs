//! Values that are known to one party for a short time: logins under way, and codes. They are found by a secret of 256 bits
//! of which only the hash is kept, and go with their time.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};

/// Values at a time; beyond, new ones are refused and not old ones dropped, so that a flood ends nobody's login.
const CAPACITY: usize = 10_000;

/// Values under secrets.
pub(super) struct Secrets<T> {
    lasting: Duration,
    values: Mutex<HashMap<[u8; 32], (T, OffsetDateTime)>>,
}

/// Nothing can be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoRoom {
    /// Too many at a time.
    Full,
    /// No random numbers.
    Random,
}

impl<T: Clone> Secrets<T> {
    pub(super) fn lasting(seconds: i64) -> Secrets<T> {
        Secrets { lasting: Duration::seconds(seconds), values: Mutex::default() }
    }

    /// Keeps a value and answers its secret.
    pub(super) fn put(&self, value: T, now: OffsetDateTime) -> Result<String, NoRoom> {
        let secret = secret().ok_or(NoRoom::Random)?;
        let mut values = self.lock();
        values.retain(|_, (_, until)| *until > now);
        if values.len() >= CAPACITY {
            return Err(NoRoom::Full);
        }
        values.insert(hash(&secret), (value, now + self.lasting));
        Ok(secret)
    }

    /// The value under a secret, if its time is not over.
    pub(super) fn get(&self, secret: &str, now: OffsetDateTime) -> Option<T> {
        self.lock().get(&hash(secret)).filter(|(_, until)| *until > now).map(|(value, _)| value.clone())
    }

    /// Changes the value under a secret in its place, with what `change` says; nobody sees it in between.
    pub(super) fn change<A>(
        &self,
        secret: &str,
        now: OffsetDateTime,
        change: impl FnOnce(&mut T) -> A,
    ) -> Option<A> {
        let mut values = self.lock();
        let (value, _) = values.get_mut(&hash(secret)).filter(|(_, until)| *until > now)?;
        Some(change(value))
    }

    /// Forgets a value.
    pub(super) fn forget(&self, secret: &str) {
        self.lock().remove(&hash(secret));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], (T, OffsetDateTime)>> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// 256 random bits as text.
pub(super) fn secret() -> Option<String> {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).ok()?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret.
pub(super) fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    #[test]
    fn a_value_is_found_by_its_secret_until_its_time_is_over() {
        let secrets = Secrets::lasting(60);
        let secret = secrets.put(7, NOW).unwrap();
        assert_eq!(secret.len(), 43);
        assert_eq!(secrets.get(&secret, NOW + Duration::seconds(59)), Some(7));
        assert_eq!(secrets.get(&secret, NOW + Duration::seconds(60)), None);
        assert_eq!(secrets.get("other", NOW), None);
        secrets.forget(&secret);
        assert_eq!(secrets.get(&secret, NOW), None);
    }

    #[test]
    fn a_flood_ends_nobodys_login() {
        let secrets = Secrets::lasting(60);
        let first = secrets.put(0, NOW).unwrap();
        for number in 1..CAPACITY {
            secrets.put(number, NOW).unwrap();
        }
        assert_eq!(secrets.put(1, NOW), Err(NoRoom::Full));
        assert_eq!(secrets.get(&first, NOW), Some(0));
        assert!(secrets.put(1, NOW + Duration::seconds(60)).is_ok());
    }
}
