//! Identity and address of a Belgian eID card (Belgian eID Card Specifications): flat lists of tag, length and value.

use card::apdu::Command;
use card::file::{Length, read_current};
use card::transport::Transport;
use serde::Serialize;

use super::{IdentityError, file_error, text};

const IDENTITY: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x31];
const ADDRESS: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x33];
const PHOTO: [u8; 6] = [0x3F, 0x00, 0xDF, 0x01, 0x40, 0x35];

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

pub(super) fn read(card: &mut dyn Transport) -> Result<Belgian, IdentityError> {
    let mut belgian = Belgian::default();
    for (tag, value) in fields(&file(card, &IDENTITY, "the identity file")?) {
        belgian.take(tag, value);
    }
    for (tag, value) in fields(&file(card, &ADDRESS, "the address file")?) {
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
    Ok(belgian)
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
            // 00 is the version of the file's structure; others came with later cards.
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

/// One byte of tag; a length of FF goes on in the next byte. What does not end within the file is left out.
fn fields(mut file: &[u8]) -> Vec<(u8, &[u8])> {
    let mut fields = Vec::new();
    while let Some((&tag, rest)) = file.split_first() {
        let more = rest.iter().take_while(|&&byte| byte == 0xFF).count();
        let Some(&last) = rest.get(more) else { break };
        let Some((value, behind)) =
            rest.get(more + 1..).and_then(|rest| rest.split_at_checked(more * 0xFF + usize::from(last)))
        else {
            break;
        };
        fields.push((tag, value));
        file = behind;
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_split_whatever_their_length_and_a_cut_one_is_left_out() {
        let long = [&[0x0B, 0xFF, 0x02][..], &[b'x'; 257]].concat();
        let file = [&[0x07, 2, b'A', b'B'][..], &long, &[0x0D, 0, 0x08, 5, b'c']].concat();
        let lengths: Vec<_> = fields(&file).iter().map(|(tag, value)| (*tag, value.len())).collect();
        assert_eq!(lengths, [(0x07, 2), (0x0B, 257), (0x0D, 0)]);
        assert!(fields(&[0x01]).is_empty() && fields(&[0x01, 0xFF]).is_empty());
    }
}
