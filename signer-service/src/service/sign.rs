//! SignPrescription: one document, one PIN or one signature of a comfort session, one signature.

use std::sync::Arc;

use proto::v1;

use super::{
    Caller, Refusal, State, clinician, comfort,
    document::{Authority, Document, Verify},
    find_key, once, secret, selector,
};
use crate::{audit::Entry, token::Purpose};

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    mut request: v1::SignPrescriptionRequest,
) -> Result<v1::SignPrescriptionResponse, Refusal> {
    let key = once::read_key(&request.idempotency_key)?.map(|key| caller.own(key));
    let entry = Entry::new(caller.request_id.clone(), "SignPrescription");
    let (content, check) = (std::mem::take(&mut request.prescription), request.insurance_check.take());
    let mut document = Document::read(&state, content, check, entry).await?;
    if let Some(key) = key {
        let claim = once::claim(&state, &key).await?;
        match document.take_key(&state, claim).await {
            Ok(None) => {}
            Ok(Some(answer)) => return Ok(answer),
            Err(refusal) => {
                document.refused(&state, &refusal).await;
                return Err(refusal);
            }
        }
    }
    sign(&state, caller, document, request).await
}

async fn sign(
    state: &Arc<State>,
    caller: Caller,
    mut document: Document,
    request: v1::SignPrescriptionRequest,
) -> Result<v1::SignPrescriptionResponse, Refusal> {
    let (card, pin) = (request.card, secret(request.pin));
    let prepared = async {
        let selector = selector(card)?;
        document.examine(state, &caller.origin).await?;
        let chosen = find_key(state, &caller, selector, Purpose::Signature).await?;
        clinician::authorize(state, &caller, &chosen).await?;
        let evidence = document.examine_signer(state, &chosen).await?;
        let comfort = comfort::admit(state, &caller, &chosen, &request.comfort_user_id).await?;
        Ok::<_, Refusal>((chosen, evidence, comfort))
    };
    let (chosen, evidence, comfort) = match prepared.await {
        Ok(prepared) => prepared,
        Err(refusal) => {
            document.refused(state, &refusal).await;
            return Err(refusal);
        }
    };
    let authority = comfort.clone().map_or(Authority::Pin(pin), Authority::Comfort);
    let card = chosen.token.card();
    let mut ready = document.ready(chosen, evidence);
    if let Err(refusal) = ready.sign(state, &caller, authority, Verify::AtOnce).await {
        ready.into_document().refused(state, &refusal).await;
        return Err(refusal);
    }
    let mut answer = ready.finish(state).await?;
    answer.comfort_session = comfort.map(|session| comfort::shown(state, &card, &session));
    Ok(answer)
}
