//! What is noted of each use of a card: for the limits of wrong PINs, and for the metrics.

use std::time::Instant;

use super::{Caller, Chosen, Refusal, State};
use crate::{signature::SignatureError, token::TokenError};

/// Notes what a card was asked for and what came of it. `with_pin`: a PIN was to be sent to it.
pub(super) fn note<T>(
    state: &State,
    caller: &Caller,
    chosen: &Chosen,
    (operation, with_pin): (&'static str, bool),
    result: &Result<T, Refusal>,
) {
    let result = match result {
        Ok(_) => Ok(()),
        Err(Refusal::Token(error) | Refusal::Signature(SignatureError::Token(error))) => Err(error),
        // The card was not asked, or has nothing to do with it.
        Err(_) => return,
    };
    let outcome = match result {
        Ok(()) => "OK",
        Err(error) => Refusal::reason_of(error),
    };
    let slot = &chosen.token.slot_name;
    if with_pin {
        state.pins.learn(&chosen.token, &caller.pin_client(), result, Instant::now());
        // Only these two say that the card compared a PIN.
        if matches!(result, Ok(()) | Err(TokenError::PinIncorrect(_))) {
            state.metrics.card(slot, "PIN", outcome);
        }
    }
    state.metrics.card(slot, operation, outcome);
}
