//! Three simulated cards: a professional's card in its second security environment takes its PIN from a terminal's security
//! module and signs for a connector's.

use card::apdu::{Command, Le, Response};
use card::card_to_card::RoleError;
use card::pin::Pin;
use card::profile::{Curve, KeyKind, SignatureScheme};
use card::public_key::PublicKey;
use card::status::StatusWord;
use card::transport::{Transport, TransportError};
use card::trusted_channel::{Ends, ModuleKey, SecurityModule, TrustError, TrustedChannel};
use card_simulator::{Card, CardImage, NewCard, ProfileName, RsaKeyPool};
use tempfile::TempDir;

use crate::Direct;

struct Desk {
    hba: Direct,
    directory: TempDir,
}

impl Desk {
    fn new() -> Desk {
        let directory = TempDir::new().unwrap();
        let hba = issue(&directory, "ca", "hba", ProfileName::HbaG21);
        Desk { hba, directory }
    }

    fn module(&self, profile: ProfileName, key: ModuleKey) -> SecurityModule {
        let card = issue(&self.directory, "ca", &profile.to_string(), profile);
        SecurityModule::read(Box::new(card), key).unwrap()
    }

    fn terminal(&self) -> SecurityModule {
        self.module(ProfileName::GsmcKt, SecurityModule::TERMINAL)
    }

    fn connector(&self) -> SecurityModule {
        self.module(ProfileName::GsmcK, SecurityModule::CONNECTOR)
    }

    /// The HBA's certificates, then DF.QES in its second security environment.
    fn enter(&mut self) -> Ends {
        self.hba.end().unwrap();
        let ends = Ends::read(&mut self.hba).unwrap();
        self.hba.begin().unwrap();
        let qes = Command::new(0x00, 0xA4, 0x04, 0x0C).data([0xD2, 0x76, 0x00, 0x00, 0x66, 0x01]);
        assert_eq!(status(&mut self.hba, &qes), StatusWord::OK);
        assert_eq!(status(&mut self.hba, &Command::new(0x00, 0x22, 0xF3, 0x02)), StatusWord::OK);
        ends
    }
}

fn issue(directory: &TempDir, authority: &str, name: &str, profile: ProfileName) -> Direct {
    let image = directory.path().join(name);
    let new = NewCard::new(profile).authority(directory.path().join(authority)).rsa_keys(RsaKeyPool::Shared);
    new.create(&image).unwrap();
    let mut card = Card::new(CardImage::open(&image).unwrap());
    let atr = card.power_on();
    Direct { card, atr, commands: 0, in_section: false, most: usize::MAX - 2 }
}

fn status(card: &mut dyn Transport, command: &Command) -> StatusWord {
    card.transmit(command).unwrap().status
}

fn verify(digits: &str) -> Command {
    let pin = Pin::parse(digits.as_bytes(), 6, 8).unwrap();
    Command::new(0x00, 0x20, 0x00, 0x81).data(pin.block().unwrap().to_vec()).sensitive()
}

fn sign(digest: [u8; 32]) -> Command {
    Command::new(0x00, 0x2A, 0x9E, 0x9A).data(digest).le(Le::EXTENDED_WILDCARD)
}

fn choose_key() -> Command {
    Command::new(0x00, 0x22, 0x41, 0xB6).data([0x84, 0x01, 0x86, 0x80, 0x01, 0x00])
}

#[test]
fn a_pin_from_the_terminal_opens_signatures_for_the_connector() {
    let mut desk = Desk::new();
    let (terminal, connector) = (desk.terminal(), desk.connector());
    let ends = desk.enter();
    assert_eq!(status(&mut desk.hba, &verify("234567")), StatusWord::SECURITY_STATUS, "only a terminal's");
    desk.hba.take_commands();
    let mut channel = TrustedChannel::open(&mut desk.hba, terminal, &ends).unwrap();
    assert_eq!(status(&mut channel, &verify("999999")), StatusWord(0x63C2));
    assert_eq!(status(&mut channel, &verify("234567")), StatusWord::OK);
    assert_eq!(status(&mut channel, &choose_key()), StatusWord::OK);
    assert_eq!(status(&mut channel, &sign([1; 32])), StatusWord::SECURITY_STATUS, "only a connector's");

    let (mut channel, _terminal) = channel.hand_over(connector).unwrap();
    let read = Command::new(0x00, 0xB0, 0x86, 0x00).le(Le::Extended(0x300));
    let mut certificate = channel.transmit(&read).unwrap().data;
    let rest = Command::new(0x00, 0xB0, 0x03, 0x00).le(Le::EXTENDED_WILDCARD);
    certificate.extend(channel.transmit(&rest).unwrap().data);
    let kind = KeyKind::Ec(Curve::BrainpoolP256r1);
    let key = PublicKey::from_certificate(&certificate, kind).unwrap();
    assert_eq!(status(&mut channel, &choose_key()), StatusWord::OK);
    for number in 1..=3 {
        let Response { data, status } = channel.transmit(&sign([number; 32])).unwrap();
        assert_eq!(status, StatusWord::OK);
        assert!(key.verifies(SignatureScheme::Ecdsa, &[number; 32], &data), "signature {number}");
    }
    assert_eq!(status(&mut channel, &verify("234567")), StatusWord::SECURITY_STATUS, "only a terminal's");
}

#[test]
fn a_channel_costs_nine_commands_and_less_once_the_authority_is_known() {
    let mut desk = Desk::new();
    let terminal = desk.terminal();
    let ends = desk.enter();
    desk.hba.take_commands();
    let channel = TrustedChannel::open(&mut desk.hba, terminal, &ends).unwrap();
    drop(channel);
    assert_eq!(desk.hba.take_commands(), 9);
    let connector = desk.connector();
    desk.hba.reset();
    desk.enter();
    desk.hba.take_commands();
    drop(TrustedChannel::open(&mut desk.hba, connector, &ends).unwrap());
    assert_eq!(desk.hba.take_commands(), 6, "the authority's key is kept");
}

#[test]
fn a_plain_command_ends_the_channel_and_what_was_verified() {
    let mut desk = Desk::new();
    let terminal = desk.terminal();
    let ends = desk.enter();
    let mut channel = TrustedChannel::open(&mut desk.hba, terminal, &ends).unwrap();
    assert_eq!(status(&mut channel, &verify("234567")), StatusWord::OK);
    drop(channel);
    assert_eq!(status(&mut desk.hba, &choose_key()), StatusWord(0x6988));
    let again = desk.connector();
    let mut channel = TrustedChannel::open(&mut desk.hba, again, &ends).unwrap();
    assert_eq!(status(&mut channel, &choose_key()), StatusWord::OK);
    assert_eq!(status(&mut channel, &sign([1; 32])), StatusWord::SECURITY_STATUS);
}

#[test]
fn a_changed_answer_is_not_believed() {
    let mut desk = Desk::new();
    let terminal = desk.terminal();
    let ends = desk.enter();
    let mut tampered = Tampered { card: &mut desk.hba, answers: 0, at: 10 };
    let mut channel = TrustedChannel::open(&mut tampered, terminal, &ends).unwrap();
    let changed = channel.transmit(&verify("234567"));
    assert!(matches!(changed, Err(TransportError::Secure(_))), "{changed:?}");
    let after = channel.transmit(&choose_key());
    assert!(matches!(after, Err(TransportError::Secure(_))), "the module's keys are gone: {after:?}");
}

#[test]
fn modules_of_another_authority_get_no_channel() {
    let mut desk = Desk::new();
    let stranger = issue(&desk.directory, "other", "stranger", ProfileName::GsmcKt);
    let stranger = SecurityModule::read(Box::new(stranger), SecurityModule::TERMINAL).unwrap();
    let ends = desk.enter();
    let refused = TrustedChannel::open(&mut desk.hba, stranger, &ends).map(|_| ());
    assert!(matches!(refused, Err(TrustError::Certificates(RoleError::UnknownRoot { .. }))), "{refused:?}");
}

#[test]
fn a_card_without_such_a_key_is_no_module() {
    let desk = Desk::new();
    let egk = issue(&desk.directory, "ca", "egk", ProfileName::EgkG21);
    let refused = SecurityModule::read(Box::new(egk), SecurityModule::TERMINAL).map(|_| ());
    assert!(matches!(refused, Err(TrustError::Certificates(RoleError::NoCertificate { .. }))), "{refused:?}");
}

/// Changes one answer of a card: the last byte before the status word.
struct Tampered<'c> {
    card: &'c mut Direct,
    answers: usize,
    at: usize,
}

impl Transport for Tampered<'_> {
    fn atr(&self) -> &[u8] {
        self.card.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let mut answer = self.card.transmit(command)?;
        self.answers += 1;
        if self.answers == self.at
            && let Some(last) = answer.data.last_mut()
        {
            *last ^= 1;
        }
        Ok(answer)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.card.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.card.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.card.reconnect()
    }
}
