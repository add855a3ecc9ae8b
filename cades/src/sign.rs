//! From content and certificate to a finished CMS, with the private key elsewhere.

mod attributes;
pub(crate) mod identifier;

use std::fmt;

use thiserror::Error;
use time::OffsetDateTime;

use crate::algorithm::{Algorithm, AlgorithmError, signing_key};
use crate::certificate::Certificate;
use crate::key::PublicKey;
use crate::oid;
use crate::tlv::{Element, element, sequence, set, tag};

/// Everything a signature is made of, except the private key. `Debug` shows no content.
#[derive(Clone, Copy)]
pub struct SigningRequest<'a> {
    /// The bytes to sign; enveloped exactly as they are.
    pub content: &'a [u8],
    /// The signer certificate, DER.
    pub certificate: &'a [u8],
    /// Goes into the attribute signing-time, cut to whole seconds.
    pub signing_time: OffsetDateTime,
    /// Attribute mime-type, for example `text/plain; charset=utf-8`.
    pub mime_type: Option<&'a str>,
    /// Text of the attribute content-hints, for example `a CMSDocument2sign`.
    pub content_hint: &'a str,
    /// An OCSPResponse (DER) to embed in `crls`.
    pub ocsp_response: Option<&'a [u8]>,
}

/// A signature that lacks its value. `Debug` shows no content.
pub struct Unsigned {
    algorithm: Algorithm,
    key: PublicKey,
    certificate: Certificate,
    content: Vec<u8>,
    ocsp_response: Option<Vec<u8>>,
    attributes: Vec<u8>,
    digest: Vec<u8>,
}

impl fmt::Debug for SigningRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningRequest")
            .field("content_length", &self.content.len())
            .field("signing_time", &self.signing_time)
            .field("mime_type", &self.mime_type)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Unsigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsigned")
            .field("algorithm", &self.algorithm)
            .field("content_length", &self.content.len())
            .finish_non_exhaustive()
    }
}

/// Why a CMS could not be built.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BuildError {
    /// The certificate does not fit.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// UTCTime covers 1950 to 2049 (RFC 5652 clause 11.3).
    #[error("signing time in year {year}: UTCTime covers 1950 to 2049")]
    SigningTime {
        /// Year in UTC.
        year: i32,
    },
    /// The OCSP response is not one DER SEQUENCE.
    #[error("the OCSP response is not DER: {0}")]
    OcspResponse(String),
    /// The signature has a wrong length.
    #[error("signature of {got} bytes, expected {expected}")]
    SignatureLength {
        /// Bytes the key makes.
        expected: usize,
        /// Bytes that came.
        got: usize,
    },
    /// A number of the signature is zero or not below the group order or modulus.
    #[error("the signature's numbers are out of range")]
    SignatureRange,
}

/// Builds the signed attributes and their digest.
///
/// # Errors
/// [`BuildError`] names the part of the request that does not fit.
pub fn prepare(request: &SigningRequest<'_>) -> Result<Unsigned, BuildError> {
    let (certificate, key) = signing_key(request.certificate)?;
    let algorithm = key.signing_algorithm();
    if let Some(response) = request.ocsp_response {
        Element::only(tag::SEQUENCE, response)
            .map_err(|error| BuildError::OcspResponse(error.to_string()))?;
    }
    let attributes = attributes::encode(request, &certificate, algorithm)?;
    let digest = algorithm.hash().digest(&set(&[&attributes]));
    Ok(Unsigned {
        algorithm,
        key,
        certificate,
        content: request.content.to_vec(),
        ocsp_response: request.ocsp_response.map(<[u8]>::to_vec),
        attributes,
        digest,
    })
}

impl Unsigned {
    /// The algorithm the key has to use.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Digest of the signed attributes: what the key signs (`C_Sign` with CKM_ECDSA or CKM_RSA_PKCS_PSS).
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// Length in bytes of the signature value that [`Unsigned::finish`] expects.
    pub fn signature_length(&self) -> usize {
        self.key.raw_signature_length()
    }

    /// Adds the signature value and answers the CMS, DER.
    ///
    /// `signature` is r‖s for ECDSA and the plain number for RSA, both at full width. Length and range are
    /// checked; whether it verifies is not: run [`crate::verify`] on the answer.
    ///
    /// # Errors
    /// [`BuildError::SignatureLength`] or [`BuildError::SignatureRange`].
    pub fn finish(self, signature: &[u8]) -> Result<Vec<u8>, BuildError> {
        let expected = self.signature_length();
        if signature.len() != expected {
            return Err(BuildError::SignatureLength { expected, got: signature.len() });
        }
        let value = self.key.encode_signature(signature).ok_or(BuildError::SignatureRange)?;
        Ok(self.content_info(&value))
    }

    /// ContentInfo (RFC 5652 clause 3).
    fn content_info(&self, signature: &[u8]) -> Vec<u8> {
        let signed_data = element(tag::CONTEXT_0, &[&self.signed_data(signature)]);
        sequence(&[&identifier::oid(oid::ID_SIGNED_DATA), &signed_data])
    }

    /// SignedData (RFC 5652 clause 5.1): version 5 with an OtherRevocationInfoFormat in it, otherwise 1.
    fn signed_data(&self, signature: &[u8]) -> Vec<u8> {
        let content = element(tag::OCTET_STRING, &[&self.content]);
        let content = sequence(&[&identifier::oid(oid::ID_DATA), &element(tag::CONTEXT_0, &[&content])]);
        let certificates = element(tag::CONTEXT_0, &[&self.certificate.der]);
        let crls = self.ocsp_response.as_deref().map(revocation_information);
        sequence(&[
            if crls.is_some() { VERSION_5 } else { VERSION_1 },
            &set(&[&identifier::digest(self.algorithm)]),
            &content,
            &certificates,
            &crls.unwrap_or_default(),
            &set(&[&self.signer_info(signature)]),
        ])
    }

    /// SignerInfo (RFC 5652 clause 5.3), version 1: the signer named by issuerAndSerialNumber.
    fn signer_info(&self, signature: &[u8]) -> Vec<u8> {
        let serial = element(tag::INTEGER, &[&self.certificate.serial]);
        sequence(&[
            VERSION_1,
            &sequence(&[&self.certificate.issuer, &serial]),
            &identifier::digest(self.algorithm),
            &element(tag::CONTEXT_0, &[&self.attributes]),
            &identifier::signature(self.algorithm),
            &element(tag::OCTET_STRING, &[signature]),
        ])
    }
}

const VERSION_1: &[u8] = &[tag::INTEGER, 1, 1];
const VERSION_5: &[u8] = &[tag::INTEGER, 1, 5];

/// crls with one OtherRevocationInfoFormat: the OCSPResponse itself, not wrapped (RFC 5940 clause 2).
fn revocation_information(response: &[u8]) -> Vec<u8> {
    let other = element(tag::CONTEXT_1, &[&identifier::oid(oid::ID_RI_OCSP_RESPONSE), response]);
    element(tag::CONTEXT_1, &[&other])
}
