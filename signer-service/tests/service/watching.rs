//! What an operator sees and sets: metrics, health of each card, limits, and an end that finishes what was accepted.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::{fs::PermissionsExt, net::UnixStream},
};

use proto::v1::{self, batch_answer, batch_request};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::{
    grpc::channel,
    network::{ALL, channel as tls_channel, further_client, reason, sign},
    support::{BOTH, Desk, PIN, fixture, json, refusal},
};

/// A collector of spans: takes one request, answers it, and gives its body.
fn collector() -> (String, std::thread::JoinHandle<serde_json::Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/v1/traces", listener.local_addr().unwrap());
    let taken = std::thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").unwrap();
        serde_json::from_slice(&body).unwrap()
    });
    (address, taken)
}

#[tokio::test]
async fn a_callers_trace_goes_on_in_the_log_and_to_the_collector() {
    let (address, taken) = collector();
    let desk = Desk::configured(&BOTH, &format!("[traces]\notlp = '{address}'\n"));
    let mut request = tonic::Request::new(v1::ReadInsuranceRequest::default());
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    assert!(desk.grpc().await.read_insurance(request).await.is_err());
    assert!(desk.log().contains("trace=4bf92f3577b34da6a3ce929d0e0e4736"), "{}", desk.log());
    let sent = tokio::task::spawn_blocking(move || taken.join().unwrap()).await.unwrap();
    let span = &sent["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
    assert_eq!((&span["name"], &span["parentSpanId"]), (&"ReadInsurance".into(), &"00f067aa0ba902b7".into()));
    let outcome =
        span["attributes"].as_array().unwrap().iter().find(|found| found["key"] == "hpc_signer.outcome");
    assert_eq!(outcome.unwrap()["value"]["stringValue"], "NO_READER");
}

/// Asks the metrics socket; answers everything it says.
pub(crate) fn http(desk: &Desk, request: &str) -> String {
    let mut stream = UnixStream::connect(desk.path("s.sock.metrics")).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a line of the metrics that has all these parts.
pub(crate) fn value(text: &str, parts: &[&str]) -> f64 {
    let line = text.lines().find(|line| parts.iter().all(|part| line.contains(part)));
    let line = line.unwrap_or_else(|| panic!("{parts:?} is not in {text}"));
    line.rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn metrics_tell_calls_cards_and_steps_and_no_secret() {
    let desk = Desk::with(&BOTH);
    assert!(desk.sign("prescription.xml", PIN).status.success());
    assert!(!desk.sign("prescription.xml", "00000000").status.success());
    let text = http(&desk, "GET /metrics");
    assert!(text.starts_with("HTTP/1.1 200") && text.trim_end().ends_with("# EOF"), "{text}");
    let call = "hpc_signer_calls_total{call=\"SignPrescription\"";
    assert_eq!(value(&text, &[call, "outcome=\"OK\""]), 1.0);
    assert_eq!(value(&text, &[call, "outcome=\"PIN_WRONG\""]), 1.0);
    assert_eq!(value(&text, &["card_operations_total", "operation=\"PIN\"", "\"OK\""]), 1.0);
    assert_eq!(value(&text, &["card_operations_total", "operation=\"PIN\"", "PIN_WRONG"]), 1.0);
    assert_eq!(value(&text, &["card_operations_total", "operation=\"signature\"", "\"OK\""]), 1.0);
    assert_eq!(value(&text, &["step_seconds_count", "card signature"]), 1.0);
    assert_eq!(value(&text, &["card_queue{"]), 0.0);
    assert!(!text.contains("card_commands_total{"), "a module that does not count: {text}");
    let tokens = desk.tool("softhsm2-util", &["--show-slots"]);
    let serials = tokens.lines().filter_map(|line| line.trim().strip_prefix("Serial number:"));
    let serial = serials.map(str::trim).find(|serial| !serial.is_empty()).unwrap();
    for secret in [PIN, serial, "X110400001", "Holder", "Musterst"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(http(&desk, "GET /").starts_with("HTTP/1.1 404"));
    assert!(http(&desk, "POST /metrics").starts_with("HTTP/1.1 405"));
    let mode = fs::metadata(desk.path("s.sock.metrics")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn each_card_has_its_health_and_watchers_see_the_end() {
    let mut desk = Desk::with(&BOTH);
    // Once a call has looked at the token, it is known which slot holds it.
    desk.grpc().await.list_cards(v1::ListCardsRequest {}).await.unwrap();
    let text = http(&desk, "GET /metrics");
    let line = text.lines().find(|line| line.contains("card_usable{") && line.ends_with(" 1")).unwrap();
    let slot = line.split('"').nth(1).unwrap();
    let mut health = HealthClient::new(channel(&desk).await);
    let asked = |service: String| HealthCheckRequest { service };
    let answer = health.check(asked(format!("card/{slot}"))).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::Serving);
    let unknown = health.check(asked("card/nowhere".into())).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watched = health.watch(asked(String::new())).await.unwrap().into_inner();
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    terminate(&mut desk);
    assert_eq!(watched.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watched.message().await.unwrap().is_none(), "the stream goes on");
    assert!(desk.service().wait().unwrap().success());
}

fn terminate(desk: &mut Desk) {
    let id = desk.service().id().to_string();
    desk.tool("kill", &["-TERM", &id]);
}

#[test]
fn wrong_pins_are_limited_for_a_card() {
    let desk = Desk::configured(&BOTH, "[limits]\nwrong_pins_per_card = 2\n");
    let reason_with = |pin| json(&desk.sign("prescription.xml", pin))["error"].clone();
    assert_eq!(reason_with("00000000")["reason"], "PIN_WRONG");
    assert!(desk.sign("prescription.xml", PIN).status.success());
    assert_eq!(reason_with("00000000")["reason"], "PIN_WRONG");
    assert_eq!(reason_with("00000001")["reason"], "PIN_WRONG");
    let refused = reason_with(PIN);
    assert_eq!(refused["reason"], "PIN_RATE_LIMITED");
    let wait: u64 = refused["metadata"]["retry_seconds"].as_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&wait), "{wait}");
}

#[test]
fn wrong_pins_are_limited_for_a_client() {
    let both = format!(
        "{ALL}[clients.other]\ncertificates = ['subject:CN=other']\ncalls = ['*']\ncards = ['*']\n[limits]\n\
         wrong_pins_per_client = 1\n"
    );
    let desk = Desk::on_network(&BOTH, &both);
    further_client(&desk, "other");
    let wrong = crate::network::sign_with(&desk, "ward", "00000000", &[]);
    assert_eq!(reason(&wrong), "PIN_WRONG");
    assert_eq!(reason(&sign(&desk, "ward", &[])), "PIN_RATE_LIMITED");
    assert_eq!(reason(&sign(&desk, "other", &[])), "");
}

/// A conversation about a batch, over TLS, that has begun.
struct Conversation {
    ask: mpsc::Sender<v1::BatchRequest>,
    answers: tonic::Streaming<v1::BatchAnswer>,
    job: String,
}

impl Conversation {
    async fn begin(desk: &Desk) -> Conversation {
        let (ask, asked) = mpsc::channel(8);
        let begin = batch_request::Step::Begin(v1::BatchBegin::default());
        ask.send(v1::BatchRequest { step: Some(begin) }).await.unwrap();
        let client = v1::signer_service_client::SignerServiceClient::new(tls_channel(desk, "ward").await);
        let answers = { client }.sign_batch(ReceiverStream::new(asked)).await.unwrap().into_inner();
        let mut conversation = Conversation { ask, answers, job: String::new() };
        let Some(batch_answer::Step::Started(started)) = conversation.next().await else {
            panic!("not started")
        };
        conversation.job = started.job_code;
        conversation
    }

    async fn next(&mut self) -> Option<batch_answer::Step> {
        self.answers.message().await.unwrap().and_then(|answer| answer.step)
    }

    async fn say(&self, step: batch_request::Step) {
        self.ask.send(v1::BatchRequest { step: Some(step) }).await.unwrap();
    }

    async fn document(&self, number: u32) {
        let no_card = v1::NoInsuranceCard { reason: "the test has no card".into() };
        let document = v1::BatchDocument {
            number,
            prescription: fs::read(fixture("prescription.xml")).unwrap(),
            insurance_check: Some(v1::batch_document::InsuranceCheck::NoCard(no_card)),
        };
        self.say(batch_request::Step::Document(document)).await;
    }
}

#[tokio::test]
async fn a_batch_that_was_accepted_is_finished_although_the_service_was_asked_to_stop() {
    let mut desk = Desk::on_network(&BOTH, ALL);
    let mut batch = Conversation::begin(&desk).await;
    batch.document(1).await;
    assert!(matches!(batch.next().await, Some(batch_answer::Step::PinWanted(_))));
    terminate(&mut desk);
    while UnixStream::connect(desk.path("s.sock")).is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let pin = v1::Pin { value: PIN.into(), last_try: false };
    batch.say(batch_request::Step::Pin(v1::BatchPin { job_code: batch.job.clone(), pin: Some(pin) })).await;
    batch.document(2).await;
    batch.say(batch_request::Step::Complete(v1::BatchComplete {})).await;
    let mut signed = 0;
    let end = loop {
        match batch.next().await.unwrap() {
            batch_answer::Step::Item(item) => {
                assert!(matches!(item.outcome, Some(v1::batch_item::Outcome::Signed(_))), "{item:?}");
                signed += 1;
            }
            batch_answer::Step::End(end) => break end,
            // SoftHSM takes one PIN for all; another module may ask again.
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((signed, end.signed), (2, 2));
    drop(batch);
    assert!(desk.service().wait().unwrap().success());
    assert!(desk.log().contains("stopped"));
}

#[tokio::test]
async fn a_call_too_many_is_refused_and_the_next_is_not() {
    let desk = Desk::on_network(&BOTH, &format!("{ALL}[limits]\ncalls = 1\n"));
    let batch = Conversation::begin(&desk).await;
    let mut signer = desk.grpc().await;
    let refused = signer.list_cards(v1::ListCardsRequest {}).await.unwrap_err();
    assert_eq!((refused.code(), refusal(&refused).0.as_str()), (Code::ResourceExhausted, "BUSY"));
    drop(batch);
    while signer.list_cards(v1::ListCardsRequest {}).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
