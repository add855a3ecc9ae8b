//! Cards with logical channels: each application is read where it will be used, when it is first looked at.

use super::*;
use crate::profile::Application::{Esign, Qes};

const SELECT_MF: &str = "00A4040400";
const OPEN_CHANNEL: &str = "0070000001";
const NUMBER: &str = "80276883110000220885";

fn german() -> Script {
    Script::new("3BD097FF81B1FE451FC7EB").on(SELECT_MF, &script::fcp("D27600014601"))
}

fn channel(number: u8) -> Script {
    more().on(OPEN_CHANNEL, &format!("0{number}9000"))
}

fn select(channel: u8, application: Application) -> Script {
    let aid = match application {
        Application::Esign => "0AA000000167455349474E",
        Application::Qes => "06D27600006601",
    };
    more().on(&format!("0{channel}A4040C{aid}"), "9000")
}

fn certificates(channel: u8, application: Application) -> Script {
    let files: &[&str] = match application {
        Application::Esign => &["86", "81", "85", "82"],
        Application::Qes => &["86", "90"],
    };
    files.iter().fold(more(), |script, sfid| {
        script.on(&format!("0{channel}B0{sfid}00000000"), &format!("{CERTIFICATE}9000"))
    })
}

fn number() -> Script {
    more().on("00B0820000", "5A0A802768831100002208859000")
}

fn verify(channel: u8, reference: &str) -> Script {
    more().on(&format!("0{channel}2000{reference} 08 26123456FFFFFFFF"), "9000")
}

fn close(channel: u8) -> Script {
    more().on(&format!("0{channel}708000"), "9000")
}

#[test]
fn each_application_is_read_on_its_own_channel_and_a_login_is_verify_alone() {
    let script = german()
        .then(number())
        .then(channel(1))
        .then(select(1, Esign))
        .then(certificates(1, Esign))
        .then(verify(1, "01"))
        .then(channel(2))
        .then(select(2, Qes))
        .then(certificates(2, Qes))
        .then(verify(2, "81"));
    let (transport, log) = script.start();
    let mut hpc = Hpc::recognise(transport, Esign, None).unwrap();
    assert_eq!((hpc.keys().len(), hpc.iccsn()), (0, NUMBER));
    hpc.look_at(Esign).unwrap();
    assert_eq!((log.take_count(), hpc.keys().len()), (8, 4));
    assert!(hpc.looked_at(Esign) && !hpc.looked_at(Qes));
    hpc.verify_pin(Esign, &pin()).unwrap();
    assert_eq!(log.take_count(), 1);
    hpc.look_at(Qes).unwrap();
    assert_eq!((log.take_count(), hpc.keys().len()), (4, 6));
    hpc.look_at(Qes).unwrap();
    assert_eq!(log.take_count(), 0);
    hpc.verify_pin(Qes, &pin()).unwrap();
    assert_eq!(log.take_count(), 1);
    assert!(hpc.is_logged_in(Esign) && hpc.is_logged_in(Qes));
    done(hpc, &log, close(1).then(close(2)));
}

#[test]
fn whichever_is_looked_at_first_the_keys_are_in_the_order_of_the_profile() {
    let script = german()
        .then(number())
        .then(channel(1))
        .then(select(1, Qes))
        .then(certificates(1, Qes))
        .then(channel(2))
        .then(select(2, Esign))
        .then(certificates(2, Esign));
    let (transport, log) = script.start();
    let mut hpc = Hpc::recognise(transport, Qes, None).unwrap();
    hpc.look_at(Qes).unwrap();
    assert_eq!(log.take_count(), 6);
    hpc.look_at(Esign).unwrap();
    let ids: Vec<u8> = hpc.keys().iter().map(|key| key.profile.id).collect();
    assert_eq!(ids, [1, 4, 2, 5, 3, 6]);
    done(hpc, &log, close(2).then(close(1)));
}

#[test]
fn a_known_card_is_recognised_by_a_certificate_with_four_commands() {
    let script = german()
        .then(channel(1))
        .then(select(1, Esign))
        .on("01B0860000", &format!("{CERTIFICATE}FFFF9000"))
        .then(verify(1, "01"))
        .then(channel(2))
        .then(select(2, Qes))
        .then(verify(2, "81"));
    let all: KnownCertificates =
        [1, 2, 3, 4, 5, 6].into_iter().map(|id| (id, script::bytes(CERTIFICATE))).collect();
    let recall = |profile: &Profile, clue: Clue<'_>| {
        assert_eq!(profile.name, "hba-g21");
        assert!(clue.is_of("", &all));
        Some((NUMBER.to_owned(), all.clone()))
    };
    let (transport, log) = script.start();
    let mut hpc = Hpc::recognise(transport, Esign, Some(&recall)).unwrap();
    hpc.look_at(Esign).unwrap();
    assert_eq!((log.take_count(), hpc.keys().len(), hpc.iccsn()), (4, 6, NUMBER));
    hpc.verify_pin(Esign, &pin()).unwrap();
    hpc.look_at(Qes).unwrap();
    hpc.verify_pin(Qes, &pin()).unwrap();
    assert_eq!((log.take_count(), hpc.to_remember()), (4, None));
    done(hpc, &log, close(1).then(close(2)));
}

#[test]
fn what_is_known_of_another_card_is_not_taken_for_this_one() {
    for known in [None, Some(vec![(1, vec![0x30, 0])]), Some(vec![(3, script::bytes(CERTIFICATE))])] {
        let script = german()
            .then(channel(1))
            .then(select(1, Esign))
            .on("01B0860000", &format!("{CERTIFICATE}FFFF9000"))
            .then(number())
            .then(certificates(1, Esign));
        let recall = |_: &Profile, _: Clue<'_>| Some(("1".to_owned(), known.clone()?));
        let (transport, log) = script.start();
        let mut hpc = Hpc::recognise(transport, Esign, Some(&recall)).unwrap();
        hpc.look_at(Esign).unwrap();
        assert_eq!((hpc.keys().len(), hpc.iccsn()), (4, NUMBER));
        assert_eq!(hpc.to_remember().map(|known| known.len()), Some(4));
        done(hpc, &log, close(1));
    }
}

#[test]
fn with_no_channel_free_an_application_is_read_on_the_basic_one() {
    let script = german()
        .then(number())
        .on(OPEN_CHANNEL, "6981")
        .then(select(0, Qes))
        .then(certificates(0, Qes))
        .then(channel(1))
        .then(select(1, Qes))
        .then(verify(1, "81"));
    let (transport, log) = script.start();
    let mut hpc = Hpc::recognise(transport, Qes, None).unwrap();
    hpc.look_at(Qes).unwrap();
    assert_eq!(hpc.keys().len(), 2);
    hpc.verify_pin(Qes, &pin()).unwrap();
    done(hpc, &log, close(1));
}

#[test]
fn an_absent_application_costs_its_keys_only_and_keeps_no_channel() {
    let absent = || channel(1).on("01A4040C06D27600006601", "6A82").then(close(1));
    let recall = |_: &Profile, _: Clue<'_>| None;
    for (script, recall) in [
        (german().then(number()).then(absent()), None),
        (german().then(absent()).then(number()).then(absent()), Some(&recall as &Recall<'_>)),
    ] {
        let script = script.then(channel(1)).then(select(1, Esign)).then(certificates(1, Esign));
        let (transport, log) = script.start();
        let mut hpc = Hpc::recognise(transport, Qes, recall).unwrap();
        hpc.look_at(Qes).unwrap();
        assert!(hpc.looked_at(Qes) && hpc.keys().is_empty());
        hpc.look_at(Esign).unwrap();
        assert_eq!(hpc.keys().len(), 4);
        done(hpc, &log, close(1));
    }
}

#[test]
fn a_card_that_fails_in_the_middle_can_be_looked_at_again_on_the_same_channel() {
    let script = german()
        .then(number())
        .then(channel(1))
        .then(select(1, Esign))
        .on("01B08600000000", "6F00")
        .then(certificates(1, Esign));
    let (transport, log) = script.start();
    let mut hpc = Hpc::recognise(transport, Esign, None).unwrap();
    let failed = hpc.look_at(Esign).unwrap_err();
    assert!(matches!(failed, CardError::Status { status: StatusWord(0x6F00), .. }), "{failed:?}");
    assert!(!hpc.looked_at(Esign));
    hpc.look_at(Esign).unwrap();
    assert_eq!(hpc.keys().len(), 4);
    done(hpc, &log, close(1));
}
