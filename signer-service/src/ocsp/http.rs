//! One POST over HTTP, one answer, both small: OCSP (RFC 6960 appendix A), and spans for a collector on this machine.
//!
//! Plain HTTP only: the answer of a responder is signed, and a responder behind TLS would need the very status it gives.

use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, StatusCode, Uri, body::Bytes, header};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;

/// Largest answer taken; real ones have about 1.7 kB.
const LARGEST: usize = 64 * 1024;

/// Why the exchange failed.
#[derive(Debug, Error)]
pub enum HttpError {
    /// Not an address this client can use.
    #[error("expected http://host/path, got another kind of address")]
    Address,
    /// No answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection.
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    /// The protocol.
    #[error("HTTP: {0}")]
    Protocol(#[from] hyper::Error),
    /// Another status than 200.
    #[error("HTTP status {0}")]
    Status(StatusCode),
    /// Larger than any OCSP answer, or cut off.
    #[error("the answer is too large or incomplete")]
    Body,
}

/// Media types of request and answer.
pub(crate) struct Types {
    /// Content-Type.
    pub(crate) sent: &'static str,
    /// Accept.
    pub(crate) wanted: &'static str,
}

/// Posts a request and answers the body of the response.
pub(crate) async fn post(
    address: &str,
    types: &Types,
    request: Vec<u8>,
    limit: Duration,
) -> Result<Vec<u8>, HttpError> {
    let exchange = tokio::time::timeout(limit, exchange(address, types, request));
    exchange.await.unwrap_or(Err(HttpError::Timeout(limit)))
}

async fn exchange(address: &str, types: &Types, request: Vec<u8>) -> Result<Vec<u8>, HttpError> {
    let uri: Uri = address.parse().map_err(|_| HttpError::Address)?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else { return Err(HttpError::Address) };
    let port = uri.port_u16().unwrap_or(80);
    let host_name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host_name, port)).await.map_err(HttpError::Connect)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let request = Request::post(path)
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, types.sent)
        .header(header::ACCEPT, types.wanted)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(request)))
        .map_err(|_| HttpError::Address)?;
    let talking = async {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(HttpError::Status(response.status()));
        }
        let body = Limited::new(response.into_body(), LARGEST).collect().await;
        Ok(body.map_err(|_| HttpError::Body)?.to_bytes().to_vec())
    };
    // The connection does its work when it is polled; it ends when the answer is complete.
    tokio::pin!(talking, connection);
    tokio::select! {
        answer = &mut talking => answer,
        ended = &mut connection => { ended?; talking.await }
    }
}
