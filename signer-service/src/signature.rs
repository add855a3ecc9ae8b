//! From a document and an unlocked key to a CMS that was verified before anybody sees it.

use cades::{
    Algorithm, BuildError, Chain, EmbeddedStatus, Severity, SigningRequest, TrustAnchors, ocsp::Status,
};
use thiserror::Error;
use time::OffsetDateTime;

use crate::{
    certificate::Certificate,
    token::{TokenError, UnlockedKey},
};

/// Text of the attribute content-hints, as the German connectors write it.
const CONTENT_HINT: &str = "a CMSDocument2sign";
/// Attribute mime-type; the character set is named because a bare `text/plain` stands for ISO-8859-15 there.
const MIME_TYPE: &str = "text/plain; charset=utf-8";

/// A finished signature.
pub struct Signed {
    /// CMS SignedData, DER.
    pub cms: Vec<u8>,
    /// The time inside it.
    pub signing_time: OffsetDateTime,
    /// How it was made.
    pub algorithm: Algorithm,
    /// Whether the certificate leads to a trust anchor. Does not stop a signature: the anchors are the verifier's.
    pub chain: Chain,
}

impl Signed {
    /// A signature nobody verified, for measurements ([`crate::service::Proof::LeftOut`]). Its time is this moment's.
    pub(crate) fn unproven(cms: Vec<u8>, certificate: &Certificate) -> Result<Signed, SignatureError> {
        let algorithm = Algorithm::for_certificate(&certificate.der).map_err(BuildError::from)?;
        Ok(Signed { cms, signing_time: OffsetDateTime::now_utc(), algorithm, chain: Chain::UnknownIssuer })
    }
}

/// Why there is no signature.
#[derive(Debug, Error)]
pub enum SignatureError {
    /// The card.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Certificate and signature do not make a CMS.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The finished CMS is not what it should be.
    #[error("the finished signature failed its own verification: {0}")]
    SelfCheck(&'static str),
}

/// Signs a document: attributes, digest, card, CMS with the OCSP response if there is one. `now` is read after the PIN, immediately before hashing.
///
/// # Errors
/// The certificate or the card.
pub fn sign(
    key: &mut UnlockedKey<'_>,
    certificate: &Certificate,
    content: &[u8],
    ocsp_response: Option<&[u8]>,
    now: OffsetDateTime,
) -> Result<Vec<u8>, SignatureError> {
    let unsigned = cades::prepare(&SigningRequest {
        content,
        certificate: &certificate.der,
        signing_time: now,
        mime_type: Some(MIME_TYPE),
        content_hint: CONTENT_HINT,
        ocsp_response,
    })?;
    let value = key.sign(unsigned.algorithm(), unsigned.digest())?;
    Ok(unsigned.finish(&value)?)
}

/// Verifies a CMS of [`sign`] by the path that verifies those of others.
///
/// # Errors
/// [`SignatureError::SelfCheck`] names what does not hold.
pub fn self_check(
    cms: Vec<u8>,
    certificate: &Certificate,
    content: &[u8],
    anchors: &TrustAnchors,
    now: OffsetDateTime,
) -> Result<Signed, SignatureError> {
    let failed = |what| Err(SignatureError::SelfCheck(what));
    let Ok(report) = cades::verify(&cms, anchors, now) else { return failed("it cannot be read") };
    if !report.mathematics.content_digest || report.content != content {
        return failed("it is not over the document");
    }
    if !report.mathematics.signature {
        return failed("the card's signature does not fit its certificate");
    }
    if report.signer.is_none_or(|signer| signer.certificate != certificate.der) {
        return failed("it names another certificate");
    }
    if report.format.iter().any(|finding| finding.severity == Severity::Defect) {
        return failed("its form has a defect");
    }
    if !report.ocsp_responses.is_empty() && !is_good(&report.embedded_status) {
        return failed("the OCSP response in it counts for nothing");
    }
    let Some(signing_time) = report.signing_time else { return failed("it has no signing time") };
    let algorithm = Algorithm::for_certificate(&certificate.der).map_err(BuildError::from)?;
    Ok(Signed { cms, signing_time, algorithm, chain: report.chain })
}

fn is_good(embedded: &EmbeddedStatus) -> bool {
    matches!(embedded, EmbeddedStatus::Answered(answer) if answer.status == Status::Good)
}

/// Name of an algorithm as in RFC 5758 and RFC 4056.
pub fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::EcdsaSha256(_) => "ecdsa-with-SHA256",
        Algorithm::EcdsaSha384 => "ecdsa-with-SHA384",
        Algorithm::RsaPssSha256 => "RSASSA-PSS-SHA256",
    }
}
