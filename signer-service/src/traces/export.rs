//! Spans on their way to a collector: OTLP 1.x over HTTP as JSON (the protobuf JSON mapping with identifiers in hexadecimal).
//!
//! A collector that is slow or down costs spans, never a call.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Trace;
use crate::ocsp::http;

/// Spans that may wait.
const WAITING: usize = 1024;
/// Spans of one request.
const BATCH: usize = 256;
/// How long the first of them waits for others.
const COLLECT: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// SPAN_KIND_SERVER, STATUS_CODE_OK, STATUS_CODE_ERROR of opentelemetry.proto.trace.v1.
const SERVER: u8 = 2;
const OK: u8 = 1;
const ERROR: u8 = 2;

/// A call that came to its end.
pub struct Span {
    /// Its place in a trace.
    pub trace: Trace,
    /// The call.
    pub call: &'static str,
    /// Name of the client; empty if it has none.
    pub client: String,
    /// Identifier of the request.
    pub request_id: String,
    /// `OK`, or the reason of the refusal.
    pub outcome: &'static str,
    /// How long it took, until now.
    pub took: Duration,
}

/// Where spans go.
#[derive(Default)]
pub struct Exporter(Option<mpsc::Sender<(Span, SystemTime)>>);

impl Exporter {
    /// Sends to this collector, e.g. `http://127.0.0.1:4318/v1/traces`; to nobody without.
    pub fn start(collector: Option<String>) -> Exporter {
        Exporter(collector.map(|collector| {
            let (send, spans) = mpsc::channel(WAITING);
            tokio::spawn(deliver(collector, spans));
            send
        }))
    }

    /// Takes a span, if its trace is recorded and there is room.
    pub fn span(&self, span: Span) {
        if let Some(send) = self.0.as_ref().filter(|_| span.trace.sampled) {
            // A collector that does not keep up loses spans.
            let _ = send.try_send((span, SystemTime::now()));
        }
    }
}

async fn deliver(collector: String, mut spans: mpsc::Receiver<(Span, SystemTime)>) {
    let failing = AtomicBool::new(false);
    let mut batch = Vec::with_capacity(BATCH);
    while let Some(first) = spans.recv().await {
        batch.push(first);
        let more = async {
            while batch.len() < BATCH {
                match spans.recv().await {
                    Some(span) => batch.push(span),
                    None => return,
                }
            }
        };
        let _ = tokio::time::timeout(COLLECT, more).await;
        let body = request(&batch).to_string().into_bytes();
        batch.clear();
        let posted = http::post(&collector, &JSON, body, PATIENCE).await;
        // Once for each time it fails anew, or the log would be full of it.
        match posted {
            Ok(_) => failing.store(false, Ordering::Relaxed),
            Err(error) if !failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "spans are not taken by the collector");
            }
            Err(_) => {}
        }
    }
}

/// JSON both ways.
const JSON: http::Types = http::Types { sent: "application/json", wanted: "application/json" };

fn request(spans: &[(Span, SystemTime)]) -> Value {
    let shown: Vec<Value> = spans.iter().map(|(span, end)| shown(span, *end)).collect();
    let service = [("service.name", "hpc-signer"), ("service.version", env!("CARGO_PKG_VERSION"))];
    json!({ "resourceSpans": [{
        "resource": { "attributes": service.map(attribute) },
        "scopeSpans": [{ "scope": { "name": "signer-service" }, "spans": shown }],
    }] })
}

fn shown(span: &Span, end: SystemTime) -> Value {
    let nanoseconds =
        |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos().to_string();
    let attributes = [
        ("rpc.system", "grpc"),
        ("rpc.service", "hpc.signer.v1.SignerService"),
        ("rpc.method", span.call),
        ("hpc_signer.client", &span.client),
        ("hpc_signer.request_id", &span.request_id),
        ("hpc_signer.outcome", span.outcome),
    ];
    json!({
        "traceId": hex::encode(span.trace.id),
        "spanId": hex::encode(span.trace.span),
        "parentSpanId": span.trace.parent.map(hex::encode).unwrap_or_default(),
        "name": span.call,
        "kind": SERVER,
        "startTimeUnixNano": nanoseconds(end.checked_sub(span.took).unwrap_or(end)),
        "endTimeUnixNano": nanoseconds(end),
        "attributes": attributes.map(attribute),
        "status": { "code": if span.outcome == "OK" { OK } else { ERROR } },
    })
}

fn attribute((key, value): (&str, &str)) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_its_times_and_its_parent() {
        let trace = Trace::of(Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
        let span = Span {
            trace,
            call: "ListCards",
            client: "ward".into(),
            request_id: "r-1".into(),
            outcome: "BUSY",
            took: Duration::from_nanos(5),
        };
        let end = UNIX_EPOCH + Duration::from_secs(1);
        let sent = request(&[(span, end)]);
        let shown = &sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(shown["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(shown["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(
            (&shown["startTimeUnixNano"], &shown["endTimeUnixNano"]),
            (&"999999995".into(), &"1000000000".into())
        );
        assert_eq!((shown["status"]["code"].as_u64(), shown["kind"].as_u64()), (Some(2), Some(2)));
    }
}
