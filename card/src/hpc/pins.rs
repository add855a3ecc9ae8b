//! Changing and unblocking a PIN: CHANGE REFERENCE DATA and RESET RETRY COUNTER (gemSpec_COS clauses 14.6.1, 14.6.5).

use super::login::{check_length, wrong_length};
use super::open::select_home;
use super::session::Session;
use super::{CardError, Hpc, PinPadRefusal, commands};
use crate::apdu::Channel;
use crate::pin::{Pin, PinStatus};
use crate::profile::{Application, ApplicationProfile, Dialect, PinProfile};
use crate::status::StatusWord;
use crate::transport::PinEntry;

impl Hpc {
    pub(super) fn read_pin_status(&mut self, application: Application) -> Result<PinStatus, CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        self.section(|hpc| hpc.enter_and_ask(profile).map(|(_, status)| status))
    }

    pub(super) fn replace_pin(
        &mut self,
        application: Application,
        old: &Pin,
        new: &Pin,
    ) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        check_length(new, profile.pin.min, profile.pin.max)?;
        self.with_secret(|hpc, sent| hpc.ask_and_change(profile, Some((old, new)), sent))
    }

    pub(super) fn replace_pin_on_pad(&mut self, application: Application) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        if !self.pin_pad().modify {
            return Err(CardError::PinPad(PinPadRefusal::Absent));
        }
        self.with_secret(|hpc, sent| hpc.ask_and_change(profile, None, sent))
    }

    pub(super) fn use_puk(
        &mut self,
        application: Application,
        puk: &Pin,
        new: Option<&Pin>,
    ) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        check_length(puk, profile.pin.puk, profile.pin.puk)?;
        if let Some(new) = new {
            if !profile.pin.puk_sets_pin {
                return Err(CardError::PukSetsNoPin);
            }
            check_length(new, profile.pin.min, profile.pin.max)?;
        }
        self.with_secret(|hpc, sent| hpc.enter_and_unblock(profile, Entered::Here(puk, new), sent))
    }

    pub(super) fn use_puk_on_pad(&mut self, application: Application, sets: bool) -> Result<(), CardError> {
        let profile = self.profile.application(application).ok_or(CardError::KeyMissing)?;
        if sets && !profile.pin.puk_sets_pin {
            return Err(CardError::PukSetsNoPin);
        }
        let pad = self.pin_pad();
        if !(if sets { pad.modify } else { pad.verify }) {
            return Err(CardError::PinPad(PinPadRefusal::Absent));
        }
        self.with_secret(|hpc, sent| hpc.enter_and_unblock(profile, Entered::OnPad { sets }, sent))
    }

    /// Without PINs, the user enters them on the reader's pad.
    fn ask_and_change(
        &mut self,
        profile: &'static ApplicationProfile,
        pins: Option<(&Pin, &Pin)>,
        sent: &mut bool,
    ) -> Result<(), CardError> {
        let (channel, before) = self.enter_and_ask(profile)?;
        match before {
            PinStatus::Blocked => return Err(CardError::PinBlocked),
            PinStatus::EmptyPin => return Err(CardError::PinNotUsable { status: before }),
            _ => {}
        }
        let (min, max) = (profile.pin.min, profile.pin.max);
        let old_digits = match before {
            PinStatus::TransportPin => profile.pin.transport..=profile.pin.transport,
            _ => min..=max,
        };
        if let Some((old, _)) = pins {
            check_length(old, *old_digits.start(), *old_digits.end())?;
        }
        // The answer may get lost.
        self.session(profile.application)?.pin = PinStatus::Unknown;
        *sent = true;
        let commands = commands::change(self.profile.dialect, &profile.pin, pins);
        let mut status = StatusWord::OK;
        for command in commands.ok_or_else(|| wrong_length(pins.map(|(_, new)| new), min, max))? {
            let command = command.on_channel(channel);
            let answer = match pins {
                Some(_) => self.send(&command),
                None => self.send_from_pad(&command, &PinEntry::Change(min.min(*old_digits.start())..=max)),
            };
            if let Err(CardError::PinPad(_)) = answer {
                self.session(profile.application)?.pin = before;
            }
            status = answer?.status;
            if !status.is_ok() {
                break;
            }
        }
        if self.profile.dialect == Dialect::Jpki && !self.session(profile.application)?.logged_in {
            // The old PIN was verified on the way.
            self.send(&select_home(self.profile))?;
            self.leave_shared_channel();
        }
        let session = self.session(profile.application)?;
        match (status, status.tries_left()) {
            (StatusWord::OK, _) => {
                session.pin_is_set();
                Ok(())
            }
            (StatusWord::BLOCKED, _) | (_, Some(0)) => {
                session.logged_in = false;
                session.pin = PinStatus::Blocked;
                Err(CardError::PinBlocked)
            }
            (_, Some(tries)) => {
                session.logged_in = false;
                session.pin = PinStatus::NotVerified { tries };
                Err(CardError::PinIncorrect { tries })
            }
            (StatusWord::CONDITIONS, _) => {
                session.pin = before;
                Err(CardError::NewPinRefused)
            }
            _ => Err(self.unexpected(profile, before, "CHANGE REFERENCE DATA", status)),
        }
    }

    fn enter_and_unblock(
        &mut self,
        profile: &'static ApplicationProfile,
        entered: Entered<'_>,
        sent: &mut bool,
    ) -> Result<(), CardError> {
        let channel = self.enter(profile)?;
        let session = self.session(profile.application)?;
        let before = std::mem::replace(&mut session.pin, PinStatus::Unknown);
        let puk_before = std::mem::replace(&mut session.puk, PinStatus::Unknown);
        *sent = true;
        let answer = self.send_puk(&profile.pin, channel, entered);
        if let Err(CardError::PinPad(_)) = answer {
            let session = self.session(profile.application)?;
            (session.pin, session.puk) = (before, puk_before);
        }
        let status = answer?;
        let session = self.session(profile.application)?;
        match (status, status.tries_left()) {
            (StatusWord::OK, _) => {
                session.pin_is_set();
                Ok(())
            }
            (StatusWord::BLOCKED, _) | (_, Some(0)) => {
                (session.pin, session.puk) = (before, PinStatus::Blocked);
                Err(CardError::PukBlocked)
            }
            (_, Some(uses)) => {
                (session.pin, session.puk) = (before, PinStatus::NotVerified { tries: uses });
                Err(CardError::PukIncorrect { uses })
            }
            (StatusWord::CONDITIONS, _) => {
                session.pin = before;
                Err(CardError::NewPinRefused)
            }
            _ => Err(self.unexpected(profile, before, "RESET RETRY COUNTER", status)),
        }
    }

    /// Sends the commands of a PUK until one is refused; answers what the card said last.
    fn send_puk(
        &mut self,
        rules: &PinProfile,
        channel: Channel,
        entered: Entered<'_>,
    ) -> Result<StatusWord, CardError> {
        let (puk, new) = match entered {
            Entered::Here(puk, new) => (puk, new),
            Entered::OnPad { sets } => {
                // The reader accepts the same numbers of digits for PUK and PIN; the card knows better.
                let entry = match sets {
                    true => PinEntry::Change(rules.min.min(rules.puk)..=rules.max.max(rules.puk)),
                    false => PinEntry::Verify(rules.puk..=rules.puk),
                };
                let command = commands::unblock_on_pad(rules, sets).on_channel(channel);
                return Ok(self.send_from_pad(&command, &entry)?.status);
            }
        };
        let commands = commands::unblock(self.profile.dialect, rules, puk, new);
        let mut status = StatusWord::OK;
        for command in commands.ok_or_else(|| wrong_length(Some(puk), rules.puk, rules.puk))? {
            status = self.send(&command.on_channel(channel))?.status;
            if !status.is_ok() {
                break;
            }
        }
        Ok(status)
    }

    /// Goes where the PIN can be used and asks for its state.
    fn enter_and_ask(
        &mut self,
        profile: &'static ApplicationProfile,
    ) -> Result<(Channel, PinStatus), CardError> {
        if self.profile.dialect == Dialect::Esteid {
            return self.ask_tries(profile);
        }
        // Asking would end the login.
        if self.profile.dialect == Dialect::Jpki && self.session(profile.application)?.logged_in {
            self.select_pin(profile)?;
            self.session(profile.application)?.key = None;
            return Ok((Channel::BASIC, PinStatus::Verified));
        }
        let channel = self.enter(profile)?;
        let Some(command) = commands::pin_status(self.profile.dialect, profile.pin.reference) else {
            return Ok((channel, self.session(profile.application)?.pin));
        };
        let answer = self.send(&command.on_channel(channel))?.status;
        let status = PinStatus::from_status(answer);
        let session = self.session(profile.application)?;
        if answer == StatusWord::CHANNEL_CLOSED {
            session.forget();
            return Err(CardError::Reset);
        }
        session.pin = status;
        session.logged_in &= status == PinStatus::Verified;
        Ok((channel, status))
    }

    /// The card refused before it compared anything.
    fn unexpected(
        &mut self,
        profile: &'static ApplicationProfile,
        before: PinStatus,
        command: &'static str,
        status: StatusWord,
    ) -> CardError {
        let Ok(session) = self.session(profile.application) else {
            return CardError::KeyMissing;
        };
        session.pin = before;
        if status == StatusWord::CHANNEL_CLOSED {
            session.forget();
            return CardError::Reset;
        }
        CardError::Status { command, status }
    }
}

/// Where a PUK comes from, and with it the new PIN if one is set.
#[derive(Clone, Copy)]
enum Entered<'p> {
    Here(&'p Pin, Option<&'p Pin>),
    OnPad { sets: bool },
}

impl Session {
    /// The card holds a PIN with all its tries. It does not log in; a login that was there stays.
    fn pin_is_set(&mut self) {
        self.pin = match self.logged_in {
            true => PinStatus::Verified,
            false => PinStatus::NotVerified { tries: self.tries },
        };
    }
}
