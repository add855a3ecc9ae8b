//! A transport to a contactless card: PACE at the first exclusive section, secure messaging ever after.

use super::{Channel, ChannelError};
use crate::apdu::{Command, Response};
use crate::pace::{self, Can, PaceError};
use crate::status::StatusWord;
use crate::transport::{HangUp, Traffic, Transport, TransportError};

/// Why a contactless card could not be talked to.
#[derive(Debug, thiserror::Error)]
pub enum SecureError {
    /// No channel was opened.
    #[error(transparent)]
    Pace(#[from] PaceError),
    /// The channel is broken.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The security module at the other end of a trusted channel failed.
    #[error("security module: {0}")]
    Module(String),
}

const MANAGE_CHANNEL: u8 = 0x70;

/// A transport whose commands and answers are secured. Whoever uses it sees plain ones.
///
/// The channel is opened when the first exclusive section begins; a command outside a section before that goes through in
/// plain. When the card ends the channel, what it knew is gone: that is told as [`TransportError::Reset`], and after
/// [`Transport::reconnect`] the next section opens a new one.
///
/// A reader's PIN pad cannot be used: it fills plain commands only. Each logical channel would need PACE of its own, so that asking for one is answered here, as by a card without.
pub struct SecureTransport<T> {
    inner: T,
    can: Can,
    channel: Option<Channel>,
    ended: bool,
}

impl<T: Transport> SecureTransport<T> {
    /// Wraps a transport. Nothing is sent yet.
    pub fn new(inner: T, can: Can) -> Self {
        SecureTransport { inner, can, channel: None, ended: false }
    }

    fn open_channel(&mut self) -> Result<(), TransportError> {
        // Another program may have left the card in some application.
        let master_file = Command::new(0x00, 0xA4, 0x04, 0x0C);
        let selected = self.inner.transmit(&master_file)?.status;
        // A channel that another program left is ended by the first plain command, which does nothing else (gemSpec_COS
        // chapter 13).
        if matches!(selected, StatusWord(0x6987 | 0x6988)) {
            self.inner.transmit(&master_file)?;
        }
        let keys = pace::establish(&mut self.inner, &self.can).map_err(|error| match error {
            PaceError::Transport(error) => error,
            error => TransportError::Secure(Box::new(error.into())),
        })?;
        self.channel = Some(Channel::new(&keys));
        Ok(())
    }
}

impl<T: Transport> Transport for SecureTransport<T> {
    fn atr(&self) -> &[u8] {
        self.inner.atr()
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        if self.ended {
            return Err(TransportError::Reset);
        }
        let Some(channel) = &mut self.channel else { return self.inner.transmit(command) };
        if matches!(command.header(), [_, MANAGE_CHANNEL, 0x00, _]) {
            return Ok(Response { data: Vec::new(), status: StatusWord::CHANNEL_CLOSED });
        }
        let answer = self.inner.transmit(&channel.protect(command));
        let opened = match answer {
            Ok(answer) => channel.open(&answer),
            Err(error) => {
                self.channel = None;
                self.ended = matches!(error, TransportError::Reset);
                return Err(error);
            }
        };
        opened.map_err(|error| {
            tracing::debug!(%error, "secure channel");
            self.channel = None;
            self.ended = true;
            match error {
                ChannelError::Ended { .. } => TransportError::Reset,
                error => TransportError::Secure(Box::new(error.into())),
            }
        })
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        if self.ended {
            return Err(TransportError::Reset);
        }
        self.inner.begin()?;
        if self.channel.is_none()
            && let Err(error) = self.open_channel()
        {
            if let Err(error) = self.inner.end() {
                tracing::debug!(%error, "end of exclusive section");
            }
            return Err(error);
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        self.inner.end()
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        self.channel = None;
        self.inner.reconnect()?;
        self.ended = false;
        Ok(())
    }

    fn answer_limit(&self) -> Option<u16> {
        self.channel.as_ref().map(|_| super::MOST_DATA)
    }

    fn hang_up(&self) -> Option<HangUp> {
        self.inner.hang_up()
    }

    fn traffic(&self) -> Traffic {
        self.inner.traffic()
    }
}
