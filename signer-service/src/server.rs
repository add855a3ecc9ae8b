//! The running service: everything loaded, listening, and an orderly end.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use proto::v1::signer_service_server::SignerServiceServer;
use thiserror::Error;
use tokio::{
    net::{TcpListener, UnixListener},
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::transport::server::Router;

use crate::{
    audit::{AuditError, AuditTrail, pseudonym::PseudonymKey},
    clinician::{Clinicians, scope::Policy, token::TokenKey},
    comfort::ComfortSessions,
    config::Config,
    database::{Database, DatabaseError},
    insurance::InsuranceReaders,
    key_file::{self, KeyError},
    listen::{self, ListenError, PrivateSocket},
    ocsp::OcspClient,
    service::{JobCodes, Signer, State},
    token::{Module, TokenError},
    trust::{self, TrustError},
};

/// Room in a message beside the document.
const MESSAGE_OVERHEAD: usize = 64 * 1024;

/// How long connections may take to end once the service was asked to stop. Calls at work are always finished.
const GRACE: Duration = Duration::from_secs(30);

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
    /// The Unix socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The development listener.
    #[error("listen.insecure_tcp: {address}: {source}")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Plaintext TCP is configured, but not asked for at the start.
    #[error(
        "listen.insecure_tcp is configured: start with --insecure-development if PINs may pass in plaintext"
    )]
    InsecureNotAllowed,
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
}

/// Loads what is configured. Changes nothing: the service may be running on the same configuration.
///
/// # Errors
/// The first part that cannot be used.
pub async fn check(config: Config) -> Result<Checked, ServerError> {
    trust::load(&config.trust)?;
    Database::check(&config.audit.database).await?;
    let module = Module::load(&config.pkcs11.module)?;
    let tokens = module.tokens().map(|tokens| tokens.len()).unwrap_or(0);
    let checked = Checked { module: module.description()?, tokens, socket: config.listen.unix };
    module.close();
    Ok(checked)
}

/// Serves until SIGTERM or SIGINT, then finishes what was accepted.
///
/// # Errors
/// A part that cannot be used, or a listener that breaks.
pub async fn serve(config: Config, insecure_development: bool) -> Result<(), ServerError> {
    if config.listen.insecure_tcp.is_some() && !insecure_development {
        return Err(ServerError::InsecureNotAllowed);
    }
    let (path, tcp) = (config.listen.unix.clone(), config.listen.insecure_tcp);
    listen::refuse_occupied(&path)?;
    let largest = config.limits.cms_bytes.max(2 * config.limits.prescription_bytes) + MESSAGE_OVERHEAD;
    let state = load(config).await?;
    // Last, so that a socket that is there means a service that is ready.
    let (socket, listener) = PrivateSocket::bind(&path)?;
    tracing::info!(module = state.module.description()?, socket = %path.display(), "ready");
    let signer = Signer::new(state);
    let router = router(&signer, largest).await?;
    let ending = ending()?;
    tokio::spawn(renewal(signer.clone(), ending.clone()));
    tokio::spawn(sweeping(signer.clone(), ending.clone()));

    let unix = UnixListenerStream::new(UnixListener::from_std(listener)?);
    let on_unix = router.clone().serve_with_incoming_shutdown(unix, ended(ending.clone()));
    let serving = async {
        let Some(address) = tcp else { return Ok(on_unix.await?) };
        tracing::warn!(%address, "plaintext TCP is open: for development only");
        let listener =
            TcpListener::bind(address).await.map_err(|source| ServerError::Tcp { address, source })?;
        let tcp = TcpListenerStream::new(listener);
        tokio::try_join!(on_unix, router.serve_with_incoming_shutdown(tcp, ended(ending.clone())))?;
        Ok::<(), ServerError>(())
    };
    tokio::select! {
        result = serving => result?,
        () = overdue(ending.clone()) => tracing::warn!("connections that did not end are dropped"),
    }
    drop(socket);
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
        anchors: trust::load(&config.trust)?,
        module: Module::load(&config.pkcs11.module)?,
        readers: InsuranceReaders::new(&config.insurance.readers),
        ocsp: OcspClient::new(&config.ocsp),
        audit: AuditTrail::open(&config.audit.database, &config.audit.checkpoint_key).await?,
        pseudonyms: PseudonymKey::open(&config.audit.pseudonym_key).map_err(ServerError::Pseudonyms)?,
        jobs: JobCodes::default(),
        clinicians: clinicians(&config)?,
        comfort: ComfortSessions::default(),
        config,
    })
}

fn clinicians(config: &Config) -> Result<Clinicians, ServerError> {
    let key = key_file::open(&config.clinicians.token_key).map_err(ServerError::TokenKey)?;
    Ok(Clinicians::new(TokenKey::new(key), Policy::built_in().map_err(ServerError::Professions)?))
}

/// The signing service, health and reflection.
async fn router(signer: &Signer, largest: usize) -> Result<Router, ServerError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SignerServiceServer<Signer>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET)
    };
    let service = SignerServiceServer::new(signer.clone()).max_decoding_message_size(largest);
    Ok(tonic::transport::Server::builder()
        .add_service(service)
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?))
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
