//! Keys and what a card computes with them.

mod elc;
mod private_key;
mod published;

pub(crate) use private_key::{CryptoError, PrivateKey};
pub(crate) use published::is_published;
