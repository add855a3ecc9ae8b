//! Signatures of issuers and responders that were found right before.
//!
//! The same certificates and OCSP responses are met with every signature of a card. That a key signed certain bytes does
//! not change, so it is calculated once; everything that depends on time or trust is judged anew each time.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};

use crate::certificate::Certificate;
use crate::scheme::SignatureScheme;

/// Facts kept, 32 bytes each. When they are more, all are forgotten: a hospital has far fewer, and whoever sends others
/// on purpose costs time only.
const CAPACITY: usize = 8192;

/// What was found right. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proven(Arc<Mutex<HashSet<[u8; 32]>>>);

impl Proven {
    /// Did the key of `issuer` sign this certificate?
    pub(crate) fn certificate(&self, certificate: &Certificate, issuer: &Certificate) -> bool {
        let (algorithm, message, value) = certificate.proof();
        self.signature(issuer, algorithm, message, value)
    }

    /// Did the key of `signer` make this signature?
    pub(crate) fn signature(
        &self,
        signer: &Certificate,
        algorithm: &[u8],
        message: &[u8],
        value: &[u8],
    ) -> bool {
        let fact = name(&[signer.key_info(), algorithm, message, value]);
        if self.facts().contains(&fact) {
            return true;
        }
        let scheme = SignatureScheme::from_identifier(algorithm, None);
        let (Ok(scheme), Ok(key)) = (scheme, signer.public_key()) else { return false };
        let right = key.verifies(scheme, message, value);
        if right {
            let mut facts = self.facts();
            if facts.len() >= CAPACITY {
                facts.clear();
            }
            facts.insert(fact);
        }
        right
    }

    fn facts(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name for these parts together, each with its length in front, so that no others have the same.
fn name(parts: &[&[u8]]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_only_together_have_the_same_bytes_have_another_name() {
        assert_ne!(name(&[b"ab", b"c"]), name(&[b"a", b"bc"]));
        assert_eq!(name(&[b"ab", b"c"]), name(&[b"ab", b"c"]));
    }
}
