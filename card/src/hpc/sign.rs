//! Signatures: PSO COMPUTE DIGITAL SIGNATURE (ISO/IEC 7816-8 clause 11.8, gemSpec_COS clause 14.8.2).
//!
//! Once the key is selected, one signature is one command. On a channel of our own that is all there is to it. On the
//! basic channel anybody may have selected another DF meanwhile, where the same key reference names another key: what is
//! thought to be selected is used, but the signature is believed only if it verifies with the certificate's key. Where
//! nothing is, or that fails, a signature begins with SELECT (ESIGN, whose PIN survives it) or with GET PIN STATUS (QES,
//! whose PIN does not), in the same section.

use super::commands::{self, KeyChoice};
use super::session::Place;
use super::{CardError, Hpc};
use crate::apdu::{Channel, Response};
use crate::profile::{Application, Dialect, KeyKind, KeyProfile, SignatureScheme};
use crate::public_key::PublicKey;
use crate::status::StatusWord;

/// Bytes of a SHA-256 digest.
const SHA256_LEN: usize = 32;

impl Hpc {
    pub(super) fn sign_input(
        &mut self,
        key_id: u8,
        scheme: SignatureScheme,
        input: &[u8],
    ) -> Result<Vec<u8>, CardError> {
        let key = self.keys.iter().find(|key| key.profile.id == key_id).ok_or(CardError::KeyMissing)?;
        let (application, key, certificate) = (key.application, key.profile, key.certificate.clone());
        let algorithm = key.algorithm(scheme).ok_or(CardError::SchemeNotAllowed { scheme })?;
        check_length(key, scheme, input.len())?;
        let choice = KeyChoice { reference: key.reference, algorithm };
        let order = Order { choice, kind: key.kind, scheme, input };
        if !self.session(application)?.usable() {
            return Err(CardError::NotLoggedIn);
        }
        self.others_step_aside(application);
        let signature = self.section(|hpc| {
            if hpc.session(application)?.may_be_selected()
                && let Some(public_key) = PublicKey::from_certificate(&certificate, key.kind)
                && let Some(signature) = hpc.try_shared(application, &order)?
            {
                if public_key.verifies(scheme, input, &signature) {
                    return Ok(signature);
                }
                tracing::debug!("another program's key answered");
                hpc.session(application)?.key = None;
            }
            let channel = hpc.reach(application)?;
            hpc.compute(application, channel, &order)
        })?;
        let expected = key.kind.signature_len();
        if signature.len() != expected {
            return Err(CardError::SignatureLength { expected, got: signature.len() });
        }
        Ok(signature)
    }

    /// Where a key is chosen for the whole card, choosing one takes the other away, and with it what a PIN that was entered
    /// for one signature was good for.
    fn others_step_aside(&mut self, application: Application) {
        let dialect = self.profile.dialect;
        if !matches!(dialect, Dialect::Beid | Dialect::Jpki) {
            return;
        }
        for session in self.sessions.iter_mut().filter(|session| session.application != application) {
            session.key = None;
            if dialect == Dialect::Beid && session.application == Application::Qes {
                session.forget();
            }
        }
    }

    /// Signs with what is thought to be selected on the basic channel, without making sure. `None` if the card refuses,
    /// which says nothing: another program may have selected something else.
    fn try_shared(
        &mut self,
        application: Application,
        order: &Order<'_>,
    ) -> Result<Option<Vec<u8>>, CardError> {
        if self.session(application)?.key != Some(order.choice) {
            if let Some(select) = commands::select_key(self.profile.dialect, order.choice)
                && !self.send(&select)?.status.is_ok()
            {
                return Ok(None);
            }
            self.session(application)?.key = Some(order.choice);
        }
        let response = self.send_order(order, Channel::BASIC)?;
        if response.status.is_ok() {
            return Ok(commands::signature(self.profile.dialect, order.kind, response.data));
        }
        self.session(application)?.key = None;
        Ok(None)
    }

    /// Sends the commands of a signature. The first one that is refused ends it.
    fn send_order(&mut self, order: &Order<'_>, channel: Channel) -> Result<Response, CardError> {
        let Order { choice, kind, scheme, input } = *order;
        let mut response = Response { data: Vec::new(), status: StatusWord::OK };
        for command in commands::sign(self.profile.dialect, choice, kind, scheme, input) {
            response = self.send(&command.on_channel(channel))?;
            if !response.status.is_ok() {
                break;
            }
        }
        Ok(response)
    }

    /// Makes sure that the application is the selected one and returns its channel.
    pub(super) fn reach(&mut self, application: Application) -> Result<Channel, CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        let card_tells = matches!(self.profile.dialect, Dialect::Cos | Dialect::Piv);
        let session = self.session(application)?;
        match session.place {
            Place::Own(channel) => Ok(channel),
            Place::Shared if application == Application::Qes && session.logged_in && card_tells => {
                session.key = None;
                if let Some(ask) = commands::pin_status(self.profile.dialect, profile.pin.reference)
                    && self.send(&ask)?.status.is_ok()
                {
                    return Ok(Channel::BASIC);
                }
                self.session(application)?.forget();
                Err(CardError::NotLoggedIn)
            }
            Place::Shared | Place::Nowhere => self.select_shared(profile).map(|()| Channel::BASIC),
        }
    }

    /// Selects the key if it is not selected yet, and has it sign.
    fn compute(
        &mut self,
        application: Application,
        channel: Channel,
        order: &Order<'_>,
    ) -> Result<Vec<u8>, CardError> {
        let selected = self.session(application)?.key == Some(order.choice);
        if !selected {
            self.select_key(application, channel, order)?;
        }
        let mut response = self.send_order(order, channel)?;
        if selected && response.status == StatusWord::CONDITIONS {
            self.select_key(application, channel, order)?;
            response = self.send_order(order, channel)?;
        }
        if !response.status.is_ok() {
            return Err(self.refused(application, order.command(self.profile.dialect), response.status));
        }
        let got = response.data.len();
        let signature = commands::signature(self.profile.dialect, order.kind, response.data);
        signature.ok_or(CardError::SignatureLength { expected: order.kind.signature_len(), got })
    }

    fn select_key(
        &mut self,
        application: Application,
        channel: Channel,
        order: &Order<'_>,
    ) -> Result<(), CardError> {
        let Order { choice, scheme, .. } = *order;
        self.session(application)?.key = None;
        let status = match commands::select_key(self.profile.dialect, choice) {
            Some(select) => self.send(&select.on_channel(channel))?.status,
            None => StatusWord::OK,
        };
        match status {
            StatusWord::OK => {
                self.session(application)?.key = Some(choice);
                Ok(())
            }
            StatusWord::REFERENCE_NOT_FOUND => Err(CardError::KeyMissing),
            StatusWord::NOT_SUPPORTED => Err(CardError::SchemeNotAllowed { scheme }),
            status => Err(self.refused(application, "MANAGE SECURITY ENVIRONMENT", status)),
        }
    }

    /// A refusal may mean that the login is over: used up (EF.SSEC), or closed with its channel by somebody else.
    pub(super) fn refused(
        &mut self,
        application: Application,
        command: &'static str,
        status: StatusWord,
    ) -> CardError {
        let Ok(session) = self.session(application) else {
            return CardError::KeyMissing;
        };
        session.key = None;
        match status {
            StatusWord::SECURITY_STATUS => {
                session.log_out();
                CardError::NotLoggedIn
            }
            StatusWord::CHANNEL_CLOSED => {
                session.forget();
                CardError::NotLoggedIn
            }
            StatusWord::KEY_INVALID => CardError::KeyMissing,
            status => CardError::Status { command, status },
        }
    }
}

/// What is to be signed by which key, and how.
struct Order<'i> {
    choice: KeyChoice,
    kind: KeyKind,
    scheme: SignatureScheme,
    input: &'i [u8],
}

impl Order<'_> {
    fn command(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Cos | Dialect::Beid | Dialect::Jpki => "PSO COMPUTE DIGITAL SIGNATURE",
            Dialect::Piv => "GENERAL AUTHENTICATE",
            Dialect::Esteid if self.choice.reference == 0x81 => "INTERNAL AUTHENTICATE",
            Dialect::Esteid => "PSO COMPUTE DIGITAL SIGNATURE",
        }
    }
}

/// A card may sign whatever it is given; a digest of the wrong length is stopped here.
fn check_length(key: &KeyProfile, scheme: SignatureScheme, got: usize) -> Result<(), CardError> {
    let (expected, fits) = match (key.kind, scheme) {
        (KeyKind::Ec(curve), SignatureScheme::Ecdsa) => (curve.field_len(), got == curve.field_len()),
        (KeyKind::Rsa { .. }, SignatureScheme::RsaPssSha256) => (SHA256_LEN, got == SHA256_LEN),
        (KeyKind::Rsa { bits }, SignatureScheme::RsaPkcs1) => {
            // gemSpec_COS: at most 40 % of the modulus.
            let most = usize::from(bits) / 8 * 2 / 5;
            (most, (1..=most).contains(&got))
        }
        _ => return Err(CardError::SchemeNotAllowed { scheme }),
    };
    if fits { Ok(()) } else { Err(CardError::InputLength { expected, got }) }
}
