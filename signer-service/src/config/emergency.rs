//! The section `[emergency]`: access by two persons.

use card::transport::ReaderSpec;
use serde::Deserialize;

use super::{ConfigError, sections::reader_specs};
use crate::emergency::LONGEST;

/// Longest time until a review is overdue, in hours: a year.
const LATEST_REVIEW: u32 = 8760;

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
    /// Hours from the end of an access until its review is overdue.
    pub review_hours: u32,
    /// What follows from an overdue review.
    pub overdue_reviews: OverdueReviews,
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

/// What follows from reviews that are overdue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OverdueReviews {
    /// Health and metrics tell, and whoever requested the access gets no further one.
    Refuse,
    /// Health and metrics tell.
    Report,
}

impl Default for Emergency {
    fn default() -> Self {
        Emergency {
            enabled: false,
            max_minutes: LONGEST,
            offline: Offline::Deny,
            review_hours: 72,
            overdue_reviews: OverdueReviews::Refuse,
            role_readers: Vec::new(),
        }
    }
}

impl Emergency {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refuse =
            |key, expected, got: u32| Err(ConfigError::Value { key, expected, got: got.to_string() });
        if !(1..=LONGEST).contains(&self.max_minutes) {
            return refuse("emergency.max_minutes", "1 to 30", self.max_minutes);
        }
        if self.review_hours > LATEST_REVIEW {
            return refuse("emergency.review_hours", "0 to 8760", self.review_hours);
        }
        Ok(())
    }
}
