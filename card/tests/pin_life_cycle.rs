//! Every PIN of the simulated German cards, through its whole life, over contacts and by radio.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is a test's report")]

use card::apdu::{Command, Response};
use card::pin::{Pin, PinStatus};
use card::pins::{CardPin, PinError, Puk, of_card};
use card::secure_messaging::SecureTransport;
use card::transport::{Readers, Transport, TransportError};
use card_simulator::server::{Address, PinPad, Plug, Slot};
use card_simulator::{Card, CardImage, Interface, NewCard, ProfileName, RsaKeyPool};
use tempfile::TempDir;

/// A simulated card without a wire.
struct Direct(Card);

impl Transport for Direct {
    fn atr(&self) -> &[u8] {
        self.0.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        Ok(Response::parse(&self.0.transmit(&command.encode()?))?)
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

/// A card as it was issued; issuing takes long, copying does not.
struct Issued(TempDir);

impl Issued {
    fn new(new: &NewCard) -> Issued {
        let directory = TempDir::new().unwrap();
        new.clone().rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
        Issued(directory)
    }

    fn copy(&self) -> TempDir {
        let copy = TempDir::new().unwrap();
        for name in ["card.json", "state.json", "counters.bin"] {
            std::fs::copy(self.0.path().join(name), copy.path().join(name)).unwrap();
        }
        copy
    }

    /// A fresh copy over contacts, or by radio behind PACE and secure messaging.
    fn card(&self, interface: Interface) -> (TempDir, Box<dyn Transport>) {
        let copy = self.copy();
        let card = Direct(Card::new(CardImage::open(copy.path()).unwrap()).over(interface));
        match interface {
            Interface::Contact => (copy, Box::new(card)),
            Interface::Contactless => (copy, Box::new(SecureTransport::new(card, "123123".parse().unwrap()))),
        }
    }
}

fn pin(digits: &str) -> Pin {
    Pin::parse(digits.as_bytes(), 4, 12).unwrap()
}

const PUK: &str = "12345678";
const FULL: PinStatus = PinStatus::NotVerified { tries: 3 };

/// What a PIN is worth on a new card.
fn first_value(pin: &CardPin) -> &'static str {
    match pin.name.as_str() {
        "PIN.QES" => "234567",
        "PIN.AMTS_REP" => "345678",
        _ => "123456",
    }
}

/// Wrong until blocked; the entry that finds it blocked is told so.
fn block(card: &mut dyn Transport, object: &CardPin) {
    for left in [2, 1, 0] {
        let wrong = object.verify(card, &pin("99999999"));
        assert!(
            matches!(wrong, Err(PinError::Wrong { tries }) if tries == left),
            "{}: {wrong:?}",
            object.name
        );
    }
    assert!(matches!(object.verify(card, &pin("99999999")), Err(PinError::Blocked)), "{}", object.name);
    assert_eq!(object.status(card).unwrap(), PinStatus::Blocked, "{}", object.name);
}

/// Status, verify, change, block, unblock by the PIN's own rule.
fn live(card: &mut dyn Transport, all: &[CardPin], object: &CardPin) {
    let name = &object.name;
    let first = first_value(object);
    object.verify(card, &pin(first)).unwrap();
    assert_eq!(object.status(card).unwrap(), PinStatus::Verified, "{name}");
    let changeable = object.set_after.is_none();
    if changeable {
        object.change(card, &pin(first), &pin("87654321")).unwrap();
        let old = object.verify(card, &pin(first));
        assert!(matches!(old, Err(PinError::Wrong { tries: 2 })), "{name}: {old:?}");
        object.verify(card, &pin("87654321")).unwrap();
        object.change(card, &pin("87654321"), &pin(first)).unwrap();
    }
    block(card, object);
    let new = pin("246802");
    match object.puk() {
        Puk::Sets => {
            let wrong = object.unblock(card, &pin("00000000"), None);
            assert!(matches!(wrong, Err(PinError::WrongPuk { .. })), "{name}: {wrong:?}");
            object.unblock(card, &pin(PUK), Some(&new)).unwrap();
            object.verify(card, &new).unwrap();
            object.change(card, &new, &pin(first)).unwrap();
        }
        Puk::Unblocks => {
            let both = object.unblock(card, &pin(PUK), Some(&new));
            assert!(matches!(both, Err(PinError::NotAllowed { .. })), "{name}: {both:?}");
            object.unblock(card, &pin(PUK), None).unwrap();
            object.verify(card, &pin(first)).unwrap();
        }
        Puk::None => {
            let early = object.unblock_after_other(card, &new);
            assert!(matches!(early, Err(PinError::OtherPinFirst { .. })), "{name}: {early:?}");
            let other = all.iter().find(|other| Some(&other.name) == object.set_after.as_ref()).unwrap();
            other.verify(card, &pin(first_value(other))).unwrap();
            object.unblock_after_other(card, &new).unwrap();
            object.verify(card, &new).unwrap();
            object.set(card, &pin(first)).unwrap();
            object.verify(card, &pin(first)).unwrap();
        }
    }
}

#[test]
fn every_pin_of_the_insurance_card_lives_its_life_on_both_interfaces() {
    let issued = Issued::new(&NewCard::new(ProfileName::EgkG21));
    for interface in [Interface::Contact, Interface::Contactless] {
        for number in 0..9 {
            let (_image, mut card) = issued.card(interface);
            let all = of_card(&mut *card).unwrap();
            let object = &all[number];
            let disabled = ["MRPIN.NFD", "MRPIN.DPE"].contains(&object.name.as_str());
            let before = if disabled { PinStatus::Disabled } else { FULL };
            assert_eq!(object.status(&mut *card).unwrap(), before, "{}", object.name);
            if object.switchable {
                object.switch(&mut *card, true, &pin("123456")).unwrap();
                assert_eq!(object.status(&mut *card).unwrap(), FULL);
                object.switch(&mut *card, false, &pin("123456")).unwrap();
                assert_eq!(object.status(&mut *card).unwrap(), PinStatus::Disabled);
                object.switch(&mut *card, true, &pin("123456")).unwrap();
            } else {
                let refused = object.switch(&mut *card, false, &pin("123456"));
                assert!(matches!(refused, Err(PinError::NotAllowed { .. })), "{}", object.name);
            }
            live(&mut *card, all, object);
        }
    }
}

#[test]
fn the_pins_of_the_insurance_card_share_value_and_tries_but_not_their_state() {
    let (_image, mut card) = Issued::new(&NewCard::new(ProfileName::EgkG21)).card(Interface::Contact);
    let card = &mut *card;
    let all = of_card(card).unwrap();
    let (ch, home) = (&all[0], &all[1]);
    home.verify(card, &pin("123456")).unwrap();
    assert_eq!(ch.status(card).unwrap(), FULL);
    assert!(matches!(ch.verify(card, &pin("999999")), Err(PinError::Wrong { tries: 2 })));
    assert_eq!(home.status(card).unwrap(), PinStatus::Verified);
    home.change(card, &pin("123456"), &pin("654321")).unwrap();
    ch.verify(card, &pin("654321")).unwrap();
    assert_eq!(all.iter().filter(|pin| pin.value_of.as_deref() == Some("PIN.CH")).count(), 7);
}

#[test]
fn every_pin_of_the_professionals_card_lives_its_life_on_both_interfaces() {
    let issued = Issued::new(&NewCard::new(ProfileName::HbaG21));
    for interface in [Interface::Contact, Interface::Contactless] {
        let (_image, mut card) = issued.card(interface);
        let card = &mut *card;
        let all = of_card(card).unwrap();
        for object in all {
            match object.name.as_str() {
                "PIN.CH" | "PIN.QES" => assert_eq!(object.status(card).unwrap(), FULL),
                _ => {
                    assert_eq!(object.status(card).unwrap(), PinStatus::EmptyPin);
                    let early = object.verify(card, &pin("123456"));
                    assert!(matches!(early, Err(PinError::State(PinStatus::EmptyPin))), "{early:?}");
                    object.set(card, &pin("123456")).unwrap();
                    let again = object.set(card, &pin("123456"));
                    assert!(matches!(again, Err(PinError::State(_))), "{again:?}");
                }
            }
            live(card, all, object);
        }
    }
}

#[test]
fn the_pin_of_an_institutions_card_lives_its_life_on_both_interfaces() {
    let issued = Issued::new(&NewCard::new(ProfileName::SmcB));
    for interface in [Interface::Contact, Interface::Contactless] {
        let (_image, mut card) = issued.card(interface);
        let all = of_card(&mut *card).unwrap();
        assert_eq!(all.len(), 1);
        live(&mut *card, all, &all[0]);
    }
}

#[test]
fn a_transport_pin_is_replaced_by_a_first_pin_and_nothing_else() {
    let issued = Issued::new(&NewCard::new(ProfileName::HbaG21).transport_pins(true));
    for interface in [Interface::Contact, Interface::Contactless] {
        let (_image, mut card) = issued.card(interface);
        let card = &mut *card;
        for (object, transport) in of_card(card).unwrap().iter().zip(["12345", "23456"]) {
            assert_eq!(object.status(card).unwrap(), PinStatus::TransportPin);
            let early = object.verify(card, &pin("123456"));
            assert!(matches!(early, Err(PinError::State(PinStatus::TransportPin))), "{early:?}");
            let long = object.change(card, &pin("123456"), &pin("135790"));
            assert!(matches!(long, Err(PinError::Format(_))), "a transport PIN is shorter: {long:?}");
            let wrong = object.change(card, &pin("99999"), &pin("135790"));
            assert!(matches!(wrong, Err(PinError::Wrong { tries: 2 })), "{wrong:?}");
            object.change(card, &pin(transport), &pin("135790")).unwrap();
            object.verify(card, &pin("135790")).unwrap();
        }
    }
}

#[test]
fn ten_uses_of_the_puk_are_all_there_are() {
    let (_image, mut card) = Issued::new(&NewCard::new(ProfileName::EgkG21)).card(Interface::Contact);
    let card = &mut *card;
    let object = &of_card(card).unwrap()[0];
    for left in (0..10).rev() {
        let wrong = object.unblock(card, &pin("00000000"), None);
        assert!(matches!(wrong, Err(PinError::WrongPuk { uses }) if uses == left), "{wrong:?}");
    }
    assert!(matches!(object.unblock(card, &pin(PUK), None), Err(PinError::PukUsedUp)));
}

/// A card in a reader with a pad, at which somebody types.
struct AtPad {
    card: Box<dyn Transport>,
    commands: Box<dyn Fn() -> u64>,
    _plug: Plug,
    _image: TempDir,
}

fn at_pad(issued: &Issued, typed: &[&str]) -> AtPad {
    let image = issued.copy();
    let slot = Slot::with(Card::new(CardImage::open(image.path()).unwrap()));
    let typed = typed.iter().map(|text| text.parse().unwrap()).collect();
    slot.set_pin_pad(PinPad::script(typed));
    let address: Address = format!("socket:{}", image.path().join("card.sock").display()).parse().unwrap();
    let plug = slot.plug(&address).unwrap();
    let spec = address.to_string().parse().unwrap();
    let mut readers = Readers::open(std::slice::from_ref(&spec));
    let card = readers.connect(&spec.to_string()).unwrap();
    AtPad { card, commands: Box::new(move || slot.commands()), _plug: plug, _image: image }
}

fn named(all: &'static [CardPin], name: &str) -> &'static CardPin {
    all.iter().find(|pin| pin.name == name).unwrap()
}

#[test]
fn a_pin_is_blocked_unblocked_and_set_anew_on_the_readers_pad() {
    let issued = Issued::new(&NewCard::new(ProfileName::EgkG21));
    let typed = ["999999", "999999", "999999", PUK, PUK, "424242", "424242", "424242", "00000000"];
    let mut desk = at_pad(&issued, &typed);
    let card = &mut *desk.card;
    let home = named(of_card(card).unwrap(), "MRPIN.home");
    for tries in [2, 1, 0] {
        assert!(matches!(home.verify_on_pad(card), Err(PinError::Wrong { tries: left }) if left == tries));
    }
    home.unblock_on_pad(card, false).unwrap();
    assert_eq!(home.status(card).unwrap(), FULL);
    home.unblock_on_pad(card, true).unwrap();
    home.verify_on_pad(card).unwrap();
    assert!(matches!(home.unblock_on_pad(card, false), Err(PinError::WrongPuk { uses: 7 })));
}

#[test]
fn asking_for_a_pin_is_switched_off_and_on_on_the_readers_pad() {
    let issued = Issued::new(&NewCard::new(ProfileName::EgkG21));
    let mut desk = at_pad(&issued, &["123456"]);
    let card = &mut *desk.card;
    let emergency = named(of_card(card).unwrap(), "MRPIN.NFD");
    for (on, expected) in [(true, FULL), (false, PinStatus::Disabled), (true, FULL)] {
        emergency.switch_on_pad(card, on).unwrap();
        assert_eq!(emergency.status(card).unwrap(), expected, "on: {on}");
    }
}

#[test]
fn what_the_card_forbids_or_the_user_cancels_costs_nothing_at_the_pad() {
    let issued = Issued::new(&NewCard::new(ProfileName::HbaG21));
    let mut desk = at_pad(&issued, &["cancel", "timeout", "1234567"]);
    let card = &mut *desk.card;
    let qes = named(of_card(card).unwrap(), "PIN.QES");
    let before = (desk.commands)();
    let forbidden = [qes.unblock_on_pad(card, true), qes.switch_on_pad(card, true)];
    assert!(forbidden.iter().all(|result| matches!(result, Err(PinError::NotAllowed { .. }))));
    assert_eq!((desk.commands)(), before);
    for status in [0x6401, 0x6400, 0x6403] {
        let refused = qes.unblock_on_pad(card, false);
        assert!(matches!(refused, Err(PinError::Pad { status: word }) if word.0 == status), "{refused:?}");
    }
    qes.unblock(card, &pin(PUK), None).unwrap();
    let left = qes.unblock(card, &pin("00000000"), None);
    assert!(matches!(left, Err(PinError::WrongPuk { uses: 8 })), "only these two were used: {left:?}");
}
