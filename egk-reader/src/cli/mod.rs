//! What the subcommands do and print.

pub(crate) mod certificates;
pub(crate) mod emergency;
pub(crate) mod failure;
pub(crate) mod identify;
pub(crate) mod output;
mod progress;
pub(crate) mod select;
pub(crate) mod table;
pub(crate) mod watch;
