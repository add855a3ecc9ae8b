//! One line for each call: name, slot, session, result, time and card commands; never a buffer.

use std::time::Instant;

use crate::error::Result;
use crate::token::{Module, commands_of_this_thread};

/// Functions whose first argument is a slot. Where another function has a number there, it is a session.
const OF_SLOTS: [&str; 7] = [
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_OpenSession",
    "C_CloseAllSessions",
];

/// A call that is being answered.
pub(super) struct Call {
    name: &'static str,
    slot: Option<u64>,
    session: Option<u64>,
    begun: Instant,
    commands: u64,
}

impl Call {
    /// Notes the call, if anybody listens. The slot of a session is looked up now: later it may be closed.
    pub(super) fn begin(module: &Module, name: &'static str, handle: Option<u64>) -> Option<Call> {
        if !tracing::enabled!(tracing::Level::DEBUG) {
            return None;
        }
        let (slot, session) = match handle {
            Some(slot) if OF_SLOTS.contains(&name) => (Some(slot), None),
            Some(session) => (module.slot_of_session(session), Some(session)),
            None => (None, None),
        };
        Some(Call { name, slot, session, begun: Instant::now(), commands: commands_of_this_thread() })
    }

    /// Writes the line.
    pub(super) fn end(self, result: &Result<()>) {
        let Call { name, slot, session, begun, commands } = self;
        let commands = commands_of_this_thread().wrapping_sub(commands);
        let rv = format_args!("{:#x}", result.as_ref().map_or_else(|error| error.rv(), |()| 0)).to_string();
        let time = begun.elapsed();
        match result {
            Ok(()) => tracing::debug!(slot, session, rv, ?time, commands, "{name}"),
            Err(error) => tracing::debug!(slot, session, rv, ?time, commands, %error, "{name}"),
        }
    }
}
