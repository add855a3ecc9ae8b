//! ListCards: what is plugged in, without a PIN and without asking an insurance card anything.

use std::sync::Arc;

use card::transport::CardPresence;
use proto::v1;

use super::{Caller, Refusal, State, blocking, convert};
use crate::{
    config::Config,
    insurance::InsuranceError,
    token::{CertificateObject, Purpose, TokenError, TokenView, best},
};

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    _request: v1::ListCardsRequest,
) -> Result<v1::ListCardsResponse, Refusal> {
    blocking(move || {
        let tokens = match state.module.tokens() {
            Ok(tokens) => tokens,
            // Nothing to list is an answer here.
            Err(
                TokenError::NoReader | TokenError::NoCard | TokenError::ForeignCard | TokenError::Removed,
            ) => Arc::default(),
            Err(error) => return Err(error.into()),
        };
        let readers = match state.readers.list() {
            Ok(readers) => readers,
            Err(InsuranceError::NoReader) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        let insurance_readers = readers
            .into_iter()
            .filter(|reader| caller.origin.sees_reader(&reader.name))
            .map(|reader| v1::Reader {
                card_present: reader.card == CardPresence::Present,
                name: reader.name,
            })
            .collect();
        let visible = tokens.iter().filter(|token| caller.origin.sees(token));
        let tokens = visible.map(|view| token(view, &state.config)).collect();
        Ok(v1::ListCardsResponse { tokens, insurance_readers })
    })
    .await?
}

fn token(view: &TokenView, config: &Config) -> v1::Token {
    let signs = best(view, &config.signing, Purpose::Signature);
    let authenticates = best(view, &config.authentication, Purpose::Authentication);
    let is = |chosen: Option<&CertificateObject>, object: &CertificateObject| {
        chosen.is_some_and(|chosen| std::ptr::eq(chosen, object))
    };
    v1::Token {
        label: view.label.clone(),
        serial_suffix: view.serial_suffix().to_owned(),
        model: view.model.clone(),
        slot: view.slot_name.clone(),
        pin_state: view.pin_state.into(),
        pin_pad: view.pin_pad,
        certificates: view
            .certificates
            .iter()
            .map(|object| v1::TokenCertificate {
                label: object.label.clone(),
                key_type: object.certificate.key.to_string(),
                purpose: object.certificate.purpose().into(),
                issuer: object.certificate.issuer.clone(),
                not_before: Some(convert::timestamp(object.certificate.not_before)),
                not_after: Some(convert::timestamp(object.certificate.not_after)),
                signs_prescriptions: is(signs, object),
                authenticates: is(authenticates, object),
            })
            .collect(),
    }
}
