//! Insurance data and medical data, as files and as the documents inside.

use std::io::Write;

use card::egk::EgkFiles;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::parts;

/// The files of an insurance card: status, personal data, insurance data.
pub(crate) fn files(input: &[u8]) {
    judge_medical(input);
    let mut parts = parts(input).map(<[u8]>::to_vec);
    let mut next = || parts.next().unwrap_or_default();
    judge(&EgkFiles { iccsn: None, status_vd: next(), pd: next(), vd: next() });
}

/// A document, packed as the card has it. The first byte says where it stands; the others are good.
pub(crate) fn document(input: &[u8]) {
    let Some((place, document)) = input.split_first() else { return };
    let (mut personal, mut coverage) = (PERSONAL, COVERAGE);
    match place % 2 {
        0 => personal = document,
        _ => coverage = document,
    }
    let (packed_pd, packed_vd) = (packed(personal), packed(coverage));
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let pd = [&length(&packed_pd).to_be_bytes()[..], &packed_pd].concat();
    // Offsets of first and last byte: insurance data, then the protected copy, which is absent.
    let last = length(&packed_vd).saturating_add(7);
    let offsets = [8, last, u16::MAX, u16::MAX].map(u16::to_be_bytes).concat();
    let vd = [&offsets[..], &packed_vd].concat();
    judge(&EgkFiles { iccsn: None, status_vd: STATUS.to_vec(), pd, vd });
    let packed = packed(document);
    judge_medical(&[&length(&packed).to_be_bytes()[..], &packed].concat());
}

/// Documents of invented people.
pub(crate) const PERSONAL: &[u8] = include_bytes!("../../../examples/patient/pd.xml");
pub(crate) const COVERAGE: &[u8] = include_bytes!("../../../examples/patient/vd.xml");
/// No open transaction, a moment, schema and storage versions.
pub(crate) const STATUS: &[u8; 25] = b"020260302131454\x00\x50\x02\x00\x00\x00\x30\x00\x00\x04";

fn judge(files: &EgkFiles) {
    if let Ok(record) = egk_reader::parse(files) {
        let _ = egk_reader::fhir::patient(&record.personal, "1", Default::default());
    }
}

/// The same bytes as each of the medical files, as the receipt and as a record of the log.
fn judge_medical(file: &[u8]) {
    let _ = egk_reader::health::parse_emergency_data(file);
    let _ = egk_reader::health::parse_declarations(file);
    let _ = egk_reader::health::parse_medication_plan(file);
    let _ = egk_reader::receipt::parse(file);
    let _ = egk_reader::log::entries(&[file.to_vec()]);
}

pub(crate) fn packed(document: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(document).and_then(|()| encoder.finish()).expect("memory is written to")
}
