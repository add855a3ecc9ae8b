//! Public keys that a card verifies card-verifiable certificates with: roots it was issued with, and what it imported.

use serde::{Deserialize, Serialize};

use crate::crypto::{Day, Rights};

/// A public key that verifies certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrustedKey {
    /// Path of the root key object it stands for, or was imported under: that gives the access rules.
    pub(crate) anchor: String,
    /// Its reference in certificates and commands.
    #[serde(with = "hex")]
    pub(crate) reference: Vec<u8>,
    #[serde(with = "hex")]
    pub(crate) point: Vec<u8>,
    /// What certificates it signed can give at most.
    pub(crate) rights: Rights,
    pub(crate) expires: Day,
}

/// Imported keys that a card keeps beside those it was issued with; the oldest makes room.
const CAPACITY: usize = 20;

/// What a card learned from certificates.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Learned {
    keys: Vec<TrustedKey>,
    /// The latest day a certificate was issued on: the card has no clock.
    today: Day,
}

impl Learned {
    pub(super) fn keys(&self) -> &[TrustedKey] {
        &self.keys
    }

    pub(super) fn today(&self) -> Day {
        self.today
    }

    pub(super) fn learn(&mut self, key: TrustedKey, today: Day) {
        self.today = self.today.max(today);
        self.keys.retain(|known| known.reference != key.reference);
        if self.keys.len() >= CAPACITY {
            self.keys.remove(0);
        }
        self.keys.push(key);
    }
}
