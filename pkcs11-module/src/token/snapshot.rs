//! What is known of an inserted card: each application read once, then answered from memory until the card is gone.

use std::sync::Arc;

use card::hpc::Hpc;
use card::profile::{Application, ApplicationProfile, Curve, KeyKind, KeyProfile, KeyPurpose, PinProfile};
use card::transport::PinPad;
use cryptoki_sys::CK_MECHANISM_TYPE;

use super::mechanisms;
use super::objects::{Object, Offer, objects};
use super::policy;
use crate::config::{self, Config};
use crate::error::{Error, Result};

/// An inserted card, as far as it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    tokens: Vec<(Application, Arc<Token>)>,
}

/// One application of it, which PKCS#11 shows as a token.
#[derive(Debug)]
pub(crate) struct Token {
    /// "HBA QES": unique within a card, without a colon, which would break nicknames in NSS.
    pub(crate) label: String,
    /// The maker of the card's specification.
    pub(crate) manufacturer: String,
    /// The profile's name.
    pub(crate) model: String,
    /// The last 16 digits of the ICCSN.
    pub(crate) serial: String,
    /// Lengths and tries of the PIN.
    pub(crate) pin: &'static PinProfile,
    /// What the reader's PIN pad is used for.
    pub(crate) pin_pad: PinPad,
    /// Whether the card was looked at for what follows.
    pub(crate) complete: bool,
    /// In a fixed order.
    pub(crate) objects: Vec<Arc<Object>>,
    /// What C_GetMechanismList says.
    pub(crate) mechanisms: Vec<CK_MECHANISM_TYPE>,
    keys: Vec<&'static KeyProfile>,
    /// How many keys of the card it was made of.
    keys_seen: usize,
}

impl Snapshot {
    /// Takes over what is known of the card now; answers which applications' objects are new.
    pub(crate) fn update(&mut self, card: &Hpc, config: &Config) -> Vec<(Application, Arc<Token>)> {
        let mut new = Vec::new();
        for application in &card.profile().applications {
            let kind = application.application;
            let known = self.token(kind).ok().filter(|token| token.complete);
            if known.as_ref().is_some_and(|token| !token.lacks_a_key_of(card, kind)) {
                continue;
            }
            let token = Arc::new(Token::of(card, application, config));
            self.tokens.retain(|(known, _)| *known != kind);
            self.tokens.push((kind, token.clone()));
            if token.complete {
                new.push((kind, token));
            }
        }
        new
    }

    /// The token of an application; a card may lack it.
    pub(crate) fn token(&self, application: Application) -> Result<Arc<Token>> {
        let found = self.tokens.iter().find(|(kind, _)| *kind == application);
        found.map(|(_, token)| token.clone()).ok_or(Error::TokenNotRecognized)
    }
}

impl Token {
    fn of(card: &Hpc, application: &'static ApplicationProfile, config: &Config) -> Token {
        let profile = card.profile();
        let kind = application.application;
        let shown: Vec<_> =
            card.keys().iter().filter(|key| !hidden(key.profile, &config.hide_keys)).cloned().collect();
        let offer = Offer {
            always_authenticate: policy(kind, config.qes).always_authenticate(),
            raw_only: kind == Application::Qes,
        };
        let public = !application.keys.iter().any(|key| key.certificate_behind_pin);
        let mut objects = objects(&shown, kind, offer, public);
        objects.insert(0, Arc::new(Object::counter()));
        let shown_keys = objects.iter().filter_map(|object| object.private_key);
        // What a key can do is no secret, even where its certificate is one.
        let waiting = application.keys.iter().filter(|key| key.certificate_behind_pin);
        let waiting = waiting.filter(|key| !hidden(key, &config.hide_keys));
        let mut keys: Vec<_> = shown_keys.collect();
        keys.extend(waiting.filter(|key| !keys.iter().any(|shown| shown.id == key.id)).collect::<Vec<_>>());
        Token {
            label: format!("{} {}", profile.label, name(kind)),
            manufacturer: profile.manufacturer.clone(),
            model: profile.name.clone(),
            serial: last_digits(card.iccsn()).to_owned(),
            pin: &application.pin,
            pin_pad: match config.pin_pad {
                config::PinPad::Off => PinPad::default(),
                config::PinPad::Only | config::PinPad::Optional => card.pin_pad(),
            },
            complete: card.looked_at(kind),
            mechanisms: mechanisms::offered(&keys, offer.raw_only)
                .into_iter()
                .chain(mechanisms::digests())
                .collect(),
            objects,
            keys,
            keys_seen: keys_of(card, kind),
        }
    }

    fn lacks_a_key_of(&self, card: &Hpc, application: Application) -> bool {
        self.keys_seen < keys_of(card, application)
    }

    /// Sizes and flags of a mechanism, if it is offered here.
    pub(crate) fn mechanism_info(&self, kind: CK_MECHANISM_TYPE) -> Result<cryptoki_sys::CK_MECHANISM_INFO> {
        self.check_offered(kind)?;
        mechanisms::info(kind, &self.keys)
    }

    /// Refuses mechanisms that are not listed.
    pub(crate) fn check_offered(&self, kind: CK_MECHANISM_TYPE) -> Result<()> {
        if self.mechanisms.contains(&kind) { Ok(()) } else { Err(Error::MechanismInvalid) }
    }
}

fn keys_of(card: &Hpc, application: Application) -> usize {
    card.keys().iter().filter(|key| key.application == application).count()
}

/// How users see an application.
pub(crate) fn name(application: Application) -> &'static str {
    match application {
        Application::Esign => "ESIGN",
        Application::Qes => "QES",
    }
}

/// Whether a word of `hide_keys` is about this key.
fn hidden(key: &KeyProfile, words: &[String]) -> bool {
    let kind = match key.kind {
        KeyKind::Ec(_) => "ec",
        KeyKind::Rsa { .. } => "rsa",
    };
    let purpose = match key.purpose {
        KeyPurpose::Authentication => "authentication",
        KeyPurpose::Signature => "signature",
        KeyPurpose::Encryption => "encryption",
    };
    let brainpool = matches!(key.kind, KeyKind::Ec(Curve::BrainpoolP256r1));
    words.iter().any(|word| {
        [kind, purpose, key.label.as_str()].contains(&word.as_str()) || (brainpool && word == "brainpool")
    })
}

fn last_digits(iccsn: &str) -> &str {
    iccsn.get(iccsn.len().saturating_sub(16)..).unwrap_or(iccsn)
}
