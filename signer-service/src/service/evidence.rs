//! What is known of a certificate before it signs.

use std::sync::Arc;

use cades::ocsp::Status;
use proto::v1::{self, certificate_status::State as StatusState};

use super::{Refusal, State, convert};
use crate::ocsp::{self, Known};

/// The answer of the certificate's OCSP responder, if it was asked and believed.
pub(super) enum Evidence {
    NotAsked,
    Good(Arc<Known>),
    Unavailable(String),
}

impl Evidence {
    pub(super) fn response(&self) -> Option<&[u8]> {
        match self {
            Evidence::Good(known) => Some(&known.response),
            Evidence::NotAsked | Evidence::Unavailable(_) => None,
        }
    }

    /// As it is answered, and the finding it makes.
    pub(super) fn shown(&self) -> (v1::CertificateStatus, Option<v1::Finding>) {
        match self {
            Evidence::NotAsked => (convert::no_status(StatusState::NotChecked, String::new()), None),
            Evidence::Good(known) => (convert::status(&known.answer), None),
            Evidence::Unavailable(why) => {
                (convert::no_status(StatusState::Unusable, why.clone()), Some(convert::no_evidence(why)))
            }
        }
    }
}

/// Asks before the PIN: a certificate that is known to be worthless spends none. A responder that is down does not
/// keep a doctor from prescribing.
pub(super) async fn evidence(state: &State, certificate: &[u8]) -> Result<Evidence, Refusal> {
    if !state.config.ocsp.embed {
        return Ok(Evidence::NotAsked);
    }
    match state.ocsp.status(certificate, &state.anchors, ocsp::FRESH).await {
        Ok(known) if known.answer.status == Status::Good => Ok(Evidence::Good(known)),
        Ok(known) => Err(Refusal::Revoked(known.answer.status)),
        Err(error) => Ok(Evidence::Unavailable(error.to_string())),
    }
}
