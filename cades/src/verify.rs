//! From CMS bytes to the facts about them.

use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::anchors::TrustAnchors;
use crate::attributes::SignedAttributes;
use crate::ber::{self, BerError};
use crate::certificate::{Certificate, common_name};
use crate::chain;
use crate::cms::{self, SignedData, SignerIdentifier, SignerInfo};
use crate::finding::{Finding, FindingCode};
use crate::multiples::Tables;
use crate::ocsp;
use crate::oid;
use crate::profession::{self, Profession, ValidityModel};
use crate::report::{Chain, CurrentStatus, EmbeddedStatus, Mathematics, Report, Signer};
use crate::scheme::{Hash, SignatureScheme};
use crate::tlv::{TlvError, tag};

/// Why bytes could not be read as an enveloping CMS signature at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ParseError {
    /// Not one BER element within the limits of size and depth.
    #[error("not a CMS signature: {0}")]
    Encoding(#[from] BerError),
    /// Another structure than RFC 5652 prescribes.
    #[error("not a CMS signature: {0}")]
    Structure(String),
    /// A ContentInfo of another type.
    #[error("CMS of another type than SignedData")]
    NotSignedData,
    /// The content is not enveloped.
    #[error("the signature is detached: it carries no content")]
    Detached,
    /// SignedData with certificates only.
    #[error("the CMS holds no signature")]
    NoSigner,
}

impl From<TlvError> for ParseError {
    fn from(error: TlvError) -> ParseError {
        ParseError::Structure(error.to_string())
    }
}

/// How far a signer's clock may be ahead of `now`: 37.5 s (gemSpec_PKI GS-A_5215).
const CLOCK_TOLERANCE: Duration = Duration::milliseconds(37_500);

/// Reads a CMS (DER or BER) and reports what holds and what does not.
///
/// `now` decides [`Signer::expired_now`] and whether the signing time lies in the future; it also stands in
/// for a signing time that is missing.
///
/// # Errors
/// [`ParseError`] when the bytes are no enveloping SignedData. Everything less is a finding in the report.
pub fn verify(cms: &[u8], anchors: &TrustAnchors, now: OffsetDateTime) -> Result<Report, ParseError> {
    let normalised = ber::normalise(cms)?;
    let signed_data = SignedData::read(&normalised.der)?;
    let signer_info = SignerInfo::read(*signed_data.signer_infos.first().ok_or(ParseError::NoSigner)?)?;

    let mut format = Vec::new();
    if !normalised.unchanged {
        format.push(FindingCode::Ber.finding());
    }
    check_envelope(&signed_data, &signer_info, &mut format);
    let attributes = match signer_info.signed_attributes {
        Some(attributes) => SignedAttributes::read(attributes, &mut format)?,
        None => {
            format.push(FindingCode::NoSignedAttributes.finding());
            SignedAttributes::default()
        }
    };
    if attributes.content_type.is_some_and(|found| found != signed_data.content_type) {
        format.push(FindingCode::ContentTypeMismatch.finding());
    }
    if attributes.signing_time.is_some_and(|claimed| claimed > now + CLOCK_TOLERANCE) {
        format.push(FindingCode::SigningTimeInFuture.finding());
    }
    let signer = find_signer(&signed_data, signer_info.signer, &mut format);
    if let Some(signer) = &signer {
        attributes.check_certificate(signer, &mut format);
    }
    let signing_time = attributes.signing_time;
    let chain = signer.as_ref().map_or(Chain::NoSignerCertificate, |signer| {
        chain::check(signer, anchors, signing_time.unwrap_or(now))
    });
    let ocsp_responses = ocsp_responses(&signed_data);
    let rules = ocsp::Rules::qualified(signing_time.unwrap_or(now), now);
    let embedded_status = embedded(&ocsp_responses, signer.as_ref(), anchors, &rules);
    let tables = anchors.tables();
    let mathematics =
        calculate(&signed_data, &signer_info, &attributes, signer.as_ref(), tables, &mut format);
    Ok(Report {
        content: signed_data.content.to_vec(),
        signing_time,
        mime_type: attributes.mime_type,
        mathematics,
        format,
        chain,
        signer: signer.map(|certificate| describe(certificate, anchors, now)),
        ocsp_responses,
        embedded_status,
        current_status: CurrentStatus::NotChecked,
    })
}

/// The rules about fields outside the signed attributes.
fn check_envelope(signed_data: &SignedData<'_>, signer_info: &SignerInfo<'_>, findings: &mut Vec<Finding>) {
    if signed_data.signer_infos.len() > 1 {
        let text = format!("{} signer infos", signed_data.signer_infos.len());
        findings.push(FindingCode::SeveralSignerInfos.with(text));
    }
    if signed_data.content_type != oid::ID_DATA.as_bytes() {
        findings.push(FindingCode::ContentNotData.finding());
    }
    let by_key = matches!(signer_info.signer, SignerIdentifier::KeyIdentifier(_));
    if by_key {
        findings.push(FindingCode::SignerNamedByKey.finding());
    }
    let other = signed_data.revocation.iter().any(|choice| choice.tag == tag::CONTEXT_1);
    let version = match (other, by_key) {
        (true, _) => 5,
        (false, true) => 3,
        (false, false) => 1,
    };
    let signer_version = if by_key { 3 } else { 1 };
    if *signed_data.version != [version] || *signer_info.version != [signer_version] {
        findings.push(FindingCode::UnusualVersion.finding());
    }
    let announced = |found: &[u8]| Hash::from_identifier(found).ok();
    let used = announced(signer_info.digest_algorithm);
    if !signed_data.digest_algorithms.iter().any(|listed| announced(listed.raw) == used) {
        findings.push(FindingCode::DigestNotAnnounced.finding());
    }
    if signed_data.revocation.iter().any(|choice| cms::ocsp_response(*choice).is_none()) {
        findings.push(FindingCode::OtherRevocationInformation.finding());
    }
    if signer_info.has_unsigned_attributes {
        findings.push(FindingCode::UnsignedAttributes.finding());
    }
}

/// The certificate that the SignerInfo names, among those the CMS carries.
fn find_signer(
    signed_data: &SignedData<'_>,
    wanted: SignerIdentifier<'_>,
    findings: &mut Vec<Finding>,
) -> Option<Certificate> {
    let mut found = None;
    for certificate in &signed_data.certificates {
        match Certificate::from_der(certificate.raw) {
            Ok(certificate) if found.is_none() && is_named(&certificate, wanted) => {
                found = Some(certificate);
            }
            Ok(_) => {}
            Err(error) => {
                findings.push(FindingCode::CertificateUnreadable.with(error.to_string()));
            }
        }
    }
    if signed_data.certificates.len() > 1 {
        findings.push(FindingCode::FurtherCertificates.finding());
    }
    found
}

fn is_named(certificate: &Certificate, wanted: SignerIdentifier<'_>) -> bool {
    match wanted {
        SignerIdentifier::IssuerAndSerial { issuer, serial } => {
            certificate.issuer == issuer && certificate.serial == serial
        }
        SignerIdentifier::KeyIdentifier(id) => certificate.subject_key_identifier.as_deref() == Some(id),
    }
}

/// The digest over the content and the signature over the attributes (RFC 5652 clauses 5.4 to 5.6).
fn calculate(
    signed_data: &SignedData<'_>,
    signer_info: &SignerInfo<'_>,
    attributes: &SignedAttributes<'_>,
    signer: Option<&Certificate>,
    tables: &Tables,
    findings: &mut Vec<Finding>,
) -> Mathematics {
    let mut unsupported = |error: String| findings.push(FindingCode::UnsupportedAlgorithm.with(error));
    let hash = Hash::from_identifier(signer_info.digest_algorithm)
        .map_err(|error| unsupported(error.to_string()))
        .ok();
    let scheme = SignatureScheme::from_identifier(signer_info.signature_algorithm, hash)
        .map_err(|error| unsupported(error.to_string()))
        .ok();
    let key = signer.and_then(|signer| {
        let key = signer.public_key().map_err(|error| unsupported(error.to_string())).ok()?;
        Some((signer.key_info(), key))
    });
    if let (Some(hash), Some(scheme)) = (hash, scheme)
        && scheme.hash() != hash
    {
        findings.push(FindingCode::DigestMismatch.finding());
    }
    attributes.check_algorithms(hash, scheme, findings);

    // Without signed attributes the signature is over the content itself (clause 5.4).
    let message = signer_info.signed_attributes.map(|attributes| attributes.retagged(tag::SET));
    let message = message.as_deref().unwrap_or(signed_data.content);
    let signature = key.zip(scheme).is_some_and(|((name, key), scheme)| {
        tables.verifies(name, &key, scheme, message, signer_info.signature)
    });
    let content_digest = match (signer_info.signed_attributes, attributes.message_digest, hash) {
        (Some(_), Some(wanted), Some(hash)) => hash.digest(signed_data.content) == wanted,
        (None, ..) => signature,
        _ => false,
    };
    Mathematics { content_digest, signature }
}

fn ocsp_responses(signed_data: &SignedData<'_>) -> Vec<Vec<u8>> {
    let responses = signed_data.revocation.iter().filter_map(|choice| cms::ocsp_response(*choice));
    responses.map(<[u8]>::to_vec).collect()
}

/// The first response that is to be believed, else why the first is not.
fn embedded(
    responses: &[Vec<u8>],
    signer: Option<&Certificate>,
    anchors: &TrustAnchors,
    rules: &ocsp::Rules<'_>,
) -> EmbeddedStatus {
    let Some(signer) = signer else { return EmbeddedStatus::Absent };
    let mut status = EmbeddedStatus::Absent;
    for response in responses {
        match ocsp::check_for(response, signer, anchors, rules) {
            Ok(answer) => return EmbeddedStatus::Answered(answer),
            Err(error) if status == EmbeddedStatus::Absent => status = EmbeddedStatus::Unusable(error),
            Err(_) => {}
        }
    }
    status
}

fn describe(certificate: Certificate, anchors: &TrustAnchors, now: OffsetDateTime) -> Signer {
    let profession = Profession::of(&certificate);
    let qc_statements = profession::qc_statements(&certificate);
    Signer {
        common_name: common_name(&certificate.subject),
        issuer_common_name: common_name(&certificate.issuer),
        serial_number: hexadecimal(&certificate.serial),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        expired_now: !certificate.is_valid_at(now),
        non_repudiation: certificate.key_usage.as_ref().is_some_and(|usage| usage.non_repudiation()),
        qc_compliance: qc_statements.contains(&oid::QC_COMPLIANCE.to_string()),
        qc_statements,
        validity_model: ValidityModel::of(&certificate),
        issuer_qualified: chain::issuer_is_qualified(&certificate, anchors),
        policies: profession::policies(&certificate),
        profession_oids: profession.oids.iter().map(ToString::to_string).collect(),
        registration_number: profession.registration_number,
        certificate: certificate.der,
    }
}

fn hexadecimal(number: &[u8]) -> String {
    let digits = number.iter().skip_while(|&&byte| byte == 0);
    digits.map(|byte| format!("{byte:02x}")).collect()
}
