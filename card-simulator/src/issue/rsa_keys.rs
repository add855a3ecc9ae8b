//! RSA keys for new cards. Making one takes up to seconds, which tests cannot afford for each card.

use std::sync::{Mutex, PoisonError};

use crate::crypto::{CryptoError, PrivateKey};
use crate::layout::KeyKind;

/// Where the RSA keys of a new card come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RsaKeyPool {
    /// Each card gets keys of its own.
    #[default]
    Fresh,
    /// All cards made by this process share a few keys, made once: for tests. Keys of one card still differ.
    Shared,
}

const RSA: KeyKind = KeyKind::RsaPrivate { bits: 2048 };

/// PKCS #8 of the shared keys; the first is the authority's.
static SHARED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

impl RsaKeyPool {
    /// The keys of one card.
    pub(crate) fn card_keys(self, count: usize) -> Result<Vec<PrivateKey>, CryptoError> {
        match self {
            RsaKeyPool::Fresh => generate(count),
            RsaKeyPool::Shared => Ok(shared(count + 1)?.split_off(1)),
        }
    }

    /// The key of a root of the test certification authority.
    pub(crate) fn authority_key(self) -> Result<PrivateKey, CryptoError> {
        let keys = match self {
            RsaKeyPool::Fresh => generate(1)?,
            RsaKeyPool::Shared => shared(1)?,
        };
        keys.into_iter().next().ok_or(CryptoError::Failed)
    }
}

fn shared(count: usize) -> Result<Vec<PrivateKey>, CryptoError> {
    let mut keys = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    for key in generate(count.saturating_sub(keys.len()))? {
        keys.push(key.to_der()?.to_vec());
    }
    keys.iter().take(count).map(|der| PrivateKey::from_der(der)).collect()
}

fn generate(count: usize) -> Result<Vec<PrivateKey>, CryptoError> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..count).map(|_| scope.spawn(|| PrivateKey::generate(RSA))).collect();
        let results = workers.into_iter().map(|worker| worker.join().unwrap_or(Err(CryptoError::Failed)));
        results.map(|result| result?.ok_or(CryptoError::Failed)).collect()
    })
}
