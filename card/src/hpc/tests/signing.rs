use super::*;
use crate::profile::{Curve, Dialect, KeyKind};

#[test]
fn the_first_signature_after_login_costs_two_commands_and_each_further_one() {
    let script = qes_login()
        .on(&select_key(1, 0x86, 0x00), "9000")
        .on(&pso(1), &signature())
        .on(&pso(1), &signature());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    assert_eq!(log.take_count(), 3, "login");
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Verified);
    assert_eq!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap(), [0xC7; 96]);
    assert_eq!(log.take_count(), 2, "first signature");
    hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    assert_eq!(log.take_count(), 1, "further signature");
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_p384_signature_on_the_basic_channel_is_the_documented_command() {
    let command = format!("002A9E9A30{}00", "A5".repeat(48));
    let choice = commands::KeyChoice { reference: 0x86, algorithm: 0 };
    let kind = KeyKind::Ec(Curve::P384);
    let sent = commands::sign(Dialect::Cos, choice, kind, SignatureScheme::Ecdsa, &QES_DIGEST);
    let sent: Vec<_> = sent.iter().map(|c| hex::encode_upper(c.encode().unwrap().as_slice())).collect();
    assert_eq!(sent, [command]);
}

#[test]
fn another_key_or_scheme_is_selected_before_it_signs() {
    let hash = [0x11; 32];
    let rsa = format!("{}9000", "5B".repeat(256));
    let pss = format!("012A9E9A20{}00", "11".repeat(32));
    let script = more()
        .on("0070000001", "019000")
        .on("01A4040C0DF04850433338342E455349474E", "9000")
        .on("01200001 08 26123456FFFFFFFF", "9000")
        .on(&select_key(1, 0x82, 0x05), "9000")
        .on(&pss, &rsa)
        .on(&select_key(1, 0x82, 0x02), "9000")
        .on(&format!("012A9E9A33{}00", "22".repeat(51)), &rsa)
        .on(&select_key(1, 0x86, 0x00), "9000")
        .on(&pso(1), &signature());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    assert_eq!(hpc.sign(4, SignatureScheme::RsaPssSha256, &hash).unwrap().len(), 256);
    assert_eq!(hpc.sign(4, SignatureScheme::RsaPkcs1, &[0x22; 51]).unwrap().len(), 256);
    assert_eq!(hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap().len(), 96);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn both_applications_live_on_channels_of_their_own() {
    let script = qes_login()
        .on("0070000001", "029000")
        .on("02A4040C0DF04850433338342E455349474E", "9000")
        .on("02200001 08 26123456FFFFFFFF", "9000")
        .on(&select_key(1, 0x86, 0x00), "9000")
        .on(&pso(1), &signature())
        .on(&select_key(2, 0x86, 0x00), "9000")
        .on(&pso(2), &signature())
        .on(&pso(1), &signature());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    for key in [3, 1, 3] {
        hpc.sign(key, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    }
    done(hpc, &log, more().on("02708000", "9000").on("01708000", "9000"));
}

#[test]
fn logout_ends_the_login_and_keeps_the_channel_for_a_login_of_one_command() {
    let select = "01A4040C0BF04850433338342E514553";
    let again = more().on("01704000", "9000").on(select, "9000").on(VERIFY_QES, "9000");
    let (mut hpc, log) = opened(qes_login().then(again));
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    log.take_count();
    hpc.logout(Application::Qes).unwrap();
    assert_eq!(log.take_count(), 2);
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries: 3 });
    assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    hpc.logout(Application::Qes).unwrap();
    assert_eq!(log.take_count(), 0);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    assert_eq!(log.take_count(), 1);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_channel_that_cannot_start_over_is_closed() {
    let select = "01A4040C0BF04850433338342E514553";
    for refused in [
        more().on("01704000", "6A86"),
        more().on("01704000", "9000").on(select, "6283"),
        more().on("01704000", "6881"),
    ] {
        let (mut hpc, log) = opened(qes_login().then(refused).on("01708000", "9000"));
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        hpc.logout(Application::Qes).unwrap();
        assert!(!hpc.is_logged_in(Application::Qes));
        done(hpc, &log, more());
    }
}

#[test]
fn wrong_input_never_reaches_the_card() {
    let (mut hpc, log) = opened(qes_login());
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    log.take_count();
    let cases = [
        hpc.sign(3, SignatureScheme::Ecdsa, &[0; 32]),
        hpc.sign(3, SignatureScheme::Ecdsa, &[0; 49]),
        hpc.sign(6, SignatureScheme::RsaPssSha256, &[0; 48]),
    ];
    for case in cases {
        assert!(matches!(case, Err(CardError::InputLength { .. })), "{case:?}");
    }
    let refused = hpc.sign(6, SignatureScheme::RsaPkcs1, &[0; 51]);
    assert!(matches!(refused, Err(CardError::SchemeNotAllowed { .. })), "{refused:?}");
    let encryption = hpc.sign(2, SignatureScheme::Ecdsa, &QES_DIGEST);
    assert!(matches!(encryption, Err(CardError::SchemeNotAllowed { .. })), "{encryption:?}");
    assert!(matches!(hpc.sign(99, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::KeyMissing)));
    assert!(matches!(hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    assert_eq!(log.take_count(), 0);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_digest_info_may_fill_forty_percent_of_the_modulus() {
    let (mut hpc, log) = opened(more());
    let too_long = hpc.sign(4, SignatureScheme::RsaPkcs1, &[0; 103]);
    assert!(matches!(too_long, Err(CardError::InputLength { expected: 102, got: 103 })), "{too_long:?}");
    let empty = hpc.sign(4, SignatureScheme::RsaPkcs1, &[]);
    assert!(matches!(empty, Err(CardError::InputLength { .. })), "{empty:?}");
    let longest = hpc.sign(4, SignatureScheme::RsaPkcs1, &[0; 102]);
    assert!(matches!(longest, Err(CardError::NotLoggedIn)), "{longest:?}");
    done(hpc, &log, more());
}

#[test]
fn the_signature_budget_is_read_once() {
    let ssec = "7B13 800101 A40E 8206D27600006601 830181 950108 9000";
    let with_count = "7B16 800101 A411 8206D27600006601 830181 950108 C001FA 9000";
    let script = qes_login().on("01B0850000", with_count);
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    assert_eq!(hpc.signatures_per_pin(Application::Qes).unwrap(), Some(250));
    assert_eq!(hpc.signatures_per_pin(Application::Qes).unwrap(), Some(250));
    assert_eq!(hpc.signatures_per_pin(Application::Esign).unwrap(), None);
    done(hpc, &log, more().on("01708000", "9000"));

    let select = more().on("00A4040C0BF04850433338342E514553", "9000").on("00B0850000", ssec);
    let (mut hpc, log) = opened(select);
    assert_eq!(hpc.signatures_per_pin(Application::Qes).unwrap(), None);
    done(hpc, &log, more());
}

#[test]
fn a_key_selection_that_got_lost_is_repeated_once() {
    let script = qes_login()
        .on(&select_key(1, 0x86, 0x00), "9000")
        .on(&pso(1), &signature())
        .on(&pso(1), "6985")
        .on(&select_key(1, 0x86, 0x00), "9000")
        .on(&pso(1), "6985");
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    let refused = hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST);
    assert!(matches!(refused, Err(CardError::Status { status: StatusWord::CONDITIONS, .. })), "{refused:?}");
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_disabled_pin_needs_no_login() {
    let (transport, log) = start_up().start();
    let mut hpc = Hpc::open(transport).unwrap();
    log.then(
        more()
            .on("00A4040C0BF04850433338342E514553", "9000")
            .on("80200081", "62D0")
            .on("00A4040C0BF04850433338342E514553", "9000")
            .on(&select_key(0, 0x86, 0x00), "9000")
            .on(&pso(0), &signature()),
    );
    assert_eq!(hpc.ask_pin_status(Application::Qes).unwrap(), PinStatus::Disabled);
    hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    done(hpc, &log, more());
}
