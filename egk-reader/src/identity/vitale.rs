//! A French Carte Vitale 2. Experimental: there is no public specification. A map (EF 2001) names applications and files;
//! those that can be read hold templates, 65 for a person and 66 for the card. As Cardpeek reads them.

use card::apdu::{Command, Le};
use card::file::{FileError, Length, read_current};
use card::tlv::{Tlv, TlvError};
use card::transport::{Transport, TransportError};
use serde::Serialize;

use super::{IdentityError, file_error, text};

const APPLICATION: [u8; 11] = [0xD2, 0x50, 0x00, 0x00, 0x02, 0x56, 0x49, 0x54, 0x41, 0x4C, 0x45];
const MAP: u16 = 0x2001;
/// More files than any such card has.
const MOST_FILES: usize = 64;

/// What the card says.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Vitale {
    /// Whom the card insures.
    pub holders: Vec<VitaleHolder>,
    /// First day of validity, YYYYMMDD.
    pub valid_from: Option<String>,
    /// Names of files that open with a professional's card (CPS) only, or not at all.
    pub closed_files: Vec<String>,
}

/// A person.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct VitaleHolder {
    /// Family name.
    pub family_name: Option<String>,
    /// Given name.
    pub given_name: Option<String>,
    /// Date of birth, YYYYMMDD.
    pub birth_date: Option<String>,
    /// Nationality.
    pub nationality: Option<String>,
    /// Social security number (NIR).
    pub social_security_number: Option<String>,
}

/// A file that the map names.
struct Entry {
    name: String,
    application: Vec<u8>,
    fid: u16,
}

pub(super) fn is_there(card: &mut dyn Transport) -> Result<bool, TransportError> {
    Ok(card.transmit(&select(&APPLICATION))?.status.is_ok())
}

pub(super) fn read(card: &mut dyn Transport) -> Result<Vitale, IdentityError> {
    let status = card.transmit(&select(&APPLICATION))?.status;
    if !status.is_ok() {
        return Err(IdentityError::Refused { what: "the application", status });
    }
    let map = file(card, MAP).map_err(file_error("the map of files"))?;
    let entries = parse_map(&map).map_err(|_| IdentityError::Malformed { file: "the map of files" })?;
    let mut vitale = Vitale::default();
    let mut selected = APPLICATION.to_vec();
    for entry in entries.iter().take(MOST_FILES) {
        if entry.application != selected {
            if !card.transmit(&select(&entry.application))?.status.is_ok() {
                vitale.closed_files.push(entry.name.clone());
                continue;
            }
            selected.clone_from(&entry.application);
        }
        match file(card, entry.fid) {
            Ok(content) => vitale.take(&content),
            Err(FileError::Status(status)) => {
                tracing::debug!(file = entry.name, %status, "closed");
                vitale.closed_files.push(entry.name.clone());
            }
            Err(FileError::Transport(error)) => return Err(error.into()),
        }
    }
    if vitale.holders.is_empty() {
        return Err(IdentityError::Malformed { file: "the identity" });
    }
    Ok(vitale)
}

impl Vitale {
    /// The first template of each file is about the first person, and so on.
    fn take(&mut self, content: &[u8]) {
        let mut person = 0;
        let mut rest = content;
        while let Ok((object, behind)) = Tlv::split_first(rest) {
            match object.tag {
                0x65 => {
                    if self.holders.len() <= person {
                        self.holders.resize_with(person + 1, VitaleHolder::default);
                    }
                    if let Some(holder) = self.holders.get_mut(person) {
                        holder.take(object.value);
                    }
                    person += 1;
                }
                0x66 => self.valid_from = Tlv::find(object.value, 0x80).ok().and_then(text),
                _ => {}
            }
            rest = behind;
        }
    }
}

impl VitaleHolder {
    fn take(&mut self, template: &[u8]) {
        for (tag, field) in [
            (0x80, &mut self.family_name),
            (0x81, &mut self.given_name),
            (0x82, &mut self.birth_date),
            (0x90, &mut self.nationality),
            (0x93, &mut self.social_security_number),
        ] {
            if let Some(value) = Tlv::find(template, tag).ok().and_then(text) {
                *field = Some(value);
            }
        }
    }
}

/// E0 { A0 { 82 { number, 2 bytes, application } .. } 80 { name of 8 bytes, number, file } .. }.
fn parse_map(map: &[u8]) -> Result<Vec<Entry>, TlvError> {
    let content = Tlv::find(map, 0xE0)?;
    let (directory, mut rest) = Tlv::split_first(content)?;
    let mut applications = Vec::new();
    let mut inner = directory.value;
    while !inner.is_empty() {
        let (object, behind) = Tlv::split_first(inner)?;
        if let (0x82, Some((number, aid))) = (object.tag, object.value.split_first_chunk::<4>()) {
            applications.push((number.first_chunk::<2>().copied(), aid));
        }
        inner = behind;
    }
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (object, behind) = Tlv::split_first(rest)?;
        if let (0x80, Some((name, numbers))) = (object.tag, object.value.split_first_chunk::<8>())
            && let [high, low, fid @ ..] = numbers
            && let Some((_, aid)) = applications.iter().find(|(number, _)| *number == Some([*high, *low]))
            && let Some(fid) = fid.first_chunk::<2>()
        {
            let name = text(name).unwrap_or_default();
            entries.push(Entry { name, application: aid.to_vec(), fid: u16::from_be_bytes(*fid) });
        }
        rest = behind;
    }
    Ok(entries)
}

fn select(application: &[u8]) -> Command {
    Command::new(0x00, 0xA4, 0x04, 0x00).data(application).le(Le::None)
}

fn file(card: &mut dyn Transport, fid: u16) -> Result<Vec<u8>, FileError> {
    let status = card.transmit(&Command::new(0x00, 0xA4, 0x02, 0x00).data(fid.to_be_bytes()))?.status;
    if !status.is_ok() {
        return Err(FileError::Status(status));
    }
    read_current(card, &mut Length::Short, |_| None)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;

    #[test]
    fn a_map_names_files_by_application_and_identifier() {
        let map = hex!(
            "E0 29 A0 11 82 0F 0002 0000 D250000002564954414C45
             80 0C 4E4952 2020202020 0002 2003 80 06 FFFFFFFFFFFF"
        );
        let entries = parse_map(&map).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].name.as_str(), entries[0].fid), ("NIR", 0x2003));
        for cut in 1..map.len() {
            assert!(parse_map(&map[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn several_people_on_a_card_stay_apart() {
        let mut vitale = Vitale::default();
        vitale.take(&hex!("65 06 80 01 41 81 01 42 65 03 80 01 43"));
        vitale.take(&hex!("65 03 93 01 31 65 03 93 01 32"));
        let numbers: Vec<_> =
            vitale.holders.iter().map(|holder| holder.social_security_number.as_deref()).collect();
        assert_eq!(numbers, [Some("1"), Some("2")]);
        assert_eq!(vitale.holders[1].family_name.as_deref(), Some("C"));
    }
}
