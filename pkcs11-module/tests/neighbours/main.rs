//! Cards of other countries through the module, and every signature, decipherment and key agreement of every card; OpenSSL
//! is the judge.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failure here is the test's failure"
)]

#[path = "../bench/mod.rs"]
mod bench;
#[path = "../module/mod.rs"]
mod module;

mod agreement;
mod beid;
mod esteid;
mod every_opening;
mod every_signature;
mod insurance_card;
mod jpki;
mod piv;
