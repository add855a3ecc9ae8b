//! A simulated card behind a Unix or TCP socket (`docs/card-socket.md`).

use super::{SocketAddress, Transport, TransportError};
use crate::apdu::{Command, Response};

/// A connection to a card socket.
#[derive(Debug)]
pub struct SocketTransport {
    atr: Vec<u8>,
}

impl SocketTransport {
    /// Connects and asks for the ATR.
    ///
    /// # Errors
    /// Nobody listens there, or no card is inserted ([`TransportError::NoCard`]).
    pub fn connect(_address: &SocketAddress) -> Result<SocketTransport, TransportError> {
        Err(TransportError::NoCard)
    }
}

impl Transport for SocketTransport {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, _command: &Command) -> Result<Response, TransportError> {
        Err(TransportError::Removed)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Err(TransportError::NoCard)
    }
}
