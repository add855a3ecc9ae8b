//! Tells on standard error how far a slow reader is.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use card::apdu::{Command, Response};
use card::transport::{PinEntry, PinPad, Transport, TransportError};

/// Nobody minds waiting that long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A transport that says after a command how many there were.
pub(crate) struct Progress<T> {
    inner: T,
    started: Instant,
    /// Silence before the first line.
    patience: Duration,
    commands: u64,
    bytes: usize,
}

impl<T: Transport> Progress<T> {
    /// Wraps a transport: tells of every command, or of those after a while.
    pub(crate) fn new(inner: T, always: bool) -> Self {
        let patience = if always { Duration::ZERO } else { PATIENCE };
        Progress { inner, started: Instant::now(), patience, commands: 0, bytes: 0 }
    }

    fn tell(&mut self, got: usize) {
        self.commands += 1;
        self.bytes = self.bytes.saturating_add(got);
        let passed = self.started.elapsed();
        if passed >= self.patience {
            let (commands, bytes, seconds) = (self.commands, self.bytes, passed.as_secs_f64());
            // Nobody is there to read it.
            let _ = writeln!(
                io::stderr(),
                "egk-reader: {commands} commands done, {bytes} bytes read, {seconds:.1} s"
            );
        }
    }
}

impl<T: Transport> Transport for Progress<T> {
    fn atr(&self) -> &[u8] {
        self.inner.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let response = self.inner.transmit(command)?;
        self.tell(response.data.len());
        Ok(response)
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        self.inner.begin()
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.inner.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.inner.reconnect()
    }

    fn answer_limit(&self) -> Option<u16> {
        self.inner.answer_limit()
    }

    fn pin_pad(&self) -> PinPad {
        self.inner.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        let response = self.inner.enter_pin(command, entry)?;
        self.tell(response.data.len());
        Ok(response)
    }
}
