//! Each wrong turn gets the status word a real card answers.

use crate::cards::*;
use card_simulator::Interface;

const SET_QES: &str = "002241B606840186800100";

#[test]
fn a_signature_without_le_is_refused_unless_the_card_is_lenient() {
    let mut card = hpc_p384();
    let without_le = format!("002A9E9A30 {}", hex::encode([1; 48]));
    card.all_ok(&[P384_QES, VERIFY_QES, SET_QES]);
    card.expect(&without_le, 0x6700);
    card.configure(|card| card.lenient_le(true));
    assert_eq!(card.all_ok(&[&without_le]).len(), 96);
}

#[test]
fn only_hashes_of_the_curves_length_are_signed() {
    let mut card = hpc_p384();
    card.all_ok(&[P384_QES, VERIFY_QES, SET_QES]);
    for length in [0x20, 0x40, 0x2F, 0x31] {
        card.expect(&sign(&vec![1; length]), 0x6A80);
    }
    card.expect("002A9E9A00", 0x6A80);
    let mut card = hba();
    card.all_ok(&[HBA_QES, VERIFY_QES, SET_QES]);
    for length in [0x30, 0x1F, 0x21, 0x14] {
        card.expect(&sign(&vec![1; length]), 0x6A80);
    }
}

#[test]
fn pss_takes_32_bytes_and_pkcs1_at_most_102() {
    let mut card = hba();
    card.all_ok(&[HBA_ESIGN, VERIFY_CH, "002241B606840182800105"]);
    card.expect(&sign(&[1; 31]), 0x6A80);
    card.expect(&sign(&[1; 48]), 0x6A80);
    card.all_ok(&["002241B606840182800102", &sign(&[1; 102])]);
    card.expect(&sign(&[1; 103]), 0x6A80);
}

#[test]
fn a_signature_needs_a_key_then_the_pin_then_the_right_folder() {
    let mut card = hpc_p384();
    card.expect(P384_QES, OK);
    card.expect(&sign(&[1; 48]), 0x6985);
    card.expect(SET_QES, OK);
    card.expect(&sign(&[1; 48]), 0x6982);
    card.all_ok(&[VERIFY_QES, &sign(&[1; 48])]);
    card.all_ok(&[P384_ESIGN, P384_QES, SET_QES]);
    card.expect(&sign(&[1; 48]), 0x6982);
}

#[test]
fn the_signature_budget_of_the_german_card_is_written_as_its_object_system_has_it() {
    let template = |environment: u8| format!("8001{environment:02X}A4118206D27600006601830181950108C001FA");
    let expected = hex::decode(format!("7B2C{}{}", template(1), template(2))).unwrap();
    assert_eq!(hba().all_ok(&[HBA_QES, "00B08500000000"]), expected);
}

#[test]
fn the_signature_budget_of_a_pin_entry_runs_out() {
    for (budget, signatures) in [(1, 1), (250, 250)] {
        let new = new_card(card_simulator::ProfileName::HpcP384).signatures_per_pin(budget);
        let mut card = TestCard::issue(&new);
        let ssec = card.all_ok(&[P384_QES, "00B08500000000"]);
        assert!(ssec.ends_with(&[0xC0, 1, budget as u8]));
        card.all_ok(&[VERIFY_QES, SET_QES]);
        for _ in 0..signatures {
            card.expect(&sign(&[1; 48]), OK);
        }
        card.expect(&sign(&[1; 48]), 0x6982);
        card.expect("80200081", 0x63C3);
        card.all_ok(&[VERIFY_QES, &sign(&[1; 48])]);
    }
}

#[test]
fn the_keys_of_an_application_share_the_budget_and_each_channel_has_its_own() {
    let mut card = TestCard::issue(&new_card(card_simulator::ProfileName::HbaG21).signatures_per_pin(2));
    let set_rsa = "002241B606840184800105";
    card.all_ok(&[HBA_QES, VERIFY_QES, SET_QES, &sign(&[1; 32]), set_rsa, &sign(&[1; 32])]);
    card.expect(&sign(&[1; 32]), 0x6982);
    card.expect(SET_QES, OK);
    card.expect(&sign(&[1; 32]), 0x6982);
    // A PIN entered on another channel is none here.
    let other = |command: &str| format!("01{}", &command[2..]);
    card.all_ok(&["0070000001", &other(HBA_QES), &other(VERIFY_QES), &other(SET_QES)]);
    card.expect(&sign(&[1; 32]), 0x6982);
    card.expect(&other(&sign(&[1; 32])), OK);
    card.expect(VERIFY_QES, OK);
    card.all_ok(&[&sign(&[1; 32]), &sign(&[1; 32]), &other(&sign(&[1; 32]))]);
    card.expect(&other(&sign(&[1; 32])), 0x6982);
}

#[test]
fn a_key_that_is_there_is_not_made_anew_without_the_right() {
    let mut card = hba();
    card.all_ok(&[HBA_QES, VERIFY_QES]);
    for p1 in ["80", "84", "C0", "C4"] {
        card.expect(&format!("0046{p1}86000000"), 0x6982);
    }
    card.expect("00468286000000", 0x6A86);
    card.expect("00468100000000", 0x6A88);
    card.expect("00468186", 0x6700);
}

#[test]
fn refused_inputs_do_not_use_up_the_budget() {
    let mut card = TestCard::issue(&new_card(card_simulator::ProfileName::HpcP384).signatures_per_pin(1));
    card.all_ok(&[P384_QES, VERIFY_QES, SET_QES]);
    card.expect(&sign(&[1; 32]), 0x6A80);
    card.expect(&sign(&[1; 48]), OK);
    card.expect(&sign(&[1; 48]), 0x6982);
}

#[test]
fn keys_and_algorithms_are_checked_when_they_are_chosen() {
    let mut card = hpc_p384();
    card.expect(P384_QES, OK);
    card.expect("002241B606840186800105", 0x6A81);
    card.expect("002241B606840186800154", 0x6A81);
    card.expect("002241B606840184800100", 0x6A81);
    card.expect("002241B606840184800102", 0x6A81);
    card.expect("002241B606840187800100", 0x6A88);
    card.expect("002241B606840106800100", 0x6A88);
    card.expect("002241B603840186", 0x6A80);
    card.expect("002A90A000", 0x6A81);
}

#[test]
fn a_key_object_without_value_is_invalid() {
    let mut card = hba();
    card.all_ok(&[HBA_ESIGN, VERIFY_CH, "002241B606840187800100"]);
    card.expect(&sign(&[1; 32]), 0x6400);
    card.expect("00468187000000", 0x6400);
}

#[test]
fn a_second_security_environment_asks_for_secure_messaging() {
    let mut card = hba();
    card.all_ok(&[HBA_QES, "0022F302"]);
    card.expect(VERIFY_QES, 0x6982);
    card.expect("80200081", 0x6982);
    card.expect("00B0860008", OK);
    card.expect("0022F303", 0x6A88);
    card.all_ok(&[HBA_QES, VERIFY_QES]);
    card.expect(HBA_ESIGN, OK);
    card.expect("0022F302", 0x6A88);
}

#[test]
fn unknown_things_are_refused_at_once() {
    let mut card = hba();
    for probe in [
        "00A4040007 A0000000790100",
        "00A404000B E82B0601040181C31F020100",
        "00A4040009 A00000030800001000 00",
        "00A4000C023F00",
        "00A40000023F0000",
        "00A4040C06 D27600000102",
        "00A4020C02D001",
    ] {
        card.expect(probe, 0x6A82);
    }
    card.expect("00CB0100000000", 0x6D00);
    card.expect("00CA0100000000", 0x6E00);
    card.expect("00FF0000", 0x6D00);
    card.expect("80B0000000", 0x6E00);
    card.expect("40A4040C", 0x6E00);
    card.expect("10A4040C", 0x6E00);
    card.expect("0CA4040C", 0x6882);
    card.expect("01A4040C", 0x6881);
    card.expect("00A404", 0x6700);
}

#[test]
fn reading_ends_where_the_file_ends() {
    let mut card = hba();
    let whole = card.all_ok(&["00B09D00000000"]);
    assert_eq!(whole.len(), 134);
    assert_eq!(card.send("00B000000000FF"), (whole.clone(), 0x6282));
    assert_eq!(card.send("00B0000000"), (whole.clone(), 0x6282));
    assert_eq!(card.send("00B0000086"), (whole.clone(), OK));
    assert_eq!(card.send("00B0008010"), (whole[0x80..].to_vec(), 0x6282));
    card.expect("00B0008600", 0x6B00);
    card.expect("00B09D8600", 0x6B00);
    card.expect("00B00000", 0x6700);
    card.expect("00B09F0000", 0x6A82);
    card.expect("00B09E0000", 0x6981);
    card.all_ok(&[MASTER]);
    card.expect("00B0000000", 0x6986);
}

#[test]
fn commands_longer_than_the_card_says_are_refused() {
    let mut card = hba();
    card.expect(HBA_ESIGN, OK);
    let command = |length: usize| format!("002A8086 00{length:04X} {} 0000", "00".repeat(length));
    card.expect(&command(1033 - 9), 0x6985);
    card.expect(&command(1033 - 8), 0x6700);
    let mut egk = egk();
    egk.expect(&command(2057 - 9), 0x6985);
    egk.expect(&command(2057 - 8), 0x6700);
}

#[test]
fn nothing_but_public_files_opens_without_contacts() {
    let mut card = hba();
    card.configure(|card| card.over(Interface::Contactless));
    card.expect("00B09D0000", 0x6282);
    card.expect("00B09C0000", 0x6282);
    card.expect("00B0820000", 0x6982);
    card.expect(VERIFY_CH, 0x6982);
    card.expect("80200001", 0x6982);
    card.expect("8084000008", 0x6982);
}

#[test]
fn what_no_rule_names_is_refused() {
    let mut card = hba();
    card.expect("00E40000", 0x6982);
    card.expect("00D6820001 00", 0x6982);
    card.all_ok(&[HBA_QES, VERIFY_QES]);
    card.expect("002A808602 0000 00", 0x6985);
    card.expect("002C008110 2812345678FFFFFF 26111111FFFFFFFF", 0x6982);
}

#[test]
fn selecting_tells_type_identifier_and_size() {
    let mut card = hba();
    let folder = card.all_ok(&["00A4040400"]);
    assert_eq!(hex::encode_upper(folder), "62128201788302 3F008A010584 06D27600014601".replace(' ', ""));
    card.all_ok(&[HBA_QES]);
    let file = card.all_ok(&["00A4020400 0002 C006 0000"]);
    let text = hex::encode_upper(&file);
    assert!(text.starts_with("62") && text.contains("80020BB8") && text.contains("820141"));
    assert!(text.contains("8302C006") && text.contains("880130") && text.contains("8A0105"));
    let length = u16::from_be_bytes([file[file.len() - 2], file[file.len() - 1]]);
    let body = card.all_ok(&["00B00000000000"]);
    assert_eq!(usize::from(length), body.len());
    card.expect("00A4030C", OK);
    card.expect("00A4030C", 0x6A82);
}

#[test]
fn random_numbers_differ_and_challenges_have_two_lengths() {
    let mut card = hba();
    let one = card.all_ok(&["0084000010"]);
    assert_ne!(one, card.all_ok(&["0084000010"]));
    assert_eq!(card.all_ok(&["0084000008"]).len(), 8);
    card.expect("0084000009", 0x6700);
    assert_eq!(card.all_ok(&["8084000020"]).len(), 32);
}
