//! The text application of a Japanese individual number card: what is printed on it, behind a PIN of four digits. There is
//! no public specification; the files are as MYNA reads them.

use card::apdu::Command;
use card::file::{Length, read_current};
use card::pin::Pin;
use card::profile::PinFormat;
use card::status::StatusWord;
use card::tlv::{self, Tlv};
use card::transport::Transport;
use serde::Serialize;

use super::{IdentityError, Wanted, file_error, text};

const APPLICATION: [u8; 10] = [0xD3, 0x92, 0x10, 0x00, 0x31, 0x00, 0x01, 0x01, 0x04, 0x08];
const PIN: u8 = 0x11;
const NUMBER: u8 = 0x01;
const ATTRIBUTES: u8 = 0x02;

/// What the card says.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct Japanese {
    /// Name.
    pub name: Option<String>,
    /// Address.
    pub address: Option<String>,
    /// Date of birth, YYYYMMDD.
    pub birth_date: Option<String>,
    /// Sex: 1 male, 2 female, 3 other.
    pub sex: Option<String>,
    /// Individual number, twelve digits; only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub individual_number: Option<String>,
}

pub(super) fn tries(card: &mut dyn Transport) -> Result<u8, IdentityError> {
    select_application(card)?;
    select_file(card, PIN, "the PIN")?;
    let status = card.transmit(&Command::new(0x00, 0x20, 0x00, 0x80))?.status;
    match (status, status.tries_left()) {
        (StatusWord::BLOCKED, _) => Ok(0),
        (_, Some(tries)) => Ok(tries),
        (status, None) => Err(IdentityError::Refused { what: "VERIFY", status }),
    }
}

pub(super) fn read(card: &mut dyn Transport, wanted: Wanted<'_>) -> Result<Japanese, IdentityError> {
    let Some(pin) = wanted.pin else {
        return Err(IdentityError::PinNeeded { tries: tries(card)? });
    };
    select_application(card)?;
    verify(card, pin)?;
    let attributes = file(card, ATTRIBUTES, "the attributes")?;
    let malformed = || IdentityError::Malformed { file: "the attributes" };
    let (template, _) = Tlv::split_first(&attributes).map_err(|_| malformed())?;
    let mut values = Vec::new();
    let mut rest = template.value;
    while !rest.is_empty() {
        let (object, behind) = Tlv::split_first(rest).map_err(|_| malformed())?;
        values.push(object.value);
        rest = behind;
    }
    // A header comes first.
    let [_, name, address, birth_date, sex, ..] = values.as_slice() else { return Err(malformed()) };
    let individual_number = match wanted.individual_number {
        true => Some(number(&file(card, NUMBER, "the individual number")?)?),
        false => None,
    };
    Ok(Japanese {
        name: text(name),
        address: text(address),
        birth_date: text(birth_date),
        sex: text(sex),
        individual_number,
    })
}

/// The PIN is sent once.
fn verify(card: &mut dyn Transport, pin: &Pin) -> Result<(), IdentityError> {
    select_file(card, PIN, "the PIN")?;
    let field = pin.field(PinFormat::Ascii).ok_or(IdentityError::Malformed { file: "the PIN" })?;
    let status =
        card.transmit(&Command::new(0x00, 0x20, 0x00, 0x80).data(field.as_slice()).sensitive())?.status;
    match (status, status.tries_left()) {
        (StatusWord::OK, _) => Ok(()),
        (StatusWord::BLOCKED, _) | (_, Some(0)) => Err(IdentityError::PinBlocked),
        (_, Some(tries)) => Err(IdentityError::PinIncorrect { tries }),
        (status, None) => Err(IdentityError::Refused { what: "VERIFY", status }),
    }
}

fn number(file: &[u8]) -> Result<String, IdentityError> {
    let digits = Tlv::split_first(file).ok().and_then(|(object, _)| text(object.value));
    let valid = |digits: &String| digits.len() == 12 && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.filter(valid).ok_or(IdentityError::Malformed { file: "the individual number" })
}

fn file(card: &mut dyn Transport, fid: u8, what: &'static str) -> Result<Vec<u8>, IdentityError> {
    select_file(card, fid, what)?;
    read_current(card, &mut Length::Short, tlv::total_len).map_err(file_error(what))
}

fn select_application(card: &mut dyn Transport) -> Result<(), IdentityError> {
    let status = card.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C).data(APPLICATION))?.status;
    if status.is_ok() { Ok(()) } else { Err(IdentityError::Refused { what: "the text application", status }) }
}

fn select_file(card: &mut dyn Transport, fid: u8, what: &'static str) -> Result<(), IdentityError> {
    let status = card.transmit(&Command::new(0x00, 0xA4, 0x02, 0x0C).data([0x00, fid]))?.status;
    if status.is_ok() { Ok(()) } else { Err(IdentityError::Refused { what, status }) }
}
