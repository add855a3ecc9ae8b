//! PIN commands and the life cycle of passwords (gemSpec_COS 14.6).
//!
//! A counter goes down on disk before the secret is compared and up again afterwards, so that pulling the power
//! in between never gives a try back.

use zeroize::Zeroizing;

use super::apdu::Command;
use super::binary::no_data;
use super::pin_block::{self, LENGTH};
use super::{Card, Outcome, Sw};
use crate::image::{Digest, PasswordState};
use crate::layout::{Condition, Operation, Password, Secret, Transport};

type Block = [u8; LENGTH];

impl Card {
    pub(super) fn pin_status(&mut self, command: &Command<'_>) -> Outcome {
        no_data(command)?;
        only_p1(command, 0)?;
        let password = self.pin_object(command, Operation::PinStatus)?;
        if self.channel(command.channel())?.is_verified(password) {
            return Ok(Sw::OK.into());
        }
        if !self.image.is_enabled(password) {
            return Ok(Sw::VERIFICATION_DISABLED.into());
        }
        Ok(match self.image.password(password).transport {
            Transport::Protected => Sw::TRANSPORT_PIN,
            Transport::Empty => Sw::EMPTY_PIN,
            Transport::Regular => Sw::tries_left(self.image.tries(password)),
        }
        .into())
    }

    pub(super) fn verify(&mut self, command: &Command<'_>) -> Outcome {
        only_p1(command, 0)?;
        let [block] = blocks(command)?;
        let password = self.pin_object(command, Operation::Verify)?;
        self.refuse_blocked(password)?;
        if self.image.password(password).transport != Transport::Regular {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        self.check(command.channel(), password, pin_block::digits(&block))?;
        let environment = self.channel(command.channel())?.environment_of(password.folder);
        let uses = self.image.uses_per_verify(password, environment);
        self.channel_mut(command.channel())?.set_verified(password, uses);
        Ok(Sw::OK.into())
    }

    pub(super) fn change_reference_data(&mut self, command: &Command<'_>) -> Outcome {
        match command.p1 {
            0x00 => self.change_with_old(command),
            0x01 => self.set_without_old(command),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    fn change_with_old(&mut self, command: &Command<'_>) -> Outcome {
        let [old, new] = blocks(command)?;
        let password = self.pin_object(command, Operation::Change)?;
        self.refuse_blocked(password)?;
        if self.image.password(password).transport == Transport::Empty {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let new = self.new_secret(password, &new)?;
        self.check(command.channel(), password, pin_block::digits(&old))?;
        self.store_secret(password, &new)
    }

    /// Without the old value: for a password that has none yet, or where the rule asks for another password.
    fn set_without_old(&mut self, command: &Command<'_>) -> Outcome {
        let [new] = blocks(command)?;
        let password = self.pin_object(command, Operation::Set)?;
        let environment = self.channel(command.channel())?.environment_of(password.folder);
        let rule = password.access.condition(self.interface, true, environment, Operation::Set);
        let empty = self.image.password(password).transport == Transport::Empty;
        if rule == Some(&Condition::Always) && !empty {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        let new = self.new_secret(password, &new)?;
        self.store_secret(password, &new)
    }

    pub(super) fn reset_retry_counter(&mut self, command: &Command<'_>) -> Outcome {
        match command.p1 {
            0x00 => {
                let [puk, new] = blocks(command)?;
                let password = self.pin_object(command, Operation::ResetWithPukAndNew)?;
                self.refuse_used_up_puk(password)?;
                let new = self.new_secret(password, &new)?;
                self.check_puk(password, &puk)?;
                self.store_secret(password, &new)
            }
            0x01 => {
                let [puk] = blocks(command)?;
                let password = self.pin_object(command, Operation::ResetWithPuk)?;
                self.refuse_used_up_puk(password)?;
                self.check_puk(password, &puk)?;
                self.restore_tries(password)
            }
            0x02 => {
                let [new] = blocks(command)?;
                let password = self.pin_object(command, Operation::ResetWithNew)?;
                let new = self.new_secret(password, &new)?;
                self.store_secret(password, &new)
            }
            // P1=03 exists, but no rule of any profile allows it.
            0x03 => Err(Sw::SECURITY_STATUS),
            _ => Err(Sw::WRONG_PARAMETERS),
        }
    }

    pub(super) fn disable_verification(&mut self, command: &Command<'_>) -> Outcome {
        self.switch_verification(command, Operation::Disable, false)
    }

    pub(super) fn enable_verification(&mut self, command: &Command<'_>) -> Outcome {
        self.switch_verification(command, Operation::Enable, true)
    }

    fn switch_verification(&mut self, command: &Command<'_>, operation: Operation, enabled: bool) -> Outcome {
        match command.p1 {
            0x00 => {}
            // Without the secret: no rule of any profile allows it.
            0x01 => return Err(Sw::SECURITY_STATUS),
            _ => return Err(Sw::WRONG_PARAMETERS),
        }
        let [block] = blocks(command)?;
        let password = self.pin_object(command, operation)?;
        self.refuse_blocked(password)?;
        if self.image.password(password).transport != Transport::Regular {
            return Err(Sw::CONDITIONS_OF_USE);
        }
        self.check(command.channel(), password, pin_block::digits(&block))?;
        self.image.store_enabled(password, enabled)?;
        Ok(Sw::OK.into())
    }

    /// The password P2 names, if the command is allowed on it.
    fn pin_object(&self, command: &Command<'_>, operation: Operation) -> Result<&'static Password, Sw> {
        let channel = self.channel(command.channel())?;
        let password = self.layout.password(channel.folder.id, command.p2).ok_or(Sw::REFERENCE_NOT_FOUND)?;
        self.allowed(channel, password.folder, &password.access, operation)?;
        Ok(password)
    }

    pub(super) fn refuse_blocked(&self, password: &Password) -> Result<(), Sw> {
        if self.image.tries(password) == 0 { Err(Sw::BLOCKED) } else { Ok(()) }
    }

    pub(super) fn refuse_used_up_puk(&self, password: &Password) -> Result<(), Sw> {
        if self.image.puk_uses(password) == 0 { Err(Sw::BLOCKED) } else { Ok(()) }
    }

    /// Compares a secret. A wrong one costs a try and the security status; a malformed block counts as wrong.
    pub(super) fn check(
        &mut self,
        channel: u8,
        password: &'static Password,
        digits: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<(), Sw> {
        let left = self.image.tries(password).saturating_sub(1);
        self.image.store_tries(password, left)?;
        let stored = self.image.password(password).pin.as_ref();
        let right = match (stored, digits) {
            (Some(stored), Some(digits)) => stored.matches(&digits),
            _ => false,
        };
        if right {
            return self.restore_tries(password).map(|_| ());
        }
        self.channel_mut(channel)?.clear_verified(password);
        Err(Sw::tries_left(left))
    }

    /// Compares a PUK; right or wrong, it costs one of its uses.
    fn check_puk(&mut self, password: &'static Password, block: &Block) -> Result<(), Sw> {
        let left = self.image.puk_uses(password).saturating_sub(1);
        self.image.store_puk_uses(password, left)?;
        let stored = self.image.password(password).puk.as_ref();
        match (stored, pin_block::digits(block)) {
            (Some(stored), Some(digits)) if stored.matches(&digits) => Ok(()),
            _ => Err(Sw::tries_left(left)),
        }
    }

    /// The digits of a new secret, if their number is allowed.
    fn new_secret(&self, password: &Password, block: &Block) -> Result<Zeroizing<Vec<u8>>, Sw> {
        let digits = pin_block::digits(block).ok_or(Sw::CONDITIONS_OF_USE)?;
        match self.layout.owner(password).secret {
            Secret::Own { min, max, .. } if (min..=max).contains(&digits.len()) => Ok(digits),
            _ => Err(Sw::CONDITIONS_OF_USE),
        }
    }

    pub(super) fn store_secret(&mut self, password: &'static Password, digits: &[u8]) -> Outcome {
        let pin = Digest::of(digits).map_err(|_| Sw::MEMORY_FAILURE)?;
        let puk = self.image.password(password).puk.clone();
        let state = PasswordState { pin: Some(pin), puk, transport: Transport::Regular };
        self.image.store_password(password, state)?;
        self.restore_tries(password)
    }

    pub(super) fn restore_tries(&mut self, password: &'static Password) -> Outcome {
        if let Secret::Own { tries, .. } = self.layout.owner(password).secret {
            self.image.store_tries(password, tries)?;
        }
        Ok(Sw::OK.into())
    }
}

fn only_p1(command: &Command<'_>, p1: u8) -> Result<(), Sw> {
    if command.p1 == p1 { Ok(()) } else { Err(Sw::WRONG_PARAMETERS) }
}

/// Exactly `N` PIN blocks, or 6700.
fn blocks<const N: usize>(command: &Command<'_>) -> Result<[Zeroizing<Block>; N], Sw> {
    let (blocks, rest) = command.data.as_chunks::<LENGTH>();
    let blocks: Option<[Block; N]> = blocks.try_into().ok().filter(|_| rest.is_empty());
    blocks.map(|blocks| blocks.map(Zeroizing::new)).ok_or(Sw::WRONG_LENGTH)
}
