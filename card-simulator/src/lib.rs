//! A strict, stateful simulated health professional card and insurance card.
//!
//! [`NewCard`] makes a card image in a directory, with fresh keys and certificates of a test certification
//! authority. [`CardImage`] opens one (and locks it), [`Card`] is the card operating system on it:
//! [`Card::transmit`] takes a command APDU and answers as the card would. [`server`] puts cards into readers
//! that programs reach through a socket (`docs/card-socket.md`) or through pcscd's virtual reader driver.
//!
//! What is simulated, and where it is assumed rather than known, stands in `docs/simulator.md`.

mod crypto;
mod image;
mod insurance;
mod issue;
mod layout;
pub mod ocsp;
mod os;
mod pki;
mod profile;
pub mod server;
mod tlv;

pub use image::{CardImage, ImageError, KeySummary, PasswordSummary, Summary};
pub use insurance::{Patient, PatientError};
pub use issue::{Deviation, IssueError, IssuedCard, NewCard, RsaKeyPool, Secrets};
pub use os::Card;
pub use pki::Profession;
pub use profile::{Interface, ProfileName};
