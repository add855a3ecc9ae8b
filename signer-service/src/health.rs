//! Health of the service and of each card, as `grpc.health.v1` has it: Check and Watch under the empty name, the name of the
//! service, and `card/` with the module's name of a slot.

use std::{collections::BTreeSet, time::Duration};

use proto::v1::signer_service_server::SignerServiceServer;
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::service::Signer;

/// How often cards are looked for.
const LOOK: Duration = Duration::from_secs(2);
/// Every so many looks at cards, the reviews of emergency accesses are looked at.
const REVIEWS: usize = 5;
/// The name of their health.
const REVIEWS_NAME: &str = "emergency-reviews";
/// How long watchers have to read that the service stops, before their streams end.
const NOTICE: Duration = Duration::from_millis(500);

/// The name of a slot's health.
fn named(slot: &str) -> String {
    format!("card/{slot}")
}

/// NOT_SERVING while a review is overdue; no such name without emergency access. Answers whether there is.
async fn report_reviews(signer: &Signer, reporter: &mut HealthReporter) -> bool {
    let Some(overdue) = signer.look_at_reviews().await else { return false };
    let status = if overdue { ServingStatus::NotServing } else { ServingStatus::Serving };
    reporter.set_service_status(REVIEWS_NAME, status).await;
    true
}

/// Keeps the health of cards true until the end is announced, and then says that nothing is served.
pub async fn keep(signer: Signer, mut reporter: HealthReporter, mut ending: watch::Receiver<bool>) {
    let (mut known, mut reviews) = (BTreeSet::new(), false);
    for look in (0..REVIEWS).cycle() {
        if look == 0 {
            reviews |= report_reviews(&signer, &mut reporter).await;
        }
        let places = signer.look().await;
        for place in &places {
            let status = if place.is_usable() { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status(named(&place.name), status).await;
        }
        let seen: BTreeSet<String> = places.iter().map(|place| named(&place.name)).collect();
        for gone in known.difference(&seen) {
            reporter.clear_service_status(gone).await;
        }
        known = seen;
        tokio::select! {
            _ = ending.wait_for(|end| *end) => break,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    drop(signer);
    known.extend([String::new(), <SignerServiceServer<Signer> as NamedService>::NAME.to_owned()]);
    known.extend(reviews.then(|| REVIEWS_NAME.to_owned()));
    for name in &known {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
    }
    // A stream that is watched would keep its connection, and so the service.
    tokio::time::sleep(NOTICE).await;
    for name in &known {
        reporter.clear_service_status(name).await;
    }
}
