//! An X.509 certificate (RFC 5280) as a verifier needs it: the parts that are compared or hashed as the bytes
//! they came in, the parts that are judged as values.
//!
//! Names are compared as DER bytes: subjects of professional cards are multi-valued RDNs, and their issuers
//! copy names without change.

use std::fmt;

use der::Decode;
use der::asn1::{AnyRef, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use thiserror::Error;
use time::OffsetDateTime;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use crate::key::{KeyError, PublicKey};
use crate::moment;
use crate::oid::{self, Oid};
use crate::tlv::{Element, TlvError, tag};

/// A certificate that could be read. Whether its key is usable shows when it is used.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) der: Vec<u8>,
    /// Issuer Name, DER.
    pub(crate) issuer: Vec<u8>,
    /// Subject Name, DER.
    pub(crate) subject: Vec<u8>,
    /// Content of the serialNumber INTEGER.
    pub(crate) serial: Vec<u8>,
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) is_ca: bool,
    pub(crate) subject_key_identifier: Option<Vec<u8>>,
    pub(crate) authority_key_identifier: Option<Vec<u8>>,
    pub(crate) extensions: Vec<Extension>,
    signed: Vec<u8>,
    signature_algorithm: Vec<u8>,
    signature: Vec<u8>,
    public_key: Vec<u8>,
}

/// One extension, its value undecoded.
#[derive(Debug, Clone)]
pub(crate) struct Extension {
    pub(crate) oid: Oid,
    pub(crate) critical: bool,
    pub(crate) value: Vec<u8>,
}

/// Why a certificate could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CertificateError {
    #[error("{0}")]
    Structure(#[from] TlvError),
    #[error("{0}")]
    Content(#[from] der::Error),
    #[error("the signature algorithm inside differs from the one outside")]
    AlgorithmsDiffer,
    #[error("the signature is not a whole number of bytes")]
    SignatureBits,
    #[error("validity outside the supported range of years")]
    Validity,
    #[error("extension {0} occurs twice")]
    RepeatedExtension(Oid),
}

/// Names and numbers of a person stay out.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl Certificate {
    pub(crate) fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        let parsed = x509_cert::Certificate::from_der(der)?;
        let mut outer = Element::only(tag::SEQUENCE, der)?.elements();
        let signed = outer.expect(tag::SEQUENCE)?;
        let signature_algorithm = outer.expect(tag::SEQUENCE)?;

        let mut fields = signed.elements();
        fields.optional(tag::CONTEXT_0)?;
        let serial = fields.expect(tag::INTEGER)?;
        let inner_algorithm = fields.expect(tag::SEQUENCE)?;
        let issuer = fields.expect(tag::SEQUENCE)?;
        fields.expect(tag::SEQUENCE)?;
        let subject = fields.expect(tag::SEQUENCE)?;
        let public_key = fields.expect(tag::SEQUENCE)?;
        if inner_algorithm.raw != signature_algorithm.raw {
            return Err(CertificateError::AlgorithmsDiffer);
        }

        let body = parsed.tbs_certificate();
        let extensions = extensions(body)?;
        let basic: Option<BasicConstraints> = decode(&extensions, oid::BASIC_CONSTRAINTS)?;
        let authority: Option<AuthorityKeyIdentifier> = decode(&extensions, oid::AUTHORITY_KEY_IDENTIFIER)?;
        let subject_key: Option<SubjectKeyIdentifier> = decode(&extensions, oid::SUBJECT_KEY_IDENTIFIER)?;
        Ok(Certificate {
            der: der.to_vec(),
            issuer: issuer.raw.to_vec(),
            subject: subject.raw.to_vec(),
            serial: serial.body.to_vec(),
            not_before: instant(body.validity().not_before)?,
            not_after: instant(body.validity().not_after)?,
            key_usage: decode(&extensions, oid::KEY_USAGE)?,
            is_ca: basic.as_ref().is_some_and(|basic| basic.ca),
            subject_key_identifier: subject_key.map(|id| id.0.as_bytes().to_vec()),
            authority_key_identifier: authority
                .and_then(|id| id.key_identifier)
                .map(|id| id.as_bytes().to_vec()),
            extensions,
            signed: signed.raw.to_vec(),
            signature_algorithm: signature_algorithm.raw.to_vec(),
            signature: parsed.signature().as_bytes().ok_or(CertificateError::SignatureBits)?.to_vec(),
            public_key: public_key.raw.to_vec(),
        })
    }

    pub(crate) fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_spki(&self.public_key)
    }

    /// Content of the subjectPublicKey BIT STRING: what OCSP hashes (RFC 6960 clause 4.1.1).
    pub(crate) fn public_key_bits(&self) -> &[u8] {
        let bits = Element::only(tag::SEQUENCE, &self.public_key).and_then(|spki| {
            let mut fields = spki.elements();
            fields.expect(tag::SEQUENCE)?;
            fields.expect(tag::BIT_STRING)
        });
        bits.ok().and_then(|bits| bits.body.get(1..)).unwrap_or_default()
    }

    /// Purposes in the extension extKeyUsage; none when it is missing or damaged.
    pub(crate) fn extended_key_usages(&self) -> Vec<Oid> {
        let usages = self.extension(oid::EXTENDED_KEY_USAGE);
        let usages = usages.and_then(|value| ExtendedKeyUsage::from_der(value).ok());
        usages.map(|usages| usages.0).unwrap_or_default()
    }

    /// What its issuer made: algorithm, signed bytes, signature value.
    pub(crate) fn proof(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.signature_algorithm, &self.signed, &self.signature)
    }

    /// The SubjectPublicKeyInfo, DER.
    pub(crate) fn key_info(&self) -> &[u8] {
        &self.public_key
    }

    /// Both ends belong to the validity (RFC 5280 clause 4.1.2.5).
    pub(crate) fn is_valid_at(&self, instant: OffsetDateTime) -> bool {
        (self.not_before..=self.not_after).contains(&instant)
    }

    pub(crate) fn extension(&self, oid: Oid) -> Option<&[u8]> {
        self.extensions.iter().find(|extension| extension.oid == oid).map(|found| &found.value[..])
    }
}

/// First commonName of a Name (DER).
pub(crate) fn common_name(name: &[u8]) -> Option<String> {
    let name = Name::from_der(name).ok()?;
    name.iter()
        .find(|attribute| attribute.oid == oid::COMMON_NAME)
        .and_then(|attribute| text(AnyRef::from(&attribute.value)))
}

/// A DirectoryString (RFC 5280 appendix A) in one of the forms that are in use.
fn text(value: AnyRef<'_>) -> Option<String> {
    if let Ok(text) = value.decode_as::<Utf8StringRef<'_>>() {
        return Some(text.as_str().to_owned());
    }
    if let Ok(text) = value.decode_as::<PrintableStringRef<'_>>() {
        return Some(text.as_str().to_owned());
    }
    value.decode_as::<TeletexStringRef<'_>>().ok().map(|text| text.as_str().to_owned())
}

fn extensions(body: &x509_cert::TbsCertificate) -> Result<Vec<Extension>, CertificateError> {
    let mut extensions: Vec<Extension> = Vec::new();
    for extension in body.extensions().into_iter().flatten() {
        if extensions.iter().any(|earlier| earlier.oid == extension.extn_id) {
            return Err(CertificateError::RepeatedExtension(extension.extn_id));
        }
        extensions.push(Extension {
            oid: extension.extn_id,
            critical: extension.critical,
            value: extension.extn_value.as_bytes().to_vec(),
        });
    }
    Ok(extensions)
}

fn decode<'a, T: Decode<'a, Error = der::Error>>(
    extensions: &'a [Extension],
    oid: Oid,
) -> Result<Option<T>, CertificateError> {
    let found = extensions.iter().find(|extension| extension.oid == oid);
    Ok(found.map(|extension| T::from_der(&extension.value)).transpose()?)
}

fn instant(time: x509_cert::time::Time) -> Result<OffsetDateTime, CertificateError> {
    moment::since_epoch(time.to_unix_duration()).ok_or(CertificateError::Validity)
}
