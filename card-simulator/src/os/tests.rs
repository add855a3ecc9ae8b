//! Tests over whole object tables, which need to see the profile.

use std::cell::Cell;

use super::*;
use crate::layout::{AccessRules, Condition, Operation};
use crate::{NewCard, ProfileName, RsaKeyPool};

/// An object of a profile, as the walk meets it.
struct Object {
    path: String,
    folder: usize,
    /// P2 or key reference, or the short file identifier.
    reference: u8,
    kind: Kind,
    fid: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Folder,
    Transparent,
    Records,
    Password,
    Key,
}

/// The command that asks for an operation, harmless otherwise; `None` if it is not simulated or always refused.
fn probe(object: &Object, operation: Operation) -> Option<Vec<u8>> {
    let r = object.reference;
    let by_sfid = [0x80 | r, 0x00];
    let record = [0x01, (r << 3) | 0x04];
    let command =
        |cla: u8, ins: u8, p: [u8; 2], rest: &[u8]| Some([[cla, ins, p[0], p[1]].as_slice(), rest].concat());
    // Lengths that only the access check can come before: 6982 or something else tells them apart.
    match operation {
        Operation::ReadBinary => command(0x00, 0xB0, by_sfid, &[0x01]),
        Operation::UpdateBinary => command(0x00, 0xD6, by_sfid, &[0x01, 0x00]),
        Operation::WriteBinary => command(0x00, 0xD0, [0x80 | r, 0x01], &[0x01, 0x00]),
        Operation::EraseBinary => command(0x00, 0x0E, [0x80 | r, 0xFF], &[]),
        Operation::SetLogicalEof => command(0x80, 0x0E, [0x80 | r, 0xFF], &[]),
        Operation::SetLogicalEofAt(p) => command(0x80, 0x0E, p.to_be_bytes(), &[]),
        Operation::ReadRecord => command(0x00, 0xB2, record, &[0x00]),
        Operation::SearchRecord => command(0x00, 0xA2, record, &[0x01, 0x00, 0x00]),
        Operation::AppendRecord => command(0x00, 0xE2, [0x00, r << 3], &[]),
        Operation::UpdateRecord => command(0x00, 0xDC, [0xFE, record[1]], &[0x01, 0x00]),
        Operation::EraseRecord => command(0x00, 0x0C, [0xFE, record[1]], &[]),
        Operation::DeleteRecord => command(0x80, 0x0C, [0xFE, record[1]], &[]),
        Operation::ActivateRecord => command(0x00, 0x08, [0xFE, record[1]], &[]),
        Operation::DeactivateRecord => command(0x00, 0x06, [0xFE, record[1]], &[]),
        Operation::GetRandom => command(0x80, 0x84, [0, 0], &[0x08]),
        Operation::PinStatus => command(0x80, 0x20, [0x00, r], &[]),
        Operation::ReadPublicKey => command(0x00, 0x46, [0x81, r], &[0, 0, 0]),
        Operation::GenerateKey => command(0x00, 0x46, [0xC4, r], &[]),
        _ => None,
    }
}

fn objects(layout: &'static Layout) -> Vec<(Object, &'static AccessRules)> {
    let mut all = Vec::new();
    for f in &layout.folders {
        let object = Object { path: f.path.clone(), folder: f.id, reference: 0, kind: Kind::Folder, fid: 0 };
        all.push((object, &f.access));
    }
    for f in &layout.files {
        let transparent = f.structure == crate::layout::Structure::Transparent;
        let kind = if transparent { Kind::Transparent } else { Kind::Records };
        let reference = f.sfid.unwrap_or(0);
        all.push((Object { path: f.path.clone(), folder: f.folder, reference, kind, fid: f.fid }, &f.access));
    }
    for p in &layout.passwords {
        let object = Object {
            path: p.path.clone(),
            folder: p.folder,
            reference: p.reference,
            kind: Kind::Password,
            fid: 0,
        };
        all.push((object, &p.access));
    }
    for k in layout.keys.iter().filter(|key| key.is_private()) {
        let reference = k.reference.unwrap_or(0);
        all.push((
            Object { path: k.path.clone(), folder: k.folder, reference, kind: Kind::Key, fid: 0 },
            &k.access,
        ));
    }
    all
}

const BINARY: [Operation; 5] = [
    Operation::ReadBinary,
    Operation::UpdateBinary,
    Operation::WriteBinary,
    Operation::EraseBinary,
    Operation::SetLogicalEof,
];
const RECORD: [Operation; 8] = [
    Operation::ReadRecord,
    Operation::SearchRecord,
    Operation::AppendRecord,
    Operation::UpdateRecord,
    Operation::EraseRecord,
    Operation::DeleteRecord,
    Operation::ActivateRecord,
    Operation::DeactivateRecord,
];

fn operations(kind: Kind) -> &'static [Operation] {
    match kind {
        Kind::Folder => &[Operation::GetRandom],
        Kind::Transparent => &BINARY,
        Kind::Records => &RECORD,
        Kind::Password => &[Operation::PinStatus],
        Kind::Key => &[Operation::ReadPublicKey, Operation::GenerateKey],
    }
}

/// How commands reach the card: the interface, and the secure messaging of PACE with or without enciphered data.
#[derive(Clone, Copy)]
struct Way {
    interface: Interface,
    secured: bool,
    enciphered: bool,
}

const CONTACTS: Way = Way { interface: Interface::Contact, secured: false, enciphered: false };
const CONTACTLESS: [Way; 3] = [
    Way { interface: Interface::Contactless, secured: false, enciphered: false },
    Way { interface: Interface::Contactless, secured: true, enciphered: false },
    Way { interface: Interface::Contactless, secured: true, enciphered: true },
];

/// Whether a condition holds with these passwords verified.
fn holds(condition: &Condition, way: Way, verified: &[u8], disabled: &[u8]) -> bool {
    condition.holds(&|atom| match atom {
        Condition::Password(p) => verified.contains(p) || disabled.contains(p),
        Condition::SecureMessaging(origin) => way.secured && *origin == Origin::Key(0x02),
        Condition::EncipheredCommand => way.enciphered,
        Condition::EncipheredResponse => way.secured,
        _ => false,
    })
}

fn card(profile: ProfileName) -> (tempfile::TempDir, Card) {
    let directory = tempfile::tempdir().unwrap();
    NewCard::new(profile).rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
    let card = Card::new(CardImage::open(directory.path()).unwrap());
    (directory, card)
}

/// Sends a command that way; what secure messaging does with its bytes is tested elsewhere.
fn status(card: &mut Card, way: Way, command: &[u8]) -> u16 {
    let origin = Origin::Key(0x02);
    card.protection = way.secured.then_some(Protection { origin, enciphered: way.enciphered });
    let outcome = Command::parse(command).and_then(|command| card.dispatch(&command));
    card.protection = None;
    outcome.map_or_else(|status| status, |reply| reply.status).0
}

/// Walks every object and every command that can be probed, with each set of verified passwords.
fn walk(profile: ProfileName, way: Way, passwords: &[&[u8]], disabled: &[u8], at_least: usize) {
    let (_directory, card) = card(profile);
    let mut card = card.over(way.interface);
    let layout = card.layout;
    let probes = Cell::new(0);
    for (object, access) in objects(layout) {
        for verified in passwords {
            for &operation in operations(object.kind) {
                card.reset();
                for password in *verified {
                    let digits = if *password == 0x0D { 0x34_56_78 } else { 0x12_34_56_u32 };
                    let [_, a, b, c] = digits.to_be_bytes();
                    let verify = [0x00, 0x20, 0x00, *password, 0x08, 0x26, a, b, c, 0xFF, 0xFF, 0xFF, 0xFF];
                    assert_eq!(status(&mut card, way, &verify), 0x9000);
                }
                let aid = &layout.folder(object.folder).aid;
                let select = [[0x00, 0xA4, 0x04, 0x0C, aid.len() as u8].as_slice(), aid].concat();
                assert_eq!(status(&mut card, way, &select), 0x9000);
                let Some(command) = probe(&object, operation) else { continue };
                let condition = access.condition(way.interface, true, 1, operation);
                let allowed = condition.is_some_and(|condition| holds(condition, way, verified, disabled));
                let answer = status(&mut card, way, &command);
                assert_eq!(
                    answer != 0x6982,
                    allowed,
                    "{} ({:04X}): {operation:?} after {verified:02X?} answers {answer:04X}",
                    object.path,
                    object.fid
                );
                probes.set(probes.get() + 1);
            }
        }
    }
    assert!(probes.get() >= at_least, "{} probes", probes.get());
}

#[test]
fn every_rule_of_the_hba_is_kept() {
    walk(ProfileName::HbaG21, CONTACTS, &[&[], &[0x01]], &[], 300);
}

#[test]
fn every_contactless_rule_of_both_german_cards_is_kept() {
    for (profile, disabled, at_least) in
        [(ProfileName::HbaG21, &[][..], 150), (ProfileName::EgkG21, &[0x03, 0x04], 150)]
    {
        for way in CONTACTLESS {
            walk(profile, way, &[&[]], disabled, at_least);
        }
        walk(profile, CONTACTLESS[2], &[&[0x01]], disabled, at_least);
    }
}

#[test]
fn every_rule_of_the_insurance_card_is_kept() {
    walk(
        ProfileName::EgkG21,
        CONTACTS,
        &[&[], &[0x01], &[0x02], &[0x0D], &[0x01, 0x02, 0x05, 0x0C]],
        &[0x03, 0x04],
        700,
    );
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

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn random_commands_never_panic_and_never_damage_the_image(
        commands in proptest::collection::vec(command(), 1..60)
    ) {
        let (directory, mut card) = card(ProfileName::EgkG21);
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
        0x06u8, 0x08, 0x0C, 0x0E, 0x20, 0x22, 0x24, 0x26, 0x28, 0x2A, 0x2C, 0x46, 0x70, 0x84, 0x88, 0xA2,
        0xA4, 0xB0, 0xB2, 0xD0, 0xD6, 0xDC, 0xE2,
    ]);
    let cla = proptest::sample::select(vec![0x00u8, 0x00, 0x01, 0x80, 0x82]);
    let p1 = prop_oneof![Just(0x00u8), Just(0x01), Just(0x04), Just(0x9E), Just(0x41), any::<u8>()];
    let p2 = prop_oneof![Just(0x01u8), Just(0x02), Just(0x0C), Just(0x9A), Just(0xB6), any::<u8>()];
    let body = prop_oneof![
        Just(vec![0x06, 0xD2, 0x76, 0x00, 0x00, 0x01, 0x02]),
        Just(vec![0x08, 0x26, 0x12, 0x34, 0x56, 0xFF, 0xFF, 0xFF, 0xFF]),
        Just(vec![0x06, 0x84, 0x01, 0x84, 0x80, 0x01, 0x00]),
        Just(vec![0x00]),
        proptest::collection::vec(any::<u8>(), 0..80),
    ];
    let near = (cla, ins, p1, p2, body)
        .prop_map(|(cla, ins, p1, p2, body)| [[cla, ins, p1, p2].as_slice(), &body].concat());
    prop_oneof![near, proptest::collection::vec(any::<u8>(), 0..300)]
}
