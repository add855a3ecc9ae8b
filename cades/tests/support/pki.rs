//! Certificates in the shape of professional cards, every part of which a test can bend.

use time::OffsetDateTime;
use time::macros::datetime;

use super::keys::Key;
use super::{oid, tlv};

pub const CA_NAME: &str = "Test QES CA";
pub const SERIAL: [u8; 4] = [0x41, 0x02, 0x03, 0x04];

/// One end-entity certificate.
pub struct CertificateSpec {
    pub not_before: OffsetDateTime,
    pub not_after: OffsetDateTime,
    pub issuer: String,
    pub ca: bool,
    /// Content of the keyUsage BIT STRING, or no such extension.
    pub key_usage: Option<[u8; 2]>,
    pub qc_compliance: bool,
    pub profession: &'static str,
    pub registration_number: Option<&'static str>,
    /// Overrides the issuer's key identifier.
    pub authority_key: Option<Vec<u8>>,
    /// Added as critical extension.
    pub strange_critical: Option<&'static str>,
    pub signed_with_pss: bool,
    /// Dotted OID of the validity model.
    pub validity_model: Option<&'static str>,
    pub certificate_policy: &'static str,
    /// Purposes in extKeyUsage; none: no such extension.
    pub purposes: Vec<&'static str>,
    /// commonName that stands alone in the subject, instead of the physician's names.
    pub common_name: Option<&'static str>,
    /// Address of an OCSP responder.
    pub ocsp: Option<&'static str>,
}

impl CertificateSpec {
    pub fn physician() -> CertificateSpec {
        CertificateSpec {
            not_before: datetime!(2026-01-01 0:00 UTC),
            not_after: datetime!(2030-12-31 23:59:59 UTC),
            issuer: CA_NAME.into(),
            ca: false,
            key_usage: Some([0x06, 0x40]),
            qc_compliance: true,
            profession: "1.2.276.0.76.4.30",
            registration_number: Some("1-TEST-0001"),
            authority_key: None,
            strange_critical: None,
            signed_with_pss: false,
            validity_model: None,
            certificate_policy: "1.2.276.0.76.4.72",
            purposes: Vec::new(),
            common_name: None,
            ocsp: None,
        }
    }

    pub fn issue(&self, key: &Key, ca_key: &Key) -> Vec<u8> {
        let validity = validity(self.not_before, self.not_after);
        let algorithm =
            if self.signed_with_pss { super::forge::pss() } else { ca_key.certificate_algorithm() };
        let body = tlv(
            0x30,
            &[
                &[0xa0, 3, 2, 1, 2],
                &tlv(0x02, &[&SERIAL]),
                &algorithm,
                &name(&self.issuer),
                &validity,
                &self.common_name.map_or_else(subject, name),
                &key.spki(),
                &tlv(0xa3, &[&tlv(0x30, &[&self.extensions(key, ca_key).concat()])]),
            ],
        );
        let signature = if self.signed_with_pss {
            ca_key.sign_certificate_with_pss(&body)
        } else {
            ca_key.sign_certificate(&body)
        };
        tlv(0x30, &[&body, &algorithm, &tlv(0x03, &[&[0], &signature])])
    }

    fn extensions(&self, key: &Key, ca_key: &Key) -> Vec<Vec<u8>> {
        let basic: &[u8] = if self.ca { &[0x01, 0x01, 0xff] } else { &[] };
        let authority = self.authority_key.clone().unwrap_or_else(|| ca_key.identifier());
        let mut extensions = vec![
            extension("2.5.29.19", true, &tlv(0x30, &[basic])),
            extension("2.5.29.14", false, &tlv(0x04, &[&key.identifier()])),
            extension("2.5.29.35", false, &tlv(0x30, &[&tlv(0x80, &[&authority])])),
            extension("2.5.29.32", false, &policies(&[self.certificate_policy, "0.4.0.194112.1.2"])),
            extension("1.3.36.8.3.3", false, &self.admission()),
        ];
        if let Some(usage) = self.key_usage {
            extensions.push(extension("2.5.29.15", true, &tlv(0x03, &[&usage])));
        }
        if self.qc_compliance {
            let statement = tlv(0x30, &[&oid("0.4.0.1862.1.1")]);
            let device = tlv(0x30, &[&oid("0.4.0.1862.1.4")]);
            extensions.push(extension("1.3.6.1.5.5.7.1.3", false, &tlv(0x30, &[&statement, &device])));
        }
        if let Some(model) = self.validity_model {
            extensions.push(extension("1.3.6.1.4.1.8301.3.5", false, &tlv(0x30, &[&oid(model)])));
        }
        if !self.purposes.is_empty() {
            let purposes: Vec<Vec<u8>> = self.purposes.iter().map(|purpose| oid(purpose)).collect();
            extensions.push(extension("2.5.29.37", false, &tlv(0x30, &[&purposes.concat()])));
        }
        if let Some(address) = self.ocsp {
            let location = tlv(0x86, &[address.as_bytes()]);
            let access = tlv(0x30, &[&oid("1.3.6.1.5.5.7.48.1"), &location]);
            extensions.push(extension("1.3.6.1.5.5.7.1.1", false, &tlv(0x30, &[&access])));
        }
        if let Some(strange) = self.strange_critical {
            extensions.push(extension(strange, true, &[0x05, 0x00]));
        }
        extensions
    }

    fn admission(&self) -> Vec<u8> {
        let items = tlv(0x30, &[&tlv(0x0c, &["Ärztin/Arzt".as_bytes()])]);
        let oids = tlv(0x30, &[&oid(self.profession)]);
        let number = self.registration_number.map(|text| tlv(0x13, &[text.as_bytes()]));
        let info = tlv(0x30, &[&items, &oids, &number.unwrap_or_default()]);
        let authority = tlv(0xa4, &[&name("Test chamber")]);
        let contents = tlv(0x30, &[&tlv(0x30, &[&tlv(0x30, &[&info])])]);
        tlv(0x30, &[&authority, &contents])
    }
}

/// A CA certificate valid from 2020 to 2039.
pub fn self_signed(key: &Key) -> Vec<u8> {
    ca(key, datetime!(2020-01-01 0:00 UTC), datetime!(2039-12-31 0:00 UTC), true)
}

/// A CA certificate with another validity, or with basicConstraints that say it is none.
pub fn ca(key: &Key, not_before: OffsetDateTime, not_after: OffsetDateTime, is_ca: bool) -> Vec<u8> {
    let basic: &[u8] = if is_ca { &[0x01, 0x01, 0xff] } else { &[] };
    let extensions = [
        extension("2.5.29.19", true, &tlv(0x30, &[basic])),
        extension("2.5.29.15", true, &[0x03, 0x02, 0x01, 0x06]),
        extension("2.5.29.14", false, &tlv(0x04, &[&key.identifier()])),
    ];
    let body = tlv(
        0x30,
        &[
            &[0xa0, 3, 2, 1, 2],
            &[0x02, 1, 1],
            &key.certificate_algorithm(),
            &name(CA_NAME),
            &validity(not_before, not_after),
            &name(CA_NAME),
            &key.spki(),
            &tlv(0xa3, &[&tlv(0x30, &[&extensions.concat()])]),
        ],
    );
    let signature = key.sign_certificate(&body);
    tlv(0x30, &[&body, &key.certificate_algorithm(), &tlv(0x03, &[&[0], &signature])])
}

/// A Name of country and commonName.
pub fn name(common_name: &str) -> Vec<u8> {
    let country = tlv(0x30, &[&oid("2.5.4.6"), &tlv(0x13, &[b"DE"])]);
    let common = tlv(0x30, &[&oid("2.5.4.3"), &tlv(0x0c, &[common_name.as_bytes()])]);
    tlv(0x30, &[&tlv(0x31, &[&country]), &tlv(0x31, &[&common])])
}

/// One multi-valued RDN, as on professional cards.
fn subject() -> Vec<u8> {
    let mut parts = [
        tlv(0x30, &[&oid("2.5.4.3"), &tlv(0x0c, &[b"Ada Beispiel"])]),
        tlv(0x30, &[&oid("2.5.4.4"), &tlv(0x0c, &[b"Beispiel"])]),
        tlv(0x30, &[&oid("2.5.4.42"), &tlv(0x0c, &[b"Ada"])]),
    ];
    parts.sort();
    tlv(0x30, &[&tlv(0x31, &[&parts.concat()])])
}

pub fn extension(id: &str, critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    tlv(0x30, &[&oid(id), critical, &tlv(0x04, &[value])])
}

fn policies(ids: &[&str]) -> Vec<u8> {
    let policies: Vec<Vec<u8>> = ids.iter().map(|id| tlv(0x30, &[&oid(id)])).collect();
    tlv(0x30, &[&policies.concat()])
}

fn validity(from: OffsetDateTime, to: OffsetDateTime) -> Vec<u8> {
    tlv(0x30, &[&utc_time(from), &utc_time(to)])
}

/// UTCTime.
pub fn utc_time(t: OffsetDateTime) -> Vec<u8> {
    tlv(0x17, &[digits(t).split_at(2).1.as_bytes()])
}

/// GeneralizedTime.
pub fn generalized_time(t: OffsetDateTime) -> Vec<u8> {
    tlv(0x18, &[digits(t).as_bytes()])
}

fn digits(t: OffsetDateTime) -> String {
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}Z",
        t.year(),
        u8::from(t.month()),
        t.day(),
        t.hour(),
        t.minute(),
        t.second()
    )
}
