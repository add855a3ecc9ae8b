//! The configuration file: TOML, every key with a default except the PKCS#11 module.
//!
//! `config.default.toml` beside this file is the documentation of the keys, what `init` writes, and in the tests
//! the proof that the defaults here are the ones written there.

mod emergency;
mod network;
mod sections;
mod web;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

pub use emergency::{Emergency, Offline, OverdueReviews};
pub use network::*;
pub use sections::*;
pub use web::{OPENID, Web, WebClient};

use crate::prescription::Rule;

/// The commented default configuration.
pub const DEFAULT_TEXT: &str = include_str!("config.default.toml");

/// Largest limit of a document; the whole of it is kept in memory several times.
const LARGEST_LIMIT: usize = 256 << 20;
/// More sessions at once than any token was seen to use.
const MOST_SESSIONS: u32 = 64;

/// Everything that can be configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the service listens.
    #[serde(default)]
    pub listen: Listen,
    /// Files of the TLS listener.
    #[serde(default)]
    pub tls: Tls,
    /// Who may do what over it.
    #[serde(default)]
    pub clients: Clients,
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
    /// Tokens of clinicians.
    #[serde(default)]
    pub clinicians: Clinicians,
    /// Logins in a browser.
    #[serde(default)]
    pub web: Web,
    /// Access without consent.
    #[serde(default)]
    pub emergency: Emergency,
    /// Signatures without a PIN each.
    #[serde(default)]
    pub comfort: Comfort,
    /// Sizes.
    #[serde(default)]
    pub limits: Limits,
    /// The audit trail.
    #[serde(default)]
    pub audit: Audit,
    /// Metrics.
    #[serde(default)]
    pub metrics: Metrics,
    /// Traces.
    #[serde(default)]
    pub traces: Traces,
    /// Logs.
    #[serde(default)]
    pub log: Log,
    /// The file this was read from.
    #[serde(skip)]
    pub file: PathBuf,
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
        let folder = folder_of(path)?;
        config.file = folder.join(path.file_name().unwrap_or_default());
        config.resolve(&folder);
        config.check()?;
        Ok(config)
    }

    /// Where metrics are read.
    pub fn metrics_at(&self) -> MetricsAt {
        self.metrics.listen.clone().unwrap_or_else(|| {
            let mut beside = self.listen.unix.clone().into_os_string();
            beside.push(".metrics");
            MetricsAt::Unix(beside.into())
        })
    }

    fn resolve(&mut self, folder: &Path) {
        let audit = &mut self.audit;
        audit.database.resolve(folder);
        let audit = [&mut audit.checkpoint_key, &mut audit.pseudonym_key, &mut self.clinicians.token_key];
        let tls = [&mut self.tls.certificate, &mut self.tls.key, &mut self.tls.client_ca];
        let paths = [&mut self.listen.unix, &mut self.pkcs11.module]
            .into_iter()
            .chain(audit)
            .chain(tls)
            .chain(self.web.unix.iter_mut());
        self.metrics.resolve(folder);
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
        if !(1..=MOST_SESSIONS).contains(&self.pkcs11.sessions) {
            return refuse("pkcs11.sessions", "1 to 64", self.pkcs11.sessions.to_string());
        }
        if !(1..=3600).contains(&self.clinicians.token_seconds) {
            return refuse(
                "clinicians.token_seconds",
                "1 to 3600",
                self.clinicians.token_seconds.to_string(),
            );
        }
        network::check(&self.clients)?;
        self.emergency.check()?;
        self.web.check(&self.clinicians.issuer)?;
        let comfort = &self.comfort;
        if comfort.enabled && self.listen.insecure_tcp.is_some() {
            let expected =
                "false while plaintext TCP is configured, because a user id would cross it unprotected";
            return refuse("comfort.enabled", expected, "true".to_owned());
        }
        if !(1..=250).contains(&comfort.max_signatures) {
            return refuse("comfort.max_signatures", "1 to 250", comfort.max_signatures.to_string());
        }
        if !(1..=24).contains(&comfort.max_hours) {
            return refuse("comfort.max_hours", "1 to 24", comfort.max_hours.to_string());
        }
        if comfort.sessions_per_card < 2 {
            return refuse("comfort.sessions_per_card", "2 or more", comfort.sessions_per_card.to_string());
        }
        let counts = [
            ("limits.connections", self.limits.connections),
            ("limits.calls", self.limits.calls),
            ("limits.wrong_pins_per_card", self.limits.wrong_pins_per_card),
            ("limits.wrong_pins_per_client", self.limits.wrong_pins_per_client),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return refuse(key, "1 or more", "0".to_owned());
        }
        if let Some(otlp) = self.traces.otlp.as_ref().filter(|otlp| !otlp.starts_with("http://")) {
            return refuse(
                "traces.otlp",
                "http://host:port/path, best of a collector on this machine",
                otlp.clone(),
            );
        }
        if let Some(MetricsAt::Tcp(address)) = self.metrics.listen
            && !address.ip().is_loopback()
        {
            let expected = "a loopback address, because anybody may read there";
            return refuse("metrics.listen", expected, address.to_string());
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
        assert_eq!(config.listen.tls, Some("0.0.0.0:50443".parse().unwrap()));
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
            ("sessions = 0", ["pkcs11.sessions: expected 1 to 64", "got 0"]),
            ("[rules.off]\nEVERYTHING = 'why not'", ["rules.off: expected names", "got EVERYTHING"]),
            ("[rules.off]\nMVO_ID = ' '", ["rules.off: expected a reason", "none for MVO_ID"]),
            ("[clinicians]\ntoken_seconds = 0", ["clinicians.token_seconds: expected 1 to 3600", "got 0"]),
            ("[comfort]\nmax_signatures = 251", ["comfort.max_signatures: expected 1 to 250", "got 251"]),
            ("[comfort]\nmax_hours = 25", ["comfort.max_hours: expected 1 to 24", "got 25"]),
            ("[comfort]\nsessions_per_card = 1", ["comfort.sessions_per_card: expected 2", "got 1"]),
            (
                "[comfort]\nenabled = true\n[listen]\ninsecure_tcp = '127.0.0.1:1'",
                ["comfort.enabled: expected false while plaintext TCP", "got true"],
            ),
            (
                "[clients.w]\ncertificates = ['dns:w']\ncalls = ['Sign']",
                ["clients: expected names of calls", "got Sign"],
            ),
            ("[clients.w]\ncertificates = []", ["clients: expected certificates for each", "got none for w"]),
            (
                "[clients.w]\ncertificates = ['dns:w']\n[clients.x]\ncertificates = ['dns:w']",
                ["clients: expected each certificate once", "got dns:w"],
            ),
            ("[clients.w]\ncertificates = ['w']", ["expected sha256:", "got \"w\""]),
            ("[limits]\ncalls = 0", ["limits.calls: expected 1 or more", "got 0"]),
            (
                "[metrics]\nlisten = '0.0.0.0:9464'",
                ["metrics.listen: expected a loopback address", "got 0.0.0.0"],
            ),
            ("[traces]\notlp = 'https://x/'", ["traces.otlp: expected http://", "got https://x/"]),
            ("[metrics]\nlisten = 'here'", ["metrics.listen: ", "expected \"off\", unix:<path>"]),
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
