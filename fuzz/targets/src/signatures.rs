//! CMS from anywhere.

use cades::{Policy, TrustAnchors, verify};
use time::OffsetDateTime;

/// A CMS, or bytes that claim to be one.
pub(crate) fn cms(input: &[u8]) {
    // The moment is fixed so that the same input always does the same.
    let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).expect("a moment");
    if let Ok(report) = verify(input, &TrustAnchors::default(), now) {
        let judgement = report.judge(&Policy::default());
        let _ = format!("{judgement:?}");
    }
}
