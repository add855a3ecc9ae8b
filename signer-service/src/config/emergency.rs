//! The section `[emergency]`: access by two persons.

use card::transport::ReaderSpec;
use serde::Deserialize;

use super::{ConfigError, sections::reader_specs};
use crate::emergency::LONGEST;

/// Emergency access.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Emergency {
    /// Whether there is any.
    pub enabled: bool,
    /// Longest access.
    pub max_minutes: u32,
    /// What to do when a responder does not answer.
    pub offline: Offline,
    /// Readers of the card that proves its role to insurance cards.
    #[serde(deserialize_with = "reader_specs")]
    pub role_readers: Vec<ReaderSpec>,
}

/// When nobody knows whether a certificate is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offline {
    /// No emergency access.
    Deny,
    /// Emergency access all the same; the record says so.
    Allow,
}

impl Default for Emergency {
    fn default() -> Self {
        Emergency { enabled: false, max_minutes: LONGEST, offline: Offline::Deny, role_readers: Vec::new() }
    }
}

impl Emergency {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if (1..=LONGEST).contains(&self.max_minutes) {
            return Ok(());
        }
        let (expected, got) = ("1 to 30", self.max_minutes.to_string());
        Err(ConfigError::Value { key: "emergency.max_minutes", expected, got })
    }
}
