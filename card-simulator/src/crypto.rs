//! Keys and what a card computes with them.

mod cvc;
mod elc;
mod pace;
mod private_key;
mod published;
mod secure_channel;
mod sender;
mod session_keys;
mod trusted_channel;

pub(crate) use cvc::{CvCertificate, Day, FlagList, Holder, Rights, is_role_proven, sign_role};
pub(crate) use pace::{Pace, PaceOffer, Progress, Refusal};
pub(crate) use private_key::{CryptoError, PrivateKey};
pub(crate) use published::is_published;
pub(crate) use secure_channel::{Broken, SecureChannel};
pub(crate) use sender::SenderKeys;
pub(crate) use session_keys::SessionKeys;
pub(crate) use trusted_channel::{End, TrustedChannel};
