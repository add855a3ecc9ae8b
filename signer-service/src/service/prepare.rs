//! PreparePrescription: a draft and the insurance card in a reader become a prescription.

use std::sync::Arc;

use proto::v1;
use time::OffsetDateTime;

use super::{Caller, Refusal, State, blocking, convert};
use crate::{
    german_time::german_day,
    prescription::{self, Card, PrepareError},
};

pub(super) async fn call(
    state: Arc<State>,
    caller: Caller,
    request: v1::PreparePrescriptionRequest,
) -> Result<v1::PreparePrescriptionResponse, Refusal> {
    let (limit, got) = (state.config.limits.prescription_bytes, request.draft.len());
    if got > limit {
        return Err(Refusal::TooLarge { limit, got });
    }
    blocking(move || {
        let (reader, record) = state.readers.read(&request.reader, |name| caller.origin.sees_reader(name))?;
        let card = Card {
            personal: &record.personal,
            coverage: &record.coverage,
            protected: record.protected.as_ref(),
        };
        let prepared = prescription::prepare(&request.draft, card, german_day(OffsetDateTime::now_utc()))?;
        let findings = record.findings.iter().chain(&prepared.findings).map(convert::card_finding).collect();
        let co_payment_filled = prepared.co_payment;
        Ok(v1::PreparePrescriptionResponse {
            prescription: prepared.content,
            reader,
            co_payment_filled,
            findings,
        })
    })
    .await?
}

impl From<PrepareError> for Refusal {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Xml(error) => Refusal::Malformed(error),
            PrepareError::Draft(problem) => Refusal::BadRequest { field: "draft", problem },
        }
    }
}
