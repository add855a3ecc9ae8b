//! Logging in and out: a logical channel per application where the card has them, the basic channel elsewhere.
//!
//! Why channels: PIN.QES falls when somebody selects another DF on the same channel, and a key reference means
//! another key in another DF (`docs/decisions/logical-channels.md`).

use super::open::select_home;
use super::session::{Connection, Place};
use super::{CardError, Hpc, PinPadRefusal, commands, piv};
use crate::apdu::{Channel, Command};
use crate::pin::{Pin, PinFormatError, PinStatus};
use crate::profile::{Application, ApplicationProfile, Dialect};
use crate::status::StatusWord;
use crate::transport::PinEntry;

impl Hpc {
    pub(super) fn log_in(&mut self, application: Application, pin: &Pin) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        check_length(pin, profile.pin.min, profile.pin.max)?;
        self.with_secret(|hpc, sent| hpc.select_and_verify(profile, Some(pin), sent))
    }

    pub(super) fn log_in_on_pad(&mut self, application: Application) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        if !self.pin_pad().verify {
            return Err(CardError::PinPad(PinPadRefusal::Absent));
        }
        self.with_secret(|hpc, sent| hpc.select_and_verify(profile, None, sent))
    }

    /// Runs a section that sends a secret, once more if the card was reset before it was sent: nothing but selections
    /// got lost then, and the secret is still in the caller's hands only.
    pub(super) fn with_secret<T>(
        &mut self,
        work: impl Fn(&mut Hpc, &mut bool) -> Result<T, CardError>,
    ) -> Result<T, CardError> {
        let mut sent = false;
        match self.section(|hpc| work(hpc, &mut sent)) {
            Err(CardError::Reset) if !sent => self.section(|hpc| work(hpc, &mut sent)),
            result => result,
        }
    }

    pub(super) fn log_out(&mut self, application: Application) -> Result<(), CardError> {
        let session = self.session(application)?;
        let was_logged_in = session.logged_in;
        session.log_out();
        session.key = None;
        let place = session.place;
        if !was_logged_in || self.connection != Connection::Good {
            return Ok(());
        }
        let farewell = match place {
            Place::Own(channel) => {
                return known_end(self.section(|hpc| hpc.start_over(application, channel)));
            }
            // PIN.QES belongs to its DF and falls when that is left; PIN.CH of the basic channel ends with a reset only.
            Place::Shared if self.profile.dialect == Dialect::Piv => self.piv_farewell(application),
            Place::Shared if self.profile.dialect == Dialect::Beid => self.beid_farewell(application),
            Place::Shared if matches!(self.profile.dialect, Dialect::Esteid | Dialect::Jpki) => {
                select_home(self.profile)
            }
            Place::Shared if application == Application::Qes => commands::select_mf(),
            Place::Shared | Place::Nowhere => return Ok(()),
        };
        self.session(application)?.forget();
        self.leave_shared_channel();
        known_end(self.section(|hpc| hpc.send(&farewell).map(drop)))
    }

    /// Logs out and gives the application's channel back.
    pub(super) fn leave(&mut self, application: Application) -> Result<(), CardError> {
        let session = self.session(application)?;
        let Place::Own(channel) = session.place else { return self.log_out(application) };
        session.forget();
        if self.connection != Connection::Good {
            return Ok(());
        }
        known_end(self.section(|hpc| hpc.send(&commands::close_channel(channel)).map(drop)))
    }

    /// Ends whatever was earned on a channel and selects the application again, so that the next login is VERIFY alone.
    /// A card that cannot do that gets the channel back.
    fn start_over(&mut self, application: Application, channel: Channel) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        let select = commands::select_application(self.profile.dialect, &profile.aid);
        if self.send(&commands::reset_channel(channel))?.status.is_ok()
            && self.send(&select.on_channel(channel))?.status.is_ok()
        {
            return Ok(());
        }
        self.session(application)?.forget();
        self.send(&commands::close_channel(channel)).map(drop)
    }

    /// Both applications share one PIN: as long as the other one is logged in, only the right to the next signature
    /// ends, which any command takes away.
    fn piv_farewell(&self, left: Application) -> Command {
        let reference = self.profile.application(left).map_or(0, |profile| profile.pin.reference);
        let other = self.sessions.iter().any(|session| session.application != left && session.logged_in);
        if other { piv::pin_status(reference) } else { piv::log_out(reference) }
    }

    /// Without a PIN, the user enters it on the reader's pad.
    fn select_and_verify(
        &mut self,
        profile: &'static ApplicationProfile,
        pin: Option<&Pin>,
        sent: &mut bool,
    ) -> Result<(), CardError> {
        let channel = self.enter(profile)?;
        let dialect = self.profile.dialect;
        if dialect == Dialect::Beid && profile.application == Application::Qes {
            self.choose_key_before_pin(profile.application)?;
        }
        let session = self.session(profile.application)?;
        let before = session.pin;
        session.logged_in = false;
        session.pin = PinStatus::Unknown;
        let rules = &profile.pin;
        let verify = commands::verify(dialect, rules, pin);
        let verify = verify.ok_or_else(|| wrong_length(pin, rules.min, rules.max))?;
        *sent = true;
        let answer = match pin {
            Some(_) => self.send(&verify.on_channel(channel)),
            None => self.send_from_pad(
                &verify.on_channel(channel),
                &PinEntry::Verify(profile.pin.min..=profile.pin.max),
            ),
        };
        if let Err(CardError::PinPad(_)) = answer {
            self.session(profile.application)?.pin = before;
        }
        let status = answer?.status;
        let session = self.session(profile.application)?;
        match (status, status.tries_left()) {
            (StatusWord::OK, _) => {
                session.logged_in = true;
                session.pin = PinStatus::Verified;
                self.read_behind_pin(profile.application)
            }
            (StatusWord::BLOCKED, _) | (_, Some(0)) => {
                session.pin = PinStatus::Blocked;
                Err(CardError::PinBlocked)
            }
            (_, Some(tries)) => {
                session.pin = PinStatus::NotVerified { tries };
                Err(CardError::PinIncorrect { tries })
            }
            (StatusWord::CONDITIONS, _) => {
                let status = if before == PinStatus::EmptyPin { before } else { PinStatus::TransportPin };
                session.pin = status;
                Err(CardError::PinNotUsable { status })
            }
            (StatusWord::CHANNEL_CLOSED, _) => {
                session.pin = before;
                session.forget();
                Err(CardError::Reset)
            }
            _ => Err(CardError::Status { command: "VERIFY", status }),
        }
    }

    /// Makes the application the selected one, on a channel of its own if there is one.
    pub(super) fn enter(&mut self, profile: &'static ApplicationProfile) -> Result<Channel, CardError> {
        match self.enter_own(profile)? {
            Some(channel) => Ok(channel),
            // A PIN of the MF is compared wherever the channel stands; a PIN of the application needs its DF.
            None if profile.pin.is_global() && self.profile.dialect == Dialect::Cos => {
                let session = self.session(profile.application)?;
                session.place = Place::Shared;
                session.key = None;
                Ok(Channel::BASIC)
            }
            None => {
                self.select_shared(profile)?;
                if self.profile.dialect == Dialect::Jpki {
                    self.select_pin(profile)?;
                }
                Ok(Channel::BASIC)
            }
        }
    }

    /// Makes the application the selected one on a channel of its own, if there is one.
    pub(super) fn enter_own(
        &mut self,
        profile: &'static ApplicationProfile,
    ) -> Result<Option<Channel>, CardError> {
        if let Place::Own(channel) = self.session(profile.application)?.place {
            return Ok(Some(channel));
        }
        let Some(channel) = self.open_channel()? else { return Ok(None) };
        let select = commands::select_application(self.profile.dialect, &profile.aid);
        let status = self.send(&select.on_channel(channel))?.status;
        if !status.is_ok() {
            self.send(&commands::close_channel(channel))?;
            return Err(CardError::Status { command: "SELECT", status });
        }
        self.session(profile.application)?.place = Place::Own(channel);
        Ok(Some(channel))
    }

    /// Selects the application on the basic channel.
    pub(super) fn select_shared(&mut self, profile: &'static ApplicationProfile) -> Result<(), CardError> {
        self.leave_shared_channel();
        if self.profile.dialect == Dialect::Beid {
            self.reach_applet(profile)?;
        } else {
            let select = commands::select_application(self.profile.dialect, &profile.aid);
            let status = self.send(&select)?.status;
            if !status.is_ok() {
                return Err(CardError::Status { command: "SELECT", status });
            }
        }
        let session = self.session(profile.application)?;
        session.place = Place::Shared;
        session.selected = true;
        session.key = None;
        Ok(())
    }

    /// A channel of our own; `None` if the card has none or none is free. A card that does not know the command is
    /// not asked again.
    fn open_channel(&mut self) -> Result<Option<Channel>, CardError> {
        if !self.has_channels {
            return Ok(None);
        }
        let response = self.send(&commands::open_channel())?;
        let number = response.data.first().copied().filter(|_| response.status.is_ok());
        let channel = number.and_then(Channel::new).filter(|channel| *channel != Channel::BASIC);
        if channel.is_none() {
            self.has_channels = response.status == StatusWord::COMMAND_INCOMPATIBLE;
            tracing::debug!(status = %response.status, "no logical channel");
        }
        Ok(channel)
    }
}

/// After a reset, too, nobody is logged in any more.
fn known_end(result: Result<(), CardError>) -> Result<(), CardError> {
    match result {
        Err(CardError::Reset) => Ok(()),
        result => result,
    }
}

pub(super) fn check_length(pin: &Pin, min: u8, max: u8) -> Result<(), CardError> {
    if (min..=max).contains(&pin.digits()) { Ok(()) } else { Err(wrong_length(Some(pin), min, max)) }
}

/// What is told about a PIN that does not fit into a command.
pub(super) fn wrong_length(pin: Option<&Pin>, min: u8, max: u8) -> CardError {
    PinFormatError::Length { got: pin.map_or(0, Pin::digits).into(), min, max }.into()
}
