//! Asks OCSP responders for the state of certificates, and keeps their answers.
//!
//! Every answer passes the rules of [`cades::ocsp`] before anybody sees it; nothing that fails them is kept. Kept
//! answers save the responder's round trip while a patient waits: signatures take one of up to [`FRESH`], half of
//! the twelve hours that the prescription service allows.

pub(crate) mod http;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use cades::{
    TrustAnchors,
    ocsp::{self, Answer, OcspError, RequestError, Rules},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::OffsetDateTime;

pub use http::HttpError;

use crate::config::{NonceRule, Ocsp};

/// How old an answer may be that goes into a signature.
pub const FRESH: Duration = Duration::from_secs(6 * 60 * 60);
/// Of RFC 6960 appendix A.
const OCSP: http::Types =
    http::Types { sent: "application/ocsp-request", wanted: "application/ocsp-response" };
/// Kept answers; the oldest goes first. A hospital's cards and the signers it verifies in a day.
const CAPACITY: usize = 4096;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum StatusError {
    /// The question cannot be asked.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The certificate names no responder.
    #[error("the certificate names no OCSP responder")]
    NoResponder,
    /// The responder cannot be reached, or does not speak HTTP as expected.
    #[error("the OCSP responder is not available: {0}")]
    Unavailable(#[from] HttpError),
    /// It answered, and the answer counts for nothing.
    #[error(transparent)]
    Answer(#[from] OcspError),
    /// No random bytes for the nonce.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// An answer and the OCSPResponse (DER) it stands in, to be embedded.
#[derive(Debug, Clone)]
pub struct Known {
    /// What it says.
    pub answer: Answer,
    /// The bytes.
    pub response: Vec<u8>,
}

/// Asks responders and remembers.
pub struct OcspClient {
    settings: Ocsp,
    kept: Mutex<HashMap<[u8; 32], Arc<Known>>>,
}

impl OcspClient {
    /// A client that remembers nothing yet.
    pub fn new(settings: &Ocsp) -> OcspClient {
        OcspClient { settings: settings.clone(), kept: Mutex::default() }
    }

    /// The state of `certificate` (DER) as it was at most `age` ago.
    ///
    /// # Errors
    /// [`StatusError`]; old answers are never a substitute for the one that is wanted.
    pub async fn status(
        &self,
        certificate: &[u8],
        anchors: &TrustAnchors,
        age: Duration,
    ) -> Result<Arc<Known>, StatusError> {
        let key: [u8; 32] = Sha256::digest(certificate).into();
        if let Some(known) = self.recall(&key, OffsetDateTime::now_utc() - age) {
            return Ok(known);
        }
        let known = Arc::new(self.ask(certificate, anchors).await?);
        self.keep(key, &known);
        Ok(known)
    }

    /// How long one status may be waited for by VerifySignature's cache.
    pub fn verification_age(&self) -> Duration {
        Duration::from_secs(self.settings.cache_seconds)
    }

    /// Age of the oldest answer that is kept.
    pub fn oldest(&self) -> Option<time::Duration> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let produced = kept.values().map(|known| known.answer.produced_at).min();
        produced.map(|at| OffsetDateTime::now_utc() - at)
    }

    async fn ask(&self, certificate: &[u8], anchors: &TrustAnchors) -> Result<Known, StatusError> {
        let nonce = self.nonce()?;
        let request = ocsp::request(certificate, anchors, nonce.as_ref().map(<[u8; 16]>::as_slice))?;
        let named = ocsp::responders(certificate).into_iter().next().ok_or(StatusError::NoResponder)?;
        let address = self.settings.addresses.get(&named).unwrap_or(&named);
        let limit = Duration::from_secs(self.settings.timeout_seconds);
        let response = http::post(address, &OCSP, request, limit).await?;
        let now = OffsetDateTime::now_utc();
        let rules = Rules {
            nonce: nonce.as_ref().map(<[u8; 16]>::as_slice),
            nonce_required: self.settings.nonce == NonceRule::Require,
            ..Rules::qualified(now, now)
        };
        let answer = ocsp::check(&response, certificate, anchors, &rules)?;
        Ok(Known { answer, response })
    }

    fn nonce(&self) -> Result<Option<[u8; 16]>, StatusError> {
        if self.settings.nonce == NonceRule::Omit {
            return Ok(None);
        }
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(StatusError::Random)?;
        Ok(Some(nonce))
    }

    fn recall(&self, key: &[u8; 32], earliest: OffsetDateTime) -> Option<Arc<Known>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|known| known.answer.produced_at >= earliest).cloned()
    }

    fn keep(&self, key: [u8; 32], known: &Arc<Known>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= CAPACITY
            && !kept.contains_key(&key)
            && let Some(oldest) = kept.iter().min_by_key(|(_, known)| known.answer.produced_at)
        {
            let oldest = *oldest.0;
            kept.remove(&oldest);
        }
        kept.insert(key, Arc::clone(known));
    }
}
