//! Object identifiers of CMS, CAdES, the algorithms and the German qualified certificates.

use const_oid::ObjectIdentifier;

pub(crate) type Oid = ObjectIdentifier;

const fn oid(text: &str) -> Oid {
    Oid::new_unwrap(text)
}

// CMS (RFC 5652, RFC 5940)
pub(crate) const ID_DATA: Oid = oid("1.2.840.113549.1.7.1");
pub(crate) const ID_SIGNED_DATA: Oid = oid("1.2.840.113549.1.7.2");
pub(crate) const ID_RI_OCSP_RESPONSE: Oid = oid("1.3.6.1.5.5.7.16.2");

// OCSP (RFC 6960, Common PKI part 4)
pub(crate) const OCSP: Oid = oid("1.3.6.1.5.5.7.48.1");
pub(crate) const OCSP_BASIC: Oid = oid("1.3.6.1.5.5.7.48.1.1");
pub(crate) const OCSP_NONCE: Oid = oid("1.3.6.1.5.5.7.48.1.2");
pub(crate) const OCSP_SIGNING: Oid = oid("1.3.6.1.5.5.7.3.9");
pub(crate) const CERT_HASH: Oid = oid("1.3.36.8.3.13");

// Signed attributes (RFC 5652 clause 11, RFC 2634, RFC 5035, RFC 6211, ETSI EN 319 122-1)
pub(crate) const CONTENT_TYPE: Oid = oid("1.2.840.113549.1.9.3");
pub(crate) const MESSAGE_DIGEST: Oid = oid("1.2.840.113549.1.9.4");
pub(crate) const SIGNING_TIME: Oid = oid("1.2.840.113549.1.9.5");
pub(crate) const ALGORITHM_PROTECTION: Oid = oid("1.2.840.113549.1.9.52");
pub(crate) const CONTENT_HINTS: Oid = oid("1.2.840.113549.1.9.16.2.4");
pub(crate) const SIGNING_CERTIFICATE: Oid = oid("1.2.840.113549.1.9.16.2.12");
pub(crate) const SIGNING_CERTIFICATE_V2: Oid = oid("1.2.840.113549.1.9.16.2.47");
pub(crate) const MIME_TYPE: Oid = oid("0.4.0.1733.2.1");

// Digests (RFC 5754, RFC 3279)
pub(crate) const SHA_1: Oid = oid("1.3.14.3.2.26");
pub(crate) const SHA_256: Oid = oid("2.16.840.1.101.3.4.2.1");
pub(crate) const SHA_384: Oid = oid("2.16.840.1.101.3.4.2.2");
pub(crate) const SHA_512: Oid = oid("2.16.840.1.101.3.4.2.3");

// Signatures (RFC 5758, RFC 8017)
pub(crate) const ECDSA_SHA_256: Oid = oid("1.2.840.10045.4.3.2");
pub(crate) const ECDSA_SHA_384: Oid = oid("1.2.840.10045.4.3.3");
pub(crate) const ECDSA_SHA_512: Oid = oid("1.2.840.10045.4.3.4");
pub(crate) const RSA_ENCRYPTION: Oid = oid("1.2.840.113549.1.1.1");
pub(crate) const RSA_MGF1: Oid = oid("1.2.840.113549.1.1.8");
pub(crate) const RSA_PSS: Oid = oid("1.2.840.113549.1.1.10");
pub(crate) const RSA_SHA_256: Oid = oid("1.2.840.113549.1.1.11");
pub(crate) const RSA_SHA_384: Oid = oid("1.2.840.113549.1.1.12");
pub(crate) const RSA_SHA_512: Oid = oid("1.2.840.113549.1.1.13");

// Keys (RFC 5480, RFC 5639)
pub(crate) const EC_PUBLIC_KEY: Oid = oid("1.2.840.10045.2.1");
pub(crate) const P_256: Oid = oid("1.2.840.10045.3.1.7");
pub(crate) const P_384: Oid = oid("1.3.132.0.34");
pub(crate) const BRAINPOOL_P256R1: Oid = oid("1.3.36.3.3.2.8.1.1.7");

// Certificates (RFC 5280, RFC 3739, ETSI EN 319 412-5, Common PKI)
pub(crate) const COMMON_NAME: Oid = oid("2.5.4.3");
pub(crate) const SUBJECT_KEY_IDENTIFIER: Oid = oid("2.5.29.14");
pub(crate) const KEY_USAGE: Oid = oid("2.5.29.15");
pub(crate) const BASIC_CONSTRAINTS: Oid = oid("2.5.29.19");
pub(crate) const CERTIFICATE_POLICIES: Oid = oid("2.5.29.32");
pub(crate) const AUTHORITY_KEY_IDENTIFIER: Oid = oid("2.5.29.35");
pub(crate) const EXTENDED_KEY_USAGE: Oid = oid("2.5.29.37");
pub(crate) const AUTHORITY_INFORMATION_ACCESS: Oid = oid("1.3.6.1.5.5.7.1.1");
pub(crate) const VALIDITY_MODEL: Oid = oid("1.3.6.1.4.1.8301.3.5");
pub(crate) const VALIDITY_MODEL_CHAIN: Oid = oid("1.3.6.1.4.1.8301.3.5.1");
pub(crate) const VALIDITY_MODEL_SHELL: Oid = oid("1.3.6.1.4.1.8301.3.5.2");
pub(crate) const QC_STATEMENTS: Oid = oid("1.3.6.1.5.5.7.1.3");
pub(crate) const QC_COMPLIANCE: Oid = oid("0.4.0.1862.1.1");
pub(crate) const ADMISSION: Oid = oid("1.3.36.8.3.3");
