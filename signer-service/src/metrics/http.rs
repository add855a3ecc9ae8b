//! `GET /metrics` over HTTP/1.1, for Prometheus: on a Unix socket or a loopback address, beside the service's listeners.

use std::{convert::Infallible, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::Semaphore,
};

/// Connections at one time.
const CONNECTIONS: usize = 8;
/// How long a request line and its headers may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Of OpenMetrics 1.0.
const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where metrics are read.
pub enum Listener {
    /// A socket whose mode says who may.
    Unix(UnixListener),
    /// A loopback address.
    Tcp(TcpListener),
}

/// Answers until this future is dropped.
pub async fn serve(listener: Listener, text: impl Fn() -> String + Send + Sync + 'static) {
    let (text, places) = (Arc::new(text), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let accepted = match &listener {
            Listener::Unix(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| tokio::spawn(talk(stream, Arc::clone(&text), place))),
            Listener::Tcp(listener) => listener
                .accept()
                .await
                .map(|(stream, _)| tokio::spawn(talk(stream, Arc::clone(&text), place))),
        };
        if let Err(error) = accepted {
            tracing::warn!(%error, "a connection for metrics could not be accepted");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn talk<T, P>(stream: impl AsyncRead + AsyncWrite + Unpin, text: Arc<T>, place: P)
where
    T: Fn() -> String,
{
    let answer = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, text.as_ref());
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), answer)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "metrics");
    }
    drop(place);
}

fn answer(request: &Request<Incoming>, text: impl Fn() -> String) -> Response<Full<Bytes>> {
    let (status, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => (StatusCode::OK, text()),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, String::new()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(TYPE));
    response
}
