//! Identity and address of a Belgian eID card (Belgian eID Card Specifications): flat lists of tag, length and value.

use card::apdu::Command;
use card::file::{Length, read_current};
use card::tlv::total_len;
use card::transport::{Transport, TransportError};
use serde::Serialize;

use super::register::{RegisterSignatures, Signed};
use super::{IdentityError, file_error, text};
use crate::certificates::CardCertificate;

const IDENTITY: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x31];
const ADDRESS: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x33];
const IDENTITY_SIGNATURE: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x32];
const ADDRESS_SIGNATURE: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x34];
const PHOTO: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x35];
const REGISTER_CERTIFICATE: [u8; 6] = [0x3F, 0x00, 0xDF, 0x00, 0x50, 0x3C];
/// Certificates of those who issued the holder's, and of the register.
const AUTHORITIES: [(&str, [u8; 6]); 3] = [
    ("C.CA", [0x3F, 0x00, 0xDF, 0x00, 0x50, 0x3A]),
    ("C.Root", [0x3F, 0x00, 0xDF, 0x00, 0x50, 0x3B]),
    ("C.RRN", REGISTER_CERTIFICATE),
];

/// What the card says, in the language of its issue. Dates are as on the card.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Belgian {
    /// Number of the card.
    pub card_number: Option<String>,
    /// Number of the chip, hexadecimal.
    pub chip_number: Option<String>,
    /// First day of validity, DD.MM.YYYY.
    pub valid_from: Option<String>,
    /// Last day of validity.
    pub valid_until: Option<String>,
    /// Municipality that delivered the card.
    pub municipality: Option<String>,
    /// Number in the national register.
    pub national_number: Option<String>,
    /// Family name.
    pub family_name: Option<String>,
    /// First two given names.
    pub given_names: Option<String>,
    /// Initial of the third given name.
    pub initial: Option<String>,
    /// Nationality.
    pub nationality: Option<String>,
    /// Place of birth.
    pub birth_place: Option<String>,
    /// Date of birth, `DD mmm YYYY` or `DD.mmm.YYYY`.
    pub birth_date: Option<String>,
    /// Sex, one letter.
    pub sex: Option<String>,
    /// Noble condition.
    pub noble_condition: Option<String>,
    /// Type of the document, a number.
    pub document_type: Option<String>,
    /// Special status, a number.
    pub special_status: Option<String>,
    /// Digest of the photo, hexadecimal.
    pub photo_digest: Option<String>,
    /// Where the holder lives.
    pub address: BelgianAddress,
    /// Whether the national register signed both, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub register: Option<RegisterSignatures>,
}

/// An address.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct BelgianAddress {
    /// Street and number.
    pub street: Option<String>,
    /// Postal code.
    pub postal_code: Option<String>,
    /// Municipality.
    pub municipality: Option<String>,
}

/// Three files more if the signatures are wanted.
pub(super) fn read(card: &mut dyn Transport, signatures: bool) -> Result<Belgian, IdentityError> {
    let mut belgian = Belgian::default();
    let identity = file(card, &IDENTITY, "the identity file")?;
    for (tag, value) in Fields(&identity) {
        belgian.take(tag, value);
    }
    let address = file(card, &ADDRESS, "the address file")?;
    let mut fields = Fields(&address);
    for (tag, value) in &mut fields {
        let field = match tag {
            0x01 => &mut belgian.address.street,
            0x02 => &mut belgian.address.postal_code,
            0x03 => &mut belgian.address.municipality,
            _ => continue,
        };
        *field = text(value);
    }
    if belgian.national_number.is_none() {
        return Err(IdentityError::Malformed { file: "the identity file" });
    }
    if signatures {
        let signed = Signed {
            identity: &identity,
            identity_signature: &file_if_any(card, &IDENTITY_SIGNATURE, "the identity's signature")?,
            address: address.get(..address.len() - fields.0.len()).unwrap_or_default(),
            address_signature: &file_if_any(card, &ADDRESS_SIGNATURE, "the address's signature")?,
            certificate: &file_if_any(card, &REGISTER_CERTIFICATE, "the register's certificate")?,
        };
        belgian.register = Some(signed.check());
    }
    Ok(belgian)
}

/// The certificates that everybody may read besides the holder's.
pub(crate) fn authorities(card: &mut dyn Transport) -> Result<Vec<CardCertificate>, TransportError> {
    let mut found = Vec::new();
    for (name, path) in AUTHORITIES {
        let content = match file(card, &path, name) {
            Ok(mut content) => {
                content.truncate(total_len(&content).unwrap_or(content.len()));
                Ok(content)
            }
            Err(IdentityError::Refused { status, .. }) => Err(status),
            Err(IdentityError::Transport(error)) => return Err(error),
            Err(_) => continue,
        };
        found.push(CardCertificate { label: name.to_owned(), application: "issuers", content });
    }
    Ok(found)
}

pub(super) fn photo(card: &mut dyn Transport) -> Result<Vec<u8>, IdentityError> {
    const JPEG: [u8; 2] = [0xFF, 0xD8];
    let photo = file(card, &PHOTO, "the photo")?;
    if photo.starts_with(&JPEG) { Ok(photo) } else { Err(IdentityError::Malformed { file: "the photo" }) }
}

impl Belgian {
    fn take(&mut self, tag: u8, value: &[u8]) {
        let field = match tag {
            0x01 => &mut self.card_number,
            0x02 => {
                self.chip_number = Some(hex::encode_upper(value));
                return;
            }
            0x03 => &mut self.valid_from,
            0x04 => &mut self.valid_until,
            0x05 => &mut self.municipality,
            0x06 => &mut self.national_number,
            0x07 => &mut self.family_name,
            0x08 => &mut self.given_names,
            0x09 => &mut self.initial,
            0x0A => &mut self.nationality,
            0x0B => &mut self.birth_place,
            0x0C => &mut self.birth_date,
            0x0D => &mut self.sex,
            0x0E => &mut self.noble_condition,
            0x0F => &mut self.document_type,
            0x10 => &mut self.special_status,
            0x11 => {
                self.photo_digest = Some(hex::encode_upper(value));
                return;
            }
            // 00 is the version of the file's structure, which the newer cards begin with; others came with later cards.
            _ => return,
        };
        *field = text(value);
    }
}

/// SELECT by path ends no login; READ BINARY until a block is not full.
fn file(card: &mut dyn Transport, path: &[u8], what: &'static str) -> Result<Vec<u8>, IdentityError> {
    let status = card.transmit(&Command::new(0x00, 0xA4, 0x08, 0x0C).data(path))?.status;
    if !status.is_ok() {
        return Err(IdentityError::Refused { what, status });
    }
    read_current(card, &mut Length::Short, |_| None).map_err(file_error(what))
}

/// Nothing where the card has no such file.
fn file_if_any(card: &mut dyn Transport, path: &[u8], what: &'static str) -> Result<Vec<u8>, IdentityError> {
    match file(card, path, what) {
        Err(IdentityError::Refused { .. }) => Ok(Vec::new()),
        read => read,
    }
}

/// One byte of tag; a length of FF goes on in the next byte. What does not end within the file is left out. Tag 00 is the
/// version of the structure at the beginning of the file, and later the first of the zeros that fill it.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let more = rest.iter().take_while(|&&byte| byte == 0xFF).count();
        let &last = rest.get(more)?;
        if (tag, last) == (0, 0) {
            return None;
        }
        let length = more * 0xFF + usize::from(last);
        let (value, behind) = rest.get(more + 1..)?.split_at_checked(length)?;
        self.0 = behind;
        Some((tag, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_whatever_their_length_and_a_cut_one_is_left_out() {
        let long = [&[0x0B, 0xFF, 0x02][..], &[b'x'; 257]].concat();
        let file = [&[0x07, 2, b'A', b'B'][..], &long, &[0x0D, 0, 0x08, 5, b'c']].concat();
        let lengths: Vec<_> = Fields(&file).map(|(tag, value)| (tag, value.len())).collect();
        assert_eq!(lengths, [(0x07, 2), (0x0B, 257), (0x0D, 0)]);
        assert!(Fields(&[0x01]).next().is_none() && Fields(&[0x01, 0xFF]).next().is_none());
    }

    #[test]
    fn a_version_at_the_beginning_is_a_field_and_zeros_at_the_end_are_none() {
        let file = [0x00, 2, 0, 2, 0x01, 1, b'A', 0x03, 0, 0, 0, 0];
        let mut fields = Fields(&file);
        let tags: Vec<_> = fields.by_ref().map(|(tag, _)| tag).collect();
        assert_eq!((&tags[..], fields.0.len()), (&[0x00, 0x01, 0x03][..], 3));
    }
}
