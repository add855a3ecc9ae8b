//! Connections from the network: accepted, their handshakes done beside each other and within a time, then handed over.
//! One that is slow or wrong holds up nobody.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::ServerTls;
use crate::{access::Identity, metrics::Metrics};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Pause after the system refused a connection, most likely for want of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection whose other side has shown a certificate of a configured authority.
pub struct Secured {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    _place: OwnedSemaphorePermit,
}

/// Who is at the other end.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
    /// What its certificate is known by.
    pub identity: Identity,
}

/// Accepts connections, at most so many at a time, until the answer is dropped.
pub fn accept(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    most: usize,
    metrics: Arc<Metrics>,
) -> ReceiverStream<Result<Secured, io::Error>> {
    let (out, secured) = mpsc::channel(16);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(most));
        loop {
            let next = async {
                let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
                let (stream, address) = listener.accept().await?;
                Ok::<_, io::Error>((stream, address, place))
            };
            let accepted = tokio::select! {
                () = out.closed() => return,
                accepted = next => accepted,
            };
            match accepted {
                Ok((stream, address, place)) => {
                    let (tls, out, metrics) =
                        (TlsAcceptor::from(tls.current()), out.clone(), Arc::clone(&metrics));
                    tokio::spawn(async move {
                        match secure(tls, stream, address, place).await {
                            // Nobody takes it any more when the service stops.
                            Ok(secured) => {
                                metrics.connection("OK");
                                drop(out.send(Ok(secured)).await);
                            }
                            Err(error) => {
                                metrics.connection("refused");
                                tracing::warn!(%address, %error, "no connection");
                            }
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    });
    ReceiverStream::new(secured)
}

async fn secure(
    tls: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) -> io::Result<Secured> {
    stream.set_nodelay(true)?;
    let handshake = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await;
    let stream =
        handshake.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "handshake took too long"))??;
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = shown.ok_or_else(|| io::Error::other("no certificate was shown"))?;
    let peer = Peer { address, identity: Identity::of(shown) };
    Ok(Secured { stream, peer, _place: place })
}

impl Connected for Secured {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
