//! Evaluates access rules against what a channel has earned.

use super::channel::Channel;
use super::{Card, Sw};
use crate::layout::{AccessRules, Condition, Operation, Origin};

impl Card {
    /// Whether a command may touch an object now: `Ok` with the passwords its condition names, or 6982.
    ///
    /// A command that no rule names is refused.
    pub(super) fn allowed(
        &self,
        channel: &Channel,
        folder: usize,
        access: &AccessRules,
        operation: Operation,
    ) -> Result<Vec<u8>, Sw> {
        let environment = channel.environment_of(folder);
        let condition = access
            .condition(self.interface, self.is_active(folder), environment, operation)
            .ok_or(Sw::SECURITY_STATUS)?;
        let holds = condition.holds(&|atom| match atom {
            Condition::Password(reference) => self.is_satisfied(channel, folder, *reference),
            Condition::FreshPassword(reference) => self.is_fresh(channel, folder, *reference),
            Condition::SecureMessaging(origin) => {
                self.protection.as_ref().is_some_and(|protection| is_from(protection.origin, *origin))
            }
            Condition::EncipheredCommand => {
                self.protection.as_ref().is_some_and(|protection| protection.enciphered)
            }
            // Every answer with data but SELECT's leaves enciphered under secure messaging.
            Condition::EncipheredResponse => self.protection.is_some(),
            Condition::Role(wanted) => channel.trust.has_role(*wanted),
            Condition::Always | Condition::All(_) | Condition::Any(_) => true,
        });
        if holds { Ok(condition.passwords()) } else { Err(Sw::SECURITY_STATUS) }
    }

    /// A disabled password counts as verified.
    fn is_satisfied(&self, channel: &Channel, folder: usize, reference: u8) -> bool {
        let password = self.layout.password(folder, reference);
        password.is_some_and(|password| channel.is_verified(password) || !self.image.is_enabled(password))
    }

    fn is_fresh(&self, channel: &Channel, folder: usize, reference: u8) -> bool {
        let password = self.layout.password(folder, reference);
        password.is_some_and(|password| channel.fresh == Some(password.id))
    }

    /// Counts one use of each password a condition named.
    pub(super) fn use_passwords(&mut self, channel: u8, folder: usize, references: &[u8]) -> Result<(), Sw> {
        let layout = self.layout;
        let channel = self.channel_mut(channel)?;
        for password in references.iter().filter_map(|r| layout.password(folder, *r)) {
            channel.use_up(password);
        }
        Ok(())
    }
}

/// Whether keys agreed on with `origin` are those a rule wants.
fn is_from(origin: Origin, wanted: Origin) -> bool {
    match (origin, wanted) {
        (Origin::Key(key), Origin::Key(wanted)) => key == wanted,
        (Origin::Card(rights), Origin::Card(wanted)) => rights.cover(wanted),
        _ => false,
    }
}
