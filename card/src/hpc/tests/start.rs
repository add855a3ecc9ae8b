use super::*;
use crate::profile::KeyPurpose;

#[test]
fn opening_the_generic_card_costs_ten_commands() {
    let (transport, log) = start_up().start();
    let hpc = Hpc::open(transport).unwrap();
    assert_eq!(log.take_count(), 10);
    assert_eq!(hpc.profile().name, "hpc-p384");
    assert_eq!(hpc.iccsn(), "80276883110000220885");
    let labels: Vec<_> = hpc.keys().iter().map(|key| key.profile.label.as_str()).collect();
    let expected = [
        "C.HP.AUT.E384",
        "C.HP.AUT.R2048",
        "C.HP.ENC.E384",
        "C.HP.ENC.R2048",
        "C.HP.QES.E384",
        "C.HP.QES.R2048",
    ];
    assert_eq!(labels, expected);
    assert!(hpc.keys().iter().all(|key| key.certificate == script::bytes(CERTIFICATE)));
    assert_eq!(hpc.pin_status(Application::Esign), PinStatus::Unknown, "no PIN was asked about");
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Unknown);
    done(hpc, &log, more());
}

#[test]
fn opening_the_german_card_costs_ten_commands() {
    let certificate = format!("{CERTIFICATE}9000");
    let script = Script::new("3BD097FF81B1FE451FC7EB")
        .on("00A4040400", &script::fcp("D27600014601"))
        .on("00B0820000", "5A0A802768831100002208859000")
        .on("00A4040C06D27600006601", "9000")
        .on("00B08600000000", &certificate)
        .on("00B09000000000", &certificate)
        .on("00A4040C0AA000000167455349474E", "9000")
        .on("00B08600000000", &certificate)
        .on("00B08100000000", &certificate)
        .on("00B08500000000", &certificate)
        .on("00B08200000000", &certificate);
    let (transport, log) = script.start();
    let hpc = Hpc::open(transport).unwrap();
    assert_eq!(log.take_count(), 10);
    assert_eq!(hpc.keys().len(), 6);
    done(hpc, &log, more());
}

#[test]
fn the_state_of_a_pin_is_asked_for_on_demand() {
    let script = more()
        .on("0070000001", "019000")
        .on("01A4040C0BF04850433338342E514553", "9000")
        .on("81200081", "62C1")
        .on("81200081", "63C0");
    let (mut hpc, log) = opened(script);
    assert_eq!(hpc.ask_pin_status(Application::Qes).unwrap(), PinStatus::TransportPin);
    assert_eq!(hpc.ask_pin_status(Application::Qes).unwrap(), PinStatus::Blocked);
    assert_eq!(hpc.pin_status(Application::Qes), PinStatus::Blocked);
    done(hpc, &log, more().on("01708000", "9000"));
}

#[test]
fn a_foreign_card_is_left_alone() {
    let script = Script::new("3B80800101").on("00A4040400", "6A82");
    let (transport, log) = script.on("00A404000BA00000030800001000010000", "6A82").start();
    assert!(matches!(Hpc::open(transport), Err(OpenError::Foreign)));
    log.assert_finished();
}

#[test]
fn an_insurance_card_is_no_health_professional_card() {
    let (transport, log) = Script::new("3B80800101").on("00A4040400", &script::fcp("D2760001448000")).start();
    assert!(matches!(Hpc::open(transport), Err(OpenError::Foreign)));
    log.assert_finished();
}

#[test]
fn keys_without_a_usable_certificate_are_left_out() {
    let script = Script::new("3B9F")
        .on("00A4040400", &script::fcp("F04850433338342E4D46"))
        .on("00B0820000", "5A0A802768831100002208859000")
        .on("00A4040C0BF04850433338342E514553", "9000")
        .on("00B08600000000", "6A82")
        .on("00B09000000000", &format!("{CERTIFICATE}000000009000"))
        .on("00A4040C0DF04850433338342E455349474E", "9000")
        .on("00B08600000000", "6B00")
        .on("00B08100000000", "9000")
        // A header that promises more than the file holds: the rest is asked for once.
        .on("00B08500000000", "30039000")
        .on("00B00002000000", "6B00")
        .on("00B08200000000", "FFFFFFFF6282");
    let (transport, log) = script.start();
    let hpc = Hpc::open(transport).unwrap();
    let [key] = hpc.keys() else { panic!("one key expected") };
    assert_eq!((key.profile.label.as_str(), key.profile.purpose), ("C.HP.QES.R2048", KeyPurpose::Signature));
    assert_eq!(key.certificate, script::bytes(CERTIFICATE), "padding behind the certificate is cut off");
    done(hpc, &log, more());
}

#[test]
fn a_card_without_extended_length_is_read_in_blocks() {
    let certificate = format!("30820200{}", "5A".repeat(512));
    let blocks: Vec<String> =
        certificate.as_bytes().chunks(512).map(|block| String::from_utf8(block.to_vec()).unwrap()).collect();
    let [first, second, third] = blocks.as_slice() else { panic!("three blocks expected") };
    let mut script = Script::new("3B9F")
        .on("00A4040400", &script::fcp("F04850433338342E4D46"))
        .on("00B0820000", "5A0A802768831100002208859000")
        .on("00A4040C0BF04850433338342E514553", "9000")
        .on("00B08600000000", "6700");
    for (index, sfid) in ["86", "90", "86", "81", "85", "82"].into_iter().enumerate() {
        if index == 2 {
            script = script.on("00A4040C0DF04850433338342E455349474E", "9000");
        }
        script = script
            .on(&format!("00B0{sfid}0000"), &format!("{first}9000"))
            .on("00B0010000", &format!("{second}9000"))
            .on("00B0020000", &format!("{third}FFFF6282"));
    }
    let (transport, log) = script.start();
    let hpc = Hpc::open(transport).unwrap();
    assert_eq!(hpc.keys().len(), 6);
    assert!(hpc.keys().iter().all(|key| key.certificate == script::bytes(&certificate)));
    done(hpc, &log, more());
}

#[test]
fn certificates_of_issuers_are_found_behind_a_certificate() {
    let chain = format!("{CERTIFICATE}3003020106 3003020107");
    for (file, issuers) in [
        (format!("{chain}9000"), 2),
        (format!("{chain}00009000"), 2),
        (format!("{chain}3082FFFF6282"), 2),
        (format!("{CERTIFICATE}3003026282"), 0),
    ] {
        let script = Script::new("3B9F")
            .on("00A4040400", &script::fcp("F04850433338342E4D46"))
            .on("00B0820000", "5A0A802768831100002208859000")
            .on("00A4040C0BF04850433338342E514553", "6A82")
            .on("00A4040C0DF04850433338342E455349474E", "9000")
            .on("00B08600000000", &file)
            .on("00B08100000000", "6A82")
            .on("00B08500000000", "6A82")
            .on("00B08200000000", "6A82");
        let (transport, log) = script.start();
        let hpc = Hpc::open(transport).unwrap();
        let [key] = hpc.keys() else { panic!("one key expected") };
        assert_eq!(key.certificate, script::bytes(CERTIFICATE), "{file}");
        assert_eq!(key.issuers.len(), issuers, "{file}");
        done(hpc, &log, more());
    }
}

#[test]
fn an_absent_application_costs_its_keys_only() {
    let certificate = format!("{CERTIFICATE}9000");
    let script = Script::new("3B9F")
        .on("00A4040400", &script::fcp("F04850433338342E4D46"))
        .on("00B0820000", "5A0A802768831100002208859000")
        .on("00A4040C0BF04850433338342E514553", "9000")
        .on("00B08600000000", &certificate)
        .on("00B09000000000", &certificate)
        .on("00A4040C0DF04850433338342E455349474E", "6A82");
    let (transport, log) = script.start();
    let hpc = Hpc::open(transport).unwrap();
    assert_eq!(hpc.keys().len(), 2);
    done(hpc, &log, more());
}

#[test]
fn a_card_without_a_serial_number_is_refused() {
    let (transport, log) = Script::new("3B9F")
        .on("00A4040400", &script::fcp("D27600014601"))
        .on("00B0820000", "5A029999 9000")
        .start();
    assert!(matches!(Hpc::open(transport), Err(OpenError::Malformed { file: "EF.GDO" })));
    log.assert_finished();
}

#[test]
fn a_card_pulled_at_any_command_of_the_start_is_reported_as_removed() {
    for pulled_at in 0..12 {
        let (transport, log) = start_up().cut(pulled_at, TransportError::Removed).start();
        let result = Hpc::open(transport);
        assert!(
            matches!(result, Err(OpenError::Transport(TransportError::Removed))),
            "pulled at command {pulled_at}"
        );
        log.assert_finished();
    }
}

#[test]
fn debug_output_names_no_card() {
    let (hpc, log) = opened(more());
    let text = format!("{hpc:?}");
    assert!(text.contains("hpc-p384") && !text.contains("8027688311"), "{text}");
    done(hpc, &log, more());
}
