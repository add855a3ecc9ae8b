//! What the service does beside its calls: from time to time, when it is told to, and for those who watch it.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tonic::{Extensions, Status};

use super::{Origin, Signer, State, blocking, comfort, emergency};
use crate::{
    config::{Config, ConfigError},
    metrics::{Look, Metrics},
    ocsp,
    token::{CertificateObject, Place},
};

impl Signer {
    /// May this connection make this call of another service?
    ///
    /// # Errors
    /// The status it is refused with.
    pub fn admits(&self, call: &'static str, connection: &Extensions) -> Result<(), Status> {
        Origin::of(connection, &self.state.access).may_call(call).map_err(|refusal| refusal.status())
    }

    /// Reads the permissions of clients again and answers how many there are.
    ///
    /// # Errors
    /// The configuration cannot be read; everything stays as it was.
    pub fn reload_clients(&self) -> Result<usize, ConfigError> {
        let clients = Config::load(&self.state.config.file)?.clients;
        self.state.access.replace(&clients);
        Ok(clients.len())
    }

    /// How often answers of OCSP responders are renewed, if at all.
    pub fn renewal_period(&self) -> Option<Duration> {
        let minutes = self.state.config.ocsp.prefetch_minutes;
        (self.state.config.ocsp.embed && minutes > 0).then(|| Duration::from_secs(minutes * 60))
    }

    /// Has the answers for the signature certificates of all plugged cards at hand.
    pub async fn renew_evidence(&self) {
        let state = Arc::clone(&self.state);
        let Ok(Ok(tokens)) = blocking(move || state.module.tokens()).await else { return };
        let mut lacking = 0;
        for token in tokens.iter() {
            let signs = |found: &&CertificateObject| {
                found.certificate.usage.is_some_and(|usage| usage.document_signature)
            };
            for found in token.certificates.iter().filter(signs) {
                let (der, age) = (&found.certificate.der, ocsp::FRESH / 2);
                if let Err(error) = self.state.ocsp.status(der, &self.state.anchors, age).await {
                    lacking += 1;
                    tracing::warn!(%error, "no OCSP answer for a plugged card");
                }
            }
        }
        if lacking == 0 {
            tracing::debug!("OCSP answers for the plugged cards are at hand");
        }
    }

    /// Ends comfort sessions whose time is up or whose card is gone, and locks cards nobody keeps unlocked.
    pub async fn sweep(&self) {
        comfort::sweep(&self.state).await;
    }

    /// Looks where cards are, without a command to any. If the module does not answer: what was seen before.
    pub async fn look(&self) -> Vec<Place> {
        let before = self.places();
        let (state, known) = (Arc::clone(&self.state), before.clone());
        let Ok(Ok(places)) = blocking(move || state.module.places(&known)).await else { return before };
        for commands in places.iter().filter_map(|place| place.commands.as_ref()) {
            self.state.metrics.commands(&commands.reader, commands.count);
        }
        *self.state.places.lock().unwrap_or_else(PoisonError::into_inner) = places.clone();
        places
    }

    /// Counts the reviews of emergency accesses that are wanted, for the metrics; answers whether one is overdue. Nothing if
    /// there is no emergency access, or the database does not say.
    pub async fn look_at_reviews(&self) -> Option<bool> {
        if !self.state.config.emergency.enabled {
            return None;
        }
        match emergency::count_reviews(&self.state).await {
            Ok(reviews) => {
                self.state.metrics.reviews(reviews.wanted, reviews.overdue);
                Some(reviews.overdue > 0)
            }
            Err(error) => {
                tracing::warn!(%error, "reviews of emergency accesses could not be counted");
                None
            }
        }
    }

    /// What is measured.
    pub fn metrics(&self) -> Arc<Metrics> {
        Arc::clone(&self.state.metrics)
    }

    /// Makes the text of all metrics. Does not keep the service from its end; after that there is nothing to tell.
    pub fn metrics_text(&self) -> impl Fn() -> String + Send + Sync + 'static {
        let state = Arc::downgrade(&self.state);
        move || state.upgrade().map(|state| metrics_text(&state)).unwrap_or_default()
    }

    fn places(&self) -> Vec<Place> {
        places(&self.state)
    }
}

fn places(state: &State) -> Vec<Place> {
    state.places.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn metrics_text(state: &State) -> String {
    let places = places(state);
    let pin = |place: &Place| {
        let token = place.token.as_ref()?;
        Some(token.pin_state.as_str_name().trim_start_matches("PIN_STATE_").to_owned())
    };
    let slot_of = |card: &str| {
        let holds = |place: &&Place| place.token.as_ref().is_some_and(|token| token.card == card);
        places.iter().find(holds).map_or_else(String::new, |place| place.name.clone())
    };
    let budget = state.config.comfort.card_signatures;
    let sessions = state.comfort.budgets(time::OffsetDateTime::now_utc());
    let look = Look {
        slots: places.iter().map(|place| (place.name.clone(), place.is_usable(), pin(place))).collect(),
        sessions: sessions
            .into_iter()
            .map(|(card, left, signed)| (slot_of(&card), left, budget.map(|all| all.saturating_sub(signed))))
            .collect(),
        ocsp_oldest: state.ocsp.oldest(),
    };
    state.metrics.text(&look).unwrap_or_default()
}
