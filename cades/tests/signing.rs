//! What [`cades::prepare`] and [`cades::Unsigned::finish`] make, judged by this crate and by OpenSSL.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic in test code is the report")]

mod support;

use std::path::Path;
use std::process::Command;

use cades::{Algorithm, BuildError, Chain, Curve, Policy, Reason, Revocation, Verdict, prepare, verify};
use hex_literal::hex;
use sha2::{Digest, Sha256, Sha384};
use support::keys::Key;
use support::{CONTENT, NOW, Person, SIGNED_AT, tlv};
use support::{forge, pki};
use time::macros::datetime;

fn everybody() -> Vec<(&'static str, Algorithm, Person)> {
    vec![
        ("p256", Algorithm::EcdsaSha256(Curve::P256), Person::physician(Key::p256(), Key::brainpool())),
        (
            "brainpool",
            Algorithm::EcdsaSha256(Curve::BrainpoolP256r1),
            Person::physician(Key::brainpool(), Key::brainpool()),
        ),
        ("p384", Algorithm::EcdsaSha384, Person::physician(Key::p384(), Key::p384())),
        ("rsa", Algorithm::RsaPssSha256, Person::physician(Key::rsa(), Key::rsa_ca())),
    ]
}

#[test]
fn every_algorithm_signs_what_verifies() {
    for (name, algorithm, person) in everybody() {
        assert_eq!(Algorithm::for_certificate(&person.certificate), Ok(algorithm), "{name}");
        let cms = person.sign(&person.request(CONTENT));
        let report = verify(&cms, &person.anchors(), NOW).unwrap();
        assert_eq!(report.content, CONTENT, "{name}");
        assert!(report.mathematics.content_digest && report.mathematics.signature, "{name}");
        assert_eq!(report.format, [], "{name}");
        assert_eq!(report.chain, Chain::Ok, "{name}");
        assert_eq!(report.signing_time, Some(SIGNED_AT));
        assert_eq!(report.mime_type.as_deref(), Some("text/plain; charset=utf-8"));
        let accepting = Policy { revocation: Revocation::NotRequired, ..Policy::default() };
        let judgement = report.judge(&accepting);
        assert_eq!(judgement.verdict, Verdict::Valid, "{name}");
        assert_eq!(judgement.reasons, [Reason::RevocationNotChecked]);
    }
}

#[test]
fn openssl_accepts_every_algorithm_and_gives_the_content_back() {
    let folder = tempfile::tempdir().unwrap();
    for (name, _, person) in everybody() {
        let ocsp = tlv(0x30, &[&[0x0a, 1, 6]]);
        for (variant, mime_type, ocsp_response) in [
            ("full", Some("text/plain; charset=utf-8"), None),
            ("bare", None, None),
            ("ocsp", None, Some(&ocsp[..])),
        ] {
            let request = cades::SigningRequest { mime_type, ocsp_response, ..person.request(CONTENT) };
            let cms = person.sign(&request);
            let output = openssl_verifies(folder.path(), &cms, &person.ca, name, variant);
            assert_eq!(output, CONTENT, "{name} {variant}");
        }
    }
}

/// Runs the independent judge; answers the content it took out.
fn openssl_verifies(folder: &Path, cms: &[u8], ca: &[u8], name: &str, variant: &str) -> Vec<u8> {
    let path = |file: &str| folder.join(file);
    std::fs::write(path("in.p7s"), cms).unwrap();
    std::fs::write(path("ca.der"), ca).unwrap();
    let converted = Command::new("openssl")
        .args(["x509", "-inform", "DER", "-in"])
        .arg(path("ca.der"))
        .arg("-out")
        .arg(path("ca.pem"))
        .status();
    assert!(converted.unwrap().success(), "{name} {variant}: CA certificate");
    let at = SIGNED_AT.unix_timestamp().to_string();
    let verified = Command::new("openssl")
        .args(["cms", "-verify", "-cades", "-binary", "-purpose", "any", "-inform", "DER"])
        .args(["-attime", &at, "-CAfile"])
        .arg(path("ca.pem"))
        .arg("-in")
        .arg(path("in.p7s"))
        .arg("-out")
        .arg(path("out"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success(), "{name} {variant}: {said}");
    std::fs::read(path("out")).unwrap()
}

#[test]
fn what_openssl_signs_is_read_without_a_defect() {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let done = Command::new("openssl").current_dir(folder.path()).args(arguments.split(' ')).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{arguments}: {}", String::from_utf8_lossy(&done.stderr));
    };
    std::fs::write(folder.path().join("in"), CONTENT).unwrap();
    for (key, digest, padding) in [
        ("EC -pkeyopt ec_paramgen_curve:brainpoolP256r1", "sha256", ""),
        ("EC -pkeyopt ec_paramgen_curve:secp384r1", "sha384", ""),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "sha256", ""),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "sha512", ""),
        ("RSA -pkeyopt rsa_keygen_bits:2048", "sha256", " -keyopt rsa_padding_mode:pss"),
    ] {
        openssl(&format!("genpkey -algorithm {key} -out key.pem"));
        openssl("req -x509 -new -key key.pem -sha256 -days 2 -subj /CN=Test -out cert.pem");
        let output = "-in in -outform DER -out out.p7s";
        openssl(&format!(
            "cms -sign -binary -nodetach -cades -md {digest} -signer cert.pem -inkey key.pem {output}{padding}"
        ));
        let cms = std::fs::read(folder.path().join("out.p7s")).unwrap();
        let anchors = cades::TrustAnchors::from_pem(&std::fs::read(folder.path().join("cert.pem")).unwrap());
        let now = time::OffsetDateTime::now_utc();
        let report = verify(&cms, &anchors.unwrap(), now).unwrap();
        assert_eq!(report.format, [], "{key} {digest}{padding}");
        assert!(report.mathematics.content_digest, "{key} {digest}{padding}");
        assert!(report.mathematics.signature, "{key} {digest}{padding}");
        assert_eq!(report.content, CONTENT);
        // A self-signed certificate is a CA's.
        assert_eq!(report.chain, Chain::SignerIsCa);
    }
}

#[test]
fn the_digest_is_that_of_the_signed_attributes_as_a_set() {
    for (name, algorithm, person) in everybody() {
        let unsigned = prepare(&person.request(CONTENT)).unwrap();
        let digest = unsigned.digest().to_vec();
        assert_eq!(digest.len(), algorithm.digest_length());
        let raw = person.key.sign_digest(&digest);
        assert_eq!(raw.len(), unsigned.signature_length());
        let cms = unsigned.finish(&raw).unwrap();
        // content-type comes first in every case; the SET around it is the attributes' field.
        let first = hex_literal::hex!("301806092a864886f70d010903310b06092a864886f70d010701");
        let start = cms.windows(first.len()).position(|window| window == first).unwrap();
        let (length, header) = match cms[start - 3] {
            0x82 => (usize::from(cms[start - 2]) << 8 | usize::from(cms[start - 1]), 4),
            _ => panic!("{name}: signed attributes have an unexpected length form"),
        };
        let mut attributes = cms[start - header..start + length].to_vec();
        assert_eq!(attributes[0], 0xa0, "{name}");
        attributes[0] = 0x31;
        let expected = match algorithm {
            Algorithm::EcdsaSha384 => Sha384::digest(&attributes).to_vec(),
            _ => Sha256::digest(&attributes).to_vec(),
        };
        assert_eq!(digest, expected, "{name}");
    }
}

/// The whole CMS, written once more by hand. The constant parts of the attributes are those that certified connectors write.
#[test]
fn a_signature_is_byte_for_byte_what_a_connector_would_write() {
    let ecdsa = hex!("300a 0608 2a8648ce3d040302").to_vec();
    let pss = hex!(
        "3041 0609 2a864886f70d01010a 3034 a00f 300d 0609 608648016503040201 0500 a11c 301a 0609 2a864886f70d010108"
        "300d 0609 608648016503040201 0500 a203 020120"
    );
    let digest = hex!("300d 0609 608648016503040201 0500");
    let ocsp = tlv(0x30, &[&[0x0a, 1, 6]]);
    for (key, ca_key, scheme) in
        [(Key::brainpool(), Key::brainpool(), &ecdsa[..]), (Key::rsa(), Key::rsa_ca(), &pss[..])]
    {
        let person = Person::physician(key, ca_key);
        for (version, ocsp_response) in [(1, None), (5, Some(&ocsp[..]))] {
            let request = cades::SigningRequest { ocsp_response, ..person.request(CONTENT) };
            let unsigned = prepare(&request).unwrap();
            let raw = person.key.sign_digest(unsigned.digest());
            let cms = unsigned.finish(&raw).unwrap();

            let hints = hex!("3030 060b 2a864886f70d0109100204 3121 301f 0c12");
            let protection = tlv(0x30, &[&digest, &[&[0xa1], &scheme[1..]].concat()]);
            let mut attributes = [
                hex!("3018 0609 2a864886f70d010903 310b 0609 2a864886f70d010701").to_vec(),
                [&hex!("301c 0609 2a864886f70d010905 310f 170d")[..], b"261102093015Z"].concat(),
                [&hex!("302f 0609 2a864886f70d010904 3122 0420")[..], &Sha256::digest(CONTENT)].concat(),
                [&hex!("3025 0606 04008d450201 311b 0c19")[..], b"text/plain; charset=utf-8"].concat(),
                [&hints[..], b"a CMSDocument2sign", &hex!("0609 2a864886f70d010701")].concat(),
                tlv(0x30, &[&hex!("0609 2a864886f70d010934"), &tlv(0x31, &[&protection])]),
                tlv(
                    0x30,
                    &[&hex!("060b 2a864886f70d010910022f"), &tlv(0x31, &[&forge::ess(&person.certificate)])],
                ),
            ];
            attributes.sort();
            let value = if scheme == ecdsa { der_value(&raw) } else { raw };
            let signer_info = tlv(
                0x30,
                &[
                    &[2, 1, 1],
                    &tlv(0x30, &[&pki::name(pki::CA_NAME), &tlv(0x02, &[&pki::SERIAL])]),
                    &digest,
                    &tlv(0xa0, &[&attributes.concat()]),
                    scheme,
                    &tlv(0x04, &[&value]),
                ],
            );
            let other = ocsp_response
                .map(|response| tlv(0xa1, &[&tlv(0xa1, &[&hex!("0608 2b06010505071002"), response])]));
            let content =
                tlv(0x30, &[&hex!("0609 2a864886f70d010701"), &tlv(0xa0, &[&tlv(0x04, &[CONTENT])])]);
            let signed_data = tlv(
                0x30,
                &[
                    &[2, 1, version],
                    &tlv(0x31, &[&digest]),
                    &content,
                    &tlv(0xa0, &[&person.certificate]),
                    &other.unwrap_or_default(),
                    &tlv(0x31, &[&signer_info]),
                ],
            );
            let whole = tlv(0x30, &[&hex!("0609 2a864886f70d010702"), &tlv(0xa0, &[&signed_data])]);
            assert_eq!(cms, whole, "version {version}");
        }
    }
}

/// ECDSA-Sig-Value of r and s, each as the shortest INTEGER.
fn der_value(raw: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let digits: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        let sign = if digits[0] < 0x80 { &[][..] } else { &[0] };
        tlv(0x02, &[sign, &digits])
    };
    let (r, s) = raw.split_at(raw.len() / 2);
    tlv(0x30, &[&integer(r), &integer(s)])
}

#[test]
fn an_embedded_ocsp_response_makes_version_5_and_comes_back() {
    let person = Person::physician(Key::brainpool(), Key::brainpool());
    let response = tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&[0x30, 0]])]);
    let request = cades::SigningRequest { ocsp_response: Some(&response), ..person.request(CONTENT) };
    let cms = person.sign(&request);
    let report = verify(&cms, &person.anchors(), NOW).unwrap();
    assert_eq!(report.format, []);
    assert_eq!(report.ocsp_responses, std::slice::from_ref(&response));
    let other = tlv(0xa1, &[&support::oid("1.3.6.1.5.5.7.16.2"), &response]);
    let crls = tlv(0xa1, &[&other]);
    assert!(cms.windows(crls.len()).any(|window| window == crls));
}

#[test]
fn an_ocsp_response_with_surplus_bytes_is_refused() {
    let person = Person::physician(Key::brainpool(), Key::brainpool());
    let request = cades::SigningRequest { ocsp_response: Some(&[0x30, 0, 0]), ..person.request(CONTENT) };
    assert!(matches!(prepare(&request), Err(BuildError::OcspResponse(_))));
}

#[test]
fn a_signature_of_another_length_is_refused() {
    for (name, _, person) in everybody() {
        let expected = prepare(&person.request(CONTENT)).unwrap().signature_length();
        for got in [0, expected - 1, expected + 1, 2 * expected] {
            let unsigned = prepare(&person.request(CONTENT)).unwrap();
            let answer = unsigned.finish(&vec![1; got]);
            assert_eq!(answer, Err(BuildError::SignatureLength { expected, got }), "{name}");
        }
    }
}

#[test]
fn zero_and_too_large_signatures_are_refused() {
    for (name, _, person) in everybody() {
        for byte in [0x00, 0xff] {
            let unsigned = prepare(&person.request(CONTENT)).unwrap();
            let length = unsigned.signature_length();
            assert_eq!(unsigned.finish(&vec![byte; length]), Err(BuildError::SignatureRange), "{name}");
        }
    }
}

#[test]
fn a_signing_time_beyond_utc_time_is_refused() {
    let person = Person::physician(Key::p256(), Key::p256());
    let request =
        cades::SigningRequest { signing_time: datetime!(2050-01-01 0:00 UTC), ..person.request(CONTENT) };
    assert_eq!(prepare(&request).unwrap_err(), BuildError::SigningTime { year: 2050 });
}

#[test]
fn nothing_prints_the_content() {
    let person = Person::physician(Key::p256(), Key::p256());
    let request = person.request(b"PATIENT");
    let bytes = format!("{:?}", b"PATIENT");
    let prepared = prepare(&request).unwrap();
    let report = verify(&person.sign(&request), &person.anchors(), NOW).unwrap();
    for printed in [format!("{request:?}"), format!("{prepared:?}"), format!("{report:?}")] {
        assert!(!printed.contains(bytes.trim_matches(['[', ']'])), "{printed}");
        assert!(!printed.contains("PATIENT"), "{printed}");
    }
}

#[test]
fn empty_and_large_contents_come_back_unchanged() {
    let person = Person::physician(Key::p256(), Key::p256());
    for content in [Vec::new(), vec![0xa5; 1_000_000]] {
        let report = verify(&person.sign(&person.request(&content)), &person.anchors(), NOW).unwrap();
        assert!(report.mathematics.content_digest && report.mathematics.signature);
        assert_eq!(report.content, content);
    }
}
