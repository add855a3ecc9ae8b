//! What the command line does with readers and records.

pub(crate) mod failure;
pub(crate) mod output;
pub(crate) mod select;
pub(crate) mod table;
