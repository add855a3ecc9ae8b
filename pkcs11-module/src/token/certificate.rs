//! The parts of an X.509 certificate that PKCS#11 attributes show, as the very bytes of the certificate (RFC 5280
//! clause 4.1). A name encoded anew might differ, and clients search by equality.

use der::asn1::{AnyRef, BitStringRef, UintRef};
use der::{Decode, Encode, Header, Reader, SliceReader, Tag, TagNumber, Tagged};

/// Borrowed parts of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Certificate<'a> {
    /// INTEGER.
    pub(crate) serial: &'a [u8],
    /// Name.
    pub(crate) issuer: &'a [u8],
    /// Name.
    pub(crate) subject: &'a [u8],
    /// SubjectPublicKeyInfo.
    pub(crate) key_info: &'a [u8],
    /// What is inside it.
    pub(crate) key: PublicKey<'a>,
}

/// A public key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PublicKey<'a> {
    /// Curve parameters (the DER of an OID) and uncompressed point.
    Ec { parameters: &'a [u8], point: &'a [u8] },
    /// Unsigned big-endian numbers without leading zeros.
    Rsa { modulus: &'a [u8], exponent: &'a [u8] },
}

const EC_PUBLIC_KEY: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const RSA_ENCRYPTION: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

impl<'a> Certificate<'a> {
    /// Reads a certificate.
    ///
    /// # Errors
    /// It is no DER, or its key is of another type than the cards have.
    pub(crate) fn parse(der: &'a [u8]) -> der::Result<Self> {
        let mut certificate = contents(der)?;
        let mut tbs = contents(certificate.tlv_bytes()?)?;
        let version = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
        if Header::peek(&tbs)?.tag() == version {
            tbs.tlv_bytes()?;
        }
        let serial = tbs.tlv_bytes()?;
        let _signature_algorithm = tbs.tlv_bytes()?;
        let issuer = tbs.tlv_bytes()?;
        let _validity = tbs.tlv_bytes()?;
        let subject = tbs.tlv_bytes()?;
        let key_info = tbs.tlv_bytes()?;
        Ok(Certificate { serial, issuer, subject, key_info, key: PublicKey::parse(key_info)? })
    }
}

impl<'a> PublicKey<'a> {
    fn parse(key_info: &'a [u8]) -> der::Result<Self> {
        let mut info = contents(key_info)?;
        let mut algorithm = contents(info.tlv_bytes()?)?;
        let oid = der::asn1::ObjectIdentifier::decode(&mut algorithm)?;
        let bits = BitStringRef::decode(&mut info)?;
        let key = bits.as_bytes().ok_or_else(|| Tag::BitString.value_error())?;
        match oid {
            EC_PUBLIC_KEY => Ok(PublicKey::Ec { parameters: algorithm.tlv_bytes()?, point: key }),
            RSA_ENCRYPTION => {
                let mut numbers = contents(key)?;
                Ok(PublicKey::Rsa {
                    modulus: UintRef::decode(&mut numbers)?.as_bytes(),
                    exponent: UintRef::decode(&mut numbers)?.as_bytes(),
                })
            }
            _ => Err(Tag::ObjectIdentifier.value_error().into()),
        }
    }
}

/// DER of an OCTET STRING around an EC point: the form of CKA_EC_POINT.
pub(crate) fn octet_string(content: &[u8]) -> der::Result<Vec<u8>> {
    AnyRef::new(Tag::OctetString, content)?.to_der()
}

/// A reader over what is inside a SEQUENCE that begins at `der`. What follows the SEQUENCE is not looked at.
fn contents(der: &[u8]) -> der::Result<SliceReader<'_>> {
    let mut reader = SliceReader::new(der)?;
    let sequence = AnyRef::decode(&mut reader)?;
    sequence.tag().assert_eq(Tag::Sequence)?;
    SliceReader::new(sequence.value())
}

#[cfg(test)]
mod tests {
    use super::*;

    const P384: &[u8] = include_bytes!("../../testdata/secp384r1.der");
    const BRAINPOOL: &[u8] = include_bytes!("../../testdata/brainpoolp256r1.der");
    const RSA: &[u8] = include_bytes!("../../testdata/rsa2048.der");

    #[test]
    fn names_and_serial_are_the_bytes_of_the_certificate() {
        let certificate = Certificate::parse(P384).unwrap();
        assert_eq!(hex::encode(certificate.serial), "020600c1d2e3f405");
        assert_eq!(certificate.issuer, certificate.subject);
        assert!(certificate.subject.starts_with(&[0x30]));
        assert!(certificate.subject.windows(16).any(|part| part == b"Dr. Ada Beispiel"));
    }

    #[test]
    fn curves_show_as_the_oid_in_the_certificate() {
        for (der, oid, point) in [(P384, "06052b81040022", 97), (BRAINPOOL, "06092b2403030208010107", 65)] {
            let PublicKey::Ec { parameters, point: found } = Certificate::parse(der).unwrap().key else {
                panic!("an EC key");
            };
            assert_eq!(hex::encode(parameters), oid);
            assert_eq!((found.len(), found[0]), (point, 4));
        }
    }

    #[test]
    fn rsa_numbers_have_no_leading_zeros() {
        let PublicKey::Rsa { modulus, exponent } = Certificate::parse(RSA).unwrap().key else {
            panic!("an RSA key");
        };
        assert_eq!((modulus.len(), exponent), (256, &[1, 0, 1][..]));
        assert!(modulus[0] & 0x80 != 0);
    }

    #[test]
    fn points_are_wrapped_in_an_octet_string() {
        let wrapped = octet_string(&[4; 97]).unwrap();
        assert_eq!(hex::encode(&wrapped[..3]), "046104");
        assert_eq!(wrapped.len(), 99);
    }

    #[test]
    fn damaged_certificates_are_refused_wherever_they_end() {
        for end in 0..P384.len() {
            assert!(Certificate::parse(&P384[..end]).is_err(), "{end}");
        }
        assert!(Certificate::parse(&[0x30, 0x80, 0, 0]).is_err());
        assert!(Certificate::parse(b"no certificate").is_err());
    }
}
