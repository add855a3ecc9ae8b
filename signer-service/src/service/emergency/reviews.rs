//! Reviews that are overdue: who watches the service sees them, and their requesters get no further access meanwhile.

use time::{Duration, OffsetDateTime};

use super::super::{Refusal, State};
use super::read;
use crate::{audit::cases::Unreviewed, config::OverdueReviews, emergency::Rejected};

/// Cases that wait for a review, of all nodes that share the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::service) struct Reviews {
    /// Their access is over, and nobody looked at it.
    pub(in crate::service) wanted: usize,
    /// Of these, so many should have been looked at by now.
    pub(in crate::service) overdue: usize,
}

/// Counts the reviews that are wanted.
pub(in crate::service) async fn count(state: &State) -> Result<Reviews, Refusal> {
    let now = OffsetDateTime::now_utc();
    let wanted = wanted(state, now.unix_timestamp()).await?;
    let due = due(state, now);
    let overdue = wanted.iter().filter(|case| case.ends_at <= due).count();
    Ok(Reviews { wanted: wanted.len(), overdue })
}

/// Refuses a request of somebody whose earlier accesses are overdue for review, if that is configured.
pub(super) async fn refuse_overdue(state: &State, requester: &str) -> Result<(), Refusal> {
    if state.config.emergency.overdue_reviews == OverdueReviews::Report {
        return Ok(());
    }
    let overdue = wanted(state, due(state, OffsetDateTime::now_utc())).await?;
    match overdue.iter().filter(|case| case.requester == requester).count() {
        0 => Ok(()),
        count => Err(Rejected::ReviewsOverdue { count }.into()),
    }
}

/// Accesses that ended before this, in seconds since 1970, are overdue.
pub(super) fn due(state: &State, now: OffsetDateTime) -> i64 {
    (now - Duration::hours(i64::from(state.config.emergency.review_hours))).unix_timestamp()
}

/// Cases that were over at this time (seconds since 1970) and wait for their review.
async fn wanted(state: &State, over: i64) -> Result<Vec<Unreviewed>, Refusal> {
    let mut found = Vec::new();
    for case in state.audit.unreviewed_cases(over).await.map_err(Refusal::Audit)? {
        let wants = match &case.unknown {
            None => true,
            // Kept by an earlier version of the service.
            Some(kept) => {
                let wants = read(&kept.body)?.wants_review();
                state.audit.settle_review(&case.id, kept.version, wants).await.map_err(Refusal::Audit)?;
                wants
            }
        };
        if wants {
            found.push(case);
        }
    }
    Ok(found)
}
