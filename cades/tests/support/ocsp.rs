//! OCSP answers by hand, every part of which a test can bend.

use sha1::Sha1;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::forge::sha256;
use super::keys::Key;
use super::pki::{CA_NAME, CertificateSpec, SERIAL, extension, generalized_time, name};
use super::{Person, SIGNED_AT, oid, tlv};

const OCSP_SIGNING: &str = "1.3.6.1.5.5.7.3.9";

/// An answer of a responder that the person's issuer certified.
pub struct Answer {
    pub status: Vec<u8>,
    pub produced_at: OffsetDateTime,
    pub this_update: OffsetDateTime,
    pub next_update: Option<OffsetDateTime>,
    pub serial: Vec<u8>,
    /// What CertHash is made of; none: no such extension.
    pub hashed: Option<Vec<u8>>,
    pub nonce: Option<Vec<u8>>,
    pub responder: Responder,
    pub response_status: u8,
    pub ca_key: Key,
}

/// Who signs.
pub struct Responder {
    pub key: Key,
    /// Included in the answer; none: nothing is included.
    pub certificate: Option<Vec<u8>>,
    /// ResponderID, tag included.
    pub id: Vec<u8>,
}

pub fn good() -> Vec<u8> {
    vec![0x80, 0]
}

pub fn unknown() -> Vec<u8> {
    vec![0x82, 0]
}

/// Revoked with reason keyCompromise.
pub fn revoked(at: OffsetDateTime) -> Vec<u8> {
    tlv(0xa1, &[&generalized_time(at), &tlv(0xa0, &[&[0x0a, 1, 1]])])
}

impl Responder {
    /// With a certificate of this issuer, bent by `change`.
    pub fn of(ca_key: &Key, change: impl FnOnce(&mut CertificateSpec)) -> Responder {
        let key = Key::brainpool();
        let mut spec = CertificateSpec::physician();
        spec.common_name = Some("Test OCSP");
        spec.purposes = vec![OCSP_SIGNING];
        change(&mut spec);
        let certificate = spec.issue(&key, ca_key);
        Responder { key, certificate: Some(certificate), id: tlv(0xa1, &[&name("Test OCSP")]) }
    }

    /// The issuer itself, named by its key.
    pub fn issuer(ca_key: &Key) -> Responder {
        let id = tlv(0xa2, &[&tlv(0x04, &[&Sha1::digest(key_bits(ca_key))])]);
        Responder { key: ca_key.clone(), certificate: None, id }
    }
}

impl Answer {
    /// Good, produced when the tests sign.
    pub fn good(person: &Person) -> Answer {
        Answer {
            status: good(),
            produced_at: SIGNED_AT,
            this_update: SIGNED_AT,
            next_update: None,
            serial: SERIAL.to_vec(),
            hashed: Some(person.certificate.clone()),
            nonce: None,
            responder: Responder::of(&person.ca_key, |_| {}),
            response_status: 0,
            ca_key: person.ca_key.clone(),
        }
    }

    /// OCSPResponse, DER.
    pub fn build(&self) -> Vec<u8> {
        if self.response_status != 0 {
            return tlv(0x30, &[&[0x0a, 1, self.response_status]]);
        }
        let data = self.response_data();
        let key = &self.responder.key;
        let certificates = self.responder.certificate.as_ref().map(|c| tlv(0xa0, &[&tlv(0x30, &[c])]));
        let signature = tlv(0x03, &[&[0], &key.sign_certificate(&data)]);
        let basic =
            tlv(0x30, &[&data, &key.certificate_algorithm(), &signature, &certificates.unwrap_or_default()]);
        let bytes = tlv(0x30, &[&oid("1.3.6.1.5.5.7.48.1.1"), &tlv(0x04, &[&basic])]);
        tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&bytes])])
    }

    fn response_data(&self) -> Vec<u8> {
        let nonce = self.nonce.as_ref().map(|nonce| {
            let extension = extension("1.3.6.1.5.5.7.48.1.2", false, &tlv(0x04, &[nonce]));
            tlv(0xa1, &[&tlv(0x30, &[&extension])])
        });
        let next = self.next_update.map(|next| tlv(0xa0, &[&generalized_time(next)]));
        let cert_hash = self.hashed.as_ref().map(|certificate| {
            let value = tlv(0x30, &[&sha256(), &tlv(0x04, &[&Sha256::digest(certificate)])]);
            tlv(0xa1, &[&tlv(0x30, &[&extension("1.3.36.8.3.13", false, &value)])])
        });
        let single = tlv(
            0x30,
            &[
                &self.certificate_id(),
                &self.status,
                &generalized_time(self.this_update),
                &next.unwrap_or_default(),
                &cert_hash.unwrap_or_default(),
            ],
        );
        let produced_at = generalized_time(self.produced_at);
        tlv(0x30, &[&self.responder.id, &produced_at, &tlv(0x30, &[&single]), &nonce.unwrap_or_default()])
    }

    fn certificate_id(&self) -> Vec<u8> {
        let sha1 = tlv(0x30, &[&oid("1.3.14.3.2.26"), &[5, 0]]);
        let name_hash = tlv(0x04, &[&Sha1::digest(name(CA_NAME))]);
        let key_hash = tlv(0x04, &[&Sha1::digest(key_bits(&self.ca_key))]);
        tlv(0x30, &[&sha1, &name_hash, &key_hash, &tlv(0x02, &[&self.serial])])
    }
}

/// Content of the subjectPublicKey BIT STRING: an uncompressed point of a 256-bit curve ends the structure.
fn key_bits(key: &Key) -> Vec<u8> {
    let spki = key.spki();
    spki[spki.len() - 65..].to_vec()
}
