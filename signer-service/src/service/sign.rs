//! SignPrescription: check, compare, unlock, sign, verify, record, hand out - in this order, so that a PIN is spent
//! only on a document that may be signed, and nothing leaves unverified or unrecorded.

use std::sync::Arc;

use cades::ocsp::Status;
use proto::v1::{self, certificate_status::State as StatusState, sign_prescription_request::InsuranceCheck};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::{
    Caller, Chosen, Refusal, State, blocking, check, convert, find_key, once, record_refusal, secret,
    selector,
};
use crate::{
    audit::{Claim, Entry, results::Taken},
    ocsp::{self, Known},
    prescription::{self, Finding, Prescription},
    signature::{self, Signed},
    times::Steps,
    token::{Purpose, Selector},
};

/// A request whose fields are in order.
struct Order {
    content: Vec<u8>,
    selector: Selector,
    pin: Option<SecretString>,
    check: InsuranceCheck,
}

/// What became of it.
struct Done {
    signed: Signed,
    signer: v1::Certificate,
    status: v1::CertificateStatus,
    findings: Vec<v1::Finding>,
}

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    request: v1::SignPrescriptionRequest,
) -> Result<v1::SignPrescriptionResponse, Refusal> {
    let hash: [u8; 32] = Sha256::digest(&request.prescription).into();
    let entry =
        Entry { document_sha256: Some(hash), ..Entry::new(caller.request_id.clone(), "SignPrescription") };
    let Some(key) = once::read_key(&request.idempotency_key)?.map(str::to_owned) else {
        return sign(&state, caller, request, entry, hash, None).await;
    };
    let mut claim = state.audit.claim(&key).await.map_err(Refusal::Audit)?.ok_or(Refusal::KeyAtWork)?;
    let taken = state.audit.take_key(&mut claim, &hash, OffsetDateTime::now_utc()).await;
    match taken.map_err(Refusal::Audit)? {
        Taken::New => sign(&state, caller, request, entry, hash, Some(claim)).await,
        Taken::Interrupted => {
            let remark = Some("an earlier attempt with this key was interrupted".to_owned());
            sign(&state, caller, request, Entry { remark, ..entry }, hash, Some(claim)).await
        }
        Taken::Answered(kept) => {
            let answer = once::with_document(&kept, &request.prescription);
            let answer = answer.ok_or(Refusal::Internal("a kept answer is damaged"))?;
            let remark = Some(format!("answered again: record {}", answer.audit_sequence));
            let recorded = state.audit.record(&Entry { remark, ..entry }, OffsetDateTime::now_utc()).await;
            recorded.map_err(Refusal::Audit)?;
            Ok(answer)
        }
        Taken::OtherDocument => {
            record_refusal(&state, entry, &Refusal::KeyReused).await;
            Err(Refusal::KeyReused)
        }
    }
}

/// Signs, and keeps the answer if the caller gave it a key.
async fn sign(
    state: &Arc<State>,
    caller: Caller,
    request: v1::SignPrescriptionRequest,
    mut entry: Entry,
    hash: [u8; 32],
    claim: Option<Claim>,
) -> Result<v1::SignPrescriptionResponse, Refusal> {
    let mut steps = Steps::start();
    let document = claim.as_ref().map(|_| request.prescription.clone()).unwrap_or_default();
    let done = match attempt(state, caller, request, &mut entry, &mut steps).await {
        Ok(done) => done,
        Err(refusal) => {
            record_refusal(state, entry, &refusal).await;
            if let Some(claim) = claim
                && let Err(error) = state.audit.release_key(claim).await
            {
                tracing::error!(%error, "an idempotency key could not be given free");
            }
            return Err(refusal);
        }
    };
    let mut answer = answer(done, hash, &steps);
    let now = OffsetDateTime::now_utc();
    let recorded = match claim {
        None => state.audit.record(&entry, now).await,
        Some(claim) => {
            let kept = once::without_document(answer.clone(), &document)
                .ok_or(Refusal::Internal("the document is not in its signature"))?;
            state.audit.record_answer(&entry, now, claim, |sequence| once::numbered(kept, sequence)).await
        }
    };
    answer.audit_sequence = recorded.map_err(Refusal::Audit)?;
    Ok(answer)
}

fn answer(done: Done, hash: [u8; 32], steps: &Steps) -> v1::SignPrescriptionResponse {
    v1::SignPrescriptionResponse {
        cms: done.signed.cms,
        signer: Some(done.signer),
        signing_time: Some(convert::timestamp(done.signed.signing_time)),
        findings: done.findings,
        times: convert::steps(steps),
        algorithm: signature::algorithm_name(done.signed.algorithm).to_owned(),
        prescription_sha256: hash.to_vec(),
        audit_sequence: 0,
        certificate_status: Some(done.status),
        replayed: false,
    }
}

async fn attempt(
    state: &Arc<State>,
    caller: Caller,
    request: v1::SignPrescriptionRequest,
    entry: &mut Entry,
    steps: &mut Steps,
) -> Result<Done, Refusal> {
    let order = read_request(request, state.config.limits.prescription_bytes)?;
    let (order, mut findings, insured) = rules(order).await?;
    entry.patient = insured.map(|insured| state.pseudonyms.name(&insured));
    check::enforce(&findings, &state.config.rules)?;
    steps.done("rules");
    let (order, compared) = compare(state, order).await?;
    let mut remarks: Vec<String> = entry.remark.take().into_iter().collect();
    remarks.push(match &order.check {
        InsuranceCheck::InsuranceCard(_) => "insurance card: compared".to_owned(),
        InsuranceCheck::NoCard(statement) => format!("insurance card: none: {}", statement.reason),
    });
    remarks.extend(check::switched_off(&state.config.rules));
    entry.remark = Some(remarks.join("; "));
    findings.extend(compared);
    steps.done("insurance card");

    let chosen = find_key(state, order.selector.clone(), Purpose::Signature).await?;
    let certificate = chosen.certificate.certificate.clone();
    entry.name_certificate(&certificate);
    steps.done("find key");
    let (order, profession) = profession(order, cades::professions(&certificate.der)).await?;
    check::enforce(&profession, &state.config.rules)?;
    findings.extend(profession);
    let evidence = evidence(state, &certificate.der).await?;
    steps.done("certificate status");
    let mut findings = check::judge(&findings, &state.config.rules);
    let status = match &evidence {
        Evidence::NotAsked => convert::no_status(StatusState::NotChecked, String::new()),
        Evidence::Good(known) => convert::status(&known.answer),
        Evidence::Unavailable(why) => {
            findings.push(convert::no_evidence(why));
            convert::no_status(StatusState::Unusable, why.clone())
        }
    };
    let (signed, unlocked) = use_key(state, caller, chosen, order, evidence).await?;
    steps.extend(unlocked);
    if signed.chain != cades::Chain::Ok {
        findings.push(convert::untrusted(&signed.chain));
    }
    Ok(Done { signer: convert::certificate(&certificate), signed, status, findings })
}

fn read_request(mut request: v1::SignPrescriptionRequest, limit: usize) -> Result<Order, Refusal> {
    let refuse = |field, problem| Err(Refusal::BadRequest { field, problem });
    let pin = secret(request.pin.take());
    let got = request.prescription.len();
    if got == 0 {
        return refuse("prescription", "is missing");
    }
    if got > limit {
        return Err(Refusal::TooLarge { limit, got });
    }
    let Some(check) = request.insurance_check.take() else {
        return refuse("insurance_check", "choose insurance_card, or no_card with a reason");
    };
    if let InsuranceCheck::NoCard(statement) = &check {
        check_reason(&statement.reason)?;
    }
    Ok(Order {
        content: std::mem::take(&mut request.prescription),
        selector: selector(request.card.take())?,
        pin,
        check,
    })
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

/// The findings, and the patient's insurance number.
async fn rules(order: Order) -> Result<(Order, Vec<Finding>, Option<String>), Refusal> {
    blocking(move || {
        let findings = check::findings(&order.content, None)?;
        let insured = Prescription::parse(&order.content)?.insured_id().map(str::to_owned);
        Ok((order, findings, insured))
    })
    .await?
}

async fn profession(order: Order, professions: Vec<String>) -> Result<(Order, Vec<Finding>), Refusal> {
    blocking(move || {
        let finding = Prescription::parse(&order.content)?.check_profession(&professions);
        Ok((order, finding.into_iter().collect()))
    })
    .await?
}

async fn compare(state: &Arc<State>, order: Order) -> Result<(Order, Vec<Finding>), Refusal> {
    let InsuranceCheck::InsuranceCard(card) = &order.check else { return Ok((order, Vec::new())) };
    let reader = card.reader.clone();
    let state = Arc::clone(state);
    blocking(move || {
        let (_, record) = state.readers.read(&reader)?;
        let prescription = Prescription::parse(&order.content)?;
        let findings = prescription::compare(&prescription, &record.personal, &record.coverage)?;
        Ok((order, findings))
    })
    .await?
}

/// What is known of the certificate before it signs.
enum Evidence {
    NotAsked,
    Good(Arc<Known>),
    Unavailable(String),
}

impl Evidence {
    fn response(&self) -> Option<&[u8]> {
        match self {
            Evidence::Good(known) => Some(&known.response),
            Evidence::NotAsked | Evidence::Unavailable(_) => None,
        }
    }
}

/// Asks before the PIN: a certificate that is known to be worthless spends none. A responder that is down does not
/// keep a doctor from prescribing.
async fn evidence(state: &State, certificate: &[u8]) -> Result<Evidence, Refusal> {
    if !state.config.ocsp.embed {
        return Ok(Evidence::NotAsked);
    }
    match state.ocsp.status(certificate, &state.anchors, ocsp::FRESH).await {
        Ok(known) if known.answer.status == Status::Good => Ok(Evidence::Good(known)),
        Ok(known) => Err(Refusal::Revoked(known.answer.status)),
        Err(error) => Ok(Evidence::Unavailable(error.to_string())),
    }
}

/// From the card's turn to the verified CMS.
async fn use_key(
    state: &Arc<State>,
    caller: Caller,
    chosen: Chosen,
    order: Order,
    evidence: Evidence,
) -> Result<(Signed, Steps), Refusal> {
    let mut steps = Steps::start();
    let turn = Arc::clone(&chosen.queue).lock_owned().await;
    steps.done("wait for the card");
    let state = Arc::clone(state);
    blocking(move || {
        let certificate = &chosen.certificate.certificate;
        let key_label = state.config.signing.key_label.as_deref();
        let choice = chosen.choice();
        caller.still_waits()?;
        let key = state.module.unlock(&choice, key_label, order.pin.as_ref(), Purpose::Signature)?;
        steps.done("PIN");
        let now = OffsetDateTime::now_utc();
        let cms = signature::sign(&key, certificate, &order.content, evidence.response(), now)?;
        steps.done("card signature");
        drop(key);
        drop(turn);
        steps.done("lock the card");
        let now = OffsetDateTime::now_utc();
        let signed = signature::self_check(cms, certificate, &order.content, &state.anchors, now)?;
        steps.done("verification");
        Ok((signed, steps))
    })
    .await?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::SignPrescriptionRequest {
        let no_card = v1::NoInsuranceCard { reason: "the patient's card is being replaced".into() };
        v1::SignPrescriptionRequest {
            prescription: b"<Bundle/>".to_vec(),
            card: None,
            pin: Some(v1::Pin { value: "123456".into() }),
            insurance_check: Some(InsuranceCheck::NoCard(no_card)),
            idempotency_key: String::new(),
        }
    }

    fn refused_field(change: impl FnOnce(&mut v1::SignPrescriptionRequest)) -> &'static str {
        let mut request = request();
        change(&mut request);
        match read_request(request, 100) {
            Err(Refusal::BadRequest { field, .. }) => field,
            Err(other) => panic!("{other}"),
            Ok(_) => "none",
        }
    }

    fn with_reason(reason: &str) -> impl FnOnce(&mut v1::SignPrescriptionRequest) {
        let statement = v1::NoInsuranceCard { reason: reason.to_owned() };
        move |request| request.insurance_check = Some(InsuranceCheck::NoCard(statement))
    }

    #[test]
    fn one_kind_of_insurance_check_must_be_chosen() {
        assert_eq!(refused_field(|_| ()), "none");
        assert_eq!(refused_field(|request| request.insurance_check = None), "insurance_check");
    }

    #[test]
    fn a_reason_is_needed_and_holds_no_numbers() {
        assert_eq!(refused_field(with_reason(" ")), "no_card.reason");
        assert_eq!(refused_field(with_reason("lost by X110400001")), "no_card.reason");
        assert_eq!(refused_field(with_reason(&"x".repeat(201))), "no_card.reason");
        assert_eq!(refused_field(with_reason("a\nb")), "no_card.reason");
    }

    #[test]
    fn an_empty_prescription_is_a_bad_request_and_a_large_one_too_large() {
        assert_eq!(refused_field(|request| request.prescription.clear()), "prescription");
        let mut large = request();
        large.prescription = vec![b' '; 101];
        assert!(matches!(read_request(large, 100), Err(Refusal::TooLarge { limit: 100, got: 101 })));
    }
}
