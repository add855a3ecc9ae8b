//! Figures: rates, quantiles, and the time of each stage.

use std::{collections::BTreeMap, time::Duration};

/// What one window brought.
#[derive(Debug, Default)]
pub(crate) struct Window {
    /// Time of each answer.
    pub(crate) latencies: Vec<Duration>,
    /// From the first call to the last answer.
    pub(crate) elapsed: Duration,
    /// Time of the processor: token or service, and clients.
    pub(crate) processor: Duration,
    /// Steps as the answers tell them: their order, sum and count.
    pub(crate) stages: BTreeMap<String, (usize, Duration, u32)>,
}

impl Window {
    /// Answers per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// Takes the steps of an answer.
    pub(crate) fn add_stages(&mut self, times: &[proto::v1::StepTime]) {
        for (order, step) in times.iter().enumerate() {
            let duration = step.duration.unwrap_or_default();
            let (seconds, nanos) = (duration.seconds.unsigned_abs(), duration.nanos.unsigned_abs());
            let stage = self.stages.entry(step.step.clone()).or_insert((order, Duration::ZERO, 0));
            stage.1 += Duration::new(seconds, nanos);
            stage.2 += 1;
        }
    }

    /// Takes another client's part of the same window.
    pub(crate) fn join(&mut self, other: Window) {
        self.latencies.extend(other.latencies);
        self.elapsed = self.elapsed.max(other.elapsed);
        for (step, (order, sum, count)) in other.stages {
            let stage = self.stages.entry(step).or_insert((order, Duration::ZERO, 0));
            (stage.1, stage.2) = (stage.1 + sum, stage.2 + count);
        }
    }
}

/// The windows of one kind.
#[derive(Debug, Default)]
pub(crate) struct Kind(pub(crate) Vec<Window>);

impl Kind {
    /// Median rate.
    pub(crate) fn rate(&self) -> f64 {
        median(self.0.iter().map(Window::rate).collect())
    }

    /// Median time of the processor for one signature, in milliseconds.
    pub(crate) fn processor(&self) -> f64 {
        let each = |window: &Window| milliseconds(&window.processor) / window.latencies.len() as f64;
        median(self.0.iter().map(each).collect())
    }

    /// Median of the ratios to another kind, round by round, in percent.
    pub(crate) fn percent_of(&self, other: &Kind) -> f64 {
        median(
            self.0.iter().zip(&other.0).map(|(mine, theirs)| 100.0 * mine.rate() / theirs.rate()).collect(),
        )
    }

    /// A quantile of all latencies, in milliseconds.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut all: Vec<Duration> =
            self.0.iter().flat_map(|window| window.latencies.iter().copied()).collect();
        all.sort_unstable();
        let at = ((all.len() as f64 * part) as usize).min(all.len().saturating_sub(1));
        all.get(at).map_or(0.0, milliseconds)
    }

    /// Mean time of each stage in its order.
    pub(crate) fn stages(&self) -> Vec<(String, f64)> {
        let mut all = Window::default();
        for window in &self.0 {
            let part = Window { stages: window.stages.clone(), ..Window::default() };
            all.join(part);
        }
        let mut stages: Vec<_> = all.stages.into_iter().collect();
        stages.sort_by_key(|(_, (order, ..))| *order);
        stages
            .into_iter()
            .map(|(step, (_, sum, count))| (step, milliseconds(&(sum / count.max(1)))))
            .collect()
    }
}

pub(crate) fn milliseconds(time: &Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
