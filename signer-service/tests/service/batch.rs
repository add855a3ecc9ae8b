//! Batches on a soft token: order, one PIN, refusals in between, taking up again, and everything that stops one.

use std::{collections::HashMap, fs};

use proto::v1::{
    self, BatchAnswer, BatchEnd, BatchItem, BatchRequest, BatchStarted, batch_answer::Step as Answer,
    batch_document::InsuranceCheck, batch_item::Outcome, batch_request::Step,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::support::{BOTH, Desk, PIN, fixture, json, prescriptions};

/// A conversation with the service.
struct Talk {
    say: mpsc::Sender<BatchRequest>,
    answers: Streaming<BatchAnswer>,
    started: BatchStarted,
}

impl Talk {
    async fn begin(desk: &Desk, batch_id: &str) -> Talk {
        let (say, said) = mpsc::channel(64);
        let begin = v1::BatchBegin { batch_id: batch_id.into(), ..Default::default() };
        say.send(BatchRequest { step: Some(Step::Begin(begin)) }).await.unwrap();
        let mut answers = desk.grpc().await.sign_batch(ReceiverStream::new(said)).await.unwrap().into_inner();
        let Some(Answer::Started(started)) = answers.message().await.unwrap().unwrap().step else { panic!() };
        Talk { say, answers, started }
    }

    async fn say(&self, step: Step) {
        self.say.send(BatchRequest { step: Some(step) }).await.unwrap();
    }

    async fn document(&self, number: u32, content: &[u8]) {
        let no_card = v1::NoInsuranceCard { reason: "the test has none".into() };
        let document = v1::BatchDocument {
            number,
            prescription: content.to_vec(),
            insurance_check: Some(InsuranceCheck::NoCard(no_card)),
        };
        self.say(Step::Document(document)).await;
    }

    async fn complete(&self) {
        self.say(Step::Complete(v1::BatchComplete {})).await;
    }

    async fn pin(&self, job_code: &str, pin: &str) {
        let pin = Some(v1::Pin { value: pin.into(), last_try: false });
        self.say(Step::Pin(v1::BatchPin { job_code: job_code.into(), pin })).await;
    }

    async fn next(&mut self) -> Answer {
        self.answers.message().await.unwrap().unwrap().step.unwrap()
    }

    /// Answers the question for a PIN, if it comes, and reads to the end.
    async fn finish(&mut self, pin: &str) -> (Vec<BatchItem>, BatchEnd) {
        let mut items = Vec::new();
        loop {
            match self.next().await {
                Answer::PinWanted(wanted) => self.pin(&wanted.job_code, pin).await,
                Answer::Item(item) => items.push(item),
                Answer::End(end) => return (items, end),
                Answer::Started(_) => panic!("started twice"),
            }
        }
    }
}

fn prescription() -> String {
    fs::read_to_string(fixture("prescription.xml")).unwrap()
}

fn signed(item: &BatchItem) -> &v1::SignPrescriptionResponse {
    match &item.outcome {
        Some(Outcome::Signed(answer)) => answer,
        other => panic!("not signed: {other:?}"),
    }
}

fn stopped(end: &BatchEnd) -> &str {
    end.stopped.as_ref().map_or("", |stopped| stopped.reason.as_str())
}

#[test]
fn a_folder_is_signed_in_order_with_one_pin_and_again_with_none() {
    let desk = Desk::with(&BOTH);
    fs::create_dir(desk.path("in")).unwrap();
    for (number, content) in prescriptions(20).into_iter().enumerate() {
        fs::write(desk.path(&format!("in/{number:02}.xml")), content).unwrap();
    }
    // Two that must not be signed, in the middle.
    fs::write(desk.path("in/05.xml"), prescription().replace("X110400001", "X110400002")).unwrap();
    fs::write(desk.path("in/11.xml"), "<Bundle>").unwrap();
    let batch = |pin: &str| {
        let mut sign =
            desk.client_command(&["sign-batch", "--json", "--batch-id", "ward-7", "--no-card", "none"]);
        sign.arg(desk.path("in")).arg("--out").arg(desk.path("out"));
        sign.args(["--pin-env", pin]).env("TEST_PIN", PIN).output().unwrap()
    };
    let output = batch("TEST_PIN");
    let said = json(&output);
    assert_eq!(
        (&said["signed"], &said["refused"], &said["left"]),
        (&18.into(), &2.into(), &0.into()),
        "{said}"
    );
    assert_eq!(output.status.code(), Some(3));
    let items = said["items"].as_array().unwrap();
    let in_order = |pair: &[serde_json::Value]| pair[0]["file"].as_str() < pair[1]["file"].as_str();
    assert!(items.len() == 20 && items.windows(2).all(in_order), "{items:?}");
    assert_eq!(items[5]["refused"]["reason"], "RULES_BROKEN");
    assert_eq!(items[11]["refused"]["reason"], "MALFORMED_PRESCRIPTION");
    let mut signatures = HashMap::new();
    for number in (0..20).filter(|number| ![5, 11].contains(number)) {
        let signature = fs::read(desk.path(&format!("out/{number:02}.p7s"))).unwrap();
        fs::write(desk.path("out.p7s"), &signature).unwrap();
        let content = desk.openssl_content(&["-cades"]);
        assert_eq!(content, fs::read(desk.path(&format!("in/{number:02}.xml"))).unwrap());
        signatures.insert(number, signature);
    }
    // Taken up again, nobody asks for a PIN, because nothing is left that could be signed.
    let said = json(&batch("NOT_SET"));
    assert_eq!(
        (&said["signed"], &said["replayed"], &said["refused"]),
        (&0.into(), &18.into(), &2.into()),
        "{said}"
    );
    for (number, signature) in signatures {
        assert_eq!(fs::read(desk.path(&format!("out/{number:02}.p7s"))).unwrap(), signature);
    }
}

#[tokio::test]
async fn a_killed_batch_is_taken_up_where_it_broke_off() {
    let mut desk = Desk::with(&BOTH);
    let contents = prescriptions(12);
    let mut talk = Talk::begin(&desk, "b").await;
    for (number, content) in (1..).zip(&contents) {
        talk.document(number, content).await;
    }
    let mut first = Vec::new();
    while first.len() < 3 {
        match talk.next().await {
            Answer::PinWanted(wanted) => talk.pin(&wanted.job_code, PIN).await,
            Answer::Item(item) => first.push(item),
            other => panic!("{other:?}"),
        }
    }
    desk.kill_and_start();
    let mut talk = Talk::begin(&desk, "b").await;
    let before = talk.started.signed_before;
    assert!((3..=12).contains(&before), "{before}");
    for (number, content) in (1..).zip(&contents) {
        talk.document(number, content).await;
    }
    talk.complete().await;
    let (items, end) = talk.finish(PIN).await;
    assert_eq!((end.replayed, end.signed, stopped(&end)), (before, 12 - before, ""));
    for (again, item) in first.iter().zip(&items) {
        assert_eq!(signed(again).cms, signed(item).cms);
    }
    let records = desk.records().await;
    let signatures =
        records.iter().filter(|(_, outcome, remark)| outcome == "OK" && !remark.contains("answered again"));
    assert_eq!(signatures.count(), 12, "{records:?}");
}

#[tokio::test]
async fn a_batch_names_its_job_and_takes_a_pin_for_no_other() {
    let desk = Desk::with(&BOTH);
    let mut talk = Talk::begin(&desk, "").await;
    let code = talk.started.job_code.clone();
    let form = |(at, byte): (usize, u8)| match at {
        0..3 => byte.is_ascii_uppercase(),
        3 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    assert!(code.len() == 7 && code.bytes().enumerate().all(form), "{code}");
    talk.document(1, prescription().as_bytes()).await;
    let Answer::PinWanted(wanted) = talk.next().await else { panic!() };
    assert_eq!((wanted.job_code.as_str(), wanted.number), (code.as_str(), 1));
    talk.pin("AAA-000", PIN).await;
    let (items, end) = talk.finish(PIN).await;
    assert_eq!((items.len(), end.outstanding, stopped(&end)), (0, 1, "BAD_REQUEST"));
    assert!(desk.log().contains(&code));
}

#[tokio::test]
async fn a_wrong_pin_stops_the_batch_and_leaves_it_to_be_taken_up() {
    let desk = Desk::with(&BOTH);
    let contents = prescriptions(3);
    let mut talk = Talk::begin(&desk, "b").await;
    for (number, content) in (1..).zip(&contents) {
        talk.document(number, content).await;
    }
    let (items, end) = talk.finish("99999999").await;
    assert_eq!((items.len(), end.outstanding, stopped(&end)), (0, 3, "PIN_WRONG"));
    let mut talk = Talk::begin(&desk, "b").await;
    for (number, content) in (1..).zip(&contents) {
        talk.document(number, content).await;
    }
    talk.complete().await;
    let (items, end) = talk.finish(PIN).await;
    assert_eq!((items.len(), end.signed, stopped(&end)), (3, 3, ""));
    let wrong = desk.records().await.into_iter().filter(|(_, outcome, _)| outcome == "PIN_WRONG");
    assert_eq!(wrong.count(), 1);
}

#[tokio::test]
async fn a_cancelled_batch_signs_nothing_further() {
    let desk = Desk::with(&BOTH);
    let mut talk = Talk::begin(&desk, "").await;
    for (number, content) in (1..).zip(prescriptions(5)) {
        talk.document(number, &content).await;
    }
    let Answer::PinWanted(_) = talk.next().await else { panic!() };
    talk.say(Step::Cancel(v1::BatchCancel {})).await;
    let (items, end) = talk.finish(PIN).await;
    assert_eq!((items.len(), end.outstanding, stopped(&end)), (0, 5, "BATCH_CANCELLED"));
    assert_eq!(desk.records().await.len(), 0);
}

#[tokio::test]
async fn a_caller_who_leaves_gets_no_further_signatures() {
    let desk = Desk::with(&BOTH);
    let contents = prescriptions(16);
    let mut talk = Talk::begin(&desk, "b").await;
    for (number, content) in (1..).zip(&contents) {
        talk.document(number, content).await;
    }
    let Answer::PinWanted(wanted) = talk.next().await else { panic!() };
    drop(talk.answers);
    let _ = talk.say.send(BatchRequest { step: None }).await;
    let ended = || desk.log().contains("batch ended");
    for _ in 0..1500 {
        if ended() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(ended(), "{}", desk.log());
    assert_eq!(wanted.number, 1);
    assert_eq!(desk.records().await.len(), 0);
}

#[tokio::test]
async fn more_documents_than_the_window_and_numbers_out_of_order_are_refused() {
    let desk = Desk::with(&BOTH);
    let mut talk = Talk::begin(&desk, "").await;
    let content = prescription();
    // Without a PIN nothing leaves the window, whatever stands between the stages.
    for number in 1..=talk.started.window * 3 {
        talk.document(number, content.as_bytes()).await;
    }
    let end = loop {
        match talk.next().await {
            Answer::PinWanted(_) => {}
            Answer::End(end) => break end,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((stopped(&end), end.signed), ("BAD_REQUEST", 0));

    for (first, second) in [(2, 1), (1, 1), (0, 1)] {
        let mut talk = Talk::begin(&desk, "").await;
        talk.document(first, content.as_bytes()).await;
        talk.document(second, content.as_bytes()).await;
        let (_, end) = talk.finish(PIN).await;
        assert_eq!(stopped(&end), "BAD_REQUEST", "{first}, {second}");
    }
}

#[tokio::test]
async fn two_attempts_at_the_same_batch_do_not_run_at_once() {
    let desk = Desk::with(&BOTH);
    let _first = Talk::begin(&desk, "b").await;
    let begin = v1::BatchBegin { batch_id: "b".into(), ..Default::default() };
    let second = tokio_stream::once(BatchRequest { step: Some(Step::Begin(begin)) });
    let mut answers = desk.grpc().await.sign_batch(second).await.unwrap().into_inner();
    let refused = answers.message().await.unwrap_err();
    assert_eq!(crate::support::refusal(&refused).0, "KEY_AT_WORK");
}
