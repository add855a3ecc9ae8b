//! Signs and verifies e-prescriptions through PKCS#11, over gRPC.
//!
//! | room | does |
//! |---|---|
//! | [`prescription`] | what the bytes to be signed say, and whether they fit the insurance card |
//! | [`german_time`] | the calendar day in Germany |
//! | [`token`] | health professional cards behind any PKCS#11 module |
//! | [`insurance`] | the insurance card in a reader |
//! | [`signature`] | from document and card to a verified CMS |
//! | [`comfort`] | cards that are kept unlocked for one user, within limits |
//! | [`authentication`] | from challenge and card to a proven clinician |
//! | [`clinician`] | sessions, tokens and scopes of proven clinicians |
//! | [`ocsp`] | whether a certificate was revoked, as its responder says |
//! | [`audit`] | the record of what was done |
//! | [`service`] | the gRPC calls: the only place that knows them all, and the one mapping of errors to statuses |
//! | [`tls`], [`access`] | certificates of callers over the network, and what each may do |
//! | [`emergency`] | access without consent, by two persons |
//! | [`web`] | login by card for web applications: OAuth 2.1 |
//! | [`pin_limits`] | how often wrong PINs are taken to cards |
//! | [`metrics`], [`health`] | what is measured, and whether each card can be used |
//! | [`traces`] | which trace a call belongs to, and spans for a collector |
//! | [`server`], [`listen`] | listening, health, reflection, shutdown |
//! | [`config`], [`trust`], [`key_file`], [`logging`] | what an operator sets |
//! | [`setup`] | the commands that write configuration and certificates |
//! | [`client`], [`cli`] | the client commands of the same program |
//! | [`program`] | runs what the command line names |

pub mod access;
pub mod audit;
pub mod authentication;
pub mod certificate;
pub mod cli;
pub mod client;
pub mod clinician;
pub mod comfort;
pub mod config;
pub mod database;
pub mod emergency;
pub mod german_time;
pub mod health;
pub mod idp;
pub mod insurance;
pub mod key_file;
pub mod listen;
pub mod logging;
pub mod metrics;
pub mod ocsp;
pub mod pin_limits;
pub mod prescription;
pub mod program;
pub mod server;
pub mod service;
pub mod setup;
pub mod signature;
pub mod times;
pub mod tls;
pub mod token;
pub mod traces;
pub mod trust;
pub mod web;
