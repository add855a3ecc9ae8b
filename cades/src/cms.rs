//! SignedData (RFC 5652) as slices of its DER form.

use crate::oid::{self, Oid};
use crate::tlv::{Element, Elements, TlvError, tag};
use crate::verify::ParseError;

/// The fields of SignedData, clause 5.1.
#[derive(Debug)]
pub(crate) struct SignedData<'a> {
    /// Content of the version INTEGER.
    pub(crate) version: &'a [u8],
    /// AlgorithmIdentifiers.
    pub(crate) digest_algorithms: Vec<Element<'a>>,
    /// Content of the eContentType OBJECT IDENTIFIER.
    pub(crate) content_type: &'a [u8],
    pub(crate) content: &'a [u8],
    /// CertificateChoices.
    pub(crate) certificates: Vec<Element<'a>>,
    /// RevocationInfoChoices.
    pub(crate) revocation: Vec<Element<'a>>,
    pub(crate) signer_infos: Vec<Element<'a>>,
}

/// The fields of SignerInfo, clause 5.3.
#[derive(Debug)]
pub(crate) struct SignerInfo<'a> {
    /// Content of the version INTEGER.
    pub(crate) version: &'a [u8],
    pub(crate) signer: SignerIdentifier<'a>,
    /// AlgorithmIdentifier, DER.
    pub(crate) digest_algorithm: &'a [u8],
    /// `[0] IMPLICIT` SET OF Attribute.
    pub(crate) signed_attributes: Option<Element<'a>>,
    /// AlgorithmIdentifier, DER.
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) has_unsigned_attributes: bool,
}

/// Which certificate signed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SignerIdentifier<'a> {
    /// Name (DER) and content of the serial number INTEGER.
    IssuerAndSerial {
        issuer: &'a [u8],
        serial: &'a [u8],
    },
    KeyIdentifier(&'a [u8]),
}

impl<'a> SignedData<'a> {
    /// Reads ContentInfo and the SignedData in it.
    pub(crate) fn read(der: &'a [u8]) -> Result<SignedData<'a>, ParseError> {
        let mut content_info = Element::only(tag::SEQUENCE, der)?.elements();
        if content_info.expect(tag::OID)?.body != oid::ID_SIGNED_DATA.as_bytes() {
            return Err(ParseError::NotSignedData);
        }
        let explicit = content_info.expect(tag::CONTEXT_0)?;
        content_info.finish()?;
        let mut fields = Element::only(tag::SEQUENCE, explicit.body)?.elements();
        let version = fields.expect(tag::INTEGER)?.body;
        let digest_algorithms = fields.expect(tag::SET)?.elements().all()?;
        let mut encapsulated = fields.expect(tag::SEQUENCE)?.elements();
        let content_type = encapsulated.expect(tag::OID)?.body;
        let content = encapsulated.optional(tag::CONTEXT_0)?.ok_or(ParseError::Detached)?;
        encapsulated.finish()?;
        let content = Element::only(tag::OCTET_STRING, content.body)?.body;
        let certificates = optional_set(&mut fields, tag::CONTEXT_0)?;
        let revocation = optional_set(&mut fields, tag::CONTEXT_1)?;
        let signer_infos = fields.expect(tag::SET)?.elements().all()?;
        fields.finish()?;
        Ok(SignedData {
            version,
            digest_algorithms,
            content_type,
            content,
            certificates,
            revocation,
            signer_infos,
        })
    }
}

impl<'a> SignerInfo<'a> {
    pub(crate) fn read(element: Element<'a>) -> Result<SignerInfo<'a>, TlvError> {
        let mut fields = Elements::new(element.raw).expect(tag::SEQUENCE)?.elements();
        let version = fields.expect(tag::INTEGER)?.body;
        let signer = match fields.optional(tag::CONTEXT_0_PRIMITIVE)? {
            Some(key) => SignerIdentifier::KeyIdentifier(key.body),
            None => {
                let mut names = fields.expect(tag::SEQUENCE)?.elements();
                let issuer = names.expect(tag::SEQUENCE)?.raw;
                let serial = names.expect(tag::INTEGER)?.body;
                names.finish()?;
                SignerIdentifier::IssuerAndSerial { issuer, serial }
            }
        };
        let digest_algorithm = fields.expect(tag::SEQUENCE)?.raw;
        let signed_attributes = fields.optional(tag::CONTEXT_0)?;
        let signature_algorithm = fields.expect(tag::SEQUENCE)?.raw;
        let signature = fields.expect(tag::OCTET_STRING)?.body;
        let has_unsigned_attributes = fields.optional(tag::CONTEXT_1)?.is_some();
        fields.finish()?;
        Ok(SignerInfo {
            version,
            signer,
            digest_algorithm,
            signed_attributes,
            signature_algorithm,
            signature,
            has_unsigned_attributes,
        })
    }
}

/// The OCSPResponse in a RevocationInfoChoice: `[1]` other, id-ri-ocsp-response (RFC 5940 clause 2). `None`
/// for a CRL or another format.
pub(crate) fn ocsp_response<'a>(choice: Element<'a>) -> Option<&'a [u8]> {
    if choice.tag != tag::CONTEXT_1 {
        return None;
    }
    let mut fields = choice.elements();
    let format = fields.expect(tag::OID).ok()?;
    let response = fields.expect(tag::SEQUENCE).ok()?;
    fields.finish().ok()?;
    (Oid::from_bytes(format.body) == Ok(oid::ID_RI_OCSP_RESPONSE)).then_some(response.raw)
}

fn optional_set<'a>(fields: &mut Elements<'a>, tag: u8) -> Result<Vec<Element<'a>>, TlvError> {
    fields.optional(tag)?.map_or(Ok(Vec::new()), |set| set.elements().all())
}
