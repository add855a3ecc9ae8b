//! Using one private key: log in, sign, log out.
//!
//! A signature key is usually CKA_ALWAYS_AUTHENTICATE. Three kinds of module are served (`docs/decisions` tells why):
//!
//! 1. A USER login arms one signature (our module): `C_Login`, `C_SignInit`, `C_Sign`.
//! 2. A USER login does not count for it: `C_SignInit`, `C_Login(CKU_CONTEXT_SPECIFIC)`, `C_SignUpdate`, `C_SignFinal`.
//!    Tried only after the card refused 1 with "not logged in"; the PIN was found right just before.
//! 3. The token asks for no USER login at all: like 2, at once.

use cryptoki::{
    mechanism::{
        Mechanism, MechanismType,
        rsa::{PkcsMgfType, PkcsPssParams},
    },
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use proto::v1::PinState;
use secrecy::ExposeSecret;

use super::{
    CertificateObject, Choice, Lease, Login, Module, Purpose, TokenError, TokenView, Tries,
    listing::pin_state,
    login::{Hold, Opened},
};

/// A PIN that was entered for one operation, or is to be entered at the reader.
#[derive(Clone, Default)]
pub struct PinEntry {
    /// None: at the reader's key pad.
    pub value: Option<AuthPin>,
    /// Also if only one try is left.
    pub last_try: bool,
}

/// A private key on a token that is logged in. Dropping it logs out, unless the login is leased.
pub struct UnlockedKey<'a> {
    module: &'a Module,
    token: &'a TokenView,
    hold: Hold<'a>,
    /// The session; none once it was lost.
    opened: Option<Opened>,
    key: ObjectHandle,
    pin: Option<&'a AuthPin>,
    always_authenticate: bool,
    /// On the login of an earlier operation: there is no PIN at hand.
    resumed: bool,
}

impl Module {
    /// Logs in and finds the private key of the chosen certificate. A PIN is sent to the card at most once.
    ///
    /// # Errors
    /// Everything a PIN can be, no such key, or the card.
    pub fn unlock<'a>(
        &'a self,
        login: &'a mut Login,
        choice: &Choice<'a>,
        key_label: Option<&str>,
        entry: &'a PinEntry,
        purpose: Purpose,
    ) -> Result<UnlockedKey<'a>, TokenError> {
        let (token, pin) = (choice.token, entry.value.as_ref());
        check_pin(token, pin)?;
        if !entry.last_try && matches!(self.tries(token), Tries::Final) {
            return Err(TokenError::LastTry);
        }
        let session = self.session(token.slot)?;
        if !still_there(&session, choice.certificate)? {
            login.lose();
            return Err(TokenError::Removed);
        }
        if token.login_required
            && let Err(error) = self.log_in(&session, token, UserType::User, pin)
        {
            login.lose();
            return Err(error);
        }
        login.renewed(session, token.login_required);
        let mut opened = login.carrier().take().ok_or(TokenError::NotLoggedIn)?;
        let found = look_up(&mut opened, choice, key_label, purpose);
        let mut hold = Hold::Alone(login);
        match found {
            Ok((key, always_authenticate)) => {
                let opened = Some(opened);
                Ok(UnlockedKey {
                    module: self,
                    token,
                    hold,
                    opened,
                    key,
                    pin,
                    always_authenticate,
                    resumed: false,
                })
            }
            Err(error) => {
                hold.give_back(opened);
                hold.end_if_unleased();
                Err(error)
            }
        }
    }

    fn log_in(
        &self,
        session: &Session,
        token: &TokenView,
        user: UserType,
        pin: Option<&AuthPin>,
    ) -> Result<(), TokenError> {
        use cryptoki::error::{Error, RvError};
        let result = match session.login(user, pin) {
            // Left over from an operation that could not log out. That login is not this caller's.
            Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
                session.logout()?;
                session.login(user, pin)
            }
            other => other,
        };
        result.map_err(|error| match TokenError::from(error) {
            TokenError::PinIncorrect(_) => TokenError::PinIncorrect(self.tries(token)),
            other => other,
        })
    }

    /// What the token flags say after a wrong PIN; the card is not asked.
    fn tries(&self, token: &TokenView) -> Tries {
        match self.context.get_token_info(token.slot).map(|info| pin_state(&info)) {
            Ok(PinState::Blocked) => Tries::None,
            Ok(PinState::FinalTry) => Tries::Final,
            Ok(PinState::CountLow) => Tries::Low,
            _ => Tries::Unknown,
        }
    }
}

impl<'a> UnlockedKey<'a> {
    pub(super) fn resumed(
        module: &'a Module,
        token: &'a TokenView,
        hold: Hold<'a>,
        opened: Opened,
        (key, always_authenticate): (ObjectHandle, bool),
    ) -> UnlockedKey<'a> {
        UnlockedKey {
            module,
            token,
            hold,
            opened: Some(opened),
            key,
            pin: None,
            always_authenticate,
            resumed: true,
        }
    }

    /// Keeps the login when this key is dropped.
    pub fn lease(&self) -> Lease {
        self.hold.login().lease()
    }

    /// Signs a digest. ECDSA: r and s, each in the curve's width; RSA: the number as it is.
    ///
    /// # Errors
    /// The card refuses or fails; nothing is repeated that was counted.
    pub fn sign(&mut self, algorithm: cades::Algorithm, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.hold.login().count();
        let signed = self.sign_once(&mechanism(algorithm), digest);
        if matches!(signed, Err(TokenError::NotLoggedIn | TokenError::Removed)) {
            self.give_back();
            self.hold.lose();
        }
        signed
    }

    fn give_back(&mut self) {
        if let Some(opened) = self.opened.take() {
            self.hold.give_back(opened);
        }
    }

    fn sign_once(&self, mechanism: &Mechanism<'_>, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        let session = &self.opened.as_ref().ok_or(TokenError::NotLoggedIn)?.session;
        if self.always_authenticate && !self.token.login_required {
            return self.sign_with_context_login(session, mechanism, digest);
        }
        match session.sign(mechanism, self.key, digest).map_err(TokenError::from) {
            Err(TokenError::NotLoggedIn) if self.always_authenticate && !self.resumed => {
                self.sign_with_context_login(session, mechanism, digest)
            }
            other => other,
        }
    }

    fn sign_with_context_login(
        &self,
        session: &Session,
        mechanism: &Mechanism<'_>,
        digest: &[u8],
    ) -> Result<Vec<u8>, TokenError> {
        use cryptoki::error::{Error, RvError};
        if self.resumed {
            return Err(TokenError::NotLoggedIn);
        }
        session.sign_init(mechanism, self.key)?;
        self.module.log_in(session, self.token, UserType::ContextSpecific, self.pin)?;
        session.sign_update(digest).map_err(|error| match error {
            Error::Pkcs11(RvError::FunctionNotSupported | RvError::OperationNotInitialized, _) => {
                TokenError::KeyNotUsable(
                    "it demands a login per signature, which this module offers for single-part signing only"
                        .into(),
                )
            }
            other => other.into(),
        })?;
        Ok(session.sign_final()?)
    }
}

impl Drop for UnlockedKey<'_> {
    fn drop(&mut self) {
        self.give_back();
        self.hold.end_if_unleased();
    }
}

/// Refuses a PIN the card would refuse anyway, without sending it.
fn check_pin(token: &TokenView, pin: Option<&AuthPin>) -> Result<(), TokenError> {
    let (shortest, longest) = token.pin_lengths;
    match pin.map(|pin| pin.expose_secret().len()) {
        None if token.pin_pad => Ok(()),
        None | Some(0) => Err(TokenError::PinRequired),
        Some(length) if length < shortest || (longest >= shortest && length > longest) => {
            Err(TokenError::PinFormat)
        }
        Some(_) => Ok(()),
    }
}

/// Cards share their object ids: after a swap the same id may belong to another person's key.
pub(super) fn still_there(session: &Session, chosen: &CertificateObject) -> Result<bool, TokenError> {
    let template =
        [Attribute::Class(ObjectClass::CERTIFICATE), Attribute::Value(chosen.certificate.der.clone())];
    Ok(!session.find_objects(&template)?.is_empty())
}

/// Looks for the private key on a session under a login, and whether it wants a login per signature.
pub(super) fn look_up(
    opened: &mut Opened,
    choice: &Choice<'_>,
    key_label: Option<&str>,
    purpose: Purpose,
) -> Result<(ObjectHandle, bool), TokenError> {
    let key = private_key(&opened.session, choice.certificate, key_label, purpose)?;
    let found = (key, always_authenticate(&opened.session, key));
    opened.remember(choice, key_label, found);
    Ok(found)
}

fn private_key(
    session: &Session,
    certificate: &CertificateObject,
    key_label: Option<&str>,
    purpose: Purpose,
) -> Result<ObjectHandle, TokenError> {
    let belongs = match key_label {
        Some(label) => Attribute::Label(label.as_bytes().to_vec()),
        None => Attribute::Id(certificate.id.clone()),
    };
    let found = session.find_objects(&[Attribute::Class(ObjectClass::PRIVATE_KEY), belongs])?;
    match found.as_slice() {
        [key, ..] => Ok(*key),
        [] => Err(TokenError::NoKey { what: "private key", purpose: purpose.name() }),
    }
}

/// A token that does not know the attribute does not have the property.
fn always_authenticate(session: &Session, key: ObjectHandle) -> bool {
    let attributes = session.get_attributes(key, &[AttributeType::AlwaysAuthenticate]).unwrap_or_default();
    attributes.iter().any(|attribute| matches!(attribute, Attribute::AlwaysAuthenticate(true)))
}

/// The raw mechanisms: the digest is made here, so that every module and card is asked the same.
fn mechanism(algorithm: cades::Algorithm) -> Mechanism<'static> {
    match algorithm {
        cades::Algorithm::EcdsaSha256(_) | cades::Algorithm::EcdsaSha384 => Mechanism::Ecdsa,
        cades::Algorithm::RsaPssSha256 => Mechanism::RsaPkcsPss(PkcsPssParams {
            hash_alg: MechanismType::SHA256,
            mgf: PkcsMgfType::MGF1_SHA256,
            s_len: 32.into(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pin: Option<&str>, pin_pad: bool) -> Result<(), TokenError> {
        let token = TokenView { pin_pad, pin_lengths: (6, 8), ..TokenView::for_tests("HPC QES", "1") };
        check_pin(&token, pin.map(AuthPin::from).as_ref())
    }

    #[test]
    fn a_pin_of_the_wrong_length_is_not_sent() {
        assert!(matches!(checked(Some("12345"), false), Err(TokenError::PinFormat)));
        assert!(matches!(checked(Some("123456789"), false), Err(TokenError::PinFormat)));
        assert!(checked(Some("12345678"), false).is_ok());
    }

    #[test]
    fn no_pin_is_needed_with_a_key_pad_only() {
        assert!(checked(None, true).is_ok());
        assert!(matches!(checked(None, false), Err(TokenError::PinRequired)));
        assert!(matches!(checked(Some(""), false), Err(TokenError::PinRequired)));
    }
}
