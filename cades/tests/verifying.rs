//! What [`cades::verify`] reports about signatures in which one thing is wrong.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in test code is the report")]

mod support;

use cades::{Chain, FindingCode, ParseError, Policy, Reason, Report, Revocation, Severity, Verdict, verify};
use sha1::Sha1;
use sha2::{Digest, Sha512};
use support::forge::{self, Forge};
use support::keys::Key;
use support::{CONTENT, NOW, Person, SIGNED_AT, oid, pki, tlv};
use time::Duration;

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

fn codes(report: &Report) -> Vec<FindingCode> {
    report.format.iter().map(|finding| finding.code).collect()
}

/// The CMS is right but for this finding, which decides the verdict.
fn assert_only_finding(person: &Person, cms: &[u8], code: FindingCode) {
    let report = report(person, cms);
    assert_eq!(codes(&report), [code]);
    assert!(report.mathematics.signature, "{code:?}");
    assert_eq!(report.chain, Chain::Ok);
    let judgement = report.judge(&ACCEPTING);
    let (verdict, reasons) = match code.severity() {
        Severity::Remark => (Verdict::Valid, vec![Reason::RevocationNotChecked]),
        Severity::Doubt => (Verdict::Inconclusive, vec![Reason::Format(code), Reason::RevocationNotChecked]),
        Severity::Defect => (Verdict::Invalid, vec![Reason::Format(code), Reason::RevocationNotChecked]),
    };
    assert_eq!(judgement.verdict, verdict, "{code:?}");
    if report.mathematics.content_digest {
        assert_eq!(judgement.reasons, reasons, "{code:?}");
    }
}

#[test]
fn a_hand_made_signature_is_clean() {
    let person = physician();
    let report = report(&person, &Forge::of(&person).build());
    assert_eq!(codes(&report), []);
    assert_eq!(report.judge(&ACCEPTING).verdict, Verdict::Valid);
}

#[test]
fn unchecked_revocation_is_inconclusive_unless_the_policy_accepts_it() {
    let person = physician();
    let report = report(&person, &Forge::of(&person).build());
    let judgement = report.judge(&Policy::default());
    assert_eq!(judgement.verdict, Verdict::Inconclusive);
    assert_eq!(judgement.reasons, [Reason::RevocationNotChecked]);
}

#[test]
fn changed_content_fails_the_digest_but_not_the_signature() {
    let person = physician();
    let mut forge = Forge::of(&person);
    forge.content[0] ^= 1;
    let report = report(&person, &forge.build());
    assert!(!report.mathematics.content_digest);
    assert!(report.mathematics.signature);
    assert_eq!(report.judge(&ACCEPTING).reasons[0], Reason::ContentDigest);
    assert_eq!(report.judge(&ACCEPTING).verdict, Verdict::Invalid);
}

#[test]
fn another_persons_key_fails_the_signature() {
    let person = physician();
    let mut other = physician();
    other.certificate = person.certificate.clone();
    let report = report(&person, &Forge::of(&other).build());
    assert!(report.mathematics.content_digest);
    assert!(!report.mathematics.signature);
    assert_eq!(report.judge(&ACCEPTING).verdict, Verdict::Invalid);
}

#[test]
fn ber_with_segments_is_read_and_remarked() {
    let person = physician();
    for size in [1, 7, 1000] {
        let forge = Forge { segments: Some(size), ..Forge::of(&person) };
        let cms = forge.build();
        assert_eq!(report(&person, &cms).content, CONTENT);
        assert_only_finding(&person, &cms, FindingCode::Ber);
    }
}

#[test]
fn each_missing_attribute_is_named() {
    let person = physician();
    for (kind, code) in [
        (forge::CONTENT_TYPE, FindingCode::ContentTypeMissing),
        (forge::SIGNING_TIME, FindingCode::SigningTimeMissing),
        (forge::MESSAGE_DIGEST, FindingCode::MessageDigestMissing),
        (forge::SIGNING_CERTIFICATE_V2, FindingCode::SigningCertificateMissing),
    ] {
        assert_only_finding(&person, &Forge::of(&person).without(kind).build(), code);
    }
}

#[test]
fn algorithm_protection_and_mime_type_may_be_missing() {
    let person = physician();
    let report = report(&person, &Forge::of(&person).without(forge::PROTECTION).build());
    assert_eq!(codes(&report), []);
    assert_eq!(report.mime_type, None);
}

#[test]
fn a_signature_without_attributes_is_a_defect() {
    let person = physician();
    let forge = Forge { without_attributes: true, ..Forge::of(&person) };
    assert_only_finding(&person, &forge.build(), FindingCode::NoSignedAttributes);
}

#[test]
fn signing_time_as_generalized_time_is_a_defect_but_read() {
    let person = physician();
    let cms = Forge::of(&person).set(forge::SIGNING_TIME, tlv(0x18, &[b"20261102093015Z"])).build();
    assert_eq!(report(&person, &cms).signing_time, Some(SIGNED_AT));
    assert_only_finding(&person, &cms, FindingCode::SigningTimeNotUtcTime);
}

#[test]
fn a_signing_time_in_the_future_is_a_doubt() {
    let person = physician();
    let ahead = |seconds| {
        let time = pki::utc_time(NOW + Duration::seconds(seconds));
        Forge::of(&person).set(forge::SIGNING_TIME, time).build()
    };
    assert_eq!(codes(&report(&person, &ahead(37))), []);
    assert_only_finding(&person, &ahead(38), FindingCode::SigningTimeInFuture);
}

#[test]
fn content_type_must_be_that_of_the_content() {
    let person = physician();
    let other = oid("1.2.840.113549.1.9.16.1.4");
    let cms = Forge::of(&person).set(forge::CONTENT_TYPE, other.clone()).build();
    assert_only_finding(&person, &cms, FindingCode::ContentTypeMismatch);
    let timestamp = Forge { content_type: "1.2.840.113549.1.9.16.1.4", ..Forge::of(&person) };
    let cms = timestamp.set(forge::CONTENT_TYPE, other).build();
    assert_only_finding(&person, &cms, FindingCode::ContentNotData);
}

#[test]
fn the_ess_attribute_must_name_the_signer() {
    let person = physician();
    let someone_else = physician().certificate;
    for wrong in [forge::ess(&someone_else), forge::ess_with(&person.certificate, &[1, 2, 3])] {
        let cms = Forge::of(&person).set(forge::SIGNING_CERTIFICATE_V2, wrong).build();
        assert_only_finding(&person, &cms, FindingCode::SigningCertificateMismatch);
    }
}

#[test]
fn the_ess_attribute_may_name_another_sha2_digest() {
    let person = physician();
    let sha512 = tlv(0x30, &[&oid("2.16.840.1.101.3.4.2.3")]);
    let id = tlv(0x30, &[&sha512, &tlv(0x04, &[&Sha512::digest(&person.certificate)])]);
    let value = tlv(0x30, &[&tlv(0x30, &[&id])]);
    let cms = Forge::of(&person).set(forge::SIGNING_CERTIFICATE_V2, value).build();
    assert_eq!(codes(&report(&person, &cms)), []);
}

#[test]
fn the_first_version_of_the_ess_attribute_is_enough_and_remarked() {
    let person = physician();
    let v1 = |certificate: &[u8]| {
        let id = tlv(0x30, &[&tlv(0x04, &[&Sha1::digest(certificate)])]);
        let forge = Forge::of(&person).without(forge::SIGNING_CERTIFICATE_V2);
        forge.set(forge::SIGNING_CERTIFICATE, tlv(0x30, &[&tlv(0x30, &[&id])])).build()
    };
    assert_only_finding(&person, &v1(&person.certificate), FindingCode::SigningCertificateSha1);
    let report = report(&person, &v1(&physician().certificate));
    assert!(codes(&report).contains(&FindingCode::SigningCertificateMismatch));
}

#[test]
fn algorithm_protection_must_name_the_algorithms_used() {
    let person = physician();
    let other_digest = tlv(0x30, &[&forge::sha384(), &forge::retag(0xa1, &forge::ecdsa_sha256())]);
    let other_signature = tlv(0x30, &[&forge::sha256(), &forge::retag(0xa1, &forge::pss())]);
    for wrong in [other_digest, other_signature] {
        let cms = Forge::of(&person).set(forge::PROTECTION, wrong).build();
        assert_only_finding(&person, &cms, FindingCode::AlgorithmProtectionMismatch);
    }
}

#[test]
fn algorithm_protection_without_null_means_the_same() {
    let person = physician();
    let bare = tlv(0x30, &[&oid("2.16.840.1.101.3.4.2.1")]);
    let value = tlv(0x30, &[&bare, &forge::retag(0xa1, &forge::ecdsa_sha256())]);
    let report = report(&person, &Forge::of(&person).set(forge::PROTECTION, value).build());
    assert_eq!(codes(&report), []);
}

#[test]
fn attributes_out_of_order_are_a_defect_though_the_signature_verifies() {
    let person = physician();
    let forge = Forge { shuffled: true, ..Forge::of(&person) };
    assert_only_finding(&person, &forge.build(), FindingCode::AttributesNotSorted);
}

#[test]
fn a_repeated_attribute_or_value_is_a_defect() {
    let person = physician();
    let time = pki::utc_time(SIGNED_AT);
    let mut twice = Forge::of(&person);
    twice.attributes.push((forge::SIGNING_TIME, time.clone()));
    assert_only_finding(&person, &twice.build(), FindingCode::AttributeRepeated);
    let values = Forge::of(&person).set(forge::SIGNING_TIME, time.repeat(2));
    assert_only_finding(&person, &values.build(), FindingCode::AttributeRepeated);
    let none = Forge::of(&person).set(forge::MESSAGE_DIGEST, Vec::new());
    assert_only_finding(&person, &none.build(), FindingCode::AttributeRepeated);
}

#[test]
fn an_attribute_of_another_type_is_a_defect() {
    let person = physician();
    for (kind, value) in [
        (forge::SIGNING_TIME, tlv(0x0c, &[b"261102093015Z"])),
        (forge::SIGNING_TIME, tlv(0x17, &[b"2611020930Z"])),
        (forge::CONTENT_TYPE, tlv(0x0c, &[b"data"])),
        (forge::MESSAGE_DIGEST, tlv(0x0c, &[b"digest"])),
        (forge::PROTECTION, tlv(0x30, &[])),
        (forge::SIGNING_CERTIFICATE_V2, tlv(0x30, &[])),
    ] {
        let cms = Forge::of(&person).set(kind, value).build();
        assert_only_finding(&person, &cms, FindingCode::AttributeMalformed);
    }
}

#[test]
fn two_signer_infos_are_a_defect() {
    let person = physician();
    let forge = Forge { signer_infos: 2, ..Forge::of(&person) };
    assert_only_finding(&person, &forge.build(), FindingCode::SeveralSignerInfos);
}

#[test]
fn another_digest_in_the_signature_algorithm_is_a_defect() {
    let person = physician();
    let forge =
        Forge { signature_algorithm: tlv(0x30, &[&oid("1.2.840.10045.4.3.3")]), ..Forge::of(&person) };
    let report = report(&person, &forge.build());
    assert!(codes(&report).contains(&FindingCode::DigestMismatch));
    assert_eq!(report.judge(&ACCEPTING).verdict, Verdict::Invalid);
}

#[test]
fn an_unsupported_signature_algorithm_is_named_and_invalid() {
    let person = physician();
    let sha1 = tlv(0x30, &[&oid("1.2.840.10045.4.1")]);
    let forge = Forge { signature_algorithm: sha1, ..Forge::of(&person) }.without(forge::PROTECTION);
    let report = report(&person, &forge.build());
    assert_eq!(codes(&report), [FindingCode::UnsupportedAlgorithm]);
    assert!(!report.mathematics.signature);
}

#[test]
fn harmless_oddities_are_remarks() {
    let person = physician();
    let ca = person.ca.clone();
    let with_ca = Forge { certificates: vec![ca, person.certificate.clone()], ..Forge::of(&person) };
    assert_only_finding(&person, &with_ca.build(), FindingCode::FurtherCertificates);
    let version = Forge { version: 3, ..Forge::of(&person) };
    assert_only_finding(&person, &version.build(), FindingCode::UnusualVersion);
    let unsigned = Forge { unsigned_attributes: tlv(0xa1, &[]), ..Forge::of(&person) };
    assert_only_finding(&person, &unsigned.build(), FindingCode::UnsignedAttributes);
    let crl = Forge { crls: tlv(0xa1, &[&tlv(0x30, &[])]), ..Forge::of(&person) };
    assert_only_finding(&person, &crl.build(), FindingCode::OtherRevocationInformation);
}

#[test]
fn a_missing_signer_certificate_is_no_crash_but_invalid() {
    let person = physician();
    for certificates in [Vec::new(), vec![person.ca.clone()], vec![tlv(0x30, &[])]] {
        let forge = Forge { certificates, ..Forge::of(&person) };
        let report = report(&person, &forge.build());
        assert_eq!(report.chain, Chain::NoSignerCertificate);
        assert!(report.signer.is_none());
        assert!(!report.mathematics.signature);
        assert_eq!(report.judge(&ACCEPTING).verdict, Verdict::Invalid);
    }
}

#[test]
fn other_cms_is_a_parse_error() {
    let person = physician();
    let anchors = person.anchors();
    let answer = |cms: &[u8]| verify(cms, &anchors, NOW).unwrap_err();
    let digested = tlv(0x30, &[&oid("1.2.840.113549.1.7.5"), &tlv(0xa0, &[])]);
    assert_eq!(answer(&digested), ParseError::NotSignedData);
    let empty = tlv(0x30, &[&oid(forge::DATA)]);
    let detached = [vec![2, 1, 1], tlv(0x31, &[]), empty, tlv(0x31, &[])].concat();
    let detached = tlv(0x30, &[&oid(forge::SIGNED_DATA), &tlv(0xa0, &[&tlv(0x30, &[&detached])])]);
    assert_eq!(answer(&detached), ParseError::Detached);
    let nobody = Forge { signer_infos: 0, ..Forge::of(&person) };
    assert_eq!(answer(&nobody.build()), ParseError::NoSigner);
    let mut surplus = Forge::of(&person).build();
    surplus.push(0);
    assert!(matches!(answer(&surplus), ParseError::Encoding(_)));
    assert!(matches!(answer(b"<xml/>"), ParseError::Encoding(_)));
}

#[test]
fn the_signer_is_described() {
    let person = Person::with(Key::brainpool(), Key::brainpool(), |spec| {
        spec.profession = "1.2.276.0.76.4.32";
        spec.registration_number = None;
    });
    let signer = report(&person, &Forge::of(&person).build()).signer.unwrap();
    assert_eq!(signer.common_name.as_deref(), Some("Ada Beispiel"));
    assert_eq!(signer.issuer_common_name.as_deref(), Some(pki::CA_NAME));
    assert_eq!(signer.serial_number, "41020304");
    assert_eq!(signer.profession_oids, ["1.2.276.0.76.4.32"]);
    assert_eq!(signer.registration_number, None);
    assert_eq!(signer.policies, ["1.2.276.0.76.4.72", "0.4.0.194112.1.2"]);
    assert!(signer.qc_compliance && signer.non_repudiation);
    assert_eq!(signer.certificate, person.certificate);
    let physician = physician();
    let signer = report(&physician, &Forge::of(&physician).build()).signer.unwrap();
    assert_eq!(signer.registration_number.as_deref(), Some("1-TEST-0001"));
}

#[test]
fn the_signer_is_printed_without_name_and_number() {
    let person = physician();
    let signer = report(&person, &Forge::of(&person).build()).signer.unwrap();
    let printed = format!("{signer:?}");
    assert!(!printed.contains("Beispiel") && !printed.contains("TEST-0001"), "{printed}");
}
