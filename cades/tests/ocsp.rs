//! What an OCSP answer is worth, alone and embedded in a signature.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in test code is the report")]

mod support;

use cades::ocsp::{OcspError, Rules, Status, check, request, responders};
use cades::{CurrentStatus, EmbeddedStatus, Policy, Reason, Report, Revocation, Verdict, verify};
use support::keys::Key;
use support::ocsp::{Answer, Responder, revoked, unknown};
use support::{CONTENT, NOW, Person, SIGNED_AT};
use time::{Duration, OffsetDateTime};

const HOUR: Duration = Duration::hours(1);

fn physician() -> Person {
    Person::physician(Key::brainpool(), Key::brainpool())
}

fn rules<'a>() -> Rules<'a> {
    Rules::qualified(SIGNED_AT, NOW)
}

fn judged(person: &Person, answer: &Answer) -> Result<Status, OcspError> {
    judged_by(person, answer, &rules())
}

fn judged_by(person: &Person, answer: &Answer, rules: &Rules<'_>) -> Result<Status, OcspError> {
    check(&answer.build(), &person.certificate, &person.anchors(), rules).map(|answer| answer.status)
}

fn bent(change: impl FnOnce(&Person, &mut Answer)) -> Result<Status, OcspError> {
    let person = physician();
    let mut answer = Answer::good(&person);
    change(&person, &mut answer);
    judged(&person, &answer)
}

#[test]
fn good_revoked_and_unknown_are_told_apart() {
    assert_eq!(bent(|_, _| ()), Ok(Status::Good));
    assert_eq!(bent(|_, answer| answer.status = unknown()), Ok(Status::Unknown));
    let at = SIGNED_AT - HOUR;
    let status = bent(|_, answer| answer.status = revoked(at));
    assert_eq!(status, Ok(Status::Revoked { at, reason: Some(1) }));
}

#[test]
fn the_issuer_may_answer_itself() {
    assert_eq!(bent(|person, a| a.responder = Responder::issuer(&person.ca_key)), Ok(Status::Good));
}

#[test]
fn only_responders_of_the_issuer_are_believed() {
    let stranger = Key::brainpool();
    let by_stranger = bent(|_, answer| answer.responder = Responder::of(&stranger, |_| {}));
    assert_eq!(by_stranger, Err(OcspError::ResponderNotAuthorised));
    let no_purpose = bent(|person, answer| {
        answer.responder = Responder::of(&person.ca_key, |spec| spec.purposes = vec!["1.3.6.1.5.5.7.3.2"]);
    });
    assert_eq!(no_purpose, Err(OcspError::ResponderNotAuthorised));
    let expired = bent(|person, answer| {
        answer.responder = Responder::of(&person.ca_key, |spec| spec.not_after = SIGNED_AT - HOUR);
    });
    assert_eq!(expired, Err(OcspError::ResponderNotAuthorised));
    let absent = bent(|_, answer| answer.responder.certificate = None);
    assert_eq!(absent, Err(OcspError::ResponderMissing));
    let forged = bent(|_, answer| answer.responder.key = Key::brainpool());
    assert_eq!(forged, Err(OcspError::Signature));
}

#[test]
fn a_responder_of_the_trusted_list_speaks_for_every_issuer() {
    let person = physician();
    let mut answer = Answer::good(&person);
    answer.responder = Responder::of(&Key::brainpool(), |spec| spec.purposes = Vec::new());
    let mut anchors = person.anchors();
    anchors.add_responder(answer.responder.certificate.as_ref().unwrap()).unwrap();
    let judged = check(&answer.build(), &person.certificate, &anchors, &rules()).unwrap();
    assert_eq!((judged.status, judged.responder.as_deref()), (Status::Good, Some("Test OCSP")));
}

#[test]
fn the_answer_must_be_about_this_certificate() {
    assert_eq!(bent(|_, answer| answer.serial = vec![7]), Err(OcspError::OtherCertificate));
    assert_eq!(bent(|_, answer| answer.hashed = None), Err(OcspError::CertHashMissing));
    let other = bent(|_, answer| answer.hashed = Some(physician().certificate));
    assert_eq!(other, Err(OcspError::CertHashMismatch));
    let person = physician();
    let answer = Answer { hashed: None, ..Answer::good(&person) };
    let lenient = Rules { cert_hash_required: false, ..rules() };
    assert_eq!(judged_by(&person, &answer, &lenient), Ok(Status::Good));
}

#[test]
fn the_nonce_must_come_back() {
    let person = physician();
    let mut answer = Answer::good(&person);
    let sent = Rules { nonce: Some(b"0123456789abcdef"), ..rules() };
    assert_eq!(judged_by(&person, &answer, &sent), Ok(Status::Good));
    let demanded = Rules { nonce_required: true, ..sent };
    assert_eq!(judged_by(&person, &answer, &demanded), Err(OcspError::NonceMissing));
    answer.nonce = Some(b"another nonce".to_vec());
    assert_eq!(judged_by(&person, &answer, &sent), Err(OcspError::NonceMismatch));
    answer.nonce = Some(b"0123456789abcdef".to_vec());
    assert_eq!(judged_by(&person, &answer, &demanded), Ok(Status::Good));
}

#[test]
fn an_answer_counts_for_twelve_hours_and_not_before_it_is_made() {
    let produced = |at: OffsetDateTime| {
        bent(|_, answer| {
            answer.produced_at = at;
            answer.this_update = at;
        })
    };
    let tolerance = Duration::seconds(37);
    assert_eq!(produced(SIGNED_AT - 12 * HOUR - tolerance), Ok(Status::Good));
    assert_eq!(produced(SIGNED_AT - 12 * HOUR - tolerance - Duration::SECOND), Err(OcspError::TooOld));
    assert_eq!(produced(NOW + tolerance), Ok(Status::Good));
    assert_eq!(produced(NOW + tolerance + Duration::SECOND), Err(OcspError::FromTheFuture));
    let expired = bent(|_, answer| answer.next_update = Some(SIGNED_AT - 13 * HOUR));
    assert_eq!(expired, Err(OcspError::Expired));
}

#[test]
fn refusals_and_rubbish_are_named() {
    let refused = bent(|_, answer| answer.response_status = 3);
    assert_eq!(refused, Err(OcspError::NotSuccessful("tryLater")));
    let person = physician();
    let whole = Answer::good(&person).build();
    for length in 0..whole.len() {
        let cut = check(&whole[..length], &person.certificate, &person.anchors(), &rules());
        assert!(matches!(cut, Err(OcspError::Malformed(_))), "{length}: {cut:?}");
    }
    let unknown_issuer = check(&whole, &person.certificate, &Default::default(), &rules());
    assert_eq!(unknown_issuer.unwrap_err().code(), 1027);
}

/// OpenSSL reads the request and prints what it asks for.
#[test]
fn openssl_reads_the_request() {
    let person = physician();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("request.der");
    let nonce = [0xa5; 16];
    std::fs::write(&path, request(&person.certificate, &person.anchors(), Some(&nonce)).unwrap()).unwrap();
    let mut openssl = std::process::Command::new("openssl");
    let printed = openssl.args(["ocsp", "-req_text", "-reqin"]).arg(&path).output().unwrap();
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(text.contains("Serial Number: 41020304"), "{text}");
    assert!(text.to_lowercase().contains(&format!("0410{}", "a5".repeat(16))), "{text}");
    assert!(text.contains("Hash Algorithm: sha1"), "{text}");
}

#[test]
fn the_responders_address_stands_in_the_certificate() {
    let address = "http://ocsp.example.test/a";
    let person = Person::with(Key::brainpool(), Key::brainpool(), |spec| spec.ocsp = Some(address));
    assert_eq!(responders(&person.certificate), [address]);
    assert_eq!(responders(&physician().certificate), Vec::<String>::new());
    assert_eq!(responders(b"no certificate"), Vec::<String>::new());
}

// ------------------------------------------------------------ in a signature

fn report_with(person: &Person, embedded: Option<&Answer>) -> Report {
    let response = embedded.map(Answer::build);
    let request = cades::SigningRequest { ocsp_response: response.as_deref(), ..person.request(CONTENT) };
    verify(&person.sign(&request), &person.anchors(), NOW).unwrap()
}

fn current(person: &Person, status: Vec<u8>) -> CurrentStatus {
    let answer = Answer { status, produced_at: NOW, this_update: NOW, ..Answer::good(person) };
    let rules = Rules::qualified(NOW, NOW);
    CurrentStatus::Answered(check(&answer.build(), &person.certificate, &person.anchors(), &rules).unwrap())
}

const REQUIRED: Revocation = Revocation::Required;
const EMBEDDED: Revocation = Revocation::EmbeddedSuffices;
const NOT_REQUIRED: Revocation = Revocation::NotRequired;

fn verdict(report: &Report, revocation: Revocation) -> Verdict {
    report.judge(&Policy { revocation, ..Policy::default() }).verdict
}

#[test]
fn embedded_evidence_is_judged_at_signing_time() {
    let person = physician();
    assert_eq!(report_with(&person, None).embedded_status, EmbeddedStatus::Absent);
    let report = report_with(&person, Some(&Answer::good(&person)));
    let EmbeddedStatus::Answered(answer) = &report.embedded_status else { panic!("{report:?}") };
    assert_eq!((answer.status, answer.produced_at), (Status::Good, SIGNED_AT));
    let old = Answer { produced_at: SIGNED_AT - 13 * HOUR, ..Answer::good(&person) };
    let report = report_with(&person, Some(&old));
    assert_eq!(report.embedded_status, EmbeddedStatus::Unusable(OcspError::TooOld));
    // Unusable evidence is no evidence, and no error.
    assert_eq!(verdict(&report, REQUIRED), Verdict::Inconclusive);
    assert_eq!(verdict(&report, EMBEDDED), Verdict::Inconclusive);
    assert_eq!(verdict(&report, NOT_REQUIRED), Verdict::Valid);
}

#[test]
fn embedded_evidence_alone_suffices_only_if_the_policy_says_so() {
    let person = physician();
    let report = report_with(&person, Some(&Answer::good(&person)));
    assert_eq!(verdict(&report, REQUIRED), Verdict::Inconclusive);
    assert_eq!(verdict(&report, EMBEDDED), Verdict::Valid);
    let mut report = report_with(&person, None);
    report.current_status = CurrentStatus::Unavailable("connection refused".to_owned());
    assert_eq!(verdict(&report, REQUIRED), Verdict::Inconclusive);
    assert_eq!(verdict(&report, EMBEDDED), Verdict::Inconclusive);
}

/// The rows of the published disagreement: a verifier that trusts embedded evidence calls a signature of a
/// certificate valid that was revoked retroactively.
#[test]
fn revocation_counts_from_its_time_and_retroactively() {
    let person = physician();
    let good = Answer::good(&person);
    for (embedded, status, required, suffices) in [
        (true, support::ocsp::good(), Verdict::Valid, Verdict::Valid),
        (false, support::ocsp::good(), Verdict::Valid, Verdict::Valid),
        (true, revoked(SIGNED_AT + HOUR), Verdict::Valid, Verdict::Valid),
        (false, revoked(SIGNED_AT + HOUR), Verdict::Valid, Verdict::Valid),
        (true, revoked(SIGNED_AT - HOUR), Verdict::Invalid, Verdict::Valid),
        (false, revoked(SIGNED_AT - HOUR), Verdict::Invalid, Verdict::Invalid),
        (false, revoked(SIGNED_AT), Verdict::Invalid, Verdict::Invalid),
        (false, unknown(), Verdict::Invalid, Verdict::Invalid),
    ] {
        let mut report = report_with(&person, embedded.then_some(&good));
        report.current_status = current(&person, status.clone());
        assert_eq!(verdict(&report, REQUIRED), required, "{embedded} {status:02x?}");
        assert_eq!(verdict(&report, EMBEDDED), suffices, "{embedded} {status:02x?}");
    }
}

#[test]
fn embedded_evidence_of_revocation_is_final_and_embedded_ignorance_is_not() {
    let person = physician();
    let at = SIGNED_AT - HOUR;
    let mut report = report_with(&person, Some(&Answer { status: revoked(at), ..Answer::good(&person) }));
    report.current_status = current(&person, support::ocsp::good());
    let judgement = report.judge(&Policy::default());
    assert_eq!(
        (judgement.verdict, &judgement.reasons[..]),
        (Verdict::Invalid, &[Reason::Revoked { at }][..])
    );
    let mut report = report_with(&person, Some(&Answer { status: unknown(), ..Answer::good(&person) }));
    assert_eq!(verdict(&report, NOT_REQUIRED), Verdict::Invalid);
    report.current_status = current(&person, support::ocsp::good());
    assert_eq!(verdict(&report, REQUIRED), Verdict::Valid);
}
