//! The keys of the configuration, as they stand in a file, and single ones given as text.

use std::path::{Path, PathBuf};

use card::pace::Can;
use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

use super::{ConfigError, PinPad};
use crate::logging::Level;

/// All keys with their defaults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Settings {
    pub(super) readers: Vec<String>,
    pub(super) can: Option<Can>,
    pub(super) qes: QesWord,
    pub(super) qes_batch: bool,
    pub(super) hide_keys: Vec<String>,
    pub(super) pin_pad: PinPad,
    #[serde(deserialize_with = "seconds")]
    pub(super) card_timeout: u64,
    pub(super) certificate_cache: bool,
    pub(super) cache_directory: Option<PathBuf>,
    pub(super) log_level: Level,
    pub(super) log_file: Option<PathBuf>,
    pub(super) trace_file: Option<PathBuf>,
    pub(super) record_file: Option<PathBuf>,
}

/// `qes` as written; with `qes_batch` it becomes [`super::Qes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum QesWord {
    Off,
    ContextOnly,
    Login,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            readers: vec!["pcsc:".to_owned()],
            can: None,
            qes: QesWord::Login,
            qes_batch: false,
            hide_keys: Vec::new(),
            pin_pad: PinPad::Only,
            card_timeout: 20,
            certificate_cache: true,
            cache_directory: None,
            log_level: Level::Warn,
            log_file: None,
            trace_file: None,
            record_file: None,
        }
    }
}

/// How the value of a key is written as text.
#[derive(Debug, Clone, Copy)]
enum Form {
    Text,
    /// Separated by commas.
    List,
    Flag,
    Number,
}

/// Every key that can be given as text: all.
const KEYS: [(&str, Form); 13] = [
    ("readers", Form::List),
    ("can", Form::Text),
    ("qes", Form::Text),
    ("qes_batch", Form::Flag),
    ("hide_keys", Form::List),
    ("pin_pad", Form::Text),
    ("card_timeout", Form::Number),
    ("certificate_cache", Form::Flag),
    ("cache_directory", Form::Text),
    ("log_level", Form::Text),
    ("log_file", Form::Text),
    ("trace_file", Form::Text),
    ("record_file", Form::Text),
];

/// A file's content with single keys replaced.
#[derive(Debug, Default)]
pub(super) struct Layers(Table);

impl Layers {
    /// What a file says.
    pub(super) fn of_file(path: &Path, text: &str) -> Result<Layers, ConfigError> {
        let malformed = |source| ConfigError::Malformed { path: path.to_owned(), source };
        // Read as a whole first: only then an error names the line.
        let _: Settings = toml::from_str(text).map_err(malformed)?;
        toml::from_str(text).map(Layers).map_err(malformed)
    }

    /// Replaces a key by a value given as text. `origin` is for the error. Answers whether there is such a key.
    pub(super) fn replace(&mut self, key: &str, text: &str, origin: &str) -> Result<bool, ConfigError> {
        let Some((key, form)) = KEYS.iter().find(|(known, _)| *known == key) else {
            return Ok(false);
        };
        let wrong =
            |why: String| ConfigError::Value { origin: origin.to_owned(), text: text.to_owned(), why };
        let value = form.value(text).ok_or_else(|| wrong(form.expected().to_owned()))?;
        let alone = Table::from_iter([((*key).to_owned(), value.clone())]);
        alone.try_into::<Settings>().map_err(|error| wrong(error.message().to_owned()))?;
        self.0.insert((*key).to_owned(), value);
        Ok(true)
    }

    /// The outcome.
    pub(super) fn settings(self) -> Result<Settings, ConfigError> {
        self.0.try_into().map_err(ConfigError::Settings)
    }
}

/// The names of all keys.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|(key, _)| *key)
}

impl Form {
    fn value(self, text: &str) -> Option<Value> {
        match self {
            Form::Text => Some(Value::String(text.to_owned())),
            Form::List => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
            }
            Form::Flag => match text {
                "true" | "on" | "yes" | "1" => Some(Value::Boolean(true)),
                "false" | "off" | "no" | "0" => Some(Value::Boolean(false)),
                _ => None,
            },
            Form::Number => text.parse().ok().map(Value::Integer),
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Form::Text | Form::List => "expected a text",
            Form::Flag => "expected true or false",
            Form::Number => "expected a number",
        }
    }
}

/// A card that is given no time would never answer; one that is given hours hangs its user.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let seconds = u64::deserialize(deserializer)?;
    if (1..=3600).contains(&seconds) {
        return Ok(seconds);
    }
    Err(serde::de::Error::custom(format!("card_timeout is {seconds}, expected 1 to 3600 seconds")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");
    const PAGE: &str = include_str!("../../../docs/configuration.md");

    #[test]
    fn the_shipped_example_says_the_defaults() {
        let settings = Layers::of_file(Path::new("example"), EXAMPLE).unwrap().settings().unwrap();
        assert_eq!(settings, Settings::default());
    }

    #[test]
    fn every_key_of_the_example_can_be_used_and_is_documented() {
        let everything: String =
            EXAMPLE.lines().map(|line| line.strip_prefix("#! ").unwrap_or(line).to_owned() + "\n").collect();
        let table: Table = toml::from_str(&everything).unwrap();
        let _: Settings = toml::from_str(&everything).unwrap();
        for key in keys() {
            assert!(table.contains_key(key), "{key} is not in the example");
            assert!(PAGE.contains(&format!("## `{key}`")), "{key} is not in docs/configuration.md");
        }
        assert_eq!(table.len(), keys().count());
    }

    #[test]
    fn a_text_replaces_what_the_file_says() {
        let mut layers = Layers::of_file(Path::new("x"), "qes = \"off\"\nlog_level = \"debug\"").unwrap();
        let texts = [
            ("qes", "context-only"),
            ("readers", "socket:/a, pcsc:"),
            ("certificate_cache", "off"),
            ("card_timeout", "5"),
            ("can", "123123"),
        ];
        for (key, text) in texts {
            assert!(layers.replace(key, text, "test").unwrap());
        }
        assert!(!layers.replace("colour", "red", "test").unwrap());
        let settings = layers.settings().unwrap();
        assert_eq!((settings.qes, settings.log_level), (QesWord::ContextOnly, Level::Debug));
        assert_eq!(settings.readers, ["socket:/a", "pcsc:"]);
        assert_eq!((settings.certificate_cache, settings.card_timeout), (false, 5));
        assert_eq!(settings.can, Some("123123".parse().unwrap()));
    }

    #[test]
    fn a_text_that_is_no_value_is_named_with_its_origin() {
        let mut layers = Layers::default();
        for (key, text) in [
            ("qes", "of"),
            ("qes_batch", "perhaps"),
            ("card_timeout", "soon"),
            ("card_timeout", "0"),
            ("can", "12345"),
        ] {
            let error = layers.replace(key, text, "HPC_PKCS11_X").unwrap_err().to_string();
            assert!(error.contains("HPC_PKCS11_X") && error.contains(text), "{error}");
        }
    }
}
