//! Services that die or run out of disk in the middle of their work: nothing is signed twice for one key, nothing that
//! was handed out is lost, and the audit trail verifies.

use std::{
    collections::HashMap,
    fs,
    io::Read,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use client::{
    Credentials,
    batch::{Batch, Event},
    proto::v1::{self, batch_document::InsuranceCheck, batch_item::Outcome},
};

use crate::support::{BOTH, Desk, PIN, json, prescriptions};

const BATCHES: usize = 4;
const DOCUMENTS: usize = 250;
const KILLS_OF_A_BATCH: usize = 3;

/// A batch until its end or until the service is gone: the signatures that came, and whether it came to its end.
async fn sign_batch(desk: &Desk, id: &str, contents: &[Vec<u8>]) -> (Vec<(usize, Vec<u8>)>, bool) {
    let mut signatures = Vec::new();
    let Ok(mut client) = client::connect(&desk.address(), Credentials::default()).await else {
        return (signatures, false);
    };
    let begin = v1::BatchBegin { batch_id: id.into(), ..Default::default() };
    let Ok(mut batch) = Batch::begin(&mut client, begin).await else { return (signatures, false) };
    let mut documents = contents.iter().enumerate();
    while let Ok(event) = batch.next().await {
        match event {
            Event::Room => match documents.next() {
                Some((index, content)) => batch.document(document(index + 1, content)).await,
                None => batch.complete().await,
            },
            Event::PinWanted(wanted) => {
                batch.pin(&wanted, Some(v1::Pin { value: PIN.into(), last_try: false })).await;
            }
            Event::Item(item) => {
                let Some(Outcome::Signed(answer)) = item.outcome else { panic!("{:?}", item.outcome) };
                signatures.push((item.number as usize, answer.cms));
            }
            Event::End(end) => return (signatures, end.stopped.is_none()),
        }
    }
    (signatures, false)
}

fn document(number: usize, content: &[u8]) -> v1::BatchDocument {
    let no_card = v1::NoInsuranceCard { reason: "the test has none".into() };
    v1::BatchDocument {
        number: u32::try_from(number).unwrap(),
        prescription: content.to_vec(),
        insurance_check: Some(InsuranceCheck::NoCard(no_card)),
    }
}

/// How often each document of a batch was signed, as the records say: by the beginning of their remark.
async fn signed(desk: &Desk) -> HashMap<String, u32> {
    let mut signed = HashMap::new();
    for (operation, outcome, remark) in desk.records().await {
        if operation == "SignBatch" && outcome == "OK" && !remark.contains("answered again") {
            let document = remark.split(", job").next().unwrap().to_owned();
            *signed.entry(document).or_default() += 1;
        }
    }
    signed
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_signatures_survive_kills_at_random_moments() {
    let mut desk = Desk::with(&BOTH);
    let mut handed_out: HashMap<(usize, usize), Vec<u8>> = HashMap::new();
    let mut moments = Vec::new();
    for batch in 0..BATCHES {
        let (id, contents) = (format!("big-{batch}"), prescriptions(DOCUMENTS));
        for attempt in 0.. {
            let killer = (attempt < KILLS_OF_A_BATCH).then(|| {
                let (process, moment) = (desk.service().id().to_string(), random_milliseconds());
                moments.push(moment);
                std::thread::spawn(move || {
                    std::thread::sleep(moment);
                    Command::new("kill").args(["-9", &process]).status().unwrap();
                })
            });
            let (signatures, ended) = sign_batch(&desk, &id, &contents).await;
            for (number, cms) in signatures {
                let earlier = handed_out.insert((batch, number), cms.clone());
                assert!(
                    earlier.is_none_or(|earlier| earlier == cms),
                    "signed twice; killed after {moments:?}"
                );
            }
            match killer {
                Some(killer) => {
                    killer.join().unwrap();
                    desk.kill_and_start();
                }
                None => {
                    assert!(ended, "not killed, and yet not at its end");
                    break;
                }
            }
        }
    }
    assert_eq!(handed_out.len(), BATCHES * DOCUMENTS);
    let signed = signed(&desk).await;
    assert_eq!(signed.len(), BATCHES * DOCUMENTS);
    assert!(signed.values().all(|times| *times == 1), "recorded twice; killed after {moments:?}");
    desk.verify_audit();
}

/// From the first document to far into a batch.
fn random_milliseconds() -> Duration {
    let mut random = [0; 2];
    getrandom::fill(&mut random).unwrap();
    Duration::from_millis(20 + u64::from(u16::from_be_bytes(random)) % 700)
}

#[tokio::test]
async fn a_full_disk_refuses_and_what_was_handed_out_before_is_kept() {
    let mut desk = Desk::with(&BOTH);
    desk.stop();
    // No file may grow beyond this many blocks of 512 bytes: the system's answer is EFBIG instead of ENOSPC, for a write
    // in the middle of SQLite's work just the same. The log goes down a pipe, which is no file.
    let mut full = Limited::start(&desk, 600);
    let (mut given, mut refused) = (HashMap::new(), Vec::new());
    for number in 0..400 {
        let key = format!("key-{number}");
        let output = desk.sign_with_key("prescription.xml", PIN, &key);
        let signature = fs::read(desk.path("out.p7s")).ok();
        assert_eq!(output.status.success(), signature.is_some());
        match signature {
            Some(signature) => drop(given.insert(key, signature)),
            None => {
                assert_eq!(json(&output)["error"]["reason"], "AUDIT_FAILED", "{}", json(&output));
                refused.push(key);
            }
        }
        if !refused.is_empty() {
            break;
        }
    }
    assert!(given.len() > 1 && refused.len() == 1, "{} given, {} refused", given.len(), refused.len());
    full.stop();
    desk.kill_and_start();
    let again = |key: &str| {
        let output = desk.sign_with_key("prescription.xml", PIN, key);
        assert!(output.status.success(), "{}", json(&output));
        (json(&output)["replayed"] == true, fs::read(desk.path("out.p7s")).unwrap())
    };
    for (key, signature) in &given {
        assert_eq!(again(key), (true, signature.clone()), "{key} was handed out");
    }
    for key in &refused {
        assert!(!again(key).0, "{key} was refused, so nothing is kept for it");
    }
    let fresh = |(operation, outcome, remark): &(String, String, String)| {
        operation == "SignPrescription" && outcome == "OK" && !remark.contains("answered again")
    };
    let records = desk.records().await;
    assert_eq!(records.iter().filter(|record| fresh(record)).count(), given.len() + refused.len());
    desk.verify_audit();
}

/// The service with a limit for the size of its files; it ends with this value.
struct Limited(Child);

impl Limited {
    fn start(desk: &Desk, blocks: u32) -> Limited {
        let serve = desk.serve_command(&[]);
        let mut shell = Command::new("sh");
        // Whoever ignores the signal gets the error.
        shell.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"")).arg("sh");
        shell.arg(serve.get_program()).args(serve.get_args());
        for (name, value) in serve.get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        let mut service = Limited(shell.stderr(Stdio::piped()).spawn().unwrap());
        let mut log = service.0.stderr.take().unwrap();
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        let patience = Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(desk.path("s.sock")).is_err() {
            assert!(
                Instant::now() < patience && service.0.try_wait().unwrap().is_none(),
                "it does not listen"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        service
    }

    fn stop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.stop();
    }
}
