//! How often wrong PINs are taken to cards: for each card, and for each client over all its cards.
//!
//! A card counts wrong PINs itself; this keeps a faulty or hostile client from using that counter up on card after card, and
//! stands in where a token does not count (soft tokens, some HSMs). Right PINs are not limited: a person entered each.
//! Whether the last try of a card may be used is another question, which the request has to answer.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use proto::v1::PinState;

use crate::{
    config::Limits,
    token::{TokenError, TokenView},
};

/// Wrong PINs of the last minutes.
pub struct PinLimits {
    per_card: usize,
    per_client: usize,
    window: Duration,
    wrong: Mutex<HashMap<Subject, VecDeque<Instant>>>,
    turns: Mutex<HashMap<String, Arc<Mutex<()>>>>,
}

/// Whose wrong PINs are counted.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Subject {
    Card(String),
    Client(String),
}

/// Too many wrong PINs: the next is taken after this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany(pub Duration);

impl PinLimits {
    /// Nothing was wrong yet.
    pub fn new(limits: &Limits) -> PinLimits {
        PinLimits {
            per_card: limits.wrong_pins_per_card,
            per_client: limits.wrong_pins_per_client,
            window: Duration::from_secs(60 * u64::from(limits.wrong_pin_minutes)),
            wrong: Mutex::default(),
            turns: Mutex::default(),
        }
    }

    /// May a PIN of this client go to this card? To be asked in the card's turn.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn admit(&self, token: &TokenView, client: &str, now: Instant) -> Result<(), TooMany> {
        if token.pin_state == PinState::Blocked {
            // Nothing is left to protect, and the card says better why it refuses.
            return Ok(());
        }
        self.admit_at(&token.card(), client, now)
    }

    /// The same for a card that no PKCS#11 module shows, by another name for it.
    ///
    /// # Errors
    /// [`TooMany`].
    pub fn admit_at(&self, card: &str, client: &str, now: Instant) -> Result<(), TooMany> {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        for (subject, limit) in self.subjects(card, client) {
            let Some(times) = wrong.get_mut(&subject) else { continue };
            times.retain(|at| now.saturating_duration_since(*at) < self.window);
            // The one that has to fall out of the window before there is room.
            let first = times.len().checked_sub(limit).and_then(|at| times.get(at));
            if let Some(first) = first {
                return Err(TooMany(self.window.saturating_sub(now.saturating_duration_since(*first))));
            }
        }
        Ok(())
    }

    /// Held from the question whether a PIN may go to a card beyond PKCS#11 until it is known what became of it: such a
    /// card has no queue, and a second caller must not be admitted by what the first has not yet found out.
    pub fn turn(&self, card: &str) -> Arc<Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry(card.to_owned()).or_default())
    }

    /// What became of the PIN.
    pub fn learn<T>(&self, token: &TokenView, client: &str, result: Result<T, &TokenError>, now: Instant) {
        self.learn_at(&token.card(), client, result, now);
    }

    /// The same for a card that no PKCS#11 module shows.
    pub fn learn_at<T>(&self, card: &str, client: &str, result: Result<T, &TokenError>, now: Instant) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Err(TokenError::PinIncorrect(_)) => {
                for (subject, _) in self.subjects(card, client) {
                    wrong.entry(subject).or_default().push_back(now);
                }
            }
            // The card begins to count anew, too. What the client did on other cards stays.
            Ok(_) => drop(wrong.remove(&Subject::Card(card.to_owned()))),
            Err(_) => {}
        }
    }

    fn subjects(&self, card: &str, client: &str) -> [(Subject, usize); 2] {
        [
            (Subject::Card(card.to_owned()), self.per_card),
            (Subject::Client(client.to_owned()), self.per_client),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Tries;

    const MINUTE: Duration = Duration::from_secs(60);

    fn limits() -> PinLimits {
        let limits = Limits {
            wrong_pins_per_card: 2,
            wrong_pins_per_client: 3,
            wrong_pin_minutes: 10,
            ..Limits::default()
        };
        PinLimits::new(&limits)
    }

    fn card(serial: &str) -> TokenView {
        TokenView::for_tests("HBA QES", serial)
    }

    fn wrong(limits: &PinLimits, serial: &str, client: &str, now: Instant) {
        limits.learn::<()>(&card(serial), client, Err(&TokenError::PinIncorrect(Tries::Unknown)), now);
    }

    #[test]
    fn a_card_takes_no_third_wrong_pin_until_the_first_is_forgotten() {
        let (limits, begin) = (limits(), Instant::now());
        wrong(&limits, "1", "ward", begin);
        assert_eq!(limits.admit(&card("1"), "ward", begin), Ok(()));
        wrong(&limits, "1", "other", begin + MINUTE);
        let refused = limits.admit(&card("1"), "third", begin + 2 * MINUTE);
        assert_eq!(refused, Err(TooMany(8 * MINUTE)));
        assert_eq!(limits.admit(&card("2"), "third", begin + 2 * MINUTE), Ok(()));
        assert_eq!(limits.admit(&card("1"), "third", begin + 10 * MINUTE), Ok(()));
    }

    #[test]
    fn a_client_is_stopped_over_all_its_cards() {
        let (limits, begin) = (limits(), Instant::now());
        for serial in ["1", "2", "3"] {
            assert_eq!(limits.admit(&card(serial), "ward", begin), Ok(()));
            wrong(&limits, serial, "ward", begin);
        }
        assert_eq!(limits.admit(&card("4"), "ward", begin), Err(TooMany(10 * MINUTE)));
        assert_eq!(limits.admit(&card("4"), "other", begin), Ok(()));
    }

    #[test]
    fn a_right_pin_forgives_the_card_and_not_the_client() {
        let (limits, begin) = (limits(), Instant::now());
        wrong(&limits, "1", "ward", begin);
        limits.learn(&card("1"), "ward", Ok(()), begin);
        wrong(&limits, "1", "ward", begin);
        assert_eq!(limits.admit(&card("1"), "ward", begin), Ok(()));
        wrong(&limits, "2", "ward", begin);
        assert!(limits.admit(&card("3"), "ward", begin).is_err());
    }

    #[test]
    fn a_blocked_card_says_so_itself() {
        let (limits, begin) = (limits(), Instant::now());
        (0..2).for_each(|_| wrong(&limits, "1", "ward", begin));
        assert!(limits.admit(&card("1"), "ward", begin).is_err());
        let mut blocked = card("1");
        blocked.pin_state = PinState::Blocked;
        assert_eq!(limits.admit(&blocked, "ward", begin), Ok(()));
    }

    #[test]
    fn a_card_that_fails_otherwise_counts_nothing() {
        let (limits, begin) = (limits(), Instant::now());
        for _ in 0..5 {
            limits.learn::<()>(&card("1"), "ward", Err(&TokenError::Removed), begin);
        }
        assert_eq!(limits.admit(&card("1"), "ward", begin), Ok(()));
    }
}
