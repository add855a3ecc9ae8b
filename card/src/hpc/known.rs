//! A card whose certificates are known from an earlier reading.
//!
//! Two commands see whether they still are the card's: SELECT of an application and the beginning of one certificate,
//! which holds its serial number and issuer. What differs, or cannot be compared, is read anew.

use super::open::{card_key, split};
use super::{CardKey, commands};
use crate::apdu::{Command, Le};
use crate::profile::{KeyProfile, Profile};
use crate::transport::{Transport, TransportError};

/// Certificates by [`KeyProfile::id`](crate::profile::KeyProfile::id), DER, with those of their issuers behind them.
pub type KnownCertificates = Vec<(u8, Vec<u8>)>;

/// What a card is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clue<'c> {
    /// Its serial number.
    Number(&'c str),
    /// The beginning of one of its certificates: up to 256 bytes, padding behind a shorter one included.
    Certificate(&'c [u8]),
}

impl Clue<'_> {
    /// Whether this can come from the card with this serial number and these certificates.
    pub fn is_of(&self, number: &str, certificates: &KnownCertificates) -> bool {
        match self {
            Clue::Number(read) => *read == number,
            Clue::Certificate(read) => certificates.iter().any(|(_, file)| begins(file, read)),
        }
    }
}

/// Finds the serial number and the certificates of a card that was read before.
pub type Recall<'r> = dyn Fn(&Profile, Clue<'_>) -> Option<(String, KnownCertificates)> + 'r;

/// Bytes one short READ BINARY answers.
const COMPARED: usize = 256;

/// The keys with these certificates, if the card agrees. Leaves some application selected.
pub(super) fn check(
    transport: &mut dyn Transport,
    profile: &'static Profile,
    known: &KnownCertificates,
) -> Result<Option<Vec<CardKey>>, TransportError> {
    let Some(keys) = keys(profile, known) else {
        return Ok(None);
    };
    let is_known = |application| keys.iter().any(|key| key.application == application);
    let all = profile.applications.iter().all(|entry| is_known(entry.application));
    let Some(first) = keys.first().filter(|_| all) else {
        return Ok(None);
    };
    let Some(application) = profile.application(first.application) else {
        return Ok(None);
    };
    if !transport.transmit(&commands::select_application(profile.dialect, &application.aid))?.status.is_ok() {
        return Ok(None);
    }
    let beginning = transport.transmit(&read_beginning(first.profile))?.data;
    Ok(begins(&first.certificate, &beginning).then_some(keys))
}

/// READ BINARY of what tells one certificate from another.
pub(super) fn read_beginning(key: &KeyProfile) -> Command {
    Command::new(0x00, 0xB0, 0x80 | key.certificate_sfid, 0x00).le(Le::SHORT_WILDCARD)
}

/// Whether a file on the card that begins so can hold this certificate.
pub(super) fn begins(certificate: &[u8], read: &[u8]) -> bool {
    let compared = certificate.len().min(COMPARED);
    compared > 0 && read.get(..compared) == certificate.get(..compared)
}

/// In the order of the profile, as reading them would give; `None` if something is in there that cannot be of this card.
pub(super) fn keys(profile: &'static Profile, known: &KnownCertificates) -> Option<Vec<CardKey>> {
    let all = profile
        .applications
        .iter()
        .flat_map(|application| application.keys.iter().map(move |key| (application.application, key)));
    let mut keys = Vec::new();
    for (application, profile) in all {
        if let Some((_, certificate)) = known.iter().find(|(id, _)| *id == profile.id) {
            let (_, end) = split(certificate);
            keys.push(
                card_key(application, profile, certificate).filter(|_| end == Some(certificate.len()))?,
            );
        }
    }
    (keys.len() == known.len()).then_some(keys)
}
