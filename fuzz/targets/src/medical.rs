//! An insurance card and a professional's card that both answer whatever they like to who reads what is protected.

use std::cell::Cell;

use card::egk::{ProtectedFile, ProtectedRecords};
use card::pin::Pin;
use card::transport::Transport;
use egk_reader::access::{self, AccessError, Asked, Entered, Keys, Opened, Professional};
use egk_reader::certificates::CardCertificate;
use serde::Serialize;

use crate::answers::{Answers, DIGITS};
use crate::parts;

/// What can be read: as many as [`read`] knows.
pub(crate) const FILES: u8 = 8;
/// Bits of the second byte.
pub(crate) const PATIENT: u8 = 0x01;
pub(crate) const PROFESSIONAL: u8 = 0x02;
const REPRESENTATIVE: u8 = 0x04;
pub(crate) const REASON: u8 = 0x08;
const LAST_TRY: u8 = 0x10;

/// The first byte says what is read, the second who is there, the rest what the cards answer: the first byte of each part
/// whose answer it is (even: the patient's card).
pub(crate) fn answers(input: &[u8]) {
    let &[file, present, ref answers @ ..] = input else { return };
    let of_card = |card: u8| {
        let answers = parts(answers).filter_map(|part| part.split_first());
        let mine = answers.filter(move |(whose, _)| *whose % 2 == card);
        Answers::new(Vec::new(), mine.map(|(_, answer)| answer.to_vec()).collect())
    };
    read(file, present, &mut of_card(0), &mut of_card(1), input.len());
}

/// Reads a file with the keys of who is there; `input` is how many bytes both cards can say.
pub(crate) fn read(file: u8, present: u8, egk: &mut dyn Transport, hpc: &mut dyn Transport, input: usize) {
    let pin = Pin::parse(DIGITS, 6, 8).expect("six digits");
    let asked = Cell::new(0);
    let mut enter = |_: &Asked<'_>| {
        asked.set(asked.get() + 1);
        Some(Entered::Typed(pin.clone()))
    };
    let mut enter_patient = enter;
    let is_there = |who: u8| present & who != 0;
    let keys = Keys {
        patient: if is_there(PATIENT) { Some(&mut enter_patient) } else { None },
        representative: is_there(REPRESENTATIVE),
        professional: is_there(PROFESSIONAL).then_some(Professional { card: hpc, ask: &mut enter }),
        reason: is_there(REASON).then(|| "found unconscious".parse().expect("a reason")),
        last_try: is_there(LAST_TRY),
    };
    match file % FILES {
        0 => judge(access::read_emergency_data(egk, keys), input),
        1 => judge(access::read_declarations(egk, keys), input),
        2 => judge(access::read_medication_plan(egk, keys), input),
        3 => judge(access::read_protected_data(egk, keys), input),
        4 => judge(access::read_plain(egk, ProtectedFile::Ose, keys), input),
        5 => judge(access::read_log(egk, keys), input),
        6 => judge(access::read_plain_records(egk, ProtectedRecords::Consents, keys), input),
        _ => {
            let listed = access::read_certificates(egk, keys).map(|opened| opened.data);
            let lengths = |list: Vec<CardCertificate>| {
                list.into_iter().flat_map(|one| one.content).map(|der| der.len())
            };
            assert!(
                listed.map(|list| lengths(list).sum::<usize>()).unwrap_or_default() <= input.max(1 << 16)
            );
        }
    }
    assert!(asked.get() <= 2, "each person is asked for a PIN once");
}

/// A document has at most 256 KiB, of which the XML and, under the names of its elements, the text are shown.
fn judge<T: Serialize>(opened: Result<Opened<T>, AccessError>, input: usize) {
    match opened {
        Ok(opened) => {
            let json = serde_json::to_vec(&opened).expect("what was read is JSON");
            assert!(json.len() < (64 << 20) + 64 * input, "{} bytes made of {input}", json.len());
        }
        Err(error) => assert!(error.to_string().len() < 1000, "a long message"),
    }
}
