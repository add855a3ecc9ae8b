//! The login of one token, and for whom it is kept.
//!
//! PKCS#11 logs in a process, not a caller (version 3.1, clause 5.6.8): whoever comes second finds the login of the
//! first. So all work with the PIN of a token goes through one [`Login`] per token, in turn. It ends with the operation
//! unless somebody holds a [`Lease`]: a batch or a comfort session. A second caller with a PIN has it checked by the card
//! although the token is logged in; a right one renews the login for everybody, a wrong one ends all leases, as the card
//! loses its security state.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use cryptoki::session::{Session, SessionState};

use super::{Choice, Module, Purpose, Queue, TokenError, UnlockedKey};

/// The login of one token.
#[derive(Default)]
pub struct Login {
    /// The session that carries it.
    pub(super) session: Option<Session>,
    /// Whether a login was needed to have that session.
    pub(super) logged_in: bool,
    /// One reference more than there are leases.
    leases: Arc<()>,
    /// Which login it is; a new number each time one was lost.
    epoch: Arc<AtomicU64>,
    /// Signatures asked for since the last PIN.
    signed: Arc<AtomicU32>,
}

/// Keeps a login beyond one operation, as long as it lives and the card does not end it.
#[derive(Clone)]
pub struct Lease {
    _alive: Arc<()>,
    epoch: u64,
    current: Arc<AtomicU64>,
    signed: Arc<AtomicU32>,
}

impl Lease {
    /// The login this lease is for still stands, as far as is known.
    pub fn holds(&self) -> bool {
        self.current.load(Ordering::SeqCst) == self.epoch
    }

    /// Signatures the card was asked for since the last PIN, by whomever.
    pub fn signed_since_pin(&self) -> u32 {
        self.signed.load(Ordering::SeqCst)
    }

    /// A lease of a login that lasts until the returned guard is told to end it.
    #[cfg(test)]
    pub(crate) fn for_tests() -> (Lease, Login) {
        let login = Login::default();
        (login.lease(), login)
    }
}

impl Login {
    pub(super) fn lease(&self) -> Lease {
        Lease {
            _alive: Arc::clone(&self.leases),
            epoch: self.epoch.load(Ordering::SeqCst),
            current: Arc::clone(&self.epoch),
            signed: Arc::clone(&self.signed),
        }
    }

    /// Somebody needs the login after this operation.
    pub(super) fn is_leased(&self) -> bool {
        Arc::strong_count(&self.leases) > 1
    }

    /// A PIN was accepted just now.
    pub(super) fn renewed(&mut self, session: Session, logged_in: bool) {
        self.session = Some(session);
        self.logged_in = logged_in;
        self.signed.store(0, Ordering::SeqCst);
    }

    /// A signature is asked for: it counts whatever comes of it (gemSpec_Kon, A_19100-01).
    pub(super) fn count(&self) {
        self.signed.fetch_add(1, Ordering::SeqCst);
    }

    /// The login is gone, and with it all leases.
    pub(crate) fn lose(&mut self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
        self.end();
    }

    /// Logs out.
    pub(super) fn end(&mut self) {
        if let Some(session) = self.session.take()
            && self.logged_in
        {
            // Fails if the card is gone, and then there is nothing to log out of.
            let _ = session.logout();
        }
        self.logged_in = false;
    }
}

impl Module {
    /// The private key of the chosen certificate on a login that a lease keeps.
    ///
    /// # Errors
    /// [`TokenError::NotLoggedIn`] if the login is gone, [`TokenError::Removed`] if the card is.
    pub fn resume<'a>(
        &'a self,
        login: &'a mut Login,
        lease: &Lease,
        choice: &Choice<'a>,
        key_label: Option<&str>,
        purpose: Purpose,
    ) -> Result<UnlockedKey<'a>, TokenError> {
        if !lease.holds() {
            return Err(TokenError::NotLoggedIn);
        }
        match self.key_on(login, choice, key_label, purpose, false) {
            Ok((key, always_authenticate)) => {
                Ok(UnlockedKey::resumed(self, choice.token, login, key, always_authenticate))
            }
            Err(error) => {
                if matches!(error, TokenError::Removed | TokenError::NotLoggedIn) {
                    login.lose();
                }
                Err(error)
            }
        }
    }

    /// Ends logins nobody needs any more, and leases whose card was pulled or reset. Tokens at work are left alone.
    pub fn tidy(&self) {
        let queues: Vec<(u64, Queue)> = self.all_queues();
        for (slot, queue) in queues {
            let Ok(mut login) = queue.try_lock() else { continue };
            if login.session.is_none() {
                continue;
            }
            if !login.is_leased() {
                login.end();
            } else if !self.is_alive(slot, &login) {
                login.lose();
            }
        }
    }

    /// The card is in its place and knows of the login. Costs no card command.
    fn is_alive(&self, slot: u64, login: &Login) -> bool {
        let present = cryptoki::slot::Slot::try_from(slot)
            .is_ok_and(|slot| self.context.get_slot_info(slot).is_ok_and(|place| place.token_present()));
        let state = login.session.as_ref().and_then(|session| session.get_session_info().ok());
        let user = |state| matches!(state, SessionState::RoUser | SessionState::RwUser);
        present && state.is_some_and(|info| !login.logged_in || user(info.session_state()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_with_its_login_and_no_later_login_revives_it() {
        let mut login = Login::default();
        assert!(!login.is_leased());
        let lease = login.lease();
        assert!(login.is_leased() && lease.holds());
        login.lose();
        assert!(!lease.holds());
        assert!(login.lease().holds() && !lease.holds());
        drop(lease);
        assert!(!login.is_leased());
    }

    #[test]
    fn every_command_counts_for_all_leases_of_a_card() {
        let login = Login::default();
        let (first, second) = (login.lease(), login.lease());
        login.count();
        login.count();
        assert_eq!((first.signed_since_pin(), second.signed_since_pin()), (2, 2));
    }
}
