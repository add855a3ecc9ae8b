//! What a reader finds on an insurance card.

use std::io::Read;

use card_simulator::{IssueError, Patient, ProfileName};

use crate::cards::*;

const HCA: &str = "00A4040C06 D27600000102";

fn gunzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
    out
}

#[test]
fn the_packed_documents_are_the_given_bytes() {
    let patient = Patient {
        personal: b"<?xml version=\"1.0\"?>\r\n<P CDM_VERSION=\"5.1.0\">\xFC\xDF</P>\r\n".to_vec(),
        insurance: b"<V/>\n".to_vec(),
        protected: None,
    };
    let mut card = TestCard::issue(&new_card(ProfileName::EgkG21).patient(patient.clone()));
    let status = card.all_ok(&[HCA, "00B08C00000000"]);
    assert_eq!((status.len(), status[0], &status[15..20]), (25, b'0', [0, 0x50, 0x01, 0, 0].as_slice()));
    let personal = card.all_ok(&["00B08100000000"]);
    assert_eq!(gunzip(&personal[2..]), patient.personal);
    let insurance = card.all_ok(&["00B08200000000"]);
    assert_eq!(insurance[4..8], [0xFF; 4]);
    assert_eq!(gunzip(&insurance[8..]), patient.insurance);
}

#[test]
fn protected_data_are_on_the_card_but_need_a_pin() {
    let mut card = egk();
    card.expect(HCA, OK);
    card.expect("00B08300000000", 0x6982);
    card.expect("0020000208 26123456FFFFFFFF", OK);
    let body = card.all_ok(&["00B08300000000"]);
    assert_eq!(gunzip(&body[2..]), Patient::default().protected.unwrap());
    card.expect("00A4040C06 D27600014407", OK);
    card.expect("00B09000000000", 0x6982);
}

#[test]
fn proof_of_visit_can_be_written_and_stays() {
    let mut card = egk();
    card.expect(HCA, OK);
    card.expect("00B09C00000000", 0x6B00);
    card.expect("00D69C0003 414243", OK);
    card.expect("00D6000301 44", OK);
    card.expect("00D6000501 44", 0x6B00);
    card.expect("00D09C0001 45", OK);
    card.reopen();
    assert_eq!(card.all_ok(&[HCA, "00B09C00000000"]), b"ABCDE");
    card.expect("000E9C01", OK);
    assert_eq!(card.all_ok(&["00B09C00000000"]), b"A\0\0\0\0");
    card.expect("800E9C00", OK);
    card.expect("00B09C00000000", 0x6B00);
    card.expect(&format!("00D69C00 00012D {}", "00".repeat(301)), 0x6A84);
}

#[test]
fn version_records_and_the_consent_list_are_read_by_number() {
    let mut card = egk();
    assert_eq!(card.all_ok(&["00B2018400"]), bytes("0040000000"));
    card.expect("00B2058400", 0x6A83);
    card.expect("00B201840A", 0x6282);
    assert_eq!(card.all_ok(&["00A201F404 D2760001 00"]), [1, 4, 5, 6, 7, 8]);
    card.expect("00A201F404 DEADBEEF 00", 0x6282);
    card.expect("00B2018C00", 0x6981);
}

#[test]
fn records_are_changed_under_the_holders_pin() {
    let mut card = egk();
    card.all_ok(&[HCA, "0020000208 26123456FFFFFFFF"]);
    let record = "AB".repeat(20);
    card.expect(&format!("00DC024C14 {record}"), OK);
    card.expect(&format!("00DC024C13 {}", "AB".repeat(19)), 0x6700);
    card.expect(&format!("00DC0B4C14 {record}"), 0x6A83);
    card.expect("0006024C", OK);
    card.expect("00B2024C00", 0x6287);
    card.reopen();
    card.all_ok(&[HCA, "0020000208 26123456FFFFFFFF"]);
    card.expect("00B2024C00", 0x6287);
    card.expect("0008024C", OK);
    assert_eq!(card.all_ok(&["00B2024C00"]), bytes(&record));
}

#[test]
fn records_are_appended_until_the_file_is_full_and_deleted_again() {
    const GDD: &str = "00A4040C06 D2760001440A";
    let append =
        |length: usize, byte: u8| format!("00E20098{length:02X} {}", hex::encode(vec![byte; length]));
    let mut card = egk();
    card.expect(GDD, OK);
    card.expect(&append(3, 1), 0x6982);
    card.expect("0020000208 26123456FFFFFFFF", OK);
    // What the card was issued with makes room first.
    while card.send("800C019C").1 == OK {}
    card.expect("00B2019C00", 0x6A83);
    card.expect(&append(61, 1), 0x6700);
    card.expect("00E20098", 0x6700);
    for byte in 1..=10 {
        card.expect(&append(60, byte), OK);
    }
    card.expect(&append(1, 11), 0x6A84);
    card.expect("00DC039C03 010203", OK);
    card.expect(&append(58, 11), 0x6A84);
    card.expect(&append(57, 11), OK);
    assert_eq!(card.all_ok(&["00B2039C00"]), [1, 2, 3]);
    card.expect("800C029C", OK);
    assert_eq!(card.all_ok(&["00B2029C00"]), [1, 2, 3], "those behind move up");
    card.expect("000C029C", OK);
    assert_eq!(card.all_ok(&["00B2029C00"]), [0u8; 0], "erased, not deleted");
    card.expect("800C0B9C", 0x6A83);
    card.reopen();
    card.all_ok(&[GDD, "0020000208 26123456FFFFFFFF"]);
    assert_eq!(card.all_ok(&["00B2019C00"]), [1; 60]);
    assert_eq!(card.all_ok(&["00B20A9C00"]), [11; 57]);
}

#[test]
fn a_file_can_be_given_any_content_that_fits() {
    let mut card = TestCard::issue(&new_card(ProfileName::EgkG21).file("EF.PD", b"\0\x05gzip?".as_slice()));
    assert_eq!(card.all_ok(&[HCA, "00B08100000000"]), b"\0\x05gzip?");
    let directory = tempfile::tempdir().unwrap();
    let too_long = new_card(ProfileName::EgkG21).file("MF/DF.HCA/EF.PD", vec![0; 851]);
    let error = too_long.create(directory.path()).unwrap_err();
    assert!(matches!(error, IssueError::FileTooSmall { size: 850, got: 851, .. }), "{error}");
    let unknown = new_card(ProfileName::EgkG21).file("EF.XY", vec![0]);
    assert!(matches!(unknown.create(directory.path()), Err(IssueError::Value { what: "file", .. })));
}

#[test]
fn a_script_makes_cards_that_are_not_as_they_should_be() {
    let script = "[[file]]\nname = 'EF.PD'\ndo = [{ bomb = 400000 }]\n\
                  [[file]]\nname = 'EF.StatusVD'\ndo = [{ flip = [0] }, { cut = 9 }]\n\
                  [[file]]\nname = 'EF.Version2'\ndo = [{ flip = [9] }]\n";
    let mut good = egk();
    let mut card = TestCard::issue(&new_card(ProfileName::EgkG21).script(script).unwrap());
    let version = good.all_ok(&["00B09100000000"])[9];
    assert_eq!(card.all_ok(&["00B09100000000"])[9], !version);
    let status = card.all_ok(&["00A4040C06D27600000102", "00B08C00000000"]);
    assert_eq!((status[0], status.len()), (!b'0', 9));
    let bomb = card.all_ok(&["00B08100000000"]);
    assert_eq!(gunzip(&bomb[2..]), vec![0; 400_000]);
    let no_script = new_card(ProfileName::EgkG21).script("EF.PD = 1");
    assert!(no_script.is_err());
}
