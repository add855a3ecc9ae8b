//! Tests over whole object tables, which need to see the profile.

use super::*;
use crate::layout::{AccessRules, Condition, Operation};
use crate::{NewCard, ProfileName, RsaKeyPool};

mod walk;

fn card(profile: ProfileName) -> (tempfile::TempDir, Card) {
    let directory = tempfile::tempdir().unwrap();
    NewCard::new(profile).rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
    let card = Card::new(CardImage::open(directory.path()).unwrap());
    (directory, card)
}

#[test]
fn every_signature_key_asks_for_its_pin() {
    for profile in ProfileName::ALL {
        let (_directory, mut card) = card(profile);
        let layout = card.layout;
        for key in layout.keys.iter().filter(|key| key.is_private()) {
            let Some(condition) =
                key.access.condition(Interface::Contact, true, 1, Operation::ComputeSignature)
            else {
                continue;
            };
            assert!(!condition.passwords().is_empty(), "{}", key.path);
            let channel = Channel::new(layout.folder(key.folder));
            let allowed = card.allowed(&channel, key.folder, &key.access, Operation::ComputeSignature);
            assert_eq!(allowed, Err(Sw::SECURITY_STATUS), "{}", key.path);
        }
        card.reset();
    }
}

#[test]
fn a_plain_answer_is_refused_one_byte_beyond_its_limit() {
    // 19 bytes of content and a status word.
    for (limit, length, status) in [("0015", 19, [0x90, 0x00]), ("0014", 0, [0x67, 0x00])] {
        let directory = tempfile::tempdir().unwrap();
        let body = hex::decode(format!("E01102020409020300{limit}0202040902020409")).unwrap();
        let new = NewCard::new(ProfileName::EgkG21).file("EF.ATR", body).rsa_keys(RsaKeyPool::Shared);
        new.create(directory.path()).unwrap();
        let mut card = Card::new(CardImage::open(directory.path()).unwrap());
        card.power_on();
        let answer = card.transmit(&hex_literal::hex!("00B09D00000013"));
        assert_eq!((answer.len() - 2, &answer[answer.len() - 2..]), (length, status.as_slice()), "{limit}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn random_commands_never_panic_and_never_damage_the_image(
        profile in proptest::sample::select(ProfileName::ALL.to_vec()),
        interface in proptest::sample::select(vec![Interface::Contact, Interface::Contactless]),
        commands in proptest::collection::vec(command(), 1..80)
    ) {
        let (directory, card) = card(profile);
        let mut card = card.over(interface);
        for command in &commands {
            let answer = card.transmit(command);
            proptest::prop_assert!(answer.len() >= 2);
        }
        let before = card.image().summary();
        drop(card);
        let after = CardImage::open(directory.path()).unwrap().summary();
        proptest::prop_assert_eq!(format!("{before:?}"), format!("{after:?}"));
    }
}

/// Half random bytes, half commands near enough to real ones to get past the first checks.
fn command() -> impl proptest::strategy::Strategy<Value = Vec<u8>> {
    use proptest::prelude::*;
    let ins = proptest::sample::select(vec![
        0x04u8, 0x06, 0x08, 0x0C, 0x0E, 0x20, 0x22, 0x24, 0x26, 0x28, 0x2A, 0x2C, 0x44, 0x46, 0x70, 0x82,
        0x84, 0x86, 0x88, 0xA2, 0xA4, 0xB0, 0xB2, 0xC0, 0xCA, 0xCB, 0xD0, 0xD6, 0xDC, 0xE2,
    ]);
    let cla = proptest::sample::select(vec![0x00u8, 0x00, 0x01, 0x80, 0x82, 0x10, 0x0C, 0x8C]);
    let p1 = prop_oneof![Just(0x00u8), Just(0x01), Just(0x04), Just(0x9E), Just(0x41), any::<u8>()];
    let p2 = prop_oneof![Just(0x01u8), Just(0x02), Just(0x0C), Just(0x9A), Just(0xB6), any::<u8>()];
    let body = prop_oneof![
        Just(vec![0x06, 0xD2, 0x76, 0x00, 0x00, 0x01, 0x02]),
        Just(vec![0x08, 0x26, 0x12, 0x34, 0x56, 0xFF, 0xFF, 0xFF, 0xFF]),
        Just(vec![0x06, 0x84, 0x01, 0x84, 0x80, 0x01, 0x00]),
        Just(vec![0x00]),
        Just(vec![0x02, 0x7C, 0x00, 0x00]),
        Just(hex_literal::hex!("0F 80 0A 04007F00070202040202 83 01 02").to_vec()),
        Just(vec![0x0C, 0x99, 0x02, 0x90, 0x00, 0x8E, 0x08, 1, 2, 3, 4, 5, 6, 7, 8]),
        proptest::collection::vec(any::<u8>(), 0..80),
    ];
    let near = (cla, ins, p1, p2, body)
        .prop_map(|(cla, ins, p1, p2, body)| [[cla, ins, p1, p2].as_slice(), &body].concat());
    prop_oneof![near, proptest::collection::vec(any::<u8>(), 0..300)]
}
