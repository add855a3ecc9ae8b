//! Packs insurance data into a simulated eGK and reads them back, counting what goes over the wire. The card runs in
//! this process; nothing but the two codecs lies between.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "in a test program a panic is the report"
)]

use std::fs;
use std::path::Path;

use card::apdu::{Command, Response};
use card::egk::EgkError;
use card::transport::{Traced, Transport, TransportError};
use card_simulator::{Card, CardImage, NewCard, Patient, ProfileName, RsaKeyPool};
use egk_reader::{Generation, InsuranceKind, ReadError, VsdError};
use tempfile::TempDir;

#[path = "simulated_card/access.rs"]
mod access;
#[path = "support/pack.rs"]
mod pack;

/// Identification, card number, application, status, personal and insurance data.
const MOST_COMMANDS: u64 = 6;

/// What reader and card can do together.
#[derive(Clone, Copy, Debug)]
enum Line {
    Good,
    /// The card answers 6700 to every command of extended length.
    Refuses,
    /// The reader fails on every command of extended length.
    Fails,
    /// The reader hands on no more than this of an answer.
    Cuts(usize),
    /// T=0: a command has data or an Le, `61xx` and `6Cxx` say what there is to fetch.
    T0,
}

/// A simulated card as a transport.
struct InProcess {
    card: Card,
    atr: Vec<u8>,
    line: Line,
    /// What a card with T=0 has ready for GET RESPONSE.
    ready: Vec<u8>,
    _directory: TempDir,
}

impl InProcess {
    fn new(issue: &NewCard) -> Traced<InProcess> {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("card");
        issue.clone().rsa_keys(RsaKeyPool::Shared).create(&path).unwrap();
        let mut card = Card::new(CardImage::open(&path).unwrap());
        let atr = card.power_on();
        Traced::new(InProcess { card, atr, line: Line::Good, ready: Vec::new(), _directory: directory })
    }
}

impl InProcess {
    /// ISO/IEC 7816-3 clause 12.2.
    fn transmit_byte_wise(&mut self, mut command: Vec<u8>) -> Vec<u8> {
        if command.starts_with(&[0x00, 0xC0]) {
            let asked = match command[4] {
                0 => 256,
                length => usize::from(length),
            };
            let rest = self.ready.split_off(asked.min(self.ready.len()));
            let piece = std::mem::replace(&mut self.ready, rest);
            return [piece, self.status(0x61)].concat();
        }
        let has_data = command.len() > 5;
        if has_data && command.len() > 5 + usize::from(command[4]) {
            // What the driver of a reader does: it takes the Le off.
            let whole = self.card.transmit(&command);
            self.ready = whole[..whole.len() - 2].to_vec();
            return if self.ready.is_empty() { whole } else { self.status(0x61) };
        }
        let mut answer = self.card.transmit(&command);
        if !has_data && command.len() == 5 && answer.ends_with(&[0x62, 0x82]) {
            command[4] = u8::try_from(answer.len() - 2).unwrap();
            answer = vec![0x6C, command[4]];
        }
        answer
    }

    fn status(&self, sw1: u8) -> Vec<u8> {
        match self.ready.len() {
            0 => vec![0x90, 0x00],
            left => vec![sw1, u8::try_from(left).unwrap_or(0)],
        }
    }
}

impl Transport for InProcess {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let bytes = command.encode()?.to_vec();
        let extended = bytes.len() > 5 && bytes[4] == 0;
        let answer = match self.line {
            Line::Refuses | Line::T0 if extended => vec![0x67, 0x00],
            Line::Fails if extended => return Err(TransportError::NotTransacted),
            Line::T0 => self.transmit_byte_wise(bytes),
            Line::Cuts(most) => {
                let mut answer = self.card.transmit(&bytes);
                if answer.len() > most + 2 {
                    answer.truncate(most);
                    answer.extend([0x90, 0x00]);
                }
                answer
            }
            _ => self.card.transmit(&bytes),
        };
        Ok(Response::parse(&answer)?)
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

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(format!("{name}.ok.xml")))
        .unwrap()
}

fn egk() -> NewCard {
    NewCard::new(ProfileName::EgkG21)
}

fn patient(pd: &str, vd: &str, gvd: Option<&str>) -> Patient {
    Patient { personal: fixture(pd), insurance: fixture(vd), protected: gvd.map(fixture) }
}

#[test]
fn what_is_packed_is_read_back_in_six_commands() {
    for (pd, vd, gvd) in [
        ("pd-5.2-both-addresses", "vd-5.2-billing-payer", Some("gvd-5.2-all-fields")),
        ("pd-5.2-only-latin9-characters", "vd-5.2-member", Some("gvd-5.2-nothing-special")),
        ("pd-5.1-own-namespace", "vd-5.1-own-fields", Some("gvd-5.1-spelling")),
        ("pd-5.3-no-gender", "vd-5.3-shortened", None),
        ("pd-pkv-1.0", "vd-pkv-1.0", None),
    ] {
        let patient = patient(pd, vd, gvd);
        let mut card = InProcess::new(&egk().patient(patient.clone()));
        let record = egk_reader::read(&mut card).unwrap();
        let commands = card.traffic().commands;
        assert!(commands <= MOST_COMMANDS, "{pd}: {commands} commands");
        assert_eq!(record.documents.personal.xml, patient.personal, "{pd}");
        assert_eq!(record.documents.coverage.xml, patient.insurance, "{vd}");
        let copy = record.documents.protected.map(|document| document.xml);
        assert_eq!(copy, patient.protected, "{vd}");
        assert_eq!(record.findings, [], "{pd}");
    }
}

#[test]
fn the_typed_record_of_a_card_is_that_of_its_documents() {
    let mut card = InProcess::new(&egk().iccsn("80276001010000000017").patient(patient(
        "pd-pkv-1.0",
        "vd-pkv-1.0",
        None,
    )));
    let record = egk_reader::read(&mut card).unwrap();
    assert_eq!(
        (record.personal.kvnr.as_str(), record.personal.family_name.as_str()),
        ("F560271939", "Großmann")
    );
    assert_eq!(record.coverage.kind, InsuranceKind::Private);
    assert_eq!(record.card.iccsn.as_deref(), Some("80276001010000000017"));
    assert_eq!(egk_reader::read_generation(&mut card).unwrap(), Some(Generation::G2_1));
}

#[test]
fn readers_of_limited_length_read_the_same() {
    let patient = patient("pd-5.2-both-addresses", "vd-5.2-billing-payer", Some("gvd-5.2-all-fields"));
    let mut card = InProcess::new(&egk().patient(patient));
    let record = egk_reader::read(&mut card).unwrap();
    let mut card = card.into_inner();
    for line in [Line::Refuses, Line::Fails, Line::Cuts(256), Line::Cuts(1000), Line::Cuts(100), Line::T0] {
        card.line = line;
        assert!(record == egk_reader::read(&mut card).unwrap(), "{line:?}");
        assert_eq!(egk_reader::read_generation(&mut card).unwrap(), Some(Generation::G2_1), "{line:?}");
        let read = card::egk::read_certificates(&mut card).unwrap();
        let whole = read.iter().filter_map(|file| file.content.as_ref().ok());
        let certificates = whole.filter(|der| egk_reader::certificates::CertificateFacts::of(der).is_some());
        assert_eq!(certificates.count(), 4, "{line:?}");
    }
}

#[test]
fn a_professionals_card_is_no_insurance_card() {
    let mut card = InProcess::new(&NewCard::new(ProfileName::HbaG21));
    assert!(matches!(egk_reader::read(&mut card), Err(ReadError::Card(EgkError::NotAnEgk))));
    assert!(card.traffic().commands <= 2);
}

#[test]
fn a_bomb_on_a_card_is_refused_and_the_limit_named() {
    let bomb = pack::gzip(&vec![b' '; 400_000]);
    let bomb = [&u16::try_from(bomb.len()).unwrap().to_be_bytes()[..], &bomb].concat();
    let mut card = InProcess::new(&egk().file("EF.PD", bomb));
    let error = egk_reader::read(&mut card).unwrap_err();
    assert!(matches!(error, ReadError::Data(VsdError::TooLarge { limit: 65_536, .. })), "{error}");
    assert!(error.to_string().contains("65536"), "{error}");
}

#[test]
fn an_interrupted_update_is_refused() {
    let mut status = pack::good_status();
    status[0] = b'1';
    let mut card = InProcess::new(&egk().file("EF.StatusVD", status));
    assert!(matches!(egk_reader::read(&mut card), Err(ReadError::Data(VsdError::TransactionOpen))));
}

#[test]
fn a_length_beyond_the_file_is_refused() {
    let mut pd = pack::pd(pack::GOOD_PD.as_bytes());
    pd[0] = 0x7F;
    let mut card = InProcess::new(&egk().file("EF.PD", pd));
    assert!(matches!(egk_reader::read(&mut card), Err(ReadError::Data(VsdError::LengthBeyondFile { .. }))));
}

#[test]
fn a_card_that_was_never_filled_says_so() {
    for (file, told) in [
        ("EF.PD", "EF.PD is empty"),
        ("EF.VD", "EF.VD is empty"),
        ("EF.StatusVD", "EF.StatusVD has 0 bytes, expected 25"),
    ] {
        let mut card = InProcess::new(&egk().file(file, []));
        let error = egk_reader::read(&mut card).unwrap_err();
        assert!(matches!(error, ReadError::Data(_)), "{file}: {error}");
        assert!(error.to_string().contains(told), "{file}: {error}");
    }
}
