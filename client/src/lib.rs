//! Calls the signing service from Rust.
//!
//! ```no_run
//! # async fn example(prescription: Vec<u8>) -> Result<(), client::Error> {
//! use client::proto::v1::{self, sign_prescription_request::InsuranceCheck};
//!
//! let mut client = client::connect("unix:/run/hpc-signer/signer.sock", client::Credentials::default()).await?;
//! let request = v1::SignPrescriptionRequest {
//!     prescription,
//!     pin: Some(v1::Pin { value: "234567".into(), last_try: false }),
//!     insurance_check: Some(InsuranceCheck::InsuranceCard(v1::InsuranceCard::default())),
//!     idempotency_key: "ward-3:2026-11-20:17".into(),
//!     ..Default::default()
//! };
//! match client.sign_prescription(request).await.map_err(client::Error::from) {
//!     Ok(answer) => std::fs::write("prescription.p7s", answer.into_inner().cms).unwrap(),
//!     Err(client::Error::Refused(refusal)) if refusal.reason == "PIN_WRONG" => eprintln!("{refusal}"),
//!     Err(other) => return Err(other),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The messages are those of the contract ([`proto`], re-exported); this crate adds what every caller needs beside them:
//! the connection with a clinician's token, a [`Refusal`] with its reason instead of a bare gRPC status, and the
//! [conversation of a batch](batch).

pub mod batch;
mod refusal;

use std::fmt;

pub use proto;
pub use refusal::Refusal;

use proto::v1::signer_service_client::SignerServiceClient;
use thiserror::Error;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

/// Largest answer taken, in bytes: a verified CMS comes with its content.
const LARGEST_ANSWER: usize = 64 << 20;

/// A connection to the service. Clones share it; it reconnects by itself.
pub type Client = SignerServiceClient<InterceptedService<Channel, Bearer>>;

/// Adds the clinician's token to each call, if there is one.
#[derive(Clone)]
pub struct Bearer(Option<MetadataValue<Ascii>>);

/// Why a call has no answer.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody answers.
    #[error("no service at {address}: {reason}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        reason: String,
    },
    /// The token has characters that no token has.
    #[error("the access token is none")]
    Token,
    /// The service refused.
    #[error("{0}")]
    Refused(Refusal),
    /// gRPC itself refused, or the connection broke off: nobody knows whether the call was carried out. A call with an
    /// idempotency key is made again.
    #[error("{:?}: {}{}", .0.code(), .0.message(), cause(.0))]
    Broken(Box<Status>),
    /// A batch ended without saying so.
    #[error("the batch broke off")]
    BatchBrokeOff,
}

/// What a caller proves itself with. Without any of it: a caller on the Unix socket.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Access token of a clinician (AuthenticateClinician).
    pub token: Option<String>,
    /// With `https:`, the authority of the service's certificate, PEM.
    pub authority: Option<Vec<u8>>,
    /// With `https:`, certificate and private key of this client, PEM.
    pub certificate: Option<(Vec<u8>, Vec<u8>)>,
}

/// Connects to `unix:/path`, `https://host:port`, or `http://host:port` of a development service.
///
/// # Errors
/// Nobody answers there, one side does not take the other's certificate, or the token cannot be sent.
pub async fn connect(address: &str, credentials: Credentials) -> Result<Client, Error> {
    let bearer = Bearer::new(credentials.token.as_deref())?;
    let unreachable = |error: tonic::transport::Error| Error::Unreachable {
        address: address.to_owned(),
        reason: innermost(&error),
    };
    let mut endpoint = Endpoint::from_shared(address.to_owned()).map_err(unreachable)?;
    if address.starts_with("https:") {
        endpoint = endpoint.tls_config(tls(credentials)).map_err(unreachable)?;
    }
    let channel = endpoint.connect().await.map_err(unreachable)?;
    Ok(SignerServiceClient::with_interceptor(channel, bearer).max_decoding_message_size(LARGEST_ANSWER))
}

fn tls(credentials: Credentials) -> ClientTlsConfig {
    let mut tls = ClientTlsConfig::new();
    if let Some(authority) = credentials.authority {
        tls = tls.ca_certificate(Certificate::from_pem(authority));
    }
    if let Some((certificate, key)) = credentials.certificate {
        tls = tls.identity(Identity::from_pem(certificate, key));
    }
    tls
}

impl Bearer {
    fn new(token: Option<&str>) -> Result<Bearer, Error> {
        let header = token.map(|token| format!("Bearer {}", token.trim()).parse());
        header.transpose().map(Bearer).map_err(|_| Error::Token)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Bearer(..)" } else { "Bearer(none)" })
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Error {
        match Refusal::of(&status) {
            Some(refusal) => Error::Refused(refusal),
            None => Error::Broken(Box::new(status)),
        }
    }
}

fn cause(status: &Status) -> String {
    let cause = std::error::Error::source(status);
    cause.map(|cause| format!(" ({})", innermost(cause))).unwrap_or_default()
}

/// The cause at the bottom says what is wrong; the layers above say "transport error".
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_sent_and_never_shown() {
        let mut bearer = Bearer::new(Some("aa.bb.cc\n")).unwrap();
        let sent = bearer.call(Request::new(())).unwrap();
        assert_eq!(sent.metadata().get("authorization").unwrap(), "Bearer aa.bb.cc");
        assert_eq!(format!("{bearer:?}"), "Bearer(..)");
        assert!(matches!(Bearer::new(Some("a\nb")), Err(Error::Token)));
    }

    #[tokio::test]
    async fn an_address_where_nobody_listens_is_named() {
        let error = connect("unix:/nowhere/signer.sock", Credentials::default()).await.unwrap_err();
        assert!(error.to_string().starts_with("no service at unix:/nowhere/signer.sock: "), "{error}");
    }

    #[test]
    fn a_status_without_a_reason_is_no_refusal_of_the_service() {
        let error = Error::from(Status::unavailable("broken pipe"));
        assert_eq!(error.to_string(), "Unavailable: broken pipe");
    }
}
