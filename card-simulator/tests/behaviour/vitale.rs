//! The Carte Vitale 2, as Cardpeek meets it.

use crate::cards::*;
use card_simulator::ProfileName;

const VITALE: &str = "00A404000B D250000002564954414C45";

#[test]
fn the_map_leads_to_the_files_and_a_protected_one_stays_closed() {
    let mut card = TestCard::issue(&new_card(ProfileName::Vitale2));
    card.all_ok(&[VITALE, "00A4020002 2001"]);
    let (_, right) = card.send("00B0000000");
    assert_eq!(right & 0xFF00, 0x6C00);
    let map = card.all_ok(&[&format!("00B00000{:02X}", right & 0xFF)]);
    assert_eq!((map[0], map[2]), (0xE0, 0xA0));
    card.all_ok(&["00A4020002 2002"]);
    let (_, right) = card.send("00B0000000");
    assert_eq!(card.all_ok(&[&format!("00B00000{:02X}", right & 0xFF)])[0], 0x65);
    card.all_ok(&["00A4020002 2010"]);
    card.expect("00B0000000", 0x6982);
    card.expect("00A4020002 2099", 0x6A82);
    card.expect("0020000104 31323334", 0x6D00);
}
