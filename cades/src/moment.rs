//! Instants as ASN.1 writes them.

use std::time::Duration;

use der::Decode;
use der::asn1::GeneralizedTime;
use time::OffsetDateTime;

use crate::tlv::{Element, tag};

/// The instant this long after 1970; `None` beyond the supported years.
pub(crate) fn since_epoch(duration: Duration) -> Option<OffsetDateTime> {
    let seconds = i64::try_from(duration.as_secs()).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// A GeneralizedTime in the form of RFC 5280 clause 4.1.2.5.2: whole seconds, Z.
pub(crate) fn generalized(element: Element<'_>) -> Option<OffsetDateTime> {
    if element.tag != tag::GENERALIZED_TIME {
        return None;
    }
    since_epoch(GeneralizedTime::from_der(element.raw).ok()?.to_unix_duration())
}
