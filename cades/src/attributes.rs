//! The signed attributes of a signature that is read.

use der::Decode;
use der::asn1::UtcTime;
use sha1::Sha1;
use sha2::Digest;
use time::OffsetDateTime;

use crate::certificate::Certificate;
use crate::finding::{Finding, FindingCode};
use crate::moment;
use crate::oid::{self, Oid};
use crate::scheme::{Hash, SignatureScheme};
use crate::tlv::{Element, TlvError, tag};

/// The attributes that are judged. Each is `None` when missing or unreadable; findings say which.
#[derive(Debug, Default)]
pub(crate) struct SignedAttributes<'a> {
    /// Content of the OBJECT IDENTIFIER.
    pub(crate) content_type: Option<&'a [u8]>,
    pub(crate) signing_time: Option<OffsetDateTime>,
    pub(crate) message_digest: Option<&'a [u8]>,
    pub(crate) mime_type: Option<String>,
    /// CMSAlgorithmProtection.
    protection: Option<Element<'a>>,
    /// First ESSCertID of signing-certificate.
    ess_v1: Option<Element<'a>>,
    /// First ESSCertIDv2 of signing-certificate-v2.
    ess_v2: Option<Element<'a>>,
}

impl<'a> SignedAttributes<'a> {
    /// Reads the attributes and reports every rule of form they break.
    pub(crate) fn read(
        attributes: Element<'a>,
        findings: &mut Vec<Finding>,
    ) -> Result<SignedAttributes<'a>, TlvError> {
        let all = attributes.elements().all()?;
        if all.windows(2).any(|pair| matches!(pair, [first, second] if first.raw > second.raw)) {
            findings.push(FindingCode::AttributesNotSorted.finding());
        }
        let mut by_type = Vec::new();
        for attribute in &all {
            let mut fields = Element::only(tag::SEQUENCE, attribute.raw)?.elements();
            let kind = fields.expect(tag::OID)?.body;
            let values = fields.expect(tag::SET)?.elements().all()?;
            fields.finish()?;
            by_type.push((kind, values));
        }
        let mut single = |kind: Oid| single_value(&by_type, kind, findings);
        let content_type = single(oid::CONTENT_TYPE);
        let signing_time = single(oid::SIGNING_TIME);
        let message_digest = single(oid::MESSAGE_DIGEST);
        let mime_type = single(oid::MIME_TYPE);
        let protection = single(oid::ALGORITHM_PROTECTION);
        let ess_v1 = single(oid::SIGNING_CERTIFICATE);
        let ess_v2 = single(oid::SIGNING_CERTIFICATE_V2);

        let mut body = |element, expected, name| body(element, expected, name, findings);
        let content_type = body(content_type, tag::OID, "content-type");
        let message_digest = body(message_digest, tag::OCTET_STRING, "message-digest");
        let mime_type = body(mime_type, tag::UTF8_STRING, "mime-type");
        let read = SignedAttributes {
            content_type,
            signing_time: signing_time.and_then(|value| read_time(value, findings)),
            message_digest,
            mime_type: mime_type.and_then(|text| String::from_utf8(text.to_vec()).ok()),
            protection,
            ess_v1: ess_v1.and_then(|value| first_ess(value, "signing-certificate", findings)),
            ess_v2: ess_v2.and_then(|value| first_ess(value, "signing-certificate-v2", findings)),
        };
        read.report_missing(&by_type, findings);
        Ok(read)
    }

    /// Does the ESS attribute name this certificate (RFC 5035 clause 3, RFC 2634 clause 5.4)?
    pub(crate) fn check_certificate(&self, certificate: &Certificate, findings: &mut Vec<Finding>) {
        let v2 = self.ess_v2.map(|ess| names_v2(ess, certificate));
        let v1 = self.ess_v1.map(|ess| names_v1(ess, certificate));
        if v2 == Some(Ok(false)) || v1 == Some(Ok(false)) {
            findings.push(FindingCode::SigningCertificateMismatch.finding());
        }
        if matches!(v2, Some(Err(_))) || matches!(v1, Some(Err(_))) {
            findings.push(FindingCode::AttributeMalformed.with("signing-certificate cannot be read"));
        }
        if v1.is_some() && v2.is_none() {
            findings.push(FindingCode::SigningCertificateSha1.finding());
        }
    }

    /// Does CMSAlgorithmProtection name the algorithms that were used (RFC 6211 clause 2)?
    pub(crate) fn check_algorithms(
        &self,
        hash: Option<Hash>,
        scheme: Option<SignatureScheme>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(protection) = self.protection else { return };
        match read_protection(protection, hash) {
            Ok((protected_hash, protected_scheme)) => {
                if protected_hash != hash || protected_scheme != scheme {
                    findings.push(FindingCode::AlgorithmProtectionMismatch.finding());
                }
            }
            Err(_) => {
                findings.push(FindingCode::AttributeMalformed.with("CMSAlgorithmProtection cannot be read"));
            }
        }
    }

    fn report_missing(&self, by_type: &[(&[u8], Vec<Element<'_>>)], findings: &mut Vec<Finding>) {
        let present = |kind: Oid| by_type.iter().any(|(found, _)| *found == kind.as_bytes());
        for (kind, code) in [
            (oid::CONTENT_TYPE, FindingCode::ContentTypeMissing),
            (oid::SIGNING_TIME, FindingCode::SigningTimeMissing),
            (oid::MESSAGE_DIGEST, FindingCode::MessageDigestMissing),
        ] {
            if !present(kind) {
                findings.push(code.finding());
            }
        }
        if !present(oid::SIGNING_CERTIFICATE) && !present(oid::SIGNING_CERTIFICATE_V2) {
            findings.push(FindingCode::SigningCertificateMissing.finding());
        }
    }
}

/// The one value of the one attribute of this type (RFC 5652 clause 11, RFC 5035 clause 3).
fn single_value<'a>(
    by_type: &[(&'a [u8], Vec<Element<'a>>)],
    kind: Oid,
    findings: &mut Vec<Finding>,
) -> Option<Element<'a>> {
    let mut instances = by_type.iter().filter(|(found, _)| *found == kind.as_bytes());
    let (_, values) = instances.next()?;
    match (&values[..], instances.next()) {
        ([value], None) => Some(*value),
        _ => {
            let text = format!("attribute {kind} does not have exactly one value");
            findings.push(FindingCode::AttributeRepeated.with(text));
            None
        }
    }
}

fn body<'a>(
    value: Option<Element<'a>>,
    expected: u8,
    name: &str,
    findings: &mut Vec<Finding>,
) -> Option<&'a [u8]> {
    let value = value?;
    if value.tag != expected {
        findings.push(FindingCode::AttributeMalformed.with(format!("{name} has tag {:02x}", value.tag)));
        return None;
    }
    Some(value.body)
}

/// signing-time: UTCTime through 2049 (RFC 5652 clause 11.3); anything else is read, but named.
fn read_time(value: Element<'_>, findings: &mut Vec<Finding>) -> Option<OffsetDateTime> {
    let instant = match value.tag {
        tag::UTC_TIME => {
            UtcTime::from_der(value.raw).ok().and_then(|time| moment::since_epoch(time.to_unix_duration()))
        }
        tag::GENERALIZED_TIME => {
            findings.push(FindingCode::SigningTimeNotUtcTime.finding());
            moment::generalized(value)
        }
        other => {
            findings.push(FindingCode::AttributeMalformed.with(format!("signing-time has tag {other:02x}")));
            return None;
        }
    };
    if instant.is_none() {
        findings.push(FindingCode::AttributeMalformed.with("signing-time cannot be read"));
    }
    instant
}

/// SigningCertificate ::= SEQUENCE { certs SEQUENCE OF ESSCertID, policies OPTIONAL }, either version. The
/// first one names the signer; it alone counts.
fn first_ess<'a>(value: Element<'a>, name: &str, findings: &mut Vec<Finding>) -> Option<Element<'a>> {
    let first = Element::only(tag::SEQUENCE, value.raw)
        .and_then(|outer| outer.elements().expect(tag::SEQUENCE))
        .and_then(|certificates| certificates.elements().expect(tag::SEQUENCE));
    match first {
        Ok(first) => Some(first),
        Err(error) => {
            findings.push(FindingCode::AttributeMalformed.with(format!("{name}: {error}")));
            None
        }
    }
}

/// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm DEFAULT sha256, certHash, issuerSerial OPTIONAL }.
fn names_v2(ess: Element<'_>, certificate: &Certificate) -> Result<bool, TlvError> {
    let mut fields = ess.elements();
    let hash = match fields.optional(tag::SEQUENCE)? {
        None => Some(Hash::Sha256),
        Some(identifier) => Hash::from_identifier(identifier.raw).ok(),
    };
    let digest = fields.expect(tag::OCTET_STRING)?.body;
    let hash_matches = hash.is_some_and(|hash| hash.digest(&certificate.der) == digest);
    Ok(hash_matches && names_issuer_and_serial(fields.optional(tag::SEQUENCE)?, certificate)?)
}

/// ESSCertID ::= SEQUENCE { certHash (SHA-1), issuerSerial OPTIONAL }.
fn names_v1(ess: Element<'_>, certificate: &Certificate) -> Result<bool, TlvError> {
    let mut fields = ess.elements();
    let digest = fields.expect(tag::OCTET_STRING)?.body;
    let hash_matches = Sha1::digest(&certificate.der)[..] == *digest;
    Ok(hash_matches && names_issuer_and_serial(fields.optional(tag::SEQUENCE)?, certificate)?)
}

/// IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber }; GeneralNames holds one directoryName.
fn names_issuer_and_serial(
    issuer_serial: Option<Element<'_>>,
    certificate: &Certificate,
) -> Result<bool, TlvError> {
    let Some(issuer_serial) = issuer_serial else { return Ok(true) };
    let mut fields = issuer_serial.elements();
    let names = fields.expect(tag::SEQUENCE)?;
    let serial = fields.expect(tag::INTEGER)?;
    fields.finish()?;
    let issuer = Element::only(tag::CONTEXT_4, names.body)?;
    Ok(issuer.body == certificate.issuer && serial.body == certificate.serial)
}

type Protected = (Option<Hash>, Option<SignatureScheme>);

/// CMSAlgorithmProtection ::= SEQUENCE { digestAlgorithm, signatureAlgorithm [1] | macAlgorithm [2] }.
fn read_protection(value: Element<'_>, used: Option<Hash>) -> Result<Protected, TlvError> {
    let mut fields = Element::only(tag::SEQUENCE, value.raw)?.elements();
    let digest = fields.expect(tag::SEQUENCE)?;
    let signature = fields.expect(tag::CONTEXT_1)?.retagged(tag::SEQUENCE);
    fields.finish()?;
    let hash = Hash::from_identifier(digest.raw).ok();
    Ok((hash, SignatureScheme::from_identifier(&signature, used).ok()))
}
