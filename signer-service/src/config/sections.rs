//! The sections of the configuration file and their defaults.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    path::PathBuf,
};

use card::transport::ReaderSpec;
use serde::{Deserialize, Deserializer, de::Error as _};

use crate::database::Location;

/// Where the service listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Path of the Unix socket.
    pub unix: PathBuf,
    /// Address of the TLS listener.
    pub tls: Option<SocketAddr>,
    /// Plaintext TCP on loopback, only together with the development flag.
    pub insecure_tcp: Option<SocketAddr>,
}

/// The PKCS#11 module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Path of the shared library.
    pub module: PathBuf,
    /// Sessions that may sign at once on one token without a PIN of their own: 1 for cards.
    #[serde(default = "one_session")]
    pub sessions: u32,
}

fn one_session() -> u32 {
    1
}

/// Narrows the choice of a key; without any of it the certificates decide.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyChoice {
    /// Only this token.
    pub token_label: Option<String>,
    /// Only the certificate with this label.
    pub certificate_label: Option<String>,
    /// The private key with this label, instead of the one with the certificate's CKA_ID.
    pub key_label: Option<String>,
    /// Which kind of key, if there are several.
    pub prefer: KeyPreference,
}

/// Kinds of keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyPreference {
    /// Elliptic curve.
    #[default]
    Ec,
    /// RSA.
    Rsa,
}

/// Readers for insurance cards.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Insurance {
    /// Where to look for readers.
    #[serde(deserialize_with = "reader_specs")]
    pub readers: Vec<ReaderSpec>,
}

/// Trust anchors.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trust {
    /// PEM files or folders of them; in the file one path or a list.
    #[serde(deserialize_with = "one_or_several")]
    pub anchors: Vec<PathBuf>,
    /// Trusted lists, XML; in the file one path or a list.
    #[serde(deserialize_with = "one_or_several")]
    pub lists: Vec<PathBuf>,
}

/// What makes a verdict.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Verification {
    /// Which knowledge about revocation a signature needs to be VALID.
    pub revocation: RevocationDemand,
    /// Only prescribers' qualified certificates can be VALID.
    pub require_qualified: bool,
}

/// Knowledge about revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationDemand {
    /// What the responder says now.
    Required,
    /// Embedded evidence of the signing time; without it, what the responder says now.
    EmbeddedSuffices,
    /// None; what is known counts.
    NotRequired,
}

/// Rules of prescriptions.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Rules that stop no signature, by name, each with the reason why.
    pub off: BTreeMap<String, String>,
}

/// OCSP responders.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ocsp {
    /// Ask for the state of the card's certificate when signing, and embed the answer.
    pub embed: bool,
    /// Seconds until a request is given up, connecting included.
    pub timeout_seconds: u64,
    /// A fresh value goes with each request and has to come back.
    pub nonce: NonceRule,
    /// Seconds an answer is used again before the responder is asked anew for VerifySignature.
    pub cache_seconds: u64,
    /// Minutes between renewals of the answers for the cards that are plugged in; 0: none.
    pub prefetch_minutes: u64,
    /// Another address for an address in certificates, as the trusted list of the health network has it.
    pub addresses: HashMap<String, String>,
}

/// What to do about nonces (RFC 8954).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NonceRule {
    /// Sent; an answer without is taken, as many responders answer from a store. A different one never is.
    Send,
    /// Sent, and an answer without is refused.
    Require,
    /// Not sent.
    Omit,
}

/// Tokens of clinicians.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Clinicians {
    /// Which callers need one to use a signature card.
    pub token_required: TokenDemand,
    /// How long one lasts.
    pub token_seconds: u32,
    /// Private key that signs them, PEM; made if it is not there, with the public key beside it.
    pub token_key: PathBuf,
    /// Claim "iss".
    pub issuer: String,
    /// What has to be known of the certificate.
    pub revocation: CertificateCheck,
}

/// Who needs a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenDemand {
    /// Nobody.
    Never,
    /// Callers over the network.
    Remote,
    /// Everybody.
    Always,
}

/// What has to be known of a certificate before it names a clinician.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateCheck {
    /// That it is good.
    Required,
    /// That it is not known to be revoked.
    IfReachable,
    /// Nothing.
    Off,
}

/// Comfort signatures (gemSpec_Kon, SAK_COMFORT_SIGNATURE_MAX and _TIMER).
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Comfort {
    /// Whether there are any.
    pub enabled: bool,
    /// Signatures of one session.
    pub max_signatures: u32,
    /// Hours a session lasts.
    pub max_hours: u32,
    /// Sessions on one card at a time.
    pub sessions_per_card: usize,
    /// Signatures a card makes for one PIN, if it counts them.
    pub card_signatures: Option<u32>,
}

/// How much is taken, and how often. Sizes are in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest prescription.
    pub prescription_bytes: usize,
    /// Largest CMS to verify.
    pub cms_bytes: usize,
    /// Connections over the network at one time.
    pub connections: usize,
    /// Calls at work at one time.
    pub calls: usize,
    /// Wrong PINs taken to one card within the time.
    pub wrong_pins_per_card: usize,
    /// Wrong PINs of one client, over all cards, within the time.
    pub wrong_pins_per_client: usize,
    /// That time.
    pub wrong_pin_minutes: u32,
}

/// The audit trail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The database.
    pub database: Location,
    /// Private key that signs checkpoints, PEM; made if it is not there, with the public key beside it.
    pub checkpoint_key: PathBuf,
    /// Key for the names of patients and cards; made if it is not there.
    pub pseudonym_key: PathBuf,
}

/// Logs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
}

/// Levels of the project's own log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // the names say it
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Forms of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl Default for Listen {
    fn default() -> Self {
        Listen { unix: "signer.sock".into(), tls: None, insecure_tcp: None }
    }
}

impl Default for Insurance {
    fn default() -> Self {
        Insurance { readers: vec![ReaderSpec::Pcsc { filter: None }] }
    }
}

impl Default for Verification {
    fn default() -> Self {
        Verification { revocation: RevocationDemand::Required, require_qualified: true }
    }
}

impl Default for Ocsp {
    fn default() -> Self {
        Ocsp {
            embed: false,
            timeout_seconds: 10,
            nonce: NonceRule::Send,
            cache_seconds: 300,
            prefetch_minutes: 60,
            addresses: HashMap::new(),
        }
    }
}

impl Default for Clinicians {
    fn default() -> Self {
        Clinicians {
            token_required: TokenDemand::Remote,
            token_seconds: 300,
            token_key: "tokens.key".into(),
            issuer: "hpc-signer".into(),
            revocation: CertificateCheck::IfReachable,
        }
    }
}

impl Default for Comfort {
    fn default() -> Self {
        Comfort {
            enabled: false,
            max_signatures: 100,
            max_hours: 6,
            sessions_per_card: 4,
            card_signatures: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            prescription_bytes: 1 << 20,
            cms_bytes: 4 << 20,
            connections: 256,
            calls: 512,
            wrong_pins_per_card: 3,
            wrong_pins_per_client: 30,
            wrong_pin_minutes: 10,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Audit {
            database: PathBuf::from("audit.db").into(),
            checkpoint_key: "audit.key".into(),
            pseudonym_key: "pseudonyms.key".into(),
        }
    }
}

impl LogLevel {
    /// As `tracing` has it.
    pub fn filter(self) -> tracing::level_filters::LevelFilter {
        use tracing::level_filters::LevelFilter;
        match self {
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }
}

fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a path or a list of paths")]
    enum Paths {
        One(PathBuf),
        Several(Vec<PathBuf>),
    }
    Ok(match Paths::deserialize(deserializer)? {
        Paths::One(path) => vec![path],
        Paths::Several(paths) => paths,
    })
}

pub(super) fn reader_specs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ReaderSpec>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(|error| D::Error::custom(format!("{text:?}: {error}"))))
        .collect()
}
