//! AuthenticateClinician: challenge, PIN, signature of the authentication key, check, record.

use std::{sync::Arc, time::Instant};

use proto::v1;
use time::OffsetDateTime;

use super::{
    Caller, Chosen, Refusal, State, blocking, card_use,
    clinician::{self, Issued, Wish},
    convert, find_key, recorded, secret, selector,
};
use crate::{
    audit::Entry,
    authentication::{self, Proof},
    clinician::scope::Scope,
    signature::{self, SignatureError},
    times::Steps,
    token::{PinEntry, Purpose, Selector},
};

/// Shortest nonce of a caller, and length of the service's own.
const NONCE: usize = 32;

/// Scopes of one request.
const SCOPES: usize = 100;

struct Order {
    selector: Selector,
    pin: PinEntry,
    nonce: Vec<u8>,
    challenge: Vec<u8>,
    wish: Option<Wish>,
}

/// What the key did.
pub(super) struct Done {
    pub(super) algorithm: cades::Algorithm,
    /// r and s in full width, or the RSA number.
    pub(super) raw: Vec<u8>,
    pub(super) proof: Proof,
}

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    request: v1::AuthenticateClinicianRequest,
) -> Result<v1::AuthenticateClinicianResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "AuthenticateClinician");
    let result = attempt(&state, caller, request, &mut entry).await;
    let (mut answer, audit_sequence) = recorded(&state, entry, result).await?;
    answer.audit_sequence = audit_sequence;
    Ok(answer)
}

async fn attempt(
    state: &Arc<State>,
    caller: Caller,
    request: v1::AuthenticateClinicianRequest,
    entry: &mut Entry,
) -> Result<v1::AuthenticateClinicianResponse, Refusal> {
    let mut steps = Steps::start();
    let mut order = read_request(request)?;
    let (wish, client) = (order.wish.take(), caller.client.clone());
    let (nonce, challenge) = (order.nonce.clone(), order.challenge.clone());
    let chosen = find_key(state, &caller, order.selector.clone(), Purpose::Authentication).await?;
    let certificate = chosen.certificate.certificate.clone();
    chosen.name_in(entry, state);
    steps.done("find key");
    if wish.is_some() {
        clinician::check_status(state, &certificate.der).await?;
        steps.done("certificate status");
    }
    let (done, used) = prove(state, caller, chosen.clone(), order.pin, order.challenge).await?;
    steps.extend(used);
    let issued = match wish {
        None => None,
        Some(wish) => Some(clinician::issue(state, &client, &chosen, &done.proof, wish).await?),
    };
    if let Some(issued) = &issued {
        let granted: Vec<String> = issued.granted.iter().map(ToString::to_string).collect();
        let version = &state.clinicians.policy().version;
        entry.remark = Some(format!("granted: {}; professions {version}", granted.join(" ")));
    }
    let (token, granted, refused) = shown(issued);
    Ok(v1::AuthenticateClinicianResponse {
        certificate: Some(convert::certificate(&certificate)),
        signed_bytes: challenge,
        nonce,
        algorithm: signature::algorithm_name(done.algorithm).to_owned(),
        signature_der: done.proof.signature_der,
        signature_raw: done.raw,
        profession_oids: done.proof.profession_oids,
        telematik_id: done.proof.telematik_id.unwrap_or_default(),
        chain: convert::chain(&done.proof.chain).into(),
        times: convert::steps(&steps),
        audit_sequence: 0,
        cms: done.proof.cms,
        expires_at: token.as_ref().map(|(_, expires_at)| convert::timestamp(*expires_at)),
        access_token: token.map(|(token, _)| token).unwrap_or_default(),
        granted_scopes: granted,
        refused_scopes: refused,
    })
}

type Shown = (Option<(String, OffsetDateTime)>, Vec<String>, Vec<v1::RefusedScope>);

fn shown(issued: Option<Issued>) -> Shown {
    let Some(issued) = issued else { return Shown::default() };
    let granted = issued.granted.iter().map(ToString::to_string).collect();
    (
        Some((issued.token, issued.expires_at)),
        granted,
        issued.refused.into_iter().map(convert::refused_scope).collect(),
    )
}

fn read_request(mut request: v1::AuthenticateClinicianRequest) -> Result<Order, Refusal> {
    let refuse = |field, problem| Err(Refusal::BadRequest { field, problem });
    let pin = secret(request.pin.take());
    if request.audience.chars().count() > 200 || request.audience.chars().any(char::is_control) {
        return refuse("audience", "at most 200 characters, no control characters");
    }
    let nonce = match request.nonce.len() {
        0 => {
            let mut nonce = vec![0; NONCE];
            getrandom::fill(&mut nonce).map_err(|_| Refusal::Internal("no random numbers"))?;
            nonce
        }
        NONCE..=256 => request.nonce,
        _ => return refuse("nonce", "32 to 256 bytes, or none"),
    };
    let challenge = authentication::challenge(&request.audience, &nonce);
    if request.scopes.len() > SCOPES || request.consent.len() > SCOPES {
        return refuse("scopes", "at most 100");
    }
    let consent: Result<Vec<Scope>, _> = request.consent.iter().map(|text| text.parse()).collect();
    let Ok(consent) = consent else {
        return refuse("consent", "expected scopes, e.g. patient/Observation.rs");
    };
    let wish = Wish { audience: request.audience, scopes: request.scopes, consent };
    let wish = (!wish.scopes.is_empty()).then_some(wish);
    Ok(Order { selector: selector(request.card)?, pin, nonce, challenge, wish })
}

/// Has the authentication key of a card sign a text, and checks signature and certificate.
pub(super) async fn prove(
    state: &Arc<State>,
    caller: Caller,
    chosen: Chosen,
    pin: PinEntry,
    text: Vec<u8>,
) -> Result<(Done, Steps), Refusal> {
    let mut steps = Steps::start();
    let mut turn = caller.turn(&state.metrics, &chosen, chosen.queue.alone()).await?;
    steps.done("wait for the card");
    let (shared, client, used) = (Arc::clone(state), caller.pin_client(), chosen.clone());
    let proved = blocking(move || {
        shared.pins.admit(&chosen.token, &client, Instant::now())?;
        let certificate = &chosen.certificate.certificate;
        let algorithm = cades::Algorithm::for_certificate(&certificate.der)
            .map_err(|error| SignatureError::Build(error.into()))?;
        let digest = authentication::digest(algorithm, &text);
        let key_label = shared.config.authentication.key_label.as_deref();
        let choice = chosen.choice();
        let (pin, purpose) = (&pin, Purpose::Authentication);
        let mut key = shared.module.unlock(&mut turn, &choice, key_label, pin, purpose)?;
        steps.done("PIN");
        let raw = key.sign(algorithm, &digest)?;
        steps.done("card signature");
        drop(key);
        drop(turn);
        steps.done("lock the card");
        let now = OffsetDateTime::now_utc();
        let proof = authentication::verify(&text, certificate, algorithm, &raw, &shared.anchors, now)?;
        steps.done("verification");
        Ok((Done { algorithm, raw, proof }, steps))
    })
    .await?;
    card_use::note(state, &caller, &used, ("authentication", true), &proved);
    proved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(nonce: Vec<u8>, audience: &str) -> Result<Order, Refusal> {
        read_request(v1::AuthenticateClinicianRequest {
            nonce,
            audience: audience.into(),
            ..Default::default()
        })
    }

    #[test]
    fn the_service_makes_a_nonce_of_32_bytes_and_never_the_same() {
        let (first, second) = (order(vec![], "a").unwrap(), order(vec![], "a").unwrap());
        assert_eq!(first.nonce.len(), 32);
        assert_ne!(first.nonce, second.nonce);
    }

    #[test]
    fn short_and_long_nonces_are_refused() {
        for length in [1, 31, 257] {
            assert!(matches!(order(vec![7; length], ""), Err(Refusal::BadRequest { field: "nonce", .. })));
        }
        assert_eq!(order(vec![7; 256], "").unwrap().nonce.len(), 256);
    }

    #[test]
    fn an_audience_cannot_add_lines_to_the_challenge() {
        assert!(matches!(order(vec![], "a\nb"), Err(Refusal::BadRequest { field: "audience", .. })));
    }
}
