//! Commands under secure messaging (gemSpec_COS chapter 13). Each logical channel has keys of its own.

use super::apdu::{Command, Expected};
use super::{Card, Outcome, Protection, Reply, Sw};
use crate::crypto::Broken;
use crate::layout::Dialect;

/// Secure messaging with an authenticated header.
const SECURED: u8 = 0x0C;
/// Positions of the limits for secured commands and their answers in EF.ATR.
const SECURED_LIMIT: usize = 2;
const SECURED_ANSWER_LIMIT: usize = 3;
const SELECT: u8 = 0xA4;
const MANAGE_CHANNEL: u8 = 0x70;

impl Card {
    /// The channel of a command that claims to be secured, if that channel has keys to open it with.
    pub(super) fn secured_channel(&self, command: &[u8]) -> Option<u8> {
        let class = *command.first()?;
        let claims = class & 0x60 == 0 && class & SECURED == SECURED && self.layout.dialect == Dialect::Cos;
        let number = class & 0x03;
        (claims && self.channel(number).ok()?.secure.is_some()).then_some(number)
    }

    /// A plain command on a channel with keys is refused, and ends secure messaging.
    pub(super) fn refuse_plain(&mut self, number: u8) -> Result<(), Sw> {
        let channel = self.channel_mut(number)?;
        if channel.secure.is_none() {
            return Ok(());
        }
        channel.break_secure_messaging();
        Err(Sw::SM_OBJECT_WRONG)
    }

    /// Opens a command, executes it and seals the answer, whatever its status word.
    pub(super) fn execute_secured(&mut self, number: u8, bytes: &[u8]) -> Outcome {
        let Some(mut secure) = self.channel_mut(number)?.secure.take() else {
            return Err(Sw::SECURE_MESSAGING);
        };
        let mut plain = bytes.to_vec();
        let class = bytes.first().copied().unwrap_or_default();
        if let Some(first) = plain.first_mut() {
            *first = class & !SECURED;
        }
        let opened = Command::parse(&plain).map_err(|_| Broken::Wrong).and_then(|outer| {
            let opened = secure.channel.open([class, outer.ins, outer.p1, outer.p2], outer.data)?;
            Ok((outer, opened))
        });
        let (outer, opened) = match opened {
            Ok(_) if bytes.len() > self.limit(SECURED_LIMIT) => {
                return self.broken(number, Broken::Wrong);
            }
            Ok(opened) => opened,
            Err(broken) => return self.broken(number, broken),
        };
        let expected = opened.expected.as_deref().and_then(Expected::from_bytes);
        let command = Command { data: &opened.data, expected, ..outer };
        self.protection = Some(Protection { origin: secure.origin, enciphered: opened.enciphered });
        let outcome = self.dispatch(&command);
        self.protection = None;
        let (data, status) = outcome.map_or_else(|status| (Vec::new(), status), Reply::into_parts);
        let limit = self.limit(SECURED_ANSWER_LIMIT);
        let (channel, bytes) = (&mut secure.channel, status.0.to_be_bytes());
        let (sealed, status) = match channel.seal_within(limit, &data, bytes, command.ins != SELECT) {
            Some(sealed) => (sealed, status),
            None => {
                let status = Sw::WRONG_LENGTH;
                (channel.seal(&[], status.0.to_be_bytes(), false), status)
            }
        };
        // The command may have agreed on new keys, or closed or reset the channel.
        let ended = command.ins == MANAGE_CHANNEL && command.p1 != 0;
        if let Ok(channel) = self.channel_mut(number)
            && channel.secure.is_none()
            && !ended
        {
            channel.secure = Some(secure);
        }
        Ok(Reply { data: sealed, status })
    }

    fn broken(&mut self, number: u8, broken: Broken) -> Outcome {
        self.channel_mut(number)?.break_secure_messaging();
        Err(match broken {
            Broken::Missing => Sw::SM_OBJECT_MISSING,
            Broken::Wrong => Sw::SM_OBJECT_WRONG,
        })
    }
}
