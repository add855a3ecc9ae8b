//! Structured logs to standard error.
//!
//! Frames, headers and message bodies pass through the libraries below this service, and at `trace` some of them
//! print them. So the level of the configuration and `RUST_LOG` reach this project's own crates only; everything else
//! is capped at warnings, whatever anybody asks for.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, Targets},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::config::{Log, LogFormat};

/// The crates whose log lines are written with personal data in mind.
const OWN: [&str; 3] = ["signer_service", "egk_reader", "card"];

/// Starts logging; called once.
pub fn start(config: &Log) {
    let subscriber = tracing_subscriber::registry().with(layer(config, std::io::stderr));
    // Fails only if a subscriber is there already, and then that one is meant.
    let _ = subscriber.try_init();
}

fn layer<S, W>(config: &Log, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'a> tracing_subscriber::fmt::MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = wanted(config).and(cap());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false);
    match config.format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    }
}

fn wanted(config: &Log) -> EnvFilter {
    match std::env::var("RUST_LOG") {
        Ok(text) => EnvFilter::new(text),
        Err(_) => EnvFilter::default().add_directive(config.level.filter().into()),
    }
}

/// Own crates may say everything, others warn; `cryptoki` complains of each session that vanished with its card.
fn cap() -> Targets {
    OWN.iter()
        .fold(Targets::new().with_default(LevelFilter::WARN), |targets, own| {
            targets.with_target(*own, LevelFilter::TRACE)
        })
        .with_target("cryptoki", LevelFilter::OFF)
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;
    use crate::config::LogLevel;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn other_crates_never_log_below_warnings() {
        let captured = Captured::default();
        let writer = captured.clone();
        let config = Log { level: LogLevel::Trace, format: LogFormat::Text };
        let subscriber = tracing_subscriber::registry().with(layer(&config, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::trace!(target: "h2::codec", "frame with a PIN");
            tracing::info!(target: "hyper", "header");
            tracing::error!(target: "cryptoki::session", "session");
            tracing::warn!(target: "h2", "a warning");
            tracing::trace!(target: "signer_service::service", "own trace");
        });
        let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains("own trace") && text.contains("a warning"), "{text}");
        for hidden in ["PIN", "header", "session"] {
            assert!(!text.contains(hidden), "{text}");
        }
    }
}
