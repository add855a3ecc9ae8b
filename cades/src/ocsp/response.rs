//! OCSPResponse (RFC 6960 clause 4.2.1) as slices of its DER form.

use time::OffsetDateTime;

use super::{OcspError, Status};
use crate::moment;
use crate::oid::{self, Oid};
use crate::tlv::{Element, Elements, TlvError, tag};

const ENUMERATED: u8 = 0x0a;
const BOOLEAN: u8 = 0x01;
/// certStatus: `[0]` NULL, `[1]` RevokedInfo, `[2]` NULL, all IMPLICIT.
const GOOD: u8 = 0x80;
const REVOKED: u8 = 0xa1;
const UNKNOWN: u8 = 0x82;
const CONTEXT_2: u8 = 0xa2;

/// BasicOCSPResponse with the fields that are judged.
pub(super) struct Response<'a> {
    /// ResponseData, DER: what is signed.
    pub(super) signed: &'a [u8],
    pub(super) responder: Responder<'a>,
    pub(super) produced_at: OffsetDateTime,
    pub(super) answers: Vec<SingleResponse<'a>>,
    pub(super) nonce: Option<&'a [u8]>,
    /// AlgorithmIdentifier, DER.
    pub(super) signature_algorithm: &'a [u8],
    pub(super) signature: &'a [u8],
    /// Certificates, DER.
    pub(super) certificates: Vec<&'a [u8]>,
}

/// ResponderID.
pub(super) enum Responder<'a> {
    /// Name, DER.
    Name(&'a [u8]),
    /// SHA-1 of the responder's public key.
    KeyHash(&'a [u8]),
}

pub(super) struct SingleResponse<'a> {
    pub(super) id: CertId<'a>,
    pub(super) status: Status,
    pub(super) this_update: OffsetDateTime,
    pub(super) next_update: Option<OffsetDateTime>,
    /// CertHash ::= SEQUENCE { hashAlgorithm, certificateHash }, DER.
    pub(super) cert_hash: Option<&'a [u8]>,
}

pub(super) struct CertId<'a> {
    /// Digest OBJECT IDENTIFIER, content.
    pub(super) digest: &'a [u8],
    pub(super) issuer_name_hash: &'a [u8],
    pub(super) issuer_key_hash: &'a [u8],
    /// Content of the serial number INTEGER.
    pub(super) serial: &'a [u8],
}

impl From<TlvError> for OcspError {
    fn from(error: TlvError) -> OcspError {
        OcspError::Malformed(error.to_string())
    }
}

impl<'a> Response<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Response<'a>, OcspError> {
        let mut outer = Element::only(tag::SEQUENCE, der)?.elements();
        let status = outer.expect(ENUMERATED)?.body;
        if let Some(refusal) = refusal(status) {
            return Err(OcspError::NotSuccessful(refusal));
        }
        let bytes = outer.expect(tag::CONTEXT_0)?;
        outer.finish()?;
        let mut bytes = Element::only(tag::SEQUENCE, bytes.body)?.elements();
        if bytes.expect(tag::OID)?.body != oid::OCSP_BASIC.as_bytes() {
            return Err(OcspError::NotBasic);
        }
        let basic = bytes.expect(tag::OCTET_STRING)?.body;
        bytes.finish()?;
        let mut basic = Element::only(tag::SEQUENCE, basic)?.elements();
        let data = basic.expect(tag::SEQUENCE)?;
        let signature_algorithm = basic.expect(tag::SEQUENCE)?.raw;
        let signature = whole_bytes(basic.expect(tag::BIT_STRING)?)?;
        let certificates = match basic.optional(tag::CONTEXT_0)? {
            Some(list) => Element::only(tag::SEQUENCE, list.body)?.elements().all()?,
            None => Vec::new(),
        };
        basic.finish()?;
        let certificates = certificates.into_iter().map(|certificate| certificate.raw).collect();
        ResponseData::read(data).map(|read| Response {
            signed: data.raw,
            responder: read.responder,
            produced_at: read.produced_at,
            answers: read.answers,
            nonce: read.nonce,
            signature_algorithm,
            signature,
            certificates,
        })
    }
}

struct ResponseData<'a> {
    responder: Responder<'a>,
    produced_at: OffsetDateTime,
    answers: Vec<SingleResponse<'a>>,
    nonce: Option<&'a [u8]>,
}

impl<'a> ResponseData<'a> {
    fn read(data: Element<'a>) -> Result<ResponseData<'a>, OcspError> {
        let mut fields = data.elements();
        fields.optional(tag::CONTEXT_0)?;
        let responder = match fields.optional(tag::CONTEXT_1)? {
            Some(name) => Responder::Name(Element::only(tag::SEQUENCE, name.body)?.raw),
            None => {
                let key = fields.expect(CONTEXT_2)?;
                Responder::KeyHash(Element::only(tag::OCTET_STRING, key.body)?.body)
            }
        };
        let produced_at = instant(fields.expect(tag::GENERALIZED_TIME)?)?;
        let answers = fields.expect(tag::SEQUENCE)?.elements().all()?;
        let answers = answers.into_iter().map(SingleResponse::read).collect::<Result<Vec<_>, _>>()?;
        let nonce = extension(&mut fields, oid::OCSP_NONCE)?;
        fields.finish()?;
        Ok(ResponseData { responder, produced_at, answers, nonce: nonce.map(unwrapped) })
    }
}

impl<'a> SingleResponse<'a> {
    fn read(element: Element<'a>) -> Result<SingleResponse<'a>, OcspError> {
        let mut fields = element.elements();
        let mut id = fields.expect(tag::SEQUENCE)?.elements();
        let id = CertId {
            digest: id.expect(tag::SEQUENCE)?.elements().expect(tag::OID)?.body,
            issuer_name_hash: id.expect(tag::OCTET_STRING)?.body,
            issuer_key_hash: id.expect(tag::OCTET_STRING)?.body,
            serial: id.expect(tag::INTEGER)?.body,
        };
        let status = fields.take()?.ok_or(TlvError::Missing { expected: GOOD })?;
        let status = match status.tag {
            GOOD => Status::Good,
            REVOKED => revoked(status)?,
            UNKNOWN => Status::Unknown,
            got => return Err(TlvError::Tag { expected: GOOD, got }.into()),
        };
        let this_update = instant(fields.expect(tag::GENERALIZED_TIME)?)?;
        let next_update = match fields.optional(tag::CONTEXT_0)? {
            Some(next) => Some(instant(Element::only(tag::GENERALIZED_TIME, next.body)?)?),
            None => None,
        };
        let cert_hash = extension(&mut fields, oid::CERT_HASH)?;
        fields.finish()?;
        Ok(SingleResponse { id, status, this_update, next_update, cert_hash })
    }
}

/// RevokedInfo ::= SEQUENCE { revocationTime, revocationReason `[0]` EXPLICIT ENUMERATED OPTIONAL }, the
/// SEQUENCE tag replaced.
fn revoked(info: Element<'_>) -> Result<Status, OcspError> {
    let mut fields = info.elements();
    let at = instant(fields.expect(tag::GENERALIZED_TIME)?)?;
    let reason = match fields.optional(tag::CONTEXT_0)? {
        Some(reason) => Element::only(ENUMERATED, reason.body)?.body.first().copied(),
        None => None,
    };
    fields.finish()?;
    Ok(Status::Revoked { at, reason })
}

/// The value of one extension in `[1]` EXPLICIT Extensions.
fn extension<'a>(fields: &mut Elements<'a>, wanted: Oid) -> Result<Option<&'a [u8]>, OcspError> {
    let Some(list) = fields.optional(tag::CONTEXT_1)? else { return Ok(None) };
    let mut found = None;
    for extension in Element::only(tag::SEQUENCE, list.body)?.elements().all()? {
        let mut extension = extension.elements();
        let kind = extension.expect(tag::OID)?.body;
        extension.optional(BOOLEAN)?;
        let value = extension.expect(tag::OCTET_STRING)?.body;
        if kind == wanted.as_bytes() && found.replace(value).is_some() {
            return Err(OcspError::Malformed(format!("extension {wanted} occurs twice")));
        }
    }
    Ok(found)
}

/// The nonce is an OCTET STRING inside the extension (RFC 8954 clause 2.1); old responders leave it bare.
fn unwrapped(value: &[u8]) -> &[u8] {
    Element::only(tag::OCTET_STRING, value).map_or(value, |octets| octets.body)
}

fn whole_bytes(bits: Element<'_>) -> Result<&[u8], OcspError> {
    match bits.body.split_first() {
        Some((0, bytes)) => Ok(bytes),
        _ => Err(OcspError::Malformed("the signature is not a whole number of bytes".to_owned())),
    }
}

fn instant(element: Element<'_>) -> Result<OffsetDateTime, OcspError> {
    moment::generalized(element).ok_or_else(|| OcspError::Malformed("a time cannot be read".to_owned()))
}

/// OCSPResponseStatus; `None` for successful.
fn refusal(status: &[u8]) -> Option<&'static str> {
    match status {
        [0] => None,
        [1] => Some("malformedRequest"),
        [2] => Some("internalError"),
        [3] => Some("tryLater"),
        [5] => Some("sigRequired"),
        [6] => Some("unauthorized"),
        _ => Some("unknown status"),
    }
}
