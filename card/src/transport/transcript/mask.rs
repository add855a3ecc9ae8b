//! What of a command and its answer may be told. Everything that is not listed here is not.

use super::MASK;
use crate::apdu::{ApduError, Command};

const SELECT: u8 = 0xA4;
const MANAGE_ENVIRONMENT: u8 = 0x22;
const MANAGE_CHANNEL: u8 = 0x70;
const READ_BINARY: u8 = 0xB0;
const READ_RECORD: u8 = 0xB2;
/// P2 of READ RECORD for the record with the number in P1, of a file with a short identifier.
const BY_NUMBER: u8 = 0x04;
/// P1 of MANAGE SECURITY ENVIRONMENT that names keys of other cards, and with them their serial numbers.
const KEYS_OF_OTHERS: u8 = 0x81;
/// Files of the master file that say nothing of the holder: EF.Version, EF.Version2, EF.CardAccess, EF.ATR, EF.DIR.
const PUBLIC: [u8; 5] = [0x10, 0x11, 0x1C, 0x1D, 0x1E];
/// EF.GDO: the first bytes of the serial number are its issuer's.
const SERIAL_NUMBER: u8 = 0x02;
/// Bytes at the beginning of a file that say how long its content is: a DER header, or two bytes and the start of a
/// compressed document.
const HEADER: usize = 4;
/// A text, or data objects of two bytes' header.
const SHORT_HEADER: usize = 2;
/// In the insurance data file these are four offsets.
const INSURANCE_HEADER: usize = 8;
const INSURANCE_DATA: u8 = 0x02;
const HCA: [u8; 6] = [0xD2, 0x76, 0x00, 0x00, 0x01, 0x02];

/// The application the card stands in, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    MasterFile,
    InsuranceData,
    Elsewhere,
}

impl Place {
    /// Where a command leads.
    pub(super) fn after(self, command: &Command) -> Place {
        match (command.header(), command.data_bytes()) {
            ([_, SELECT, 0x04, _], []) => Place::MasterFile,
            ([_, SELECT, 0x04, _], aid) if *aid == HCA => Place::InsuranceData,
            ([_, SELECT, 0x04, _], _) => Place::Elsewhere,
            _ => self,
        }
    }

    /// An answer's data as text.
    pub(super) fn tell_answer(self, command: &Command, data: &[u8]) -> String {
        let told = match command.header() {
            [_, SELECT | MANAGE_ENVIRONMENT | MANAGE_CHANNEL, ..] => data.len(),
            [_, READ_BINARY, p1 @ 0x80..=0xFF, 0] => match (self, p1 & 0x1F) {
                (Place::MasterFile, sfid) if PUBLIC.contains(&sfid) => data.len(),
                (Place::MasterFile, SERIAL_NUMBER) => HEADER,
                (Place::InsuranceData, INSURANCE_DATA) => INSURANCE_HEADER,
                _ => header(data),
            },
            [_, READ_BINARY, 0, 0] => header(data),
            [_, READ_RECORD, _, p2] if self == Place::MasterFile && is_public_record(p2) => data.len(),
            _ => 0,
        };
        masked(data, told)
    }
}

/// The command's bytes; data only of commands that choose something of this card.
pub(super) fn tell_command(command: &Command) -> Result<String, ApduError> {
    let bytes = command.encode()?;
    let data = command.data_bytes();
    let chooses = match command.header() {
        [_, MANAGE_ENVIRONMENT, p1, _] => p1 != KEYS_OF_OTHERS,
        [_, instruction, ..] => instruction == SELECT,
    };
    if data.is_empty() || (chooses && !command.is_sensitive()) {
        return Ok(hex::encode_upper(bytes.as_slice()));
    }
    // Header and Lc, the data, Le.
    let lc = if bytes.get(4) == Some(&0) { 3 } else { 1 };
    let (before, rest) = bytes.split_at_checked(4 + lc).unwrap_or((&bytes, &[]));
    let after = rest.get(data.len()..).unwrap_or_default();
    Ok(hex::encode_upper(before) + &MASK.repeat(data.len()) + &hex::encode_upper(after))
}

fn is_public_record(p2: u8) -> bool {
    p2 & 0x07 == BY_NUMBER && PUBLIC.contains(&(p2 >> 3))
}

/// How much of the beginning of a file tells its length and nothing of its content.
fn header(data: &[u8]) -> usize {
    match data {
        // DER or a card-verifiable certificate; a length before a compressed document; nothing written.
        [0x30, 0x81 | 0x82, ..] | [0x7F, 0x21, ..] | [_, _, 0x1F, 0x8B, ..] | [0, 0, 0, 0, ..] => HEADER,
        _ => SHORT_HEADER,
    }
}

fn masked(bytes: &[u8], told: usize) -> String {
    let (told, rest) = bytes.split_at_checked(told).unwrap_or((bytes, &[]));
    hex::encode_upper(told) + &MASK.repeat(rest.len())
}
