//! Is an OCSP answer to be believed, and does it speak of this certificate?

use sha1::{Digest, Sha1};

use super::response::{CertId, Responder, Response, SingleResponse};
use super::{Answer, CLOCK_TOLERANCE, OcspError, Rules, Status};
use crate::anchors::TrustAnchors;
use crate::certificate::{Certificate, common_name};
use crate::oid;
use crate::scheme::Hash;
use crate::tlv::{Element, tag};

/// Reads `response` (an OCSPResponse, DER) as an answer about `certificate` (DER).
///
/// # Errors
/// [`OcspError`] when it cannot be read, is about something else, comes from somebody who was not asked to
/// answer, or does not fit the times of `rules`.
pub fn check(
    response: &[u8],
    certificate: &[u8],
    anchors: &TrustAnchors,
    rules: &Rules<'_>,
) -> Result<Answer, OcspError> {
    let certificate =
        Certificate::from_der(certificate).map_err(|error| OcspError::Malformed(error.to_string()))?;
    check_for(response, &certificate, anchors, rules)
}

pub(crate) fn check_for(
    response: &[u8],
    certificate: &Certificate,
    anchors: &TrustAnchors,
    rules: &Rules<'_>,
) -> Result<Answer, OcspError> {
    let response = Response::read(response)?;
    let issuer = issuer(certificate, anchors).ok_or(OcspError::IssuerUnknown)?;
    let answers = response.answers.iter();
    let mut fitting = answers.filter(|answer| names(&answer.id, certificate, issuer));
    let answer = fitting.next().ok_or(OcspError::OtherCertificate)?;
    let responder = responder(&response, issuer, anchors)?;
    check_cert_hash(answer, certificate, rules)?;
    let nonce_returned = check_nonce(&response, rules)?;
    check_times(&response, answer, rules)?;
    Ok(Answer {
        status: answer.status,
        produced_at: response.produced_at,
        next_update: answer.next_update,
        responder: common_name(&responder.subject),
        nonce_returned,
    })
}

/// The trust anchor that issued the certificate, whether or not it may still sign.
pub(super) fn issuer<'a>(certificate: &'a Certificate, anchors: &'a TrustAnchors) -> Option<&'a Certificate> {
    anchors
        .named(&certificate.issuer)
        .map(|anchor| &anchor.certificate)
        .find(|anchor| anchors.signed_by(certificate, anchor))
}

fn names(id: &CertId<'_>, certificate: &Certificate, issuer: &Certificate) -> bool {
    let digest = |bytes: &[u8]| {
        if id.digest == oid::SHA_1.as_bytes() {
            return Some(Sha1::digest(bytes).to_vec());
        }
        let sha2 = [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter();
        sha2.into_iter().find(|hash| hash.oid().as_bytes() == id.digest).map(|hash| hash.digest(bytes))
    };
    id.serial == certificate.serial
        && digest(&certificate.issuer).as_deref() == Some(id.issuer_name_hash)
        && digest(issuer.public_key_bits()).as_deref() == Some(id.issuer_key_hash)
}

/// The certificate whose key signed the answer: the issuer's own, one the issuer made for OCSP, or one the
/// caller trusts (RFC 6960 clause 4.2.2.2).
fn responder(
    response: &Response<'_>,
    issuer: &Certificate,
    anchors: &TrustAnchors,
) -> Result<Certificate, OcspError> {
    let included = response.certificates.iter().filter_map(|der| Certificate::from_der(der).ok());
    let known = std::iter::once(issuer.clone()).chain(anchors.responders().cloned());
    let mut error = OcspError::ResponderMissing;
    for candidate in known.chain(included) {
        if !is(&candidate, &response.responder) {
            continue;
        }
        let is_trusted = candidate.der == issuer.der || anchors.responders().any(|r| r.der == candidate.der);
        let issued = anchors.signed_by(&candidate, issuer) && signs_ocsp(&candidate);
        if !(is_trusted || issued) || !candidate.is_valid_at(response.produced_at) {
            error = OcspError::ResponderNotAuthorised;
        } else if signed(response, &candidate, anchors) {
            return Ok(candidate);
        } else {
            error = OcspError::Signature;
        }
    }
    Err(error)
}

fn is(candidate: &Certificate, responder: &Responder<'_>) -> bool {
    match responder {
        Responder::Name(name) => candidate.subject == *name,
        Responder::KeyHash(hash) => Sha1::digest(candidate.public_key_bits())[..] == **hash,
    }
}

fn signs_ocsp(candidate: &Certificate) -> bool {
    candidate.extended_key_usages().contains(&oid::OCSP_SIGNING)
}

fn signed(response: &Response<'_>, responder: &Certificate, anchors: &TrustAnchors) -> bool {
    anchors.signature(responder, response.signature_algorithm, response.signed, response.signature)
}

/// CertHash says which certificate is meant, not only which number it has (Common PKI part 4, table 13).
fn check_cert_hash(
    answer: &SingleResponse<'_>,
    certificate: &Certificate,
    rules: &Rules<'_>,
) -> Result<(), OcspError> {
    let Some(value) = answer.cert_hash else {
        let demanded = rules.cert_hash_required && answer.status != Status::Unknown;
        return if demanded { Err(OcspError::CertHashMissing) } else { Ok(()) };
    };
    let mut fields = Element::only(tag::SEQUENCE, value)?.elements();
    let hash = Hash::from_identifier(fields.expect(tag::SEQUENCE)?.raw);
    let digest = fields.expect(tag::OCTET_STRING)?.body;
    match hash {
        Ok(hash) if hash.digest(&certificate.der) == digest => Ok(()),
        _ => Err(OcspError::CertHashMismatch),
    }
}

fn check_nonce(response: &Response<'_>, rules: &Rules<'_>) -> Result<bool, OcspError> {
    match (rules.nonce, response.nonce) {
        (Some(sent), Some(back)) if sent == back => Ok(true),
        (Some(_), Some(_)) => Err(OcspError::NonceMismatch),
        (Some(_), None) if rules.nonce_required => Err(OcspError::NonceMissing),
        _ => Ok(false),
    }
}

fn check_times(
    response: &Response<'_>,
    answer: &SingleResponse<'_>,
    rules: &Rules<'_>,
) -> Result<(), OcspError> {
    let latest = rules.now + CLOCK_TOLERANCE;
    if response.produced_at > latest || answer.this_update > latest {
        return Err(OcspError::FromTheFuture);
    }
    if response.produced_at < rules.reference - CLOCK_TOLERANCE - rules.grace {
        return Err(OcspError::TooOld);
    }
    let expired = |next| next < rules.reference - CLOCK_TOLERANCE - rules.grace;
    if answer.next_update.is_some_and(expired) {
        return Err(OcspError::Expired);
    }
    Ok(())
}
