//! A transport that counts commands and bytes and traces headers, lengths and status words.
//!
//! The trace never holds a data field, neither of a command (PINs) nor of an answer (names, insurance numbers), so
//! that it can be sent to anybody who helps.

use super::{HangUp, PinEntry, PinPad, Transport, TransportError};
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

    fn pin_pad(&self) -> PinPad {
        self.inner.pin_pad()
    }

    fn enter_pin(&mut self, command: &Command, entry: &PinEntry) -> Result<Response, TransportError> {
        self.traffic.commands += 1;
        tracing::trace!(command = %hex::encode_upper(command.header()), ?entry, "> PIN pad");
        let answer = self.inner.enter_pin(command, entry);
        match &answer {
            Ok(response) => {
                self.traffic.bytes_received += response.data.len() as u64 + 2;
                tracing::trace!(data = response.data.len(), status = %response.status, "< PIN pad");
            }
            Err(error) => tracing::trace!(%error, "< PIN pad"),
        }
        answer
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.inner.hang_up()
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

    fn answer_limit(&self) -> Option<u16> {
        self.inner.answer_limit()
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;
    use crate::script::Script;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Captured {
        type Writer = Captured;
        fn make_writer(&'a self) -> Captured {
            self.clone()
        }
    }

    #[test]
    fn the_trace_counts_and_shows_headers_but_no_data() {
        let (card, _) = Script::new("3B00")
            .on("00200081 08 26123456FFFFFFFF", "63C2")
            .on("00B0820000", "5A0A802768831100002208859000")
            .fail("00A4040C", TransportError::Removed)
            .start();
        let mut card = Traced::new(card);
        let text = Captured::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            // The digits of a time may be those that must not be there.
            .without_time()
            .with_writer(text.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            card.begin().unwrap();
            let pin = [0x26, 0x12, 0x34, 0x56, 0xFF, 0xFF, 0xFF, 0xFF];
            card.transmit(&Command::new(0x00, 0x20, 0x00, 0x81).data(pin).sensitive()).unwrap();
            card.transmit(&Command::new(0x00, 0xB0, 0x82, 0x00).le(crate::apdu::Le::SHORT_WILDCARD)).unwrap();
            assert!(card.transmit(&Command::new(0x00, 0xA4, 0x04, 0x0C)).is_err());
            card.end().unwrap();
        });
        assert_eq!(card.traffic(), Traffic { commands: 3, bytes_sent: 13 + 5 + 4, bytes_received: 2 + 14 });
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        for shown in ["00200081", "63C2", "00B08200", "card was removed"] {
            assert!(text.contains(shown), "{shown} missing in {text}");
        }
        for hidden in ["123456", "2612", "8027", "220885"] {
            assert!(!text.contains(hidden), "{hidden} in {text}");
        }
    }
}
