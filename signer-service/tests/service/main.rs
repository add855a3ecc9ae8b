//! The built service, black box: on a soft token, judged by OpenSSL, and through what other people's gRPC tools use.
#![allow(missing_docs)]

mod grpc;
mod soft_token;
mod support;
