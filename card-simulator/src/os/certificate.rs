//! Card-verifiable certificates: PSO VERIFY CERTIFICATE, LIST PUBLIC KEY (gemSpec_COS 14.8.9 and 14.9.7).

use super::apdu::Command;
use super::binary::no_data;
use super::trust::CardKey;
use super::{Card, Outcome, Reply, Sw};
use crate::crypto::{CvCertificate, Holder};
use crate::image::TrustedKey;
use crate::layout::{Anchor, Key, Operation};
use crate::tlv;

impl Card {
    /// MSE SET for VERIFY CERTIFICATE: the issuer's key.
    pub(super) fn choose_verifier(&mut self, command: &Command<'_>) -> Outcome {
        let objects = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let reference = tlv::find(&objects, 0x83).ok_or(Sw::WRONG_DATA)?;
        let key = self.image.trusted_key(reference).ok_or(Sw::REFERENCE_NOT_FOUND)?.clone();
        self.channel_mut(command.channel())?.trust.verifier = Some(key);
        Ok(Sw::OK.into())
    }

    /// Takes over the key in a certificate that the chosen key signed. The rights it gets are those of the certificate
    /// that its issuer has as well.
    pub(super) fn verify_certificate(&mut self, command: &Command<'_>) -> Outcome {
        let channel = self.channel(command.channel())?;
        let issuer = channel.trust.verifier.clone().ok_or(Sw::CONDITIONS_OF_USE)?;
        let (key, anchor) = self.anchor(&issuer.anchor).ok_or(Sw::KEY_INVALID)?;
        let is_root = self.is_own_root(&issuer);
        let rules = if is_root { &key.access } else { &anchor.verification_access };
        self.allowed(channel, key.folder, rules, Operation::VerifyCertificate)?;
        let certificate = CvCertificate::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        if certificate.issuer != issuer.reference {
            return Err(Sw::REFERENCE_NOT_FOUND);
        }
        let today = self.image.today();
        if issuer.expires < today || certificate.expires < today {
            return Err(Sw::BLOCKED);
        }
        let holder = certificate.rights.holder().ok_or(Sw::WRONG_DATA)?;
        let in_order = certificate.rights.list == issuer.rights.list
            && may_issue(issuer.rights.holder(), holder)
            && certificate.is_signed_by(&issuer.point);
        if !in_order {
            return Err(Sw::WRONG_DATA);
        }
        let rights = certificate.rights.within(issuer.rights);
        let CvCertificate { holder: reference, point, expires, effective, .. } = certificate;
        if holder == Holder::Card {
            let card = CardKey { anchor: key, reference, point, rights, expires };
            self.channel_mut(command.channel())?.trust.import(card);
        } else if !self.image.trusted_key(&reference).is_some_and(|known| self.is_own_root(known)) {
            let learned = TrustedKey { anchor: issuer.anchor, reference, point, rights, expires };
            self.image.learn_key(learned, effective)?;
        }
        Ok(Sw::OK.into())
    }

    /// LIST PUBLIC KEY: references of all keys from certificates and of the roots.
    pub(super) fn list_public_keys(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        if command.parameters() != 0x0100 {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let limit = self.expects_data(command)?;
        let layout = self.layout;
        let entry = |folder: usize, purpose: u16, reference: &[u8]| {
            let template = tlv::encode(purpose, &tlv::encode(0x83, reference));
            tlv::encode(0xE0, &[tlv::encode(0x4F, &layout.folder(folder).aid), template].concat())
        };
        let verifiers = self.image.trusted_keys().map(|key| {
            let folder = self.anchor(&key.anchor).map_or(0, |(anchor, _)| anchor.folder);
            entry(folder, 0xB6, &key.reference)
        });
        let channel = self.channel(command.channel())?;
        let cards = channel.trust.cards().iter().map(|key| entry(key.anchor.folder, 0xA4, &key.reference));
        let mut data = Vec::new();
        for entry in verifiers.chain(cards) {
            if data.len() + entry.len() > limit {
                return Ok(Reply { data, status: Sw::LIST_TRUNCATED });
            }
            data.extend(entry);
        }
        Ok(data.into())
    }

    fn anchor(&self, path: &str) -> Option<(&'static Key, &'static Anchor)> {
        let layout = self.layout;
        let key = layout.keys.iter().find(|key| key.path == path)?;
        Some((key, key.anchor.as_ref()?))
    }

    fn is_own_root(&self, key: &TrustedKey) -> bool {
        self.image.roots().iter().any(|root| root.reference == key.reference)
    }
}

/// A root vouches for roots and authorities, an authority for cards.
fn may_issue(issuer: Option<Holder>, holder: Holder) -> bool {
    match issuer {
        Some(Holder::Root) => holder != Holder::Card,
        Some(Holder::Authority) => holder == Holder::Card,
        Some(Holder::Card) | None => false,
    }
}
