//! Whose turn it is at a token.
//!
//! Operations with a PIN have the token for themselves, in the order of their arrival. Operations on a login that a lease
//! keeps do, too, unless the configuration allows several sessions at once: an HSM has several hands, a card one.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock, Semaphore};

use super::Login;

/// The queue of one token. Fair: whoever came first is first.
#[derive(Clone)]
pub struct Queue {
    login: Arc<RwLock<Login>>,
    hands: Arc<Semaphore>,
    several: bool,
}

/// Held while a token works on a login that a lease keeps.
pub enum Turn {
    /// Nobody else is at it.
    Alone(OwnedRwLockWriteGuard<Login>),
    /// Others on the same login may be.
    Beside(OwnedRwLockReadGuard<Login>, OwnedSemaphorePermit),
}

impl Queue {
    pub(super) fn new(sessions: usize) -> Queue {
        Queue {
            login: Arc::default(),
            hands: Arc::new(Semaphore::new(sessions.max(1))),
            several: sessions > 1,
        }
    }

    /// Waits until the token is free, and has it for itself.
    pub async fn alone(&self) -> OwnedRwLockWriteGuard<Login> {
        Arc::clone(&self.login).write_owned().await
    }

    /// Waits for a hand of the token.
    pub async fn leased(&self) -> Turn {
        if self.several
            && let Ok(hand) = Arc::clone(&self.hands).acquire_owned().await
        {
            return Turn::Beside(Arc::clone(&self.login).read_owned().await, hand);
        }
        Turn::Alone(self.alone().await)
    }

    /// The token, if nobody is at it.
    pub(super) fn try_alone(&self) -> Option<OwnedRwLockWriteGuard<Login>> {
        Arc::clone(&self.login).try_write_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_card_has_one_hand() {
        let queue = Queue::new(1);
        let first = queue.leased().await;
        assert!(matches!(first, Turn::Alone(_)) && queue.try_alone().is_none());
        drop(first);
        assert!(queue.try_alone().is_some());
    }

    #[tokio::test]
    async fn whoever_has_a_pin_waits_until_all_hands_are_free_and_comes_before_later_ones() {
        let queue = Queue::new(2);
        let (first, second) = (queue.leased().await, queue.leased().await);
        assert!(matches!((&first, &second), (Turn::Beside(..), Turn::Beside(..))));
        let with_pin = tokio::spawn({
            let queue = queue.clone();
            async move { queue.alone().await }
        });
        tokio::task::yield_now().await;
        drop(first);
        let later = tokio::spawn({
            let queue = queue.clone();
            async move { queue.leased().await }
        });
        tokio::task::yield_now().await;
        assert!(!with_pin.is_finished() && !later.is_finished());
        drop(second);
        let alone = with_pin.await.unwrap();
        assert!(!later.is_finished());
        drop(alone);
        later.await.unwrap();
    }
}
