//! A simulated insurance card reached by radio: PACE with its access number, then everything under secure messaging.

#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test program a panic is the report")]

use card::apdu::{Command, Le, Response};
use card::egk::EgkError;
use card::pace::{Can, PaceError};
use card::secure_messaging::{SecureError, SecureTransport};
use card::status::StatusWord;
use card::transport::{Transport, TransportError};
use card_simulator::{Card, CardImage, Interface, NewCard, ProfileName};
use egk_reader::ReadError;
use tempfile::TempDir;

/// The simulator's card access number.
const CAN: &str = "123123";

/// A simulated card as a transport; what goes over the wire can be looked at and damaged.
struct Radio {
    card: Card,
    atr: Vec<u8>,
    sent: Vec<Vec<u8>>,
    /// Changes the last byte before the status word of this answer.
    damage_at: Option<usize>,
    _directory: TempDir,
}

impl Radio {
    fn new() -> Radio {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("card");
        NewCard::new(ProfileName::EgkG21).create(&path).unwrap();
        let mut card = Card::new(CardImage::open(&path).unwrap()).over(Interface::Contactless);
        let atr = card.power_on();
        Radio { card, atr, sent: Vec::new(), damage_at: None, _directory: directory }
    }
}

impl Transport for Radio {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let bytes = command.encode()?.to_vec();
        let mut answer = self.card.transmit(&bytes);
        self.sent.push(bytes);
        if self.damage_at == Some(self.sent.len()) {
            let byte = answer.iter_mut().rev().nth(2).unwrap();
            *byte ^= 1;
        }
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

/// A transport that lends another one, so that it can be looked at afterwards.
struct Lent<'r>(&'r mut Radio);

impl Transport for Lent<'_> {
    fn atr(&self) -> &[u8] {
        self.0.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        self.0.transmit(command)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.0.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.0.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.0.reconnect()
    }
}

fn can(text: &str) -> Can {
    text.parse().unwrap()
}

#[test]
fn the_insurance_data_are_read_with_the_number_on_the_card() {
    let mut radio = Radio::new();
    let record = egk_reader::read(&mut SecureTransport::new(Lent(&mut radio), can(CAN))).unwrap();
    assert_eq!(record.card.iccsn.map(|number| number.len()), Some(20));
    let plain =
        radio.sent.iter().take_while(|command| command.first().is_some_and(|class| class & 0x0C == 0));
    assert_eq!(plain.count(), 8, "SELECT of MF and EF.CardAccess, READ, MSE and four steps of PACE");
    assert_eq!(radio.sent.len(), 8 + 6, "and what contacts need");
    assert!(radio.sent.iter().skip(8).all(|command| command.first() == Some(&0x0C)));
}

#[test]
fn nothing_is_read_without_the_number_or_with_a_wrong_one() {
    let mut radio = Radio::new();
    let refused = egk_reader::read(&mut radio);
    let status = StatusWord::SECURITY_STATUS;
    assert!(
        matches!(refused, Err(ReadError::Card(EgkError::File { status: got, .. })) if got == status),
        "{refused:?}"
    );
    let refused = egk_reader::read(&mut SecureTransport::new(Lent(&mut radio), can("123124")));
    let Err(ReadError::Card(EgkError::Transport(TransportError::Secure(error)))) = refused else {
        panic!("{refused:?}");
    };
    assert!(matches!(*error, SecureError::Pace(PaceError::WrongCan)), "{error}");
}

#[test]
fn a_damaged_answer_ends_the_channel_and_a_reconnect_opens_a_new_one() {
    let mut radio = Radio::new();
    radio.damage_at = Some(9);
    let mut secured = SecureTransport::new(radio, can(CAN));
    let random = Command::new(0x80, 0x84, 0x00, 0x00).le(Le::Short(8));
    secured.begin().unwrap();
    assert!(matches!(secured.transmit(&random), Err(TransportError::Secure(_))));
    assert!(
        matches!(secured.transmit(&random), Err(TransportError::Reset)),
        "what the card knew is in doubt"
    );
    secured.end().unwrap();
    assert!(matches!(secured.begin(), Err(TransportError::Reset)));
    secured.reconnect().unwrap();
    secured.begin().unwrap();
    let answer = secured.transmit(&random).unwrap();
    assert_eq!((answer.status, answer.data.len()), (StatusWord::OK, 8));
    secured.end().unwrap();
}

#[test]
fn a_plain_command_of_another_program_ends_the_channel() {
    let mut radio = Radio::new();
    let random = Command::new(0x80, 0x84, 0x00, 0x00).le(Le::Short(8));
    {
        let mut secured = SecureTransport::new(Lent(&mut radio), can(CAN));
        secured.begin().unwrap();
        assert_eq!(secured.transmit(&random).unwrap().data.len(), 8);
        secured.end().unwrap();
    }
    let select = Command::new(0x00, 0xA4, 0x04, 0x0C);
    assert_eq!(radio.transmit(&select).unwrap().status, StatusWord(0x6988));
    assert_eq!(radio.transmit(&random).unwrap().status, StatusWord::SECURITY_STATUS);
    let mut again = SecureTransport::new(Lent(&mut radio), can(CAN));
    again.begin().unwrap();
    assert_eq!(again.transmit(&random).unwrap().data.len(), 8);
}

#[test]
fn a_channel_that_another_program_left_in_an_application_is_replaced() {
    let mut radio = Radio::new();
    for _ in 0..2 {
        // Ends with DF.HCA selected.
        let mut secured = SecureTransport::new(Lent(&mut radio), can(CAN));
        egk_reader::read_receipt(&mut secured).unwrap();
    }
    assert_eq!(radio.sent.len(), 2 * (8 + 2) + 1, "SELECT of the MF ends the old channel and is sent again");
}

/// EF.ATR says how long a secured command may be (gemSpec_COS N029.890): the padded data are what counts.
#[test]
fn a_secured_command_longer_than_the_card_says_ends_the_channel() {
    const LIMIT: usize = 2057;
    // Header and extended Lc; tag, length and padding indicator of the cryptogram; status and checksum; Le.
    const AROUND: usize = 7 + 5 + 10 + 2;
    let mut radio = Radio::new();
    for (blocks, accepted) in [((LIMIT - AROUND) / 16, true), ((LIMIT - AROUND) / 16 + 1, false)] {
        let mut secured = SecureTransport::new(Lent(&mut radio), can(CAN));
        secured.begin().unwrap();
        let hca = Command::new(0x00, 0xA4, 0x04, 0x0C).data([0xD2, 0x76, 0x00, 0x00, 0x01, 0x02]);
        assert_eq!(secured.transmit(&hca).unwrap().status, StatusWord::OK);
        // One byte of padding at least.
        let write = Command::new(0x00, 0xD6, 0x8A, 0x00).data(vec![0x5A; blocks * 16 - 1]);
        let answer = secured.transmit(&write);
        // EF.Standalone has 900 bytes.
        let arrived = answer.as_ref().is_ok_and(|answer| answer.status == StatusWord(0x6A84));
        assert_eq!(arrived, accepted, "{} bytes: {answer:?}", radio.sent.last().map_or(0, Vec::len));
        radio.card.reset();
    }
}
