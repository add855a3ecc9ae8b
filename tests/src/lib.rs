//! What the black-box tests share: built artefacts, simulated cards, private daemons, foreign programs.
//!
//! Nothing here looks inside the product: it is driven as its users drive it.

pub mod artefacts;
pub mod cards;
pub mod chromium;
pub mod desk;
pub mod firefox;
pub mod host;
pub mod marionette;
pub mod network;
pub mod nss;
pub mod openssl;
pub mod pcscd;
pub mod programs;
pub mod screen;
pub mod service;
pub mod simulator;
pub mod sshd;
pub mod tls;
pub mod waiting;
