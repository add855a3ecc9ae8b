//! The calls about comfort signatures.

use std::{sync::Arc, time::Instant};

use proto::v1;
use time::{Duration, OffsetDateTime};

use super::{
    Caller, Chosen, Refusal, State, blocking, card_use, clinician, convert, find_key, record_refusal, secret,
    selector,
};
use crate::{
    audit::Entry,
    comfort::{Name, Session, UserId},
    token::{PinEntry, Purpose},
};

/// A session that allows less than this is about to end.
const FEW_SIGNATURES: u32 = 10;
const LITTLE_TIME: Duration = Duration::minutes(10);

/// ActivateComfortSignature: limits, user id, PIN, session, record.
pub(super) async fn activate(
    state: Arc<State>,
    caller: Caller,
    mut request: v1::ActivateComfortSignatureRequest,
) -> Result<v1::ActivateComfortSignatureResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "ActivateComfortSignature");
    let pin = secret(request.pin.take());
    caller.may_use_comfort()?;
    let limits = limits(&state, &request)?;
    let user = user_id(&request.user_id)?;
    let chosen = find_key(&state, &caller, selector(request.card)?, Purpose::Signature).await?;
    clinician::authorize(&state, &caller, &chosen).await?;
    let name = name(&caller, &chosen, user);
    chosen.name_in(&mut entry, &state);
    let opened = open(&state, &caller, chosen, &name, pin, limits).await;
    let session = match opened {
        Ok(session) => session,
        Err(refusal) => {
            record_refusal(&state, entry, &refusal).await;
            return Err(refusal);
        }
    };
    entry.remark = Some(format!("{} signatures, {} minutes", limits.0, limits.1.whole_minutes()));
    let recorded = state.audit.record(&entry, OffsetDateTime::now_utc()).await;
    if recorded.is_err() {
        let _ = state.comfort.close(&name, OffsetDateTime::now_utc());
    }
    let audit_sequence = recorded.map_err(Refusal::Audit)?;
    Ok(v1::ActivateComfortSignatureResponse {
        session: Some(shown(&state, &name.card, &session)),
        audit_sequence,
    })
}

/// DeactivateComfortSignature.
pub(super) async fn deactivate(
    state: Arc<State>,
    caller: Caller,
    request: v1::DeactivateComfortSignatureRequest,
) -> Result<v1::DeactivateComfortSignatureResponse, Refusal> {
    let user = user_id(&request.user_id)?;
    let chosen = find_key(&state, &caller, selector(request.card)?, Purpose::Signature).await?;
    clinician::authorize(&state, &caller, &chosen).await?;
    let session = state.comfort.close(&name(&caller, &chosen, user), OffsetDateTime::now_utc())?;
    let signed = session.signed();
    drop(session);
    let lock = Arc::clone(&state);
    blocking(move || lock.module.tidy()).await?;
    let mut entry = Entry::new(caller.request_id.clone(), "DeactivateComfortSignature");
    chosen.name_in(&mut entry, &state);
    entry.remark = Some(format!("{signed} signatures were made"));
    let recorded = state.audit.record(&entry, OffsetDateTime::now_utc()).await;
    Ok(v1::DeactivateComfortSignatureResponse { signed, audit_sequence: recorded.map_err(Refusal::Audit)? })
}

/// GetComfortSession: what is left.
pub(super) async fn get(
    state: Arc<State>,
    caller: Caller,
    request: v1::GetComfortSessionRequest,
) -> Result<v1::GetComfortSessionResponse, Refusal> {
    let user = user_id(&request.user_id)?;
    let look = Arc::clone(&state);
    blocking(move || look.module.tidy()).await?;
    let chosen = find_key(&state, &caller, selector(request.card)?, Purpose::Signature).await?;
    clinician::authorize(&state, &caller, &chosen).await?;
    let name = name(&caller, &chosen, user);
    let session = state.comfort.find(&name, OffsetDateTime::now_utc())?;
    Ok(v1::GetComfortSessionResponse { session: Some(shown(&state, &name.card, &session)) })
}

/// The session a request names, if it names one; its time is looked at here, once.
pub(super) async fn admit(
    state: &Arc<State>,
    caller: &Caller,
    chosen: &Chosen,
    user_id_text: &str,
) -> Result<Option<Arc<Session>>, Refusal> {
    if user_id_text.is_empty() {
        return Ok(None);
    }
    if !state.config.comfort.enabled {
        return Err(Refusal::ComfortDisabled);
    }
    caller.may_use_comfort()?;
    let name = name(caller, chosen, user_id(user_id_text)?);
    Ok(Some(state.comfort.find(&name, OffsetDateTime::now_utc())?))
}

/// Lets go of what ended on its own, and locks its cards.
pub(super) async fn sweep(state: &Arc<State>) {
    let look = Arc::clone(state);
    let _ = blocking(move || look.module.tidy()).await;
    let gone = state.comfort.sweep(OffsetDateTime::now_utc());
    for gone in gone {
        let mut entry = Entry::new(String::new(), "ComfortSignatureEnded");
        entry.name_certificate(&gone.certificate);
        entry.card = gone.card;
        entry.remark = Some(format!("{}; {} signatures were made", gone.why.code(), gone.signed));
        tracing::info!(why = gone.why.code(), signed = gone.signed, "a comfort session ended");
        if let Err(error) = state.audit.record(&entry, OffsetDateTime::now_utc()).await {
            tracing::error!(%error, "the end of a comfort session could not be recorded");
        }
    }
}

/// A session as it is answered, with warnings before its end.
pub(super) fn shown(state: &State, card: &str, session: &Session) -> v1::ComfortSession {
    let now = OffsetDateTime::now_utc();
    let by_card =
        state.config.comfort.card_signatures.map(|budget| budget.saturating_sub(session.signed_since_pin()));
    let warning = |rule: &str, text: &str| v1::Finding {
        severity: v1::Severity::Warning.into(),
        rule: rule.to_owned(),
        place: String::new(),
        text: text.to_owned(),
    };
    let mut warnings = Vec::new();
    if session.remaining() <= FEW_SIGNATURES {
        warnings.push(warning("COMFORT_COUNT_ENDING", "few signatures are left in this session"));
    }
    if session.ends_at() - now <= LITTLE_TIME {
        warnings.push(warning("COMFORT_TIME_ENDING", "the time of this session is nearly up"));
    }
    if by_card.is_some_and(|left| left <= FEW_SIGNATURES) {
        warnings.push(warning(
            "COMFORT_CARD_ENDING",
            "the card allows few signatures more on its last PIN entry",
        ));
    }
    v1::ComfortSession {
        activated_at: Some(convert::timestamp(session.activated_at())),
        ends_at: Some(convert::timestamp(session.ends_at())),
        remaining_by_policy: session.remaining(),
        remaining_by_card: by_card,
        signed: session.signed(),
        sessions_on_card: u32::try_from(state.comfort.on_card(card, now)).unwrap_or(u32::MAX),
        warnings,
    }
}

/// Takes the user id, unlocks the card and opens the session.
async fn open(
    state: &Arc<State>,
    caller: &Caller,
    chosen: Chosen,
    name: &Name,
    pin: PinEntry,
    (signatures, lasts): (u32, Duration),
) -> Result<Arc<Session>, Refusal> {
    let limit = state.config.comfort.sessions_per_card;
    if state.comfort.on_card(&name.card, OffsetDateTime::now_utc()) >= limit {
        return Err(Refusal::ComfortSessionsFull { limit });
    }
    let hash = name.user.hash();
    if !state.audit.take_user_id(&hash).await.map_err(Refusal::Audit)? {
        return Err(Refusal::UserIdReused);
    }
    let certificate = chosen.certificate.certificate.clone();
    let card = state.pseudonyms.card(&chosen.token.serial);
    let (unlock, client, used) = (Arc::clone(state), caller.client.clone(), chosen.clone());
    let queue = chosen.queue.clone();
    let unlocked = match caller.turn(&state.metrics, &chosen, queue.alone()).await {
        Err(refusal) => Err(refusal),
        Ok(mut turn) => blocking(move || {
            unlock.pins.admit(&chosen.token, &client, Instant::now())?;
            let key_label = unlock.config.signing.key_label.as_deref();
            let choice = chosen.choice();
            let key = unlock.module.unlock(&mut turn, &choice, key_label, &pin, Purpose::Signature)?;
            Ok::<_, Refusal>(key.lease())
        })
        .await
        .and_then(|unlocked| unlocked),
    };
    card_use::note(state, caller, &used, ("unlock", true), &unlocked);
    match unlocked {
        Ok(lease) => {
            let now = OffsetDateTime::now_utc();
            let session = Session::new(lease, certificate, card, signatures, lasts, now);
            Ok(state.comfort.open(name.clone(), session))
        }
        Err(refusal) => {
            // Nothing was activated: the id is as good as new.
            if let Err(error) = state.audit.release_user_id(&hash).await {
                tracing::error!(%error, "a user id could not be given free");
            }
            Err(refusal)
        }
    }
}

/// What the request wants, within what the configuration allows.
fn limits(state: &State, request: &v1::ActivateComfortSignatureRequest) -> Result<(u32, Duration), Refusal> {
    let policy = &state.config.comfort;
    if !policy.enabled {
        return Err(Refusal::ComfortDisabled);
    }
    let signatures = match request.max_signatures {
        0 => policy.max_signatures,
        fewer if fewer <= policy.max_signatures => fewer,
        _ => return Err(Refusal::BadRequest { field: "max_signatures", problem: "more than is configured" }),
    };
    let longest = Duration::hours(i64::from(policy.max_hours));
    let lasts = request.max_time.map_or(longest, |time| Duration::seconds(time.seconds));
    if !(Duration::SECOND..=longest).contains(&lasts) {
        return Err(Refusal::BadRequest { field: "max_time", problem: "one second to what is configured" });
    }
    Ok((signatures, lasts))
}

fn user_id(text: &str) -> Result<UserId, Refusal> {
    text.parse::<UserId>().map_err(|error| Refusal::BadRequest { field: "user_id", problem: error.text() })
}

fn name(caller: &Caller, chosen: &Chosen, user: UserId) -> Name {
    Name { card: chosen.token.card(), client: caller.client.clone(), user }
}
