//! The card's behaviour as a program sees it: commands in, status words out.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a panic here is the report")]

mod beid;
mod cards;
mod channels;
mod esteid;
mod image;
mod insurance;
mod jpki;
mod kvk;
mod pins;
mod piv;
mod roles;
mod signatures;
mod socket;
mod strictness;
mod virtual_reader;
mod vitale;
