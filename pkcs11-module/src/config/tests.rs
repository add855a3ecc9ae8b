//! Which source wins, and what is refused.

use super::*;

/// A directory for configuration files and an environment.
struct Place {
    directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Place {
    /// Without an environment but `HOME`.
    fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        let home = directory.path().display().to_string();
        Place { directory, variables: vec![("HOME".to_owned(), home)] }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn variable(&mut self, name: &str, value: impl Into<String>) {
        self.variables.push((name.to_owned(), value.into()));
    }

    fn load(&self, init_text: &str) -> Result<Config, String> {
        let lookup = |name: &str| {
            let found = self.variables.iter().rev().find(|(known, _)| known == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Config::from_sources(Some(init_text), &lookup).map_err(|error| error.to_string())
    }
}

fn parse(text: &str) -> Result<Config, String> {
    let place = Place::new();
    let file = place.file("module.toml", text);
    place.load(&format!("config={file}"))
}

#[test]
fn empty_file_means_defaults() {
    let config = parse("").unwrap();
    assert_eq!(config.readers, [ReaderSpec::Pcsc { filter: None }]);
    assert_eq!((config.qes, config.log_level, config.log_file), (Qes::Login, Level::Warn, None));
    assert_eq!((config.pin_pad, config.card_timeout), (PinPad::Only, Duration::from_secs(20)));
    assert!(config.hide_keys.is_empty() && config.cache.is_some());
}

#[test]
fn every_key_is_understood() {
    let config = parse(
        "readers = [\"socket:/run/card\", \"pcsc:REINER\"]\nqes = \"login\"\nqes_batch = true\n\
         hide_keys = [\"brainpool\"]\npin_pad = \"optional\"\ncard_timeout = 5\ncertificate_cache = false\n\
         cache_directory = \"/c\"\nlog_level = \"trace\"\nlog_file = \"/tmp/x\"\ntrace_file = \"/tmp/y\"",
    )
    .unwrap();
    assert_eq!(config.readers.len(), 2);
    assert_eq!((config.qes, config.log_level), (Qes::Batch, Level::Trace));
    assert_eq!((config.pin_pad, config.card_timeout), (PinPad::Optional, Duration::from_secs(5)));
    assert_eq!((config.hide_keys, config.cache), (vec!["brainpool".to_owned()], None));
    assert_eq!(config.log_file, Some(PathBuf::from("/tmp/x")));
    assert_eq!(config.trace_file, Some(PathBuf::from("/tmp/y")));
    assert_eq!(parse("qes = \"off\"").unwrap().qes, Qes::Off);
    assert_eq!(parse("qes = \"context-only\"").unwrap().qes, Qes::ContextOnly);
}

#[test]
fn mistakes_are_named() {
    assert!(parse("reader = []").unwrap_err().contains("reader"));
    assert!(parse("qes = \"maybe\"").unwrap_err().contains("maybe"));
    assert!(parse("readers = [\"usb:1\"]").unwrap_err().contains("usb:1"));
    assert!(parse("qes = \"off\"\nqes_batch = true").unwrap_err().contains("qes_batch"));
    assert!(parse("card_timeout = 0").unwrap_err().contains("card_timeout"));
}

#[test]
fn the_text_names_a_file_before_the_environment_and_that_before_the_users_own() {
    let mut place = Place::new();
    place.file(".config/hpc-pkcs11/config.toml", "qes = \"off\"");
    assert_eq!(place.load("").unwrap().qes, Qes::Off);
    let context_only = place.file("b.toml", "qes = \"context-only\"");
    place.variable("HPC_PKCS11_CONFIG", context_only);
    assert_eq!(place.load("").unwrap().qes, Qes::ContextOnly);
    let login = place.file("My Files/c.toml", "qes = \"login\"");
    assert_eq!(place.load(&format!("configdir='x' config='{login}'")).unwrap().qes, Qes::Login);
}

#[test]
fn single_keys_of_the_text_come_before_the_environment_and_those_before_the_file() {
    let mut place = Place::new();
    place.file(".config/hpc-pkcs11/config.toml", "qes = \"off\"\nlog_level = \"debug\"");
    place.variable("HPC_PKCS11_QES", "context-only");
    place.variable("HPC_PKCS11_READERS", "socket:/a,pcsc:");
    let config = place.load("").unwrap();
    assert_eq!((config.qes, config.readers.len()), (Qes::ContextOnly, 2));
    let config = place.load("qes=login readers=socket:/b").unwrap();
    assert_eq!((config.qes, config.readers.len()), (Qes::Login, 1));
    assert_eq!(config.log_level, Level::Debug);
}

#[test]
fn words_for_others_are_remembered_and_nothing_else() {
    let config = Place::new().load("configdir='sql:/x' flags=readOnly qes=off").unwrap();
    assert_eq!(config.qes, Qes::Off);
    assert_eq!(config.origin.unknown, ["configdir", "flags"]);
}

#[test]
fn a_wrong_value_is_an_error_wherever_it_stands() {
    let mut place = Place::new();
    assert!(place.load("qes=of").unwrap_err().contains("qes for C_Initialize is \"of\""));
    place.variable("HPC_PKCS11_QES", "of");
    assert!(place.load("").unwrap_err().contains("HPC_PKCS11_QES is \"of\""));
}

#[test]
fn a_named_file_that_is_missing_is_an_error_but_the_users_own_may_be_missing() {
    let mut place = Place::new();
    place.load("").unwrap();
    assert!(place.load("config=/nonexistent/a.toml").unwrap_err().contains("/nonexistent/a.toml"));
    place.variable("HPC_PKCS11_CONFIG", "/nonexistent/b.toml");
    assert!(place.load("").unwrap_err().contains("/nonexistent/b.toml"));
}

#[test]
fn a_file_of_the_user_that_cannot_be_read_is_an_error() {
    let place = Place::new();
    std::fs::create_dir_all(place.directory.path().join(".config/hpc-pkcs11/config.toml")).unwrap();
    assert!(place.load("").unwrap_err().contains("config.toml"));
}

#[test]
fn the_cache_is_where_caches_of_the_user_are() {
    let mut place = Place::new();
    let home = place.directory.path().to_owned();
    assert_eq!(place.load("").unwrap().cache, Some(home.join(".cache/hpc-pkcs11")));
    place.variable("XDG_CACHE_HOME", "/caches");
    assert_eq!(place.load("").unwrap().cache, Some(PathBuf::from("/caches/hpc-pkcs11")));
    assert_eq!(place.load("cache_directory=/c").unwrap().cache, Some(PathBuf::from("/c")));
    assert_eq!(place.load("certificate_cache=off").unwrap().cache, None);
}
