//! Comfort sessions: one PIN for many signatures of one user, within limits (gemSpec_Kon, chapter on the comfort
//! signature: TIP1-A_5682, A_19100-01, A_18686-01, A_20073-01, A_20074, A_22344, A_22352).
//!
//! A session is named by card, client and a user id that the client made up: whoever asks for a signature names all
//! three. It ends by count, by time, by deactivation, or with the card's security state ([`Lease`]). What was accepted
//! before its time was up is finished. Sessions of one card count apart from each other, but share the card's own budget.

mod user_id;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use time::{Duration, OffsetDateTime};

pub use user_id::{UserId, UserIdError};

use crate::{certificate::Certificate, token::Lease};

/// How many ended sessions are remembered, to say why.
const REMEMBERED: usize = 1000;

/// What names a session.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// The card, unique on this host.
    pub card: String,
    /// The client that activated it.
    pub client: String,
    /// Its user.
    pub user: UserId,
}

/// One session. Documents accepted in it hold it as long as they need it.
pub struct Session {
    lease: Lease,
    certificate: Certificate,
    card: Option<String>,
    activated_at: OffsetDateTime,
    ends_at: OffsetDateTime,
    remaining: AtomicU32,
    signed: AtomicU32,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All signatures were made.
    Count,
    /// Its time was up.
    Time,
    /// The card was removed or reset, its own budget was used up, or a wrong PIN was entered.
    Card,
    /// The client ended it.
    Deactivated,
}

/// There is no such session.
#[derive(Debug, PartialEq, Eq)]
pub struct NoSession(pub Option<Ended>);

/// All sessions of this process.
#[derive(Default)]
pub struct ComfortSessions(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: HashMap<Name, Arc<Session>>,
    ended: VecDeque<(Name, Ended)>,
}

/// A session that ended on its own.
pub struct Gone {
    /// Its certificate.
    pub certificate: Certificate,
    /// Its card as records name it.
    pub card: Option<String>,
    /// Why.
    pub why: Ended,
    /// Signatures made in it.
    pub signed: u32,
}

impl Ended {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Ended::Count => "count",
            Ended::Time => "time",
            Ended::Card => "card",
            Ended::Deactivated => "deactivated",
        }
    }
}

impl Session {
    /// A session that begins now. `card` is what records call its card.
    pub fn new(
        lease: Lease,
        certificate: Certificate,
        card: Option<String>,
        signatures: u32,
        lasts: Duration,
        now: OffsetDateTime,
    ) -> Session {
        Session {
            lease,
            certificate,
            card,
            activated_at: now,
            ends_at: now.saturating_add(lasts),
            remaining: AtomicU32::new(signatures),
            signed: AtomicU32::new(0),
        }
    }

    /// Takes one signature out of the budget, right before the card is asked.
    ///
    /// # Errors
    /// Nothing is left.
    pub fn spend(&self) -> Result<&Lease, NoSession> {
        let taken =
            self.remaining.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if taken.is_err() {
            return Err(NoSession(Some(Ended::Count)));
        }
        self.signed.fetch_add(1, Ordering::SeqCst);
        Ok(&self.lease)
    }

    /// When the PIN was entered.
    pub fn activated_at(&self) -> OffsetDateTime {
        self.activated_at
    }

    /// When it ends at the latest.
    pub fn ends_at(&self) -> OffsetDateTime {
        self.ends_at
    }

    /// What the policy still allows.
    pub fn remaining(&self) -> u32 {
        self.remaining.load(Ordering::SeqCst)
    }

    /// Signatures asked for in this session.
    pub fn signed(&self) -> u32 {
        self.signed.load(Ordering::SeqCst)
    }

    /// Signatures the card was asked for since the last PIN, by whomever.
    pub fn signed_since_pin(&self) -> u32 {
        self.lease.signed_since_pin()
    }

    fn ended(&self, now: OffsetDateTime) -> Option<Ended> {
        if !self.lease.holds() {
            Some(Ended::Card)
        } else if self.remaining() == 0 {
            Some(Ended::Count)
        } else {
            (now >= self.ends_at).then_some(Ended::Time)
        }
    }
}

impl ComfortSessions {
    /// Opens a session. One of the same name is replaced.
    pub fn open(&self, name: Name, session: Session) -> Arc<Session> {
        let session = Arc::new(session);
        self.table().open.insert(name, Arc::clone(&session));
        session
    }

    /// The session of this name, if it stands.
    ///
    /// # Errors
    /// It does not; why, if that is known.
    pub fn find(&self, name: &Name, now: OffsetDateTime) -> Result<Arc<Session>, NoSession> {
        let table = self.table();
        let Some(session) = table.open.get(name) else {
            let ended = table.ended.iter().rev().find(|(ended, _)| ended == name);
            return Err(NoSession(ended.map(|(_, why)| *why)));
        };
        match session.ended(now) {
            None => Ok(Arc::clone(session)),
            why => Err(NoSession(why)),
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn close(&self, name: &Name, now: OffsetDateTime) -> Result<Arc<Session>, NoSession> {
        let session = self.find(name, now)?;
        self.table().end(name, Ended::Deactivated);
        Ok(session)
    }

    /// Sessions that stand on a card.
    pub fn on_card(&self, card: &str, now: OffsetDateTime) -> usize {
        let standing =
            |(name, session): &(&Name, &Arc<Session>)| name.card == card && session.ended(now).is_none();
        self.table().open.iter().filter(standing).count()
    }

    /// Of each session that stands: its card, what the policy leaves, and signatures since the last PIN.
    pub fn budgets(&self, now: OffsetDateTime) -> Vec<(String, u32, u32)> {
        let table = self.table();
        let standing = table.open.iter().filter(|(_, session)| session.ended(now).is_none());
        standing
            .map(|(name, session)| (name.card.clone(), session.remaining(), session.signed_since_pin()))
            .collect()
    }

    /// Lets go of sessions that ended on their own.
    pub fn sweep(&self, now: OffsetDateTime) -> Vec<Gone> {
        let mut table = self.table();
        let over = |(name, session): (&Name, &Arc<Session>)| Some((name.clone(), session.ended(now)?));
        let over: Vec<(Name, Ended)> = table.open.iter().filter_map(over).collect();
        over.into_iter()
            .filter_map(|(name, why)| {
                let session = table.end(&name, why)?;
                let (certificate, card) = (session.certificate.clone(), session.card.clone());
                Some(Gone { certificate, card, why, signed: session.signed() })
            })
            .collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn end(&mut self, name: &Name, why: Ended) -> Option<Arc<Session>> {
        let session = self.open.remove(name)?;
        self.ended.push_back((name.clone(), why));
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Login;

    const BEGIN: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    struct Desk {
        sessions: ComfortSessions,
        login: Login,
        lease: Lease,
    }

    fn desk() -> Desk {
        let (lease, login) = Lease::for_tests();
        Desk { sessions: ComfortSessions::default(), login, lease }
    }

    fn name(user: &str) -> Name {
        Name { card: "card".into(), client: "ward".into(), user: user.parse().unwrap() }
    }

    const ADA: &str = "6e8bc430-9c3a-41d9-9669-0800200c9a66";
    const BOB: &str = "0f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9";

    impl Desk {
        fn open(&self, user: &str, signatures: u32, hours: i64) -> Arc<Session> {
            let certificate = crate::certificate::Certificate::for_tests();
            let lasts = Duration::hours(hours);
            let session = Session::new(self.lease.clone(), certificate, None, signatures, lasts, BEGIN);
            self.sessions.open(name(user), session)
        }

        fn ended(&self, user: &str, now: OffsetDateTime) -> Option<Ended> {
            self.sessions.find(&name(user), now).err().and_then(|NoSession(why)| why)
        }
    }

    #[test]
    fn a_session_ends_after_its_signatures() {
        let desk = desk();
        let session = desk.open(ADA, 2, 1);
        assert!(session.spend().is_ok() && session.spend().is_ok());
        assert_eq!(session.spend().err(), Some(NoSession(Some(Ended::Count))));
        assert_eq!((session.signed(), desk.ended(ADA, BEGIN)), (2, Some(Ended::Count)));
    }

    #[test]
    fn a_session_ends_after_its_time_and_finishes_what_it_accepted() {
        let desk = desk();
        desk.open(ADA, 5, 1);
        let accepted = desk.sessions.find(&name(ADA), BEGIN + Duration::minutes(59)).unwrap();
        let late = BEGIN + Duration::hours(1);
        assert_eq!(desk.ended(ADA, late), Some(Ended::Time));
        assert_eq!(desk.sessions.sweep(late).len(), 1);
        assert!(accepted.spend().is_ok_and(Lease::holds));
        assert_eq!(desk.ended(ADA, BEGIN), Some(Ended::Time), "the clock went backwards and it revived");
    }

    #[test]
    fn all_sessions_of_a_card_end_with_its_security_state() {
        let mut desk = desk();
        desk.open(ADA, 5, 1);
        desk.open(BOB, 5, 1);
        assert_eq!(desk.sessions.on_card("card", BEGIN), 2);
        desk.login.lose();
        assert_eq!(desk.sessions.on_card("card", BEGIN), 0);
        let gone = desk.sessions.sweep(BEGIN);
        assert!(gone.len() == 2 && gone.iter().all(|gone| gone.why == Ended::Card));
        assert_eq!(desk.ended(BOB, BEGIN), Some(Ended::Card));
    }

    #[test]
    fn sessions_count_apart_and_end_apart() {
        let desk = desk();
        let (ada, bob) = (desk.open(ADA, 3, 1), desk.open(BOB, 3, 1));
        ada.spend().unwrap();
        assert_eq!((ada.remaining(), bob.remaining()), (2, 3));
        assert_eq!(desk.sessions.close(&name(ADA), BEGIN).unwrap().signed(), 1);
        assert_eq!(desk.ended(ADA, BEGIN), Some(Ended::Deactivated));
        assert!(desk.sessions.find(&name(BOB), BEGIN).is_ok());
        let stranger = Name { client: "pharmacy".into(), ..name(BOB) };
        assert_eq!(desk.sessions.find(&stranger, BEGIN).err(), Some(NoSession(None)));
    }
}
