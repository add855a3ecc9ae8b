//! Cards without logical channels, or with none left.

use super::*;

const SELECT_QES: &str = "00A4040C0BF04850433338342E514553";
const SELECT_ESIGN: &str = "00A4040C0DF04850433338342E455349474E";

fn shared_qes_login(refusal: &str) -> Script {
    more().on("0070000001", refusal).on(SELECT_QES, "9000").on("00200081 08 26123456FFFFFFFF", "9000")
}

fn shared_esign_login() -> Script {
    more().on(SELECT_ESIGN, "9000").on("00200001 08 26123456FFFFFFFF", "9000")
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

#[test]
fn without_channels_esign_is_selected_before_each_signature() {
    let script = more()
        .on("0070000001", "6D00")
        .on(SELECT_ESIGN, "9000")
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
fn selecting_esign_on_the_shared_channel_ends_the_qes_login() {
    let script = shared_qes_login("6D00").then(shared_esign_login());
    let (mut hpc, log) = opened(script);
    hpc.verify_pin(Application::Qes, &pin()).unwrap();
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
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
