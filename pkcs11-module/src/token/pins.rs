//! C_SetPIN, C_InitPIN and the security officer's login (PKCS#11 v3.1 clauses 5.5.8, 5.5.9, 5.6.8), as the cards have
//! them: CHANGE REFERENCE DATA with the old PIN, RESET RETRY COUNTER with the PUK.

use card::hpc::CardError;
use card::pin::{Pin, PinFormatError};
use card::profile::Application;

use super::login::{LoginState, OnCard, Puk};
use super::reader::{Link, Reader, after_secret};
use super::snapshot::name;
use crate::error::{Error, Result};

impl Reader {
    /// C_Login(CKU_SO): takes the PUK; without one, the user will enter it on the reader's pad. The card is not asked, it
    /// compares a PUK only when it is used.
    pub(crate) fn login_officer(
        &self,
        application: Application,
        generation: u64,
        puk: Option<&[u8]>,
    ) -> Result<()> {
        let token = self.known_token(application)?;
        let (rules, pad) = (token.pin, token.pin_pad);
        self.check_where_entered(if rules.puk_sets_pin { pad.modify } else { pad.verify }, puk.is_none())?;
        let puk = match puk {
            Some(puk) => Puk::Typed(Some(Pin::parse(puk, rules.puk, rules.puk).map_err(CardError::from)?)),
            None => Puk::OnPad,
        };
        self.slot(application, generation, |slot| slot.login.officer_comes(puk))?
    }

    /// C_SetPIN. The old value may be the transport PIN, which is shorter than any other. Without values, the user
    /// enters them on the reader's pad.
    pub(crate) fn change_pin(
        &self,
        application: Application,
        generation: u64,
        pins: Option<(&[u8], &[u8])>,
    ) -> Result<()> {
        let mut link = self.link()?;
        let token = self.known_token(application)?;
        self.check_where_entered(token.pin_pad.modify, pins.is_none())?;
        let rules = token.pin;
        let parse = |(old, new)| {
            let old = rules.parse(old, rules.min.min(rules.transport), rules.max)?;
            Ok((old, rules.parse(new, rules.min, rules.max)?))
        };
        let pins = pins.map(parse).transpose().map_err(|error: PinFormatError| CardError::from(error))?;
        let before = is_logged_in(&link, application);
        let changed = self.work(&mut link, generation, |hpc| match &pins {
            Some((old, new)) => hpc.change_pin(application, old, new),
            None => hpc.change_pin_on_pad(application),
        });
        self.note_pin_state(&link, application);
        let wrong =
            matches!(changed, Err(Error::Card(CardError::PinIncorrect { .. } | CardError::PinBlocked)));
        if wrong || (before && !is_logged_in(&link, application)) {
            self.slot(application, generation, |slot| slot.login.lost()).ok();
        }
        tracing::info!(token = name(application), done = changed.is_ok(), "change of the PIN");
        changed.map_err(after_secret)
    }

    /// C_InitPIN: the officer's PUK sets this PIN. Where the card's PUK sets none, it gives the old PIN its tries back,
    /// and the card then has to confirm that this is it; an empty PIN leaves the question out. Without a PIN, an officer
    /// with a pad enters the new one there, behind the PUK, where the PUK sets one.
    pub(crate) fn unblock_pin(
        &self,
        application: Application,
        generation: u64,
        pin: Option<&[u8]>,
    ) -> Result<()> {
        let mut link = self.link()?;
        let (who, on_pad) =
            self.slot(application, generation, |slot| (slot.login.state(), slot.login.has_puk_on_pad()))?;
        if who != LoginState::Officer {
            return Err(Error::UserNotLoggedIn);
        }
        let rules = self.pin_rules(application)?;
        let sets_on_pad = rules.puk_sets_pin && pin.is_none();
        let pin = match pin.unwrap_or_default() {
            [] => None,
            // One command holds both: they come from one place.
            _ if on_pad => return Err(Error::ArgumentsBad),
            digits => Some(rules.parse(digits, rules.min, rules.max).map_err(CardError::from)?),
        };
        let puk = self.slot(application, generation, |slot| slot.login.take_puk())??;
        let new = pin.as_ref().filter(|_| rules.puk_sets_pin);
        let unblocked = self.work(&mut link, generation, |hpc| match &puk {
            Some(puk) => hpc.unblock_pin(application, puk, new),
            None => hpc.unblock_pin_on_pad(application, sets_on_pad),
        });
        self.note_pin_state(&link, application);
        tracing::info!(token = name(application), done = unblocked.is_ok(), "PUK used");
        unblocked.map_err(after_secret)?;
        match &pin {
            Some(old) if !rules.puk_sets_pin => {
                let confirmed = self.verify(&mut link, generation, application, Some(old));
                self.end_on_card(&mut link, application, OnCard::End);
                confirmed
            }
            _ => Ok(()),
        }
    }
}

fn is_logged_in(link: &Option<Link>, application: Application) -> bool {
    link.as_ref().is_some_and(|link| link.hpc.is_logged_in(application))
}
