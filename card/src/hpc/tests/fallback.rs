//! Cards without logical channels, or with none left.

use super::*;

const SELECT_QES: &str = "00A4040C0BF04850433338342E514553";
const SELECT_ESIGN: &str = "00A4040C0DF04850433338342E455349474E";

fn shared_qes_login(refusal: &str) -> Script {
    more().on("0070000001", refusal).on(SELECT_QES, "9000").on("00200081 08 26123456FFFFFFFF", "9000")
}

fn shared_esign_login() -> Script {
    more().on("00200001 08 26123456FFFFFFFF", "9000")
}

#[test]
fn without_channels_a_qes_signature_checks_the_pin_first_and_logout_leaves_the_application() {
    for refusal in ["6D00", "6E00", "6881", "6981", "6A81", "6700", "9000", "009000", "FF9000"] {
        let script = shared_qes_login(refusal)
            .on("80200081", "9000")
            .on(&select_key(0, 0x86, 0x00), "9000")
            .on(&pso(0), &signature())
            .on("00A4040C", "9000");
        let (mut hpc, log) = opened(script);
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        assert_eq!(log.take_count(), 3, "login");
        hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
        assert_eq!(log.take_count(), 3, "signature");
        hpc.logout(Application::Qes).unwrap();
        done(hpc, &log, more());
    }
}

/// A certificate of a throw-away P-384 key, and that key's signature over [`QES_DIGEST`].
const KEPT_CERTIFICATE: &str = "308201AD30820132A003020102021468B442D67B412E8868631C4B9C3983D3295F927D300A06082A8648CE3D04030330\
     0C310A300806035504030C01743020170D3236313132323032313132385A180F32313236313032393032313132385A30\
     0C310A300806035504030C01743076301006072A8648CE3D020106052B81040022036200043505AACCB83FD22BBEBBCF\
     BC5DC44A3C09BB97F1B3D665B4CDCDB5239090551413B6096F938067D71F46BAC239CD115D204C91EE9F1C93FD2391CC\
     58FDEBDD158DDB22B527315B38408BF5496AD1EB7794926D0C8D8ED4126112C5B042F84440A3533051301D0603551D0E\
     041604142040358922041E34F5559942AB186ABCCBE389AE301F0603551D230418301680142040358922041E34F55599\
     42AB186ABCCBE389AE300F0603551D130101FF040530030101FF300A06082A8648CE3D0403030369003066023100CC3D\
     909C30AE8BC4C4E4B4F2ED3E11F353D02C7EC9B3190D314C6DBCCAF2101F8BABD5ADC876C1C1FB49DC1D42EBDB550231\
     00EBCC6AF9DE0C243BBF7C3175D4293C1F021BB5E436D9B824163D8A822AF95760124F7053FC777D5E0D202E3E7C6EFC\
     15";
const KEPT_SIGNATURE: &str = "53230F27BFD7F3D60FF16C8D0F35CE6B1EFC5B520163C9BBA0357BA70D381AA60B3B498C73513A8D89685AC023A34D82\
     A8BA6F1B4CE2BD6F880A1A369CCCC958926225BA3A0B5F229A1CC9ACD4BB624BADCE1B5E77F2B8102CFF892F319F2402";

/// The generic card as it is, without channels, with [`KEPT_CERTIFICATE`] for all its keys.
fn opened_with_certificate(more: Script) -> (Hpc, Log) {
    let (mut hpc, log) = opened(more);
    hpc.has_channels = false;
    for key in &mut hpc.keys {
        key.certificate = hex::decode(KEPT_CERTIFICATE).unwrap();
    }
    (hpc, log)
}

#[test]
fn without_channels_a_further_signature_is_one_command_as_long_as_it_verifies() {
    let kept = format!("{KEPT_SIGNATURE}9000");
    let script = shared_esign_login()
        .on(&select_key(0, 0x86, 0x00), "9000")
        .on(&pso(0), &kept)
        .on(&pso(0), &kept)
        .on(&pso(0), &kept);
    let (mut hpc, log) = opened_with_certificate(script);
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    log.take_count();
    for expected in [2, 1, 1] {
        hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
        assert_eq!(log.take_count(), expected);
    }
    done(hpc, &log, more());
}

#[test]
fn a_signature_of_another_key_is_thrown_away_and_the_key_selected_anew() {
    let kept = format!("{KEPT_SIGNATURE}9000");
    for disturbed in [signature().as_str(), "6982", "6985", "6A88", "9000", "0102039000"] {
        let script = shared_esign_login()
            .on(&select_key(0, 0x86, 0x00), "9000")
            .on(&pso(0), &kept)
            .on(&pso(0), disturbed)
            .on(SELECT_ESIGN, "9000")
            .on(&select_key(0, 0x86, 0x00), "9000")
            .on(&pso(0), &kept);
        let (mut hpc, log) = opened_with_certificate(script);
        hpc.verify_pin(Application::Esign, &pin()).unwrap();
        for _ in 0..2 {
            let made = hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
            assert_eq!(hex::encode_upper(made), KEPT_SIGNATURE, "after {disturbed}");
        }
        done(hpc, &log, more());
    }
}

#[test]
fn a_single_qes_signature_without_channels_costs_two_commands_in_and_three_to_sign_and_leave() {
    let script = more()
        .on(SELECT_QES, "9000")
        .on("00200081 08 26123456FFFFFFFF", "9000")
        .on(&select_key(0, 0x86, 0x00), "9000")
        .on(&pso(0), &format!("{KEPT_SIGNATURE}9000"))
        .on("00A4040C", "9000");
    let (mut hpc, log) = opened_with_certificate(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    assert_eq!(log.take_count(), 2);
    hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    hpc.logout(Application::Qes).unwrap();
    assert_eq!(log.take_count(), 3);
    done(hpc, &log, more());
}

#[test]
fn a_qes_signature_of_another_key_is_thrown_away_and_the_login_is_over_with_its_application() {
    for disturbed in [signature().as_str(), "6982"] {
        let script = more()
            .on(SELECT_QES, "9000")
            .on("00200081 08 26123456FFFFFFFF", "9000")
            .on(&select_key(0, 0x86, 0x00), "9000")
            .on(&pso(0), &format!("{KEPT_SIGNATURE}9000"))
            .on(&pso(0), disturbed)
            .on("80200081", "6A88");
        let (mut hpc, log) = opened_with_certificate(script);
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
        let refused = hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST);
        assert!(matches!(refused, Err(CardError::NotLoggedIn)), "{refused:?}");
        done(hpc, &log, more());
    }
}

#[test]
fn without_channels_and_a_readable_certificate_esign_is_selected_before_each_signature() {
    let script = more()
        .on("0070000001", "6D00")
        .on("00200001 08 26123456FFFFFFFF", "9000")
        .on(SELECT_ESIGN, "9000")
        .on(&select_key(0, 0x86, 0x00), "9000")
        .on(&pso(0), &signature())
        .on(SELECT_ESIGN, "9000")
        .on(&select_key(0, 0x86, 0x00), "9000")
        .on(&pso(0), &signature());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    log.take_count();
    for _ in 0..2 {
        hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
        assert_eq!(log.take_count(), 3);
    }
    hpc.logout(Application::Esign).unwrap();
    assert_eq!(log.take_count(), 0);
    assert!(matches!(hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    done(hpc, &log, more());
}

#[test]
fn another_programs_select_is_noticed_before_a_wrong_key_could_sign() {
    for foreign_state in ["6A88", "63C3", "6982"] {
        let (mut hpc, log) = opened(shared_qes_login("6D00").on("80200081", foreign_state));
        hpc.verify_pin(Application::Qes, &pin()).unwrap();
        let refused = hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST);
        assert!(matches!(refused, Err(CardError::NotLoggedIn)), "{refused:?}");
        assert_eq!(hpc.pin_status(Application::Qes), PinStatus::NotVerified { tries: 3 });
        done(hpc, &log, more());
    }
}

#[test]
fn an_esign_signature_on_the_shared_channel_ends_the_qes_login() {
    let script = shared_qes_login("6D00")
        .then(shared_esign_login())
        .on(SELECT_ESIGN, "9000")
        .on(&select_key(0, 0x86, 0x00), "9000")
        .on(&pso(0), &signature());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    assert!(hpc.is_logged_in(Application::Qes));
    hpc.sign(1, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    log.take_count();
    assert!(!hpc.is_logged_in(Application::Qes));
    assert!(matches!(hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST), Err(CardError::NotLoggedIn)));
    assert_eq!(log.take_count(), 0);
    done(hpc, &log, more());
}

#[test]
fn the_second_application_shares_when_no_channel_is_free() {
    let script = qes_login()
        .on("0070000001", "6981")
        .then(shared_esign_login())
        .on(&select_key(1, 0x86, 0x00), "9000")
        .on(&pso(1), &signature());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    hpc.sign(3, SignatureScheme::Ecdsa, &QES_DIGEST).unwrap();
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn an_application_that_cannot_be_selected_gives_its_channel_back() {
    let script = more()
        .on("0070000001", "019000")
        .on("01A4040C0BF04850433338342E514553", "6283")
        .on("01708000", "9000");
    let (mut hpc, log) = opened(script);
    let refused = hpc.verify_pin(Application::Qes, &pin());
    assert!(matches!(refused, Err(CardError::Status { command: "SELECT", .. })), "{refused:?}");
    done(hpc, &log, more());
}
