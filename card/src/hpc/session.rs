//! Exclusive sections, and what is known of the card between them.
//!
//! Whatever goes wrong below the card, the knowledge goes: logins, channels, key selections. A reset keeps the card
//! (after its serial number was compared), a removal ends it.

use super::commands::{self, KeyChoice};
use super::open::{read_serial, select_home};
use super::{CardError, Hpc, OpenError, PinPadRefusal};
use crate::apdu::{Channel, Command, Response};
use crate::pin::PinStatus;
use crate::profile::{Application, Dialect, PinProfile};
use crate::transport::{PinEntry, Transport, TransportError};

/// Where an application is selected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nowhere that could be relied on.
    Nowhere,
    /// On a logical channel of its own: nobody else's SELECT disturbs it.
    Own(Channel),
    /// On the basic channel, which every program shares.
    Shared,
}

/// What is known of one application.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) application: Application,
    pub(super) pin: PinStatus,
    pub(super) puk: PinStatus,
    pub(super) place: Place,
    pub(super) logged_in: bool,
    /// Whether the certificates of the application are known.
    pub(super) looked_at: bool,
    /// Whether the application is the selected one on the basic channel, unless another program interfered.
    pub(super) selected: bool,
    /// The key the application's channel has selected.
    pub(super) key: Option<KeyChoice>,
    pub(super) signatures_per_pin: Option<Option<u32>>,
    pub(super) tries: u8,
}

/// What is known of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// In order.
    Good,
    /// A call failed; reconnect before the next.
    Broken,
    /// Reconnected; it has to be seen whether it is the same card.
    Unchecked,
    /// The card is gone for good.
    Gone,
}

impl Session {
    pub(super) fn new(application: Application, profile: &PinProfile) -> Session {
        Session {
            application,
            pin: PinStatus::Unknown,
            puk: PinStatus::Unknown,
            place: Place::Nowhere,
            logged_in: false,
            looked_at: false,
            selected: false,
            key: None,
            signatures_per_pin: None,
            tries: profile.tries,
        }
    }

    /// The login is over, for whatever reason. A PIN that was verified has all its tries again.
    pub(super) fn log_out(&mut self) {
        self.logged_in = false;
        if self.pin == PinStatus::Verified {
            self.pin = PinStatus::NotVerified { tries: self.tries };
        }
    }

    /// Login, selection and channel are gone; returns the channel.
    pub(super) fn forget(&mut self) -> Option<Channel> {
        self.log_out();
        self.key = None;
        match std::mem::replace(&mut self.place, Place::Nowhere) {
            Place::Own(channel) => Some(channel),
            Place::Nowhere | Place::Shared => None,
        }
    }

    /// Whether the keys of the application may be used on the basic channel without selecting it first.
    pub(super) fn may_be_selected(&self) -> bool {
        self.place == Place::Shared && self.selected
    }

    /// Whether the keys may be asked for a signature.
    pub(super) fn usable(&self) -> bool {
        self.logged_in || self.pin == PinStatus::Disabled
    }
}

impl Hpc {
    /// Runs commands in one exclusive section, on the card that was opened and on no other.
    pub(super) fn section<T>(
        &mut self,
        work: impl FnOnce(&mut Hpc) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        if self.connection == Connection::Gone {
            return Err(CardError::Removed);
        }
        if self.connection == Connection::Broken {
            self.transport.reconnect().map_err(|error| self.lost(error))?;
            self.connection = Connection::Unchecked;
        }
        self.transport.begin().map_err(|error| self.lost(error))?;
        let result = self.check_card().and_then(|()| work(self));
        if let Err(error) = self.transport.end() {
            tracing::debug!(%error, "end of exclusive section");
        }
        result
    }

    /// Sends one command; a failure below the card drops everything known.
    pub(super) fn send(&mut self, command: &Command) -> Result<Response, CardError> {
        self.transport.transmit(command).map_err(|error| self.lost(error))
    }

    /// Sends one command after the user has filled its PIN blocks on the reader's pad.
    pub(super) fn send_from_pad(
        &mut self,
        command: &Command,
        entry: &PinEntry,
    ) -> Result<Response, CardError> {
        let response = self.transport.enter_pin(command, entry).map_err(|error| self.lost(error))?;
        let refusal = match response.status.0 {
            0x6400 => PinPadRefusal::Timeout,
            0x6401 => PinPadRefusal::Cancelled,
            0x6402 => PinPadRefusal::Mismatch,
            0x6403 => PinPadRefusal::Length,
            _ => return Ok(response),
        };
        Err(CardError::PinPad(refusal))
    }

    pub(super) fn session(&mut self, application: Application) -> Result<&mut Session, CardError> {
        let mut sessions = self.sessions.iter_mut();
        sessions.find(|session| session.application == application).ok_or(CardError::KeyMissing)
    }

    /// Another DF is about to be selected on the shared channel: a login that depends on the old one is over.
    pub(super) fn leave_shared_channel(&mut self) {
        for session in &mut self.sessions {
            session.selected = false;
        }
        for session in self.sessions.iter_mut().filter(|session| session.place == Place::Shared) {
            session.key = None;
            let ends = matches!(self.profile.dialect, Dialect::Esteid | Dialect::Jpki);
            if session.application == Application::Qes || ends {
                session.forget();
            }
        }
    }

    /// After a reconnect: compares serial numbers, and closes channels that a broken connection left open.
    fn check_card(&mut self) -> Result<(), CardError> {
        if self.connection == Connection::Good {
            return Ok(());
        }
        self.send(&select_home(self.profile))?;
        let iccsn = match read_serial(&mut *self.transport, self.profile) {
            Ok(iccsn) => iccsn,
            Err(OpenError::Transport(error)) => return Err(self.lost(error)),
            Err(_) => None,
        };
        if iccsn.as_ref() != Some(&self.iccsn) {
            return Err(self.lost(TransportError::Removed));
        }
        while let Some(channel) = self.orphans.pop() {
            self.send(&commands::close_channel(channel))?;
        }
        self.connection = Connection::Good;
        Ok(())
    }

    /// Drops what was known and says why.
    pub(super) fn lost(&mut self, error: TransportError) -> CardError {
        self.sessions.iter_mut().for_each(|session| session.selected = false);
        let open = self.sessions.iter_mut().filter_map(Session::forget);
        self.orphans.extend(open);
        self.connection = Connection::Broken;
        match error {
            TransportError::Reset => {
                self.orphans.clear();
                CardError::Reset
            }
            TransportError::Removed | TransportError::NoCard | TransportError::UnknownReader { .. } => {
                self.connection = Connection::Gone;
                CardError::Removed
            }
            other => CardError::Transport(other),
        }
    }
}
