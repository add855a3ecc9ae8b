//! Logical channels are independent of each other.

use crate::cards::*;

#[test]
fn four_channels_open_and_a_closed_one_is_reused() {
    let mut card = hba();
    for number in 1..=3 {
        assert_eq!(card.all_ok(&["0070000001"]), [number]);
    }
    card.expect("0070000001", 0x6981);
    card.all_ok(&["02708000"]);
    card.expect("02A4040C", 0x6881);
    assert_eq!(card.all_ok(&["0070000001"]), [2]);
    card.expect("00708000", 0x6A81);
    card.expect("00700000", 0x6700);
}

#[test]
fn what_happens_on_one_channel_leaves_the_others_alone() {
    let mut card = hba();
    card.all_ok(&["0070000001", "01A4040C06 D27600006601", "0120008108 26234567FFFFFFFF"]);
    card.all_ok(&["012241B606840186800100"]);
    card.all_ok(&[HBA_ESIGN, VERIFY_CH, MASTER]);
    card.expect("81200081", OK);
    card.expect("81200001", 0x63C3);
    let (signature, status) = card.send(&sign(&[1; 32]).replacen("00", "01", 1));
    assert_eq!((signature.len(), status), (64, OK));
    card.expect(&sign(&[1; 32]), 0x6985);
}

#[test]
fn a_wrong_pin_on_one_channel_counts_for_all_but_clears_only_its_own_status() {
    let mut card = hba();
    card.all_ok(&["0070000001", VERIFY_CH, "0120000108 26123456FFFFFFFF"]);
    card.expect("0120000108 26999999FFFFFFFF", 0x63C2);
    card.expect("81200001", 0x63C2);
    card.expect("80200001", OK);
}

#[test]
fn closing_and_opening_a_channel_forgets_everything() {
    let mut card = hba();
    card.all_ok(&["0070000001", "01A4040C06 D27600006601", "0120008108 26234567FFFFFFFF"]);
    card.all_ok(&["01708000", "0070000001"]);
    card.expect("81200081", 0x6A88);
    card.all_ok(&["01A4040C06 D27600006601"]);
    card.expect("81200081", 0x63C3);
}

#[test]
fn resetting_the_application_closes_all_channels() {
    let mut card = hba();
    card.all_ok(&["0070000001", VERIFY_CH, "00704001"]);
    card.expect("81200001", 0x6881);
    card.expect("80200001", 0x63C3);
    card.all_ok(&[VERIFY_CH, "00704000"]);
    card.expect("80200001", 0x63C3);
}
