//! The insurance card of the first kind, in a terminal that offers it.

use card_simulator::ProfileName;

use crate::cards::*;

const KVK: &str = "00A4040006 D27600000101";

#[test]
fn the_template_comes_whole_and_all_its_bytes_together_are_zero() {
    let mut card = TestCard::issue(&new_card(ProfileName::Kvk));
    card.expect("00B0000000", 0x6986);
    card.all_ok(&[KVK]);
    let (template, status) = card.send("00B0000000");
    assert_eq!((status, template[0]), (0x6282, 0x60), "the end comes before byte 256");
    assert_eq!(template.iter().fold(0, |sum, byte| sum ^ byte), 0);
    let (part, status) = card.send("00B0000508");
    assert_eq!((&part[..], status), (&template[5..13], 0x9000));
    card.expect("00B0010000", 0x6B00);
}

#[test]
fn a_memory_card_knows_nothing_else() {
    let mut card = TestCard::issue(&new_card(ProfileName::Kvk));
    card.expect("00A4040006 D28000000101", 0x6A82);
    card.expect("00A40400", 0x6A82);
    card.expect("00A4020002 3F00", 0x6A86);
    card.expect("80A4040006 D27600000101", 0x6E00);
    card.expect("00A4040000 0006 D27600000101", 0x6700);
    for unknown in ["00D60000 01 00", "0020000108 26123456FFFFFFFF", "0084000008"] {
        card.expect(unknown, 0x6D00);
    }
}
