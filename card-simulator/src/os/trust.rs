//! What a channel knows of other cards: their certificates, and the roles they have proven.

use crate::crypto::{Day, Rights};
use crate::image::TrustedKey;
use crate::layout::Key;

/// Length of the challenge for cards with elliptic curves.
pub(super) const CHALLENGE: usize = 16;
/// Imported card keys that a channel keeps; the oldest makes room.
const CAPACITY: usize = 10;

/// Volatile knowledge of one logical channel.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// The last challenge, until it is answered.
    pub(super) challenge: Option<[u8; CHALLENGE]>,
    /// The key chosen to verify the next certificate.
    pub(super) verifier: Option<TrustedKey>,
    /// The card key chosen to check the answer to the challenge.
    pub(super) external: Option<CardKey>,
    cards: Vec<CardKey>,
    roles: Vec<(Vec<u8>, Rights)>,
}

/// A public key of another card, from its certificate.
#[derive(Debug, Clone)]
pub(super) struct CardKey {
    pub(super) anchor: &'static Key,
    /// The holder's reference: key number and the card's serial number.
    pub(super) reference: Vec<u8>,
    pub(super) point: Vec<u8>,
    pub(super) rights: Rights,
    pub(super) expires: Day,
}

impl Trust {
    /// Keeps a card's key instead of what had its reference.
    pub(super) fn import(&mut self, key: CardKey) {
        self.cards.retain(|known| known.reference != key.reference);
        if self.cards.len() >= CAPACITY {
            self.cards.remove(0);
        }
        self.cards.push(key);
    }

    pub(super) fn card(&self, reference: &[u8]) -> Option<&CardKey> {
        self.cards.iter().find(|key| key.reference == reference)
    }

    pub(super) fn cards(&self) -> &[CardKey] {
        &self.cards
    }

    /// A card has proven its role.
    pub(super) fn grant(&mut self, key: &CardKey) {
        self.revoke(key);
        self.roles.push((key.reference.clone(), key.rights));
    }

    /// A card has failed to prove its role.
    pub(super) fn revoke(&mut self, key: &CardKey) {
        self.roles.retain(|(reference, _)| *reference != key.reference);
    }

    /// Whether one card has proven all these rights.
    pub(super) fn has_role(&self, wanted: Rights) -> bool {
        self.roles.iter().any(|(_, rights)| rights.cover(wanted))
    }
}
