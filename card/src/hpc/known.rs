//! A card whose certificates are known from an earlier reading.
//!
//! Two commands see whether they still are the card's: SELECT of an application and the beginning of one certificate,
//! which holds its serial number and issuer. What differs, or cannot be compared, is read anew.

use super::open::{card_key, split};
use super::{CardKey, commands};
use crate::apdu::{Command, Le};
use crate::profile::Profile;
use crate::transport::{Transport, TransportError};

/// Certificates by [`KeyProfile::id`](crate::profile::KeyProfile::id), DER, with those of their issuers behind them.
pub type KnownCertificates = Vec<(u8, Vec<u8>)>;

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
    let Some(first) = keys.first() else {
        return Ok(None);
    };
    let Some(application) = profile.application(first.application) else {
        return Ok(None);
    };
    if !transport.transmit(&commands::select_application(profile.dialect, &application.aid))?.status.is_ok() {
        return Ok(None);
    }
    let read = Command::new(0x00, 0xB0, 0x80 | first.profile.certificate_sfid, 0x00);
    let beginning = transport.transmit(&read.le(Le::SHORT_WILDCARD))?.data;
    let compared = first.certificate.len().min(COMPARED);
    let same = beginning.get(..compared) == first.certificate.get(..compared);
    Ok(same.then_some(keys))
}

/// In the order of the profile, as reading them would give; `None` if something is in there that cannot be of this card.
fn keys(profile: &'static Profile, known: &KnownCertificates) -> Option<Vec<CardKey>> {
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
