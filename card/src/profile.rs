//! Card profiles: what differs between cards, kept as data files (`profiles/*.toml`), one per card.
//!
//! Curves, hash lengths, application names, key references and MSE bytes stand there and nowhere else. Adding a card
//! of this family means adding a file and a line in [`profiles`].

use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::pin::{Pin, PinFormatError};

/// A health professional card.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Short name, e.g. `hba-g21`.
    pub name: String,
    /// What a person calls the card, e.g. `HBA`; the start of PKCS#11 token labels.
    pub label: String,
    /// Who made the specification of the card, for PKCS#11's manufacturer field.
    pub manufacturer: String,
    /// Which commands the card knows.
    #[serde(default)]
    pub dialect: Dialect,
    /// Application identifier of the MF: FCP tag 84 of a selected MF. `None` for a card that is known by its first
    /// application.
    #[serde(default, deserialize_with = "optional_hex_bytes")]
    pub mf_aid: Option<Vec<u8>>,
    /// The application by which a card without a named MF is known, and where its serial number is read; its first one if
    /// none is given.
    #[serde(default, deserialize_with = "optional_hex_bytes")]
    pub home_aid: Option<Vec<u8>>,
    /// ATRs this card is known to send, upper-case hexadecimal. A hint only: chips are shared between card types.
    #[serde(default)]
    pub atrs: Vec<String>,
    /// Whether the card has logical channels besides the basic one.
    pub logical_channels: bool,
    /// The applications with keys, ESIGN first.
    pub applications: Vec<ApplicationProfile>,
}

/// The set of commands a card knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// gemSpec_COS: keys are selected by MANAGE SECURITY ENVIRONMENT, signatures made by PSO.
    #[default]
    Cos,
    /// NIST SP 800-73-4: objects by GET DATA, signatures by GENERAL AUTHENTICATE.
    Piv,
    /// The Estonian ID card of 2018.
    Esteid,
    /// The Belgian eID card, applets 1.7 and 1.8.
    Beid,
    /// The Japanese individual number card.
    Jpki,
}

/// Which of the two PIN-protected applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Application {
    /// Authentication and encryption, behind PIN.CH.
    Esign,
    /// Qualified signature, behind PIN.QES.
    Qes,
}

/// One application (DF) of a card.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplicationProfile {
    /// Its role.
    pub application: Application,
    /// Application identifier for SELECT.
    #[serde(deserialize_with = "hex_bytes")]
    pub aid: Vec<u8>,
    /// Short file identifier of EF.SSEC (signatures per PIN entry), if the application has one.
    pub ssec_sfid: Option<u8>,
    /// The PIN in front of its keys.
    pub pin: PinProfile,
    /// Its private keys with certificates.
    pub keys: Vec<KeyProfile>,
}

/// One PIN.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinProfile {
    /// Name on the card, e.g. `PIN.QES`.
    pub label: String,
    /// How digits are written in commands.
    #[serde(default)]
    pub format: PinFormat,
    /// P2 of VERIFY: the password identifier, with bit 8 set for one that lives in the application. JPKI: the low byte of
    /// the PIN's file identifier.
    pub reference: u8,
    /// Whether the PIN may hold the capital letters A to Z besides digits.
    #[serde(default)]
    pub letters: bool,
    /// Fewest digits.
    pub min: u8,
    /// Most digits.
    pub max: u8,
    /// Wrong entries the card forgives in a row, after a right one.
    pub tries: u8,
    /// Digits of the PIN the card is shipped with; too few for a PIN of one's own.
    pub transport: u8,
    /// Digits of the PUK; 0 for a PIN that has none.
    pub puk: u8,
    /// Whether the PUK can set another PIN. If not, it gives the old PIN its tries back and no more.
    pub puk_sets_pin: bool,
}

impl PinProfile {
    /// Whether the PIN belongs to the MF, not to the application (bit 8 of the reference is clear, ISO/IEC 7816-4 clause 11.5.2).
    pub fn is_global(&self) -> bool {
        self.reference & 0x80 == 0
    }

    /// Takes a PIN as it was typed, of `min` to `max` characters.
    ///
    /// # Errors
    /// Wrong length, or a character that this PIN cannot have.
    pub fn parse(&self, text: &[u8], min: u8, max: u8) -> Result<Pin, PinFormatError> {
        if self.letters { Pin::parse_letters(text, min, max) } else { Pin::parse(text, min, max) }
    }
}

/// How a PIN is written in commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub enum PinFormat {
    /// ISO 9564-1 format 2: eight bytes.
    #[default]
    #[serde(rename = "format-2")]
    Format2,
    /// ASCII digits, filled with `FF` to eight bytes.
    #[serde(rename = "ascii-8")]
    Ascii8,
    /// ASCII digits, filled with `FF` to twelve bytes.
    #[serde(rename = "ascii-12")]
    Ascii12,
    /// ASCII characters, not filled.
    #[serde(rename = "ascii")]
    Ascii,
}

/// One private key and its certificate. Keys with the same certificate file are alternatives: the key in the
/// certificate says which of them the card has.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyProfile {
    /// The certificate object's name on the card, e.g. `C.HP.AUT.E256`.
    pub label: String,
    /// What the key is for.
    pub purpose: KeyPurpose,
    /// Key type and size.
    pub kind: KeyKind,
    /// Key reference in MANAGE SECURITY ENVIRONMENT or GENERAL AUTHENTICATE.
    pub reference: u8,
    /// Signature schemes the card offers for the key, with the algorithm identifier of each in MANAGE SECURITY
    /// ENVIRONMENT or GENERAL AUTHENTICATE. Empty for keys that do not sign.
    #[serde(default)]
    pub schemes: Vec<(SignatureScheme, u8)>,
    /// How the card deciphers with the key, and the algorithm identifier for it. `None` for keys that do not.
    pub deciphers: Option<(DecipherScheme, u8)>,
    /// The algorithm identifier by which the card gives out the secret that the key and another one have in common. `None` for
    /// keys that agree on none.
    #[serde(default, deserialize_with = "optional_hex_bytes")]
    pub agrees: Option<Vec<u8>>,
    /// Short file identifier of the certificate; PIV has none.
    #[serde(default)]
    pub certificate_sfid: u8,
    /// Path of the certificate from the card's main application, for cards that select files by path.
    #[serde(default, deserialize_with = "hex_bytes")]
    pub certificate_path: Vec<u8>,
    /// Whether the certificate can be read only after the PIN of the application was entered.
    #[serde(default)]
    pub certificate_behind_pin: bool,
    /// File identifier of the certificate; PIV: the last two bytes of its tag.
    pub certificate_fid: u16,
    /// CKA_ID: small, fixed, unique on the card, never 0.
    pub id: u8,
}

impl KeyProfile {
    /// The algorithm identifier for a scheme, `None` if the card does not offer it for this key.
    pub fn algorithm(&self, scheme: SignatureScheme) -> Option<u8> {
        self.schemes.iter().find(|(offered, _)| *offered == scheme).map(|(_, algorithm)| *algorithm)
    }
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPurpose {
    /// Client authentication (AUT).
    Authentication,
    /// Qualified signature (QES).
    Signature,
    /// Encryption, i.e. decryption on the card (ENC).
    Encryption,
}

/// Key type and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum KeyKind {
    /// An elliptic curve key.
    Ec(Curve),
    /// An RSA key.
    Rsa {
        /// Size of the modulus in bits.
        bits: u16,
    },
}

impl KeyKind {
    /// Bytes of a signature as the card returns it: r||s, or as long as the modulus.
    pub fn signature_len(self) -> usize {
        match self {
            KeyKind::Ec(curve) => curve.field_len() * 2,
            KeyKind::Rsa { bits } => usize::from(bits / 8),
        }
    }
}

/// An elliptic curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum Curve {
    /// NIST P-256, secp256r1.
    P256,
    /// NIST P-384, secp384r1.
    P384,
    /// brainpoolP256r1 (RFC 5639).
    #[serde(rename = "brainpoolP256r1")]
    BrainpoolP256r1,
}

impl Curve {
    /// Bytes of a field element: also the length of r, of s and of the digest that is signed.
    pub fn field_len(self) -> usize {
        match self {
            Curve::P256 | Curve::BrainpoolP256r1 => 32,
            Curve::P384 => 48,
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::BrainpoolP256r1 => "brainpoolP256r1",
        })
    }
}

/// How the card makes a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum SignatureScheme {
    /// ECDSA over a digest as long as the curve's field; answer r||s.
    #[serde(rename = "ecdsa")]
    Ecdsa,
    /// RSASSA-PKCS1-v1_5 over a DigestInfo; the card pads.
    #[serde(rename = "rsa-pkcs1")]
    RsaPkcs1,
    /// RSASSA-PSS over a SHA-256 digest, MGF1 with SHA-256, salt of 32 bytes; the card does it all.
    #[serde(rename = "rsa-pss-sha256")]
    RsaPssSha256,
}

impl fmt::Display for SignatureScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SignatureScheme::Ecdsa => "ECDSA",
            SignatureScheme::RsaPkcs1 => "RSA PKCS#1 v1.5",
            SignatureScheme::RsaPssSha256 => "RSA-PSS with SHA-256",
        })
    }
}

/// How the card opens a cryptogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub enum DecipherScheme {
    /// RSAES-OAEP with SHA-256, MGF1 with SHA-256 and an empty label.
    #[serde(rename = "rsa-oaep-sha256")]
    RsaOaepSha256,
    /// The card's own hybrid scheme: a template of ephemeral point, AES-256-CBC cryptogram and CMAC (gemSpec_COS clause
    /// 6.8.2.3). The card opens it as a whole; the shared secret never leaves it.
    #[serde(rename = "elc")]
    Elc,
}

impl Profile {
    /// The profile of an application; `None` if the card has no such application.
    pub fn application(&self, application: Application) -> Option<&ApplicationProfile> {
        self.applications.iter().find(|candidate| candidate.application == application)
    }

    /// The profile with this name.
    pub fn by_name(name: &str) -> Option<&'static Profile> {
        profiles().iter().find(|profile| profile.name == name)
    }
}

/// The health professional cards this crate knows.
pub fn profiles() -> &'static [Profile] {
    static PROFILES: LazyLock<Vec<Profile>> = LazyLock::new(|| {
        SOURCES.iter().filter_map(|(name, text)| readable(name, toml::from_str(text))).collect()
    });
    &PROFILES
}

const SOURCES: &[(&str, &str)] = &[
    ("beid", include_str!("../profiles/beid.toml")),
    ("esteid", include_str!("../profiles/esteid.toml")),
    ("hba-g21", include_str!("../profiles/hba-g21.toml")),
    ("hpc-p384", include_str!("../profiles/hpc-p384.toml")),
    ("jpki", include_str!("../profiles/jpki.toml")),
    ("piv", include_str!("../profiles/piv.toml")),
    ("smc-b", include_str!("../profiles/smc-b.toml")),
];

/// A profile that does not parse costs this card only; the tests keep it from being shipped.
fn readable<T>(name: &str, parsed: Result<T, toml::de::Error>) -> Option<T> {
    parsed.inspect_err(|error| tracing::error!(name, %error, "card profile left out")).ok()
}

pub(crate) fn hex_bytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    hex::decode(&text).map_err(serde::de::Error::custom)
}

pub(crate) fn optional_hex_bytes<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<u8>>, D::Error> {
    hex_bytes(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_profile_file_parses() {
        for (name, text) in SOURCES {
            let profile: Profile = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(profile.name, *name);
        }
        assert_eq!(profiles().len(), SOURCES.len());
    }

    #[test]
    fn key_ids_are_never_zero_and_unique_among_the_keys_a_card_can_have_at_once() {
        for profile in profiles() {
            let keys =
                || profile.applications.iter().flat_map(|entry| entry.keys.iter().map(move |k| (entry, k)));
            for (application, key) in keys() {
                let file = |(a, k): (&ApplicationProfile, &KeyProfile)| (a.application, k.certificate_fid);
                let files: HashSet<_> = keys().filter(|(_, other)| other.id == key.id).map(file).collect();
                assert_eq!(
                    files,
                    HashSet::from([file((application, key))]),
                    "{} {}",
                    profile.name,
                    key.label
                );
                assert_ne!(key.id, 0, "{} {}", profile.name, key.label);
            }
        }
    }

    #[test]
    fn esign_comes_first_and_qes_second_where_there_is_one() {
        for profile in profiles() {
            let order: Vec<_> = profile.applications.iter().map(|entry| entry.application).collect();
            let all = [Application::Esign, Application::Qes];
            assert!(!order.is_empty() && all.starts_with(&order), "{}: {order:?}", profile.name);
        }
    }

    #[test]
    fn the_german_card_signs_on_brainpool_and_pss_only_with_its_qes_keys() {
        let card = Profile::by_name("hba-g21").unwrap();
        let qes = card.application(Application::Qes).unwrap();
        assert_eq!(hex::encode_upper(&qes.aid), "D27600006601");
        assert_eq!((qes.pin.reference, qes.pin.min, qes.pin.max), (0x81, 6, 8));
        assert!(!qes.pin.puk_sets_pin, "a QES PIN belongs to one person only");
        let [ec, rsa] = qes.keys.as_slice() else { panic!("two keys expected") };
        assert_eq!((ec.label.as_str(), ec.kind), ("C.HP.QES.E256", KeyKind::Ec(Curve::BrainpoolP256r1)));
        assert_eq!((ec.reference, ec.certificate_sfid, ec.certificate_fid), (0x86, 0x06, 0xC006));
        assert_eq!(ec.schemes, [(SignatureScheme::Ecdsa, 0x00)]);
        assert_eq!((rsa.reference, rsa.certificate_sfid, rsa.certificate_fid), (0x84, 0x10, 0xC000));
        assert_eq!(rsa.schemes, [(SignatureScheme::RsaPssSha256, 0x05)]);
    }

    #[test]
    fn a_profile_with_an_unknown_field_is_refused() {
        let text = SOURCES.first().unwrap().1.replacen("label", "lable", 1);
        assert!(readable::<Profile>("misspelt", toml::from_str(&text)).is_none());
    }
}
