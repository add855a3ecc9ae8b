//! Walks whole object tables: each command on each object, over both interfaces, in each state that its rule names.
//!
//! A rule is taken apart into the ways to meet it. With everything of one way the command must not be refused for want
//! of rights; with any one thing of it missing it must be, unless what is left is another way. The state is put into the
//! card directly: how it is earned (VERIFY, EXTERNAL AUTHENTICATE, secure messaging) is tested elsewhere.

use super::*;
use crate::crypto::{Day, Rights};
use crate::image::TrustedKey;
use crate::layout::{Algorithm, Anchor, Curve, Key, KeyKind, Origin, Structure};
use crate::os::trust::CardKey;

/// An object of a profile, as the walk meets it.
struct Object {
    path: String,
    folder: usize,
    access: &'static AccessRules,
    /// P2 or key reference, or the short file identifier.
    reference: u8,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Folder,
    Transparent,
    Records,
    Password,
    Key(&'static Key),
    /// What was imported under a root: its rules are the root's.
    ImportedVerifier(&'static Key),
    ImportedCard(&'static Key),
}

const IMPORTED: [u8; 8] = *b"DEXYZ\x10\x02\x26";
const IMPORTED_CARD: [u8; 12] = *b"\x00\x06ABCDEFGHIJ";
const NEVER: Day = [9, 9, 1, 2, 3, 1];

fn objects(layout: &'static Layout) -> Vec<Object> {
    let mut all = Vec::new();
    let mut add = |path: &str, folder, access, reference, kind| {
        all.push(Object { path: path.to_owned(), folder, access, reference, kind });
    };
    for f in &layout.folders {
        add(&f.path, f.id, &f.access, 0, Kind::Folder);
    }
    for f in &layout.files {
        let kind = if f.structure == Structure::Transparent { Kind::Transparent } else { Kind::Records };
        add(&f.path, f.folder, &f.access, f.sfid.unwrap_or(0), kind);
    }
    for p in &layout.passwords {
        add(&p.path, p.folder, &p.access, p.reference, Kind::Password);
    }
    for k in &layout.keys {
        add(&k.path, k.folder, &k.access, k.reference.unwrap_or(0), Kind::Key(k));
        if let Some(Anchor { verification_access, authentication_access, .. }) = &k.anchor {
            add("imported key of an authority", k.folder, verification_access, 0, Kind::ImportedVerifier(k));
            add("imported key of a card", k.folder, authentication_access, 0, Kind::ImportedCard(k));
        }
    }
    all
}

const OF_FOLDERS: [Operation; 3] = [Operation::GetRandom, Operation::Activate, Operation::Deactivate];
const OF_BINARIES: [Operation; 5] = [
    Operation::ReadBinary,
    Operation::UpdateBinary,
    Operation::WriteBinary,
    Operation::EraseBinary,
    Operation::SetLogicalEof,
];
const OF_RECORDS: [Operation; 8] = [
    Operation::ReadRecord,
    Operation::SearchRecord,
    Operation::AppendRecord,
    Operation::UpdateRecord,
    Operation::EraseRecord,
    Operation::DeleteRecord,
    Operation::ActivateRecord,
    Operation::DeactivateRecord,
];
const OF_PASSWORDS: [Operation; 9] = [
    Operation::PinStatus,
    Operation::Verify,
    Operation::Change,
    Operation::Set,
    Operation::ResetWithPukAndNew,
    Operation::ResetWithPuk,
    Operation::ResetWithNew,
    Operation::Disable,
    Operation::Enable,
];
const OF_KEYS: [Operation; 7] = [
    Operation::ReadPublicKey,
    Operation::GenerateKey,
    Operation::ComputeSignature,
    Operation::Decipher,
    Operation::InternalAuthenticate,
    Operation::GeneralAuthenticate,
    Operation::VerifyCertificate,
];

/// What can be asked of an object: what its kind knows, and what its rules name besides.
fn operations(object: &Object) -> Vec<Operation> {
    let mut all = match object.kind {
        Kind::Folder => OF_FOLDERS.to_vec(),
        Kind::Transparent => OF_BINARIES.to_vec(),
        Kind::Records => OF_RECORDS.to_vec(),
        Kind::Password => OF_PASSWORDS.to_vec(),
        Kind::Key(_) => OF_KEYS.to_vec(),
        Kind::ImportedVerifier(_) => vec![Operation::VerifyCertificate],
        Kind::ImportedCard(_) => vec![Operation::ExternalAuthenticate],
    };
    for operation in object.access.operations() {
        if !all.contains(&operation) {
            all.push(operation);
        }
    }
    all
}

/// Commands that are not simulated, so that no answer of theirs can be walked: `docs/simulator.md` names them.
fn is_simulated(object: &Object, operation: Operation) -> bool {
    let symmetric = matches!(object.kind, Kind::Key(key) if key.kind == KeyKind::Aes);
    let absent = [
        Operation::Delete,
        Operation::LoadApplication,
        Operation::Fingerprint,
        Operation::Transcipher,
        Operation::ExternalAuthenticate80,
    ];
    !symmetric && !absent.contains(&operation)
}

/// The commands that ask for an operation; only the last one is judged. `None` where no algorithm of the key fits. Most
/// are too short or too long for anything but the check of rights to come first.
fn probe(card: &Card, object: &Object, operation: Operation) -> Option<Vec<Vec<u8>>> {
    let r = object.reference;
    let record = (r << 3) | 0x04;
    let one = |header: [u8; 4], rest: &[u8]| Some(vec![[header.as_slice(), rest].concat()]);
    let block: &[u8] = &[0x26, 0x99, 0x99, 0x99, 0xFF, 0xFF, 0xFF, 0xFF];
    let (single, double) = ([&[8], block].concat(), [&[16], block, block].concat());
    match operation {
        Operation::ReadBinary => one([0x00, 0xB0, 0x80 | r, 0x00], &[0x01]),
        Operation::UpdateBinary => one([0x00, 0xD6, 0x80 | r, 0x00], &[0x01, 0x00]),
        Operation::WriteBinary => one([0x00, 0xD0, 0x80 | r, 0x01], &[0x01, 0x00]),
        Operation::EraseBinary => one([0x00, 0x0E, 0x80 | r, 0xFF], &[]),
        Operation::SetLogicalEof => one([0x80, 0x0E, 0x80 | r, 0xFF], &[]),
        Operation::SetLogicalEofAt(p) => one([0x80, 0x0E, p.to_be_bytes()[0], p.to_be_bytes()[1]], &[]),
        Operation::ReadRecord => one([0x00, 0xB2, 0x01, record], &[0x00]),
        Operation::SearchRecord => one([0x00, 0xA2, 0x01, record], &[0x01, 0x00, 0x00]),
        Operation::AppendRecord => one([0x00, 0xE2, 0x00, r << 3], &[]),
        Operation::UpdateRecord => one([0x00, 0xDC, 0xFE, record], &[0x01, 0x00]),
        Operation::EraseRecord => one([0x00, 0x0C, 0xFE, record], &[]),
        Operation::DeleteRecord => one([0x80, 0x0C, 0xFE, record], &[]),
        Operation::ActivateRecord => one([0x00, 0x08, 0xFE, record], &[]),
        Operation::DeactivateRecord => one([0x00, 0x06, 0xFE, record], &[]),
        Operation::GetRandom => one([0x80, 0x84, 0, 0], &[0x08]),
        Operation::Activate => one([0x00, 0x44, 0, 0], &[]),
        Operation::Deactivate => one([0x00, 0x04, 0, 0], &[]),
        Operation::PinStatus => one([0x80, 0x20, 0x00, r], &[]),
        Operation::Verify => one([0x00, 0x20, 0x00, r], &single),
        Operation::Change => one([0x00, 0x24, 0x00, r], &double),
        Operation::Set => one([0x00, 0x24, 0x01, r], &single),
        Operation::ResetWithPukAndNew => one([0x00, 0x2C, 0x00, r], &double),
        Operation::ResetWithPuk => one([0x00, 0x2C, 0x01, r], &single),
        Operation::ResetWithNew => one([0x00, 0x2C, 0x02, r], &single),
        Operation::Disable => one([0x00, 0x26, 0x00, r], &single),
        Operation::Enable => one([0x00, 0x28, 0x00, r], &single),
        _ => key_probe(card, object, operation),
    }
}

fn key_probe(card: &Card, object: &Object, operation: Operation) -> Option<Vec<Vec<u8>>> {
    let r = object.reference;
    let set = |purpose: u8, algorithm: u8| {
        vec![0x00, 0x22, 0x41, purpose, 0x06, 0x84, 0x01, r, 0x80, 0x01, algorithm]
    };
    let verify = |reference: &[u8]| {
        let choose = [&[0x00, 0x22, 0x81, 0xB6, 0x0A, 0x83, 0x08], reference].concat();
        Some(vec![choose, vec![0x00, 0x2A, 0x00, 0xBE, 0x01, 0x00]])
    };
    let key = match object.kind {
        Kind::ImportedVerifier(_) => return verify(&IMPORTED),
        Kind::ImportedCard(_) => {
            let choose =
                [&[0x00, 0x22, 0x81, 0xA4, 0x11, 0x83, 0x0C], &IMPORTED_CARD[..], &[0x80, 0x01, 0x00]];
            let prove = [&[0x00, 0x82, 0x00, 0x00, 0x40][..], &[0x11; 64]].concat();
            return Some(vec![choose.concat(), vec![0x00, 0x84, 0x00, 0x00, 0x10], prove]);
        }
        Kind::Key(key) if key.anchor.is_some() => {
            let root = card.image.roots().iter().find(|root| root.anchor == key.path).unwrap();
            return (operation == Operation::VerifyCertificate).then(|| verify(&root.reference)).flatten();
        }
        Kind::Key(key) => key,
        _ => return None,
    };
    let number = |candidates: &[(Algorithm, u8)]| {
        let known = |(algorithm, _): &&(Algorithm, u8)| key.algorithms_in(1).contains(algorithm);
        candidates.iter().find(known).map(|(_, number)| *number)
    };
    match operation {
        Operation::ReadPublicKey if key.is_private() => Some(vec![vec![0x00, 0x46, 0x81, r, 0, 0, 0]]),
        Operation::GenerateKey if key.is_private() => Some(vec![vec![0x00, 0x46, 0x84, r]]),
        Operation::ComputeSignature => {
            let signs =
                [(Algorithm::SignEcdsa, 0x00), (Algorithm::SignPss, 0x05), (Algorithm::SignPkcs1, 0x02)];
            Some(vec![set(0xB6, number(&signs)?), vec![0x00, 0x2A, 0x9E, 0x9A, 0x01, 0x00, 0x00]])
        }
        Operation::Decipher => {
            let opens = [(Algorithm::ElcSharedSecret, 0x0B), (Algorithm::RsaDecipherOaep, 0x85)];
            Some(vec![set(0xB8, number(&opens)?), vec![0x00, 0x2A, 0x80, 0x86, 0x01, 0x00, 0x00]])
        }
        Operation::InternalAuthenticate => {
            let proves =
                [(Algorithm::RsaClientAuthentication, 0x05), (Algorithm::ElcRoleAuthentication, 0x00)];
            let token = [&[0x00, 0x88, 0x00, 0x00, 0x80][..], &[0x11; 128], &[0x00]].concat();
            Some(vec![set(0xA4, number(&proves)?), token])
        }
        Operation::GeneralAuthenticate if key.kind == KeyKind::Pace => {
            let protocol = [0x80, 0x0A, 0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x04, 0x02, 0x02];
            let choose = [&[0x00, 0x22, 0xC1, 0xA4, 0x0F][..], &protocol, &[0x83, 0x01, r]].concat();
            Some(vec![choose, vec![0x10, 0x86, 0x00, 0x00, 0x02, 0x7C, 0x00, 0x00]])
        }
        Operation::GeneralAuthenticate => {
            let begin = [&[0x10, 0x86, 0x00, 0x00, 0x10, 0x7C, 0x0E, 0xC3, 0x0C][..], &[0x11; 12], &[0x00]];
            Some(vec![set(0xA4, number(&[(Algorithm::ElcSessionKey4Sm, 0x54)])?), begin.concat()])
        }
        _ => None,
    }
}

/// The ways to meet a condition, each a list of what must be there.
fn ways(condition: &Condition) -> Vec<Vec<Condition>> {
    match condition {
        Condition::Always => vec![Vec::new()],
        Condition::Any(parts) => parts.iter().flat_map(ways).collect(),
        Condition::All(parts) => parts.iter().fold(vec![Vec::new()], |begun, part| {
            let ends = ways(part);
            begun
                .iter()
                .flat_map(|begin| ends.iter().map(move |end| [begin.as_slice(), end].concat()))
                .collect()
        }),
        leaf => vec![vec![leaf.clone()]],
    }
}

/// Whether the condition holds when just these things are there.
fn holds(condition: &Condition, there: &[Condition]) -> bool {
    let secured = there.iter().any(|atom| {
        matches!(
            atom,
            Condition::SecureMessaging(_) | Condition::EncipheredCommand | Condition::EncipheredResponse
        )
    });
    condition.holds(&|atom| match atom {
        // Every answer of a secured command leaves enciphered.
        Condition::EncipheredResponse => secured,
        Condition::Role(wanted) => {
            there.iter().any(|atom| matches!(atom, Condition::Role(has) if has.cover(*wanted)))
        }
        atom => there.contains(atom),
    })
}

/// Puts exactly these things into a card that stands in the object's folder.
fn prepare(card: &mut Card, object: &Object, environment: u8, there: &[Condition]) {
    card.reset();
    let layout = card.layout;
    let mut protection: Option<Protection> = None;
    for atom in there {
        // What no rule ever asks for stands for "some keys".
        let secured = protection.get_or_insert(Protection { origin: Origin::Key(0xFF), enciphered: false });
        match atom {
            Condition::SecureMessaging(origin) => secured.origin = *origin,
            Condition::EncipheredCommand => secured.enciphered = true,
            Condition::EncipheredResponse => {}
            _ if secured.origin == Origin::Key(0xFF) && !secured.enciphered => protection = None,
            _ => {}
        }
    }
    let secured = there.iter().any(|atom| {
        !matches!(atom, Condition::Password(_) | Condition::Role(_) | Condition::FreshPassword(_))
    });
    card.protection = protection.filter(|_| secured);
    if secured && card.protection.is_none() {
        card.protection = Some(Protection { origin: Origin::Key(0xFF), enciphered: false });
    }
    let anchor = layout.keys.iter().find(|key| key.anchor.is_some());
    let imported = match object.kind {
        Kind::ImportedCard(key) => Some(key),
        _ => None,
    };
    let channel = card.channel_mut(0).unwrap();
    channel.enter(layout, layout.folder(object.folder));
    channel.environment = environment;
    for (number, atom) in there.iter().enumerate() {
        match atom {
            Condition::Password(reference) => {
                channel.set_verified(layout.password(object.folder, *reference).unwrap(), None);
            }
            Condition::Role(rights) => {
                let reference = vec![u8::try_from(number).unwrap(); 12];
                channel.trust.grant(&card_key(anchor.unwrap(), reference, *rights));
            }
            _ => {}
        }
    }
    if let Some(key) = imported {
        let rights = key.anchor.as_ref().unwrap().rights;
        channel.trust.import(card_key(key, IMPORTED_CARD.to_vec(), rights));
    }
}

fn card_key(anchor: &'static Key, reference: Vec<u8>, rights: Rights) -> CardKey {
    CardKey { anchor, reference, point: vec![0x04; 65], rights, expires: NEVER }
}

/// What a walk has seen.
#[derive(Debug, Default)]
struct Seen {
    allowed: usize,
    refused: usize,
}

struct Walk {
    card: Card,
    interface: Interface,
    seen: Seen,
    _directory: tempfile::TempDir,
}

impl Walk {
    fn new(profile: ProfileName, interface: Interface) -> Walk {
        let (directory, card) = card(profile);
        let mut card = card.over(interface);
        let layout = card.layout;
        for password in &layout.passwords {
            card.image.store_enabled(password, true).unwrap();
        }
        Walk { card, interface, seen: Seen::default(), _directory: directory }
    }

    fn all(&mut self) {
        for object in objects(self.card.layout) {
            for environment in [1, 2] {
                if environment == 1 || object.access.knows_environment(2) {
                    for operation in operations(&object) {
                        if is_simulated(&object, operation) {
                            self.operation(&object, environment, operation);
                        }
                    }
                }
            }
        }
    }

    fn operation(&mut self, object: &Object, environment: u8, operation: Operation) {
        if let Kind::ImportedVerifier(key) = object.kind {
            let rights = key.anchor.as_ref().unwrap().rights;
            let (reference, point) = (IMPORTED.to_vec(), vec![0x04; 65]);
            let imported = TrustedKey { anchor: key.path.clone(), reference, point, rights, expires: NEVER };
            self.card.image.learn_key(imported, [0; 6]).unwrap();
        }
        let Some(commands) = probe(&self.card, object, operation) else { return };
        let condition = object.access.condition(self.interface, true, environment, operation).cloned();
        let mut states = vec![Vec::new()];
        match &condition {
            Some(condition) => {
                for way in ways(condition) {
                    let without = |left_out: usize| {
                        let kept = way.iter().enumerate().filter(move |(place, _)| *place != left_out);
                        kept.map(|(_, atom)| atom.clone()).collect::<Vec<_>>()
                    };
                    states.extend((0..way.len()).map(without));
                    states.push(way);
                }
            }
            // No rule names it: nothing helps.
            None => states.push(self.everything(object)),
        }
        for there in states {
            let allowed = condition.as_ref().is_some_and(|condition| holds(condition, &there));
            let answer = self.ask(object, environment, &there, &commands);
            let place =
                format!("{} ({:?}): {operation:?} in environment {environment}", object.path, self.interface);
            assert_eq!(answer != 0x6982, allowed, "{place} with {there:?} answers {answer:04X}");
            assert!(![0x6D00, 0x6E00].contains(&answer), "{place} is unknown to the card");
            *(if allowed { &mut self.seen.allowed } else { &mut self.seen.refused }) += 1;
        }
    }

    fn everything(&self, object: &Object) -> Vec<Condition> {
        let layout = self.card.layout;
        let reachable = layout.passwords.iter().filter(|p| p.folder == 0 || p.folder == object.folder);
        let mut all: Vec<_> = reachable.map(|p| Condition::Password(p.reference)).collect();
        all.push(Condition::Role(Rights { list: crate::crypto::FlagList::Telematics, flags: u64::MAX >> 8 }));
        all.push(Condition::SecureMessaging(Origin::Key(0x02)));
        all.push(Condition::EncipheredCommand);
        all
    }

    fn ask(&mut self, object: &Object, environment: u8, there: &[Condition], commands: &[Vec<u8>]) -> u16 {
        prepare(&mut self.card, object, environment, there);
        // Deactivating a folder would close it for the rest of the walk.
        let mut answer = 0;
        for command in commands {
            let outcome = Command::parse(command).and_then(|command| self.card.dispatch(&command));
            answer = outcome.map_or_else(|status| status, |reply| reply.status).0;
        }
        self.card.protection = None;
        let folder = self.card.layout.folder(object.folder);
        if !self.card.image.is_active(folder) {
            self.card.image.store_active(folder, true).unwrap();
        }
        answer
    }
}

fn walk(profile: ProfileName) -> [Seen; 2] {
    [Interface::Contact, Interface::Contactless].map(|interface| {
        let mut walk = Walk::new(profile, interface);
        walk.all();
        walk.seen
    })
}

#[test]
fn every_rule_of_the_professionals_card_is_kept() {
    let seen = walk(ProfileName::HbaG21);
    assert!(seen.iter().all(|seen| seen.allowed > 100 && seen.refused > 250), "{seen:?}");
}

#[test]
fn every_rule_of_the_insurance_card_is_kept() {
    let seen = walk(ProfileName::EgkG21);
    assert!(seen.iter().all(|seen| seen.allowed > 250 && seen.refused > 1000), "{seen:?}");
}

/// A deactivated folder keeps the rules it has for this state, and closes what is in it.
#[test]
fn a_deactivated_folder_closes_what_is_in_it() {
    let mut walk = Walk::new(ProfileName::EgkG21, Interface::Contact);
    let layout = walk.card.layout;
    let folders = layout.folders.iter().filter(|folder| folder.path.contains("DF.HCA/"));
    let mut closed = 0;
    for folder in folders {
        for object in objects(layout).iter().filter(|object| object.folder == folder.id) {
            for operation in operations(object).into_iter().filter(|o| is_simulated(object, *o)) {
                let Some(commands) = probe(&walk.card, object, operation) else { continue };
                let condition = object.access.condition(Interface::Contact, false, 1, operation);
                for there in condition.map_or_else(|| vec![walk.everything(object)], ways) {
                    walk.card.image.store_active(folder, false).unwrap();
                    let answer = walk.ask(object, 1, &there, &commands);
                    assert_eq!(answer != 0x6982, condition.is_some(), "{}: {operation:?}", object.path);
                    closed += usize::from(condition.is_none());
                }
            }
        }
    }
    assert!(closed > 40, "{closed}");
}

#[test]
fn a_key_made_on_the_card_stays_there() {
    let mut walk = Walk::new(ProfileName::EgkG21, Interface::Contact);
    let object = objects(walk.card.layout).into_iter().find(|o| o.path.ends_with("PrK.AMTS.ENC.E256"));
    let object = object.unwrap();
    let Kind::Key(key) = object.kind else { panic!("{}", object.path) };
    assert_eq!(key.kind, KeyKind::EcPrivate(Curve::BrainpoolP256r1));
    let there = [0x0C].map(Condition::Password).to_vec();
    let role = Condition::Role(Rights::of(crate::crypto::FlagList::Telematics, [46, 47]));
    let there = [there, vec![role]].concat();
    let mut ask = |p1: u8| walk.ask(&object, 1, &there, &[vec![0x00, 0x46, p1, object.reference, 0, 0, 0]]);
    assert_eq!(ask(0x81), 0x6400, "no key yet");
    assert_eq!(ask(0x80), 0x9000);
    assert_eq!(ask(0x80), 0x6985, "there is one");
    assert_eq!(ask(0x81), 0x9000);
    assert_eq!(ask(0x82), 0x6A86);
    let first = walk.card.image.key(key).unwrap().point();
    let directory = walk.card.image.directory().to_path_buf();
    drop(walk.card);
    let again = CardImage::open(directory).unwrap();
    assert_eq!(again.key(key).unwrap().point(), first);
}
