//! The module's log. It belongs to the module alone: a subscriber of the host program is neither used nor replaced.

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Mutex;

use serde::Deserialize;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;

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
    /// Opens the log the configuration asks for.
    pub(crate) fn open(config: &Config) -> Result<Log, ConfigError> {
        let level = config.log_level;
        match &config.log_file {
            _ if level == Level::Off => Ok(Log(Dispatch::none())),
            None => Ok(Log::stderr(level)),
            Some(path) => {
                Log::file(level, path).map_err(|source| ConfigError::LogFile { path: path.clone(), source })
            }
        }
    }

    /// A log on standard error.
    pub(crate) fn stderr(level: Level) -> Log {
        Log(builder(level).with_writer(std::io::stderr).finish().into())
    }

    fn file(level: Level, path: &Path) -> std::io::Result<Log> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Log(builder(level).with_writer(Mutex::new(options.open(path)?)).finish().into()))
    }

    /// Runs `body` with its events going to this log.
    pub(crate) fn scope<R>(&self, body: impl FnOnce() -> R) -> R {
        tracing::dispatcher::with_default(&self.0, body)
    }
}

type Builder = tracing_subscriber::fmt::SubscriberBuilder<
    tracing_subscriber::fmt::format::DefaultFields,
    tracing_subscriber::fmt::format::Format,
    LevelFilter,
>;

fn builder(level: Level) -> Builder {
    let filter = match level {
        Level::Off => LevelFilter::OFF,
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    tracing_subscriber::fmt().with_ansi(false).with_max_level(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_a_scope_go_to_the_file_and_others_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("module.log");
        let log = Log::file(Level::Info, &path).unwrap();
        log.scope(|| tracing::info!("inside"));
        log.scope(|| tracing::debug!("too fine"));
        tracing::info!("outside");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("inside"));
        assert!(!text.contains("outside") && !text.contains("too fine"));
    }
}
