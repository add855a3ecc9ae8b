//! Clinicians who prove by card who they are: at the national identity provider, in a browser, over the network, in an emergency.

mod emergency;
mod identity_provider;
mod network;
mod web;
