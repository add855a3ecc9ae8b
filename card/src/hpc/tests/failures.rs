//! Wrong PINs, resets and removals: the right word, no PIN sent twice, no knowledge kept that is no longer true.

use super::*;
use crate::pin::PinFormatError;

/// What the driver does after a reconnect before anything else.
fn recheck(script: Script) -> Script {
    script.reconnect(Ok(())).on("00A4040C", "9000").on("00B0820000", "5A0A802768831100002208859000")
}

#[test]
fn a_wrong_pin_costs_one_try_and_one_verify() {
    let script = more()
        .on("0070000001", "019000")
        .on("01A4040C0BF04850433338342E514553", "9000")
        .on("01200081 08 26999999FFFFFFFF", "63C2")
        .on("01200081 08 26999999FFFFFFFF", "63C1")
        .on("01200081 08 26999999FFFFFFFF", "63C0")
        .on("01200081 08 26123456FFFFFFFF", "6983");
    let (mut hpc, log) = opened(script);
    let wrong = Pin::parse(b"999999", 6, 8).unwrap();
    for (tries, commands) in [(2, 3), (1, 1)] {
        let refused = hpc.verify_pin(Application::Qes, &wrong);
        assert!(
            matches!(refused, Err(CardError::PinIncorrect { tries: left }) if left == tries),
            "{refused:?}"
        );
        assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries });
        assert_eq!(log.take_count(), commands);
    }
    for pin in [&wrong, &pin()] {
        assert!(matches!(hpc.verify_pin(Application::Qes, pin), Err(CardError::PinBlocked)));
        assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Blocked);
        assert_eq!(log.take_count(), 1);
    }
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_wrong_pin_ends_an_earlier_login() {
    let script = qes_login().on("01200081 08 26999999FFFFFFFF", "63C2");
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    let wrong = Pin::parse(b"999999", 6, 8).unwrap();
    assert!(hpc.verify_pin(Application::Qes, &wrong).is_err());
    assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_pin_in_transport_state_is_named() {
    let script = more()
        .on("0070000001", "019000")
        .on("01A4040C0BF04850433338342E514553", "9000")
        .on("01200081 08 26123456FFFFFFFF", "6985");
    let (mut hpc, log) = opened(script);
    let refused = hpc.verify_pin(Application::Qes, &pin());
    assert!(
        matches!(refused, Err(CardError::PinNotUsable { status: PinStatus::TransportPin })),
        "{refused:?}"
    );
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::TransportPin);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_pin_of_the_wrong_length_never_reaches_the_card() {
    let (mut hpc, log) = opened(more());
    let short = Pin::parse(b"12345", 4, 12).unwrap();
    let refused = hpc.verify_pin(Application::Qes, &short);
    let expected = PinFormatError::Length { got: 5, min: 6, max: 8 };
    assert!(matches!(refused, Err(CardError::PinFormat(error)) if error == expected), "{refused:?}");
    done(hpc, &log, more());
}

#[test]
fn a_used_up_budget_is_a_lost_login() {
    let script = qes_login().on(&select_key(1, 0x86, 0x00), "9000").on(&pso(1), "6982");
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    assert!(!hpc.is_logged_in(Application::Qes));
    // The channel is still ours: the next login is one command.
    log.then(more().on("01200081 08 26123456FFFFFFFF", "9000"));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_channel_closed_by_somebody_else_is_a_lost_login() {
    let script = qes_login().on(&select_key(1, 0x86, 0x00), "6881").then(qes_login());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_reset_before_the_pin_was_sent_is_overcome_within_the_login() {
    for commands in 0..2 {
        let script = recheck(qes_login().cut(commands, TransportError::Reset)).then(qes_login());
        let (mut hpc, log) = opened(script);
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        done(hpc, &log, more().on("01708000", "9000"));
    }
    let (mut hpc, log) = opened(recheck(more().begin_fails(TransportError::Reset)).then(qes_login()));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn resets_without_end_are_reported() {
    let script =
        recheck(qes_login().cut(0, TransportError::Reset)).then(qes_login().cut(0, TransportError::Reset));
    let (mut hpc, log) = opened(script);
    assert!(matches!(hpc.verify_pin(Application::Qes, &pin()), Err(CardError::Reset)));
    done(hpc, &log, more());
}

#[test]
fn a_pin_is_not_sent_again_after_a_reset_that_ate_its_answer() {
    let (mut hpc, log) = opened(qes_login().cut(2, TransportError::Reset));
    assert!(matches!(hpc.verify_pin(Application::Qes, &pin()), Err(CardError::Reset)));
    assert_eq!(log.take_count(), 3);
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Unknown, "the try may have counted");
    log.then(recheck(more()).then(qes_login()));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_reset_ends_every_login_and_the_next_call_does_not_sign() {
    let script = qes_login()
        .on("0070000001", "029000")
        .on("02A4040C0DF04850433338342E455349474E", "9000")
        .on("02200001 08 26123456FFFFFFFF", "9000");
    for cut in 0..2 {
        let sign = more().on(&select_key(1, 0x86, 0x00), "9000").on(&pso(1), &signature());
        let (mut hpc, log) = opened(script.duplicate().then(sign.cut(cut, TransportError::Reset)));
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        hpc.verify_pin(Application::Esign, &pin()).unwrap();
        assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::Reset)));
        log.take_count();
        for key in [3, 1] {
            assert!(matches!(
                hpc.sign(key, SignatureScheme::Ecdsa, &QES_DIGEST),
                Err(CardError::NotLoggedIn)
            ));
        }
        assert_eq!(hpc.pin_status(Application::Esign), PinStatus::NotVerified { tries: 3 });
        assert_eq!(log.take_count(), 0);
        log.then(recheck(more()).then(qes_login()));
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        done(hpc, &log, more().on("01708000", "9000"));
    }
}

#[test]
fn a_removed_card_stays_removed_whatever_is_in_the_reader() {
    for cut in 0..3 {
        let (mut hpc, log) = opened(qes_login().cut(cut, TransportError::Removed));
        assert!(matches!(hpc.verify_pin(Application::Qes, &pin()), Err(CardError::Removed)));
        log.take_count();
        assert!(matches!(hpc.verify_pin(Application::Qes, &pin()), Err(CardError::Removed)));
        assert_eq!(log.take_count(), 0);
        done(hpc, &log, more());
    }
}

#[test]
fn a_card_swapped_during_a_reset_is_never_given_the_pin() {
    let script = more()
        .begin_fails(TransportError::Reset)
        .reconnect(Ok(()))
        .on("00A4040C", "9000")
        .on("00B0820000", "5A0A802768831100009999999000");
    let (mut hpc, log) = opened(script);
    assert!(matches!(hpc.verify_pin(Application::Qes, &pin()), Err(CardError::Removed)));
    assert!(matches!(hpc.logout(Application::Qes), Ok(())));
    done(hpc, &log, more());
}

#[test]
fn a_card_pulled_while_signing_is_reported_and_forgotten() {
    let sign = more().on(&select_key(1, 0x86, 0x00), "9000").on(&pso(1), &signature());
    for cut in 0..2 {
        let (mut hpc, log) = opened(qes_login().then(sign.duplicate().cut(cut, TransportError::Removed)));
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::Removed)));
        assert!(!hpc.is_logged_in(Application::Qes));
        done(hpc, &log, more());
    }
}

#[test]
fn a_broken_exchange_drops_the_login_and_its_channel_is_closed_later() {
    let sign = more().on(&select_key(1, 0x86, 0x00), "9000").fail(&pso(1), TransportError::NotTransacted);
    let (mut hpc, log) = opened(qes_login().then(sign));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    let lost = hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST);
    assert!(matches!(lost, Err(CardError::Transport(TransportError::NotTransacted))), "{lost:?}");
    log.then(recheck(more()).on("01708000", "9000").then(qes_login()));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_reader_that_lost_its_card_meanwhile_reports_a_removal() {
    let script = more().begin_fails(TransportError::NotTransacted).reconnect(Err(TransportError::NoCard));
    let (mut hpc, log) = opened(script);
    let lost = hpc.verify_pin(Application::Qes, &pin());
    assert!(matches!(lost, Err(CardError::Transport(TransportError::NotTransacted))), "{lost:?}");
    assert!(matches!(hpc.verify_pin(Application::Qes, &pin()), Err(CardError::Removed)));
    done(hpc, &log, more());
}

#[test]
fn an_answer_that_is_no_signature_is_refused() {
    for answer in ["9000", "C7C79000"] {
        let script = qes_login().on(&select_key(1, 0x86, 0x00), "9000").on(&pso(1), answer);
        let (mut hpc, log) = opened(script);
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        let refused = hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST);
        assert!(matches!(refused, Err(CardError::SignatureLength { expected: 96, .. })), "{refused:?}");
        done(hpc, &log, more().on("01708000", "9000"));
    }
}

#[test]
fn errors_and_responses_print_no_secret() {
    let profile = &Profile::by_name("hba-g21").unwrap().application(Application::Qes).unwrap().pin;
    let text = format!("{:?}", commands::verify(Dialect::Cos, profile, Some(&pin())));
    assert!(text.contains("00200081") && !text.contains("2612"), "{text}");
    let response = Response::parse(&script::bytes("5A0A80276883110000220885 9000")).unwrap();
    assert!(!format!("{response:?}").contains("8027"));
}
