//! Whatever is on the card and whatever it says, the reader answers: no panic, bounded memory, a bounded number of commands.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "in a test program a panic is the report")]

use card::apdu::{Command, Response};
use card::egk::EgkFiles;
use card::pin::Pin;
use card::pins;
use card::status::StatusWord;
use card::transport::{PinEntry, PinPad, Transport, TransportError};
use egk_reader::access::{self, Asked, Entered, Keys, Professional};
use egk_reader::fhir::{self, ProfileVersion, ResourceIds};
use egk_reader::health::{parse_declarations, parse_emergency_data, parse_medication_plan};
use egk_reader::{log, parse, receipt};
use proptest::collection::vec;
use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};
use serde_json::json;

#[path = "support/pack.rs"]
mod pack;

/// Maps and prints whatever was read.
fn use_everything(files: &EgkFiles) {
    if let Ok(record) = parse(files) {
        let ids = ResourceIds { patient: "a".to_owned(), coverage: "b".to_owned() };
        let bundle = fhir::bundle(&record, &ids, ProfileVersion::V1_3);
        assert!(!bundle.resource.to_xml().is_empty() && bundle.resource.to_json().is_object());
    }
}

/// Overwrites bytes at relative places.
fn damaged(mut data: Vec<u8>, changes: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    for (place, value) in changes {
        let place = place.index(data.len().max(1));
        if let Some(byte) = data.get_mut(place) {
            *byte = *value;
        }
    }
    data
}

/// Every medical file, the log and the receipt made of the same bytes.
fn use_every_medical_file(file: &[u8]) {
    let shown = [
        parse_emergency_data(file).map(|data| format!("{data:?} {}", json!(data))),
        parse_declarations(file).map(|data| format!("{data:?} {}", json!(data))),
        parse_medication_plan(file).map(|data| format!("{data:?} {}", json!(data))),
        receipt::parse(file).map(|data| format!("{data:?} {}", json!(data))),
    ];
    // 256 KiB of text, of which each character may be six in JSON, under names of elements that repeat.
    assert!(shown.iter().flatten().all(|text| text.len() < 64 << 20));
    let records: Vec<_> = file.chunks(46).map(<[u8]>::to_vec).collect();
    assert!(log::entries(&records).len() <= records.len() && log::plain(&records).len() <= records.len());
}

/// A card that answers one thing after another, whatever it is asked, and counts.
struct Babbler {
    answers: Vec<(Vec<u8>, u16)>,
    asked: usize,
}

/// A card that says so often something new keeps nobody longer than this.
const MOST_COMMANDS: usize = 1_000;

impl Transport for Babbler {
    fn atr(&self) -> &[u8] {
        &[]
    }

    fn transmit(&mut self, _: &Command) -> Result<Response, TransportError> {
        let (data, status) = self.answers[self.asked % self.answers.len()].clone();
        self.asked += 1;
        assert!(self.asked <= MOST_COMMANDS, "the card is asked without end");
        Ok(Response { data, status: StatusWord(status) })
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

    fn pin_pad(&self) -> PinPad {
        PinPad { verify: true, modify: true }
    }

    fn enter_pin(&mut self, command: &Command, _: &PinEntry) -> Result<Response, TransportError> {
        self.transmit(command)
    }
}

/// FCP of the master files of an insurance card and of a professional's.
const EGK: &str = "6210 8407D2760001448000 8A0105 83023F00";
const HBA: &str = "620F 8406D27600014601 8A0105 83023F00";

/// What a card may say: anything, or something that leads on.
fn answer() -> impl Strategy<Value = (Vec<u8>, u16)> {
    let status =
        prop_oneof![Just(0x9000), Just(0x63C3), Just(0x63C1), Just(0x6982), Just(0x6282), any::<u16>()];
    let data = prop_oneof![
        Just(pack::from_hex(EGK)),
        Just(pack::from_hex(HBA)),
        Just(pack::pd(b"<NFD_Document/>")),
        Just(Vec::new()),
        vec(any::<u8>(), 0..300),
    ];
    (data, status)
}

/// Everything that wants a key, with a card that babbles in every place.
fn use_every_key(answers: Vec<(Vec<u8>, u16)>) {
    let pin = Pin::parse(b"123456", 6, 8).unwrap();
    for on_pad in [false, true] {
        let entered = || Some(if on_pad { Entered::OnPad } else { Entered::Typed(pin.clone()) });
        let (mut ask, mut ask_patient) = (|_: &Asked<'_>| entered(), |_: &Asked<'_>| entered());
        let babbler = || Babbler { answers: answers.clone(), asked: 0 };
        let mut hpc = babbler();
        let keys = Keys {
            professional: Some(Professional { card: &mut hpc, ask: &mut ask }),
            patient: Some(&mut ask_patient),
            ..Keys::default()
        };
        let _ = access::read_medication_plan(&mut babbler(), keys);
        let keys = Keys { patient: Some(&mut ask_patient), last_try: true, ..Keys::default() };
        let _ = access::read_log(&mut babbler(), keys);
        let keys = Keys { patient: Some(&mut ask_patient), last_try: true, ..Keys::default() };
        let _ = access::read_certificates(&mut babbler(), keys);
    }
    let mut card = Babbler { answers, asked: 0 };
    for pin_object in pins::of_card(&mut card).unwrap_or_default() {
        let _ = pin_object.status(&mut card);
        let _ = pin_object.change(&mut card, &pin, &pin);
        let _ = pin_object.change_on_pad(&mut card);
        let _ = pin_object.unblock(&mut card, &pin, Some(&pin));
        let _ = pin_object.switch(&mut card, true, &pin);
        let _ = pin_object.set(&mut card, &pin);
    }
    let _ = egk_reader::read_generation(&mut card);
    let _ = egk_reader::read_receipt(&mut card);
}

/// The value of the `family` element, read by an XML parser.
fn family_in(xml: &str) -> Option<String> {
    let mut reader = Reader::from_str(xml);
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) if start.name().0 == "family" => {
                let value = start.try_get_attribute("value").ok()??;
                return Some(value.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned());
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

/// A document with a long name around many short elements.
fn long_names_around_many_parts(root: &str, length: usize, parts: usize) -> String {
    let name = "n".repeat(length);
    format!("<{root}><{name}><{name}>{}</{name}></{name}></{root}>", "<a>1</a>".repeat(parts))
}

#[test]
fn long_names_around_many_parts_cost_no_more_than_the_parts() {
    let document = long_names_around_many_parts("NFD_Document", 20_000, 20_000);
    let data = parse_emergency_data(&pack::pd(document.as_bytes())).unwrap().unwrap();
    assert_eq!(data.other.len(), 20_000);
    assert!(data.other.iter().map(|field| field.name.len()).sum::<usize>() < 4 << 20);
    let inner = long_names_around_many_parts("Neues", 5_000, 4_000);
    let document = pack::GOOD_PD.replace("<Versicherter>", &format!("<Versicherter>{inner}"));
    let record = parse(&EgkFiles { pd: pack::pd(document.as_bytes()), ..pack::good_card() }).unwrap();
    assert_eq!(record.documents.personal.other.len(), 4_000);
    assert!(json!(record).to_string().len() < 4 << 20);
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)
}

proptest! {
    #[test]
    fn random_files_are_answered(status_vd in vec(any::<u8>(), 0..40), pd in vec(any::<u8>(), 0..400), vd in vec(any::<u8>(), 0..400)) {
        use_everything(&EgkFiles { iccsn: None, status_vd, ..pack::good_card() });
        use_everything(&EgkFiles { pd, ..pack::good_card() });
        use_everything(&EgkFiles { vd, ..pack::good_card() });
    }

    #[test]
    fn damaged_card_files_are_answered(status in changes(), pd in changes(), vd in changes()) {
        let good = pack::good_card();
        use_everything(&EgkFiles { status_vd: damaged(good.status_vd.clone(), &status), ..good.clone() });
        use_everything(&EgkFiles { pd: damaged(good.pd.clone(), &pd), ..good.clone() });
        use_everything(&EgkFiles { vd: damaged(good.vd.clone(), &vd), ..good });
    }

    #[test]
    fn damaged_documents_are_answered(pd in changes(), vd in changes()) {
        let mut files = pack::good_card();
        files.pd = pack::pd(&damaged(pack::GOOD_PD.as_bytes().to_vec(), &pd));
        use_everything(&files);
        files.pd = pack::pd(pack::GOOD_PD.as_bytes());
        let vd = damaged(pack::GOOD_VD.as_bytes().to_vec(), &vd);
        files.vd = pack::vd(&vd, Some(&vd));
        use_everything(&files);
    }

    #[test]
    fn random_medical_files_are_answered(file in vec(any::<u8>(), 0..600), body in vec(any::<u8>(), 0..600)) {
        use_every_medical_file(&file);
        use_every_medical_file(&pack::pd(&body));
        use_every_medical_file(&[&[0, 8, 0, 40, 0, 41, 0, 90], &file[..]].concat());
    }

    #[test]
    fn damaged_medical_documents_are_answered(changed in changes(), packed in changes()) {
        for name in ["nfd-1.4-every-section", "dpe-1.0-every-declaration", "amts-1.6-every-attribute"] {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/").to_owned() + name + ".ok.xml";
            let document = std::fs::read(path).unwrap();
            use_every_medical_file(&pack::pd(&damaged(document.clone(), &changed)));
            use_every_medical_file(&damaged(pack::pd(&document), &packed));
        }
    }

    #[test]
    fn a_card_that_babbles_ends_every_attempt(answers in vec(answer(), 1..12)) {
        use_every_key(answers);
    }

    #[test]
    fn any_text_in_a_name_survives_json_and_xml(name in "\\PC{1,45}") {
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace("]]>", "]]&gt;");
        let document = pack::GOOD_PD.replace("ISO-8859-15", "UTF-8").replace("Erfunden<", &format!("{escaped}<"));
        let record = parse(&EgkFiles { pd: pack::pd(document.as_bytes()), ..pack::good_card() });
        let expected = name.trim();
        prop_assume!(!expected.is_empty());
        let record = record.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(&record.personal.family_name, expected);
        let patient = fhir::patient(&record.personal, "a", ProfileVersion::V1_3).resource;
        let (json, xml) = (patient.to_json(), patient.to_xml());
        let in_json = json.pointer("/name/0/family").and_then(|family| family.as_str());
        prop_assert_eq!(in_json, Some(expected));
        let in_xml = family_in(&xml);
        prop_assert_eq!(in_xml.as_deref(), Some(expected));
    }
}
