//! The module's log and its trace. They belong to the module alone: a subscriber of the host program is neither used
//! nor replaced.
//!
//! Both are made of the same events, which hold no PIN, no name, no serial number and no body of a card command at any
//! level. The log has what its level lets through; the trace has everything, in a file that can be sent to anybody who
//! helps.

use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Deserialize;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Config, ConfigError};

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// Nothing.
    Off,
    /// What stops the module.
    Error,
    /// What a user should know.
    Warn,
    /// Cards found and lost, logins.
    Info,
    /// Every call with handle and result.
    Debug,
    /// Every card command: header, length, status word.
    Trace,
}

/// Where the events of one module go.
#[derive(Clone)]
pub(crate) struct Log(Dispatch);

impl Log {
    /// Opens the log and the trace the configuration asks for.
    pub(crate) fn open(config: &Config) -> Result<Log, ConfigError> {
        let mut outputs = Vec::new();
        if config.log_level != Level::Off {
            outputs.push(match &config.log_file {
                Some(path) => output(config.log_level, Mutex::new(open(path)?)),
                None => output(config.log_level, std::io::stderr),
            });
        }
        if let Some(path) = &config.trace_file {
            outputs.push(output(Level::Trace, Mutex::new(open(path)?)));
        }
        Ok(Log::to(outputs))
    }

    /// A log on standard error.
    pub(crate) fn stderr(level: Level) -> Log {
        Log::to(vec![output(level, std::io::stderr)])
    }

    fn to(outputs: Vec<Output>) -> Log {
        if outputs.is_empty() {
            return Log(Dispatch::none());
        }
        Log(Registry::default().with(outputs).into())
    }

    /// Runs `body` with its events going to this log.
    pub(crate) fn scope<R>(&self, body: impl FnOnce() -> R) -> R {
        tracing::dispatcher::with_default(&self.0, body)
    }
}

type Output = Box<dyn Layer<Registry> + Send + Sync>;

fn output<W>(level: Level, writer: W) -> Output
where
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_ansi(false).with_thread_ids(true).with_target(false);
    layer.with_writer(writer).with_filter(filter(level)).boxed()
}

fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

/// Opens a file for appending that only its owner can read. `{pid}` in its name becomes the number of the process.
fn open(path: &Path) -> Result<File, ConfigError> {
    let named = path.to_string_lossy();
    let path = match named.contains("{pid}") {
        true => PathBuf::from(named.replace("{pid}", &std::process::id().to_string())),
        false => path.to_owned(),
    };
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
    file.and_then(|file| {
        // One that was there already may be open to others. Devices stay as they are.
        if file.metadata()?.is_file() {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        Ok(file)
    })
    .map_err(|source| ConfigError::LogFile { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_file(path: &Path, level: Level) -> Log {
        Log::to(vec![output(level, Mutex::new(open(path).unwrap()))])
    }

    #[test]
    fn events_of_a_scope_go_to_the_file_and_others_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module.log");
        let log = to_file(&path, Level::Info);
        log.scope(|| tracing::info!("inside"));
        log.scope(|| tracing::debug!("too fine"));
        tracing::info!("outside");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("inside"));
        assert!(!text.contains("outside") && !text.contains("too fine"));
    }

    #[test]
    fn the_trace_has_what_the_log_leaves_out() {
        let directory = tempfile::tempdir().unwrap();
        let (coarse, fine) = (directory.path().join("log"), directory.path().join("trace"));
        let outputs = [(Level::Warn, &coarse), (Level::Trace, &fine)];
        let outputs = outputs.map(|(level, path)| output(level, Mutex::new(open(path).unwrap())));
        Log::to(outputs.into()).scope(|| tracing::trace!("a card command"));
        assert_eq!(std::fs::read_to_string(coarse).unwrap(), "");
        assert!(std::fs::read_to_string(fine).unwrap().contains("a card command"));
    }

    #[test]
    fn only_the_owner_reads_the_file_even_if_it_was_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        to_file(&path, Level::Info).scope(|| tracing::info!("text"));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        open(Path::new("/dev/null")).unwrap();
        assert_ne!(std::fs::metadata("/dev/null").unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn each_process_can_have_a_file_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        open(&directory.path().join("trace-{pid}")).unwrap();
        assert!(directory.path().join(format!("trace-{}", std::process::id())).exists());
    }
}
