//! Speaking to one health professional card (HPC) or insurance card (eGK).
//!
//! The crate knows APDUs, PIN blocks, card profiles and three ways to reach a card (PC/SC, a socket, a test
//! double). It knows no PKCS#11, no gRPC and no clock, and it starts no thread: the caller decides when a card is
//! talked to, and everything that is not a method of a [`transport::Transport`], [`transport::Readers`] or
//! [`hpc::Hpc`] is free of I/O.
//!
//! Two rules hold everywhere. A PIN goes to the card at most once per call, whatever fails ([`hpc::Hpc::verify_pin`]).
//! And what a card says is data, not truth: every length is checked, every loop is bounded, nothing panics.
#![forbid(unsafe_code)]

pub mod apdu;
pub mod card_to_card;
pub mod catalogue;
pub mod cv_certificate;
pub mod egk;
pub mod file;
pub mod hpc;
pub mod identify;
pub mod pace;
pub mod pin;
pub mod pins;
pub mod profile;
pub mod public_key;
pub mod secure_messaging;
pub mod status;
pub mod survey;
pub mod tlv;
pub mod transport;
pub mod trusted_channel;

mod iccsn;
#[cfg(test)]
mod real_card;
#[cfg(test)]
mod script;
