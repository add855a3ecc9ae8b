//! AnswerIdpChallenge: check the challenge, PIN, nested signature, check, encrypt, record.

use std::sync::Arc;

use proto::v1;
use time::OffsetDateTime;

use super::{Caller, Refusal, State, authenticate, convert, find_key, recorded, secret, selector};
use crate::{
    audit::Entry,
    idp::{Challenge, ProviderKey},
    signature::SignatureError,
    times::Steps,
    token::Purpose,
};

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    request: v1::AnswerIdpChallengeRequest,
) -> Result<v1::AnswerIdpChallengeResponse, Refusal> {
    let mut entry = Entry::new(caller.request_id.clone(), "AnswerIdpChallenge");
    let result = attempt(&state, caller, request, &mut entry).await;
    let (mut answer, audit_sequence) = recorded(&state, entry, result).await?;
    answer.audit_sequence = audit_sequence;
    Ok(answer)
}

async fn attempt(
    state: &Arc<State>,
    caller: Caller,
    mut request: v1::AnswerIdpChallengeRequest,
    entry: &mut Entry,
) -> Result<v1::AnswerIdpChallengeResponse, Refusal> {
    let mut steps = Steps::start();
    let pin = secret(request.pin.take());
    let signature_key = ProviderKey::read(&request.signature_key, "signature_key")?;
    let encryption_key = ProviderKey::read(&request.encryption_key, "encryption_key")?;
    let challenge = Challenge::read(&request.challenge, &signature_key, OffsetDateTime::now_utc())?;
    steps.done("challenge");
    let chosen = find_key(state, &caller, selector(request.card.take())?, Purpose::NationalLogin).await?;
    let certificate = chosen.certificate.certificate.clone();
    chosen.name_in(entry, state);
    steps.done("find key");
    let algorithm = cades::Algorithm::for_certificate(&certificate.der)
        .map_err(|error| SignatureError::Build(error.into()))?;
    let unsigned = challenge.nest(&certificate.der, algorithm)?;
    let text = unsigned.signing_input.clone().into_bytes();
    let (done, used) = authenticate::prove(state, caller, chosen, pin, text).await?;
    steps.extend(used);
    let answer = unsigned.finish(&done.raw, &encryption_key)?;
    steps.done("encryption");
    Ok(v1::AnswerIdpChallengeResponse {
        encrypted: answer.encrypted,
        signed_challenge: answer.signed_challenge,
        certificate: Some(convert::certificate(&certificate)),
        chain: convert::chain(&done.proof.chain).into(),
        times: convert::steps(&steps),
        audit_sequence: 0,
    })
}
