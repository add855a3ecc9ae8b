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
/// How long watchers have to read that the service stops, before their streams end.
const NOTICE: Duration = Duration::from_millis(500);

/// The name of a slot's health.
fn named(slot: &str) -> String {
    format!("card/{slot}")
}

/// Keeps the health of cards true until the end is announced, and then says that nothing is served.
pub async fn keep(signer: Signer, mut reporter: HealthReporter, mut ending: watch::Receiver<bool>) {
    let mut known = BTreeSet::new();
    loop {
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
    for name in &known {
        reporter.set_service_status(name, ServingStatus::NotServing).await;
    }
    // A stream that is watched would keep its connection, and so the service.
    tokio::time::sleep(NOTICE).await;
    for name in &known {
        reporter.clear_service_status(name).await;
    }
}
