//! Changing and unblocking PINs: what is sent, how often, and what it leaves behind.

use super::*;
use crate::pin::PinFormatError;

const QES_CHANNEL: [(&str, &str); 2] =
    [("0070000001", "019000"), ("01A4040C0BF04850433338342E514553", "9000")];

fn digits(text: &str) -> Pin {
    Pin::parse(text.as_bytes(), 4, 12).unwrap()
}

/// DF.QES on channel 1, and what GET PIN STATUS answers there.
fn qes(status: &str) -> Script {
    let channel = QES_CHANNEL.iter().fold(more(), |script, (on, answer)| script.on(on, answer));
    channel.on("81200081", status)
}

#[test]
fn a_pin_is_changed_after_one_look_at_its_state() {
    let script = qes("63C3").on("01240081 10 26123456FFFFFFFF 28987654 32FFFFFF", "9000");
    let (mut hpc, log) = opened(script);
    hpc.change_pin(Application::Qes, &pin(), &digits("98765432")).unwrap();
    assert_eq!(log.take_count(), 4);
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries: 3 });
    assert!(!hpc.is_logged_in(Application::Qes), "a change is no login");
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn the_transport_pin_becomes_the_first_pin() {
    let script = qes("62C1").on("01240081 10 2512345FFFFFFFFF 26654321FFFFFFFF", "9000");
    let (mut hpc, log) = opened(script);
    hpc.change_pin(Application::Qes, &digits("12345"), &digits("654321")).unwrap();
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries: 3 });
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn an_old_value_that_cannot_be_right_costs_no_try() {
    for (status, old, min, max) in [("62C1", "123456", 5, 5), ("63C3", "12345", 6, 8)] {
        let (mut hpc, log) = opened(qes(status));
        let refused = hpc.change_pin(Application::Qes, &digits(old), &digits("654321"));
        let expected = PinFormatError::Length { got: old.len(), min, max };
        assert!(matches!(refused, Err(CardError::PinFormat(error)) if error == expected), "{refused:?}");
        done(hpc, &log, more().on("01708000", "9000"));
    }
    let (mut hpc, log) = opened(more());
    let refused = hpc.change_pin(Application::Qes, &pin(), &digits("12345"));
    assert!(matches!(refused, Err(CardError::PinFormat(PinFormatError::Length { min: 6, .. }))));
    done(hpc, &log, more());
}

#[test]
fn a_wrong_old_value_costs_one_try_and_the_login() {
    let script =
        qes_login().on("81200081", "9000").on("01240081 10 26999999FFFFFFFF 26654321FFFFFFFF", "63C2");
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    let refused = hpc.change_pin(Application::Qes, &digits("999999"), &digits("654321"));
    assert!(matches!(refused, Err(CardError::PinIncorrect { tries: 2 })), "{refused:?}");
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries: 2 });
    assert!(!hpc.is_logged_in(Application::Qes));
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_login_survives_a_change() {
    let script =
        qes_login().on("81200081", "9000").on("01240081 10 26123456FFFFFFFF 26654321FFFFFFFF", "9000");
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    hpc.change_pin(Application::Qes, &pin(), &digits("654321")).unwrap();
    assert!(hpc.is_logged_in(Application::Qes));
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Verified);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_blocked_pin_is_not_even_tried_and_a_refused_one_is_named() {
    let (mut hpc, log) = opened(qes("63C0"));
    assert!(matches!(
        hpc.change_pin(Application::Qes, &pin(), &digits("654321")),
        Err(CardError::PinBlocked)
    ));
    done(hpc, &log, more().on("01708000", "9000"));
    let script = qes("63C3").on("01240081 10 26123456FFFFFFFF 26654321FFFFFFFF", "6985");
    let (mut hpc, log) = opened(script);
    let refused = hpc.change_pin(Application::Qes, &pin(), &digits("654321"));
    assert!(matches!(refused, Err(CardError::NewPinRefused)), "{refused:?}");
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries: 3 });
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn the_puk_sets_a_new_pin_where_the_card_allows_it() {
    let script = more()
        .on("0070000001", "019000")
        .on("01A4040C0DF04850433338342E455349474E", "9000")
        .on("012C0001 10 2812345678FFFFFF 26654321FFFFFFFF", "9000");
    let (mut hpc, log) = opened(script);
    hpc.unblock_pin(Application::Esign, &digits("12345678"), Some(&digits("654321"))).unwrap();
    assert_eq!(hpc.pin_status(Application::Esign), PinStatus::NotVerified { tries: 3 });
    let refused = hpc.unblock_pin(Application::Qes, &digits("12345678"), Some(&digits("654321")));
    assert!(matches!(refused, Err(CardError::PukSetsNoPin)), "{refused:?}");
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_wrong_puk_tells_its_uses_and_leaves_the_pin_alone() {
    let script = QES_CHANNEL
        .iter()
        .fold(more(), |script, (on, answer)| script.on(on, answer))
        .on("012C0181 08 2887654321FFFFFF", "63C9")
        .on("012C0181 08 2887654321FFFFFF", "6983");
    let (mut hpc, log) = opened(script);
    let wrong = digits("87654321");
    let refused = hpc.unblock_pin(Application::Qes, &wrong, None);
    assert!(matches!(refused, Err(CardError::PukIncorrect { uses: 9 })), "{refused:?}");
    assert_eq!(hpc.puk_status(Application::Qes), PinStatus::NotVerified { tries: 9 });
    assert!(matches!(hpc.unblock_pin(Application::Qes, &wrong, None), Err(CardError::PukBlocked)));
    assert_eq!(hpc.puk_status(Application::Qes), PinStatus::Blocked);
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Unknown);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_lost_answer_is_never_followed_by_a_second_attempt() {
    let change = "01240081 10 26123456FFFFFFFF 26654321FFFFFFFF";
    let script = qes("63C3").fail(change, TransportError::Reset);
    let (mut hpc, log) = opened(script);
    let refused = hpc.change_pin(Application::Qes, &pin(), &digits("654321"));
    assert!(matches!(refused, Err(CardError::Reset)), "{refused:?}");
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Unknown, "the try may have counted");
    done(hpc, &log, more());
}
