//! A CMS written field by field, so that a test can bend one of them and sign the result properly.

use sha2::{Digest, Sha256};

use super::pki::{CA_NAME, SERIAL, name, utc_time};
use super::{CONTENT, Person, SIGNED_AT, oid, tlv};

pub const CONTENT_TYPE: &str = "1.2.840.113549.1.9.3";
pub const SIGNING_TIME: &str = "1.2.840.113549.1.9.5";
pub const MESSAGE_DIGEST: &str = "1.2.840.113549.1.9.4";
pub const PROTECTION: &str = "1.2.840.113549.1.9.52";
pub const SIGNING_CERTIFICATE: &str = "1.2.840.113549.1.9.16.2.12";
pub const SIGNING_CERTIFICATE_V2: &str = "1.2.840.113549.1.9.16.2.47";
pub const SIGNED_DATA: &str = "1.2.840.113549.1.7.2";
pub const DATA: &str = "1.2.840.113549.1.7.1";

/// What goes into the CMS. [`Forge::of`] gives a good one, made with SHA-256 and ECDSA.
pub struct Forge<'a> {
    pub person: &'a Person,
    pub version: u8,
    pub content: Vec<u8>,
    pub content_type: &'static str,
    /// Type and SET content; written in DER order unless `shuffled`.
    pub attributes: Vec<(&'static str, Vec<u8>)>,
    pub without_attributes: bool,
    pub shuffled: bool,
    pub signer_infos: usize,
    pub certificates: Vec<Vec<u8>>,
    pub crls: Vec<u8>,
    pub unsigned_attributes: Vec<u8>,
    /// BER: indefinite lengths around, the content in segments of this size.
    pub segments: Option<usize>,
    pub signature_algorithm: Vec<u8>,
}

impl<'a> Forge<'a> {
    pub fn of(person: &'a Person) -> Forge<'a> {
        Forge {
            person,
            version: 1,
            content: CONTENT.to_vec(),
            content_type: DATA,
            attributes: vec![
                (CONTENT_TYPE, oid(DATA)),
                (SIGNING_TIME, utc_time(SIGNED_AT)),
                (MESSAGE_DIGEST, tlv(0x04, &[&Sha256::digest(CONTENT)])),
                (PROTECTION, tlv(0x30, &[&sha256(), &retag(0xa1, &ecdsa_sha256())])),
                (SIGNING_CERTIFICATE_V2, ess(&person.certificate)),
            ],
            without_attributes: false,
            shuffled: false,
            signer_infos: 1,
            certificates: vec![person.certificate.clone()],
            crls: Vec::new(),
            unsigned_attributes: Vec::new(),
            segments: None,
            signature_algorithm: ecdsa_sha256(),
        }
    }

    /// Replaces the SET content of an attribute.
    pub fn set(mut self, kind: &'static str, values: Vec<u8>) -> Self {
        self.attributes.retain(|(found, _)| *found != kind);
        self.attributes.push((kind, values));
        self
    }

    pub fn without(mut self, kind: &str) -> Self {
        self.attributes.retain(|(found, _)| *found != kind);
        self
    }

    pub fn build(&self) -> Vec<u8> {
        let signer_info = self.signer_info();
        let signer_infos = tlv(0x31, &[&signer_info.repeat(self.signer_infos)]);
        let certificates = self.certificates.concat();
        let head = [vec![2, 1, self.version], tlv(0x31, &[&sha256()])].concat();
        let Some(size) = self.segments else {
            let content = tlv(0x30, &[&oid(self.content_type), &tlv(0xa0, &[&tlv(0x04, &[&self.content])])]);
            let data = tlv(0x30, &[&head, &content, &tlv(0xa0, &[&certificates]), &self.crls, &signer_infos]);
            return tlv(0x30, &[&oid(SIGNED_DATA), &tlv(0xa0, &[&data])]);
        };
        let segments: Vec<Vec<u8>> = self.content.chunks(size).map(|chunk| tlv(0x04, &[chunk])).collect();
        let octets = open(0x24, &segments.concat());
        let content = open(0x30, &[oid(self.content_type), open(0xa0, &octets)].concat());
        let data = [head, content, open(0xa0, &certificates), self.crls.clone(), signer_infos].concat();
        open(0x30, &[oid(SIGNED_DATA), open(0xa0, &open(0x30, &data))].concat())
    }

    fn signer_info(&self) -> Vec<u8> {
        let mut attributes: Vec<Vec<u8>> = self
            .attributes
            .iter()
            .map(|(kind, values)| tlv(0x30, &[&oid(kind), &tlv(0x31, &[values])]))
            .collect();
        attributes.sort();
        if self.shuffled {
            attributes.reverse();
        }
        let attributes = attributes.concat();
        let (signed, field) = if self.without_attributes {
            (self.content.clone(), Vec::new())
        } else {
            (tlv(0x31, &[&attributes]), tlv(0xa0, &[&attributes]))
        };
        tlv(
            0x30,
            &[
                &[2, 1, 1],
                &tlv(0x30, &[&name(CA_NAME), &tlv(0x02, &[&SERIAL])]),
                &sha256(),
                &field,
                &self.signature_algorithm,
                &tlv(0x04, &[&self.person.key.sign_certificate(&signed)]),
                &self.unsigned_attributes,
            ],
        )
    }
}

pub fn sha256() -> Vec<u8> {
    tlv(0x30, &[&oid("2.16.840.1.101.3.4.2.1"), &[5, 0]])
}

pub fn sha384() -> Vec<u8> {
    tlv(0x30, &[&oid("2.16.840.1.101.3.4.2.2"), &[5, 0]])
}

pub fn ecdsa_sha256() -> Vec<u8> {
    tlv(0x30, &[&oid("1.2.840.10045.4.3.2")])
}

/// RSASSA-PSS with SHA-256 and salt 32.
pub fn pss() -> Vec<u8> {
    let mask = tlv(0x30, &[&oid("1.2.840.113549.1.1.8"), &sha256()]);
    let salt = tlv(0xa2, &[&[2, 1, 32]]);
    let parameters = tlv(0x30, &[&tlv(0xa0, &[&sha256()]), &tlv(0xa1, &[&mask]), &salt]);
    tlv(0x30, &[&oid("1.2.840.113549.1.1.10"), &parameters])
}

/// SigningCertificateV2 for a certificate of the test CA.
pub fn ess(certificate: &[u8]) -> Vec<u8> {
    ess_with(certificate, &SERIAL)
}

/// The same with another serial number in issuerSerial.
pub fn ess_with(certificate: &[u8], serial: &[u8]) -> Vec<u8> {
    let issuer = tlv(0x30, &[&tlv(0xa4, &[&name(CA_NAME)])]);
    let issuer_serial = tlv(0x30, &[&issuer, &tlv(0x02, &[serial])]);
    let id = tlv(0x30, &[&tlv(0x04, &[&Sha256::digest(certificate)]), &issuer_serial]);
    tlv(0x30, &[&tlv(0x30, &[&id])])
}

pub fn retag(tag: u8, element: &[u8]) -> Vec<u8> {
    [&[tag], &element[1..]].concat()
}

fn open(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], body, &[0, 0]].concat()
}
