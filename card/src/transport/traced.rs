//! A transport that counts commands and bytes and traces headers, lengths and status words.
//!
//! The trace never holds a data field, neither of a command (PINs) nor of an answer (names, insurance numbers), so
//! that it can be sent to anybody who helps.

use super::{Transport, TransportError};
use crate::apdu::{Command, Response};

/// What went over a transport.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Command APDUs sent, answered or not.
    pub commands: u64,
    /// Bytes of command APDUs.
    pub bytes_sent: u64,
    /// Bytes of response APDUs, status words included.
    pub bytes_received: u64,
}

/// Counts and traces what goes through the transport inside.
#[derive(Debug)]
pub struct Traced<T> {
    inner: T,
    traffic: Traffic,
}

impl<T: Transport> Traced<T> {
    /// Starts at zero.
    pub fn new(inner: T) -> Self {
        Traced { inner, traffic: Traffic::default() }
    }

    /// The transport inside.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: Transport> Transport for Traced<T> {
    fn atr(&self) -> &[u8] {
        self.inner.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let sent = command.encode()?.len();
        self.traffic.commands += 1;
        self.traffic.bytes_sent += sent as u64;
        tracing::trace!(command = %hex::encode_upper(command.header()), data = command.data_len(), "> card");
        let answer = self.inner.transmit(command);
        match &answer {
            Ok(response) => {
                self.traffic.bytes_received += response.data.len() as u64 + 2;
                tracing::trace!(data = response.data.len(), status = %response.status, "< card");
            }
            Err(error) => tracing::trace!(%error, "< card"),
        }
        answer
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.inner.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.inner.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        tracing::trace!("reconnect");
        self.inner.reconnect()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}
