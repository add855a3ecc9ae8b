//! Reading transparent files by short file identifier (READ BINARY, ISO/IEC 7816-4 clause 7.2.3).
//!
//! One command reads a whole file where card and reader know extended length, and the transport does not bound answers
//! as secure messaging does; otherwise blocks do. How long a file is, its content says: the allocated size in the FCP may
//! be three times as much.

use crate::apdu::{Command, Le, Response};
use crate::status::StatusWord;
use crate::transport::{Transport, TransportError};

/// READ BINARY reaches offsets up to 7FFF.
const MAX_FILE: usize = 0x8000;
/// Enough for the largest file in blocks of 256 bytes; a card that answers in crumbs gets no more.
const MAX_READS: usize = MAX_FILE / 256 + 2;

/// Whether card and reader know extended length: believed until a 6700 or a failing reader says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// One READ BINARY for a whole file, or for a block as long as the transport allows.
    Extended,
    /// Blocks of 256 bytes.
    Short,
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The card refused.
    #[error("READ BINARY: {0}")]
    Status(StatusWord),
    /// The connection failed.
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
    read_from(transport, Some(sfid), length, wanted)
}

fn read_from(
    transport: &mut dyn Transport,
    sfid: Option<u8>,
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
        let short = match (*length, transport.answer_limit()) {
            (Length::Extended, None) => true,
            (Length::Extended, Some(limit)) => response.data.len() < usize::from(limit),
            (Length::Short, _) => response.data.len() < 256,
        };
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

/// Reads the file that is selected until `wanted` (given what is there already) is satisfied or the file ends. `wanted`
/// answers `None` as long as it cannot tell; then a block shorter than asked for ends the file. What comes back may be
/// shorter or longer than wanted.
///
/// # Errors
/// The card refuses, or the connection fails.
pub fn read_current(
    transport: &mut dyn Transport,
    length: &mut Length,
    wanted: impl Fn(&[u8]) -> Option<usize>,
) -> Result<Vec<u8>, FileError> {
    read_from(transport, None, length, wanted)
}

/// The first block selects a file by its identifier, the others read the current file.
fn read_block(
    transport: &mut dyn Transport,
    sfid: Option<u8>,
    offset: usize,
    length: &mut Length,
) -> Result<Response, TransportError> {
    let [high, low] = u16::try_from(offset).unwrap_or(u16::MAX).to_be_bytes();
    let (p1, p2) = match sfid {
        Some(sfid) if offset == 0 => (0x80 | sfid, 0),
        _ => (high & 0x7F, low),
    };
    let command = Command::new(0x00, 0xB0, p1, p2);
    if *length == Length::Extended {
        let expected =
            transport.answer_limit().map_or(Le::EXTENDED_WILDCARD, |limit| Le::Extended(limit.into()));
        match transport.transmit(&command.clone().le(expected)) {
            Ok(response) if response.status != StatusWord::WRONG_LENGTH => return Ok(response),
            Ok(_) => {}
            // Some readers fail where others say 6700; a card that is gone is noticed by the next command.
            Err(TransportError::NotTransacted) => tracing::debug!("no extended length"),
            Err(error) => return Err(error),
        }
        *length = Length::Short;
    }
    transport.transmit(&command.le(Le::SHORT_WILDCARD))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;
    use crate::tlv;

    /// A card that answers every READ BINARY with the same bytes.
    struct Parrot {
        answer: Response,
        commands: usize,
    }

    impl Transport for Parrot {
        fn atr(&self) -> &[u8] {
            &[]
        }
        fn transmit(&mut self, _: &Command) -> Result<Response, TransportError> {
            self.commands += 1;
            Ok(self.answer.clone())
        }
        fn begin(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
        fn end(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
        fn reconnect(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
    }

    #[test]
    fn a_card_that_answers_in_crumbs_or_never_ends_is_given_up() {
        for size in [1, 255, 256, 40_000] {
            for mut length in [Length::Extended, Length::Short] {
                let answer = Response { data: vec![0x30; size], status: StatusWord::OK };
                let mut card = Parrot { answer, commands: 0 };
                let data = read(&mut card, 1, &mut length, |_| Some(usize::MAX)).unwrap();
                assert!(card.commands <= MAX_READS, "{} commands", card.commands);
                assert!(data.len() <= MAX_FILE + size, "{} bytes", data.len());
            }
        }
    }

    /// A file behind a transport whose answers are bounded.
    struct Bounded {
        file: Vec<u8>,
        commands: Vec<String>,
    }

    impl Transport for Bounded {
        fn atr(&self) -> &[u8] {
            &[]
        }
        fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
            let [_, _, p1, p2] = command.header();
            let offset =
                if p1 & 0x80 == 0 { usize::from(p1) << 8 | usize::from(p2) } else { usize::from(p2) };
            self.commands.push(hex::encode_upper(&command.encode()?));
            if offset >= self.file.len() {
                return Ok(Response { data: Vec::new(), status: StatusWord::OFFSET });
            }
            let Le::Extended(expected) = command.expected() else { panic!("{command:?}") };
            let end = offset + expected as usize;
            let status = if end > self.file.len() { StatusWord::END_OF_FILE } else { StatusWord::OK };
            Ok(Response { data: self.file[offset..end.min(self.file.len())].to_vec(), status })
        }
        fn begin(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
        fn end(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
        fn reconnect(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
        fn answer_limit(&self) -> Option<u16> {
            Some(0x300)
        }
    }

    #[test]
    fn a_transport_that_bounds_answers_is_asked_for_blocks() {
        for (size, unknown, known) in [(1, 1, 1), (0x2FF, 1, 1), (0x300, 2, 1), (0x301, 2, 2), (0x600, 3, 2)]
        {
            for (wanted, commands) in [(None, unknown), (Some(size), known)] {
                let mut card = Bounded { file: vec![0x30; size], commands: Vec::new() };
                let data = read(&mut card, 6, &mut Length::Extended, |_| wanted).unwrap();
                assert_eq!((data.len(), card.commands.len()), (size, commands), "{size:X} bytes, {wanted:?}");
                let offsets = ["00B08600000300", "00B00300000300", "00B00600000300"];
                assert_eq!(card.commands, offsets[..commands]);
            }
        }
    }

    #[test]
    fn a_reader_that_cuts_long_answers_is_asked_for_the_rest() {
        let (mut card, log) =
            Script::new("").on("00B08600000000", "3005AABB9000").on("00B00004000000", "CCDDEE6282").start();
        card.begin().unwrap();
        let data = read(&mut *card, 6, &mut Length::Extended, tlv::total_len).unwrap();
        card.end().unwrap();
        assert_eq!(hex::encode_upper(data), "3005AABBCCDDEE");
        log.assert_finished();
    }

    #[test]
    fn a_refused_file_is_an_error() {
        for status in ["6A82", "6982", "6B00"] {
            let (mut card, _) = Script::new("").on("00B08600000000", status).start();
            card.begin().unwrap();
            let result = read(&mut *card, 6, &mut Length::Extended, |_| None);
            assert!(matches!(result, Err(FileError::Status(_))), "{status}");
        }
    }
}
