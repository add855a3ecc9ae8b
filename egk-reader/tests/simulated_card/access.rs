//! Protected files through the library: what each key costs in commands.

use card::pin::Pin;
use card::transport::{Traced, Transport};
use card_simulator::{NewCard, Profession, ProfileName};
use egk_reader::access::{self, AccessError, AskPin, Asked, Entered, Keys, Professional};
use egk_reader::receipt::Receipt;
use tempfile::TempDir;

use super::{InProcess, egk, pack};

const EMERGENCY: &str = "<NFD_Document><Notfalldaten><NFD_Befunddaten><Allergien_Unvertraeglichkeiten>\
    <Substanz>Latex</Substanz></Allergien_Unvertraeglichkeiten></NFD_Befunddaten></Notfalldaten></NFD_Document>";
const PLAN: &str = "<MP><S><M a='Erfundol'/></S></MP>";

/// The cards of a patient and a professional, of one authority.
struct Pair {
    egk: Traced<InProcess>,
    hpc: Traced<InProcess>,
    _authority: TempDir,
}

impl Pair {
    fn of(professional: NewCard) -> Pair {
        let directory = TempDir::new().unwrap();
        let authority = directory.path().join("ca");
        let patient = egk()
            .file("EF.NFD", pack::pd(EMERGENCY.as_bytes()))
            .file("EF.AMTS", pack::pd(PLAN.as_bytes()))
            .authority(&authority);
        let hpc = InProcess::new(&professional.authority(&authority));
        Pair { egk: InProcess::new(&patient), hpc, _authority: directory }
    }

    fn physician() -> Pair {
        Pair::of(NewCard::new(ProfileName::HbaG21).profession(Profession::Physician))
    }

    /// Commands to the professional's card and to the insurance card.
    fn commands(&self) -> (u64, u64) {
        (self.hpc.traffic().commands, self.egk.traffic().commands)
    }
}

fn typed(digits: &str) -> impl FnMut(&Asked<'_>) -> Option<Entered> + use<> {
    let pin = Pin::parse(digits.as_bytes(), 6, 8).unwrap();
    move |_| Some(Entered::Typed(pin.clone()))
}

/// Emergency data without the patient.
fn emergency<'a>(hpc: &'a mut Traced<InProcess>, ask: AskPin<'a>) -> Keys<'a> {
    let professional = Some(Professional { card: hpc, ask });
    Keys { professional, reason: Some("found unconscious".parse().unwrap()), ..Keys::default() }
}

#[test]
fn emergency_data_cost_the_documented_commands() {
    let mut cards = Pair::physician();
    let mut ask = typed("123456");
    let keys = emergency(&mut cards.hpc, &mut ask);
    let opened = access::read_emergency_data(&mut cards.egk, keys).unwrap();
    assert_eq!(opened.data.allergies[0].substance.as_deref(), Some("Latex"));
    assert_eq!(opened.access.reason.unwrap().to_string(), "found unconscious");
    assert!(opened.access.rights.contains(&18) && opened.access.pin.is_none() && !opened.interrupted);
    assert_eq!(cards.commands(), (8, 1 + 11 + 3));
    // The PIN is still entered, and the insurance card has seen the certificate.
    let mut nobody = |_: &Asked<'_>| None;
    let keys = emergency(&mut cards.hpc, &mut nobody);
    access::read_emergency_data(&mut cards.egk, keys).unwrap();
    assert_eq!(cards.commands(), (8 + 7, 15 + 1 + 5 + 3));
}

#[test]
fn the_patients_pin_costs_three_commands_more() {
    let mut cards = Pair::physician();
    let (mut ask, mut ask_patient) = (typed("123456"), typed("123456"));
    let professional = Some(Professional { card: &mut cards.hpc, ask: &mut ask });
    let keys = Keys { professional, patient: Some(&mut ask_patient), ..Keys::default() };
    let opened = access::read_medication_plan(&mut cards.egk, keys).unwrap();
    assert_eq!(opened.data.blocks[0].lines[0].medication.name.as_deref(), Some("Erfundol"));
    assert_eq!(opened.access.pin.as_deref(), Some("MRPIN.AMTS"));
    assert_eq!(cards.commands(), (8, 1 + 11 + 3 + 3));
}

#[test]
fn the_patients_own_files_cost_six_commands() {
    let mut cards = Pair::physician();
    let mut ask = typed("123456");
    let keys = Keys { patient: Some(&mut ask), ..Keys::default() };
    let opened = access::read_protected_data(&mut cards.egk, keys).unwrap();
    assert_eq!(opened.data.data.copayment_exempt, Some(false));
    assert_eq!(cards.commands(), (0, 1 + 3 + 2));
}

#[test]
fn an_institutions_card_opens_emergency_data_too() {
    let mut cards = Pair::of(NewCard::new(ProfileName::SmcB));
    let mut ask = typed("123456");
    let keys = emergency(&mut cards.hpc, &mut ask);
    access::read_emergency_data(&mut cards.egk, keys).unwrap();
}

#[test]
fn cards_of_the_wrong_kind_are_sent_no_pin() {
    let mut cards = Pair::of(NewCard::new(ProfileName::Piv));
    let mut never = |_: &Asked<'_>| panic!("a PIN was asked for");
    let keys = emergency(&mut cards.hpc, &mut never);
    let refused = access::read_emergency_data(&mut cards.egk, keys);
    assert!(matches!(refused, Err(AccessError::NotAProfessional)), "{refused:?}");
    let keys = Keys { patient: Some(&mut never), ..Keys::default() };
    let refused = access::read_log(&mut cards.hpc, keys);
    assert!(matches!(refused, Err(AccessError::NotAnEgk)), "{refused:?}");
}

#[test]
fn nobody_at_the_keys_means_that_nothing_is_sent() {
    let mut cards = Pair::physician();
    let mut nobody = |_: &Asked<'_>| None;
    let keys = emergency(&mut cards.hpc, &mut nobody);
    let refused = access::read_emergency_data(&mut cards.egk, keys);
    assert!(matches!(&refused, Err(AccessError::NotEntered { pin }) if pin == "PIN.CH"), "{refused:?}");
    assert_eq!(cards.commands(), (2, 1));
    let refused = access::read_emergency_data(&mut cards.egk, Keys::default());
    assert!(matches!(refused, Err(AccessError::ProfessionalNeeded { .. })));
    assert_eq!(cards.commands(), (2, 1));
}

#[test]
fn the_receipt_costs_two_commands() {
    let mut cards = Pair::physician();
    assert!(egk_reader::read_receipt(&mut cards.egk).unwrap() == Receipt::None);
    assert_eq!(cards.commands(), (0, 2));
}
