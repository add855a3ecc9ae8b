//! Recording what a card and a program say to each other, without what must not be told, and playing it back.
//!
//! A person whose card fails can send a recording; it becomes a test that needs no card. PINs, PUKs, digests,
//! signatures, deciphered data and the contents of files are written as `??`. What stays are headers, lengths, status
//! words, what a SELECT answers, and of each file the few bytes that say how long it is. Record above secure messaging:
//! [`Recorded`] goes around a [`SecureTransport`](crate::secure_messaging::SecureTransport), not into it.
//!
//! The text has a line per message: `atr`, `>` for a command, `<` for an answer, `!` for a failed connection.

use std::collections::VecDeque;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use super::{HangUp, PinEntry, PinPad, Traffic, Transport, TransportError};
use crate::apdu::{Command, Response};
use crate::status::StatusWord;

const SELECT: u8 = 0xA4;
const MANAGE_ENVIRONMENT: u8 = 0x22;
const MANAGE_CHANNEL: u8 = 0x70;
const READ_BINARY: u8 = 0xB0;
/// Files of the master file that say nothing of the holder: EF.Version, EF.Version2, EF.CardAccess, EF.ATR, EF.DIR.
const PUBLIC: [u8; 5] = [0x10, 0x11, 0x1C, 0x1D, 0x1E];
/// Bytes at the beginning of a file that say how long its content is: a DER header.
const HEADER: usize = 4;
/// In the insurance data file these are four offsets.
const INSURANCE_HEADER: usize = 8;
const INSURANCE_DATA: u8 = 0x02;
const HCA: [u8; 6] = [0xD2, 0x76, 0x00, 0x00, 0x01, 0x02];
const MASK: &str = "??";

/// A recording in progress or done; copies share it.
#[derive(Debug, Clone, Default)]
pub struct Transcript(Arc<Mutex<String>>);

impl Transcript {
    /// What was recorded so far.
    pub fn text(&self) -> String {
        self.0.lock().map(|text| text.clone()).unwrap_or_default()
    }

    fn line(&self, sign: &str, content: &str) {
        if let Ok(mut text) = self.0.lock() {
            let _ = writeln!(text, "{sign} {content}");
        }
    }
}

/// A transport that records what goes through it.
#[derive(Debug)]
pub struct Recorded<T> {
    inner: T,
    transcript: Transcript,
    place: Place,
}

/// The application the card stands in, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    MasterFile,
    InsuranceData,
    Elsewhere,
}

impl<T: Transport> Recorded<T> {
    /// Records from now on; the transcript can be read at any time.
    pub fn new(inner: T) -> (Self, Transcript) {
        let transcript = Transcript::default();
        transcript.line("atr", &hex::encode_upper(inner.atr()));
        (Recorded { inner, transcript: transcript.clone(), place: Place::Elsewhere }, transcript)
    }

    fn follow(&mut self, command: &Command) {
        if let [_, SELECT, 0x04, _] = command.header() {
            self.place = match command.data_bytes() {
                [] => Place::MasterFile,
                aid if *aid == HCA => Place::InsuranceData,
                _ => Place::Elsewhere,
            };
        }
    }

    fn record(&self, command: &Command, answer: &Result<Response, TransportError>) {
        match answer {
            Ok(answer) => {
                let told = self.told(command, answer.data.len());
                let status = hex::encode_upper(answer.status.0.to_be_bytes());
                self.transcript.line("<", &(masked(&answer.data, told) + &status));
            }
            Err(error) => self.transcript.line("!", &error.to_string()),
        }
    }

    /// How many bytes of an answer may be told.
    fn told(&self, command: &Command, length: usize) -> usize {
        match command.header() {
            [_, SELECT | MANAGE_ENVIRONMENT | MANAGE_CHANNEL, ..] => length,
            [_, READ_BINARY, p1 @ 0x80..=0xFF, 0] => match (self.place, p1 & 0x1F) {
                (Place::MasterFile, sfid) if PUBLIC.contains(&sfid) => length,
                (Place::InsuranceData, INSURANCE_DATA) => INSURANCE_HEADER,
                _ => HEADER,
            },
            [_, READ_BINARY, 0, 0] => HEADER,
            _ => 0,
        }
    }
}

impl<T: Transport> Transport for Recorded<T> {
    fn atr(&self) -> &[u8] {
        self.inner.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        self.follow(command);
        self.transcript.line(">", &told_command(command)?);
        let answer = self.inner.transmit(command);
        self.record(command, &answer);
        answer
    }

    fn pin_pad(&self) -> PinPad {
        self.inner.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        self.transcript.line(">", &told_command(command)?);
        let answer = self.inner.enter_pin(command, entry);
        self.record(command, &answer);
        answer
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.inner.hang_up()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.inner.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.inner.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.place = Place::Elsewhere;
        self.inner.reconnect()
    }
}

/// The command's bytes; data only of commands that choose something.
fn told_command(command: &Command) -> Result<String, TransportError> {
    let bytes = command.encode()?;
    let data = command.data_bytes();
    let chooses = matches!(command.header(), [_, SELECT | MANAGE_ENVIRONMENT, ..]);
    if data.is_empty() || (chooses && !command.is_sensitive()) {
        return Ok(hex::encode_upper(bytes.as_slice()));
    }
    // Header and Lc, the data, Le.
    let lc = if bytes.get(4) == Some(&0) { 3 } else { 1 };
    let (before, rest) = bytes.split_at_checked(4 + lc).unwrap_or((&bytes, &[]));
    let after = rest.get(data.len()..).unwrap_or_default();
    Ok(hex::encode_upper(before) + &MASK.repeat(data.len()) + &hex::encode_upper(after))
}

fn masked(bytes: &[u8], told: usize) -> String {
    let (told, rest) = bytes.split_at_checked(told).unwrap_or((bytes, &[]));
    hex::encode_upper(told) + &MASK.repeat(rest.len())
}

/// A card that says what a recording has, as long as the commands are those of the recording. Masked bytes of answers
/// are zeros, masked bytes of commands may be anything.
#[derive(Debug)]
pub struct Replayed {
    atr: Vec<u8>,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    command: String,
    answer: Option<Response>,
}

/// A text that is no recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is not of a card transcript")]
pub struct TranscriptError {
    /// Number of the line, from 1.
    pub line: usize,
}

impl Replayed {
    /// Reads a recording.
    ///
    /// # Errors
    /// The first line that cannot be read.
    pub fn parse(text: &str) -> Result<Replayed, TranscriptError> {
        let mut replayed = Replayed { atr: Vec::new(), steps: VecDeque::new() };
        for (line, content) in (1..).zip(text.lines()) {
            replayed.read(content.trim()).ok_or(TranscriptError { line })?;
        }
        Ok(replayed)
    }

    /// Whether everything of the recording was asked for.
    pub fn is_finished(&self) -> bool {
        self.steps.is_empty()
    }

    fn read(&mut self, line: &str) -> Option<()> {
        let (sign, content) = line.split_once(' ').unwrap_or((line, ""));
        match sign {
            "" | "#" => {}
            "atr" => self.atr = hex::decode(content).ok()?,
            ">" => self.steps.push_back(Step { command: content.to_owned(), answer: None }),
            "<" => {
                let bytes = hex::decode(content.replace(MASK, "00")).ok()?;
                self.steps.back_mut()?.answer = Some(Response::parse(&bytes).ok()?);
            }
            "!" => self.steps.back_mut()?.answer = None,
            _ => return None,
        }
        Some(())
    }
}

impl Transport for Replayed {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let sent = hex::encode_upper(command.encode()?.as_slice());
        match self.steps.pop_front() {
            Some(step) if matches(&step.command, &sent) => step.answer.ok_or(TransportError::NotTransacted),
            // As a card that does not know what this is; nothing of the recording is used up.
            other => {
                if let Some(step) = other {
                    self.steps.push_front(step);
                }
                Ok(Response { data: Vec::new(), status: StatusWord::INS_UNKNOWN })
            }
        }
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

/// Whether a command is the recorded one; masked bytes may be anything.
fn matches(recorded: &str, sent: &str) -> bool {
    recorded.len() == sent.len()
        && recorded.bytes().zip(sent.bytes()).all(|(recorded, sent)| recorded == b'?' || recorded == sent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apdu::Le;
    use crate::script::{Script, fcp};

    #[test]
    fn a_recording_holds_no_pin_no_name_and_no_number_and_can_be_played_back() {
        let name = "80276883110000112233";
        let (card, _) = Script::new("3B9F")
            .on("00A4040400", &fcp("D2760001448000"))
            .on("00B0820000", &format!("5A0A{name}9000"))
            .on("00B0910000", "EF05C0030200009000")
            .on("0020000108 26123456FFFFFFFF", "63C2")
            .on("00A4040C06D27600000102", "9000")
            .on("00B08200000000", "0008000AFFFFFFFF1122339000")
            .on("00B08100000000", "0003AABBCC9000")
            .on("0088000002 ABCD 00", "11223344559000")
            .fail("00B0000000", TransportError::Timeout)
            .start();
        let (mut card, transcript) = Recorded::new(card);
        let plain = |ins, p1, p2| Command::new(0x00, ins, p1, p2);
        let commands = [
            plain(0xA4, 0x04, 0x04).le(Le::SHORT_WILDCARD),
            plain(0xB0, 0x82, 0x00).le(Le::SHORT_WILDCARD),
            plain(0xB0, 0x91, 0x00).le(Le::SHORT_WILDCARD),
            plain(0x20, 0x00, 0x01).data(hex::decode("26123456FFFFFFFF").unwrap()).sensitive(),
            plain(0xA4, 0x04, 0x0C).data(HCA),
            plain(0xB0, 0x82, 0x00).le(Le::EXTENDED_WILDCARD),
            plain(0xB0, 0x81, 0x00).le(Le::EXTENDED_WILDCARD),
            plain(0x88, 0x00, 0x00).data([0xAB, 0xCD]).le(Le::SHORT_WILDCARD),
            plain(0xB0, 0x00, 0x00).le(Le::SHORT_WILDCARD),
        ];
        card.begin().unwrap();
        for command in &commands {
            let _ = card.transmit(command);
        }
        card.end().unwrap();
        let text = transcript.text();
        for secret in ["123456", "112233", "AABBCC", "ABCD", "1122334455", "80276883110000"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert!(text.contains("< 5A0A8027????????????????9000"), "{text}");
        assert!(text.contains("> 0020000108????????????????\n< 63C2"), "{text}");
        assert!(text.contains("< 0008000AFFFFFFFF??????9000"), "{text}");
        assert!(text.contains("< EF05C0030200009000"), "{text}");

        let mut card = Replayed::parse(&text).unwrap();
        assert_eq!(card.atr(), [0x3B, 0x9F]);
        let pulled = plain(0xB0, 0x90, 0x00).le(Le::SHORT_WILDCARD);
        assert_eq!(card.transmit(&pulled).unwrap().status, StatusWord::INS_UNKNOWN);
        let answers: Vec<_> = commands.iter().map(|command| card.transmit(command)).collect();
        assert!(card.is_finished());
        assert_eq!(answers[1].as_ref().unwrap().data, hex::decode("5A0A80270000000000000000").unwrap());
        assert_eq!(answers[3].as_ref().unwrap().status, StatusWord(0x63C2));
        assert!(answers[8].is_err());
    }

    #[test]
    fn other_texts_are_no_recordings() {
        for (text, line) in [("hello", 1), ("atr 3B\n> 00\n< 9", 3), ("< 9000", 1), ("atr xyz", 1)] {
            assert_eq!(Replayed::parse(text).unwrap_err(), TranscriptError { line }, "{text}");
        }
        assert!(Replayed::parse("# a comment\n\natr 3B9F\n").unwrap().is_finished());
    }
}
