//! ReadEmergencyData: the token of an approved access, the patient's card, a professional's card that proves its role.
//!
//! The one place where the service uses a professional's card beyond PKCS#11, which has no word for a role: it hands two
//! readers to `egk-reader` (docs/decisions/emergency-access-by-two-persons.md).

use std::{
    sync::{Arc, PoisonError},
    time::Instant,
};

use card::{
    pin::{Pin, PinStatus},
    pins::PinError,
};
use egk_reader::{
    Reason,
    access::{self, AccessError, Asked, Entered, Keys, Professional},
    health::EmergencyData,
};
use proto::v1;
use secrecy::ExposeSecret;
use time::OffsetDateTime;

use super::{
    super::{Caller, Refusal, State, blocking, secret},
    Loaded, enabled, keep, live, settled,
};
use crate::{
    audit::Entry,
    clinician::scope::{self, Scope},
    emergency::{Access, Rejected},
    insurance::{InsuranceError, InsuranceReaders},
    token::{PinEntry, TokenError, Tries},
};

/// What emergency data are about; a token has to grant reading all of it.
const NEEDED: [&str; 3] =
    ["patient/AllergyIntolerance.r", "patient/Condition.r", "patient/MedicationStatement.r"];
/// Digits of PIN.CH (gemSpec_HBA_ObjSys).
const DIGITS: (u8, u8) = (6, 8);

pub(in crate::service) async fn read(
    state: Arc<State>,
    caller: Caller,
    request: v1::ReadEmergencyDataRequest,
) -> Result<v1::ReadEmergencyDataResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "ReadEmergencyData");
    let result = attempt(&state, caller, request, &mut entry).await;
    settled(&state, entry, result).await
}

async fn attempt(
    state: &Arc<State>,
    caller: Caller,
    mut request: v1::ReadEmergencyDataRequest,
    entry: &mut Entry,
) -> Result<v1::ReadEmergencyDataResponse, Refusal> {
    enabled(state)?;
    if state.config.emergency.role_readers.is_empty() {
        return Err(Rejected::Disabled.into());
    }
    let pin = secret(request.pin.take());
    let mut loaded = authorized(state, &caller, OffsetDateTime::now_utc()).await?;
    let (wanted, asked) = loaded.case.request().ok_or(Rejected::NotFound)?;
    let (patient, code) = (wanted.patient.clone(), wanted.reason_code.clone());
    let reason: Reason = wanted.reason.parse().map_err(|_| Refusal::Internal("a kept reason is none"))?;
    entry.patient = Some(patient.clone());
    entry.certificate_issuer = Some(asked.signed_by.certificate_issuer.clone());
    entry.certificate_serial = Some(asked.signed_by.certificate_serial.clone());
    entry.remark = Some(format!("case {}; EF.NFD; {code}", loaded.id));
    let (cards, client) = (Arc::clone(state), caller.pin_client());
    let (data, rights) = blocking(move || {
        caller.still_waits()?;
        let (reader, record) = cards.readers.read(&request.reader, |name| caller.origin.sees_reader(name))?;
        if cards.pseudonyms.name(&record.personal.kvnr) != patient {
            return Err(Rejected::Patient.into());
        }
        let (_, mut egk) = cards.readers.open(&reader, |_| true)?;
        let roles = InsuranceReaders::new(&cards.config.emergency.role_readers);
        let (place, mut hpc) = roles.open(&request.role_reader, |name| caller.origin.sees_reader(name))?;
        let typed = typed(&pin)?;
        let at = RoleCard { state: &cards, place, client };
        let turn = cards.pins.turn(&at.name());
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        cards.pins.admit_at(&at.name(), &at.client, Instant::now())?;
        let mut ask = |asked: &Asked<'_>| match &typed {
            Some(pin) => Some(Entered::Typed(pin.clone())),
            None => asked.pad.then_some(Entered::OnPad),
        };
        let professional = Some(Professional { card: hpc.as_mut(), ask: &mut ask });
        let keys = Keys { professional, reason: Some(reason), last_try: pin.last_try, ..Keys::default() };
        let opened = access::read_emergency_data(egk.as_mut(), keys).map_err(Refusal::from);
        at.note(&opened);
        let opened = opened?;
        // The card may have been changed for another since its number was read.
        if opened.data.insured.kvnr.as_ref().is_some_and(|kvnr| cards.pseudonyms.name(kvnr) != patient) {
            return Err(Rejected::Patient.into());
        }
        Ok::<_, Refusal>((opened.data, opened.access.rights))
    })
    .await??;
    let now = OffsetDateTime::now_utc();
    entry.remark = Some(format!("case {}; EF.NFD; {code}; rights {rights:?}", loaded.id));
    loaded.case.accesses.push(Access { at: now, what: "EF.NFD".to_owned() });
    let audit_sequence = keep(state, &loaded, entry, now).await?;
    answer(data, &rights, audit_sequence)
}

/// The professional's card in a reader, for the limits of wrong PINs and the metrics. Its number is not known, so what is
/// counted for it stays with the reader.
struct RoleCard<'a> {
    state: &'a State,
    place: String,
    client: String,
}

impl RoleCard<'_> {
    fn name(&self) -> String {
        format!("role/{}", self.place)
    }

    fn note<T>(&self, result: &Result<T, Refusal>) {
        let (result, outcome) = match result {
            Ok(_) => (Ok(()), "OK"),
            Err(Refusal::Token(wrong @ TokenError::PinIncorrect(_))) => {
                (Err(wrong), Refusal::reason_of(wrong))
            }
            // The PIN was not compared, or what came after it went wrong.
            Err(_) => return,
        };
        self.state.pins.learn_at(&self.name(), &self.client, result, Instant::now());
        self.state.metrics.card(&self.place, "PIN", outcome);
    }
}

/// The approved case that the caller's token is for.
async fn authorized(state: &Arc<State>, caller: &Caller, now: OffsetDateTime) -> Result<Loaded, Refusal> {
    let token = caller.token.as_ref().ok_or(Refusal::TokenRequired)?;
    let (claims, loaded) = live(state, token, now).await?;
    let scopes = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect::<Vec<Scope>>();
    let granted: Vec<&str> = claims.scope.split(' ').collect();
    if !scope::covers(&scopes(&granted), &scopes(&NEEDED)) {
        return Err(Refusal::ScopeMissing { scope: "patient/Condition.r and the like" });
    }
    Ok(loaded)
}

/// A PIN of the right form, if one was sent; without, it is entered at the reader.
fn typed(entry: &PinEntry) -> Result<Option<Pin>, Refusal> {
    let Some(value) = &entry.value else { return Ok(None) };
    let pin = Pin::parse(value.expose_secret().as_bytes(), DIGITS.0, DIGITS.1);
    Ok(Some(pin.map_err(|_| TokenError::PinFormat)?))
}

fn answer(
    data: EmergencyData,
    rights: &[u8],
    audit_sequence: u64,
) -> Result<v1::ReadEmergencyDataResponse, Refusal> {
    let json = serde_json::to_string(&data);
    Ok(v1::ReadEmergencyDataResponse {
        json: json.map_err(|_| Refusal::Internal("emergency data could not be written"))?,
        rights: rights.iter().map(|right| u32::from(*right)).collect(),
        audit_sequence,
        xml: data.xml,
    })
}

impl From<AccessError> for Refusal {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::NotAnEgk => InsuranceError::Foreign.into(),
            AccessError::LastTry { .. } => TokenError::LastTry.into(),
            AccessError::NotEntered { .. } => TokenError::PinRequired.into(),
            AccessError::Pin { source, .. } => pin_refused(source),
            AccessError::Transport(error) => InsuranceError::from(error).into(),
            other => Refusal::EmergencyData(other.to_string()),
        }
    }
}

fn pin_refused(error: PinError) -> Refusal {
    match error {
        PinError::Format(_) => TokenError::PinFormat.into(),
        PinError::Wrong { tries: 0 } => TokenError::PinIncorrect(Tries::None).into(),
        PinError::Wrong { tries: 1 } => TokenError::PinIncorrect(Tries::Final).into(),
        PinError::Wrong { .. } => TokenError::PinIncorrect(Tries::Low).into(),
        PinError::Blocked => TokenError::PinBlocked.into(),
        PinError::State(PinStatus::TransportPin | PinStatus::EmptyPin) => TokenError::PinNotSet.into(),
        other => Refusal::EmergencyData(other.to_string()),
    }
}
