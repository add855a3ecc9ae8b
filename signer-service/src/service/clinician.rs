//! Tokens of clinicians: made at the end of AuthenticateClinician, demanded by the calls that use a signature key.

use std::sync::Arc;

use cades::{Chain, ocsp::Status};
use proto::v1;
use time::{Duration, OffsetDateTime};

use super::{Caller, Chosen, Refusal, State, blocking, convert};
use crate::{
    authentication::Proof,
    clinician::{
        ClinicianSession, NotValid, Person,
        scope::{self, Refused, Scope},
        token::Claims,
    },
    config::{CertificateCheck, TokenDemand},
    ocsp,
    token::{TokenError, TokenView},
};

/// A token and what it grants.
pub(super) struct Issued {
    pub(super) token: String,
    pub(super) claims: Claims,
    pub(super) expires_at: OffsetDateTime,
    pub(super) granted: Vec<Scope>,
    pub(super) refused: Vec<Refused>,
}

/// What a clinician asks for.
pub(super) struct Wish {
    pub(super) audience: String,
    pub(super) scopes: Vec<String>,
    pub(super) consent: Vec<Scope>,
}

/// Asks for the state of a certificate that is to name a clinician, before its PIN is used.
pub(super) async fn check_status(state: &State, certificate: &[u8]) -> Result<(), Refusal> {
    let demand = state.config.clinicians.revocation;
    if demand == CertificateCheck::Off {
        return Ok(());
    }
    match state.ocsp.status(certificate, &state.anchors, ocsp::FRESH).await {
        Ok(known) if known.answer.status == Status::Good => Ok(()),
        Ok(known) => Err(Refusal::Revoked(known.answer.status)),
        Err(_) if demand == CertificateCheck::IfReachable => Ok(()),
        Err(_) => Err(Refusal::StatusUnknown),
    }
}

/// Opens a session for whoever gave this proof.
pub(super) async fn issue(
    state: &Arc<State>,
    caller_client: &str,
    chosen: &Chosen,
    proof: &Proof,
    wish: Wish,
) -> Result<Issued, Refusal> {
    check_chain(proof)?;
    let insertion = insertion(state, &chosen.token).await?.ok_or(TokenError::Removed)?;
    let policy = state.clinicians.policy();
    let (granted, refused) = scope::grant(&wish.scopes, &proof.profession_oids, &wish.consent, policy);
    let now = OffsetDateTime::now_utc();
    let expires_at = now + Duration::seconds(i64::from(state.config.clinicians.token_seconds));
    let certificate = &chosen.certificate.certificate;
    let named = format!("{}#{}", certificate.issuer, certificate.serial);
    let claims = Claims {
        sub: proof.telematik_id.clone().unwrap_or(named),
        aud: wish.audience,
        exp: expires_at.unix_timestamp(),
        scope: granted.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        telematik_id: proof.telematik_id.clone(),
        profession: proof.profession_oids.first().cloned(),
        certificate_serial: certificate.serial.clone(),
        certificate_issuer: certificate.issuer.clone(),
        ..claims_of(state, caller_client, now)
    };
    let person = Person::of(&chosen.token, &certificate.der);
    let token =
        state.clinicians.open(&claims, person, granted.clone(), TokenView::clone(&chosen.token), insertion);
    let token = token.ok_or(Refusal::Internal("a token could not be made"))?;
    Ok(Issued { token, claims, expires_at, granted, refused })
}

/// What every token says, whoever it names.
pub(super) fn claims_of(state: &State, client: &str, now: OffsetDateTime) -> Claims {
    Claims {
        iss: state.config.clinicians.issuer.clone(),
        iat: now.unix_timestamp(),
        jti: uuid::Uuid::new_v4().to_string(),
        client_id: if client.is_empty() { "local".to_owned() } else { client.to_owned() },
        amr: ["mfa", "sc", "pin"].map(str::to_owned).to_vec(),
        ..Claims::default()
    }
}

/// Nobody gets a token whose certificate leads to no trust anchor.
pub(super) fn check_chain(proof: &Proof) -> Result<(), Refusal> {
    match proof.chain {
        Chain::Ok => Ok(()),
        _ => Err(Refusal::ClinicianUntrusted(convert::chain(&proof.chain))),
    }
}

/// Which insertion the card of this token is, if it is there.
pub(super) async fn insertion(state: &Arc<State>, token: &TokenView) -> Result<Option<u64>, Refusal> {
    let (state, token) = (Arc::clone(state), token.clone());
    blocking(move || state.module.insertion(&token)).await
}

/// What a token says and the session it opened, if that still stands: its card is where it was.
pub(super) async fn session(
    state: &Arc<State>,
    token: &str,
) -> Result<(Claims, Arc<ClinicianSession>), Refusal> {
    let (claims, session) = state.clinicians.find(token, OffsetDateTime::now_utc())?;
    if insertion(state, &session.token).await? != Some(session.insertion) {
        state.clinicians.end(&claims.jti);
        return Err(NotValid::Ended.into());
    }
    Ok((claims, session))
}

/// May this caller use this signature card? With a token: only if it is the same person's, and grants it.
pub(super) async fn authorize(state: &Arc<State>, caller: &Caller, chosen: &Chosen) -> Result<(), Refusal> {
    let Some(token) = &caller.token else {
        let demanded = match state.config.clinicians.token_required {
            TokenDemand::Never => false,
            TokenDemand::Remote => caller.is_remote(),
            TokenDemand::Always => true,
        };
        return if demanded { Err(Refusal::TokenRequired) } else { Ok(()) };
    };
    let (_, session) = session(state, token).await?;
    if !session.scopes.contains(&Scope::Sign) {
        return Err(Refusal::ScopeMissing { scope: scope::SIGN });
    }
    let signer = Person::of(&chosen.token, &chosen.certificate.certificate.der);
    if session.person.is_same_as(&signer) { Ok(()) } else { Err(Refusal::OtherPerson) }
}

/// GetTokenKeys.
pub(super) async fn keys(
    state: Arc<State>,
    _caller: Caller,
    _request: v1::GetTokenKeysRequest,
) -> Result<v1::GetTokenKeysResponse, Refusal> {
    Ok(v1::GetTokenKeysResponse {
        jwks_json: state.clinicians.key().public_keys().to_string(),
        issuer: state.config.clinicians.issuer.clone(),
    })
}
