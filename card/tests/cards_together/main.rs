//! Two simulated cards: a professional's card proves its role to an insurance card.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a panic is a test's report")]

use card::apdu::{Command, Le, Response};
use card::card_to_card::{RoleError, enter_pin, prove_role};
use card::cv_certificate::Rights;
use card::egk::{
    EgkError, ProtectedError, ProtectedFile, ProtectedRecords, read, read_protected, read_protected_records,
};
use card::pace::PaceError;
use card::pin::{Pin, PinStatus};
use card::secure_messaging::{SecureError, SecureTransport};
use card::transport::{Recording, Replayed, Transport, TransportError};
use card_simulator::{Card, CardImage, Interface, NewCard, Profession, ProfileName, RsaKeyPool};
use tempfile::TempDir;

mod trusted_channel;

/// A simulated card without a wire.
struct Direct {
    card: Card,
    atr: Vec<u8>,
    commands: usize,
    in_section: bool,
    /// What the reader hands on of an answer.
    most: usize,
}

impl Transport for Direct {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        assert!(self.in_section, "{command:?} outside an exclusive section");
        self.commands += 1;
        let mut answer = self.card.transmit(&command.encode()?);
        if answer.len() > self.most + 2 {
            answer.truncate(self.most);
            answer.extend([0x90, 0x00]);
        }
        Ok(Response::parse(&answer)?)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        assert!(!std::mem::replace(&mut self.in_section, true));
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.in_section = false;
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}

impl Direct {
    fn take_commands(&mut self) -> usize {
        std::mem::take(&mut self.commands)
    }

    fn reset(&mut self) {
        self.card.reset();
    }
}

const EMERGENCY: &[u8] = b"\x00\x0DEMERGENCY DATA";
/// Two bytes of length and what begins as a gzip stream does.
fn packed() -> Vec<u8> {
    [&[0x02, 0x00, 0x1F, 0x8B][..], &[0xA5; 0x1FE]].concat()
}

/// A professional's and a patient's card; of one certification authority, or of two.
struct Pair {
    hpc: Direct,
    egk: Direct,
    _directory: TempDir,
}

fn pair_of(profession: Profession, same_authority: bool) -> Pair {
    pair_with(profession, same_authority, EMERGENCY)
}

fn pair_with(profession: Profession, same_authority: bool, emergency: &[u8]) -> Pair {
    let hpc = NewCard::new(ProfileName::HbaG21).profession(profession);
    let egk = NewCard::new(ProfileName::EgkG21).file("EF.NFD", emergency);
    issue(hpc, egk, same_authority)
}

fn issue(hpc: NewCard, egk: NewCard, same_authority: bool) -> Pair {
    let directory = TempDir::new().unwrap();
    let authority = |name: &str| directory.path().join(name);
    let other = if same_authority { "ca" } else { "other-ca" };
    let hpc = hpc.authority(authority("ca"));
    let egk = egk.authority(authority(other));
    let start = |new: NewCard, name: &str| {
        let image = directory.path().join(name);
        new.rsa_keys(RsaKeyPool::Shared).create(&image).unwrap();
        let mut card = Card::new(CardImage::open(&image).unwrap());
        let atr = card.power_on();
        Direct { card, atr, commands: 0, in_section: false, most: usize::MAX - 2 }
    };
    Pair { hpc: start(hpc, "hpc"), egk: start(egk, "egk"), _directory: directory }
}

fn pair() -> Pair {
    pair_of(Profession::Physician, true)
}

fn pin(digits: &str) -> Pin {
    Pin::parse(digits.as_bytes(), 6, 8).unwrap()
}

impl Pair {
    fn prove(&mut self) -> Result<Rights, RoleError> {
        prove_role(&mut self.hpc, &mut self.egk, &[])
    }

    fn read(&mut self, file: ProtectedFile) -> Result<Vec<u8>, ProtectedError> {
        read_protected(&mut self.egk, file)
    }

    /// VERIFY of one of the patient's PINs.
    fn patient_enters(&mut self, reference: u8, digits: &str) {
        let verify = Command::new(0x00, 0x20, 0x00, reference).data(pin(digits).block().unwrap().to_vec());
        self.egk.begin().unwrap();
        assert!(self.egk.transmit(&verify).unwrap().status.is_ok());
        self.egk.end().unwrap();
    }
}

#[test]
fn emergency_data_open_to_a_professionals_card_without_the_patients_pin() {
    let mut cards = pair();
    let locked = cards.read(ProtectedFile::Nfd);
    assert!(matches!(locked, Err(ProtectedError::Locked { name: "EF.NFD", .. })), "{locked:?}");
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    cards.hpc.take_commands();
    cards.egk.take_commands();
    let rights = cards.prove().unwrap();
    assert!(rights.has(Rights::EMERGENCY_DATA));
    assert_eq!((cards.hpc.take_commands(), cards.egk.take_commands()), (5, 11), "the documented budget");
    assert_eq!(cards.read(ProtectedFile::Nfd).unwrap(), EMERGENCY);
    assert_eq!(cards.egk.take_commands(), 2);
    cards.read(ProtectedFile::StatusNfd).unwrap();
    cards.read(ProtectedFile::Dpe).unwrap();
    cards.read(ProtectedFile::Gvd).unwrap();
}

#[test]
fn a_reader_that_cuts_answers_reads_the_whole_emergency_data() {
    let mut cards = pair_with(Profession::Physician, true, &packed());
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    cards.prove().unwrap();
    for most in [256, 100, usize::MAX - 2] {
        cards.egk.most = most;
        assert_eq!(cards.read(ProtectedFile::Nfd).unwrap(), packed(), "at most {most} bytes");
    }
}

#[test]
fn a_second_proof_needs_fewer_commands() {
    let mut cards = pair();
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    cards.prove().unwrap();
    cards.egk.take_commands();
    cards.prove().unwrap();
    assert_eq!(cards.egk.take_commands(), 5, "the card knows the certificate");
    cards.egk.reset();
    cards.prove().unwrap();
    assert_eq!(cards.egk.take_commands(), 8, "the card has kept the authority's key");
}

#[test]
fn a_reset_closes_the_files_again() {
    let mut cards = pair();
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    cards.prove().unwrap();
    cards.egk.reset();
    assert!(matches!(cards.read(ProtectedFile::Nfd), Err(ProtectedError::Locked { .. })));
}

#[test]
fn a_card_proves_no_role_before_its_pin() {
    let mut cards = pair();
    assert!(matches!(cards.prove(), Err(RoleError::PinNeeded)));
    let wrong = enter_pin(&mut cards.hpc, &pin("999999"));
    assert!(matches!(wrong, Err(RoleError::Pin(PinStatus::NotVerified { tries: 2 }))), "{wrong:?}");
    assert!(matches!(cards.prove(), Err(RoleError::PinNeeded)));
    assert!(matches!(cards.read(ProtectedFile::Nfd), Err(ProtectedError::Locked { .. })));
}

#[test]
fn each_profession_opens_what_its_certificate_names() {
    // Emergency data, personal declarations, protected insurance data.
    for (profession, opened) in [
        (Profession::Physician, [true, true, true]),
        (Profession::Dentist, [true, false, true]),
        (Profession::Pharmacist, [true, false, true]),
        (Profession::Psychotherapist, [true, true, true]),
        (Profession::Nurse, [true, true, true]),
        (Profession::Midwife, [true, false, true]),
        (Profession::Paramedic, [true, false, false]),
    ] {
        let mut cards = pair_of(profession, true);
        enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
        let rights = cards.prove().unwrap();
        let files = [ProtectedFile::Nfd, ProtectedFile::Dpe, ProtectedFile::Gvd];
        assert_eq!(files.map(|file| cards.read(file).is_ok()), opened, "{profession}");
        let flags = [Rights::EMERGENCY_DATA, Rights::PERSONAL_DECLARATIONS, Rights::PROTECTED_DATA];
        assert_eq!(flags.map(|flag| rights.has(flag)), opened, "{profession}");
    }
}

#[test]
fn medication_data_want_the_role_and_the_patients_pin() {
    let mut cards = pair();
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    cards.prove().unwrap();
    assert!(matches!(cards.read(ProtectedFile::Amts), Err(ProtectedError::Locked { .. })));
    cards.patient_enters(0x0C, "123456");
    cards.read(ProtectedFile::Amts).unwrap();
    cards.egk.reset();
    cards.patient_enters(0x0C, "123456");
    assert!(matches!(cards.read(ProtectedFile::Amts), Err(ProtectedError::Locked { .. })));
}

#[test]
fn the_patients_pin_alone_opens_consents_references_and_log() {
    let mut cards = pair();
    let files = [ProtectedRecords::Consents, ProtectedRecords::References, ProtectedRecords::Log];
    for file in files {
        assert!(matches!(read_protected_records(&mut cards.egk, file), Err(ProtectedError::Locked { .. })));
    }
    cards.patient_enters(0x02, "123456");
    let counts = files.map(|file| read_protected_records(&mut cards.egk, file).unwrap().len());
    assert_eq!(counts, [10, 10, 50]);
}

#[test]
fn an_institutions_card_opens_an_older_insurance_card() {
    let egk = NewCard::new(ProfileName::EgkG2).file("EF.NFD", EMERGENCY);
    let mut cards = issue(NewCard::new(ProfileName::SmcB), egk, true);
    assert!(matches!(cards.prove(), Err(RoleError::PinNeeded)));
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    assert!(cards.prove().unwrap().has(Rights::EMERGENCY_DATA));
    assert_eq!(cards.read(ProtectedFile::Nfd).unwrap(), EMERGENCY);
}

#[test]
fn a_recorded_session_is_followed_again_without_the_card() {
    let Pair { egk, _directory, .. } = pair();
    let recording = Recording::default();
    let mut egk = recording.around("reader", egk).unwrap();
    let files = read(&mut egk).unwrap();
    let text = recording.text();
    assert!(!text.contains(&hex::encode_upper(&files.pd[4..])), "{text}");
    let mut replayed = Replayed::parse(&text).unwrap();
    let again = read(&mut replayed).unwrap();
    assert!(replayed.is_finished());
    assert_eq!((again.pd.len(), again.vd.len()), (files.pd.len(), files.vd.len()));
    assert_ne!(again, files, "personal data are not in the recording");
}

#[test]
fn a_card_by_radio_is_read_whatever_curve_and_key_length_it_offers() {
    let directory = TempDir::new().unwrap();
    for curve in ["0C", "0D", "0F", "10"] {
        for cipher in ["02", "03", "04"] {
            let card_access = format!("31143012060A04007F000702020402{cipher}0201020201{curve}");
            let new =
                NewCard::new(ProfileName::EgkG21).file("EF.CardAccess", hex::decode(card_access).unwrap());
            let image = directory.path().join(format!("{curve}-{cipher}"));
            let new = new.authority(directory.path().join("ca")).rsa_keys(RsaKeyPool::Shared);
            new.create(&image).unwrap();
            let mut card = Card::new(CardImage::open(&image).unwrap()).over(Interface::Contactless);
            let atr = card.power_on();
            let radio = Direct { card, atr, commands: 0, in_section: false, most: usize::MAX - 2 };
            let mut egk = SecureTransport::new(radio, "123123".parse().unwrap());
            let files = read(&mut egk).unwrap();
            assert!(files.pd.len() > 100, "curve {curve}, cipher {cipher}");
        }
    }
}

#[test]
fn a_secured_answer_is_refused_one_byte_beyond_its_limit_and_the_channel_goes_on() {
    // 19 bytes of content are 51 with their protection and the status word.
    for (limit, length, status) in [("0033", 19, 0x9000), ("0032", 0, 0x6700)] {
        let directory = TempDir::new().unwrap();
        let limits =
            hex::decode(format!("E01102020409020300800202020409 0202{limit}").replace(' ', "")).unwrap();
        let new = NewCard::new(ProfileName::EgkG21).file("EF.ATR", limits);
        new.rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
        let mut card = Card::new(CardImage::open(directory.path()).unwrap()).over(Interface::Contactless);
        let atr = card.power_on();
        let radio = Direct { card, atr, commands: 0, in_section: false, most: usize::MAX - 2 };
        let mut egk = SecureTransport::new(radio, "123123".parse().unwrap());
        egk.begin().unwrap();
        for _ in 0..2 {
            let read = Command::new(0x00, 0xB0, 0x9D, 0x00);
            let answer = egk.transmit(&read.clone().le(Le::Extended(19))).unwrap();
            assert_eq!((answer.data.len(), answer.status.0), (length, status), "{limit}");
            assert!(egk.transmit(&read.le(Le::Extended(1))).unwrap().status.is_ok(), "{limit}");
        }
        egk.end().unwrap();
    }
}

#[test]
fn a_curve_that_is_not_known_is_told_as_such() {
    let directory = TempDir::new().unwrap();
    let unknown = hex::decode("31143012060A04007F00070202040202020102020111").unwrap();
    let new = NewCard::new(ProfileName::EgkG21).file("EF.CardAccess", unknown);
    new.rsa_keys(RsaKeyPool::Shared).create(directory.path()).unwrap();
    let mut card = Card::new(CardImage::open(directory.path()).unwrap()).over(Interface::Contactless);
    let atr = card.power_on();
    let radio = Direct { card, atr, commands: 0, in_section: false, most: usize::MAX - 2 };
    let mut egk = SecureTransport::new(radio, "123123".parse().unwrap());
    let Err(EgkError::Transport(TransportError::Secure(error))) = read(&mut egk) else { panic!("read") };
    assert!(matches!(*error, SecureError::Pace(PaceError::NotOffered)), "{error}");
}

#[test]
fn cards_of_two_authorities_do_not_trust_each_other() {
    let mut cards = pair_of(Profession::Physician, false);
    enter_pin(&mut cards.hpc, &pin("123456")).unwrap();
    assert!(matches!(cards.prove(), Err(RoleError::UnknownRoot { .. })));
    assert!(matches!(cards.read(ProtectedFile::Nfd), Err(ProtectedError::Locked { .. })));
}

#[test]
fn an_insurance_card_has_no_role_to_prove() {
    let mut cards = pair();
    let Pair { hpc, egk, .. } = &mut cards;
    // The professional's card does not know the algorithm for the patient's key.
    let refused = prove_role(egk, hpc, &[]);
    assert!(refused.is_err(), "{refused:?}");
}
