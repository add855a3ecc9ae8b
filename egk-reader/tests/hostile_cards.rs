//! Whatever is on the card, the reader answers: no panic, bounded memory.

use card::egk::EgkFiles;
use egk_reader::fhir::{self, ProfileVersion, ResourceIds};
use egk_reader::parse;
use proptest::collection::vec;
use proptest::prelude::*;
use quick_xml::events::Event;
use quick_xml::{Reader, XmlVersion};

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
