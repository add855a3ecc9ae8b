//! Which certificates [`cades::verify`] accepts as the signer's, under the chain model.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in test code is the report")]

mod support;

use cades::{Chain, Policy, Reason, Report, Revocation, Standing, TrustAnchors, Verdict, verify};
use support::forge::Forge;
use support::keys::Key;
use support::{NOW, Person, SIGNED_AT, anchors, pki};
use time::macros::datetime;

const ACCEPTING: Policy = Policy {
    revocation: Revocation::NotRequired,
    qualified: true,
    certificate_policies: cades::QUALIFIED_HBA,
    professions: cades::PRESCRIBERS,
};

fn physician() -> Person {
    Person::physician(Key::brainpool(), Key::brainpool())
}

fn report(person: &Person, cms: &[u8]) -> Report {
    verify(cms, &person.anchors(), NOW).unwrap()
}

fn chain_of(person: &Person, anchors: &TrustAnchors) -> Chain {
    let report = verify(&Forge::of(person).build(), anchors, NOW).unwrap();
    assert_eq!(report.format, []);
    let verdict = report.judge(&ACCEPTING).verdict;
    assert_eq!(verdict == Verdict::Valid, report.chain == Chain::Ok);
    report.chain
}

fn chain_with(change: impl FnOnce(&mut pki::CertificateSpec)) -> Chain {
    let person = Person::with(Key::brainpool(), Key::brainpool(), change);
    chain_of(&person, &person.anchors())
}

#[test]
fn issuers_of_every_kind_of_key_are_accepted() {
    for ca_key in [Key::brainpool(), Key::p256(), Key::p384(), Key::rsa_ca()] {
        let person = Person::physician(Key::brainpool(), ca_key);
        assert_eq!(chain_of(&person, &person.anchors()), Chain::Ok);
    }
    let pss = Person::with(Key::brainpool(), Key::rsa_ca(), |spec| spec.signed_with_pss = true);
    assert_eq!(chain_of(&pss, &pss.anchors()), Chain::Ok);
}

#[test]
fn an_issuer_that_is_no_anchor_is_unknown() {
    let person = physician();
    assert_eq!(chain_of(&person, &TrustAnchors::default()), Chain::UnknownIssuer);
}

#[test]
fn an_anchor_of_the_same_name_with_another_key_is_not_the_issuer() {
    let person = physician();
    let impostor = physician();
    assert_eq!(chain_of(&person, &impostor.anchors()), Chain::IssuerKeyMismatch);
    assert_eq!(chain_of(&person, &anchors(&[&impostor.ca, &person.ca])), Chain::Ok);
}

#[test]
fn a_certificate_the_anchor_did_not_sign_is_refused() {
    let ca_key = Key::brainpool();
    let forged = Person::with(Key::brainpool(), Key::brainpool(), |spec| {
        spec.authority_key = Some(ca_key.identifier())
    });
    let real_ca = pki::self_signed(&ca_key);
    assert_eq!(chain_of(&forged, &anchors(&[&real_ca])), Chain::BadSignature);
}

#[test]
fn an_anchor_that_is_no_ca_issues_nothing() {
    let ca_key = Key::brainpool();
    let person = Person::physician(Key::brainpool(), ca_key.clone());
    let no_ca = pki::ca(&ca_key, datetime!(2020-01-01 0:00 UTC), datetime!(2039-01-01 0:00 UTC), false);
    assert_eq!(chain_of(&person, &anchors(&[&no_ca])), Chain::IssuerNotCa);
}

#[test]
fn the_issuer_counts_at_the_time_it_issued() {
    let ca_key = Key::brainpool();
    let person = Person::physician(Key::brainpool(), ca_key.clone());
    let expired_since =
        pki::ca(&ca_key, datetime!(2020-01-01 0:00 UTC), datetime!(2026-06-01 0:00 UTC), true);
    assert_eq!(chain_of(&person, &anchors(&[&expired_since])), Chain::Ok);
    let later = pki::ca(&ca_key, datetime!(2026-01-02 0:00 UTC), datetime!(2039-01-01 0:00 UTC), true);
    assert_eq!(chain_of(&person, &anchors(&[&later])), Chain::IssuerNotValidAtIssue);
    let before = pki::ca(&ca_key, datetime!(2020-01-01 0:00 UTC), datetime!(2025-12-31 0:00 UTC), true);
    assert_eq!(chain_of(&person, &anchors(&[&before])), Chain::IssuerNotValidAtIssue);
}

#[test]
fn the_certificate_counts_at_the_time_of_signing() {
    let early = datetime!(2026-11-02 09:30:16 UTC);
    assert_eq!(chain_with(|spec| spec.not_before = early), Chain::NotYetValidAtSigning);
    let late = datetime!(2026-11-02 09:30:14 UTC);
    assert_eq!(chain_with(|spec| spec.not_after = late), Chain::ExpiredAtSigning);
    assert_eq!(chain_with(|spec| spec.not_after = SIGNED_AT), Chain::Ok);
}

#[test]
fn expiry_after_signing_is_a_fact_of_its_own() {
    let person = physician();
    let cms = Forge::of(&person).build();
    let years_later = verify(&cms, &person.anchors(), datetime!(2035-01-01 0:00 UTC)).unwrap();
    assert!(years_later.signer.as_ref().unwrap().expired_now);
    assert_eq!(years_later.judge(&ACCEPTING).verdict, Verdict::Valid);
    assert!(!report(&person, &cms).signer.unwrap().expired_now);
}

#[test]
fn ca_certificates_and_foreign_key_usages_do_not_sign() {
    assert_eq!(chain_with(|spec| spec.ca = true), Chain::SignerIsCa);
    assert_eq!(chain_with(|spec| spec.key_usage = Some([0x03, 0x08])), Chain::WrongKeyUsage);
    assert_eq!(
        chain_with(|spec| spec.strange_critical = Some("1.2.3.4")),
        Chain::UnknownCriticalExtension("1.2.3.4".into())
    );
}

#[test]
fn a_certificate_that_is_not_qualified_is_refused_only_when_the_policy_demands_it() {
    let no_statement: fn(&mut pki::CertificateSpec) = |spec| spec.qc_compliance = false;
    let authentication: fn(&mut pki::CertificateSpec) = |spec| spec.key_usage = Some([0x07, 0x80]);
    let no_usage: fn(&mut pki::CertificateSpec) = |spec| spec.key_usage = None;
    for change in [no_statement, authentication, no_usage] {
        let person = Person::with(Key::brainpool(), Key::brainpool(), change);
        let report = report(&person, &Forge::of(&person).build());
        assert_eq!(report.chain, Chain::Ok);
        let strict = report.judge(&ACCEPTING);
        assert_eq!(strict.verdict, Verdict::Invalid);
        assert_eq!(strict.reasons[0], Reason::NotQualified);
        let lenient = report.judge(&Policy { qualified: false, ..ACCEPTING });
        assert_eq!(lenient.verdict, Verdict::Valid);
    }
}

#[test]
fn a_certificate_of_another_type_or_profession_is_refused_only_when_the_policy_demands_it() {
    let other_type: fn(&mut pki::CertificateSpec) = |spec| spec.certificate_policy = "1.2.276.0.76.4.75";
    let pharmacist: fn(&mut pki::CertificateSpec) = |spec| spec.profession = "1.2.276.0.76.4.32";
    for (change, reason) in [(other_type, Reason::CertificatePolicy), (pharmacist, Reason::Profession)] {
        let person = Person::with(Key::brainpool(), Key::brainpool(), change);
        let report = report(&person, &Forge::of(&person).build());
        let strict = report.judge(&ACCEPTING);
        assert_eq!((strict.verdict, &strict.reasons[0]), (Verdict::Invalid, &reason));
        let any = Policy { certificate_policies: &[], professions: &[], ..ACCEPTING };
        assert_eq!(report.judge(&any).verdict, Verdict::Valid);
    }
}

#[test]
fn the_shell_model_wants_the_issuer_valid_at_signing_time() {
    let ca_key = Key::brainpool();
    let expired = pki::ca(&ca_key, datetime!(2020-01-01 0:00 UTC), datetime!(2026-06-01 0:00 UTC), true);
    for (model, expected) in
        [("1.3.6.1.4.1.8301.3.5.1", Chain::Ok), ("1.3.6.1.4.1.8301.3.5.2", Chain::IssuerNotValidAtSigning)]
    {
        let person = Person::with(Key::brainpool(), ca_key.clone(), |spec| spec.validity_model = Some(model));
        assert_eq!(chain_of(&person, &anchors(&[&expired])), expected, "{model}");
        assert_eq!(chain_of(&person, &person.anchors()), Chain::Ok, "{model}");
    }
}

#[test]
fn a_trusted_list_takes_back_an_issuer_from_a_time_on() {
    let person = physician();
    let issued = datetime!(2026-01-01 0:00 UTC);
    let listed = |history: &[(time::OffsetDateTime, bool)]| {
        let mut anchors = TrustAnchors::default();
        anchors.add_listed(&person.ca, Standing { qualified: None, history: history.to_vec() }).unwrap();
        chain_of(&person, &anchors)
    };
    let day = time::Duration::DAY;
    assert_eq!(listed(&[(issued - day, true)]), Chain::Ok);
    assert_eq!(listed(&[(issued + day, false), (issued - day, true)]), Chain::Ok);
    assert_eq!(listed(&[(issued - day, false), (issued - 2 * day, true)]), Chain::IssuerWithdrawn);
    assert_eq!(listed(&[(issued + day, true)]), Chain::IssuerWithdrawn);
}

#[test]
fn an_issuer_the_lists_call_unqualified_makes_no_qualified_certificate() {
    let person = physician();
    let cms = Forge::of(&person).build();
    for (qualified, verdict) in [(Some(false), Verdict::Invalid), (Some(true), Verdict::Valid)] {
        let mut anchors = TrustAnchors::default();
        anchors.add_listed(&person.ca, Standing { qualified, history: Vec::new() }).unwrap();
        let report = verify(&cms, &anchors, NOW).unwrap();
        assert_eq!(report.signer.as_ref().unwrap().issuer_qualified, qualified);
        assert_eq!(report.judge(&ACCEPTING).verdict, verdict);
    }
}
