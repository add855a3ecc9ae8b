//! Deciphering with the encryption keys: what is sent, and what an answer means.

use super::*;

const ENC_EC: u8 = 2;
const ENC_RSA: u8 = 5;
const TEMPLATE: [u8; 4] = [0xA6, 0x02, 0x86, 0x00];

fn esign_login() -> Script {
    more()
        .on("0070000001", "019000")
        .on("01A4040C0DF04850433338342E455349474E", "9000")
        .on("01200001 08 26123456FFFFFFFF", "9000")
}

fn logged_in(script: Script) -> (Hpc, Log) {
    let (mut hpc, log) = opened(esign_login().then(script));
    hpc.verify_pin(Application::Esign, &pin()).unwrap();
    log.take_count();
    (hpc, log)
}

#[test]
fn a_decipherment_is_two_commands_on_the_channel_of_the_login() {
    let rsa = format!("012A8086 000101 00{} 0000", "5A".repeat(256));
    let script = more()
        .on("012241B8 06 84018380 0185", "9000")
        .on(&rsa, "0102039000")
        .on("012241B8 06 840185 80010B", "9000")
        .on("012A8086 04 A6028600 00", "AABB9000");
    let (mut hpc, log) = logged_in(script);
    let plain = hpc.decipher(ENC_RSA, DecipherScheme::RsaOaepSha256, &[0x5A; 256]).unwrap();
    assert_eq!(*plain, [1, 2, 3]);
    assert_eq!(log.take_count(), 2);
    assert_eq!(*hpc.decipher(ENC_EC, DecipherScheme::Elc, &TEMPLATE).unwrap(), [0xAA, 0xBB]);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn what_cannot_be_deciphered_is_not_sent() {
    let (mut hpc, log) = logged_in(more());
    let short = hpc.decipher(ENC_RSA, DecipherScheme::RsaOaepSha256, &[0; 255]);
    assert!(matches!(short, Err(CardError::InputLength { expected: 256, got: 255 })), "{short:?}");
    let other = hpc.decipher(ENC_EC, DecipherScheme::Elc, &[0x30, 0x00]);
    assert!(matches!(other, Err(CardError::CryptogramRefused)), "{other:?}");
    for (key, scheme) in [(ENC_EC, DecipherScheme::RsaOaepSha256), (1, DecipherScheme::Elc)] {
        assert!(matches!(hpc.decipher(key, scheme, &TEMPLATE), Err(CardError::CannotDecipher)));
    }
    assert!(matches!(hpc.decipher(99, DecipherScheme::Elc, &TEMPLATE), Err(CardError::KeyMissing)));
    done(hpc, &log, more().on("01708000", "9000"));
    let (mut hpc, log) = opened(more());
    assert!(matches!(hpc.decipher(ENC_EC, DecipherScheme::Elc, &TEMPLATE), Err(CardError::NotLoggedIn)));
    done(hpc, &log, more());
}

#[test]
fn a_refused_cryptogram_is_not_a_lost_login() {
    for (status, login) in [("6A80", true), ("6982", false), ("6F00", true)] {
        let script = more().on("012241B8 06 840185 80010B", "9000").on("012A8086 04 A6028600 00", status);
        let (mut hpc, log) = logged_in(script);
        let refused = hpc.decipher(ENC_EC, DecipherScheme::Elc, &TEMPLATE).unwrap_err();
        assert_eq!(matches!(refused, CardError::CryptogramRefused), status == "6A80", "{refused:?}");
        assert_eq!(hpc.is_logged_in(Application::Esign), login, "{status}");
        done(hpc, &log, more().on("01708000", "9000"));
    }
}
