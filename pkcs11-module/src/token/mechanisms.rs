//! Mechanisms: what is offered, and how a caller's data becomes what the card signs (PKCS#11 v3.1 clauses 6.1, 6.3).
//!
//! The card takes a digest of exactly one length, a DigestInfo, or a SHA-256 digest; hashing is done here.

use card::profile::{Curve, DecipherScheme, KeyKind, KeyProfile, SignatureScheme};
use cryptoki_sys::*;
use sha2::{Digest, Sha256, Sha384, Sha512};

use crate::error::{Error, Result};

/// A hash function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A way to sign; `None`: the caller hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mechanism {
    Ecdsa(Option<Hash>),
    RsaPkcs(Option<Hash>),
    /// The cards hash with SHA-256 inside PSS, so there is no choice.
    RsaPss(Option<Hash>),
}

const TABLE: [(CK_MECHANISM_TYPE, Mechanism); 10] = [
    (CKM_ECDSA, Mechanism::Ecdsa(None)),
    (CKM_ECDSA_SHA256, Mechanism::Ecdsa(Some(Hash::Sha256))),
    (CKM_ECDSA_SHA384, Mechanism::Ecdsa(Some(Hash::Sha384))),
    (CKM_ECDSA_SHA512, Mechanism::Ecdsa(Some(Hash::Sha512))),
    (CKM_RSA_PKCS, Mechanism::RsaPkcs(None)),
    (CKM_SHA256_RSA_PKCS, Mechanism::RsaPkcs(Some(Hash::Sha256))),
    (CKM_SHA384_RSA_PKCS, Mechanism::RsaPkcs(Some(Hash::Sha384))),
    (CKM_SHA512_RSA_PKCS, Mechanism::RsaPkcs(Some(Hash::Sha512))),
    (CKM_RSA_PKCS_PSS, Mechanism::RsaPss(None)),
    (CKM_SHA256_RSA_PKCS_PSS, Mechanism::RsaPss(Some(Hash::Sha256))),
];

/// Opens a cryptogram of the German cards' own hybrid scheme with a CKK_EC key: the template `A6 { 06 curve, 7F49 { 86
/// ephemeral point }, 86 02 || ciphertext, 8E MAC }` in, the message out (gemSpec_COS clause 14.8.3). There is no standard
/// mechanism that fits: these cards never give out the shared secret that CKM_ECDH1_DERIVE would have to yield.
pub(crate) const CKM_HPC_ELC_DECIPHER: CK_MECHANISM_TYPE = CKM_VENDOR_DEFINED | 0x4850_4301;

/// Ways to decipher.
const DECIPHER: [(CK_MECHANISM_TYPE, DecipherScheme); 2] =
    [(CKM_RSA_PKCS_OAEP, DecipherScheme::RsaOaepSha256), (CKM_HPC_ELC_DECIPHER, DecipherScheme::Elc)];

/// Digests are made in software, for every token.
const DIGESTS: [(CK_MECHANISM_TYPE, Hash); 3] =
    [(CKM_SHA256, Hash::Sha256), (CKM_SHA384, Hash::Sha384), (CKM_SHA512, Hash::Sha512)];

/// The digest inside PSS.
const PSS_DIGEST: usize = 32;

impl Mechanism {
    /// Reads a mechanism and its parameter. Parameters are enforced, not ignored: the card would sign with others.
    pub(crate) fn parse(kind: CK_MECHANISM_TYPE, parameter: &[u8]) -> Result<Mechanism> {
        let mechanism = by_type(kind)?;
        let expected = match mechanism {
            Mechanism::Ecdsa(_) | Mechanism::RsaPkcs(_) => Vec::new(),
            Mechanism::RsaPss(_) => {
                [CKM_SHA256, CKG_MGF1_SHA256, PSS_DIGEST as CK_ULONG].map(CK_ULONG::to_ne_bytes).concat()
            }
        };
        if parameter == expected { Ok(mechanism) } else { Err(Error::MechanismParamInvalid) }
    }

    /// The card's operation behind it.
    pub(crate) fn scheme(self) -> SignatureScheme {
        match self {
            Mechanism::Ecdsa(_) => SignatureScheme::Ecdsa,
            Mechanism::RsaPkcs(_) => SignatureScheme::RsaPkcs1,
            Mechanism::RsaPss(_) => SignatureScheme::RsaPssSha256,
        }
    }

    /// Whether it goes with this key; the slot may offer it for another one.
    pub(crate) fn check_key(self, key: &KeyProfile) -> Result<()> {
        let fits = match self {
            Mechanism::Ecdsa(_) => matches!(key.kind, KeyKind::Ec(_)),
            Mechanism::RsaPkcs(_) | Mechanism::RsaPss(_) => matches!(key.kind, KeyKind::Rsa { .. }),
        };
        match (fits, key.schemes.is_empty()) {
            (_, true) => Err(Error::KeyFunctionNotPermitted),
            (false, _) => Err(Error::KeyTypeInconsistent),
            (true, _) if key.algorithm(self.scheme()).is_none() => Err(Error::KeyFunctionNotPermitted),
            _ => Ok(()),
        }
    }

    /// A collector for the data to sign.
    pub(crate) fn input(self) -> Input {
        Input::new(self.hash())
    }

    /// What is sent to the card for the collected data.
    pub(crate) fn card_input(self, key: KeyKind, data: Vec<u8>) -> Result<Vec<u8>> {
        match (self, key) {
            (Mechanism::Ecdsa(_), KeyKind::Ec(curve)) => field_element(curve, &data),
            (Mechanism::RsaPkcs(Some(hash)), KeyKind::Rsa { .. }) => Ok(digest_info(hash, &data)),
            // A card takes at most 40 % of the modulus here (gemSpec_COS clause 14.8.2, signPKCS1_V1_5).
            (Mechanism::RsaPkcs(None), KeyKind::Rsa { bits }) if data.len() <= usize::from(bits) / 20 => {
                Ok(data)
            }
            (Mechanism::RsaPss(_), KeyKind::Rsa { .. }) if data.len() == PSS_DIGEST => Ok(data),
            _ => Err(Error::DataLenRange),
        }
    }
}

/// Reads a mechanism that deciphers. The parameter is enforced: the card knows one kind of OAEP.
pub(crate) fn decipher_scheme(kind: CK_MECHANISM_TYPE, parameter: &[u8]) -> Result<DecipherScheme> {
    let (_, scheme) = DECIPHER.iter().find(|(known, _)| *known == kind).ok_or(Error::MechanismInvalid)?;
    let right = match scheme {
        DecipherScheme::Elc => parameter.is_empty(),
        DecipherScheme::RsaOaepSha256 => is_oaep_sha256(parameter),
    };
    if right { Ok(*scheme) } else { Err(Error::MechanismParamInvalid) }
}

/// CK_RSA_PKCS_OAEP_PARAMS with SHA-256, MGF1 with SHA-256 and no label. Callers without a label name its source or not.
fn is_oaep_sha256(parameter: &[u8]) -> bool {
    use std::mem::offset_of;
    type Params = CK_RSA_PKCS_OAEP_PARAMS;
    let field = |offset: usize| {
        let bytes = parameter.get(offset..)?.first_chunk()?;
        Some(CK_ULONG::from_ne_bytes(*bytes))
    };
    parameter.len() == size_of::<Params>()
        && field(offset_of!(Params, hashAlg)) == Some(CKM_SHA256)
        && field(offset_of!(Params, mgf)) == Some(CKG_MGF1_SHA256)
        && matches!(field(offset_of!(Params, source)), Some(0 | CKZ_DATA_SPECIFIED))
        && field(offset_of!(Params, ulSourceDataLen)) == Some(0)
}

/// Collects what is to be signed.
pub(crate) enum Input {
    Raw(Vec<u8>),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Input {
    /// No raw mechanism takes more than this; the rest of a longer input is not even kept.
    pub(crate) const MOST: usize = 1024;

    /// Nothing collected yet.
    pub(crate) fn new(hash: Option<Hash>) -> Input {
        match hash {
            None => Input::Raw(Vec::new()),
            Some(Hash::Sha256) => Input::Sha256(Sha256::new()),
            Some(Hash::Sha384) => Input::Sha384(Sha384::new()),
            Some(Hash::Sha512) => Input::Sha512(Sha512::new()),
        }
    }

    /// Adds data.
    pub(crate) fn update(&mut self, data: &[u8]) -> Result<()> {
        match self {
            Input::Raw(collected) if collected.len() + data.len() > Input::MOST => {
                return Err(Error::DataLenRange);
            }
            Input::Raw(collected) => collected.extend_from_slice(data),
            Input::Sha256(hasher) => hasher.update(data),
            Input::Sha384(hasher) => hasher.update(data),
            Input::Sha512(hasher) => hasher.update(data),
        }
        Ok(())
    }

    /// The data, or its digest.
    pub(crate) fn finish(self) -> Vec<u8> {
        match self {
            Input::Raw(collected) => collected,
            Input::Sha256(hasher) => hasher.finalize().to_vec(),
            Input::Sha384(hasher) => hasher.finalize().to_vec(),
            Input::Sha512(hasher) => hasher.finalize().to_vec(),
        }
    }
}

/// The mechanisms that these keys sign with. `raw_only` for keys that ask for a PIN each time: Firefox takes a
/// hashed mechanism if there is one, and then skips the context-specific login.
pub(crate) fn signing(keys: &[&KeyProfile], raw_only: bool) -> Vec<CK_MECHANISM_TYPE> {
    let sign = TABLE
        .iter()
        .filter(|(_, mechanism)| !(raw_only && mechanism.hash().is_some()))
        .filter(|(_, mechanism)| keys.iter().any(|key| key.algorithm(mechanism.scheme()).is_some()))
        .map(|(kind, _)| *kind);
    sign.collect()
}

/// The mechanisms a slot with these keys lists: those of [`signing`], and what else the keys do.
pub(crate) fn offered(keys: &[&KeyProfile], raw_only: bool) -> Vec<CK_MECHANISM_TYPE> {
    let decipher = DECIPHER
        .iter()
        .filter(|(_, scheme)| keys.iter().any(|key| deciphers(key, *scheme)))
        .map(|(kind, _)| *kind);
    let derive = keys.iter().any(|key| key.agrees.is_some()).then_some(CKM_ECDH1_DERIVE);
    signing(keys, raw_only).into_iter().chain(decipher).chain(derive).collect()
}

fn deciphers(key: &KeyProfile, scheme: DecipherScheme) -> bool {
    key.deciphers.is_some_and(|(known, _)| known == scheme)
}

/// The digest mechanisms.
pub(crate) fn digests() -> impl Iterator<Item = CK_MECHANISM_TYPE> {
    DIGESTS.iter().map(|(kind, _)| *kind)
}

/// Key sizes and flags of an offered mechanism.
pub(crate) fn info(kind: CK_MECHANISM_TYPE, keys: &[&KeyProfile]) -> Result<CK_MECHANISM_INFO> {
    if Hash::by_type(kind).is_ok() {
        return Ok(CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: CKF_DIGEST });
    }
    let (fits, flags): (Vec<&KeyProfile>, CK_FLAGS) =
        if let Some((_, scheme)) = DECIPHER.iter().find(|(known, _)| *known == kind) {
            (keys.iter().copied().filter(|key| deciphers(key, *scheme)).collect(), CKF_DECRYPT)
        } else if kind == CKM_ECDH1_DERIVE {
            (keys.iter().copied().filter(|key| key.agrees.is_some()).collect(), CKF_DERIVE)
        } else {
            let scheme = by_type(kind)?.scheme();
            let signs = |key: &&KeyProfile| key.algorithm(scheme).is_some();
            // The private half works on the card; signatures are checked in software.
            (keys.iter().copied().filter(signs).collect(), CKF_SIGN | CKF_VERIFY)
        };
    let elliptic = fits.iter().any(|key| matches!(key.kind, KeyKind::Ec(_)));
    let curve_flags = if elliptic { CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS } else { 0 };
    let sizes = fits.iter().map(|key| bits(key.kind));
    let (min, max) = (sizes.clone().min(), sizes.max());
    Ok(CK_MECHANISM_INFO {
        ulMinKeySize: min.ok_or(Error::MechanismInvalid)?,
        ulMaxKeySize: max.ok_or(Error::MechanismInvalid)?,
        flags: CKF_HW | flags | curve_flags,
    })
}

impl Mechanism {
    fn hash(self) -> Option<Hash> {
        let (Mechanism::Ecdsa(hash) | Mechanism::RsaPkcs(hash) | Mechanism::RsaPss(hash)) = self;
        hash
    }
}

impl Hash {
    /// The hash function of a digest mechanism.
    pub(crate) fn by_type(kind: CK_MECHANISM_TYPE) -> Result<Hash> {
        let found = DIGESTS.iter().find(|(known, _)| *known == kind);
        found.map(|(_, hash)| *hash).ok_or(Error::MechanismInvalid)
    }

    /// Bytes of a digest.
    pub(crate) fn len(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }
}

fn by_type(kind: CK_MECHANISM_TYPE) -> Result<Mechanism> {
    let found = TABLE.iter().find(|(known, _)| *known == kind);
    found.map(|(_, mechanism)| *mechanism).ok_or(Error::MechanismInvalid)
}

fn bits(kind: KeyKind) -> CK_ULONG {
    match kind {
        KeyKind::Ec(curve) => curve.field_len() as CK_ULONG * 8,
        KeyKind::Rsa { bits } => bits.into(),
    }
}

/// A digest as the number that ECDSA signs, in the only length the card takes: a shorter one with zeros in front, of
/// a longer one the leftmost bytes (FIPS 186-5 clause 6.4.1).
fn field_element(curve: Curve, digest: &[u8]) -> Result<Vec<u8>> {
    if digest.is_empty() {
        return Err(Error::DataLenRange);
    }
    let wanted = curve.field_len();
    let kept = digest.get(..wanted).unwrap_or(digest);
    let mut element = vec![0; wanted - kept.len()];
    element.extend_from_slice(kept);
    Ok(element)
}

/// DigestInfo (RFC 8017 clause 9.2, note 1).
fn digest_info(hash: Hash, digest: &[u8]) -> Vec<u8> {
    let (total, last) = match hash {
        Hash::Sha256 => (0x31, 1),
        Hash::Sha384 => (0x41, 2),
        Hash::Sha512 => (0x51, 3),
    };
    let oid = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, last];
    let mut info = vec![0x30, total, 0x30, 0x0D, 0x06, 0x09];
    info.extend_from_slice(&oid);
    info.extend_from_slice(&[0x05, 0x00, 0x04, total - 0x11]);
    info.extend_from_slice(digest);
    info
}

#[cfg(test)]
mod tests {
    use card::profile::Profile;

    use super::*;

    fn keys(profile: &str) -> Vec<&'static KeyProfile> {
        Profile::by_name(profile).unwrap().applications.iter().flat_map(|a| &a.keys).collect()
    }

    fn key(profile: &str, label: &str) -> &'static KeyProfile {
        keys(profile).into_iter().find(|key| key.label == label).unwrap()
    }

    const P384: KeyKind = KeyKind::Ec(Curve::P384);
    const RSA: KeyKind = KeyKind::Rsa { bits: 2048 };

    #[test]
    fn short_digests_get_zeros_in_front_and_long_ones_are_cut() {
        let short = Mechanism::Ecdsa(None).card_input(P384, vec![7; 20]).unwrap();
        assert_eq!((short.len(), short[..28].to_vec(), short[28..].to_vec()), (48, vec![0; 28], vec![7; 20]));
        let exact: Vec<u8> = (0..48).collect();
        assert_eq!(Mechanism::Ecdsa(None).card_input(P384, exact.clone()).unwrap(), exact);
        let long: Vec<u8> = (0..64).collect();
        assert_eq!(Mechanism::Ecdsa(None).card_input(P384, long).unwrap(), exact);
    }

    #[test]
    fn ecdsa_takes_every_digest_but_none() {
        for length in [1, 16, 28, 64, 100] {
            assert_eq!(Mechanism::Ecdsa(None).card_input(P384, vec![1; length]).unwrap().len(), 48);
        }
        let nothing = Mechanism::Ecdsa(None).card_input(P384, Vec::new());
        assert!(matches!(nothing, Err(Error::DataLenRange)));
    }

    #[test]
    fn raw_pkcs1_takes_up_to_two_fifths_of_the_modulus() {
        assert_eq!(Mechanism::RsaPkcs(None).card_input(RSA, vec![1; 102]).unwrap().len(), 102);
        assert!(matches!(Mechanism::RsaPkcs(None).card_input(RSA, vec![1; 103]), Err(Error::DataLenRange)));
    }

    #[test]
    fn raw_pss_takes_a_sha256_digest_only() {
        assert!(Mechanism::RsaPss(None).card_input(RSA, vec![1; 32]).is_ok());
        assert!(matches!(Mechanism::RsaPss(None).card_input(RSA, vec![1; 48]), Err(Error::DataLenRange)));
    }

    #[test]
    fn hashed_pkcs1_sends_a_digest_info() {
        for (hash, length) in [(Hash::Sha256, 51), (Hash::Sha384, 67), (Hash::Sha512, 83)] {
            let mechanism = Mechanism::RsaPkcs(Some(hash));
            let mut input = mechanism.input();
            input.update(b"ab").unwrap();
            input.update(b"c").unwrap();
            let info = mechanism.card_input(RSA, input.finish()).unwrap();
            assert_eq!(info.len(), length);
            assert_eq!(usize::from(info[1]), length - 2);
        }
        let info = digest_info(Hash::Sha256, &[0xAA; 32]);
        assert_eq!(hex::encode(&info[..19]), "3031300d060960864801650304020105000420");
    }

    #[test]
    fn hashed_ecdsa_signs_the_digest() {
        let mechanism = Mechanism::Ecdsa(Some(Hash::Sha384));
        let mut input = mechanism.input();
        input.update(b"abc").unwrap();
        let sent = mechanism.card_input(P384, input.finish()).unwrap();
        assert!(hex::encode(sent).starts_with("cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"));
    }

    #[test]
    fn pss_parameters_are_enforced() {
        let parameter = |hash: CK_ULONG, mgf: CK_ULONG, salt: CK_ULONG| {
            [hash, mgf, salt].map(CK_ULONG::to_ne_bytes).concat()
        };
        let right = parameter(CKM_SHA256, CKG_MGF1_SHA256, 32);
        assert!(Mechanism::parse(CKM_RSA_PKCS_PSS, &right).is_ok());
        assert!(Mechanism::parse(CKM_SHA256_RSA_PKCS_PSS, &right).is_ok());
        for wrong in [
            parameter(CKM_SHA384, CKG_MGF1_SHA384, 48),
            parameter(CKM_SHA256, CKG_MGF1_SHA1, 32),
            parameter(CKM_SHA256, CKG_MGF1_SHA256, 20),
            Vec::new(),
            right[..23].to_vec(),
        ] {
            let result = Mechanism::parse(CKM_RSA_PKCS_PSS, &wrong);
            assert!(matches!(result, Err(Error::MechanismParamInvalid)));
        }
    }

    #[test]
    fn parameters_where_none_belong_are_refused() {
        assert!(matches!(Mechanism::parse(CKM_ECDSA, &[0]), Err(Error::MechanismParamInvalid)));
        assert!(matches!(Mechanism::parse(CKM_RSA_PKCS, &[0]), Err(Error::MechanismParamInvalid)));
        assert!(matches!(Mechanism::parse(CKM_AES_CBC, &[]), Err(Error::MechanismInvalid)));
    }

    #[test]
    fn a_key_signs_only_with_its_own_mechanisms() {
        let ec = key("hba-g21", "C.HP.AUT.E256");
        let encryption = key("hba-g21", "C.HP.ENC.R2048");
        let qes = key("hba-g21", "C.HP.QES.R2048");
        Mechanism::Ecdsa(None).check_key(ec).unwrap();
        assert!(matches!(Mechanism::RsaPkcs(None).check_key(ec), Err(Error::KeyTypeInconsistent)));
        assert!(matches!(
            Mechanism::RsaPkcs(None).check_key(encryption),
            Err(Error::KeyFunctionNotPermitted)
        ));
        assert!(matches!(Mechanism::RsaPkcs(None).check_key(qes), Err(Error::KeyFunctionNotPermitted)));
        Mechanism::RsaPss(None).check_key(qes).unwrap();
    }

    #[test]
    fn slots_list_what_their_keys_can_do() {
        let qes = [key("hba-g21", "C.HP.QES.E256"), key("hba-g21", "C.HP.QES.R2048")];
        assert_eq!(offered(&qes, true), [CKM_ECDSA, CKM_RSA_PKCS_PSS]);
        assert_eq!(offered(&keys("hba-g21"), false).len(), 12);
        assert_eq!(offered(&[key("hba-g21", "C.HP.ENC.E256")], false), [CKM_HPC_ELC_DECIPHER]);
        assert_eq!(offered(&[key("hba-g21", "C.HP.ENC.R2048")], false), [CKM_RSA_PKCS_OAEP]);
        assert_eq!(offered(&[key("piv", "C.PIV.KM.P384")], false), [CKM_ECDH1_DERIVE]);
        let both = key("esteid", "C.EST.AUT.P384");
        assert_eq!(offered(&[both], true), [CKM_ECDSA, CKM_ECDH1_DERIVE]);
        assert_eq!(signing(&[both], true), [CKM_ECDSA], "what a public key is for");
    }

    #[test]
    fn sizes_are_those_of_the_keys() {
        let info = info(CKM_ECDSA, &keys("hpc-p384")).unwrap();
        assert_eq!((info.ulMinKeySize, info.ulMaxKeySize), (384, 384));
        let curve = CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS;
        assert_eq!(info.flags, CKF_HW | CKF_SIGN | CKF_VERIFY | curve);
    }

    #[test]
    fn mechanisms_say_what_they_are_for() {
        let keys = keys("hba-g21");
        let flags = |kind| info(kind, &keys).unwrap().flags;
        assert_eq!(flags(CKM_RSA_PKCS_PSS), CKF_HW | CKF_SIGN | CKF_VERIFY);
        assert_eq!(flags(CKM_RSA_PKCS_OAEP), CKF_HW | CKF_DECRYPT);
        let curve = CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS;
        assert_eq!(flags(CKM_HPC_ELC_DECIPHER), CKF_HW | CKF_DECRYPT | curve);
        assert_eq!(flags(CKM_SHA384), CKF_DIGEST);
        let agreement = info(CKM_ECDH1_DERIVE, &[key("piv", "C.PIV.KM.P256")]).unwrap();
        assert_eq!((agreement.ulMaxKeySize, agreement.flags), (256, CKF_HW | CKF_DERIVE | curve));
        assert!(matches!(info(CKM_ECDH1_DERIVE, &keys), Err(Error::MechanismInvalid)));
    }

    #[test]
    fn oaep_parameters_are_enforced() {
        let parameter = |hash: CK_ULONG, mgf: CK_ULONG, source: CK_ULONG, length: CK_ULONG| {
            [hash, mgf, source, 0, length].map(CK_ULONG::to_ne_bytes).concat()
        };
        for source in [0, CKZ_DATA_SPECIFIED] {
            let right = parameter(CKM_SHA256, CKG_MGF1_SHA256, source, 0);
            assert!(decipher_scheme(CKM_RSA_PKCS_OAEP, &right).is_ok());
        }
        for wrong in [
            parameter(CKM_SHA_1, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, 0),
            parameter(CKM_SHA256, CKG_MGF1_SHA1, CKZ_DATA_SPECIFIED, 0),
            parameter(CKM_SHA256, CKG_MGF1_SHA256, 2, 0),
            parameter(CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, 5),
            parameter(CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, 0)[..39].to_vec(),
            Vec::new(),
        ] {
            let result = decipher_scheme(CKM_RSA_PKCS_OAEP, &wrong);
            assert!(matches!(result, Err(Error::MechanismParamInvalid)), "{wrong:?}");
        }
        assert!(matches!(decipher_scheme(CKM_HPC_ELC_DECIPHER, &[1]), Err(Error::MechanismParamInvalid)));
        assert!(matches!(decipher_scheme(CKM_RSA_PKCS, &[]), Err(Error::MechanismInvalid)));
    }
}
