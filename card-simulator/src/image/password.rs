//! PIN and PUK values at rest.

use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use subtle::ConstantTimeEq;

use crate::layout::Transport;

/// What a password object that owns its secret remembers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct PasswordState {
    /// Value; `None` until one is set.
    pub(crate) pin: Option<Digest>,
    /// PUK; `None` if the password has none.
    pub(crate) puk: Option<Digest>,
    pub(crate) transport: Transport,
}

/// A salted hash of the digits. With six digits this keeps them from a casual look only.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Digest {
    #[serde(with = "hex")]
    salt: [u8; 16],
    #[serde(with = "hex")]
    hash: [u8; 32],
}

impl Digest {
    /// Hashes digits under a fresh salt.
    pub(crate) fn of(digits: &[u8]) -> Result<Digest, getrandom::Error> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt)?;
        Ok(Digest { salt, hash: hash(&salt, digits) })
    }

    /// Whether these are the digits.
    pub(crate) fn matches(&self, digits: &[u8]) -> bool {
        self.hash.ct_eq(&hash(&self.salt, digits)).into()
    }
}

fn hash(salt: &[u8; 16], digits: &[u8]) -> [u8; 32] {
    sha2::Sha256::new().chain_update(salt).chain_update(digits).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_matches_its_digits_only_and_is_salted() {
        let (one, two) = (Digest::of(b"123456").unwrap(), Digest::of(b"123456").unwrap());
        assert!(one.matches(b"123456"));
        assert!(!one.matches(b"123457"));
        assert_ne!(one.hash, two.hash);
    }
}
