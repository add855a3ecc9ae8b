//! The built service, black box: on a soft token, judged by OpenSSL, and through what other people's gRPC tools use.
#![cfg(test)] // always so here; tells the lints that a panic is a report
#![allow(missing_docs)]

mod batch;
mod clinician;
mod comfort;
mod documents;
mod emergency;
mod grpc;
mod killed;
mod network;
mod nodes;
mod ocsp;
mod postgres;
mod random_requests;
mod refused;
mod soft_token;
mod support;
mod verdicts;
mod watching;
mod web;
mod web_https;
