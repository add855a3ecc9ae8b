//! Clinicians who proved by card who they are: their sessions, and the tokens that name them.
//!
//! A token is worth something here as long as its session lives: until it expires, or the card it was made with leaves its
//! reader. Elsewhere it is verified with the published keys, and short-lived for that reason.

pub mod scope;
pub mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use time::OffsetDateTime;

use crate::token::TokenView;
use scope::{Policy, Scope};
use token::{Claims, TokenKey};

/// Who a card says its holder is.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// Telematik-ID; none in certificates without one.
    pub telematik_id: Option<String>,
    /// Number of the card.
    pub card: String,
}

/// A clinician's session.
pub struct ClinicianSession {
    /// Whose.
    pub person: Person,
    /// What was granted.
    pub scopes: Vec<Scope>,
    /// The token of the card it was opened with.
    pub token: TokenView,
    /// Which insertion of that card.
    pub insertion: u64,
    expires: OffsetDateTime,
}

/// Why a token opens no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotValid {
    /// Not a token of this service.
    Foreign,
    /// Its time is over.
    Expired,
    /// The service was started anew, or the card left its reader.
    Ended,
}

/// All clinicians of this process.
pub struct Clinicians {
    key: TokenKey,
    policy: Policy,
    open: Mutex<HashMap<String, Arc<ClinicianSession>>>,
}

impl NotValid {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            NotValid::Foreign => "foreign",
            NotValid::Expired => "expired",
            NotValid::Ended => "ended",
        }
    }
}

impl Person {
    /// The holder of a certificate on a token.
    pub fn of(token: &TokenView, certificate: &[u8]) -> Person {
        Person { telematik_id: cades::registration_number(certificate), card: token.serial.clone() }
    }

    /// Are these certificates of one person, beyond doubt? By Telematik-ID; where one of them has none, only if both are on
    /// the same card.
    pub fn is_same_as(&self, other: &Person) -> bool {
        match (&self.telematik_id, &other.telematik_id) {
            (Some(own), Some(others)) => own == others,
            _ => !self.card.is_empty() && self.card == other.card,
        }
    }
}

impl Clinicians {
    /// Nobody yet.
    pub fn new(key: TokenKey, policy: Policy) -> Clinicians {
        Clinicians { key, policy, open: Mutex::default() }
    }

    /// The table of professions.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The key for tokens.
    pub fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Opens a session and answers its token.
    pub fn open(
        &self,
        claims: &Claims,
        person: Person,
        scopes: Vec<Scope>,
        token: TokenView,
        insertion: u64,
    ) -> Option<String> {
        let expires = OffsetDateTime::from_unix_timestamp(claims.exp).ok()?;
        let text = self.key.issue(claims)?;
        let session = ClinicianSession { person, scopes, token, insertion, expires };
        let mut open = self.sessions();
        let now = OffsetDateTime::now_utc();
        open.retain(|_, session| session.expires > now);
        open.insert(claims.jti.clone(), Arc::new(session));
        Some(text)
    }

    /// The session of a token.
    ///
    /// # Errors
    /// [`NotValid`]; whether its card is still there has to be asked elsewhere.
    pub fn find(
        &self,
        token: &str,
        now: OffsetDateTime,
    ) -> Result<(Claims, Arc<ClinicianSession>), NotValid> {
        let claims = self.key.open(token).ok_or(NotValid::Foreign)?;
        if now.unix_timestamp() >= claims.exp {
            return Err(NotValid::Expired);
        }
        let session = self.sessions().get(&claims.jti).cloned().ok_or(NotValid::Ended)?;
        Ok((claims, session))
    }

    /// Ends a session.
    pub fn end(&self, name: &str) {
        self.sessions().remove(name);
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Arc<ClinicianSession>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(telematik_id: Option<&str>, card: &str) -> Person {
        Person { telematik_id: telematik_id.map(str::to_owned), card: card.to_owned() }
    }

    #[test]
    fn a_person_is_known_by_telematik_id_or_else_by_card() {
        let ada = person(Some("1-1"), "a");
        assert!(ada.is_same_as(&person(Some("1-1"), "b")));
        assert!(!ada.is_same_as(&person(Some("1-2"), "a")));
        assert!(ada.is_same_as(&person(None, "a")));
        assert!(!ada.is_same_as(&person(None, "b")));
        assert!(!person(None, "").is_same_as(&person(None, "")));
    }
}
