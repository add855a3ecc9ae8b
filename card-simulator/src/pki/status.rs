//! Answers about the test authority's certificates (RFC 6960), in the shape the German trust centres give them:
//! SHA-1 names, CertHash (Common PKI part 4), no nextUpdate, the nonce repeated.
//!
//! What is said of a certificate stands in a file beside it, `issued/<serial number>.status`, read for each request:
//! one of the words of [`Told`], so that a test or a person changes it with an editor. No file: good.

use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use const_oid::ObjectIdentifier;
use der::asn1::{Any, ContextSpecific, GeneralizedTime, Null, OctetString};
use der::{Decode, Encode, Sequence, Tag, TagMode, TagNumber};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_cert::ext::Extension;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::{Authority, PkiError};

const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const NONCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.2");
const CERT_HASH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.36.8.3.13");
const SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
/// Older than anybody accepts for a qualified certificate.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// responseStatus malformedRequest, alone.
const MALFORMED: &[u8] = &[0x30, 0x03, 0x0a, 0x01, 0x01];

/// What a responder says of one certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    /// `good`.
    Good,
    /// `revoked <RFC 3339 time>`.
    Revoked(OffsetDateTime),
    /// `unknown`.
    Unknown,
    /// `stale`: good, a day ago.
    Stale,
    /// `no-cert-hash`: good, without saying of which bytes.
    NoCertHash,
    /// `wrong-cert-hash`: good, of other bytes.
    WrongCertHash,
}

impl FromStr for Told {
    type Err = String;

    fn from_str(text: &str) -> Result<Told, String> {
        let text = text.trim();
        Ok(match text {
            "good" => Told::Good,
            "unknown" => Told::Unknown,
            "stale" => Told::Stale,
            "no-cert-hash" => Told::NoCertHash,
            "wrong-cert-hash" => Told::WrongCertHash,
            _ => {
                let time = text.strip_prefix("revoked ");
                let time = time.and_then(|time| OffsetDateTime::parse(time.trim(), &Rfc3339).ok());
                Told::Revoked(time.ok_or_else(|| format!("unknown status '{text}'"))?)
            }
        })
    }
}

/// The OCSPResponse, DER, to a request.
pub(crate) fn answer(directory: &Path, request: &[u8]) -> Result<Vec<u8>, PkiError> {
    let Ok(request) = Request::from_der(request) else { return Ok(MALFORMED.to_vec()) };
    let Some(asked) = request.body.list.first() else { return Ok(MALFORMED.to_vec()) };
    let authority = Authority::open(directory, crate::issue::RsaKeyPool::Fresh)?;
    let Some(responder) =
        authority.responder(|key| Sha1::digest(key)[..] == *asked.id.key_hash.as_bytes())?
    else {
        return Ok(MALFORMED.to_vec());
    };
    let issued = authority.issued(asked.id.serial.as_bytes())?;
    let told = match &issued {
        Some(issued) => issued.status.as_deref().unwrap_or("good").parse().map_err(PkiError::Encoding)?,
        None => Told::Unknown,
    };
    let nonce = request.body.extensions.into_iter().flatten().find(|extension| extension.extn_id == NONCE);
    let now = SystemTime::now();
    let at = if told == Told::Stale { now - STALE } else { now };
    let produced_at = GeneralizedTime::from_system_time(at)?;
    let hashed = issued.map(|issued| issued.certificate);
    let data = ResponseData {
        responder: ContextSpecific {
            tag_number: TagNumber(2),
            tag_mode: TagMode::Explicit,
            value: OctetString::new(Sha1::digest(&responder.public_key).to_vec())?,
        },
        produced_at,
        responses: vec![SingleResponse {
            id: asked.id.clone(),
            status: told.encode()?,
            this_update: produced_at,
            extensions: cert_hash(told, hashed.as_deref())?,
        }],
        extensions: nonce.map(|nonce| vec![nonce]),
    };
    let data = data.to_der()?;
    let (algorithm, signature) = responder.sign(&data)?;
    let basic = Basic {
        data: Any::from_der(&data)?,
        algorithm,
        signature: der::asn1::BitString::from_bytes(&signature)?,
        certificates: Some(vec![Any::from_der(&responder.certificate)?]),
    };
    let bytes = ResponseBytes { kind: BASIC, response: OctetString::new(basic.to_der()?)? };
    let status = Any::new(Tag::Enumerated, [0u8])?;
    Ok(Response { status, bytes: Some(bytes) }.to_der()?)
}

impl Told {
    /// certStatus: `[0]` NULL, `[1]` { revocationTime }, `[2]` NULL, IMPLICIT.
    fn encode(self) -> der::Result<Any> {
        let tag = |number, constructed| Tag::ContextSpecific { constructed, number: TagNumber(number) };
        match self {
            Told::Revoked(at) => {
                let seconds = u64::try_from(at.unix_timestamp()).unwrap_or(0);
                let at = GeneralizedTime::from_unix_duration(Duration::from_secs(seconds))?;
                Any::new(tag(1, true), at.to_der()?)
            }
            Told::Unknown => Any::new(tag(2, false), []),
            Told::Good | Told::Stale | Told::NoCertHash | Told::WrongCertHash => Any::new(tag(0, false), []),
        }
    }
}

fn cert_hash(told: Told, certificate: Option<&[u8]>) -> der::Result<Option<Vec<Extension>>> {
    let (Some(certificate), false) = (certificate, told == Told::NoCertHash) else { return Ok(None) };
    let hashed = if told == Told::WrongCertHash { b"another certificate" } else { certificate };
    let algorithm = AlgorithmIdentifierOwned { oid: SHA_256, parameters: Some(Any::encode_from(&Null)?) };
    let value = CertHash { algorithm, hash: OctetString::new(Sha256::digest(hashed).to_vec())? };
    let extn_value = OctetString::new(value.to_der()?)?;
    Ok(Some(vec![Extension { extn_id: CERT_HASH, critical: false, extn_value }]))
}

#[derive(Sequence)]
struct Request {
    body: RequestBody,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    signature: Option<Any>,
}

#[derive(Sequence)]
struct RequestBody {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    version: Option<u8>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    requestor: Option<Any>,
    list: Vec<SingleRequest>,
    #[asn1(context_specific = "2", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
struct SingleRequest {
    id: CertId,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Any>,
}

#[derive(Clone, Sequence)]
struct CertId {
    algorithm: AlgorithmIdentifierOwned,
    name_hash: OctetString,
    key_hash: OctetString,
    serial: SerialNumber,
}

#[derive(Sequence)]
struct CertHash {
    algorithm: AlgorithmIdentifierOwned,
    hash: OctetString,
}

#[derive(Sequence)]
struct Response {
    status: Any,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    bytes: Option<ResponseBytes>,
}

#[derive(Sequence)]
struct ResponseBytes {
    kind: ObjectIdentifier,
    response: OctetString,
}

#[derive(Sequence)]
struct Basic {
    data: Any,
    algorithm: AlgorithmIdentifierOwned,
    signature: der::asn1::BitString,
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT", optional = "true")]
    certificates: Option<Vec<Any>>,
}

#[derive(Sequence)]
struct ResponseData {
    responder: ContextSpecific<OctetString>,
    produced_at: GeneralizedTime,
    responses: Vec<SingleResponse>,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[derive(Sequence)]
struct SingleResponse {
    id: CertId,
    status: Any,
    this_update: GeneralizedTime,
    #[asn1(context_specific = "1", tag_mode = "EXPLICIT", optional = "true")]
    extensions: Option<Vec<Extension>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_status_file_are_read() {
        assert_eq!("good\n".parse(), Ok(Told::Good));
        assert_eq!("revoked 1970-01-01T00:00:00Z".parse(), Ok(Told::Revoked(OffsetDateTime::UNIX_EPOCH)));
        for text in ["", "fine", "revoked", "revoked yesterday"] {
            assert!(text.parse::<Told>().is_err(), "{text}");
        }
    }

    #[test]
    fn rubbish_is_a_malformed_request() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(answer(folder.path(), b"rubbish").unwrap(), MALFORMED);
    }
}
