//! Cards that were read before.

use super::*;

const NUMBER: &str = "80276883110000220885";

fn open_known(transport: Box<dyn Transport>, known: KnownCertificates) -> Hpc {
    let recall = |_: &Profile, _: Clue<'_>| Some((NUMBER.to_owned(), known.clone()));
    Hpc::recognise(transport, Application::Esign, Some(&recall)).unwrap()
}

/// A start-up as far as the serial number.
fn identified() -> Script {
    Script::new("3B9C968131FE458066485043333834739621F3B4")
        .on("00A4040400", &script::fcp("F04850433338342E4D46"))
        .on("00B0820000", "5A0A802768831100002208859000")
}

/// What the start-up of [`start_up`] leaves to remember.
fn remembered() -> KnownCertificates {
    let (transport, _) = start_up().start();
    Hpc::open(transport).unwrap().to_remember().unwrap()
}

#[test]
fn a_known_card_costs_four_commands() {
    let script = identified()
        .on("00A4040C0DF04850433338342E455349474E", "9000")
        .on("00B0860000", &format!("{CERTIFICATE}FFFF9000"));
    let (transport, log) = script.start();
    let recall = |profile: &Profile, clue: Clue<'_>| {
        assert_eq!((profile.name.as_str(), clue), ("hpc-p384", Clue::Number(NUMBER)));
        Some((NUMBER.to_owned(), remembered()))
    };
    let hpc = Hpc::recognise(transport, Application::Esign, Some(&recall)).unwrap();
    assert_eq!(log.take_count(), 4);
    assert_eq!(hpc.keys().len(), 6);
    assert!(hpc.keys().iter().all(|key| key.certificate == script::bytes(CERTIFICATE)));
    assert_eq!(hpc.to_remember(), None);
    done(hpc, &log, more());
}

#[test]
fn a_card_that_differs_from_what_is_known_is_read() {
    for (select, beginning) in
        [("9000", "30030201069000"), ("9000", "30039000"), ("9000", "6A82"), ("6A82", "")]
    {
        let mut script = identified().on("00A4040C0DF04850433338342E455349474E", select);
        if !beginning.is_empty() {
            script = script.on("00B0860000", beginning);
        }
        let (transport, log) = script.then(after_the_serial_number()).start();
        let hpc = open_known(transport, remembered());
        assert_eq!(hpc.keys().len(), 6);
        assert_eq!(hpc.to_remember(), Some(remembered()));
        done(hpc, &log, more());
    }
}

#[test]
fn what_cannot_be_of_this_card_costs_nothing() {
    for known in [vec![], vec![(99, vec![0x30, 0])], vec![(1, vec![0x30, 9, 1])], vec![(1, vec![])]] {
        let (transport, log) = identified().then(after_the_serial_number()).start();
        let hpc = open_known(transport, known);
        assert_eq!(log.take_count(), 10);
        done(hpc, &log, more());
    }
}

#[test]
fn what_was_read_badly_is_not_remembered() {
    for (answer, remembered) in [("6A82", true), ("6B00", true), ("6982", false)] {
        let script = identified()
            .then(signature_certificates())
            .on("00A4040C0DF04850433338342E455349474E", "9000")
            .on("00B08600000000", &format!("{CERTIFICATE}9000"))
            .on("00B08100000000", answer)
            .then(encryption_certificates());
        let (transport, log) = script.start();
        let hpc = Hpc::open(transport).unwrap();
        assert_eq!(hpc.to_remember().is_some(), remembered, "{answer}");
        done(hpc, &log, more());
    }
}

#[test]
fn a_card_that_fails_is_no_card_with_fewer_keys() {
    let script = identified()
        .then(signature_certificates())
        .on("00A4040C0DF04850433338342E455349474E", "9000")
        .on("00B08600000000", &format!("{CERTIFICATE}9000"))
        .on("00B08100000000", "6F00");
    let (transport, log) = script.start();
    let failed = Hpc::open(transport).unwrap_err();
    assert!(matches!(failed, OpenError::Status { status: StatusWord(0x6F00), .. }), "{failed:?}");
    log.assert_finished();
}

#[test]
fn certificates_of_issuers_are_remembered_too() {
    let file = format!("{CERTIFICATE}3003020106FFFF9000");
    let mut script = Script::new("3B9F")
        .on("00A4040400", &script::fcp("F04850433338342E4D46"))
        .on("00B0820000", "5A0A802768831100002208859000")
        .then(signature_certificates())
        .on("00A4040C0DF04850433338342E455349474E", "9000");
    for sfid in ["86", "81", "85", "82"] {
        script = script.on(&format!("00B0{sfid}00000000"), &file);
    }
    let (transport, log) = script.start();
    let read = Hpc::open(transport).unwrap();
    let known = read.to_remember().unwrap();
    done(read, &log, more());
    let script = identified()
        .on("00A4040C0DF04850433338342E455349474E", "9000")
        .on("00B0860000", &format!("{CERTIFICATE}30039000"));
    let (transport, log) = script.start();
    let hpc = open_known(transport, known);
    let issuers: Vec<_> = hpc.keys().iter().map(|key| key.issuers.len()).collect();
    assert_eq!(issuers, [1, 1, 1, 1, 0, 0]);
    done(hpc, &log, more());
}

fn after_the_serial_number() -> Script {
    signature_certificates()
        .on("00A4040C0DF04850433338342E455349474E", "9000")
        .on("00B08600000000", &format!("{CERTIFICATE}9000"))
        .on("00B08100000000", &format!("{CERTIFICATE}9000"))
        .then(encryption_certificates())
}

fn signature_certificates() -> Script {
    more()
        .on("00A4040C0BF04850433338342E514553", "9000")
        .on("00B08600000000", &format!("{CERTIFICATE}9000"))
        .on("00B09000000000", &format!("{CERTIFICATE}9000"))
}

fn encryption_certificates() -> Script {
    more()
        .on("00B08500000000", &format!("{CERTIFICATE}9000"))
        .on("00B08200000000", &format!("{CERTIFICATE}9000"))
}
