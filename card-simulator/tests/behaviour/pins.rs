//! Life cycle of the passwords.

use crate::cards::*;
use card_simulator::{Card, CardImage, ProfileName};

#[test]
fn a_wrong_pin_costs_one_try_and_the_third_blocks() {
    let mut card = hba();
    card.expect(HBA_QES, OK);
    card.expect("80200081", 0x63C3);
    card.expect(WRONG_QES, 0x63C2);
    card.expect(WRONG_QES, 0x63C1);
    card.expect("80200081", 0x63C1);
    card.expect(WRONG_QES, 0x63C0);
    card.expect(VERIFY_QES, 0x6983);
    card.expect("80200081", 0x63C0);
    card.expect("80200001", 0x63C3);
}

#[test]
fn the_right_pin_gives_the_tries_back() {
    let mut card = hba();
    card.expect(WRONG_CH, 0x63C2);
    card.expect(VERIFY_CH, OK);
    card.expect("80200001", OK);
    card.card().reset();
    card.expect("80200001", 0x63C3);
}

#[test]
fn a_wrong_pin_takes_the_status_away() {
    let mut card = hba();
    card.all_ok(&[VERIFY_CH, "80200001"]);
    card.expect(WRONG_CH, 0x63C2);
    card.expect("80200001", 0x63C2);
}

#[test]
fn tries_survive_power_off_and_a_killed_process() {
    let mut card = hba();
    card.expect(WRONG_CH, 0x63C2);
    card.card().power_off();
    card.expect("80200001", 0x63C2);
    card.expect(WRONG_CH, 0x63C1);
    card.reopen();
    card.expect("80200001", 0x63C1);
}

#[test]
fn a_card_killed_between_counting_and_comparing_has_lost_the_try() {
    let mut card = hba();
    let path = card.directory.path().join("counters.bin");
    card.expect(WRONG_CH, 0x63C2);
    let after_wrong = std::fs::read(&path).unwrap();
    card.expect(VERIFY_CH, OK);
    // What is on disk before the comparison is what a wrong PIN leaves behind: the count, and nothing else.
    std::fs::write(&path, after_wrong).unwrap();
    card.reopen();
    card.expect("80200001", 0x63C2);
}

#[test]
fn a_status_is_shown_before_and_after_the_pin() {
    let mut card = hba();
    card.expect("80200001", 0x63C3);
    card.expect("80200007", 0x6A88);
    card.expect("80200081", 0x6A88);
    card.expect("00200001", 0x6700);
    card.expect("0020000106 313233343536", 0x6700);
    card.expect("0020000108 3132333435363738", 0x63C2);
}

#[test]
fn leaving_the_signature_application_clears_its_pin_but_not_the_cards() {
    let mut card = hba();
    card.all_ok(&[VERIFY_CH, HBA_QES, VERIFY_QES, "80200081", "80200001"]);
    card.all_ok(&[HBA_QES, "80200081"]);
    card.all_ok(&[HBA_ESIGN, "80200001", HBA_QES]);
    card.expect("80200081", 0x63C3);
    card.all_ok(&[VERIFY_QES, MASTER, HBA_QES]);
    card.expect("80200081", 0x63C3);
}

#[test]
fn a_transport_pin_must_be_changed_first() {
    let mut card = TestCard::issue(&new_card(ProfileName::HbaG21).transport_pins(true));
    card.expect("80200001", 0x62C1);
    card.expect(VERIFY_CH, 0x6985);
    card.expect("0020000108 2512345FFFFFFFFF", 0x6985);
    card.expect("0024000110 2512345FFFFFFFFF 2554321FFFFFFFFF", 0x6985);
    card.expect("0024000110 2599999FFFFFFFFF 26123456FFFFFFFF", 0x63C2);
    card.expect("0024000110 2512345FFFFFFFFF 26123456FFFFFFFF", OK);
    card.expect("80200001", 0x63C3);
    card.reopen();
    card.expect(VERIFY_CH, OK);
}

#[test]
fn a_pin_is_changed_with_the_old_one() {
    let mut card = hba();
    card.expect("0024000110 26999999FFFFFFFF 26654321FFFFFFFF", 0x63C2);
    card.expect("0024000110 26123456FFFFFFFF 2554321FFFFFFFFF", 0x6985);
    card.expect("0024000110 26123456FFFFFFFF 29123456789FFFFF", 0x6985);
    card.expect("0024000110 26123456FFFFFFFF 2887654321FFFFFF", OK);
    card.expect("80200001", 0x63C3);
    card.expect(VERIFY_CH, 0x63C2);
    card.reopen();
    card.expect("0020000108 2887654321FFFFFF", OK);
}

#[test]
fn an_empty_pin_is_set_without_an_old_one_once() {
    let mut card = hba();
    card.expect("00A4040C06 D27600014603", OK);
    card.expect("80200081", 0x62C7);
    card.expect("0020008108 20FFFFFFFFFFFFFF", 0x6985);
    card.expect("0024008110 20FFFFFFFFFFFFFF 2513579FFFFFFFFF", 0x6985);
    card.expect("0024018108 241357FFFFFFFFFF", 0x6985);
    card.expect("0024018108 2513579FFFFFFFFF", OK);
    card.expect("80200081", 0x63C3);
    card.expect("0020008108 2513579FFFFFFFFF", OK);
    card.expect("0024018108 2524680FFFFFFFFF", 0x6985);
}

#[test]
fn a_puk_unblocks_the_signature_pin_but_never_sets_it() {
    let mut card = hba();
    card.expect(HBA_QES, OK);
    for status in [0x63C2, 0x63C1, 0x63C0] {
        card.expect(WRONG_QES, status);
    }
    card.expect("002C008110 2812345678FFFFFF 26111111FFFFFFFF", 0x6982);
    card.expect("002C018108 2899999999FFFFFF", 0x63C9);
    card.expect("002C018108 2812345678FFFFFF", OK);
    card.expect("80200081", 0x63C3);
    card.expect(VERIFY_QES, OK);
}

#[test]
fn a_puk_sets_a_new_card_pin() {
    let mut card = hba();
    card.expect("002C000110 2812345678FFFFFF 2554321FFFFFFFFF", 0x6985);
    card.expect("002C000110 2812345678FFFFFF 26654321FFFFFFFF", OK);
    card.expect("80200001", 0x63C3);
    card.expect("0020000108 26654321FFFFFFFF", OK);
}

#[test]
fn a_puk_is_used_up_by_right_and_wrong_entries_and_for_good() {
    let mut card = hba();
    for left in (5..10).rev() {
        card.expect("002C010108 2899999999FFFFFF", 0x63C0 + left);
    }
    for _ in 0..5 {
        card.expect("002C010108 2812345678FFFFFF", OK);
    }
    card.expect("002C010108 2812345678FFFFFF", 0x6983);
    card.reopen();
    card.expect("002C010108 2812345678FFFFFF", 0x6983);
    card.expect(VERIFY_CH, OK);
}

#[test]
fn insurance_card_references_share_one_secret_and_one_counter() {
    let mut card = egk();
    card.expect("0020000208 26999999FFFFFFFF", 0x63C2);
    card.expect("80200001", 0x63C2);
    card.expect("80200005", 0x63C2);
    card.expect("0020000208 26123456FFFFFFFF", OK);
    card.expect("80200002", OK);
    card.expect("80200001", 0x63C3);
    card.expect("0024000510 26123456FFFFFFFF 26654321FFFFFFFF", OK);
    card.expect(VERIFY_CH, 0x63C2);
    card.expect("0020000108 26654321FFFFFFFF", OK);
}

#[test]
fn insurance_card_references_are_switched_one_by_one() {
    let mut card = egk();
    card.expect("80200003", 0x62D0);
    card.expect("0028000308 26123456FFFFFFFF", OK);
    card.expect("80200003", 0x63C3);
    card.expect("0026000508 26999999FFFFFFFF", 0x63C2);
    card.expect("0026000508 26123456FFFFFFFF", OK);
    card.reopen();
    card.expect("80200005", 0x62D0);
    card.expect("80200004", 0x62D0);
    card.expect("80200001", 0x63C3);
    card.expect("0026000108 26123456FFFFFFFF", 0x6982);
    card.expect("0026010508 26123456FFFFFFFF", 0x6982);
}

#[test]
fn the_representatives_pin_is_set_by_the_card_holder() {
    let mut card = egk();
    card.expect("0024010D08 26111111FFFFFFFF", 0x6982);
    card.expect(VERIFY_CH, OK);
    card.expect("0024010D08 26111111FFFFFFFF", OK);
    card.expect("0020000D08 26111111FFFFFFFF", OK);
    card.expect("002C020D08 26222222FFFFFFFF", OK);
    card.expect("0020000D08 26222222FFFFFFFF", OK);
    card.expect("002C000D10 2812345678FFFFFF 26333333FFFFFFFF", 0x6982);
}

#[test]
fn an_image_belongs_to_one_process_at_a_time() {
    let card = hba();
    let error = CardImage::open(card.directory.path()).map(Card::new).unwrap_err();
    assert!(matches!(error, card_simulator::ImageError::InUse(_)), "{error}");
}

#[test]
fn no_pin_is_stored_readable() {
    let mut card = hba();
    card.expect(VERIFY_CH, OK);
    for name in ["state.json", "card.json", "counters.bin"] {
        let text =
            String::from_utf8_lossy(&std::fs::read(card.directory.path().join(name)).unwrap()).into_owned();
        for secret in ["\"123456\"", "\"234567\"", "\"12345678\"", "26123456"] {
            assert!(!text.contains(secret), "{secret} in {name}");
        }
    }
}
