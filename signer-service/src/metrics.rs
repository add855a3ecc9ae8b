//! What is counted and measured, for Prometheus (OpenMetrics text).
//!
//! Labels hold names of calls, reasons, steps, configured clients, and the module's names of slots: no patient, no person,
//! no number of a card.

pub mod http;

use std::{
    fmt,
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

/// Everything that is measured.
pub struct Metrics {
    registry: Mutex<Registry>,
    calls: Family<Call, Counter>,
    call_seconds: Family<Named, Histogram>,
    step_seconds: Family<Named, Histogram>,
    card_operations: Family<Operation, Counter>,
    queue: Family<Slot, Gauge>,
    connections: Family<Outcome, Counter>,
    reviews: Family<Review, Gauge>,
    commands: Family<Reader, Counter>,
    now: Now,
}

/// What is looked at when it is asked for.
#[derive(Default)]
struct Now {
    card_usable: Family<Slot, Gauge>,
    pin_state: Family<Pin, Gauge>,
    comfort_sessions: Family<Slot, Gauge>,
    budget: Family<Budget, Gauge>,
    ocsp_oldest: Gauge,
}

/// A look at what changes by itself.
#[derive(Default)]
pub struct Look {
    /// Each slot: its name, whether its card can be used, the state of its PIN if it is known.
    pub slots: Vec<(String, bool, Option<String>)>,
    /// Each comfort session: slot, what the policy leaves, what the card leaves.
    pub sessions: Vec<(String, u32, Option<u32>)>,
    /// Age of the oldest kept OCSP answer.
    pub ocsp_oldest: Option<time::Duration>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Call {
    call: &'static str,
    client: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Named {
    name: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Operation {
    slot: String,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Slot {
    slot: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Pin {
    slot: String,
    state: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Budget {
    slot: String,
    limit: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reader {
    reader: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Review {
    state: &'static str,
}

/// Counted as waiting as long as it lives.
pub struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        // 1 ms to 66 s: a step of the service, a card, a person at a key pad.
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 17));
        let metrics = Metrics {
            registry: Mutex::new(Registry::with_prefix("hpc_signer")),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(seconds),
            step_seconds: Family::new_with_constructor(seconds),
            card_operations: Family::default(),
            queue: Family::default(),
            connections: Family::default(),
            reviews: Family::default(),
            commands: Family::default(),
            now: Now::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    /// A call came to its end.
    pub fn call(&self, call: &'static str, client: &str, outcome: &'static str, took: Duration) {
        self.calls.get_or_create(&Call { call, client: client.to_owned(), outcome }).inc();
        self.call_seconds.get_or_create(&Named { name: call }).observe(took.as_secs_f64());
    }

    /// Steps of a call, as its answer names them.
    pub fn steps(&self, steps: &[(&'static str, Duration)]) {
        for (name, took) in steps {
            self.step_seconds.get_or_create(&Named { name }).observe(took.as_secs_f64());
        }
    }

    /// A card was asked to check a PIN or to sign.
    pub fn card(&self, slot: &str, operation: &'static str, outcome: &'static str) {
        let labels = Operation { slot: slot.to_owned(), operation, outcome };
        self.card_operations.get_or_create(&labels).inc();
    }

    /// Somebody waits for a card.
    pub fn waits(&self, slot: &str) -> Waiting {
        let gauge = self.queue.get_or_create_owned(&Slot { slot: slot.to_owned() });
        gauge.inc();
        Waiting(gauge)
    }

    /// A connection over the network was made or refused.
    pub fn connection(&self, outcome: &'static str) {
        self.connections.get_or_create(&Outcome { outcome }).inc();
    }

    /// Commands that the cards in a reader were sent so far, as the module counts them.
    pub fn commands(&self, reader: &str, count: u64) {
        let counter = self.commands.get_or_create_owned(&Reader { reader: reader.to_owned() });
        counter.inner().fetch_max(count, Ordering::Relaxed);
    }

    /// Emergency accesses that wait for their review, and how many of them are overdue.
    pub fn reviews(&self, wanted: usize, overdue: usize) {
        for (state, count) in [("wanted", wanted), ("overdue", overdue)] {
            self.reviews.get_or_create(&Review { state }).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// All of it as OpenMetrics text.
    ///
    /// # Errors
    /// Never, as text grows as it has to.
    pub fn text(&self, look: &Look) -> Result<String, fmt::Error> {
        // One at a time: what is looked at is replaced as a whole.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.now.show(look);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    fn register(&self) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let register = &mut *registry;
        register.register("calls", "Calls by outcome: OK, or the reason of the refusal", self.calls.clone());
        register.register_with_unit("call", "Duration of calls", Unit::Seconds, self.call_seconds.clone());
        register.register_with_unit(
            "step",
            "Duration of steps of calls",
            Unit::Seconds,
            self.step_seconds.clone(),
        );
        register.register(
            "card_operations",
            "PINs and signatures that cards were asked for",
            self.card_operations.clone(),
        );
        register.register(
            "card_commands",
            "Commands that the cards in a reader were sent, where the module tells",
            self.commands.clone(),
        );
        register.register("card_queue", "Calls that wait for a card", self.queue.clone());
        register.register("connections", "Connections over TLS by outcome", self.connections.clone());
        register.register(
            "emergency_reviews",
            "Emergency accesses that are over and wait for their review",
            self.reviews.clone(),
        );
        let now = &self.now;
        register.register("card_usable", "A card is there and its PIN not unusable", now.card_usable.clone());
        register.register("card_pin_state", "State of the PIN, where known", now.pin_state.clone());
        register.register("comfort_sessions", "Comfort sessions that stand", now.comfort_sessions.clone());
        register.register(
            "comfort_budget_left",
            "Signatures left in the comfort session that ends first",
            now.budget.clone(),
        );
        register.register_with_unit(
            "ocsp_oldest_answer",
            "Age of the oldest OCSP answer that is kept",
            Unit::Seconds,
            now.ocsp_oldest.clone(),
        );
    }
}

impl Now {
    fn show(&self, look: &Look) {
        self.card_usable.clear();
        self.pin_state.clear();
        self.comfort_sessions.clear();
        self.budget.clear();
        for (slot, usable, pin) in &look.slots {
            self.card_usable.get_or_create(&Slot { slot: slot.clone() }).set(i64::from(*usable));
            if let Some(state) = pin {
                self.pin_state.get_or_create(&Pin { slot: slot.clone(), state: state.clone() }).set(1);
            }
        }
        for (slot, policy, card) in &look.sessions {
            self.comfort_sessions.get_or_create(&Slot { slot: slot.clone() }).inc();
            for (limit, left) in [("policy", Some(*policy)), ("card", *card)] {
                let Some(left) = left.map(i64::from) else { continue };
                let labels = Budget { slot: slot.clone(), limit };
                let known = self.budget.get(&labels).map(|gauge| gauge.get());
                self.budget.get_or_create(&labels).set(known.map_or(left, |known| known.min(left)));
            }
        }
        let age = look.ocsp_oldest.map_or(0, time::Duration::whole_seconds);
        self.ocsp_oldest.set(age);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn calls_are_counted_by_outcome_and_client() {
        let metrics = Metrics::default();
        metrics.call("ListCards", "ward", "OK", Duration::from_millis(3));
        metrics.call("ListCards", "ward", "OK", Duration::from_millis(3));
        metrics.call("ListCards", "", "BUSY", Duration::ZERO);
        let text = metrics.text(&Look::default()).unwrap();
        let ok = "hpc_signer_calls_total{call=\"ListCards\",client=\"ward\",outcome=\"OK\"} 2";
        assert!(text.contains(ok), "{text}");
        assert!(
            text.contains("outcome=\"BUSY\"} 1") && text.contains("hpc_signer_call_seconds_bucket"),
            "{text}"
        );
    }

    #[test]
    fn commands_never_go_back_and_are_absent_where_nobody_counts() {
        let metrics = Metrics::default();
        assert!(!metrics.text(&Look::default()).unwrap().contains("card_commands_total{"));
        for count in [12, 30, 29] {
            metrics.commands("reader", count);
        }
        let text = metrics.text(&Look::default()).unwrap();
        assert!(text.contains("hpc_signer_card_commands_total{reader=\"reader\"} 30"), "{text}");
    }

    /// Each metric with its labels, from the text of metrics that are all there.
    fn told() -> BTreeMap<String, BTreeSet<String>> {
        let metrics = Metrics::default();
        metrics.call("ListCards", "ward", "OK", Duration::ZERO);
        metrics.steps(&[("PIN", Duration::ZERO)]);
        metrics.card("reader", "PIN", "OK");
        metrics.commands("reader", 1);
        metrics.connection("OK");
        metrics.reviews(1, 0);
        let _waiting = metrics.waits("reader");
        let slots = vec![("reader".to_owned(), true, Some("USABLE".to_owned()))];
        let sessions = vec![("reader".to_owned(), 9, Some(200))];
        let text = metrics.text(&Look { slots, sessions, ocsp_oldest: None }).unwrap();
        let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, labels) = line.split_once(['{', ' ']).unwrap();
            let name =
                ["_bucket", "_sum", "_count"].iter().fold(name, |name, end| name.trim_end_matches(end));
            let labels = labels.split(['{', ',', '}']).filter_map(|label| label.split_once("=\""));
            let labels = labels.map(|(label, _)| label.to_owned()).filter(|label| label != "le");
            told.entry(name.trim_start_matches("hpc_signer_").to_owned()).or_default().extend(labels);
        }
        told
    }

    #[test]
    fn the_operations_page_lists_every_metric_with_its_labels_and_no_other() {
        let page = include_str!("../../docs/operations.md");
        let table = page.split("| metric (`hpc_signer_...`) |").nth(1).unwrap();
        let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("  | "));
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let told = told();
        let mut listed = BTreeSet::new();
        for row in rows {
            let cells: Vec<&str> = row.split(" | ").collect();
            let (metrics, labels) = (names(cells[0]), names(cells[1]));
            let used: BTreeSet<String> =
                metrics.iter().flat_map(|name| told.get(name).cloned().unwrap_or_default()).collect();
            assert_eq!(labels.into_iter().collect::<BTreeSet<_>>(), used, "labels of {metrics:?}");
            listed.extend(metrics);
        }
        assert_eq!(listed, told.into_keys().collect());
    }

    #[test]
    fn a_queue_shrinks_when_waiting_ends() {
        let metrics = Metrics::default();
        let (first, second) = (metrics.waits("reader"), metrics.waits("reader"));
        drop(first);
        let text = metrics.text(&Look::default()).unwrap();
        assert!(text.contains("hpc_signer_card_queue{slot=\"reader\"} 1"), "{text}");
        drop(second);
    }

    #[test]
    fn what_is_gone_is_not_shown_and_the_smallest_budget_counts() {
        let metrics = Metrics::default();
        let slots = vec![("reader".to_owned(), true, Some("FINAL_TRY".to_owned()))];
        let sessions = vec![("reader".to_owned(), 9, Some(200)), ("reader".to_owned(), 4, None)];
        let text = metrics.text(&Look { slots, sessions, ocsp_oldest: None }).unwrap();
        assert!(text.contains("comfort_budget_left{slot=\"reader\",limit=\"policy\"} 4"), "{text}");
        assert!(text.contains("comfort_sessions{slot=\"reader\"} 2"), "{text}");
        let text = metrics.text(&Look::default()).unwrap();
        assert!(!text.contains("reader"), "{text}");
    }
}
