//! The listeners over the network, and what is read again while they listen.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::server::Router;

use super::{ServerError, ended};
use crate::{
    config::Config,
    service::Signer,
    tls::{ServerTls, incoming},
};

/// How often the files of the TLS listeners are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// What was opened at the start, so that a wrong file or a taken address is known before anything else is done.
pub(super) struct Network {
    tls: Option<(TcpListener, Arc<ServerTls>)>,
    insecure: Option<TcpListener>,
    connections: usize,
}

impl Network {
    /// Binds what is configured.
    pub(super) async fn open(config: &Config) -> Result<Network, ServerError> {
        let tls = match config.listen.tls {
            None => None,
            Some(address) => {
                let tls = ServerTls::load(&config.tls)?;
                Some((bind("listen.tls", address).await?, Arc::new(tls)))
            }
        };
        let insecure = match config.listen.insecure_tcp {
            None => None,
            Some(address) => Some(bind("listen.insecure_tcp", address).await?),
        };
        Ok(Network { tls, insecure, connections: config.limits.connections })
    }

    /// The files of the TLS listener, to be read again.
    pub(super) fn tls(&self) -> Option<Arc<ServerTls>> {
        self.tls.as_ref().map(|(_, tls)| Arc::clone(tls))
    }

    /// Serves until the end is announced.
    pub(super) async fn serve(
        self,
        router: Router,
        signer: &Signer,
        ending: &watch::Receiver<bool>,
    ) -> Result<(), ServerError> {
        let plain = router.clone();
        let secured = async {
            let Some((listener, tls)) = self.tls else { return Ok(()) };
            tracing::info!(address = %listener.local_addr()?, "TLS");
            let incoming = incoming::accept(listener, tls, self.connections, signer.metrics());
            Ok::<_, ServerError>(router.serve_with_incoming_shutdown(incoming, ended(ending.clone())).await?)
        };
        let insecure = async {
            let Some(listener) = self.insecure else { return Ok(()) };
            let address = listener.local_addr()?;
            tracing::warn!(%address, "plaintext TCP is open: for development only");
            let incoming = TcpListenerStream::new(listener);
            Ok::<_, ServerError>(plain.serve_with_incoming_shutdown(incoming, ended(ending.clone())).await?)
        };
        tokio::try_join!(secured, insecure)?;
        Ok(())
    }
}

pub(super) async fn bind(key: &'static str, address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address).await.map_err(|source| ServerError::Tcp { key, address, source })
}

/// From here on SIGHUP does not end the process.
pub(super) fn reload_signal() -> io::Result<Signal> {
    signal(SignalKind::hangup())
}

/// Reads the certificates of all listeners again when they change, and certificates and permissions at SIGHUP.
pub(super) async fn reloading(
    signer: Signer,
    certificates: Vec<Arc<ServerTls>>,
    mut asked: Signal,
    ending: watch::Receiver<bool>,
) {
    let ended = ended(ending);
    tokio::pin!(ended);
    loop {
        let told = tokio::select! {
            () = &mut ended => return,
            _ = asked.recv() => true,
            () = tokio::time::sleep(LOOK) => false,
        };
        for tls in certificates.iter().filter(|tls| told || tls.is_outdated()) {
            match tls.reload() {
                Ok(()) => tracing::info!("certificates were read again"),
                Err(error) => tracing::error!(%error, "certificates stay as they were"),
            }
        }
        if told {
            match signer.reload_clients() {
                Ok(clients) => tracing::info!(clients, "permissions were read again"),
                Err(error) => tracing::error!(%error, "permissions stay as they were"),
            }
        }
    }
}
