//! Configuration: a TOML file named by the text `config=FILE` that some programs hand to C_Initialize, else by the
//! environment variable `HPC_PKCS11_CONFIG`, else defaults.
//!
//! A file that is named but cannot be read is an error, not a reason for defaults: it may be the one that keeps the
//! QES slot away from a browser.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use card::profile::Application;
use card::transport::{ReaderSpec, ReaderSpecError};
use serde::Deserialize;

use crate::logging::Level;

/// Names the configuration file.
const VARIABLE: &str = "HPC_PKCS11_CONFIG";

/// What a user can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to look for cards.
    pub(crate) readers: Vec<ReaderSpec>,
    /// How the qualified signature is offered.
    pub(crate) qes: Qes,
    /// What is logged.
    pub(crate) log_level: Level,
    /// Where to; standard error without one.
    pub(crate) log_file: Option<PathBuf>,
}

/// How the QES slot behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qes {
    /// There is none: for browsers and agents that send one PIN to every slot.
    Off,
    /// The key is visible at once; each signature needs a login of its own between C_SignInit and C_Sign.
    ContextOnly,
    /// The key is visible after a user login, which allows one signature.
    Login,
    /// One user login serves until the card's own budget is used up.
    Batch,
}

impl Qes {
    /// The applications that have a slot.
    pub(crate) fn applications(self) -> &'static [Application] {
        match self {
            Qes::Off => &[Application::Esign],
            Qes::ContextOnly | Qes::Login | Qes::Batch => &[Application::Esign, Application::Qes],
        }
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Malformed { path: PathBuf, source: toml::de::Error },
    #[error("readers: {0}")]
    Reader(#[from] ReaderSpecError),
    #[error("qes_batch = true needs qes = \"login\"")]
    BatchWithoutLogin,
    #[error("cannot open the log file {path}: {source}")]
    LogFile { path: PathBuf, source: std::io::Error },
}

impl Config {
    /// Reads the file that is named, or takes the defaults. Other words of `init_text` are for others.
    pub(crate) fn load(init_text: Option<&str>) -> Result<Config, ConfigError> {
        let words = init_text.into_iter().flat_map(str::split_ascii_whitespace);
        let named = words.filter_map(|word| word.strip_prefix("config=")).next_back();
        let path = named.map(OsString::from).or_else(|| std::env::var_os(VARIABLE));
        match path {
            Some(path) if !path.is_empty() => Config::read(Path::new(&path)),
            _ => File::default().parse(),
        }
    }

    fn read(path: &Path) -> Result<Config, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let file: File = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source })?;
        file.parse()
    }
}

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    readers: Vec<String>,
    qes: QesWord,
    qes_batch: bool,
    log_level: Level,
    log_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum QesWord {
    Off,
    ContextOnly,
    Login,
}

impl Default for File {
    fn default() -> Self {
        File {
            readers: vec!["pcsc:".to_owned()],
            qes: QesWord::Login,
            qes_batch: false,
            log_level: Level::Warn,
            log_file: None,
        }
    }
}

impl File {
    fn parse(self) -> Result<Config, ConfigError> {
        let readers = self.readers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let qes = match (self.qes, self.qes_batch) {
            (QesWord::Off, false) => Qes::Off,
            (QesWord::ContextOnly, false) => Qes::ContextOnly,
            (QesWord::Login, false) => Qes::Login,
            (QesWord::Login, true) => Qes::Batch,
            (_, true) => return Err(ConfigError::BatchWithoutLogin),
        };
        Ok(Config { readers, qes, log_level: self.log_level, log_file: self.log_file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module.toml");
        std::fs::write(&path, text).unwrap();
        Config::read(&path).map_err(|error| error.to_string())
    }

    #[test]
    fn empty_file_means_defaults() {
        let config = parse("").unwrap();
        assert_eq!(config.readers, [ReaderSpec::Pcsc { filter: None }]);
        assert_eq!((config.qes, config.log_level, config.log_file), (Qes::Login, Level::Warn, None));
    }

    #[test]
    fn every_key_is_understood() {
        let config = parse(
            "readers = [\"socket:/run/card\", \"pcsc:REINER\"]\nqes = \"login\"\nqes_batch = true\n\
             log_level = \"trace\"\nlog_file = \"/tmp/x\"",
        )
        .unwrap();
        assert_eq!(config.readers.len(), 2);
        assert_eq!((config.qes, config.log_level), (Qes::Batch, Level::Trace));
        assert_eq!(config.log_file, Some(PathBuf::from("/tmp/x")));
        assert_eq!(parse("qes = \"off\"").unwrap().qes, Qes::Off);
        assert_eq!(parse("qes = \"context-only\"").unwrap().qes, Qes::ContextOnly);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parse("reader = []").unwrap_err().contains("reader"));
        assert!(parse("qes = \"maybe\"").unwrap_err().contains("maybe"));
        assert!(parse("readers = [\"usb:1\"]").unwrap_err().contains("usb:1"));
        assert!(parse("qes = \"off\"\nqes_batch = true").unwrap_err().contains("qes_batch"));
    }

    #[test]
    fn init_text_names_the_file() {
        let error = Config::load(Some("configdir='x' config=/nonexistent/a.toml")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/a.toml"));
    }

    #[test]
    fn missing_file_is_an_error() {
        let error = Config::read(Path::new("/nonexistent/module.toml")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/module.toml"));
    }
}
