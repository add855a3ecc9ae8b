//! Fresh keys, certificates and hand-made CMS for the tests of this crate.
//!
//! Nothing here uses the encoder under test: DER is written by [`tlv`].
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part")]

pub mod forge;
pub mod keys;
pub mod ocsp;
pub mod pki;

use cades::{SigningRequest, TrustAnchors, prepare};
use time::OffsetDateTime;
use time::macros::datetime;

use self::keys::Key;
use self::pki::{CertificateSpec, self_signed};

/// When the tests sign.
pub const SIGNED_AT: OffsetDateTime = datetime!(2026-11-02 09:30:15 UTC);
/// When the tests verify.
pub const NOW: OffsetDateTime = datetime!(2026-11-02 09:31:00 UTC);
/// A document with both line ends, a comment and no XML declaration.
pub const CONTENT: &[u8] = "<Bundle>\r\n<!-- \u{e4} -->\n<id value=\"1\"/></Bundle>".as_bytes();

/// A CA, and a signer certificate it issued.
pub struct Person {
    pub key: Key,
    pub certificate: Vec<u8>,
    pub ca: Vec<u8>,
    pub ca_key: Key,
}

impl Person {
    /// A physician whose certificate differs from the usual one as `change` says.
    pub fn with(key: Key, ca_key: Key, change: impl FnOnce(&mut CertificateSpec)) -> Person {
        let ca = self_signed(&ca_key);
        let mut spec = CertificateSpec::physician();
        change(&mut spec);
        let certificate = spec.issue(&key, &ca_key);
        Person { key, certificate, ca, ca_key }
    }

    pub fn physician(key: Key, ca_key: Key) -> Person {
        Person::with(key, ca_key, |_| {})
    }

    pub fn anchors(&self) -> TrustAnchors {
        anchors(&[&self.ca])
    }

    pub fn request<'a>(&'a self, content: &'a [u8]) -> SigningRequest<'a> {
        SigningRequest {
            content,
            certificate: &self.certificate,
            signing_time: SIGNED_AT,
            mime_type: Some("text/plain; charset=utf-8"),
            content_hint: "a CMSDocument2sign",
            ocsp_response: None,
        }
    }

    /// Signs as the service does: digest out, raw signature in.
    pub fn sign(&self, request: &SigningRequest<'_>) -> Vec<u8> {
        let unsigned = prepare(request).unwrap();
        let raw = self.key.sign_digest(unsigned.digest());
        unsigned.finish(&raw).unwrap()
    }
}

pub fn anchors(certificates: &[&[u8]]) -> TrustAnchors {
    let mut anchors = TrustAnchors::default();
    for certificate in certificates {
        anchors.add(certificate).unwrap();
    }
    anchors
}

/// One DER element around the joined parts.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = body.len();
    let header = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ if length <= 0xffff => vec![tag, 0x82, (length >> 8) as u8, length as u8],
        _ => vec![tag, 0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8],
    };
    [header, body].concat()
}

/// OBJECT IDENTIFIER from its dotted form.
pub fn oid(dotted: &str) -> Vec<u8> {
    tlv(0x06, &[const_oid::ObjectIdentifier::new_unwrap(dotted).as_bytes()])
}
