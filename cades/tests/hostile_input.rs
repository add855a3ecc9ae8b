//! Damaged signatures: always an answer, never a panic, and never VALID for other content.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in test code is the report")]

mod support;

use std::sync::LazyLock;

use cades::{Policy, Revocation, TrustAnchors, Verdict, verify};
use proptest::prelude::*;
use support::forge::Forge;
use support::keys::Key;
use support::{CONTENT, NOW, Person};

const ACCEPTING: Policy = Policy {
    revocation: Revocation::NotRequired,
    qualified: true,
    certificate_policies: cades::QUALIFIED_HBA,
    professions: cades::PRESCRIBERS,
};

/// Signatures in DER and BER, one with PSS, one with an embedded answer; and the anchors for all.
static SAMPLES: LazyLock<(Vec<Vec<u8>>, TrustAnchors)> = LazyLock::new(|| {
    let brainpool = Person::physician(Key::brainpool(), Key::brainpool());
    let rsa = Person::physician(Key::rsa(), Key::rsa_ca());
    let response = support::tlv(0x30, &[&[0x0a, 1, 0]]);
    let with_ocsp = cades::SigningRequest { ocsp_response: Some(&response), ..brainpool.request(CONTENT) };
    let samples = vec![
        brainpool.sign(&with_ocsp),
        rsa.sign(&rsa.request(CONTENT)),
        Forge { segments: Some(5), ..Forge::of(&brainpool) }.build(),
    ];
    (samples, support::anchors(&[&brainpool.ca, &rsa.ca]))
});

fn assert_not_valid_for_other_content(cms: &[u8]) {
    let Ok(report) = verify(cms, &SAMPLES.1, NOW) else { return };
    if report.judge(&ACCEPTING).verdict == Verdict::Valid {
        assert_eq!(report.content, CONTENT);
    }
}

#[test]
fn every_truncation_is_refused() {
    for sample in &SAMPLES.0 {
        for length in 0..sample.len() {
            assert!(verify(&sample[..length], &SAMPLES.1, NOW).is_err(), "{length}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn changed_bytes_never_panic(
        sample in 0usize..3,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut cms = SAMPLES.0[sample].clone();
        for (place, value) in changes {
            let place = place.index(cms.len());
            cms[place] = value;
        }
        assert_not_valid_for_other_content(&cms);
    }

    #[test]
    fn inserted_removed_and_doubled_bytes_never_panic(
        sample in 0usize..3,
        place in any::<prop::sample::Index>(),
        length in 0usize..40,
        inserted in proptest::collection::vec(any::<u8>(), 0..6),
    ) {
        let mut cms = SAMPLES.0[sample].clone();
        let start = place.index(cms.len());
        let end = (start + length).min(cms.len());
        cms.splice(start..end, inserted);
        assert_not_valid_for_other_content(&cms);
    }

    #[test]
    fn random_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verify(&bytes, &SAMPLES.1, NOW).is_err());
    }

    #[test]
    fn damaged_anchors_never_panic(text in proptest::collection::vec(any::<u8>(), 0..200)) {
        let pem = [b"-----BEGIN CERTIFICATE-----\n", &text[..], b"\n-----END CERTIFICATE-----"].concat();
        prop_assert!(TrustAnchors::from_pem(&pem).is_err());
    }
}

#[test]
fn deep_nesting_is_refused_without_overflow() {
    for opening in [[0x30, 0x80], [0x24, 0x80], [0xa0, 0x80]] {
        assert!(verify(&opening.repeat(500_000), &SAMPLES.1, NOW).is_err());
    }
}
