//! The configuration file: TOML, every key with a default except the PKCS#11 module.
//!
//! `config.default.toml` beside this file is the documentation of the keys, what `init` writes, and in the tests
//! the proof that the defaults here are the ones written there.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use card::transport::ReaderSpec;
use serde::{Deserialize, Deserializer, de::Error as _};
use thiserror::Error;

use crate::{database::Location, prescription::Rule};

/// The commented default configuration.
pub const DEFAULT_TEXT: &str = include_str!("config.default.toml");

/// Largest limit of a document; the whole of it is kept in memory several times.
const LARGEST_LIMIT: usize = 256 << 20;

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service listens.
    #[serde(default)]
    pub listen: Listen,
    /// How cards are reached.
    pub pkcs11: Module,
    /// Which key signs prescriptions.
    #[serde(default)]
    pub signing: KeyChoice,
    /// Which key authenticates clinicians.
    #[serde(default)]
    pub authentication: KeyChoice,
    /// Where insurance cards are read.
    #[serde(default)]
    pub insurance: Insurance,
    /// Whom to trust.
    #[serde(default)]
    pub trust: Trust,
    /// How to judge.
    #[serde(default)]
    pub verification: Verification,
    /// Which rules of prescriptions count.
    #[serde(default)]
    pub rules: Rules,
    /// How OCSP responders are asked.
    #[serde(default)]
    pub ocsp: Ocsp,
    /// Sizes.
    #[serde(default)]
    pub limits: Limits,
    /// The audit trail.
    #[serde(default)]
    pub audit: Audit,
    /// Logs.
    #[serde(default)]
    pub log: Log,
}

/// Where the service listens.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Path of the Unix socket.
    pub unix: PathBuf,
    /// Plaintext TCP on loopback, only together with the development flag.
    pub insecure_tcp: Option<SocketAddr>,
}

/// The PKCS#11 module.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Module {
    /// Path of the shared library.
    pub module: PathBuf,
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

/// Sizes in bytes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest prescription.
    pub prescription_bytes: usize,
    /// Largest CMS to verify.
    pub cms_bytes: usize,
}

/// The audit trail.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Audit {
    /// The database.
    pub database: Location,
    /// Private key that signs checkpoints, PEM; made if it is not there, with the public key beside it.
    pub checkpoint_key: PathBuf,
    /// Key for the names of patients; made if it is not there.
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

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not TOML, has an unknown key, lacks one, or has a value of the wrong kind.
    #[error("{path}: {place}{source}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The key with its section, if it is known.
        place: String,
        /// Where and what.
        source: Box<toml::de::Error>,
    },
    /// A value that cannot work.
    #[error("{key}: expected {expected}, got {got}")]
    Value {
        /// The key, with its section.
        key: &'static str,
        /// What is taken.
        expected: &'static str,
        /// What is there.
        got: String,
    },
}

impl Config {
    /// Reads a configuration file and makes its relative paths absolute.
    ///
    /// # Errors
    /// [`ConfigError`] names file, line and key.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let mut config: Config = toml::from_str(&text).map_err(|source| ConfigError::Parse {
            path: path.to_owned(),
            place: place(&text, &source),
            source: Box::new(source),
        })?;
        config.resolve(&folder_of(path)?);
        config.check()?;
        Ok(config)
    }

    fn resolve(&mut self, folder: &Path) {
        let audit = &mut self.audit;
        audit.database.resolve(folder);
        let audit = [&mut audit.checkpoint_key, &mut audit.pseudonym_key];
        let paths = [&mut self.listen.unix, &mut self.pkcs11.module].into_iter().chain(audit);
        for path in paths.chain(&mut self.trust.anchors).chain(&mut self.trust.lists) {
            *path = folder.join(&*path);
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |key, expected, got| Err(ConfigError::Value { key, expected, got });
        if let Some(address) = self.listen.insecure_tcp.filter(|address| !address.ip().is_loopback()) {
            let expected = "a loopback address, because PINs would cross the network unprotected";
            return refuse("listen.insecure_tcp", expected, address.to_string());
        }
        for (rule, reason) in &self.rules.off {
            if !Rule::ALL.iter().any(|known| known.code() == rule) {
                return refuse("rules.off", "names of rules", rule.clone());
            }
            if reason.trim().is_empty() {
                return refuse("rules.off", "a reason for each rule", format!("none for {rule}"));
            }
        }
        let limits = [
            ("limits.prescription_bytes", self.limits.prescription_bytes),
            ("limits.cms_bytes", self.limits.cms_bytes),
        ];
        match limits.into_iter().find(|(_, bytes)| !(1..=LARGEST_LIMIT).contains(bytes)) {
            Some((key, bytes)) => refuse(key, "1 to 268435456 bytes", bytes.to_string()),
            None => Ok(()),
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        Listen { unix: "signer.sock".into(), insecure_tcp: None }
    }
}

impl Default for Insurance {
    fn default() -> Self {
        Insurance { readers: vec![ReaderSpec::Pcsc { filter: None }] }
    }
}

impl Default for Verification {
    fn default() -> Self {
        Verification { revocation: RevocationDemand::NotRequired, require_qualified: true }
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

impl Default for Limits {
    fn default() -> Self {
        Limits { prescription_bytes: 1 << 20, cms_bytes: 4 << 20 }
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

/// The section and key that an error is about: TOML's own message names the line only.
fn place(text: &str, error: &toml::de::Error) -> String {
    let Some(before) = error.span().and_then(|span| text.get(..span.start)) else { return String::new() };
    let line = text.get(before.rfind('\n').map_or(0, |at| at + 1)..).unwrap_or_default();
    let section =
        before.lines().filter_map(|line| line.trim().strip_prefix('[')?.split(']').next()).next_back();
    let key = line.split_once('=').map(|(key, _)| key.trim()).filter(|_| !line.trim_start().starts_with('['));
    match (section, key) {
        (Some(section), Some(key)) => format!("{section}.{key}: "),
        (None, Some(key)) => format!("{key}: "),
        _ => String::new(),
    }
}

fn folder_of(path: &Path) -> Result<PathBuf, ConfigError> {
    let path = path.canonicalize().map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    Ok(path.parent().map(Path::to_owned).unwrap_or_default())
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

fn reader_specs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ReaderSpec>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts
        .iter()
        .map(|text| text.parse().map_err(|error| D::Error::custom(format!("{text:?}: {error}"))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        Config::load(&path)
    }

    #[test]
    fn the_written_defaults_are_the_defaults() {
        let written: Config = toml::from_str(DEFAULT_TEXT).unwrap();
        let implied: Config =
            toml::from_str("[pkcs11]\nmodule = '/usr/lib/x86_64-linux-gnu/libhpc_pkcs11.so'").unwrap();
        assert_eq!(format!("{written:?}"), format!("{implied:?}"));
    }

    #[test]
    fn every_commented_key_of_the_default_file_is_a_real_key() {
        let uncommented: String = DEFAULT_TEXT
            .lines()
            .map(|line| line.strip_prefix("# ").filter(|rest| rest.contains(" = ")).unwrap_or(line))
            .flat_map(|line| [line, "\n"])
            .collect();
        let config: Config = toml::from_str(&uncommented).unwrap();
        assert_eq!(config.signing.token_label.as_deref(), Some("HPC QES"));
        assert_eq!(config.listen.insecure_tcp, Some("127.0.0.1:50051".parse().unwrap()));
    }

    #[test]
    fn relative_paths_count_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, "[pkcs11]\nmodule = '/lib/m.so'\n[trust]\nanchors = 'ca.pem'").unwrap();
        let config = Config::load(&path).unwrap();
        let folder = folder.path().canonicalize().unwrap();
        assert_eq!(config.listen.unix, folder.join("signer.sock"));
        assert_eq!(config.trust.anchors, [folder.join("ca.pem")]);
        assert_eq!(config.pkcs11.module, Path::new("/lib/m.so"));
    }

    #[test]
    fn a_misspelt_key_is_refused_with_its_name() {
        let error = load("[pkcs11]\nmodule = 'm'\n[limits]\nprescription_byte = 1").unwrap_err();
        assert!(error.to_string().contains("prescription_byte"), "{error}");
    }

    #[test]
    fn plaintext_beyond_loopback_is_refused() {
        let error = load("[pkcs11]\nmodule = 'm'\n[listen]\ninsecure_tcp = '0.0.0.0:1'").unwrap_err();
        assert!(matches!(error, ConfigError::Value { key: "listen.insecure_tcp", .. }), "{error}");
    }

    #[test]
    fn an_error_names_key_expected_and_got() {
        let cases = [
            ("[limits]\nprescription_bytes = 0", ["limits.prescription_bytes: expected 1 to", "got 0"]),
            (
                "[limits]\ncms_bytes = 9223372036854775807",
                ["limits.cms_bytes: expected 1 to", "got 9223372036854775807"],
            ),
            ("[limits]\ncms_bytes = '1M'", ["limits.cms_bytes: ", "string \"1M\", expected usize"]),
            ("[rules.off]\nEVERYTHING = 'why not'", ["rules.off: expected names", "got EVERYTHING"]),
            ("[rules.off]\nMVO_ID = ' '", ["rules.off: expected a reason", "none for MVO_ID"]),
            ("[log]\nlevel = 'loud'", ["log.level: ", "`loud`, expected one of `error`"]),
            ("[trust]\nanchors = 5", ["trust.anchors: ", "expected a path or a list of paths"]),
            ("[listen]\ninsecure_tcp = 'localhost:1'", ["listen.insecure_tcp: ", "'localhost:1'"]),
            (
                "[insurance]\nreaders = 'pcsc:'",
                ["insurance.readers: ", "string \"pcsc:\", expected a sequence"],
            ),
        ];
        for (text, parts) in cases {
            let error = load(&format!("[pkcs11]\nmodule = 'm'\n{text}")).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
        }
        for text in ["", "[pkcs11]"] {
            let error = load(text).unwrap_err().to_string();
            assert!(error.contains("missing field"), "{error}");
        }
    }

    #[test]
    fn an_unknown_kind_of_reader_is_refused() {
        let error = load("[pkcs11]\nmodule = 'm'\n[insurance]\nreaders = ['usb:1']").unwrap_err();
        assert!(error.to_string().contains("usb:1"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Config::load(Path::new("/nowhere/config.toml")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/config.toml"), "{error}");
    }
}
