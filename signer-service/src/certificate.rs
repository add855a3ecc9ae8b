//! What the service needs to know of an X.509 certificate (RFC 5280) to choose it, to show it and to record it.
//! Whether a signature by it is any good is the business of `cades`.

use std::fmt;

use proto::v1;
use time::OffsetDateTime;
use x509_cert::{
    der::{
        Decode,
        asn1::{AnyRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef},
    },
    ext::pkix::{CertificatePolicies, KeyUsage},
    name::Name,
    spki::SubjectPublicKeyInfoOwned,
};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
/// Curves by their usual names (RFC 5480, RFC 5639).
const CURVES: [(&str, &str); 4] = [
    ("1.2.840.10045.3.1.7", "P-256"),
    ("1.3.132.0.34", "P-384"),
    ("1.3.132.0.35", "P-521"),
    ("1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1"),
];

/// Facts about one certificate. The subject is a person: `Debug` shows the issuer's side only.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate itself.
    pub der: Vec<u8>,
    /// Common name of the subject; empty if it has none.
    pub subject: String,
    /// Issuer as RFC 4514 text.
    pub issuer: String,
    /// Serial number, lower-case hexadecimal.
    pub serial: String,
    /// Begin of validity.
    pub not_before: OffsetDateTime,
    /// End of validity.
    pub not_after: OffsetDateTime,
    /// Kind of key.
    pub key: KeyKind,
    /// What the key may be used for; `None` without the extension.
    pub usage: Option<Usage>,
    /// Policy identifiers, dotted.
    pub policies: Vec<String>,
    /// Professions of the holder, dotted ([`cades::professions`]).
    pub professions: Vec<String>,
}

/// Kind of a public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyKind {
    /// Elliptic curve, with its name.
    Ec(String),
    /// RSA, with the size of the modulus in bits.
    Rsa(usize),
    /// Another algorithm, dotted.
    Other(String),
}

/// The bits of keyUsage (RFC 5280 clause 4.2.1.3) that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// nonRepudiation: signatures of documents.
    pub document_signature: bool,
    /// digitalSignature: authentication.
    pub authentication: bool,
    /// keyEncipherment or keyAgreement.
    pub encryption: bool,
}

impl Certificate {
    /// Reads a certificate.
    ///
    /// # Errors
    /// The bytes are no certificate, or one with a time no clock reaches.
    pub fn parse(der: &[u8]) -> Result<Certificate, x509_cert::der::Error> {
        let parsed = x509_cert::Certificate::from_der(der)?;
        let body = parsed.tbs_certificate();
        Ok(Certificate {
            der: der.to_vec(),
            subject: common_name(body.subject()).unwrap_or_default(),
            issuer: body.issuer().to_string(),
            serial: hex::encode(body.serial_number().as_bytes()),
            not_before: instant(body.validity().not_before)?,
            not_after: instant(body.validity().not_after)?,
            key: key_kind(body.subject_public_key_info()),
            usage: body.get_extension::<KeyUsage>()?.map(|(_, usage)| Usage {
                document_signature: usage.non_repudiation(),
                authentication: usage.digital_signature(),
                encryption: usage.key_encipherment() || usage.key_agreement(),
            }),
            policies: body
                .get_extension::<CertificatePolicies>()?
                .map(|(_, policies)| {
                    policies.0.iter().map(|policy| policy.policy_identifier.to_string()).collect()
                })
                .unwrap_or_default(),
            professions: cades::professions(der),
        })
    }

    /// A certificate of nobody.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Certificate {
        Certificate {
            der: Vec::new(),
            subject: String::new(),
            issuer: String::new(),
            serial: String::new(),
            not_before: OffsetDateTime::UNIX_EPOCH,
            not_after: OffsetDateTime::UNIX_EPOCH,
            key: KeyKind::Rsa(2048),
            usage: None,
            policies: Vec::new(),
            professions: Vec::new(),
        }
    }

    /// The main purpose by key usage.
    pub fn purpose(&self) -> v1::KeyPurpose {
        match self.usage {
            Some(Usage { document_signature: true, .. }) => v1::KeyPurpose::Signature,
            Some(Usage { authentication: true, .. }) => v1::KeyPurpose::Authentication,
            Some(Usage { encryption: true, .. }) => v1::KeyPurpose::Encryption,
            _ => v1::KeyPurpose::Unspecified,
        }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("issuer", &self.issuer)
            .field("key", &self.key)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KeyKind::Ec(curve) => write!(f, "EC {curve}"),
            KeyKind::Rsa(bits) => write!(f, "RSA {bits}"),
            KeyKind::Other(oid) => f.write_str(oid),
        }
    }
}

fn common_name(name: &Name) -> Option<String> {
    let attribute = name.iter().find(|attribute| attribute.oid == COMMON_NAME)?;
    let value = AnyRef::from(&attribute.value);
    if let Ok(text) = value.decode_as::<Utf8StringRef<'_>>() {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = value.decode_as::<PrintableStringRef<'_>>() {
        return Some(text.as_str().to_owned());
    }
    value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned())
}

fn key_kind(key: &SubjectPublicKeyInfoOwned) -> KeyKind {
    match key.algorithm.oid {
        EC_PUBLIC_KEY => {
            let oid =
                key.algorithm.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
            let oid = oid.map(|oid| oid.to_string()).unwrap_or_else(|| "of its own parameters".to_owned());
            let name = CURVES.iter().find(|(known, _)| *known == oid).map(|(_, name)| (*name).to_owned());
            KeyKind::Ec(name.unwrap_or(oid))
        }
        RSA_ENCRYPTION => KeyKind::Rsa(rsa_bits(key).unwrap_or(0)),
        other => KeyKind::Other(other.to_string()),
    }
}

/// Size of the modulus in RSAPublicKey (RFC 8017 appendix A.1.1).
fn rsa_bits(key: &SubjectPublicKeyInfoOwned) -> Option<usize> {
    use x509_cert::der::{Reader, SliceReader, asn1::UintRef};
    let bytes = key.subject_public_key.as_bytes()?;
    let mut reader = SliceReader::new(bytes).ok()?;
    let modulus = reader
        .sequence(|inner| -> Result<usize, x509_cert::der::Error> {
            let modulus = UintRef::decode(inner)?;
            UintRef::decode(inner)?;
            let first = modulus.as_bytes().first().copied().unwrap_or(0);
            Ok((modulus.as_bytes().len() * 8).saturating_sub(first.leading_zeros() as usize))
        })
        .ok()?;
    Some(modulus)
}

fn instant(time: x509_cert::time::Time) -> Result<OffsetDateTime, x509_cert::der::Error> {
    let out_of_range = || x509_cert::der::ErrorKind::DateTime.into();
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).map_err(|_| out_of_range())?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| out_of_range())
}
