//! Login of clinicians by card for web applications: OAuth 2.1 authorization code with PKCE, and OpenID Connect's id_token.
//!
//! | place | does |
//! |---|---|
//! | [`request`], [`pkce`] | what an application may ask for |
//! | [`login`], [`page`], [`texts`] | the page on which a card is chosen and its PIN entered |
//! | [`tokens`] | codes become tokens; tokens are revoked and looked up |
//! | [`metadata`] | what applications find out by themselves |
//! | [`secrets`] | logins and codes while they last |
//! | [`parameters`], [`answers`] | HTTP in and out |

mod answers;
mod login;
mod metadata;
mod page;
mod parameters;
mod pkce;
mod request;
mod secrets;
mod texts;
mod tokens;

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Incoming,
    header::{self, HeaderMap},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::{Semaphore, watch},
};
use tokio_rustls::TlsAcceptor;
use url::Url;
use zeroize::Zeroizing;

use self::{
    answers::Answered,
    login::{Granted, Login},
    secrets::Secrets,
};
use crate::{config, service::Signer, tls::ServerTls};

/// Largest form.
const FORM: usize = 16 * 1024;
/// How long a head or a form may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Connections at a time.
const CONNECTIONS: usize = 512;

/// The web login over a signing service.
pub struct Web {
    signer: Signer,
    settings: config::Web,
    /// Address under which browsers reach it, and claim "iss".
    issuer: String,
    logins: Secrets<Login>,
    codes: Secrets<Granted>,
}

/// Where it listens.
pub enum Listener {
    /// Behind a proxy.
    Unix(UnixListener),
    /// HTTPS.
    Tls(TcpListener, Arc<ServerTls>),
    /// Plaintext on loopback.
    Plain(TcpListener),
}

impl Web {
    /// The web login as the service is configured.
    pub fn new(signer: Signer) -> Web {
        let config = signer.config();
        let (settings, issuer) = (config.web.clone(), config.clinicians.issuer.clone());
        let (logins, codes) =
            (Secrets::lasting(login::LOGIN_SECONDS), Secrets::lasting(tokens::CODE_SECONDS));
        Web { signer, settings, issuer, logins, codes }
    }

    /// Serves until it is told to end; what is under way then is finished.
    ///
    /// # Errors
    /// The listener breaks.
    pub async fn serve(self, listener: Listener, ending: watch::Receiver<bool>) -> io::Result<()> {
        let (web, room) = (Arc::new(self), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else { return Ok(()) };
            let accepted = async {
                match &listener {
                    Listener::Unix(unix) => unix.accept().await.map(|(stream, _)| Stream::Unix(stream)),
                    Listener::Tls(tcp, tls) => {
                        tcp.accept().await.map(|(stream, _)| Stream::Tls(stream, tls.current().into()))
                    }
                    Listener::Plain(tcp) => tcp.accept().await.map(|(stream, _)| Stream::Plain(stream)),
                }
            };
            let stream = tokio::select! {
                () = ended(ending.clone()) => break,
                stream = accepted => stream,
            };
            let (web, ending) = (Arc::clone(&web), ending.clone());
            match stream {
                Ok(stream) => drop(tokio::spawn(async move {
                    match stream {
                        Stream::Unix(stream) => web.converse(stream, ending).await,
                        Stream::Plain(stream) => web.converse(stream, ending).await,
                        Stream::Tls(stream, tls) => {
                            match tokio::time::timeout(ARRIVAL, tls.accept(stream)).await {
                                Ok(Ok(stream)) => web.converse(stream, ending).await,
                                Ok(Err(error)) => tracing::debug!(%error, "web login: no TLS"),
                                Err(_) => tracing::debug!("web login: no TLS in time"),
                            }
                        }
                    }
                    drop(place);
                })),
                // Too many open files, for instance: goes by when others end.
                Err(error) => {
                    tracing::warn!(%error, "web login: a connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
        drop(room.acquire_many(all).await);
        Ok(())
    }

    async fn converse(
        self: Arc<Self>,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        ending: watch::Receiver<bool>,
    ) {
        let service = service_fn(move |request| {
            let web = Arc::clone(&self);
            async move { Ok::<_, Infallible>(web.answer_to(request).await) }
        });
        let mut http = http1::Builder::new();
        let http = http.timer(TokioTimer::new()).header_read_timeout(ARRIVAL).max_buf_size(32 * 1024);
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        let result = tokio::select! {
            result = connection.as_mut() => result,
            () = ended(ending) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = result {
            tracing::debug!(%error, "web login: a connection broke");
        }
    }

    async fn answer_to(&self, request: Request<Incoming>) -> Answered {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default().as_bytes();
        let (headers, path) = (&head.headers, head.uri.path());
        let text = |status, text: &str| answers::plain(status, "text/plain", text.to_owned());
        match (path, &head.method) {
            ("/authorize", &Method::GET) => self.authorize(headers, query).await,
            ("/authorize", &Method::POST) => {
                with_form(headers, body, |form| async move { self.authorize(headers, &form).await }).await
            }
            ("/login", &Method::POST) => {
                with_form(headers, body, |form| async move { self.submit(headers, &form).await }).await
            }
            ("/token", &Method::POST) => {
                let answer = with_form(headers, body, |form| async move { self.token(headers, &form).await });
                self.shared(headers, answer.await)
            }
            ("/revoke", &Method::POST) => {
                let answer =
                    with_form(headers, body, |form| async move { self.revoke(headers, &form).await });
                self.shared(headers, answer.await)
            }
            ("/introspect", &Method::POST) => {
                with_form(headers, body, |form| async move { self.introspect(headers, &form).await }).await
            }
            ("/jwks", &Method::GET) => {
                self.shared(headers, answers::json(StatusCode::OK, &self.signer.token_keys()))
            }
            (
                "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration",
                &Method::GET,
            ) => {
                let metadata = metadata::metadata(&self.issuer, &self.settings.clients);
                self.shared(headers, answers::json(StatusCode::OK, &metadata))
            }
            ("/style.css", &Method::GET) => {
                answers::plain(StatusCode::OK, "text/css", page::STYLE.to_owned())
            }
            (
                "/authorize"
                | "/login"
                | "/token"
                | "/revoke"
                | "/introspect"
                | "/jwks"
                | "/style.css"
                | "/.well-known/oauth-authorization-server"
                | "/.well-known/openid-configuration",
                _,
            ) => text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"),
            _ => text(StatusCode::NOT_FOUND, "not found\n"),
        }
    }

    /// Lets scripts of registered applications read an answer (Fetch, "CORS"): an application without a server asks from
    /// the browser. No cookie goes along.
    fn shared(&self, headers: &HeaderMap, mut answer: Answered) -> Answered {
        answers::set(&mut answer, header::VARY, "Origin");
        let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else {
            return answer;
        };
        let uris = self.settings.clients.iter().flat_map(|client| &client.redirect_uris);
        let mut origins =
            uris.filter_map(|uri| Url::parse(uri).ok()).map(|uri| uri.origin().ascii_serialization());
        if origins.any(|known| known == origin) {
            answers::set(&mut answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
        answer
    }
}

/// An error means that nobody can ask to end any more.
async fn ended(mut ending: watch::Receiver<bool>) {
    let _ = ending.wait_for(|end| *end).await;
}

enum Stream {
    Unix(tokio::net::UnixStream),
    Tls(tokio::net::TcpStream, TlsAcceptor),
    Plain(tokio::net::TcpStream),
}

/// Reads a form and goes on with it.
async fn with_form<F: Future<Output = Answered>>(
    headers: &HeaderMap,
    body: Incoming,
    then: impl FnOnce(Zeroizing<Vec<u8>>) -> F,
) -> Answered {
    let text = |status, text: &str| answers::plain(status, "text/plain", text.to_owned());
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    let form = b"application/x-www-form-urlencoded";
    if !kind.get(..form.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(form)) {
        return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected application/x-www-form-urlencoded\n");
    }
    let whole = tokio::time::timeout(ARRIVAL, Limited::new(body, FORM).collect()).await;
    match whole {
        Ok(Ok(whole)) => then(Zeroizing::new(whole.to_bytes().to_vec())).await,
        Ok(Err(_)) => text(StatusCode::PAYLOAD_TOO_LARGE, "expected at most 16384 bytes\n"),
        Err(_) => text(StatusCode::REQUEST_TIMEOUT, "the form did not arrive\n"),
    }
}
