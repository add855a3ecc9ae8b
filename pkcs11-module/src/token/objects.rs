//! The objects of a token: certificate, public key and private key for each key of the card, and a profile object
//! (PKCS#11 v3.1 clauses 4.3 to 4.9). All attributes are computed once, when the card has been read.

use std::fmt;
use std::sync::Arc;

use card::hpc::CardKey;
use card::profile::{Application, KeyProfile, KeyPurpose};
use cryptoki_sys::*;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::certificate::{Certificate, PublicKey, octet_string};
use super::counter::CKH_HPC_CARD_COMMANDS;
use super::mechanisms;
use crate::error::{Error, Result};

/// One object. Its values are wiped from memory with it: one may be an agreed secret.
#[derive(Clone)]
pub(crate) struct Object {
    attributes: Vec<(CK_ATTRIBUTE_TYPE, Zeroizing<Vec<u8>>)>,
    /// Attributes that exist but never leave the card, or the module.
    secrets: &'static [CK_ATTRIBUTE_TYPE],
    /// CKA_PRIVATE: hidden until login.
    pub(crate) private: bool,
    /// For a private key: its data.
    pub(crate) private_key: Option<&'static KeyProfile>,
    /// For a public key: the data of its other half.
    pub(crate) public_key: Option<&'static KeyProfile>,
}

impl Object {
    /// The value of an attribute.
    pub(crate) fn value(&self, kind: CK_ATTRIBUTE_TYPE) -> Result<&[u8]> {
        if self.secrets.contains(&kind) {
            return Err(Error::AttributeSensitive);
        }
        let found = self.attributes.iter().find(|(known, _)| *known == kind);
        found.map(|(_, value)| value.as_slice()).ok_or(Error::AttributeTypeInvalid)
    }

    /// Whether an attribute has this value; the test of C_FindObjects (clause 5.7.7).
    pub(crate) fn matches(&self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> bool {
        self.value(kind).is_ok_and(|own| own == value)
    }

    /// Whether a flag is set.
    pub(crate) fn is(&self, flag: CK_ATTRIBUTE_TYPE) -> bool {
        self.matches(flag, &[CK_TRUE])
    }

    /// Gives an attribute another value.
    pub(crate) fn set(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        self.attributes.retain(|(known, _)| *known != kind);
        self.bytes(kind, value);
    }

    /// CKA_VALUE is there no more, and not for anybody to see.
    pub(super) fn withhold_value(&mut self) {
        self.attributes.retain(|(known, _)| *known != CKA_VALUE);
        self.secrets = &[CKA_VALUE];
    }

    /// Bytes of all values that can be read.
    pub(crate) fn size(&self) -> usize {
        self.attributes.iter().map(|(_, value)| value.len()).sum()
    }

    /// Tells clients that certificates and public keys can be read without login (PKCS#11 profiles v3.1 clause 3.5);
    /// Firefox otherwise asks for the PIN of each token whenever it lists certificates.
    fn profile() -> Object {
        let mut object = Object::common(CKO_PROFILE, "profile", "profile");
        object.number(CKA_PROFILE_ID, CKP_PUBLIC_CERTIFICATES_TOKEN);
        object
    }

    /// Counts commands; the number is put in when somebody reads it.
    pub(crate) fn counter() -> Object {
        let mut object = Object::empty();
        object.number(CKA_CLASS, CKO_HW_FEATURE);
        object.number(CKA_HW_FEATURE_TYPE, CKH_HPC_CARD_COMMANDS);
        object
    }

    /// Whether it is the one that counts commands.
    pub(crate) fn is_counter(&self) -> bool {
        self.matches(CKA_HW_FEATURE_TYPE, &CKH_HPC_CARD_COMMANDS.to_ne_bytes())
    }

    fn certificate(key: &CardKey, certificate: &Certificate<'_>) -> Object {
        let mut object = Object::common(CKO_CERTIFICATE, &key.profile.label, "certificate");
        object.number(CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_TOKEN_USER);
        object.bytes(CKA_ID, &[key.profile.id]);
        object.x509(&key.certificate, certificate);
        object.hide_behind_pin(key);
        object
    }

    /// A certificate of an issuer. Its id must not be that of a key, and not zero: NSS takes the one for a pair and the
    /// other for any CA.
    fn issuer(key: &CardKey, der: &[u8], certificate: &Certificate<'_>) -> Object {
        let id = Sha256::digest(certificate.key_info);
        let part = format!("issuer {}", hex::encode(Sha256::digest(der)));
        let mut object = Object::common(CKO_CERTIFICATE, &key.profile.label, &part);
        object.set(CKA_LABEL, format!("{} issuer", key.profile.label).as_bytes());
        object.number(CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_AUTHORITY);
        object.bytes(CKA_ID, id.as_slice());
        object.x509(der, certificate);
        object
    }

    fn x509(&mut self, der: &[u8], certificate: &Certificate<'_>) {
        self.number(CKA_CERTIFICATE_TYPE, CKC_X_509);
        self.flag(CKA_TRUSTED, false);
        self.bytes(CKA_SUBJECT, certificate.subject);
        self.bytes(CKA_ISSUER, certificate.issuer);
        self.bytes(CKA_SERIAL_NUMBER, certificate.serial);
        self.bytes(CKA_VALUE, der);
        self.bytes(CKA_PUBLIC_KEY_INFO, certificate.key_info);
        self.bytes(CKA_START_DATE, &[]);
        self.bytes(CKA_END_DATE, &[]);
    }

    fn public_key(key: &CardKey, certificate: &Certificate<'_>, raw_only: bool) -> Object {
        let mut object = Object::common(CKO_PUBLIC_KEY, &key.profile.label, "public key");
        object.public_key = Some(key.profile);
        object.key(key, certificate);
        object.hide_behind_pin(key);
        let signs = key.profile.purpose != KeyPurpose::Encryption;
        object.flag(CKA_VERIFY, signs);
        object.mechanisms(&mechanisms::signing(&[key.profile], raw_only));
        object.flag(CKA_VERIFY_RECOVER, false);
        object.flag(CKA_DERIVE, false);
        // C_Encrypt is not offered: what needs the public key only, the caller does better.
        object.flag(CKA_ENCRYPT, false);
        object.flag(CKA_WRAP, false);
        object.flag(CKA_TRUSTED, false);
        if let PublicKey::Rsa { modulus, .. } = certificate.key {
            object.number(CKA_MODULUS_BITS, bit_length(modulus));
        }
        object
    }

    fn private_key(key: &CardKey, certificate: &Certificate<'_>, offer: Offer) -> Object {
        let mut object = Object::common(CKO_PRIVATE_KEY, &key.profile.label, "private key");
        object.private = true;
        object.private_key = Some(key.profile);
        object.key(key, certificate);
        object.secrets = match certificate.key {
            PublicKey::Ec { .. } => &[CKA_VALUE],
            PublicKey::Rsa { .. } => RSA_SECRETS,
        };
        let mechanisms = mechanisms::offered(&[key.profile], offer.raw_only);
        object.flag(CKA_SIGN, !key.profile.schemes.is_empty());
        object.flag(CKA_DECRYPT, key.profile.deciphers.is_some());
        object.flag(CKA_DERIVE, key.profile.agrees.is_some());
        for kind in [CKA_SIGN_RECOVER, CKA_UNWRAP, CKA_WRAP_WITH_TRUSTED, CKA_EXTRACTABLE] {
            object.flag(kind, false);
        }
        for kind in [CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
            object.flag(kind, true);
        }
        object.flag(CKA_ALWAYS_AUTHENTICATE, offer.always_authenticate);
        object.mechanisms(&mechanisms);
        object
    }

    /// What can be read from the card only after its PIN is hidden when the PIN's time is over.
    fn hide_behind_pin(&mut self, key: &CardKey) {
        if key.profile.certificate_behind_pin {
            self.private = true;
            self.set(CKA_PRIVATE, &[CK_TRUE]);
        }
    }

    /// What both halves of a key pair have.
    fn key(&mut self, key: &CardKey, certificate: &Certificate<'_>) {
        self.bytes(CKA_ID, &[key.profile.id]);
        self.bytes(CKA_SUBJECT, certificate.subject);
        self.bytes(CKA_PUBLIC_KEY_INFO, certificate.key_info);
        self.bytes(CKA_START_DATE, &[]);
        self.bytes(CKA_END_DATE, &[]);
        self.flag(CKA_LOCAL, true);
        match &certificate.key {
            PublicKey::Ec { parameters, point } => {
                self.number(CKA_KEY_TYPE, CKK_EC);
                self.number(CKA_KEY_GEN_MECHANISM, CKM_EC_KEY_PAIR_GEN);
                self.bytes(CKA_EC_PARAMS, parameters);
                self.bytes(CKA_EC_POINT, &octet_string(point).unwrap_or_default());
            }
            PublicKey::Rsa { modulus, exponent } => {
                self.number(CKA_KEY_TYPE, CKK_RSA);
                self.number(CKA_KEY_GEN_MECHANISM, CKM_RSA_PKCS_KEY_PAIR_GEN);
                self.bytes(CKA_MODULUS, modulus);
                self.bytes(CKA_PUBLIC_EXPONENT, exponent);
            }
        }
    }

    /// What every object has (clause 4.4). The card is read-only.
    pub(super) fn common(class: CK_OBJECT_CLASS, label: &str, part: &str) -> Object {
        let mut object = Object::empty();
        object.number(CKA_CLASS, class);
        object.bytes(CKA_LABEL, label.as_bytes());
        object.bytes(CKA_UNIQUE_ID, format!("{label} {part}").as_bytes());
        object.flag(CKA_TOKEN, true);
        object.flag(CKA_PRIVATE, class == CKO_PRIVATE_KEY);
        object.flag(CKA_COPYABLE, class != CKO_PROFILE);
        for kind in [CKA_MODIFIABLE, CKA_DESTROYABLE] {
            object.flag(kind, false);
        }
        object
    }

    fn empty() -> Object {
        Object { attributes: Vec::new(), secrets: &[], private: false, private_key: None, public_key: None }
    }

    fn mechanisms(&mut self, allowed: &[CK_MECHANISM_TYPE]) {
        let list: Vec<u8> = allowed.iter().flat_map(|kind| kind.to_ne_bytes()).collect();
        self.bytes(CKA_ALLOWED_MECHANISMS, &list);
    }

    pub(super) fn flag(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) {
        self.bytes(kind, &[if value { CK_TRUE } else { CK_FALSE }]);
    }

    pub(super) fn number(&mut self, kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    pub(super) fn bytes(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        self.attributes.push((kind, Zeroizing::new(value.to_vec())));
    }
}

/// Values may be secret, or say whose card it is.
impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = self.attributes.iter().map(|(kind, _)| kind).collect();
        f.debug_struct("Object").field("private", &self.private).field("attributes", &kinds).finish()
    }
}

const RSA_SECRETS: &[CK_ATTRIBUTE_TYPE] =
    &[CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT];

/// How the keys of a slot are offered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Offer {
    /// CKA_ALWAYS_AUTHENTICATE.
    pub(crate) always_authenticate: bool,
    /// No mechanism that hashes.
    pub(crate) raw_only: bool,
}

/// The objects of one application's token. A key whose certificate cannot be read is left out: nothing could be told
/// about it.
/// `public`: all certificates can be seen without a login.
pub(crate) fn objects(
    keys: &[CardKey],
    application: Application,
    offer: Offer,
    public: bool,
) -> Vec<Arc<Object>> {
    let mut objects = if public { vec![Object::profile()] } else { Vec::new() };
    let of_application = || keys.iter().filter(|key| key.application == application);
    for key in of_application() {
        match Certificate::parse(&key.certificate) {
            Ok(certificate) => objects.extend([
                Object::certificate(key, &certificate),
                Object::public_key(key, &certificate, offer.raw_only),
                Object::private_key(key, &certificate, offer),
            ]),
            Err(error) => tracing::warn!(key = key.profile.label, %error, "certificate left out"),
        }
    }
    for (key, der) in of_application().flat_map(|key| key.issuers.iter().map(move |der| (key, der))) {
        match Certificate::parse(der) {
            Ok(_) if objects.iter().any(|object| object.matches(CKA_VALUE, der)) => {}
            Ok(certificate) => objects.push(Object::issuer(key, der, &certificate)),
            Err(error) => {
                tracing::warn!(key = key.profile.label, %error, "certificate of an issuer left out")
            }
        }
    }
    objects.into_iter().map(Arc::new).collect()
}

fn bit_length(number: &[u8]) -> CK_ULONG {
    let bits = number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize);
    bits as CK_ULONG
}

#[cfg(test)]
mod tests {
    use card::profile::Profile;

    use super::*;

    const OFFER: Offer = Offer { always_authenticate: false, raw_only: false };

    fn card_key(label: &str, certificate: &[u8]) -> CardKey {
        let profile = Profile::by_name("hpc-p384").unwrap();
        let application =
            profile.applications.iter().find(|a| a.keys.iter().any(|k| k.label == label)).unwrap();
        let key = application.keys.iter().find(|key| key.label == label).unwrap();
        CardKey {
            application: application.application,
            profile: key,
            certificate: certificate.to_vec(),
            issuers: Vec::new(),
        }
    }

    fn ec_key() -> CardKey {
        card_key("C.HP.AUT.E384", include_bytes!("../../testdata/secp384r1.der"))
    }

    fn rsa_key() -> CardKey {
        card_key("C.HP.AUT.R2048", include_bytes!("../../testdata/rsa2048.der"))
    }

    fn number(object: &Object, kind: CK_ATTRIBUTE_TYPE) -> CK_ULONG {
        CK_ULONG::from_ne_bytes(object.value(kind).unwrap().try_into().unwrap())
    }

    #[test]
    fn every_key_shows_as_three_objects_with_one_id_behind_the_profile() {
        let objects = objects(&[ec_key(), rsa_key()], Application::Esign, OFFER, true);
        let classes: Vec<_> = objects.iter().map(|object| number(object, CKA_CLASS)).collect();
        let triple = [CKO_CERTIFICATE, CKO_PUBLIC_KEY, CKO_PRIVATE_KEY];
        assert_eq!(classes, [&[CKO_PROFILE], &triple[..], &triple[..]].concat());
        assert_eq!(number(&objects[0], CKA_PROFILE_ID), CKP_PUBLIC_CERTIFICATES_TOKEN);
        assert!(objects[1..4].iter().all(|object| object.value(CKA_ID).unwrap() == [1]));
        assert!(objects[4..].iter().all(|object| object.value(CKA_ID).unwrap() == [4]));
        assert!(objects.iter().filter(|object| object.private).all(|object| object.private_key.is_some()));
    }

    #[test]
    fn certificates_of_issuers_show_once_and_belong_to_no_key() {
        let issuer = include_bytes!("../../testdata/brainpoolp256r1.der").to_vec();
        let mut keys = [ec_key(), rsa_key()];
        for key in &mut keys {
            key.issuers = vec![issuer.clone(), b"damaged".to_vec()];
        }
        let objects = objects(&keys, Application::Esign, OFFER, true);
        assert_eq!(objects.len(), 8);
        let shown = objects.last().unwrap();
        assert_eq!(number(shown, CKA_CERTIFICATE_CATEGORY), CK_CERTIFICATE_CATEGORY_AUTHORITY);
        assert_eq!(shown.value(CKA_VALUE).unwrap(), issuer);
        assert_eq!(shown.value(CKA_ID).unwrap().len(), 32);
        assert_eq!(shown.value(CKA_LABEL).unwrap(), b"C.HP.AUT.E384 issuer");
    }

    #[test]
    fn keys_of_the_other_application_and_unreadable_certificates_are_left_out() {
        let damaged = card_key("C.HP.AUT.R2048", b"damaged");
        assert_eq!(objects(&[ec_key(), damaged], Application::Esign, OFFER, true).len(), 4);
        assert_eq!(objects(&[ec_key()], Application::Qes, OFFER, true).len(), 1);
    }

    #[test]
    fn ec_attributes_have_the_forms_clients_expect() {
        let objects = objects(&[ec_key()], Application::Esign, OFFER, true);
        for object in &objects[2..4] {
            assert_eq!(hex::encode(object.value(CKA_EC_PARAMS).unwrap()), "06052b81040022");
            let point = object.value(CKA_EC_POINT).unwrap();
            assert_eq!((point.len(), &point[..3]), (99, &[4, 0x61, 4][..]));
            assert_eq!(number(object, CKA_KEY_TYPE), CKK_EC);
        }
        assert_eq!(hex::encode(objects[1].value(CKA_SERIAL_NUMBER).unwrap()), "020600c1d2e3f405");
        assert_eq!(objects[1].value(CKA_VALUE).unwrap(), ec_key().certificate);
    }

    #[test]
    fn rsa_attributes_have_the_forms_clients_expect() {
        let objects = objects(&[rsa_key()], Application::Esign, OFFER, true);
        assert_eq!(number(&objects[2], CKA_MODULUS_BITS), 2048);
        assert_eq!(objects[3].value(CKA_PUBLIC_EXPONENT).unwrap(), [1, 0, 1]);
        assert_eq!(objects[3].value(CKA_MODULUS).unwrap().len(), 256);
    }

    #[test]
    fn secrets_of_private_keys_are_sensitive_and_unknown_attributes_unknown() {
        let objects = objects(&[ec_key(), rsa_key()], Application::Esign, OFFER, true);
        assert!(matches!(objects[3].value(CKA_VALUE), Err(Error::AttributeSensitive)));
        assert!(matches!(objects[6].value(CKA_PRIVATE_EXPONENT), Err(Error::AttributeSensitive)));
        assert!(matches!(objects[6].value(CKA_VALUE), Err(Error::AttributeTypeInvalid)));
        assert!(matches!(objects[1].value(CKA_MODULUS), Err(Error::AttributeTypeInvalid)));
    }

    #[test]
    fn signature_keys_allow_what_the_slot_offers() {
        let key = card_key("C.HP.QES.E384", include_bytes!("../../testdata/secp384r1.der"));
        let offer = Offer { always_authenticate: true, raw_only: true };
        let objects = objects(&[key], Application::Qes, offer, true);
        assert_eq!(objects[3].value(CKA_ALWAYS_AUTHENTICATE).unwrap(), [CK_TRUE]);
        assert_eq!(objects[3].value(CKA_ALLOWED_MECHANISMS).unwrap(), CKM_ECDSA.to_ne_bytes());
        assert_eq!(objects[3].value(CKA_SIGN).unwrap(), [CK_TRUE]);
    }

    #[test]
    fn encryption_keys_decipher_and_do_not_sign() {
        let key = card_key("C.HP.ENC.E384", include_bytes!("../../testdata/secp384r1.der"));
        let objects = objects(&[key], Application::Esign, OFFER, true);
        assert_eq!(objects[3].value(CKA_SIGN).unwrap(), [CK_FALSE]);
        assert_eq!(objects[3].value(CKA_DECRYPT).unwrap(), [CK_TRUE]);
        let allowed = objects[3].value(CKA_ALLOWED_MECHANISMS).unwrap();
        assert_eq!(allowed, mechanisms::CKM_HPC_ELC_DECIPHER.to_ne_bytes());
    }
}
