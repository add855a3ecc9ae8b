//! Configuration: a TOML file, single keys replaced by the environment, and those replaced by the text that a program
//! hands to C_Initialize. `docs/configuration.md` is written for users.
//!
//! Where the file is, the text says (`config=FILE`), else `HPC_PKCS11_CONFIG`, else it is the user's own or the
//! system's if there is one. A file that is there or named but cannot be read is an error, not a reason for defaults:
//! it may be the one that keeps the QES slot away from a browser. For the same reason a wrong value is an error
//! wherever it stands; an unknown key is one in the file only, as the text and the environment have other readers too.

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use card::pace::Can;
use card::profile::Application;
use card::transport::{ReaderSpec, ReaderSpecError};
use serde::Deserialize;

use crate::logging::Level;
use place::Environment;
use settings::{Layers, QesWord, Settings};

mod place;
mod settings;
mod words;

/// Names the configuration file.
const FILE_VARIABLE: &str = "HPC_PKCS11_CONFIG";
/// A single key in the environment: this and the key in capitals.
const PREFIX: &str = "HPC_PKCS11_";
/// The word of the text for C_Initialize that names the file.
const FILE_WORD: &str = "config";

/// What a user can choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// Where to look for cards.
    pub(crate) readers: Vec<ReaderSpec>,
    /// The number printed on the card, for readers that reach it by radio.
    pub(crate) can: Option<Can>,
    /// How the qualified signature is offered.
    pub(crate) qes: Qes,
    /// Keys that are not shown: by label, purpose or kind.
    pub(crate) hide_keys: Vec<String>,
    /// What readers with a PIN pad are used for.
    pub(crate) pin_pad: PinPad,
    /// How long a card may take for one command.
    pub(crate) card_timeout: Duration,
    /// Where certificates are kept; `None` for nowhere.
    pub(crate) cache: Option<PathBuf>,
    /// What is logged.
    pub(crate) log_level: Level,
    /// Where to; standard error without one.
    pub(crate) log_file: Option<PathBuf>,
    /// Where calls and card commands are traced, whatever is logged.
    pub(crate) trace_file: Option<PathBuf>,
    /// Where what is said to cards is recorded, without what must not be told. Each process has a file of its own.
    pub(crate) record_file: Option<PathBuf>,
    /// Where all this comes from, and words nobody understood.
    pub(crate) origin: Origin,
}

/// Where a configuration comes from, for the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// Keys of the text for C_Initialize that are no keys of this module.
    pub(crate) unknown: Vec<String>,
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

/// What readers with a PIN pad are used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PinPad {
    /// PINs are entered there and nowhere else.
    Only,
    /// PINs are entered there unless the program sends one.
    Optional,
    /// Nothing: the reader counts as one without.
    Off,
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

/// For the log: everything, without the name of the user that is part of a home directory.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{self:?}");
        match place::of_process("HOME").filter(|home| home.len() > 1) {
            Some(home) => f.write_str(&text.replace(home.to_string_lossy().as_ref(), "~")),
            None => f.write_str(&text),
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
    #[error("{0}")]
    Settings(toml::de::Error),
    #[error("{origin} is \"{text}\": {why}")]
    Value { origin: String, text: String, why: String },
    #[error("readers: {0}")]
    Reader(#[from] ReaderSpecError),
    #[error("qes_batch = true needs qes = \"login\"")]
    BatchWithoutLogin,
    #[error("cannot open {path}: {source}")]
    LogFile { path: PathBuf, source: std::io::Error },
}

impl Config {
    /// The configuration of this process. `init_text` is what the program handed to C_Initialize.
    pub(crate) fn load(init_text: Option<&str>) -> Result<Config, ConfigError> {
        Config::from_sources(init_text, &place::of_process)
    }

    fn from_sources(
        init_text: Option<&str>,
        variables: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Config, ConfigError> {
        let environment = Environment::new(variables);
        let words = words::pairs(init_text.unwrap_or_default());
        let named = words.iter().rev().find(|(key, value)| key == FILE_WORD && !value.is_empty());
        let named = named.map(|(_, value)| OsString::from(value));
        let (file, mut layers) = match named.or_else(|| environment.variable(FILE_VARIABLE)) {
            Some(path) => (Some(PathBuf::from(&path)), read(Path::new(&path))?),
            None => search(&environment.configuration_files())?,
        };
        for key in settings::keys() {
            let variable = format!("{PREFIX}{}", key.to_uppercase());
            if let Some(value) = environment.variable(&variable) {
                layers.replace(key, &value.to_string_lossy(), &variable)?;
            }
        }
        let mut origin = Origin { file, unknown: Vec::new() };
        for (key, value) in &words {
            if key != FILE_WORD && !layers.replace(key, value, &format!("{key} for C_Initialize"))? {
                origin.unknown.push(key.clone());
            }
        }
        Config::new(layers.settings()?, origin, environment.cache_directory())
    }

    fn new(
        settings: Settings,
        origin: Origin,
        cache_directory: Option<PathBuf>,
    ) -> Result<Config, ConfigError> {
        let readers = settings.readers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
        let qes = match (settings.qes, settings.qes_batch) {
            (QesWord::Off, false) => Qes::Off,
            (QesWord::ContextOnly, false) => Qes::ContextOnly,
            (QesWord::Login, false) => Qes::Login,
            (QesWord::Login, true) => Qes::Batch,
            (_, true) => return Err(ConfigError::BatchWithoutLogin),
        };
        let cache = settings.cache_directory.or(cache_directory).filter(|_| settings.certificate_cache);
        Ok(Config {
            readers,
            can: settings.can,
            qes,
            hide_keys: settings.hide_keys,
            pin_pad: settings.pin_pad,
            card_timeout: Duration::from_secs(settings.card_timeout),
            cache,
            log_level: settings.log_level,
            log_file: settings.log_file,
            trace_file: settings.trace_file,
            record_file: settings.record_file,
            origin,
        })
    }
}

fn read(path: &Path) -> Result<Layers, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    Layers::of_file(path, &text)
}

/// The first of these files that exists.
fn search(files: &[PathBuf]) -> Result<(Option<PathBuf>, Layers), ConfigError> {
    for path in files {
        match read(path) {
            Err(ConfigError::Unreadable { source, .. })
                if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {}
            layers => return Ok((Some(path.clone()), layers?)),
        }
    }
    Ok((None, Layers::default()))
}

#[cfg(test)]
mod tests;
