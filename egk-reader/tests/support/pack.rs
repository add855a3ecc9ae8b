//! Packs documents the way a card holds them.
#![allow(dead_code, reason = "each test program uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "in a test program a panic is the report")]

use std::io::Write;

use card::egk::EgkFiles;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Personal data of an invented person, ASCII only.
pub(crate) const GOOD_PD: &str = r#"<?xml version="1.0" encoding="ISO-8859-15"?>
<UC_PersoenlicheVersichertendatenXML xmlns="http://ws.gematik.de/fa/vsdm/vsd/v5.2" CDM_VERSION="5.2.0">
  <Versicherter><Versicherten_ID>X110540756</Versicherten_ID><Person><Geburtsdatum>19900215</Geburtsdatum>
  <Vorname>Erna</Vorname><Nachname>Erfunden</Nachname><Geschlecht>W</Geschlecht></Person></Versicherter>
</UC_PersoenlicheVersichertendatenXML>"#;

/// Insurance data of an invented insurer.
pub(crate) const GOOD_VD: &str = r#"<?xml version="1.0" encoding="ISO-8859-15"?>
<UC_AllgemeineVersicherungsdatenXML xmlns="http://ws.gematik.de/fa/vsdm/vsd/v5.2" CDM_VERSION="5.2.0">
  <Versicherter><Versicherungsschutz><Beginn>20150401</Beginn><Kostentraeger>
  <Kostentraegerkennung>108314006</Kostentraegerkennung><Kostentraegerlaendercode>D</Kostentraegerlaendercode>
  <Name>Erfundene Krankenkasse</Name></Kostentraeger></Versicherungsschutz><Zusatzinfos><ZusatzinfosGKV>
  <Versichertenart>1</Versichertenart><Zusatzinfos_Abrechnung_GKV><WOP>52</WOP></Zusatzinfos_Abrechnung_GKV>
  </ZusatzinfosGKV></Zusatzinfos></Versicherter>
</UC_AllgemeineVersicherungsdatenXML>"#;

/// EF.StatusVD without an open transaction.
pub(crate) fn good_status() -> Vec<u8> {
    [b"020260302131454".as_slice(), &from_hex("00500200000030000004")].concat()
}

/// A card with good files.
pub(crate) fn good_card() -> EgkFiles {
    EgkFiles {
        iccsn: Some("80276001010000000017".to_owned()),
        status_vd: good_status(),
        pd: pd(GOOD_PD.as_bytes()),
        vd: vd(GOOD_VD.as_bytes(), None),
    }
}

/// EF.PD.
pub(crate) fn pd(document: &[u8]) -> Vec<u8> {
    let packed = gzip(document);
    [&u16::try_from(packed.len()).unwrap().to_be_bytes()[..], &packed].concat()
}

/// EF.VD; without a copy of the protected data its offsets are FFFF.
pub(crate) fn vd(document: &[u8], copy: Option<&[u8]>) -> Vec<u8> {
    let packed = gzip(document);
    let copy = copy.map(gzip);
    let end = 8 + packed.len() - 1;
    let (copy_start, copy_end) = match &copy {
        Some(copy) => (end + 1, end + copy.len()),
        None => (0xFFFF, 0xFFFF),
    };
    let offsets = [8, end, copy_start, copy_end].map(|offset| u16::try_from(offset).unwrap().to_be_bytes());
    [offsets.concat(), packed, copy.unwrap_or_default()].concat()
}

pub(crate) fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// Hexadecimal digits with white space between them.
pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|character| !character.is_ascii_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    assert!(digits.len().is_multiple_of(2), "odd number of digits");
    digits.chunks(2).map(byte).collect()
}
