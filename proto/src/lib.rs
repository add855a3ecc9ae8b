//! The gRPC contract `hpc.signer.v1` and its generated types, client and server.
//!
//! The contract itself, with a comment on every field, is `proto/hpc/signer/v1/signer.proto`. This crate adds only
//! what code generation cannot: the messages that carry a PIN or patient data print their sizes instead of their
//! contents, and a [`v1::Pin`] is wiped when dropped.

mod redacted;

/// Messages, client and server of package `hpc.signer.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)] // generated; the contract's own comments are copied in
pub mod v1 {
    tonic::include_proto!("hpc.signer.v1");
}

/// Domain of the `google.rpc.ErrorInfo` in refusals.
pub const ERROR_DOMAIN: &str = "hpc.signer.v1";

/// Metadata key of the request identifier, in requests, answers and refusals.
pub const REQUEST_ID: &str = "x-request-id";

/// Serialised `FileDescriptorSet` of the contract and its imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/signer.bin"));
