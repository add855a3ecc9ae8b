//! What the subcommands do and print.

pub(crate) mod certificates;
pub(crate) mod failure;
pub(crate) mod identify;
pub(crate) mod identity;
pub(crate) mod keys;
pub(crate) mod outline;
pub(crate) mod output;
pub(crate) mod pin;
mod progress;
pub(crate) mod select;
pub(crate) mod show;
pub(crate) mod table;
pub(crate) mod watch;
