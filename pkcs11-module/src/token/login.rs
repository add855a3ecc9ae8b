//! Who may sign: the login state of one token (PKCS#11 v3.1 clauses 5.6.8, 4.9 "CKA_ALWAYS_AUTHENTICATE").
//!
//! Java, OpenSSH and others never send a context-specific login, so on a QES token in `login` mode a user login arms
//! exactly one signature:
//!
//! ```text
//! locked --user login--> armed --signature--> spent
//! spent --user login--> armed
//! armed or spent --context login in session S--> granted to S --operation of S ends--> spent
//! ```
//!
//! The security officer of PKCS#11 is whoever has the PUK. The cards have no login for it: the PUK is looked at when it
//! is used, so it waits here, wiped from memory, from C_Login until C_InitPIN (clause 5.5.8) or C_Logout. One that will be
//! entered on the reader's pad is never here.
//!
//! Pure state; what has to happen on the card is said by the return values.

use card::pin::Pin;
use cryptoki_sys::CK_SESSION_HANDLE;

use crate::error::{Error, Result};

/// How many signatures a login is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Any number, until logout or until the card says no.
    Unlimited,
    /// A user login allows one, a context-specific login another.
    OneEach,
    /// Only a context-specific login allows one; the key is visible without any login.
    ContextOnly,
}

impl Policy {
    /// Whether the keys are CKA_ALWAYS_AUTHENTICATE.
    pub(crate) fn always_authenticate(self) -> bool {
        self != Policy::Unlimited
    }
}

/// A PIN entry that has not been used yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grant {
    AnySession,
    Session(CK_SESSION_HANDLE),
}

/// Who is logged in, for those who ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginState {
    /// Nobody.
    Nobody,
    /// The user.
    User,
    /// The security officer.
    Officer,
}

/// Whether the PIN state on the card must be ended now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub(crate) enum OnCard {
    /// Leave it.
    Keep,
    /// End it.
    End,
}

/// The login state.
#[derive(Debug)]
pub(crate) struct Login {
    policy: Policy,
    who: Who,
    grant: Option<Grant>,
}

/// Who is logged in.
#[derive(Debug)]
enum Who {
    Nobody,
    User,
    Officer(Puk),
}

/// An officer's PUK.
#[derive(Debug)]
pub(crate) enum Puk {
    /// As it was typed, until it is handed out.
    Typed(Option<Pin>),
    /// Whenever it is needed, it is entered on the reader's pad.
    OnPad,
}

impl Login {
    /// Nobody is logged in.
    pub(crate) fn new(policy: Policy) -> Self {
        Login { policy, who: Who::Nobody, grant: None }
    }

    /// Who is logged in.
    pub(crate) fn state(&self) -> LoginState {
        match self.who {
            Who::Nobody => LoginState::Nobody,
            Who::User => LoginState::User,
            Who::Officer(_) => LoginState::Officer,
        }
    }

    /// Whether there is nothing that a logout could end.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.who, Who::Nobody) && self.grant.is_none()
    }

    /// Whether private objects can be seen.
    pub(crate) fn shows_private_objects(&self) -> bool {
        match self.state() {
            LoginState::User => true,
            LoginState::Nobody => self.policy == Policy::ContextOnly,
            LoginState::Officer => false,
        }
    }

    /// Whether a user login makes sense now; it does again once an armed signature has been made.
    pub(crate) fn check_user_login(&self) -> Result<()> {
        let exhausted = self.policy == Policy::OneEach && self.grant != Some(Grant::AnySession);
        match self.who {
            Who::Officer(_) => Err(Error::UserAnotherAlreadyLoggedIn),
            Who::User if !exhausted => Err(Error::UserAlreadyLoggedIn),
            Who::User | Who::Nobody => Ok(()),
        }
    }

    /// A security officer is there, with a PUK.
    pub(crate) fn officer_comes(&mut self, puk: Puk) -> Result<()> {
        match self.who {
            Who::Officer(_) => Err(Error::UserAlreadyLoggedIn),
            Who::User => Err(Error::UserAnotherAlreadyLoggedIn),
            Who::Nobody => {
                self.who = Who::Officer(puk);
                Ok(())
            }
        }
    }

    /// Hands out the officer's PUK, once: whether it was right or not, it is not sent again without being entered again.
    /// `None` for one that is entered on the reader's pad, each time anew.
    pub(crate) fn take_puk(&mut self) -> Result<Option<Pin>> {
        match &mut self.who {
            Who::Officer(Puk::OnPad) => Ok(None),
            Who::Officer(Puk::Typed(puk)) => puk.take().map(Some).ok_or(Error::UserNotLoggedIn),
            Who::User | Who::Nobody => Err(Error::UserNotLoggedIn),
        }
    }

    /// Whether the officer's PUK will be entered on the reader's pad.
    pub(crate) fn has_puk_on_pad(&self) -> bool {
        matches!(self.who, Who::Officer(Puk::OnPad))
    }

    /// The card accepted the PIN of a user login.
    pub(crate) fn user_accepted(&mut self) -> OnCard {
        self.who = Who::User;
        self.grant = (self.policy == Policy::OneEach).then_some(Grant::AnySession);
        if self.policy == Policy::ContextOnly { OnCard::End } else { OnCard::Keep }
    }

    /// The card refused the PIN of a user login.
    pub(crate) fn user_refused(&mut self) {
        self.lost();
    }

    /// The card accepted the PIN of a context-specific login.
    pub(crate) fn context_accepted(&mut self, session: CK_SESSION_HANDLE) {
        self.grant = Some(Grant::Session(session));
    }

    /// The card refused the PIN of a context-specific login: the operation stays, unauthenticated; a blocked PIN logs
    /// the user out.
    pub(crate) fn context_refused(&mut self, blocked: bool) {
        self.grant = None;
        if blocked {
            self.who = Who::Nobody;
        }
    }

    /// Takes what a signature in this session needs; says whether it was the last one of its PIN entry.
    pub(crate) fn spend(&mut self, session: CK_SESSION_HANDLE) -> Result<OnCard> {
        match (self.policy, self.grant) {
            (Policy::Unlimited, _) if self.state() == LoginState::User => Ok(OnCard::Keep),
            (Policy::OneEach, Some(Grant::AnySession)) => Ok(self.end_grant()),
            (Policy::OneEach | Policy::ContextOnly, Some(Grant::Session(owner))) if owner == session => {
                Ok(self.end_grant())
            }
            _ => Err(Error::UserNotLoggedIn),
        }
    }

    /// The operation of a session is over; a context-specific login for it is over too.
    pub(crate) fn operation_ended(&mut self, session: CK_SESSION_HANDLE) -> OnCard {
        if self.grant == Some(Grant::Session(session)) { self.end_grant() } else { OnCard::Keep }
    }

    /// The login is gone: logout, reset, or the card says so.
    pub(crate) fn lost(&mut self) {
        *self = Login::new(self.policy);
    }

    fn end_grant(&mut self) -> OnCard {
        self.grant = None;
        OnCard::End
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(result: Result<OnCard>) -> bool {
        matches!(result, Err(Error::UserNotLoggedIn))
    }

    #[test]
    fn ordinary_login_serves_every_session_until_logout() {
        let mut login = Login::new(Policy::Unlimited);
        assert!(refused(login.spend(1)));
        assert_eq!(login.user_accepted(), OnCard::Keep);
        assert_eq!(login.spend(1).unwrap(), OnCard::Keep);
        assert_eq!(login.spend(2).unwrap(), OnCard::Keep);
        assert!(matches!(login.check_user_login(), Err(Error::UserAlreadyLoggedIn)));
        login.lost();
        assert!(refused(login.spend(1)));
        assert!(!login.shows_private_objects());
    }

    #[test]
    fn user_login_arms_one_signature() {
        let mut login = Login::new(Policy::OneEach);
        assert_eq!(login.user_accepted(), OnCard::Keep);
        assert!(login.check_user_login().is_err());
        assert_eq!(login.spend(7).unwrap(), OnCard::End);
        assert!(refused(login.spend(7)));
        assert!(login.state() == LoginState::User && login.shows_private_objects());
        login.check_user_login().unwrap();
        let _ = login.user_accepted();
        let _ = login.spend(8).unwrap();
    }

    #[test]
    fn context_login_serves_its_session_once() {
        let mut login = Login::new(Policy::OneEach);
        let _ = login.user_accepted();
        login.context_accepted(1);
        assert!(refused(login.spend(2)));
        assert_eq!(login.spend(1).unwrap(), OnCard::End);
        assert!(refused(login.spend(1)));
    }

    #[test]
    fn context_login_ends_with_the_operation() {
        let mut login = Login::new(Policy::OneEach);
        let _ = login.user_accepted();
        login.context_accepted(1);
        assert_eq!(login.operation_ended(2), OnCard::Keep);
        assert_eq!(login.operation_ended(1), OnCard::End);
        assert!(refused(login.spend(1)));
    }

    #[test]
    fn wrong_context_pin_takes_the_armed_signature_but_not_the_login() {
        let mut login = Login::new(Policy::OneEach);
        let _ = login.user_accepted();
        login.context_refused(false);
        assert!(refused(login.spend(1)));
        assert_eq!(login.state(), LoginState::User);
        login.context_refused(true);
        assert_eq!(login.state(), LoginState::Nobody);
    }

    #[test]
    fn context_only_token_arms_nothing_by_a_user_login() {
        let mut login = Login::new(Policy::ContextOnly);
        assert!(login.shows_private_objects());
        assert_eq!(login.user_accepted(), OnCard::End);
        assert!(refused(login.spend(1)));
        login.context_accepted(1);
        assert_eq!(login.spend(1).unwrap(), OnCard::End);
    }

    #[test]
    fn wrong_user_pin_logs_out() {
        let mut login = Login::new(Policy::OneEach);
        let _ = login.user_accepted();
        let _ = login.spend(1).unwrap();
        login.user_refused();
        assert_eq!(login.state(), LoginState::Nobody);
    }

    #[test]
    fn an_officer_is_no_user_and_the_puk_is_handed_out_once() {
        let puk = || Puk::Typed(Some(Pin::parse(b"12345678", 8, 8).unwrap()));
        let mut login = Login::new(Policy::Unlimited);
        assert!(matches!(login.take_puk(), Err(Error::UserNotLoggedIn)));
        login.officer_comes(puk()).unwrap();
        assert!(login.state() == LoginState::Officer && !login.shows_private_objects());
        assert!(matches!(login.check_user_login(), Err(Error::UserAnotherAlreadyLoggedIn)));
        assert!(matches!(login.officer_comes(puk()), Err(Error::UserAlreadyLoggedIn)));
        assert!(refused(login.spend(1)));
        assert!(login.take_puk().unwrap().is_some());
        assert!(login.take_puk().is_err() && login.state() == LoginState::Officer);
        login.lost();
        let _ = login.user_accepted();
        assert!(matches!(login.officer_comes(puk()), Err(Error::UserAnotherAlreadyLoggedIn)));
    }

    #[test]
    fn an_officer_whose_puk_is_entered_on_a_pad_may_be_asked_again() {
        let mut login = Login::new(Policy::OneEach);
        login.officer_comes(Puk::OnPad).unwrap();
        for _ in 0..2 {
            assert!(login.has_puk_on_pad() && login.take_puk().unwrap().is_none());
        }
        login.lost();
        assert!(!login.has_puk_on_pad() && login.take_puk().is_err());
    }
}
