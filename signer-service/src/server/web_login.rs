//! The listener of the web login.

use std::{io, sync::Arc};

use tokio::{net::UnixListener, sync::watch, task::JoinHandle};

use super::{ServerError, network::bind};
use crate::{
    config::Config,
    listen::PrivateSocket,
    service::Signer,
    tls::ServerTls,
    web::{Listener, Web},
};

/// What was opened at the start, so that a wrong file or a taken address is known before anything else is done.
pub(super) struct WebLogin {
    /// Its file goes away with it.
    socket: Option<PrivateSocket>,
    listener: Option<Listener>,
}

/// The web login at work.
pub(super) struct Serving {
    _socket: Option<PrivateSocket>,
    task: Option<JoinHandle<io::Result<()>>>,
}

impl WebLogin {
    /// Binds what is configured.
    pub(super) async fn open(config: &Config) -> Result<WebLogin, ServerError> {
        let web = &config.web;
        let (socket, listener) = if let Some(path) = &web.unix {
            let refuse = |source| ServerError::Listen { key: "web.unix", source };
            let (socket, listener) = PrivateSocket::bind(path).map_err(refuse)?;
            (Some(socket), Some(Listener::Unix(UnixListener::from_std(listener)?)))
        } else if let Some(address) = web.tls {
            let tls = Arc::new(ServerTls::for_browsers(&config.tls)?);
            let listener = bind("web.tls", address).await?;
            tracing::info!(address = %listener.local_addr()?, "web login");
            (None, Some(Listener::Tls(listener, tls)))
        } else if let Some(address) = web.insecure_tcp {
            tracing::warn!(%address, "the web login is open without TLS: for development only");
            (None, Some(Listener::Plain(bind("web.insecure_tcp", address).await?)))
        } else {
            (None, None)
        };
        Ok(WebLogin { socket, listener })
    }

    /// The certificate that browsers see, to be read again.
    pub(super) fn tls(&self) -> Option<Arc<ServerTls>> {
        match &self.listener {
            Some(Listener::Tls(_, tls)) => Some(Arc::clone(tls)),
            _ => None,
        }
    }

    /// Serves on a task of its own until the end is announced.
    pub(super) fn serve(self, signer: &Signer, ending: &watch::Receiver<bool>) -> Serving {
        let task = self
            .listener
            .map(|listener| tokio::spawn(Web::new(signer.clone()).serve(listener, ending.clone())));
        Serving { _socket: self.socket, task }
    }
}

impl Serving {
    /// Waits for logins under way.
    pub(super) async fn end(self) {
        if let Some(task) = self.task {
            // Logins under way have the time that connections have.
            let _ = tokio::time::timeout(super::GRACE, task).await;
        }
    }
}
