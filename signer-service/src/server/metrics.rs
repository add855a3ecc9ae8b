//! The listener for metrics.

use tokio::net::{TcpListener, UnixListener};

use super::ServerError;
use crate::{
    config::MetricsAt,
    listen::PrivateSocket,
    metrics::http::{self, Listener},
};

/// A bound listener; its socket goes away with it.
pub(super) struct Metrics {
    listener: Listener,
    _socket: Option<PrivateSocket>,
}

impl Metrics {
    /// Binds what is configured, if anything is.
    pub(super) async fn open(at: &MetricsAt) -> Result<Option<Metrics>, ServerError> {
        Ok(match at {
            MetricsAt::Off => None,
            MetricsAt::Unix(path) => {
                let refuse = |source| ServerError::Listen { key: "metrics.listen", source };
                let (socket, listener) = PrivateSocket::bind(path).map_err(refuse)?;
                let listener = Listener::Unix(UnixListener::from_std(listener)?);
                Some(Metrics { listener, _socket: Some(socket) })
            }
            MetricsAt::Tcp(address) => {
                let refuse = |source| ServerError::Tcp { key: "metrics.listen", address: *address, source };
                let listener = TcpListener::bind(address).await.map_err(refuse)?;
                tracing::info!(address = %listener.local_addr()?, "metrics");
                Some(Metrics { listener: Listener::Tcp(listener), _socket: None })
            }
        })
    }

    /// Answers until this future is dropped.
    pub(super) async fn serve(self, text: impl Fn() -> String + Send + Sync + 'static) {
        http::serve(self.listener, text).await;
    }
}
