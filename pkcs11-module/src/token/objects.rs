//! The objects of a token: certificate, public key and private key for each key of the card, and a profile object
//! (PKCS#11 v3.1 clauses 4.3 to 4.9). All attributes are computed once, when the card has been read.

use card::hpc::CardKey;
use card::profile::{Application, KeyProfile, KeyPurpose};
use cryptoki_sys::*;

use super::certificate::{Certificate, PublicKey, octet_string};
use super::mechanisms;
use crate::error::{Error, Result};

/// One object.
#[derive(Debug)]
pub(crate) struct Object {
    attributes: Vec<(CK_ATTRIBUTE_TYPE, Vec<u8>)>,
    /// Attributes that exist on the card but never leave it.
    secrets: &'static [CK_ATTRIBUTE_TYPE],
    /// CKA_PRIVATE: hidden until login.
    pub(crate) private: bool,
    /// For a private key: its data.
    pub(crate) private_key: Option<&'static KeyProfile>,
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

    /// Whether an attribute has this value; the test of C_FindObjects (clause 5.7.6).
    pub(crate) fn matches(&self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) -> bool {
        self.value(kind).is_ok_and(|own| own == value)
    }

    /// Tells clients that certificates and public keys can be read without login (PKCS#11 profiles v3.1 clause 3.5);
    /// Firefox otherwise asks for the PIN of each token whenever it lists certificates.
    fn profile() -> Object {
        let mut object = Object::common(CKO_PROFILE, "profile", "profile");
        object.number(CKA_PROFILE_ID, CKP_PUBLIC_CERTIFICATES_TOKEN);
        object
    }

    fn certificate(key: &CardKey, certificate: &Certificate<'_>) -> Object {
        let mut object = Object::common(CKO_CERTIFICATE, &key.profile.label, "certificate");
        object.number(CKA_CERTIFICATE_TYPE, CKC_X_509);
        object.number(CKA_CERTIFICATE_CATEGORY, CK_CERTIFICATE_CATEGORY_TOKEN_USER);
        object.flag(CKA_TRUSTED, false);
        object.bytes(CKA_ID, &[key.profile.id]);
        object.bytes(CKA_SUBJECT, certificate.subject);
        object.bytes(CKA_ISSUER, certificate.issuer);
        object.bytes(CKA_SERIAL_NUMBER, certificate.serial);
        object.bytes(CKA_VALUE, &key.certificate);
        object.bytes(CKA_PUBLIC_KEY_INFO, certificate.key_info);
        object.bytes(CKA_START_DATE, &[]);
        object.bytes(CKA_END_DATE, &[]);
        object
    }

    fn public_key(key: &CardKey, certificate: &Certificate<'_>) -> Object {
        let mut object = Object::common(CKO_PUBLIC_KEY, &key.profile.label, "public key");
        object.key(key, certificate);
        let signs = key.profile.purpose != KeyPurpose::Encryption;
        let encrypts = !signs && matches!(certificate.key, PublicKey::Rsa { .. });
        object.flag(CKA_VERIFY, signs);
        object.flag(CKA_VERIFY_RECOVER, false);
        object.flag(CKA_ENCRYPT, encrypts);
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
        object.flag(CKA_SIGN, !mechanisms.is_empty());
        for kind in [CKA_SIGN_RECOVER, CKA_DECRYPT, CKA_UNWRAP, CKA_WRAP_WITH_TRUSTED, CKA_EXTRACTABLE] {
            object.flag(kind, false);
        }
        for kind in [CKA_SENSITIVE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE] {
            object.flag(kind, true);
        }
        object.flag(CKA_ALWAYS_AUTHENTICATE, offer.always_authenticate);
        object.bytes(
            CKA_ALLOWED_MECHANISMS,
            &mechanisms.iter().flat_map(|kind| kind.to_ne_bytes()).collect::<Vec<u8>>(),
        );
        object
    }

    /// What both halves of a key pair have.
    fn key(&mut self, key: &CardKey, certificate: &Certificate<'_>) {
        self.bytes(CKA_ID, &[key.profile.id]);
        self.bytes(CKA_SUBJECT, certificate.subject);
        self.bytes(CKA_PUBLIC_KEY_INFO, certificate.key_info);
        self.bytes(CKA_START_DATE, &[]);
        self.bytes(CKA_END_DATE, &[]);
        self.flag(CKA_DERIVE, false);
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
    fn common(class: CK_OBJECT_CLASS, label: &str, part: &str) -> Object {
        let mut object = Object { attributes: Vec::new(), secrets: &[], private: false, private_key: None };
        object.number(CKA_CLASS, class);
        object.bytes(CKA_LABEL, label.as_bytes());
        object.bytes(CKA_UNIQUE_ID, format!("{label} {part}").as_bytes());
        object.flag(CKA_TOKEN, true);
        object.flag(CKA_PRIVATE, class == CKO_PRIVATE_KEY);
        for kind in [CKA_MODIFIABLE, CKA_COPYABLE, CKA_DESTROYABLE] {
            object.flag(kind, false);
        }
        object
    }

    fn flag(&mut self, kind: CK_ATTRIBUTE_TYPE, value: bool) {
        self.bytes(kind, &[if value { CK_TRUE } else { CK_FALSE }]);
    }

    fn number(&mut self, kind: CK_ATTRIBUTE_TYPE, value: CK_ULONG) {
        self.bytes(kind, &value.to_ne_bytes());
    }

    fn bytes(&mut self, kind: CK_ATTRIBUTE_TYPE, value: &[u8]) {
        self.attributes.push((kind, value.to_vec()));
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
pub(crate) fn objects(keys: &[CardKey], application: Application, offer: Offer) -> Vec<Object> {
    let mut objects = vec![Object::profile()];
    for key in keys.iter().filter(|key| key.application == application) {
        match Certificate::parse(&key.certificate) {
            Ok(certificate) => objects.extend([
                Object::certificate(key, &certificate),
                Object::public_key(key, &certificate),
                Object::private_key(key, &certificate, offer),
            ]),
            Err(error) => tracing::warn!(key = key.profile.label, %error, "certificate left out"),
        }
    }
    objects
}

fn bit_length(number: &[u8]) -> CK_ULONG {
    let bits = number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize);
    bits as CK_ULONG
}
