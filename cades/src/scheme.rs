//! Digest and signature AlgorithmIdentifiers that occur in signatures and certificates.

use der::asn1::ObjectIdentifier;
use der::{Decode, asn1::AnyRef};
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierRef;
use thiserror::Error;

use crate::oid;
use crate::tlv::{Elements, TlvError, tag};

/// SHA-2, the only digests accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// How a signature value is made from a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureScheme {
    Ecdsa(Hash),
    RsaPkcs1(Hash),
    RsaPss { hash: Hash, salt_length: usize },
}

/// Why an AlgorithmIdentifier is not usable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum SchemeError {
    #[error("AlgorithmIdentifier cannot be read: {0}")]
    Structure(der::Error),
    #[error("RSASSA-PSS parameters cannot be read: {0}")]
    PssParameters(#[from] TlvError),
    #[error("algorithm {0} is not supported")]
    Unsupported(ObjectIdentifier),
    #[error("unexpected parameters for algorithm {0}")]
    Parameters(ObjectIdentifier),
    #[error("RSASSA-PSS parameters other than one SHA-2 digest for message and mask")]
    PssCombination,
}

impl Hash {
    /// Reads a digest AlgorithmIdentifier; parameters NULL and absent mean the same (RFC 5754 clause 2).
    pub(crate) fn from_identifier(der: &[u8]) -> Result<Hash, SchemeError> {
        let identifier = AlgorithmIdentifierRef::from_der(der).map_err(SchemeError::Structure)?;
        let hash = Hash::from_oid(identifier.oid).ok_or(SchemeError::Unsupported(identifier.oid))?;
        null_or_absent(&identifier)?;
        Ok(hash)
    }

    pub(crate) fn digest(self, message: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha256 => Sha256::digest(message).to_vec(),
            Hash::Sha384 => Sha384::digest(message).to_vec(),
            Hash::Sha512 => Sha512::digest(message).to_vec(),
        }
    }

    pub(crate) fn oid(self) -> ObjectIdentifier {
        match self {
            Hash::Sha256 => oid::SHA_256,
            Hash::Sha384 => oid::SHA_384,
            Hash::Sha512 => oid::SHA_512,
        }
    }

    fn from_oid(oid: ObjectIdentifier) -> Option<Hash> {
        [Hash::Sha256, Hash::Sha384, Hash::Sha512].into_iter().find(|hash| hash.oid() == oid)
    }
}

impl SignatureScheme {
    /// Reads a signature AlgorithmIdentifier. `digest` is the digest named beside it in a SignerInfo: CMS
    /// allows plain rsaEncryption there, which leaves the digest to that field (RFC 3370 clause 3.2).
    pub(crate) fn from_identifier(der: &[u8], digest: Option<Hash>) -> Result<SignatureScheme, SchemeError> {
        let identifier = AlgorithmIdentifierRef::from_der(der).map_err(SchemeError::Structure)?;
        let scheme = match identifier.oid {
            oid::RSA_PSS => return pss(&identifier),
            oid::ECDSA_SHA_256 => SignatureScheme::Ecdsa(Hash::Sha256),
            oid::ECDSA_SHA_384 => SignatureScheme::Ecdsa(Hash::Sha384),
            oid::ECDSA_SHA_512 => SignatureScheme::Ecdsa(Hash::Sha512),
            oid::RSA_SHA_256 => SignatureScheme::RsaPkcs1(Hash::Sha256),
            oid::RSA_SHA_384 => SignatureScheme::RsaPkcs1(Hash::Sha384),
            oid::RSA_SHA_512 => SignatureScheme::RsaPkcs1(Hash::Sha512),
            oid::RSA_ENCRYPTION => {
                SignatureScheme::RsaPkcs1(digest.ok_or(SchemeError::Unsupported(identifier.oid))?)
            }
            other => return Err(SchemeError::Unsupported(other)),
        };
        null_or_absent(&identifier)?;
        Ok(scheme)
    }

    pub(crate) fn hash(self) -> Hash {
        match self {
            SignatureScheme::Ecdsa(hash) | SignatureScheme::RsaPkcs1(hash) => hash,
            SignatureScheme::RsaPss { hash, .. } => hash,
        }
    }
}

/// RSASSA-PSS-params (RFC 4055 clause 3.1). The defaults stand for SHA-1, so all fields but the trailer
/// have to be present.
fn pss(identifier: &AlgorithmIdentifierRef<'_>) -> Result<SignatureScheme, SchemeError> {
    let parameters = identifier.parameters.ok_or(SchemeError::PssCombination)?;
    let mut fields = Elements::new(parameters.value());
    let hash = Hash::from_identifier(fields.expect(tag::CONTEXT_0)?.body)?;
    let mask = fields.expect(tag::CONTEXT_1)?;
    let mask = AlgorithmIdentifierRef::from_der(mask.body).map_err(SchemeError::Structure)?;
    let mask_hash = mask.parameters.ok_or(SchemeError::PssCombination)?;
    let mask_hash = mask_hash.decode_as::<AlgorithmIdentifierRef<'_>>().map_err(SchemeError::Structure)?;
    null_or_absent(&mask_hash)?;
    let salt = fields.expect(0xa2)?.elements().expect(tag::INTEGER)?;
    let trailer = fields.optional(0xa3)?;
    fields.finish()?;
    let trailer_is_default = trailer.is_none_or(|trailer| trailer.body == [tag::INTEGER, 1, 1]);
    // Two bytes hold every salt that fits a key; a longer number is never added to anything.
    let salt_length = u16::from_der(salt.raw).map_err(SchemeError::Structure)?.into();
    if mask.oid == oid::RSA_MGF1 && mask_hash.oid == hash.oid() && trailer_is_default {
        Ok(SignatureScheme::RsaPss { hash, salt_length })
    } else {
        Err(SchemeError::PssCombination)
    }
}

fn null_or_absent(identifier: &AlgorithmIdentifierRef<'_>) -> Result<(), SchemeError> {
    match identifier.parameters {
        None => Ok(()),
        Some(parameters) if parameters == AnyRef::NULL => Ok(()),
        Some(_) => Err(SchemeError::Parameters(identifier.oid)),
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;

    use super::*;
    use crate::tlv::{element, sequence};

    const PSS: [u8; 67] = hex!(
        "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
        "300d06096086480165030402010500a203020120"
    );

    #[test]
    fn digest_parameters_may_be_null_or_absent() {
        assert_eq!(Hash::from_identifier(&hex!("300d06096086480165030402010500")), Ok(Hash::Sha256));
        assert_eq!(Hash::from_identifier(&hex!("300b0609608648016503040201")), Ok(Hash::Sha256));
        assert_eq!(
            Hash::from_identifier(&hex!("300e0609608648016503040201020101")),
            Err(SchemeError::Parameters(oid::SHA_256))
        );
    }

    #[test]
    fn pss_with_sha256_and_salt_32_is_read() {
        assert_eq!(
            SignatureScheme::from_identifier(&PSS, None),
            Ok(SignatureScheme::RsaPss { hash: Hash::Sha256, salt_length: 32 })
        );
    }

    #[test]
    fn pss_defaults_stand_for_sha1_and_are_refused() {
        assert!(SignatureScheme::from_identifier(&hex!("300d 06092a864886f70d01010a 3000"), None).is_err());
        assert!(SignatureScheme::from_identifier(&hex!("300b 06092a864886f70d01010a"), None).is_err());
    }

    #[test]
    fn an_absurd_or_negative_pss_salt_is_refused() {
        let head = hex!(
            "a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648016503040201"
            "0500"
        );
        let with_salt = |salt: &[u8]| {
            let salt = element(0xa2, &[&element(tag::INTEGER, &[salt])]);
            let oid = element(tag::OID, &[oid::RSA_PSS.as_bytes()]);
            SignatureScheme::from_identifier(&sequence(&[&oid, &sequence(&[&head, &salt])]), None)
        };
        assert!(with_salt(&[0x00, 0xde]).is_ok());
        assert!(with_salt(&[0xff]).is_err());
        assert!(with_salt(&[0x7f; 8]).is_err());
    }

    #[test]
    fn plain_rsa_encryption_takes_the_digest_of_the_signer_info() {
        let rsa = hex!("300d06092a864886f70d0101010500");
        assert_eq!(
            SignatureScheme::from_identifier(&rsa, Some(Hash::Sha384)),
            Ok(SignatureScheme::RsaPkcs1(Hash::Sha384))
        );
        assert!(SignatureScheme::from_identifier(&rsa, None).is_err());
    }
}
