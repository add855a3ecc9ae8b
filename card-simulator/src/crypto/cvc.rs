//! Card-verifiable certificates of generation 2 (gemSpec_PKI 6.4): parsing, verification, issuing.
//!
//! `7F21 { 7F4E { 5F29 profile, 42 issuer, 7F49 { 06 purpose, 86 point }, 5F20 holder, 7F4C { 06 list, 53 flags },
//! 5F25 from, 5F24 until } 5F37 signature }`. The signature is over the whole 7F4E object, hashed with SHA-256.

use bp256::r1::BrainpoolP256r1;
use ecdsa::VerifyingKey;
use ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};

use super::{CryptoError, PrivateKey};
use crate::tlv::{self, DataObject};

const CERTIFICATE: u16 = 0x7F21;
const BODY: u16 = 0x7F4E;
const SIGNATURE: u16 = 0x5F37;
/// Of the one profile there is.
const PROFILE: [u8; 1] = [0x70];

/// 1.2.840.10045.4.3.2: the key verifies certificates.
const FOR_CERTIFICATES: [u8; 8] = [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
/// 1.3.36.3.5.3.1: the key authenticates a card.
const FOR_AUTHENTICATION: [u8; 6] = [0x2B, 0x24, 0x03, 0x05, 0x03, 0x01];

/// 1.2.276.0.76.4.152 and .153.
const TELEMATICS: [u8; 8] = [0x2A, 0x82, 0x14, 0x00, 0x4C, 0x04, 0x81, 0x18];
const CARD_MANAGEMENT: [u8; 8] = [0x2A, 0x82, 0x14, 0x00, 0x4C, 0x04, 0x81, 0x19];

/// Which list the flags of a certificate belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) enum FlagList {
    /// Rights between the cards of the health system.
    #[serde(rename = "TI")]
    Telematics,
    /// Rights of card management.
    #[serde(rename = "CMS")]
    CardManagement,
}

/// What a certificate's holder may do: up to 56 flags, of which flag 0 is the most significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Rights {
    pub(crate) list: FlagList,
    pub(crate) flags: u64,
}

/// Flags 0 and 1 say what the holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder {
    Root,
    Authority,
    Card,
}

const FLAGS: usize = 7;

impl Rights {
    /// The rights with these flags set.
    pub(crate) fn of(list: FlagList, flags: impl IntoIterator<Item = u8>) -> Rights {
        let bits = flags.into_iter().filter(|flag| *flag < 56).map(|flag| 1u64 << (55 - flag));
        Rights { list, flags: bits.fold(0, |all, bit| all | bit) }
    }

    /// Whether all these rights are among them.
    pub(crate) fn cover(self, wanted: Rights) -> bool {
        self.list == wanted.list && self.flags & wanted.flags == wanted.flags
    }

    /// What is left of these rights when somebody with `limit` hands them on.
    pub(crate) fn within(self, limit: Rights) -> Rights {
        Rights { flags: self.flags & limit.flags, ..self }
    }

    pub(crate) fn holder(self) -> Option<Holder> {
        match self.flags >> 54 {
            0b11 => Some(Holder::Root),
            0b10 => Some(Holder::Authority),
            0b00 => Some(Holder::Card),
            _ => None,
        }
    }

    fn parse(list: &[u8], flags: &[u8]) -> Option<Rights> {
        let list = if *list == TELEMATICS {
            FlagList::Telematics
        } else if *list == CARD_MANAGEMENT {
            FlagList::CardManagement
        } else {
            return None;
        };
        let flags: [u8; FLAGS] = flags.try_into().ok()?;
        Some(Rights { list, flags: flags.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)) })
    }

    fn encoded(self) -> Vec<u8> {
        let list = match self.list {
            FlagList::Telematics => TELEMATICS,
            FlagList::CardManagement => CARD_MANAGEMENT,
        };
        let flags = self.flags.to_be_bytes();
        [tlv::encode(0x06, &list), tlv::encode(0x53, flags.get(1..).unwrap_or_default())].concat()
    }
}

/// A day as six digits YYMMDD, one per byte, so that days compare as bytes do.
pub(crate) type Day = [u8; 6];

/// A certificate, its signature not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CvCertificate {
    /// Reference of the issuer's key (CAR).
    pub(crate) issuer: Vec<u8>,
    /// Reference of the holder's key (CHR): 8 bytes for who issues certificates, 12 for a card.
    pub(crate) holder: Vec<u8>,
    /// The holder's public point.
    pub(crate) point: Vec<u8>,
    pub(crate) rights: Rights,
    pub(crate) effective: Day,
    pub(crate) expires: Day,
    body: Vec<u8>,
    signature: Vec<u8>,
}

impl CvCertificate {
    /// Reads the inside of the outermost object, as PSO VERIFY CERTIFICATE carries it; `None` if anything is not as
    /// the specification has it.
    pub(crate) fn parse(contents: &[u8]) -> Option<CvCertificate> {
        let objects = tlv::parse(contents)?;
        let [DataObject { tag: BODY, value: body }, DataObject { tag: SIGNATURE, value: signature }] =
            *objects
        else {
            return None;
        };
        let fields = tlv::parse(body)?;
        let tags: Vec<_> = fields.iter().map(|field| field.tag).collect();
        if tags != [0x5F29, 0x42, 0x7F49, 0x5F20, 0x7F4C, 0x5F25, 0x5F24] {
            return None;
        }
        let field = |tag| tlv::find(&fields, tag);
        let key = tlv::parse(field(0x7F49)?)?;
        let list = tlv::parse(field(0x7F4C)?)?;
        let certificate = CvCertificate {
            issuer: field(0x42)?.to_vec(),
            holder: field(0x5F20)?.to_vec(),
            point: tlv::find(&key, 0x86)?.to_vec(),
            rights: Rights::parse(tlv::find(&list, 0x06)?, tlv::find(&list, 0x53)?)?,
            effective: field(0x5F25)?.try_into().ok()?,
            expires: field(0x5F24)?.try_into().ok()?,
            body: tlv::encode(BODY, body),
            signature: signature.to_vec(),
        };
        let purpose = tlv::find(&key, 0x06)?;
        let is_card = certificate.rights.holder()? == Holder::Card;
        let fits = field(0x5F29)? == PROFILE
            && certificate.issuer.len() == 8
            && certificate.holder.len() == if is_card { 12 } else { 8 }
            && purpose == if is_card { &FOR_AUTHENTICATION[..] } else { &FOR_CERTIFICATES[..] };
        fits.then_some(certificate)
    }

    /// Reads a certificate as a file of the card has it.
    pub(crate) fn from_file(file: &[u8]) -> Option<CvCertificate> {
        CvCertificate::parse(tlv::find(&tlv::parse(file)?, CERTIFICATE)?)
    }

    /// Whether the key with this point signed it.
    pub(crate) fn is_signed_by(&self, point: &[u8]) -> bool {
        is_signature(point, &Sha256::digest(&self.body), &self.signature)
    }

    /// Makes a certificate, as a file of the card has it.
    pub(crate) fn issue(
        issuer: (&[u8], &PrivateKey),
        holder: (&[u8], &[u8]),
        rights: Rights,
        [effective, expires]: [Day; 2],
    ) -> Result<Vec<u8>, CryptoError> {
        let purpose = match rights.holder() {
            Some(Holder::Card) => &FOR_AUTHENTICATION[..],
            _ => &FOR_CERTIFICATES[..],
        };
        let key = [tlv::encode(0x06, purpose), tlv::encode(0x86, holder.1)].concat();
        let body = [
            tlv::encode(0x5F29, &PROFILE),
            tlv::encode(0x42, issuer.0),
            tlv::encode(0x7F49, &key),
            tlv::encode(0x5F20, holder.0),
            tlv::encode(0x7F4C, &rights.encoded()),
            tlv::encode(0x5F25, &effective),
            tlv::encode(0x5F24, &expires),
        ];
        let body = tlv::encode(BODY, &body.concat());
        let signature = issuer.1.sign_ecdsa(&Sha256::digest(&body))?;
        Ok(tlv::encode(CERTIFICATE, &[body, tlv::encode(SIGNATURE, &signature)].concat()))
    }
}

/// Length of the token of a role authentication: 16 random bytes and the last 8 of the verifying card's number.
const ROLE_TOKEN: usize = 24;

/// The number that a role authentication signs: the token and a zero byte, without a hash.
fn role_number(token: &[u8]) -> Option<[u8; 32]> {
    let token: &[u8; ROLE_TOKEN] = token.try_into().ok()?;
    let mut number = [0; 32];
    number.get_mut(7..31)?.copy_from_slice(token);
    Some(number)
}

/// elcRoleAuthentication: the card proves its role to another.
pub(crate) fn sign_role(key: &PrivateKey, token: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let number = role_number(token);
    key.sign_ecdsa(&number.ok_or(CryptoError::InputLength { expected: ROLE_TOKEN, got: token.len() })?)
}

/// elcRoleCheck: whether another card has proven its role.
pub(crate) fn is_role_proven(point: &[u8], token: &[u8], signature: &[u8]) -> bool {
    role_number(token).is_some_and(|number| is_signature(point, &number, signature))
}

fn is_signature(point: &[u8], prehash: &[u8], signature: &[u8]) -> bool {
    let key = VerifyingKey::<BrainpoolP256r1>::from_sec1_bytes(point);
    let signature = ecdsa::Signature::<BrainpoolP256r1>::try_from(signature);
    matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(prehash, &signature).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[derive(serde::Deserialize)]
    struct Published {
        self_signed: Vec<String>,
        roots: BTreeMap<String, String>,
        certificates: Vec<Certificate>,
        role: Role,
    }

    #[derive(serde::Deserialize)]
    struct Certificate {
        name: String,
        cvc: String,
        flags: Vec<u8>,
        effective: String,
        expires: String,
        #[serde(default)]
        issuer_is_unknown: bool,
    }

    #[derive(serde::Deserialize)]
    struct Role {
        token: String,
        private: String,
        public: String,
        signature: String,
    }

    fn published() -> Published {
        toml::from_str(include_str!("../../testdata/cv-certificates.toml")).unwrap()
    }

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    #[test]
    fn the_published_certificates_verify_with_the_keys_of_their_issuers() {
        let published = published();
        let mut keys: BTreeMap<Vec<u8>, Vec<u8>> =
            published.roots.iter().map(|(name, point)| (bytes(name), bytes(point))).collect();
        for expected in &published.certificates {
            let contents = bytes(&expected.cvc);
            let certificate = CvCertificate::from_file(&contents)
                .or_else(|| CvCertificate::parse(&contents))
                .unwrap_or_else(|| panic!("{}", expected.name));
            let rights = Rights::of(FlagList::Telematics, expected.flags.iter().copied());
            assert_eq!(certificate.rights, rights, "{}", expected.name);
            let days = (bytes(&expected.effective), bytes(&expected.expires));
            assert_eq!((certificate.effective.to_vec(), certificate.expires.to_vec()), days);
            match keys.get(&certificate.issuer) {
                Some(issuer) => assert!(certificate.is_signed_by(issuer), "{}", expected.name),
                None => assert!(expected.issuer_is_unknown, "{}", expected.name),
            }
            keys.insert(certificate.holder.clone(), certificate.point.clone());
        }
        assert_eq!(published.certificates.len(), 9);
    }

    #[test]
    fn the_published_roots_certify_themselves() {
        let published = published();
        assert_eq!(published.self_signed.len(), 7);
        for text in &published.self_signed {
            let root = CvCertificate::from_file(&bytes(text)).unwrap();
            assert!(root.holder == root.issuer && root.is_signed_by(&root.point), "{text}");
            assert_eq!(root.rights.holder(), Some(Holder::Root));
            let known = published.roots.get(&hex::encode_upper(&root.holder)).map(|point| bytes(point));
            assert!(known.is_none_or(|point| point == root.point), "{text}");
        }
    }

    #[test]
    fn a_changed_certificate_is_not_signed_any_more() {
        let published = published();
        let good = bytes(&published.certificates[0].cvc);
        let issuer = CvCertificate::parse(&good).unwrap().issuer;
        let point = bytes(&published.roots[&hex::encode_upper(issuer)]);
        assert!(CvCertificate::parse(&good).unwrap().is_signed_by(&point));
        let accepted = (0..good.len()).filter(|place| {
            let mut changed = good.clone();
            changed[*place] ^= 1;
            CvCertificate::parse(&changed).is_some_and(|certificate| certificate.is_signed_by(&point))
        });
        assert_eq!(accepted.collect::<Vec<_>>(), [0usize; 0]);
    }

    #[test]
    fn the_role_vector_is_met_and_a_role_is_proven_for_one_token_only() {
        let role = published().role;
        let (token, point) = (bytes(&role.token), bytes(&role.public));
        assert!(is_role_proven(&point, &token, &bytes(&role.signature)));
        let secret = ecdsa::SigningKey::from_slice(&bytes(&role.private)).unwrap();
        let key = PrivateKey::Brainpool(Box::new(secret));
        assert_eq!(key.point().unwrap(), point);
        let signature = sign_role(&key, &token).unwrap();
        assert!(is_role_proven(&point, &token, &signature));
        let mut other = token.clone();
        other[23] ^= 1;
        assert!(!is_role_proven(&point, &other, &signature));
        assert!(sign_role(&key, &token[..23]).is_err());
    }

    #[test]
    fn what_is_issued_parses_back() {
        let kind = crate::layout::KeyKind::EcPrivate(crate::layout::Curve::BrainpoolP256r1);
        let key = PrivateKey::generate(kind).unwrap().unwrap();
        let point = key.point().unwrap();
        let rights = Rights::of(FlagList::Telematics, [18, 30]);
        let days = [[2, 6, 0, 1, 0, 1], [3, 1, 0, 1, 0, 1]];
        let file =
            CvCertificate::issue((b"DESIM\x10\x02\x26", &key), (&[7; 12], &point), rights, days).unwrap();
        assert_eq!(file.len(), 222);
        let parsed = CvCertificate::from_file(&file).unwrap();
        assert_eq!((parsed.rights, parsed.point.as_slice()), (rights, point.as_slice()));
        assert_eq!([parsed.effective, parsed.expires], days);
        assert!(parsed.is_signed_by(&point));
    }
}
