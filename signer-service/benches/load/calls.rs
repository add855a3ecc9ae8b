//! Clients of a service: each with a connection of its own, one call after the other, or one batch.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use client::{
    Client, Credentials,
    batch::{Batch, Event},
    proto::v1::{
        self, batch_document::InsuranceCheck as BatchCheck, batch_item::Outcome,
        sign_prescription_request::InsuranceCheck,
    },
};

use crate::figures::Window;

/// Signatures that OpenSSL judges of each window.
const SAMPLE: usize = 3;

/// A window and everything that was signed in it.
#[derive(Default)]
pub(crate) struct Signed {
    pub(crate) window: Window,
    /// Document and signature.
    pub(crate) answers: Vec<(Vec<u8>, v1::SignPrescriptionResponse)>,
}

/// What a client signs, and with what.
#[derive(Clone)]
pub(crate) struct Work {
    /// The service.
    pub(crate) address: String,
    /// The prescription that all documents are made of.
    pub(crate) prescription: String,
    /// The card.
    pub(crate) card: v1::CardSelector,
    /// Its PIN.
    pub(crate) pin: String,
    /// Each document has a key of its own.
    pub(crate) keys: bool,
}

impl Work {
    /// A prescription that no other document equals.
    fn document(&self, client: usize, number: usize) -> Vec<u8> {
        let mark = format!("<!-- {client}/{number} --><entry>");
        self.prescription.replacen("<entry>", &mark, 1).into_bytes()
    }

    fn pin(&self) -> Option<v1::Pin> {
        Some(v1::Pin { value: self.pin.clone(), last_try: false })
    }

    async fn connect(&self) -> Client {
        client::connect(&self.address, Credentials::default()).await.expect("the service listens")
    }

    /// Activates a comfort session and answers its user.
    async fn activate(&self, client: &mut Client) -> String {
        let user_id = uuid::Uuid::new_v4().to_string();
        let request = v1::ActivateComfortSignatureRequest {
            card: Some(self.card.clone()),
            pin: self.pin(),
            user_id: user_id.clone(),
            ..Default::default()
        };
        client.activate_comfort_signature(request).await.expect("a comfort session");
        user_id
    }

    /// So many clients at once, each one SignPrescription after the other in a comfort session. A session has 250
    /// signatures; the PIN for the next one is within the window.
    pub(crate) async fn prescriptions(&self, clients: usize, length: Duration) -> Signed {
        let mut ready = Vec::new();
        for number in 0..clients {
            let mut client = self.connect().await;
            let user_id = self.activate(&mut client).await;
            ready.push((number, client, user_id));
        }
        let running: Vec<_> = ready
            .into_iter()
            .map(|(number, client, user)| {
                let work = self.clone();
                tokio::spawn(async move { work.prescriptions_of(number, client, user, length).await })
            })
            .collect();
        joined(running).await
    }

    async fn prescriptions_of(
        &self,
        number: usize,
        mut client: Client,
        mut user: String,
        length: Duration,
    ) -> Signed {
        let mut signed = Signed::default();
        let begun = Instant::now();
        for count in 0.. {
            if begun.elapsed() >= length {
                break;
            }
            let prescription = self.document(number, count);
            let request = v1::SignPrescriptionRequest {
                prescription: prescription.clone(),
                card: Some(self.card.clone()),
                insurance_check: Some(InsuranceCheck::NoCard(no_card())),
                comfort_user_id: user.clone(),
                idempotency_key: if self.keys { uuid::Uuid::new_v4().to_string() } else { String::new() },
                ..Default::default()
            };
            let this = Instant::now();
            let answer = client.sign_prescription(request).await.expect("a signature").into_inner();
            signed.window.latencies.push(this.elapsed());
            let left = answer.comfort_session.as_ref().map_or(0, |session| session.remaining_by_policy);
            signed.window.add_stages(&answer.times);
            signed.answers.push((prescription, answer));
            if left == 0 {
                user = self.activate(&mut client).await;
            }
        }
        signed.window.elapsed = begun.elapsed();
        signed
    }

    /// So many batches at once, each on a connection of its own, with documents until the time is up.
    pub(crate) async fn batches(&self, clients: usize, length: Duration) -> Signed {
        let mut ready = Vec::new();
        for number in 0..clients {
            ready.push((number, self.connect().await));
        }
        let running: Vec<_> = ready
            .into_iter()
            .map(|(number, client)| {
                let work = self.clone();
                tokio::spawn(async move { work.batch(number, client, length).await })
            })
            .collect();
        joined(running).await
    }

    async fn batch(&self, number: usize, mut client: Client, length: Duration) -> Signed {
        let begin = v1::BatchBegin { card: Some(self.card.clone()), ..Default::default() };
        let mut signed = Signed::default();
        let mut sent: Vec<(Vec<u8>, Instant)> = Vec::new();
        let begun = Instant::now();
        let mut batch = Batch::begin(&mut client, begin).await.expect("a batch");
        loop {
            match batch.next().await.expect("an answer") {
                Event::Room if begun.elapsed() >= length => batch.complete().await,
                Event::Room => {
                    let prescription = self.document(number, sent.len());
                    sent.push((prescription.clone(), Instant::now()));
                    batch
                        .document(v1::BatchDocument {
                            number: sent.len() as u32,
                            prescription,
                            insurance_check: Some(BatchCheck::NoCard(no_card())),
                        })
                        .await;
                }
                Event::PinWanted(wanted) => batch.pin(&wanted, self.pin()).await,
                Event::Item(item) => {
                    let (prescription, at) = &sent[item.number as usize - 1];
                    let Some(Outcome::Signed(answer)) = item.outcome else {
                        panic!("refused: {:?}", item.outcome)
                    };
                    signed.window.latencies.push(at.elapsed());
                    signed.window.add_stages(&answer.times);
                    signed.answers.push((prescription.clone(), answer));
                }
                Event::End(end) => {
                    assert_eq!((end.signed as usize, end.stopped), (sent.len(), None));
                    break;
                }
            }
        }
        signed.window.elapsed = begun.elapsed();
        signed
    }
}

async fn joined(running: Vec<tokio::task::JoinHandle<Signed>>) -> Signed {
    let mut all = Signed::default();
    for one in running {
        let one = one.await.unwrap();
        all.window.join(one.window);
        all.answers.extend(one.answers);
    }
    all
}

fn no_card() -> v1::NoInsuranceCard {
    v1::NoInsuranceCard { reason: "the load program has none".into() }
}

impl Signed {
    /// Has every signature judged by the service at `address`, some by OpenSSL, and answers the window.
    pub(crate) async fn checked(self, address: &str, anchors: &std::path::Path) -> Window {
        let mut judge = client::connect(address, Credentials::default()).await.unwrap();
        for (position, (document, answer)) in self.answers.iter().enumerate() {
            let request = v1::VerifySignatureRequest { cms: answer.cms.clone(), ..Default::default() };
            let verdict = judge.verify_signature(request).await.unwrap().into_inner();
            assert_eq!(verdict.verdict(), v1::Verdict::Valid, "{:?}", verdict.reasons);
            assert!(verdict.content == *document, "the signature is over other bytes");
            if position < SAMPLE {
                openssl(&answer.cms, document, anchors);
            }
        }
        self.window
    }
}

fn openssl(cms: &[u8], document: &[u8], anchors: &std::path::Path) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cms");
    std::fs::write(&file, cms).unwrap();
    let mut verify = Command::new("openssl");
    verify.args(["cms", "-verify", "-cades", "-binary", "-purpose", "any", "-inform", "DER", "-in"]);
    let output = verify.arg(file).arg("-CAfile").arg(anchors).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success(), "OpenSSL: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == document, "OpenSSL found other bytes");
}
