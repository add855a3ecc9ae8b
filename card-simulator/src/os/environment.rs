//! MANAGE SECURITY ENVIRONMENT (gemSpec_COS 14.9.9; algorithm identifiers: 16.1).

use super::apdu::Command;
use super::channel::{Agreement, Protocol};
use super::{Card, Outcome, Sw};
use crate::crypto::{End, Pace, PaceOffer};
use crate::image::Body;
use crate::layout::{Algorithm, Key, KeyKind};
use crate::tlv;

/// SET for the card's own computations.
const SET: u8 = 0x41;
/// SET for keys of the other side, from certificates.
const SET_EXTERNAL: u8 = 0x81;
/// SET for PACE.
const SET_PACE: u8 = 0xC1;
const RESTORE: u8 = 0xF3;

const SIGNATURE: u8 = 0xB6;
const AUTHENTICATION: u8 = 0xA4;
const CONFIDENTIALITY: u8 = 0xB8;

/// A secret of PACE.
const PACE_PASSWORD: u16 = 0x83;
const KEY_REFERENCE: u16 = 0x84;
/// The number of a curve for PACE.
const DOMAIN_PARAMETERS: u16 = 0x84;
/// EF.CardAccess in the master file.
const CARD_ACCESS: u16 = 0x011C;
const ALGORITHM: u16 = 0x80;

impl Card {
    pub(super) fn manage_security_environment(&mut self, command: &Command<'_>) -> Outcome {
        match command.p1 {
            RESTORE => self.restore_environment(command),
            SET => self.set_key(command),
            SET_EXTERNAL => match command.p2 {
                SIGNATURE => self.choose_verifier(command),
                AUTHENTICATION => self.choose_external(command),
                // Nothing is ever enciphered for another card.
                CONFIDENTIALITY => Err(Sw::REFERENCE_NOT_FOUND),
                _ => Err(Sw::WRONG_PARAMETERS),
            },
            SET_PACE => self.choose_pace(command),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    /// Switches the current folder to another security environment; only numbers its objects have rules for.
    fn restore_environment(&mut self, command: &Command<'_>) -> Outcome {
        if !command.data.is_empty() {
            return Err(Sw::WRONG_LENGTH);
        }
        let layout = self.layout;
        let number = command.p2;
        let channel = self.channel_mut(command.channel())?;
        let folder = channel.folder.id;
        let keys = layout.keys.iter().filter(|key| key.folder == folder).map(|key| &key.access);
        let passwords = layout.passwords.iter().filter(|p| p.folder == folder).map(|p| &p.access);
        if number != 1 && !keys.chain(passwords).any(|access| access.knows_environment(number)) {
            return Err(Sw::REFERENCE_NOT_FOUND);
        }
        channel.environment = number;
        channel.selected = Default::default();
        Ok(Sw::OK.into())
    }

    /// Chooses the password for PACE: protocol, key reference and, where the card offers several, the curve (gemSpec_COS
    /// 14.9.9.4).
    fn choose_pace(&mut self, command: &Command<'_>) -> Outcome {
        if command.p2 != AUTHENTICATION {
            return Err(Sw::WRONG_PARAMETERS);
        }
        let objects = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let Some(&[reference]) = tlv::find(&objects, PACE_PASSWORD) else { return Err(Sw::WRONG_DATA) };
        let protocol = tlv::find(&objects, ALGORITHM).ok_or(Sw::WRONG_DATA)?;
        let mut offers = self.pace_offers();
        offers.retain(|offer| offer.protocol == protocol);
        if offers.is_empty() {
            return Err(Sw::WRONG_DATA);
        }
        match tlv::find(&objects, DOMAIN_PARAMETERS) {
            Some(&[number]) => offers.retain(|offer| offer.parameters == number),
            Some(_) => return Err(Sw::WRONG_DATA),
            None => {}
        }
        let layout = self.layout;
        let folder = self.channel(command.channel())?.folder.id;
        let key = layout.key(folder, reference).filter(|key| key.kind == KeyKind::Pace);
        let key = key.ok_or(Sw::REFERENCE_NOT_FOUND)?;
        let pace = match offers.as_slice() {
            [] => return Err(Sw::REFERENCE_NOT_FOUND),
            [offer] => Pace::new(self.image.can().as_bytes(), offer).ok_or(Sw::REFERENCE_NOT_FOUND)?,
            [..] => return Err(Sw::WRONG_DATA),
        };
        let agreement = Agreement { key, protocol: Protocol::Pace(pace) };
        self.channel_mut(command.channel())?.agreement = Some(agreement);
        Ok(Sw::OK.into())
    }

    /// What EF.CardAccess announces is what the card can do.
    fn pace_offers(&self) -> Vec<PaceOffer> {
        let file = self.layout.files.iter().find(|file| file.folder == 0 && file.fid == CARD_ACCESS);
        match file.map(|file| self.image.body(file)) {
            Some(Body::Bytes(card_access)) => PaceOffer::of(card_access),
            _ => Vec::new(),
        }
    }

    fn set_key(&mut self, command: &Command<'_>) -> Outcome {
        let objects = tlv::parse(command.data).ok_or(Sw::WRONG_DATA)?;
        let single = |tag| match tlv::find(&objects, tag) {
            Some(&[byte]) => Ok(byte),
            _ => Err(Sw::WRONG_DATA),
        };
        let (reference, algorithm) = (single(KEY_REFERENCE)?, single(ALGORITHM)?);
        let layout = self.layout;
        let channel = self.channel_mut(command.channel())?;
        let key = layout.key(channel.folder.id, reference).filter(|key| key.is_private());
        let key = key.ok_or(Sw::REFERENCE_NOT_FOUND)?;
        let environment = channel.environment_of(key.folder);
        let choice = |candidates: &[(u8, Algorithm)]| choose(key, environment, algorithm, candidates);
        match command.p2 {
            SIGNATURE => channel.selected.sign = Some(choice(&SIGN)?),
            AUTHENTICATION => match choice(&AUTHENTICATE)? {
                (key, Algorithm::ElcSessionKey4Sm) => {
                    channel.agreement = Some(Agreement { key, protocol: Protocol::Card(End::Receiver) });
                }
                (key, Algorithm::ElcSessionKey4Tc) => {
                    channel.agreement = Some(Agreement { key, protocol: Protocol::Card(End::Sender) });
                }
                choice => channel.selected.authenticate = Some(choice),
            },
            CONFIDENTIALITY => channel.selected.decipher = Some(choice(&DECIPHER)?),
            _ => return Err(Sw::WRONG_PARAMETERS),
        }
        Ok(Sw::OK.into())
    }
}

const SIGN: [(u8, Algorithm); 3] =
    [(0x00, Algorithm::SignEcdsa), (0x02, Algorithm::SignPkcs1), (0x05, Algorithm::SignPss)];
const AUTHENTICATE: [(u8, Algorithm); 4] = [
    (0x05, Algorithm::RsaClientAuthentication),
    (0x00, Algorithm::ElcRoleAuthentication),
    (0x54, Algorithm::ElcSessionKey4Sm),
    (0xD4, Algorithm::ElcSessionKey4Tc),
];
const DECIPHER: [(u8, Algorithm); 2] =
    [(0x85, Algorithm::RsaDecipherOaep), (0x0B, Algorithm::ElcSharedSecret)];

/// The algorithm an identifier means for this purpose, if the key allows it in the environment.
fn choose(
    key: &'static Key,
    environment: u8,
    identifier: u8,
    candidates: &[(u8, Algorithm)],
) -> Result<(&'static Key, Algorithm), Sw> {
    let found = candidates.iter().find(|(id, _)| *id == identifier).map(|(_, algorithm)| *algorithm);
    let allowed = found.filter(|algorithm| key.algorithms_in(environment).contains(algorithm));
    allowed.map(|algorithm| (key, algorithm)).ok_or(Sw::NOT_SUPPORTED)
}
