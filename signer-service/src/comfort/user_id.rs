//! The user id of a comfort session: 128 bits that the client made at random, and the only proof it has later on
//! (gemSpec_Kon, A_20073-01).

use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::{Uuid, Variant, Version};

/// Different digits a random UUID has at the least; fewer happen by chance once in some billion.
const DIFFERENT_DIGITS: usize = 8;

/// A user id. It is a secret: there is no `Debug`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct UserId(Uuid);

/// Why a text is no user id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{}", self.text())]
pub enum UserIdError {
    /// Not 8-4-4-4-12 hexadecimal digits.
    Form,
    /// Made from a clock, a name or a number.
    Version,
    /// Marked as random, but made up by hand.
    NotRandom,
}

impl UserIdError {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            UserIdError::Form => "expected a UUID of the form 8-4-4-4-12",
            UserIdError::Version => "expected a random UUID (version 4)",
            UserIdError::NotRandom => "expected random digits",
        }
    }
}

impl FromStr for UserId {
    type Err = UserIdError;

    fn from_str(text: &str) -> Result<UserId, UserIdError> {
        if text.len() != 36 {
            return Err(UserIdError::Form);
        }
        let uuid = Uuid::try_parse(text).map_err(|_| UserIdError::Form)?;
        if uuid.get_version() != Some(Version::Random) || uuid.get_variant() != Variant::RFC4122 {
            return Err(UserIdError::Version);
        }
        let digits = uuid.simple().to_string();
        let different = (b'0'..=b'9').chain(b'a'..=b'f').filter(|digit| digits.as_bytes().contains(digit));
        if different.count() < DIFFERENT_DIGITS { Err(UserIdError::NotRandom) } else { Ok(UserId(uuid)) }
    }
}

impl UserId {
    /// What is kept of a used one.
    pub fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> UserIdError {
        text.parse::<UserId>().err().unwrap()
    }

    #[test]
    fn only_random_uuids_are_user_ids() {
        for _ in 0..100 {
            assert!(Uuid::new_v4().to_string().parse::<UserId>().is_ok());
        }
        assert_eq!(error("6e8bc430-9c3a-11d9-9669-0800200c9a66"), UserIdError::Version);
        assert_eq!(error("6e8bc430-9c3a-41d9-c669-0800200c9a66"), UserIdError::Version);
        assert_eq!(error("00000000-0000-0000-0000-000000000000"), UserIdError::Version);
        assert_eq!(error("12121212-1212-4121-8121-212121212121"), UserIdError::NotRandom);
        for text in
            ["", "doctor-7", "6e8bc4309c3a41d996690800200c9a66", "6e8bc430-9c3a-41d9-9669-0800200c9a6"]
        {
            assert_eq!(error(text), UserIdError::Form, "{text}");
        }
    }

    #[test]
    fn case_makes_no_other_user() {
        let (lower, upper) = ("6e8bc430-9c3a-41d9-9669-0800200c9a66", "6E8BC430-9C3A-41D9-9669-0800200C9A66");
        assert!(lower.parse::<UserId>().ok() == upper.parse().ok());
    }
}
