//! Emergency access: each step checks who may take it before the PIN, has the card sign its statement, and is kept together
//! with its audit record.

mod data;
mod reviews;
mod shown;

use std::{sync::Arc, time::Duration};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use cades::ocsp::Status;
use egk_reader::check_digit;
use proto::v1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

pub(super) use data::read as read_data;
pub(super) use reviews::count as count_reviews;

use super::{
    Caller, Chosen, Origin, Refusal, State, authenticate, blocking,
    clinician::{check_chain, claims_of},
    convert, find_key, record_refusal, secret, selector,
};
use crate::{
    audit::{
        AuditError, Entry,
        cases::{Change, NewCase},
    },
    clinician::{
        NotValid, scope,
        token::{Claims, EmergencyClaim},
    },
    config::Offline,
    emergency::{Access, Act, Case, Party, Rejected, Standing, Statement, Step, Wanted, times, verify},
    token::{PinEntry, Purpose},
};

/// Scopes of one request.
const SCOPES: usize = 100;

/// A case as it was looked at.
struct Loaded {
    id: String,
    version: i64,
    case: Case,
}

/// RequestEmergencyAccess.
pub(super) async fn request(
    state: Arc<State>,
    caller: Caller,
    request: v1::RequestEmergencyAccessRequest,
) -> Result<v1::RequestEmergencyAccessResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "RequestEmergencyAccess");
    let result = ask(&state, caller, request, &mut entry).await;
    settled(&state, entry, result).await
}

/// ApproveEmergencyAccess.
pub(super) async fn approve(
    state: Arc<State>,
    caller: Caller,
    request: v1::ApproveEmergencyAccessRequest,
) -> Result<v1::EmergencyAccessResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "ApproveEmergencyAccess");
    let (act, pin) = (Act::Decide { approved: !request.deny }, secret(request.pin));
    let result = step(&state, caller, request.request_id, request.card, pin, act, &mut entry).await;
    settled(&state, entry, result).await
}

/// RevokeEmergencyAccess.
pub(super) async fn revoke(
    state: Arc<State>,
    caller: Caller,
    request: v1::RevokeEmergencyAccessRequest,
) -> Result<v1::EmergencyAccessResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "RevokeEmergencyAccess");
    let pin = secret(request.pin);
    let result = step(&state, caller, request.request_id, request.card, pin, Act::Revoke, &mut entry).await;
    settled(&state, entry, result).await
}

/// CloseEmergencyReview.
pub(super) async fn review(
    state: Arc<State>,
    caller: Caller,
    request: v1::CloseEmergencyReviewRequest,
) -> Result<v1::EmergencyAccessResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "CloseEmergencyReview");
    let pin = secret(request.pin);
    let result = match words(&request.text, "text") {
        Ok(text) => {
            let act = Act::Review { justified: request.justified, text };
            step(&state, caller, request.request_id, request.card, pin, act, &mut entry).await
        }
        Err(refusal) => Err(refusal),
    };
    settled(&state, entry, result).await
}

/// OpenEmergencyAccess.
pub(super) async fn open(
    state: Arc<State>,
    caller: Caller,
    request: v1::OpenEmergencyAccessRequest,
) -> Result<v1::OpenEmergencyAccessResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "OpenEmergencyAccess");
    let result = hand_out(&state, &caller, request, &mut entry).await;
    settled(&state, entry, result).await
}

/// ListEmergencyAccess.
pub(super) async fn list(
    state: Arc<State>,
    _caller: Caller,
    request: v1::ListEmergencyAccessRequest,
) -> Result<v1::ListEmergencyAccessResponse, Refusal> {
    let now = OffsetDateTime::now_utc();
    let kept = state.audit.cases().await.map_err(Refusal::Audit)?;
    let cases: Vec<Case> = kept.iter().map(|kept| read(&kept.body)).collect::<Result<_, _>>()?;
    let wanted = |case: &Case| !request.unreviewed_only || case.wants_review();
    let due = reviews::due(&state, now);
    let accesses = cases.iter().filter(|case| wanted(case)).filter_map(|case| shown::access(case, now, due));
    Ok(v1::ListEmergencyAccessResponse { accesses: accesses.collect() })
}

/// ExportEmergencyAccess.
pub(super) async fn export(
    state: Arc<State>,
    _caller: Caller,
    request: v1::ExportEmergencyAccessRequest,
) -> Result<v1::ExportEmergencyAccessResponse, Refusal> {
    let loaded = load(&state, &request.request_id).await?;
    let export_json = serde_json::to_vec_pretty(&verify::export(&loaded.case));
    let export_json = export_json.map_err(|_| Refusal::Internal("an export could not be written"))?;
    Ok(v1::ExportEmergencyAccessResponse { export_json })
}

async fn ask(
    state: &Arc<State>,
    caller: Caller,
    mut request: v1::RequestEmergencyAccessRequest,
    entry: &mut Entry,
) -> Result<v1::RequestEmergencyAccessResponse, Refusal> {
    enabled(state)?;
    let pin = secret(request.pin.take());
    let reason = words(&request.reason_text, "reason_text")?;
    let reason_code = shown::reason_code(request.reason())
        .ok_or(Refusal::BadRequest { field: "reason", problem: "expected one of EmergencyReason" })?;
    let purpose_of_use = shown::purpose_code(request.purpose()).to_owned();
    let longest = state.config.emergency.max_minutes;
    let minutes = if request.minutes == 0 { longest } else { request.minutes };
    if minutes > longest || request.scopes.len() > SCOPES {
        let (field, problem) = ("minutes, scopes", "at most emergency.max_minutes, and 100 scopes");
        return Err(Refusal::BadRequest { field, problem });
    }
    let patient = patient(state, caller.origin.clone(), request.patient.take()).await?;
    entry.patient = Some(patient.clone());
    let chosen = find_key(state, &caller, selector(request.card.take())?, Purpose::Authentication).await?;
    let party = party(&chosen);
    let policy = state.clinicians.policy();
    let (granted, refused) = scope::grant_in_emergency(&request.scopes, &party.professions, policy);
    let (not_before, expires_at) = times(OffsetDateTime::now_utc(), minutes);
    let scopes: Vec<String> = granted.iter().map(ToString::to_string).collect();
    let reason_code = reason_code.to_owned();
    let wanted = Wanted { patient, reason_code, reason, purpose_of_use, scopes, not_before, expires_at };
    let id = uuid::Uuid::new_v4().to_string();
    let mut case = Case { steps: Vec::new(), accesses: Vec::new(), claim_sha256: String::new() };
    let act = Act::Request(wanted.clone());
    case.admits(&act, &party, policy, OffsetDateTime::now_utc())?;
    if granted.is_empty() {
        return Err(Rejected::NoScope.into());
    }
    reviews::refuse_overdue(state, &party.telematik_id).await?;
    let open = state.audit.has_open_case(&wanted.patient, &party.telematik_id, OffsetDateTime::now_utc());
    if open.await.map_err(Refusal::Audit)? {
        return Err(Rejected::Open.into());
    }
    let requester = party.telematik_id.clone();
    case.steps.push(sign(state, caller, chosen, pin, &id, act, &case, party, entry).await?);
    let claim = claim()?;
    case.claim_sha256 = hex::encode(Sha256::digest(&claim));
    let now = OffsetDateTime::now_utc();
    let body = write(&case)?;
    let new = NewCase {
        id: &id,
        patient: &wanted.patient,
        requester: &requester,
        ends_at: case.ends_at(now),
        body: &body,
    };
    let kept = state.audit.add_case(new, entry, now).await.map_err(Refusal::Audit)?;
    Ok(v1::RequestEmergencyAccessResponse {
        audit_sequence: kept.ok_or(Rejected::Open)?,
        access: shown::access(&case, now, reviews::due(state, now)),
        claim,
        refused_scopes: refused.into_iter().map(convert::refused_scope).collect(),
    })
}

/// A step of a case that is there.
async fn step(
    state: &Arc<State>,
    caller: Caller,
    id: String,
    card: Option<v1::CardSelector>,
    pin: PinEntry,
    act: Act,
    entry: &mut Entry,
) -> Result<v1::EmergencyAccessResponse, Refusal> {
    enabled(state)?;
    let mut loaded = load(state, &id).await?;
    entry.patient = loaded.case.request().map(|(wanted, _)| wanted.patient.clone());
    let chosen = find_key(state, &caller, selector(card)?, Purpose::Authentication).await?;
    let (party, policy) = (party(&chosen), state.clinicians.policy());
    loaded.case.admits(&act, &party, policy, OffsetDateTime::now_utc())?;
    let signed =
        sign(state, caller, chosen, pin, &id, act.clone(), &loaded.case, party.clone(), entry).await?;
    let now = OffsetDateTime::now_utc();
    // Entering a PIN takes time.
    loaded.case.admits(&act, &party, policy, now)?;
    loaded.case.steps.push(signed);
    let audit_sequence = keep(state, &loaded, entry, now).await?;
    let access = shown::access(&loaded.case, now, reviews::due(state, now));
    Ok(v1::EmergencyAccessResponse { access, audit_sequence })
}

async fn hand_out(
    state: &Arc<State>,
    caller: &Caller,
    request: v1::OpenEmergencyAccessRequest,
    entry: &mut Entry,
) -> Result<v1::OpenEmergencyAccessResponse, Refusal> {
    enabled(state)?;
    if request.audience.chars().count() > 200 || request.audience.chars().any(char::is_control) {
        let problem = "at most 200 characters, no control characters";
        return Err(Refusal::BadRequest { field: "audience", problem });
    }
    let mut loaded = load(state, &request.request_id).await?;
    let claim = hex::encode(Sha256::digest(&request.claim));
    if !bool::from(claim.as_bytes().ct_eq(loaded.case.claim_sha256.as_bytes())) {
        return Err(Rejected::Claim.into());
    }
    let now = OffsetDateTime::now_utc();
    let claims = claims(state, caller, &loaded, request.audience, now)?;
    let (wanted, asked) = loaded.case.request().ok_or(Rejected::NotFound)?;
    entry.patient = Some(wanted.patient.clone());
    entry.certificate_issuer = Some(asked.signed_by.certificate_issuer.clone());
    entry.certificate_serial = Some(asked.signed_by.certificate_serial.clone());
    entry.remark = Some(format!("case {}; granted: {}", loaded.id, claims.scope));
    let token = state.clinicians.key().issue(&claims);
    let access_token = token.ok_or(Refusal::Internal("a token could not be made"))?;
    let (expires_at, granted_scopes) = (convert::timestamp(wanted.expires_at), wanted.scopes.clone());
    loaded.case.accesses.push(Access { at: now, what: "token".to_owned() });
    let audit_sequence = keep(state, &loaded, entry, now).await?;
    Ok(v1::OpenEmergencyAccessResponse {
        access_token,
        expires_at: Some(expires_at),
        granted_scopes,
        audit_sequence,
    })
}

/// What a token says and the approved case it is for, as the database has it now.
async fn live(state: &State, token: &str, now: OffsetDateTime) -> Result<(Claims, Loaded), Refusal> {
    let claims = state.clinicians.key().open(token).ok_or(NotValid::Foreign)?;
    if now.unix_timestamp() >= claims.exp {
        return Err(NotValid::Expired.into());
    }
    let emergency = claims.emergency.as_ref();
    let emergency = emergency.ok_or(Refusal::ScopeMissing { scope: "emergency access" })?;
    let loaded = load(state, &emergency.request_id).await?;
    match loaded.case.standing(now) {
        Standing::Approved => Ok((claims, loaded)),
        other => Err(Rejected::Standing(other).into()),
    }
}

/// The claims of a token of an emergency access that is open.
pub(super) async fn open_token(state: &State, token: &str) -> Option<Claims> {
    live(state, token, OffsetDateTime::now_utc()).await.ok().map(|(claims, _)| claims)
}

/// What the token of an approved case says.
fn claims(
    state: &State,
    caller: &Caller,
    loaded: &Loaded,
    audience: String,
    now: OffsetDateTime,
) -> Result<Claims, Refusal> {
    let standing = loaded.case.standing(now);
    let (Some((wanted, asked)), Some((true, agreed)), Standing::Approved) =
        (loaded.case.request(), loaded.case.decision(), standing)
    else {
        return Err(Rejected::Standing(standing).into());
    };
    let requester = &asked.signed_by;
    Ok(Claims {
        sub: requester.telematik_id.clone(),
        aud: audience,
        exp: wanted.expires_at.unix_timestamp(),
        scope: wanted.scopes.join(" "),
        telematik_id: Some(requester.telematik_id.clone()),
        profession: requester.professions.first().cloned(),
        certificate_serial: requester.certificate_serial.clone(),
        certificate_issuer: requester.certificate_issuer.clone(),
        purpose_of_use: Some(wanted.purpose_of_use.clone()),
        emergency: Some(EmergencyClaim {
            request_id: loaded.id.clone(),
            patient: wanted.patient.clone(),
            requester: requester.telematik_id.clone(),
            approver: agreed.signed_by.telematik_id.clone(),
        }),
        ..claims_of(state, &caller.client, now)
    })
}

/// Has a card sign a statement about a case. The state of its certificate is asked for before its PIN is used.
#[allow(clippy::too_many_arguments)] // each is one thing, and there is one place that calls it for each call
async fn sign(
    state: &Arc<State>,
    caller: Caller,
    chosen: Chosen,
    pin: PinEntry,
    id: &str,
    act: Act,
    case: &Case,
    party: Party,
    entry: &mut Entry,
) -> Result<Step, Refusal> {
    let certificate = chosen.certificate.certificate.clone();
    chosen.name_in(entry, state);
    let ocsp = status(state, &certificate.der).await?;
    let offline = if ocsp.is_none() { "; offline: revocation not known" } else { "" };
    entry.remark = Some(format!("case {id}; {}{offline}", shown::act(&act)));
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Refusal::Internal("no random numbers"))?;
    let statement = Statement {
        request_id: id.to_owned(),
        service: state.config.clinicians.issuer.clone(),
        nonce: hex::encode(nonce),
        at: OffsetDateTime::now_utc(),
        previous_sha256: case.steps.last().map(Step::hash),
        act,
    };
    let bytes = statement.bytes().ok_or(Refusal::Internal("a statement could not be written"))?;
    entry.document_sha256 = Some(Sha256::digest(&bytes).into());
    let (done, _) = authenticate::prove(state, caller, chosen, pin, bytes).await?;
    check_chain(&done.proof)?;
    let cms = BASE64_STANDARD.encode(&done.proof.cms);
    Ok(Step { statement, signed_by: party, cms, ocsp })
}

/// What the responder says now: never an answer that was kept.
async fn status(state: &State, certificate: &[u8]) -> Result<Option<String>, Refusal> {
    match state.ocsp.status(certificate, &state.anchors, Duration::ZERO).await {
        Ok(known) if known.answer.status == Status::Good => Ok(Some(BASE64_STANDARD.encode(&known.response))),
        Ok(known) => Err(Refusal::Revoked(known.answer.status)),
        Err(error) if state.config.emergency.offline == Offline::Allow => {
            tracing::warn!(%error, "emergency access without knowing whether the certificate is revoked");
            Ok(None)
        }
        Err(_) => Err(Refusal::StatusUnknown),
    }
}

fn party(chosen: &Chosen) -> Party {
    let certificate = &chosen.certificate.certificate;
    Party {
        telematik_id: cades::registration_number(&certificate.der).unwrap_or_default(),
        professions: certificate.professions.clone(),
        certificate_issuer: certificate.issuer.clone(),
        certificate_serial: certificate.serial.clone(),
        certificate_sha256: hex::encode(Sha256::digest(&certificate.der)),
    }
}

/// The pseudonym of the patient.
async fn patient(
    state: &Arc<State>,
    origin: Origin,
    patient: Option<v1::request_emergency_access_request::Patient>,
) -> Result<String, Refusal> {
    use v1::request_emergency_access_request::Patient;
    let refuse = |problem| Err(Refusal::BadRequest { field: "patient", problem });
    let kvnr = match patient {
        Some(Patient::InsuredId(kvnr)) => kvnr,
        Some(Patient::InsuranceCard(card)) => {
            let state = Arc::clone(state);
            let (_, record) =
                blocking(move || state.readers.read(&card.reader, |name| origin.sees_reader(name))).await??;
            record.personal.kvnr
        }
        None => return refuse("insured_id or insurance_card"),
    };
    if !check_digit::kvnr_is_valid(&kvnr) {
        return refuse("expected an insurance number: a letter, nine digits, the last one fitting");
    }
    Ok(state.pseudonyms.name(&kvnr))
}

/// A text that is signed and recorded: without digits, so that no number or date of a patient is in it.
fn words(text: &str, field: &'static str) -> Result<String, Refusal> {
    let text = text.trim();
    let fits = (3..=200).contains(&text.chars().count());
    if fits && !text.chars().any(|letter| letter.is_control() || letter.is_numeric()) {
        return Ok(text.to_owned());
    }
    Err(Refusal::BadRequest { field, problem: "3 to 200 characters, no digits, no control characters" })
}

fn enabled(state: &State) -> Result<(), Refusal> {
    if state.config.emergency.enabled { Ok(()) } else { Err(Rejected::Disabled.into()) }
}

async fn load(state: &State, id: &str) -> Result<Loaded, Refusal> {
    let kept = state.audit.case(id).await.map_err(Refusal::Audit)?.ok_or(Rejected::NotFound)?;
    Ok(Loaded { id: id.to_owned(), version: kept.version, case: read(&kept.body)? })
}

/// Keeps a changed case together with its record.
async fn keep(state: &State, loaded: &Loaded, entry: &Entry, now: OffsetDateTime) -> Result<u64, Refusal> {
    let body = write(&loaded.case)?;
    let change = Change {
        id: &loaded.id,
        of: loaded.version,
        ends_at: loaded.case.ends_at(now),
        wants_review: loaded.case.wants_review(),
        body: &body,
    };
    let kept = state.audit.change_case(change, entry, now).await.map_err(Refusal::Audit)?;
    Ok(kept.ok_or(Rejected::Changed)?)
}

fn read(body: &str) -> Result<Case, Refusal> {
    serde_json::from_str(body).map_err(|_| Refusal::Audit(AuditError::Case))
}

fn write(case: &Case) -> Result<String, Refusal> {
    serde_json::to_string(case).map_err(|_| Refusal::Internal("a case could not be written"))
}

fn claim() -> Result<String, Refusal> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| Refusal::Internal("no random numbers"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// Records a refusal; a success was recorded together with what it changed.
async fn settled<A>(state: &State, entry: Entry, result: Result<A, Refusal>) -> Result<A, Refusal> {
    if let Err(refusal) = &result {
        record_refusal(state, entry, refusal).await;
    }
    result
}
