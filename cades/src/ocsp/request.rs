//! OCSPRequest (RFC 6960 clause 4.1.1) for one certificate.

use sha1::{Digest, Sha1};
use thiserror::Error;

use super::check::issuer;
use crate::anchors::TrustAnchors;
use crate::certificate::Certificate;
use crate::oid;
use crate::sign::identifier;
use crate::tlv::{Element, element, sequence, tag};

/// uniformResourceIdentifier in a GeneralName.
const URI: u8 = 0x86;
const CONTEXT_2: u8 = 0xa2;

/// Why no request can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The bytes are no certificate.
    #[error("the certificate cannot be read")]
    Certificate,
    /// A request names the issuer's key.
    #[error("the certificate's issuer is not a trust anchor")]
    IssuerUnknown,
}

/// The request for `certificate` (DER), unsigned, with SHA-1 names as every responder understands them.
///
/// # Errors
/// [`RequestError`] when the certificate is unreadable or no anchor issued it.
pub fn request(
    certificate: &[u8],
    anchors: &TrustAnchors,
    nonce: Option<&[u8]>,
) -> Result<Vec<u8>, RequestError> {
    let certificate = Certificate::from_der(certificate).map_err(|_| RequestError::Certificate)?;
    let issuer = issuer(&certificate, anchors).ok_or(RequestError::IssuerUnknown)?;
    let octets = |bytes: &[u8]| element(tag::OCTET_STRING, &[bytes]);
    let digest = sequence(&[&identifier::oid(oid::SHA_1), identifier::NULL]);
    let id = sequence(&[
        &digest,
        &octets(&Sha1::digest(&certificate.issuer)),
        &octets(&Sha1::digest(issuer.public_key_bits())),
        &element(tag::INTEGER, &[&certificate.serial]),
    ]);
    let extensions = nonce.map(|nonce| {
        let extension = sequence(&[&identifier::oid(oid::OCSP_NONCE), &octets(&octets(nonce))]);
        element(CONTEXT_2, &[&sequence(&[&extension])])
    });
    let list = sequence(&[&sequence(&[&id])]);
    Ok(sequence(&[&sequence(&[&list, &extensions.unwrap_or_default()])]))
}

/// The addresses of OCSP responders in a certificate's authority information access, in their order.
pub fn responders(certificate: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(certificate) else { return Vec::new() };
    let Some(access) = certificate.extension(oid::AUTHORITY_INFORMATION_ACCESS) else { return Vec::new() };
    let descriptions = Element::only(tag::SEQUENCE, access).and_then(|list| list.elements().all());
    let address = |description: Element<'_>| {
        let mut fields = description.elements();
        let method = fields.expect(tag::OID).ok()?.body;
        let location = fields.expect(URI).ok()?.body;
        let address = String::from_utf8(location.to_vec()).ok()?;
        (method == oid::OCSP.as_bytes()).then_some(address)
    };
    descriptions.unwrap_or_default().into_iter().filter_map(address).collect()
}
