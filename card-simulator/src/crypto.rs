//! Keys and what a card computes with them.

mod elc;
mod pace;
mod private_key;
mod published;
mod secure_channel;

pub(crate) use pace::{PROTOCOL as PACE_PROTOCOL, Pace, Progress, Refusal};
pub(crate) use private_key::{CryptoError, PrivateKey};
pub(crate) use published::is_published;
pub(crate) use secure_channel::{Broken, SecureChannel};
