//! Why somebody reads medical data without asking the patient.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use thiserror::Error;

/// A reason: 3 to 500 characters, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason(String);

/// A text that is no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a reason has 3 to 500 characters and no control characters")]
pub struct ReasonError;

impl FromStr for Reason {
    type Err = ReasonError;

    fn from_str(text: &str) -> Result<Reason, ReasonError> {
        let text = text.trim();
        let fits = (3..=500).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if fits { Ok(Reason(text.to_owned())) } else { Err(ReasonError) }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_more_than_nothing() {
        assert_eq!("  found unconscious ".parse::<Reason>().unwrap().to_string(), "found unconscious");
        for text in ["", "  ", "x", "two\nlines", &"x".repeat(501)] {
            assert_eq!(text.parse::<Reason>(), Err(ReasonError), "{text:?}");
        }
    }
}
