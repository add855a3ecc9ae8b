//! How long each step of a call took, for the answer and the log.

use std::time::{Duration, Instant};

/// A stopwatch that names what it measured.
#[derive(Debug)]
pub struct Steps {
    done: Vec<(&'static str, Duration)>,
    since: Instant,
}

impl Steps {
    /// Starts with the first step.
    pub fn start() -> Steps {
        Steps { done: Vec::new(), since: Instant::now() }
    }

    /// Ends the running step and starts the next.
    pub fn done(&mut self, step: &'static str) {
        let now = Instant::now();
        self.done.push((step, now.duration_since(self.since)));
        self.since = now;
    }

    /// Takes over the steps of a part that was measured on its own, and starts the next here.
    pub fn extend(&mut self, part: Steps) {
        self.done.extend(part.done);
        self.since = Instant::now();
    }

    /// The steps in their order.
    pub fn list(&self) -> &[(&'static str, Duration)] {
        &self.done
    }
}
