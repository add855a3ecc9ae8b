//! Reading transparent files by short file identifier (READ BINARY, ISO/IEC 7816-4 clause 7.2.3).
//!
//! One command reads a whole file where card and reader know extended length; otherwise blocks of 256 bytes do. How
//! long a file is, its content says: the allocated size in the FCP may be three times as much.

use crate::apdu::{Command, Le, Response};
use crate::status::StatusWord;
use crate::transport::{Transport, TransportError};

/// READ BINARY reaches offsets up to 7FFF.
const MAX_FILE: usize = 0x8000;
/// Enough for the largest file in blocks of 256 bytes; a card that answers in crumbs gets no more.
const MAX_READS: usize = MAX_FILE / 256 + 2;

/// Whether card and reader know extended length: believed until a 6700 says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// One READ BINARY for a whole file.
    Extended,
    /// Blocks of 256 bytes.
    Short,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("READ BINARY: {0}")]
    Status(StatusWord),
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Reads a file of the current DF until `wanted` (given what is there already) is satisfied or the file ends.
/// `wanted` answers `None` as long as it cannot tell; then a block shorter than asked for ends the file. What comes
/// back may be shorter or longer than wanted.
pub(crate) fn read(
    transport: &mut dyn Transport,
    sfid: u8,
    length: &mut Length,
    wanted: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Vec<u8>, FileError> {
    let mut data = Vec::new();
    for _ in 0..MAX_READS {
        let response = read_block(transport, sfid, data.len(), length)?;
        let end_of_file = match response.status {
            StatusWord::OK | StatusWord::DATA_CORRUPT => false,
            StatusWord::END_OF_FILE => true,
            StatusWord::OFFSET if !data.is_empty() => true,
            status => return Err(FileError::Status(status)),
        };
        let short = *length == Length::Extended || response.data.len() < 256;
        let empty = response.data.is_empty();
        data.extend_from_slice(&response.data);
        let complete = match wanted(&data) {
            Some(wanted) => data.len() >= wanted,
            None => short,
        };
        if end_of_file || empty || complete || data.len() >= MAX_FILE {
            break;
        }
    }
    Ok(data)
}

/// The first block selects the file by its identifier, the others read the current file.
fn read_block(
    transport: &mut dyn Transport,
    sfid: u8,
    offset: usize,
    length: &mut Length,
) -> Result<Response, TransportError> {
    let [high, low] = u16::try_from(offset).unwrap_or(u16::MAX).to_be_bytes();
    let (p1, p2) = if offset == 0 { (0x80 | sfid, 0) } else { (high & 0x7F, low) };
    let command = Command::new(0x00, 0xB0, p1, p2);
    if *length == Length::Extended {
        let response = transport.transmit(&command.clone().le(Le::EXTENDED_WILDCARD))?;
        if response.status != StatusWord::WRONG_LENGTH {
            return Ok(response);
        }
        *length = Length::Short;
    }
    transport.transmit(&command.le(Le::SHORT_WILDCARD))
}
