//! Keys and what a card computes with them.

mod cvc;
mod elc;
mod pace;
mod private_key;
mod published;
mod secure_channel;
mod trusted_channel;

pub(crate) use cvc::{CvCertificate, Day, FlagList, Holder, Rights, is_role_proven, sign_role};
pub(crate) use pace::{PROTOCOL as PACE_PROTOCOL, Pace, Progress, Refusal, SessionKeys};
pub(crate) use private_key::{CryptoError, PrivateKey};
pub(crate) use published::is_published;
pub(crate) use secure_channel::{Broken, SecureChannel};
pub(crate) use trusted_channel::TrustedChannel;
