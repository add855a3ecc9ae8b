//! The running service: everything loaded, listening, and an orderly end.

mod metrics;
mod network;
mod web_login;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use proto::v1::signer_service_server::SignerServiceServer;
use thiserror::Error;
use time::OffsetDateTime;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Status, service::interceptor::InterceptedService, transport::server::Router};
use tonic_health::server::HealthReporter;

use crate::{
    access::Access,
    audit::{AuditError, AuditTrail, pseudonym::PseudonymKey},
    clinician::{Clinicians, scope::Policy, token::TokenKey},
    comfort::ComfortSessions,
    config::Config,
    database::{Database, DatabaseError},
    health,
    insurance::InsuranceReaders,
    key_file::{self, KeyError},
    listen::{self, ListenError, PrivateSocket},
    ocsp::OcspClient,
    pin_limits::PinLimits,
    service::{JobCodes, Proof, Signer, State},
    tls::{self, ServerTls, TlsError},
    token::{Module, TokenError},
    traces::export::Exporter,
    trust::{self, TrustError},
};

use metrics::Metrics;
use network::Network;
use web_login::WebLogin;

/// Room in a message beside the document.
const MESSAGE_OVERHEAD: usize = 64 * 1024;

/// How long connections may take to end once the service was asked to stop. Calls at work are always finished.
const GRACE: Duration = Duration::from_secs(30);

/// How often silent connections are asked whether they still stand.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Largest metadata of one call, in bytes: a token has about one kilobyte.
const LARGEST_HEADERS: u32 = 16 * 1024;

/// Calls at one time on one connection.
const CALLS_PER_CONNECTION: u32 = 128;

/// How often comfort sessions are looked after.
const SWEEP: Duration = Duration::from_secs(1);

/// Why the service cannot run.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The trust anchors.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The PKCS#11 module.
    #[error("pkcs11.module: {0}")]
    Module(#[from] TokenError),
    /// The audit trail.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The database.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The key for names of patients.
    #[error("audit.pseudonym_key: {0}")]
    Pseudonyms(#[source] std::io::Error),
    /// The key for tokens.
    #[error("clinicians.token_key: {0}")]
    TokenKey(#[source] KeyError),
    /// The table of professions.
    #[error("table of professions: {0}")]
    Professions(#[source] toml::de::Error),
    /// A Unix socket.
    #[error("{key}: {source}")]
    Listen {
        /// The key of the configuration.
        key: &'static str,
        /// Why not there.
        source: ListenError,
    },
    /// The TLS listener's files.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A listener over the network.
    #[error("{key}: {address}: {source}")]
    Tcp {
        /// The key of the configuration.
        key: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Plaintext TCP is configured, but not asked for at the start.
    #[error("{0} is configured: start with --insecure-development if PINs may pass in plaintext")]
    InsecureNotAllowed(&'static str),
    /// Signals or sockets of the runtime.
    #[error("runtime: {0}")]
    Runtime(#[from] std::io::Error),
    /// The gRPC server.
    #[error("gRPC server: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The description of the contract.
    #[error("reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// What a check of the configuration found.
#[derive(Debug)]
pub struct Checked {
    /// Name and version of the PKCS#11 module.
    pub module: String,
    /// Tokens that are plugged in now.
    pub tokens: usize,
    /// Where the service would listen.
    pub socket: PathBuf,
    /// Where it would listen for TLS, and for how many clients.
    pub tls: Option<(SocketAddr, usize)>,
    /// Where browsers would log in.
    pub web: Option<String>,
    /// When the certificate of the TLS listeners ends, if there is any.
    pub certificate_ends: Option<OffsetDateTime>,
}

/// Loads what is configured. Changes nothing: the service may be running on the same configuration.
///
/// # Errors
/// The first part that cannot be used.
pub async fn check(config: Config) -> Result<Checked, ServerError> {
    trust::load(&config.trust)?;
    let certificate_ends = check_certificate(&config)?;
    Database::check(&config.audit.database).await?;
    let module = Module::load(&config.pkcs11)?;
    let tokens = module.tokens().map(|tokens| tokens.len()).unwrap_or(0);
    let tls = config.listen.tls.map(|address| (address, config.clients.len()));
    let web = config.web.place();
    let module_name = module.description()?;
    module.close();
    Ok(Checked { module: module_name, tokens, socket: config.listen.unix, tls, web, certificate_ends })
}

/// Certificate and key of the TLS listeners: whether they can be used now, and until when.
fn check_certificate(config: &Config) -> Result<Option<OffsetDateTime>, ServerError> {
    if config.listen.tls.is_some() {
        ServerTls::load(&config.tls)?;
    }
    if config.web.tls.is_some() {
        ServerTls::for_browsers(&config.tls)?;
    }
    if config.listen.tls.is_none() && config.web.tls.is_none() {
        return Ok(None);
    }
    Ok(Some(tls::valid_until(&config.tls, OffsetDateTime::now_utc())?))
}

/// Serves until SIGTERM or SIGINT, then finishes what was accepted.
///
/// # Errors
/// A part that cannot be used, or a listener that breaks.
pub async fn serve(config: Config, insecure_development: bool) -> Result<(), ServerError> {
    run(config, insecure_development, Proof::Kept).await
}

/// The same without self-verification and audit records of signatures: for the load program, which measures what they
/// cost. No configuration leads here.
#[doc(hidden)]
pub async fn serve_without_proof(config: Config) -> Result<(), ServerError> {
    run(config, false, Proof::LeftOut).await
}

async fn run(config: Config, insecure_development: bool, proof: Proof) -> Result<(), ServerError> {
    if !insecure_development {
        let plain = [
            ("listen.insecure_tcp", config.listen.insecure_tcp),
            ("web.insecure_tcp", config.web.insecure_tcp),
        ];
        if let Some((key, _)) = plain.into_iter().find(|(_, address)| address.is_some()) {
            return Err(ServerError::InsecureNotAllowed(key));
        }
    }
    let path = config.listen.unix.clone();
    let refuse = |source| ServerError::Listen { key: "listen.unix", source };
    listen::refuse_occupied(&path).map_err(refuse)?;
    let largest = config.limits.cms_bytes.max(2 * config.limits.prescription_bytes) + MESSAGE_OVERHEAD;
    let reload = network::reload_signal()?;
    let network = Network::open(&config).await?;
    let web = WebLogin::open(&config).await?;
    let metrics = Metrics::open(&config.metrics_at()).await?;
    let state = State { proof, ..load(config).await? };
    // Last, so that a socket that is there means a service that is ready.
    let (socket, listener) = PrivateSocket::bind(&path).map_err(refuse)?;
    tracing::info!(module = state.module.description()?, socket = %path.display(), "ready");
    let signer = Signer::new(state);
    let (router, reporter) = router(&signer, largest).await?;
    let ending = ending()?;
    let metrics = metrics.map(|metrics| tokio::spawn(metrics.serve(signer.metrics_text())));
    let healthy = tokio::spawn(health::keep(signer.clone(), reporter, ending.clone()));
    tokio::spawn(renewal(signer.clone(), ending.clone()));
    tokio::spawn(sweeping(signer.clone(), ending.clone()));
    let certificates = network.tls().into_iter().chain(web.tls()).collect();
    tokio::spawn(network::reloading(signer.clone(), certificates, reload, ending.clone()));
    let web = web.serve(&signer, &ending);

    let unix = UnixListenerStream::new(UnixListener::from_std(listener)?);
    let on_unix = router.clone().serve_with_incoming_shutdown(unix, ended(ending.clone()));
    let serving = network.serve(router, &signer, &ending);
    tokio::select! {
        result = async { tokio::try_join!(async { Ok(on_unix.await?) }, serving) } => drop(result?),
        () = overdue(ending.clone()) => tracing::warn!("connections that did not end are dropped"),
    }
    drop(socket);
    web.end().await;
    if let Some(metrics) = metrics {
        metrics.abort();
    }
    // It holds a share of the service while it looks at cards, and a card that hangs must not hang the end.
    let _ = tokio::time::timeout(GRACE, healthy).await;
    tracing::info!("finishing accepted calls");
    if let Some(state) = signer.finish().await {
        state.audit.close().await;
        state.module.close();
    }
    tracing::info!("stopped");
    Ok(())
}

/// Renews the OCSP answers for the plugged cards from time to time, so that no signature waits for a responder.
async fn renewal(signer: Signer, ending: watch::Receiver<bool>) {
    let Some(period) = signer.renewal_period() else { return };
    let ended = ended(ending);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => return,
            () = signer.renew_evidence() => {}
        }
        tokio::select! {
            () = &mut ended => return,
            () = tokio::time::sleep(period) => {}
        }
    }
}

/// Ends comfort sessions when their time is up, and notices cards that were pulled.
async fn sweeping(signer: Signer, ending: watch::Receiver<bool>) {
    let ended = ended(ending);
    tokio::pin!(ended);
    loop {
        tokio::select! {
            () = &mut ended => return,
            () = tokio::time::sleep(SWEEP) => signer.sweep().await,
        }
    }
}

async fn load(config: Config) -> Result<State, ServerError> {
    Ok(State {
        access: Access::new(&config.clients),
        anchors: trust::load(&config.trust)?,
        module: Module::load(&config.pkcs11)?,
        readers: InsuranceReaders::new(&config.insurance.readers),
        ocsp: OcspClient::new(&config.ocsp),
        audit: AuditTrail::open(&config.audit.database, &config.audit.checkpoint_key).await?,
        pseudonyms: PseudonymKey::open(&config.audit.pseudonym_key).map_err(ServerError::Pseudonyms)?,
        jobs: JobCodes::default(),
        clinicians: clinicians(&config)?,
        comfort: ComfortSessions::default(),
        pins: PinLimits::new(&config.limits),
        metrics: Arc::default(),
        places: Mutex::default(),
        traces: Exporter::start(config.traces.otlp.clone()),
        proof: Proof::Kept,
        config,
    })
}

fn clinicians(config: &Config) -> Result<Clinicians, ServerError> {
    let key = key_file::open(&config.clinicians.token_key).map_err(ServerError::TokenKey)?;
    Ok(Clinicians::new(TokenKey::new(key), Policy::built_in().map_err(ServerError::Professions)?))
}

/// The signing service, health and reflection.
async fn router(signer: &Signer, largest: usize) -> Result<(Router, HealthReporter), ServerError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SignerServiceServer<Signer>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let service = SignerServiceServer::new(signer.clone()).max_decoding_message_size(largest);
    let guard = |call: &'static str| {
        let signer = signer.clone();
        move |request: Request<()>| -> Result<Request<()>, Status> {
            signer.admits(call, request.extensions())?;
            Ok(request)
        }
    };
    let router = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_max_header_list_size(Some(LARGEST_HEADERS))
        .max_concurrent_streams(Some(CALLS_PER_CONNECTION))
        .add_service(service)
        .add_service(InterceptedService::new(health_service, guard("Health")))
        .add_service(InterceptedService::new(reflection().build_v1()?, guard("Reflection")))
        .add_service(InterceptedService::new(reflection().build_v1alpha()?, guard("Reflection")));
    Ok((router, health))
}

/// Turns true at the first SIGTERM or SIGINT.
fn ending() -> Result<watch::Receiver<bool>, ServerError> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (end, ending) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to stop");
        let _ = end.send(true);
    });
    Ok(ending)
}

async fn ended(mut ending: watch::Receiver<bool>) {
    // An error means that the sender is gone, and then nobody can ask to stop any other way.
    let _ = ending.wait_for(|end| *end).await;
}

async fn overdue(ending: watch::Receiver<bool>) {
    ended(ending).await;
    tokio::time::sleep(GRACE).await;
}
