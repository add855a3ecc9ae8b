//! AlgorithmIdentifiers as new signatures carry them: digests with NULL parameters, ECDSA without parameters
//! (RFC 5758 clause 3.2), RSASSA-PSS with all but the trailer field (RFC 4055 clause 3.1).

use crate::algorithm::Algorithm;
use crate::oid::{self, Oid};
use crate::tlv::{element, sequence, tag};

/// OBJECT IDENTIFIER.
pub(crate) fn oid(oid: Oid) -> Vec<u8> {
    element(tag::OID, &[oid.as_bytes()])
}

/// digestAlgorithm.
pub(super) fn digest(algorithm: Algorithm) -> Vec<u8> {
    sequence(&[&oid(algorithm.hash().oid()), NULL])
}

/// signatureAlgorithm.
pub(super) fn signature(algorithm: Algorithm) -> Vec<u8> {
    sequence(&[&signature_fields(algorithm)])
}

/// The fields of signatureAlgorithm without the SEQUENCE around them.
pub(super) fn signature_fields(algorithm: Algorithm) -> Vec<u8> {
    match algorithm {
        Algorithm::EcdsaSha256(_) => oid(oid::ECDSA_SHA_256),
        Algorithm::EcdsaSha384 => oid(oid::ECDSA_SHA_384),
        Algorithm::RsaPssSha256 => [oid(oid::RSA_PSS), pss_parameters()].concat(),
    }
}

pub(crate) const NULL: &[u8] = &[0x05, 0x00];
const SALT_LENGTH: &[u8] = &[tag::INTEGER, 1, 32];
const CONTEXT_2: u8 = 0xa2;

fn pss_parameters() -> Vec<u8> {
    let hash = sequence(&[&oid(oid::SHA_256), NULL]);
    let mask = sequence(&[&oid(oid::RSA_MGF1), &hash]);
    sequence(&[
        &element(tag::CONTEXT_0, &[&hash]),
        &element(tag::CONTEXT_1, &[&mask]),
        &element(CONTEXT_2, &[SALT_LENGTH]),
    ])
}
