//! One document on its way to a signature: check and compare, the card's turn, verify and record - in this order, so
//! that a PIN is spent only on a document that may be signed, and nothing leaves unverified or unrecorded.
//!
//! SignPrescription goes the whole way at once; SignBatch has several documents on it, one behind the other.

use std::{sync::Arc, time::Instant};

use proto::v1::{self, sign_prescription_request::InsuranceCheck};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    Caller, Chosen, Origin, Proof, Refusal, State, blocking, card_use, check, convert,
    evidence::{Evidence, evidence},
    once,
};
use crate::{
    audit::{Claim, Entry, results::Taken},
    certificate::Certificate,
    comfort::Session,
    prescription::{self, Finding, Prescription},
    signature::{self, Signed},
    times::Steps,
    token::{Lease, PinEntry, Purpose, Turn, UnlockedKey},
};

/// Documents up to this size, in bytes, are read where they are: that takes less time than handing them to another thread
/// is worth. Prescriptions have about 10 kB.
const SHORT: usize = 32 * 1024;

/// A document that is to be signed, and what is known of it so far.
pub(super) struct Document {
    content: Arc<Vec<u8>>,
    /// Once it was read.
    prescription: Option<Arc<Prescription>>,
    hash: [u8; 32],
    check: InsuranceCheck,
    entry: Entry,
    steps: Steps,
    claim: Option<Claim>,
    findings: Vec<v1::Finding>,
}

/// A document that may be signed with a certificate.
pub(super) struct Ready {
    document: Document,
    chosen: Chosen,
    evidence: Evidence,
    /// Once the card has signed.
    made: Option<Made>,
}

/// What the card made.
enum Made {
    /// Nobody looked at it yet.
    Cms(Vec<u8>),
    /// It verifies.
    Verified(Signed),
}

/// When a signature is verified.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verify {
    /// By the thread that had the card, as soon as the card is free again.
    AtOnce,
    /// Later, while the card signs the next document.
    Later,
}

/// What lets the card sign.
#[derive(Clone)]
pub(super) enum Authority {
    /// A PIN for this signature.
    Pin(PinEntry),
    /// A PIN for this signature and those after it: the answer is a lease.
    PinKept(PinEntry),
    /// The PIN of an earlier one.
    Lease(Lease),
    /// The PIN of a comfort session.
    Comfort(Arc<Session>),
}

impl Document {
    /// Looks at the fields of a request.
    ///
    /// # Errors
    /// A field is missing or wrong; that is recorded.
    pub(super) async fn read(
        state: &State,
        content: Vec<u8>,
        check: Option<InsuranceCheck>,
        entry: Entry,
    ) -> Result<Document, Refusal> {
        let hash: [u8; 32] = Sha256::digest(&content).into();
        let entry = Entry { document_sha256: Some(hash), ..entry };
        let check = match read_check(content.len(), check, state.config.limits.prescription_bytes) {
            Ok(check) => check,
            Err(refusal) => {
                super::record_refusal(state, entry, &refusal).await;
                return Err(refusal);
            }
        };
        Ok(Document {
            content: Arc::new(content),
            prescription: None,
            hash,
            check,
            entry,
            steps: Steps::start(),
            claim: None,
            findings: Vec::new(),
        })
    }

    /// Takes a claimed key for this document; answers what it was given before.
    pub(super) async fn take_key(
        &mut self,
        state: &State,
        mut claim: Claim,
    ) -> Result<Option<v1::SignPrescriptionResponse>, Refusal> {
        let taken = state.audit.take_key(&mut claim, &self.hash, OffsetDateTime::now_utc()).await;
        match taken.map_err(Refusal::Audit)? {
            Taken::New => {}
            Taken::Interrupted => self.remark("an earlier attempt with this key was interrupted".to_owned()),
            Taken::Answered(kept) => {
                let answer = once::with_document(&kept, &self.content);
                let answer = answer.ok_or(Refusal::Internal("a kept answer is damaged"))?;
                self.remark(format!("answered again: record {}", answer.audit_sequence));
                let recorded = state.audit.record(&self.entry, OffsetDateTime::now_utc()).await;
                recorded.map_err(Refusal::Audit)?;
                return Ok(Some(answer));
            }
            Taken::OtherDocument => return Err(Refusal::KeyReused),
        }
        self.claim = Some(claim);
        Ok(None)
    }

    /// Everything that can be known without the card: rules, insurance card.
    pub(super) async fn examine(&mut self, state: &Arc<State>, origin: &Origin) -> Result<(), Refusal> {
        let (prescription, findings) = rules(Arc::clone(&self.content)).await?;
        self.entry.patient = prescription.insured_id().map(|insured| state.pseudonyms.name(insured));
        check::enforce(&findings, &state.config.rules)?;
        self.findings = check::judge(&findings, &state.config.rules);
        self.steps.done("rules");
        let compared = compare(state, origin, &self.check, Arc::clone(&prescription)).await?;
        self.prescription = Some(prescription);
        self.findings.extend(check::judge(&compared, &state.config.rules));
        self.remark(match &self.check {
            InsuranceCheck::InsuranceCard(_) => "insurance card: compared".to_owned(),
            InsuranceCheck::NoCard(statement) => format!("insurance card: none: {}", statement.reason),
        });
        check::switched_off(&state.config.rules).into_iter().for_each(|off| self.remark(off));
        self.steps.done("insurance card");
        Ok(())
    }

    /// What is known of the certificate that is going to sign, and whether its holder may sign this document.
    pub(super) async fn examine_signer(
        &mut self,
        state: &Arc<State>,
        chosen: &Chosen,
    ) -> Result<Evidence, Refusal> {
        let certificate = &chosen.certificate.certificate;
        chosen.name_in(&mut self.entry, state);
        self.steps.done("find key");
        let prescription = self.prescription.take().ok_or(Refusal::Internal("the rules come first"))?;
        let findings = prescription.check_profession(&certificate.professions);
        let findings = Vec::from_iter(findings);
        check::enforce(&findings, &state.config.rules)?;
        self.findings.extend(check::judge(&findings, &state.config.rules));
        let evidence = evidence(state, &certificate.der).await?;
        self.steps.done("certificate status");
        Ok(evidence)
    }

    /// Puts document, certificate and evidence together.
    pub(super) fn ready(self, chosen: Chosen, evidence: Evidence) -> Ready {
        Ready { document: self, chosen, evidence, made: None }
    }

    /// Adds to what the record of this document says.
    pub(super) fn remark(&mut self, text: String) {
        let remarks = self.entry.remark.take();
        self.entry.remark = Some(remarks.map_or(text.clone(), |before| format!("{before}; {text}")));
    }

    /// Records that it was not signed, and gives its key free.
    pub(super) async fn refused(self, state: &State, refusal: &Refusal) {
        super::record_refusal(state, self.entry.clone(), refusal).await;
        self.abandoned(state).await;
    }

    /// Gives its key free: nobody asked the card.
    pub(super) async fn abandoned(self, state: &State) {
        let Some(claim) = self.claim else { return };
        if let Err(error) = state.audit.release_key(claim).await {
            tracing::error!(%error, "an idempotency key could not be given free");
        }
    }
}

impl Ready {
    /// The document, to be refused.
    pub(super) fn into_document(self) -> Document {
        self.document
    }

    /// The card's turn: PIN or lease, signing time, signature.
    pub(super) async fn sign(
        &mut self,
        state: &Arc<State>,
        caller: &Caller,
        authority: Authority,
        verify: Verify,
    ) -> Result<Option<Lease>, Refusal> {
        let (metrics, queue) = (&state.metrics, &self.chosen.queue);
        let turn = match authority {
            Authority::Pin(_) | Authority::PinKept(_) => {
                Turn::Alone(caller.turn(metrics, &self.chosen, queue.alone()).await?)
            }
            Authority::Lease(_) | Authority::Comfort(_) => {
                caller.turn(metrics, &self.chosen, queue.leased()).await?
            }
        };
        self.document.steps.done("wait for the card");
        let (content, chosen) = (Arc::clone(&self.document.content), self.chosen.clone());
        let (shared, client) = (Arc::clone(state), caller.client.clone());
        let with_pin = matches!(authority, Authority::Pin(_) | Authority::PinKept(_));
        let ocsp_response = self.evidence.response().map(<[u8]>::to_vec);
        let used = blocking(move || {
            let mut turn = turn;
            let mut steps = Steps::start();
            if with_pin {
                shared.pins.admit(&chosen.token, &client, Instant::now())?;
            }
            let mut key = key(&shared, &mut turn, &chosen, &authority)?;
            let lease = matches!(authority, Authority::PinKept(_)).then(|| key.lease());
            steps.done("PIN");
            let certificate = &chosen.certificate.certificate;
            let now = OffsetDateTime::now_utc();
            let cms = signature::sign(&mut key, certificate, &content, ocsp_response.as_deref(), now)?;
            steps.done("card signature");
            drop(key);
            drop(turn);
            steps.done("lock the card");
            let made = match verify {
                Verify::AtOnce => verified(&shared, cms, certificate, &content).map(Made::Verified),
                Verify::Later => Ok(Made::Cms(cms)),
            };
            if verify == Verify::AtOnce {
                steps.done("verification");
            }
            Ok::<_, Refusal>((made, lease, steps))
        });
        let used = used.await?;
        card_use::note(state, caller, &self.chosen, ("signature", with_pin), &used);
        let (made, lease, steps) = used?;
        let made = made?;
        self.document.steps.extend(steps);
        self.made = Some(made);
        Ok(lease)
    }

    /// Verifies the signature, if that was not done at once, and records it - or why it is none.
    pub(super) async fn finish(
        mut self,
        state: &Arc<State>,
    ) -> Result<v1::SignPrescriptionResponse, Refusal> {
        match self.finished(state).await {
            Ok(answer) => Ok(answer),
            Err(refusal) => {
                self.document.refused(state, &refusal).await;
                Err(refusal)
            }
        }
    }

    async fn finished(&mut self, state: &Arc<State>) -> Result<v1::SignPrescriptionResponse, Refusal> {
        let document = &mut self.document;
        let signed = match self.made.take().ok_or(Refusal::Internal("the card did not sign"))? {
            Made::Verified(signed) => signed,
            Made::Cms(cms) => {
                let (state, content) = (Arc::clone(state), Arc::clone(&document.content));
                let certificate = self.chosen.certificate.certificate.clone();
                let signed = blocking(move || verified(&state, cms, &certificate, &content)).await??;
                document.steps.done("verification");
                signed
            }
        };
        let (status, finding) = self.evidence.shown();
        document.findings.extend(finding);
        if signed.chain != cades::Chain::Ok {
            document.findings.push(convert::untrusted(&signed.chain));
        }
        let mut answer = v1::SignPrescriptionResponse {
            cms: signed.cms,
            signer: Some(convert::certificate(&self.chosen.certificate.certificate)),
            signing_time: Some(convert::timestamp(signed.signing_time)),
            findings: document.findings.clone(),
            times: convert::steps(&document.steps),
            algorithm: signature::algorithm_name(signed.algorithm).to_owned(),
            prescription_sha256: document.hash.to_vec(),
            audit_sequence: 0,
            certificate_status: Some(status),
            replayed: false,
            comfort_session: None,
        };
        if state.proof == Proof::Kept {
            answer.audit_sequence = record(state, document, &answer).await?;
            document.steps.done("record");
            answer.times = convert::steps(&document.steps);
        }
        state.metrics.steps(document.steps.list());
        Ok(answer)
    }
}

/// The key on the card, unlocked.
fn key<'a>(
    state: &'a State,
    turn: &'a mut Turn,
    chosen: &'a Chosen,
    authority: &'a Authority,
) -> Result<UnlockedKey<'a>, Refusal> {
    let key_label = state.config.signing.key_label.as_deref();
    let (module, choice, purpose) = (&state.module, chosen.choice(), Purpose::Signature);
    Ok(match (authority, turn) {
        (Authority::Pin(pin) | Authority::PinKept(pin), Turn::Alone(login)) => {
            module.unlock(login, &choice, key_label, pin, purpose)?
        }
        (Authority::Lease(lease), turn) => module.resume(turn, lease, &choice, key_label, purpose)?,
        (Authority::Comfort(session), turn) => {
            module.resume(turn, session.spend()?, &choice, key_label, purpose)?
        }
        (_, Turn::Beside(..)) => return Err(Refusal::Internal("a PIN needs the card alone")),
    })
}

async fn record(
    state: &State,
    document: &mut Document,
    answer: &v1::SignPrescriptionResponse,
) -> Result<u64, Refusal> {
    let now = OffsetDateTime::now_utc();
    let kept = match &document.claim {
        None => None,
        Some(_) => {
            let kept = once::without_document(answer.clone(), &document.content);
            Some(kept.ok_or(Refusal::Internal("the document is not in its signature"))?)
        }
    };
    let recorded = match document.claim.take().zip(kept) {
        None => state.audit.record(&document.entry, now).await,
        Some((claim, kept)) => {
            let numbered = move |sequence| once::numbered(kept.clone(), sequence);
            state.audit.record_answer(&document.entry, now, claim, numbered).await
        }
    };
    recorded.map_err(Refusal::Audit)
}

/// The signature, verified by the path that verifies those of others.
fn verified(
    state: &State,
    cms: Vec<u8>,
    certificate: &Certificate,
    content: &[u8],
) -> Result<Signed, Refusal> {
    let now = OffsetDateTime::now_utc();
    Ok(match state.proof {
        Proof::Kept => signature::self_check(cms, certificate, content, &state.anchors, now)?,
        Proof::LeftOut => Signed::unproven(cms, certificate)?,
    })
}

fn read_check(got: usize, check: Option<InsuranceCheck>, limit: usize) -> Result<InsuranceCheck, Refusal> {
    let refuse = |field, problem| Err(Refusal::BadRequest { field, problem });
    if got == 0 {
        return refuse("prescription", "is missing");
    }
    if got > limit {
        return Err(Refusal::TooLarge { limit, got });
    }
    let Some(check) = check else {
        return refuse("insurance_check", "choose insurance_card, or no_card with a reason");
    };
    if let InsuranceCheck::NoCard(statement) = &check {
        check_reason(&statement.reason)?;
    }
    Ok(check)
}

/// The reason goes into the audit trail, which holds no insurance number and no date of a patient.
fn check_reason(reason: &str) -> Result<(), Refusal> {
    let problem = if reason.trim().is_empty() {
        "say why there is no insurance card"
    } else if reason.chars().count() > 200 {
        "at most 200 characters"
    } else if reason.chars().any(|c| c.is_numeric() || c.is_control()) {
        "no digits: nothing that identifies a patient is recorded"
    } else {
        return Ok(());
    };
    Err(Refusal::BadRequest { field: "no_card.reason", problem })
}

/// The document as it was read, and what the rules say of it.
async fn rules(content: Arc<Vec<u8>>) -> Result<(Arc<Prescription>, Vec<Finding>), Refusal> {
    let is_short = content.len() <= SHORT;
    let read = move || {
        let prescription = Prescription::parse(content)?;
        let findings = prescription.check(OffsetDateTime::now_utc())?;
        Ok((Arc::new(prescription), findings))
    };
    if is_short { read() } else { blocking(read).await? }
}

async fn compare(
    state: &Arc<State>,
    origin: &Origin,
    check: &InsuranceCheck,
    prescription: Arc<Prescription>,
) -> Result<Vec<Finding>, Refusal> {
    let InsuranceCheck::InsuranceCard(card) = check else { return Ok(Vec::new()) };
    let (state, origin, reader) = (Arc::clone(state), origin.clone(), card.reader.clone());
    blocking(move || {
        let (_, record) = state.readers.read(&reader, |name| origin.sees_reader(name))?;
        Ok(prescription::compare(&prescription, &record.personal, &record.coverage)?)
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_card(reason: &str) -> Option<InsuranceCheck> {
        Some(InsuranceCheck::NoCard(v1::NoInsuranceCard { reason: reason.to_owned() }))
    }

    fn refused_field(got: usize, check: Option<InsuranceCheck>) -> &'static str {
        match read_check(got, check, 100) {
            Err(Refusal::BadRequest { field, .. }) => field,
            Err(other) => panic!("{other}"),
            Ok(_) => "none",
        }
    }

    #[test]
    fn one_kind_of_insurance_check_must_be_chosen() {
        assert_eq!(refused_field(9, no_card("the patient's card is being replaced")), "none");
        assert_eq!(refused_field(9, None), "insurance_check");
    }

    #[test]
    fn a_reason_is_needed_and_holds_no_numbers() {
        for reason in [" ", "lost by X110400001", &"x".repeat(201), "a\nb"] {
            assert_eq!(refused_field(9, no_card(reason)), "no_card.reason", "{reason}");
        }
    }

    #[test]
    fn an_empty_prescription_is_a_bad_request_and_a_large_one_too_large() {
        assert_eq!(refused_field(0, no_card("lost")), "prescription");
        let large = read_check(101, no_card("lost"), 100);
        assert!(matches!(large, Err(Refusal::TooLarge { limit: 100, got: 101 })));
    }
}
