//! The signed attributes of a new signature.

use sha2::{Digest, Sha256};
use time::{OffsetDateTime, UtcOffset};

use super::{BuildError, SigningRequest};
use crate::algorithm::Algorithm;
use crate::certificate::Certificate;
use crate::oid::{self, Oid};
use crate::sign::identifier;
use crate::tlv::{element, sequence, set, tag};

/// The attributes in DER SET OF order (X.690 clause 11.6), joined, without the tag around them.
pub(super) fn encode(
    request: &SigningRequest<'_>,
    certificate: &Certificate,
    algorithm: Algorithm,
) -> Result<Vec<u8>, BuildError> {
    let digest = algorithm.hash().digest(request.content);
    let mut attributes = vec![
        attribute(oid::CONTENT_TYPE, &identifier::oid(oid::ID_DATA)),
        attribute(oid::SIGNING_TIME, &element(tag::UTC_TIME, &[&utc_time(request.signing_time)?])),
        attribute(oid::MESSAGE_DIGEST, &element(tag::OCTET_STRING, &[&digest])),
        attribute(oid::CONTENT_HINTS, &content_hints(request.content_hint)),
        attribute(oid::ALGORITHM_PROTECTION, &algorithm_protection(algorithm)),
        attribute(oid::SIGNING_CERTIFICATE_V2, &signing_certificate(certificate)),
    ];
    if let Some(mime_type) = request.mime_type {
        attributes.push(attribute(oid::MIME_TYPE, &element(tag::UTF8_STRING, &[mime_type.as_bytes()])));
    }
    attributes.sort();
    Ok(attributes.concat())
}

/// Attribute ::= SEQUENCE { attrType, attrValues SET } with one value (RFC 5652 clause 5.3).
fn attribute(kind: Oid, value: &[u8]) -> Vec<u8> {
    sequence(&[&identifier::oid(kind), &set(&[value])])
}

/// `YYMMDDhhmmssZ` (RFC 5652 clause 11.3).
fn utc_time(instant: OffsetDateTime) -> Result<Vec<u8>, BuildError> {
    let out_of_range = |year| BuildError::SigningTime { year };
    let utc = instant.checked_to_offset(UtcOffset::UTC).ok_or(out_of_range(instant.year()))?;
    if !(1950..2050).contains(&utc.year()) {
        return Err(out_of_range(utc.year()));
    }
    let (hour, minute, second) = utc.to_hms();
    let date = format!("{:02}{:02}{:02}", utc.year() % 100, u8::from(utc.month()), utc.day());
    Ok(format!("{date}{hour:02}{minute:02}{second:02}Z").into_bytes())
}

/// ContentHints (RFC 2634 clause 2.9).
fn content_hints(description: &str) -> Vec<u8> {
    sequence(&[&element(tag::UTF8_STRING, &[description.as_bytes()]), &identifier::oid(oid::ID_DATA)])
}

/// CMSAlgorithmProtection (RFC 6211 clause 2): the digest, and the signature algorithm under IMPLICIT `[1]`.
fn algorithm_protection(algorithm: Algorithm) -> Vec<u8> {
    let signature = element(tag::CONTEXT_1, &[&identifier::signature_fields(algorithm)]);
    sequence(&[&identifier::digest(algorithm), &signature])
}

/// SigningCertificateV2 with one ESSCertIDv2 (RFC 5035 clause 3): SHA-256 is the default and left out,
/// issuerSerial names the issuer as a directoryName.
fn signing_certificate(certificate: &Certificate) -> Vec<u8> {
    let hash = element(tag::OCTET_STRING, &[&Sha256::digest(&certificate.der)]);
    let issuer = sequence(&[&element(tag::CONTEXT_4, &[&certificate.issuer])]);
    let issuer_serial = sequence(&[&issuer, &element(tag::INTEGER, &[&certificate.serial])]);
    let ess_certificate = sequence(&[&hash, &issuer_serial]);
    sequence(&[&sequence(&[&ess_certificate])])
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use time::macros::datetime;

    use super::*;
    use crate::algorithm::Curve;

    #[test]
    fn signing_time_is_utc_to_the_second() {
        assert_eq!(utc_time(datetime!(2026-11-22 00:30:59.9 +01:00)).unwrap(), b"261121233059Z");
        assert_eq!(utc_time(datetime!(1950-01-01 0:00 UTC)).unwrap(), b"500101000000Z");
        assert_eq!(utc_time(datetime!(2049-12-31 23:59:59 UTC)).unwrap(), b"491231235959Z");
    }

    #[test]
    fn years_utc_time_cannot_express_are_refused() {
        for instant in [datetime!(2050-01-01 0:00 UTC), datetime!(1949-12-31 23:59:59 UTC)] {
            assert_eq!(utc_time(instant), Err(BuildError::SigningTime { year: instant.year() }));
        }
    }

    #[test]
    fn algorithm_protection_matches_what_connectors_write() {
        assert_eq!(
            attribute(
                oid::ALGORITHM_PROTECTION,
                &algorithm_protection(Algorithm::EcdsaSha256(Curve::BrainpoolP256r1))
            ),
            hex!("302a06092a864886f70d010934311d301b300d06096086480165030402010500a10a06082a8648ce3d040302")
        );
        assert_eq!(
            attribute(oid::ALGORITHM_PROTECTION, &algorithm_protection(Algorithm::RsaPssSha256)),
            hex!(
                "306106092a864886f70d01093431543052300d06096086480165030402010500a14106092a864886f70d01010a"
                "3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503"
                "0402010500a203020120"
            )
        );
    }

    #[test]
    fn content_hints_match_what_connectors_write() {
        assert_eq!(
            attribute(oid::CONTENT_HINTS, &content_hints("a CMSDocument2sign")),
            hex!(
                "3030060b2a864886f70d01091002043121301f0c126120434d53446f63756d656e74327369676e"
                "06092a864886f70d010701"
            )
        );
    }
}
