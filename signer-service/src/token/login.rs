//! The login of one token, and for whom it is kept.
//!
//! PKCS#11 logs in a process, not a caller (version 3.1, clause 5.6.8): whoever comes second finds the login of the
//! first. So all work with the PIN of a token goes through one [`Login`] per token, in turn. It ends with the operation
//! unless somebody holds a [`Lease`]: a batch or a comfort session. A second caller with a PIN has it checked by the card
//! although the token is logged in; a right one renews the login for everybody, a wrong one ends all leases, as the card
//! loses its security state.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

use cryptoki::{
    object::ObjectHandle,
    session::{Session, SessionState},
};

use super::{Choice, Module, Purpose, Queue, TokenError, TokenView, Turn, UnlockedKey, key};

/// The login of one token.
#[derive(Default)]
pub struct Login {
    /// The session that carries it. Sessions must not be shared between threads; behind this lock they are not.
    carrier: Mutex<Option<Opened>>,
    /// Further sessions under the same login, for those who sign beside each other.
    spare: Mutex<Vec<Opened>>,
    /// Whether a login was needed to have that session.
    pub(super) logged_in: bool,
    /// One reference more than there are leases.
    leases: Arc<()>,
    /// Which login it is; a new number each time one was lost.
    epoch: Arc<AtomicU64>,
    /// Signatures asked for since the last PIN.
    signed: Arc<AtomicU32>,
}

/// A session, and the key that was found on it last. A session ends with the insertion of its card (PKCS#11 3.1, clause
/// 5.6), and with it what was found.
pub(super) struct Opened {
    pub(super) session: Session,
    found: Option<Found>,
}

struct Found {
    certificate: Vec<u8>,
    key_label: Option<String>,
    key: ObjectHandle,
    always_authenticate: bool,
}

/// How a login is held while a key on it is used.
pub(super) enum Hold<'a> {
    /// Nobody else is at it.
    Alone(&'a mut Login),
    /// With one of its further sessions.
    Beside(&'a Login),
}

impl Hold<'_> {
    pub(super) fn login(&self) -> &Login {
        match self {
            Hold::Alone(login) => login,
            Hold::Beside(login) => login,
        }
    }

    /// The login is gone.
    pub(super) fn lose(&mut self) {
        match self {
            Hold::Alone(login) => login.lose(),
            Hold::Beside(login) => login.is_lost(),
        }
    }

    /// The session is not needed any more.
    pub(super) fn give_back(&mut self, opened: Opened) {
        match self {
            Hold::Alone(login) => *login.carrier() = Some(opened),
            Hold::Beside(login) => login.give_spare(opened),
        }
    }

    /// Logs out if this was the last that needed the login.
    pub(super) fn end_if_unleased(&mut self) {
        if let Hold::Alone(login) = self
            && !login.is_leased()
        {
            login.end();
        }
    }
}

impl Opened {
    pub(super) fn new(session: Session) -> Opened {
        Opened { session, found: None }
    }

    /// The key of this certificate, if it was found here before, and whether it wants a login per signature.
    pub(super) fn recall(
        &self,
        choice: &Choice<'_>,
        key_label: Option<&str>,
    ) -> Option<(ObjectHandle, bool)> {
        let fits = |found: &&Found| {
            found.certificate == choice.certificate.certificate.der && found.key_label.as_deref() == key_label
        };
        self.found.as_ref().filter(fits).map(|found| (found.key, found.always_authenticate))
    }

    pub(super) fn remember(
        &mut self,
        choice: &Choice<'_>,
        key_label: Option<&str>,
        (key, always_authenticate): (ObjectHandle, bool),
    ) {
        let certificate = choice.certificate.certificate.der.clone();
        self.found =
            Some(Found { certificate, key_label: key_label.map(str::to_owned), key, always_authenticate });
    }
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

    /// The session that carries this login, for whoever has it alone.
    pub(super) fn carrier(&mut self) -> &mut Option<Opened> {
        self.carrier.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// A PIN was accepted just now.
    pub(super) fn renewed(&mut self, session: Session, logged_in: bool) {
        *self.carrier() = Some(Opened::new(session));
        // Objects found before a logout are not to be used after it (clause 5.6.9).
        self.forget_spare();
        self.logged_in = logged_in;
        self.signed.store(0, Ordering::SeqCst);
    }

    /// A signature is asked for: it counts whatever comes of it (gemSpec_Kon, A_19100-01).
    pub(super) fn count(&self) {
        self.signed.fetch_add(1, Ordering::SeqCst);
    }

    /// The login is gone, and with it all leases. What is left of it is cleared away by whoever has it alone next.
    pub(super) fn is_lost(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// The login is gone, and with it all leases.
    pub(crate) fn lose(&mut self) {
        self.is_lost();
        self.end();
    }

    /// Logs out.
    pub(super) fn end(&mut self) {
        self.forget_spare();
        if let Some(opened) = self.carrier().take()
            && self.logged_in
        {
            // Fails if the card is gone, and then there is nothing to log out of.
            let _ = opened.session.logout();
        }
        self.logged_in = false;
    }

    pub(super) fn take_spare(&self) -> Option<Opened> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(super) fn give_spare(&self, opened: Opened) {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(opened);
    }

    fn forget_spare(&mut self) {
        self.spare.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Module {
    /// The private key of the chosen certificate on a login that a lease keeps.
    ///
    /// # Errors
    /// [`TokenError::NotLoggedIn`] if the login is gone, [`TokenError::Removed`] if the card is.
    pub fn resume<'a>(
        &'a self,
        turn: &'a mut Turn,
        lease: &Lease,
        choice: &Choice<'a>,
        key_label: Option<&str>,
        purpose: Purpose,
    ) -> Result<UnlockedKey<'a>, TokenError> {
        if !lease.holds() {
            return Err(TokenError::NotLoggedIn);
        }
        match turn {
            Turn::Alone(login) => {
                let opened = login.carrier().take().ok_or(TokenError::NotLoggedIn)?;
                self.key_on(Hold::Alone(login), opened, choice, key_label, purpose)
            }
            Turn::Beside(login, _) => {
                let opened = match login.take_spare() {
                    Some(opened) => opened,
                    None => Opened::new(self.session(choice.token.slot)?),
                };
                self.key_on(Hold::Beside(login), opened, choice, key_label, purpose)
            }
        }
    }

    fn key_on<'a>(
        &'a self,
        mut hold: Hold<'a>,
        mut opened: Opened,
        choice: &Choice<'a>,
        key_label: Option<&str>,
        purpose: Purpose,
    ) -> Result<UnlockedKey<'a>, TokenError> {
        match find(&mut opened, choice, key_label, purpose) {
            Ok(found) => Ok(UnlockedKey::resumed(self, choice.token, hold, opened, found)),
            Err(error) => {
                hold.give_back(opened);
                if matches!(error, TokenError::Removed | TokenError::NotLoggedIn) {
                    hold.lose();
                }
                Err(error)
            }
        }
    }

    /// Ends logins nobody needs any more, and leases whose card was pulled or reset. Tokens at work are left alone.
    pub fn tidy(&self) {
        let queues: Vec<(u64, Queue)> = self.all_queues();
        for (slot, queue) in queues {
            self.tidy_one(slot, &queue);
        }
    }

    /// The same for one token.
    pub fn tidy_token(&self, token: &TokenView) {
        self.tidy_one(token.slot.id(), &self.queue(token));
    }

    fn tidy_one(&self, slot: u64, queue: &Queue) {
        let Some(mut login) = queue.try_alone() else { return };
        if login.carrier().is_none() {
            return;
        }
        if !login.is_leased() {
            login.end();
        } else if !self.is_alive(slot, &mut login) {
            login.lose();
        }
    }

    /// The card is in its place and knows of the login. Costs no card command.
    fn is_alive(&self, slot: u64, login: &mut Login) -> bool {
        let present = cryptoki::slot::Slot::try_from(slot)
            .is_ok_and(|slot| self.context.get_slot_info(slot).is_ok_and(|place| place.token_present()));
        let state = login.carrier().as_ref().and_then(|opened| opened.session.get_session_info().ok());
        let user = |state| matches!(state, SessionState::RoUser | SessionState::RwUser);
        present && state.is_some_and(|info| !login.logged_in || user(info.session_state()))
    }
}

/// The private key on a session under a login, looked for once per session.
fn find(
    opened: &mut Opened,
    choice: &Choice<'_>,
    key_label: Option<&str>,
    purpose: Purpose,
) -> Result<(ObjectHandle, bool), TokenError> {
    if let Some(found) = opened.recall(choice, key_label) {
        return Ok(found);
    }
    if !key::still_there(&opened.session, choice.certificate)? {
        return Err(TokenError::Removed);
    }
    key::look_up(opened, choice, key_label, purpose)
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
