//! Cards of neighbours that answer whatever they like to who asks who they are, and whose PINs are managed.

use card::pin::Pin;
use card::pins;
use card::survey::survey;
use card::transport::Transport;
use egk_reader::identity::{self, IdentityCard, Wanted};

use crate::answers::{Answers, DIGITS};

/// Every kind of card with identity data.
const KINDS: [IdentityCard; 6] = [
    IdentityCard::Belgian,
    IdentityCard::Estonian,
    IdentityCard::Piv,
    IdentityCard::Japanese,
    IdentityCard::Vitale,
    IdentityCard::Kvk,
];
/// First bytes of an input: the places in the list above, and these.
const WHATEVER: u8 = 6;
pub(crate) const SURVEY: u8 = 7;
const PINS: u8 = 8;

/// The first byte says what is asked: the identity of a card of one kind, of whatever card it is, what card it is, or
/// about its PINs. The others are answers, the ATR first.
pub(crate) fn answers(input: &[u8]) {
    let Some((choice, answers)) = input.split_first() else { return };
    let mut card = Answers::from(answers);
    match choice % (PINS + 1) {
        WHATEVER => {
            if let Ok(Some(kind)) = identity::recognise(&mut card) {
                identity_of(&mut card, kind, input.len());
            }
        }
        SURVEY => {
            let _ = survey(&mut card);
        }
        PINS => pins_of(&mut card),
        kind => identity_of(&mut card, KINDS[usize::from(kind)], input.len()),
    }
}

/// The first byte of an input that answers to who asks for this identity.
pub(crate) fn asked(kind: IdentityCard) -> u8 {
    let place = KINDS.iter().position(|known| *known == kind);
    place.and_then(|place| u8::try_from(place).ok()).expect("a kind of the list")
}

fn identity_of(card: &mut dyn Transport, kind: IdentityCard, input: usize) {
    let pin = Pin::parse(b"1234", 4, 4).expect("four digits");
    let _ = identity::pin_tries(card, kind);
    if let Ok(identity) =
        identity::read(card, kind, Wanted { pin: Some(&pin), individual_number: true, signatures: true })
    {
        // No byte of a card becomes more than a character of six bytes in JSON.
        let json = serde_json::to_string(&identity).expect("an identity is JSON");
        assert!(json.len() <= 4096 + 8 * input, "{} bytes made of {input}", json.len());
        assert!(format!("{identity:?}").len() < 100);
    }
    let _ = identity::read_photo(card, kind);
}

fn pins_of(card: &mut dyn Transport) {
    let pin = Pin::parse(DIGITS, 6, 8).expect("six digits");
    let puk = Pin::parse(b"12345678", 8, 8).expect("eight digits");
    for known in pins::of_card(card).unwrap_or_default() {
        let _ = known.status(card);
        let _ = known.verify(card, &pin);
        let _ = known.change(card, &pin, &pin);
        let _ = known.set(card, &pin);
        let _ = known.unblock(card, &puk, Some(&pin));
        let _ = known.unblock_after_other(card, &pin);
        let _ = known.switch(card, false, &pin);
    }
}
