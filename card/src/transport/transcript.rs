//! Recording what cards and a program say to each other, without what must not be told, and playing it back.
//!
//! A person whose card fails can send a recording; it becomes a test that needs no card ([`Recorded`] and [`Replayed`]).
//!
//! The text has a line per message. A line begins with the number of the connection, unless it is the first one. Then
//! comes `reader` with a number, `atr`, `>` for a command, `<` for an answer, `!` for a failed connection; a line that
//! begins with `#` is for people. `??` stands for a byte that is not told.

mod mask;
mod recorded;
mod replayed;

pub use recorded::{Recorded, Recording};
pub use replayed::{Replay, Replayed};

/// Stands for a byte that is not told.
const MASK: &str = "??";

/// Why there is no recording.
#[derive(Debug, thiserror::Error)]
pub enum TranscriptError {
    /// A line that is not of a recording.
    #[error("line {line} is not of a card transcript")]
    Line {
        /// Number of the line, from 1.
        line: usize,
    },
    /// The file cannot be read or written.
    #[error("card transcript {path}: {error}")]
    File {
        /// Its name.
        path: std::path::PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

#[cfg(test)]
mod tests;
