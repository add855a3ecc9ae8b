//! Revocation from end to end: the card's authority answers OCSP requests, the service embeds and judges the answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use card_simulator::ocsp::OcspResponder;
use tests::artefacts::example;
use tests::cards::{CardImage, PIN_QES, authority};
use tests::openssl::verified_content;
use tests::programs::{program, run};
use tests::service::{Service, Setup};
use tests::simulator::{Simulator, socket_in};

const NO_CARD: [&str; 2] = ["--no-card", "the test has no insurance card"];
const NAMED: &str = "http://ocsp.card-simulator.invalid/";
const EMBEDDED_SUFFICES: [&str; 2] = ["--revocation-policy", "embedded-suffices"];

#[test]
fn a_revoked_card_signs_nothing_and_what_it_signed_before_stays_valid() {
    // A card of its own: the others of the authority must stay good.
    let card = CardImage::with("hpc-p384", &[]);
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let simulator = Simulator::start(&[(&card, &reader)]);
    let responder = OcspResponder::start(&authority(), "127.0.0.1:0".parse().unwrap()).unwrap();
    let anchors = card.anchors();
    let mut setup = Setup::on_readers(&[&reader], &anchors);
    setup.further_configuration = format!(
        "[ocsp]\nembed = true\ncache_seconds = 0\n[ocsp.addresses]\n{NAMED:?} = {:?}\n",
        responder.url()
    );
    let service = Service::start(setup);

    let (said, signature) = service.sign(&example("prescription.xml"), PIN_QES, &NO_CARD);
    said.expect_success();
    let content = fs::read(example("prescription.xml")).unwrap();
    assert_eq!(verified_content(&signature, &anchors), content);
    let kept = directory.path().join("kept.p7s");
    fs::copy(&signature, &kept).unwrap();

    let judged = verdict(&service, &kept, &["--check-revocation"]);
    assert_eq!(judged["verdict"], "VALID", "{judged}");
    assert_eq!(
        (&judged["status_at_signing"]["state"], &judged["status_now"]["state"]),
        (&"GOOD".into(), &"GOOD".into())
    );
    assert_eq!(judged["revocation_policy"], "required", "{judged}");
    // Embedded evidence alone does not show a revocation that is entered later.
    assert_eq!(verdict(&service, &kept, &[])["verdict"], "INCONCLUSIVE");

    tell(&card, &format!("revoked {}", time(Duration::from_secs(3600), true)));
    assert_eq!(verdict(&service, &kept, &["--check-revocation"])["verdict"], "VALID");
    tell(&card, &format!("revoked {}", time(Duration::from_secs(3600), false)));
    let judged = verdict(&service, &kept, &["--check-revocation"]);
    assert_eq!((&judged["verdict"], &judged["status_now"]["state"]), (&"INVALID".into(), &"REVOKED".into()));
    // Revoked with an earlier time: whoever believes the embedded evidence does not hear of it.
    for further in [&EMBEDDED_SUFFICES[..], &[&EMBEDDED_SUFFICES[..], &["--check-revocation"]].concat()] {
        assert_eq!(verdict(&service, &kept, further)["verdict"], "VALID", "{further:?}");
    }

    let before = simulator.verifications();
    let (said, signature) = service.sign(&example("prescription.xml"), PIN_QES, &NO_CARD);
    assert!(!said.success && said.stderr.contains("revoked"), "{}", said.text());
    assert!(!signature.exists());
    assert_eq!(simulator.verifications(), before, "a PIN was spent for a revoked certificate");

    drop(responder);
    let judged = verdict(&service, &kept, &["--check-revocation"]);
    assert_eq!(judged["verdict"], "INCONCLUSIVE", "{judged}");
    assert_eq!(judged["status_now"]["state"], "UNUSABLE");
}

#[test]
fn a_responder_that_is_down_keeps_nobody_from_signing() {
    let card = CardImage::of("hpc-p384");
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let _simulator = Simulator::start(&[(&card, &reader)]);
    let anchors = card.anchors();
    let mut setup = Setup::on_readers(&[&reader], &anchors);
    // Nobody listens at port 1.
    setup.further_configuration =
        format!("[ocsp]\nembed = true\n[ocsp.addresses]\n{NAMED:?} = \"http://127.0.0.1:1/\"\n");
    let service = Service::start(setup);
    let arguments = [&NO_CARD[..], &["--json"]].concat();
    let (said, signature) = service.sign(&example("prescription.xml"), PIN_QES, &arguments);
    assert!(said.success && said.text().contains("OCSP_NOT_AVAILABLE"), "{}", said.text());
    assert_eq!(verdict(&service, &signature, &[])["status_at_signing"]["state"], "NOT_CHECKED");
}

fn verdict(service: &Service, signature: &Path, further: &[&str]) -> serde_json::Value {
    let arguments = [&["verify", signature.to_str().unwrap(), "--json"], further].concat();
    serde_json::from_str(&service.client(&arguments).stdout).unwrap()
}

#[test]
fn an_answer_that_was_fetched_ahead_goes_into_signatures_while_the_responder_is_down() {
    let card = CardImage::with("hpc-p384", &[]);
    let directory = tempfile::tempdir().unwrap();
    let reader = socket_in(&directory, "hpc");
    let _simulator = Simulator::start(&[(&card, &reader)]);
    let responder = OcspResponder::start(&authority(), "127.0.0.1:0".parse().unwrap()).unwrap();
    let anchors = card.anchors();
    let mut setup = Setup::on_readers(&[&reader], &anchors).responder(&responder);
    setup.further_configuration = format!("[ocsp]\nembed = true\n{}", setup.further_configuration);
    let service = Service::start(setup);
    // Nobody signs yet: the service asks on its own for every signature certificate of the plugged card.
    let patience = Instant::now() + Duration::from_secs(30);
    while !service.log().contains("OCSP answers for the plugged cards are at hand") {
        assert!(Instant::now() < patience, "{}", service.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(responder);
    let (said, signature) = service.sign(&example("prescription.xml"), PIN_QES, &NO_CARD);
    said.expect_success();
    let judged = verdict(&service, &signature, &EMBEDDED_SUFFICES);
    assert_eq!(
        (&judged["verdict"], &judged["status_at_signing"]["state"]),
        (&"VALID".into(), &"GOOD".into())
    );
}

/// Has the responder say this of the card's signature certificate.
fn tell(card: &CardImage, status: &str) {
    let mut print = program("openssl", ["x509", "-noout", "-serial", "-in"]);
    let printed = run(print.arg(card.certificate("C.HP.QES.E384"))).expect_success().stdout;
    let serial = printed.trim().strip_prefix("serial=").unwrap().to_lowercase();
    let path: PathBuf = authority().join("issued").join(format!("{serial}.status"));
    fs::write(path, status).unwrap();
}

/// RFC 3339 of a time from now, or before.
fn time(distance: Duration, ahead: bool) -> String {
    let now = SystemTime::now();
    let at = if ahead { now + distance } else { now - distance };
    let seconds = at.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut date = program("date", ["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d"]);
    run(date.arg(format!("@{seconds}"))).expect_success().stdout.trim().to_owned()
}
