//! Online certificate status (RFC 6960): the request for one certificate, and what an answer is worth.
//!
//! An answer counts only if its responder was authorised by the certificate's issuer or is a responder the
//! caller trusts, if it speaks of this certificate and none other (CertHash, Common PKI part 4), and if it is
//! fresh with respect to the time that matters. The rules and times are those of gemSpec_PKI (TUC_PKI_006).

mod check;
mod request;
mod response;

use std::fmt;

use thiserror::Error;
use time::{Duration, OffsetDateTime};

pub use check::check;
pub(crate) use check::check_for;
pub use request::{RequestError, request, responders};

/// How far clocks may differ: 37 s, as the prescription service counts it (GS-A_5215 says 37.5 s).
pub const CLOCK_TOLERANCE: Duration = Duration::seconds(37);
/// How old an answer may be at the time that matters: 12 hours for qualified certificates.
pub const QUALIFIED_GRACE: Duration = Duration::hours(12);

/// The times and demands an answer is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules<'a> {
    /// The time the status is wanted for: the signing time.
    pub reference: OffsetDateTime,
    /// The verifier's clock.
    pub now: OffsetDateTime,
    /// How much older than `reference` the answer may be.
    pub grace: Duration,
    /// The nonce that was sent, if one was.
    pub nonce: Option<&'a [u8]>,
    /// An answer without nonce is refused when one was sent. A different nonce always is.
    pub nonce_required: bool,
    /// The extension CertHash must be there for the states good and revoked. A wrong one is always refused.
    pub cert_hash_required: bool,
}

impl<'a> Rules<'a> {
    /// For qualified certificates: 12 hours, CertHash demanded, no nonce sent.
    pub fn qualified(reference: OffsetDateTime, now: OffsetDateTime) -> Rules<'a> {
        Rules {
            reference,
            now,
            grace: QUALIFIED_GRACE,
            nonce: None,
            nonce_required: false,
            cert_hash_required: true,
        }
    }
}

/// An answer that may be believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the responder said.
    pub status: Status,
    /// When it said so.
    pub produced_at: OffsetDateTime,
    /// When it will know more, if it told.
    pub next_update: Option<OffsetDateTime>,
    /// commonName of the responder's certificate.
    pub responder: Option<String>,
    /// The answer repeats the nonce of the request.
    pub nonce_returned: bool,
}

/// State of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Issued and not revoked.
    Good,
    /// Revoked since this time.
    Revoked {
        /// The time from which on it is revoked; it may lie before the revocation was entered.
        at: OffsetDateTime,
        /// CRLReason (RFC 5280 clause 5.3.1), if given.
        reason: Option<u8>,
    },
    /// The responder does not know the certificate.
    Unknown,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Good => "good",
            Status::Revoked { .. } => "revoked",
            Status::Unknown => "unknown",
        })
    }
}

/// Why an answer counts for nothing. [`OcspError::code`] is the number in gemSpec_PKI, Tab_PKI_274.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OcspError {
    /// Not an OCSPResponse.
    #[error("the OCSP answer cannot be read: {0}")]
    Malformed(String),
    /// A responseStatus other than successful.
    #[error("the OCSP responder refused: {0}")]
    NotSuccessful(&'static str),
    /// A response of another type than id-pkix-ocsp-basic.
    #[error("the OCSP answer is of an unknown type")]
    NotBasic,
    /// The certificate's issuer is not among the trust anchors, so that no responder can be authorised.
    #[error("the certificate's issuer is not a trust anchor")]
    IssuerUnknown,
    /// It speaks of other certificates only.
    #[error("the OCSP answer is about another certificate")]
    OtherCertificate,
    /// No certificate for the responder it names.
    #[error("the OCSP responder's certificate is missing")]
    ResponderMissing,
    /// The responder's certificate is not from the issuer, not for OCSP, or was not valid.
    #[error("the OCSP responder is not authorised by the certificate's issuer")]
    ResponderNotAuthorised,
    /// The signature of the answer does not verify.
    #[error("the OCSP answer's signature does not verify")]
    Signature,
    /// Demanded and absent.
    #[error("the OCSP answer has no CertHash")]
    CertHashMissing,
    /// Another certificate with the same number.
    #[error("the OCSP answer's CertHash names another certificate")]
    CertHashMismatch,
    /// Demanded and absent.
    #[error("the OCSP answer does not repeat the nonce")]
    NonceMissing,
    /// An answer to another question.
    #[error("the OCSP answer repeats another nonce")]
    NonceMismatch,
    /// producedAt too long before the reference time.
    #[error("the OCSP answer is too old")]
    TooOld,
    /// producedAt or thisUpdate after now.
    #[error("the OCSP answer is from the future")]
    FromTheFuture,
    /// nextUpdate has passed.
    #[error("the OCSP answer has expired")]
    Expired,
}

impl OcspError {
    /// Error code of Tab_PKI_274.
    pub fn code(&self) -> u16 {
        match self {
            OcspError::IssuerUnknown => 1027,
            OcspError::ResponderMissing => 1030,
            OcspError::Signature | OcspError::ResponderNotAuthorised => 1031,
            OcspError::CertHashMissing => 1040,
            OcspError::CertHashMismatch => 1041,
            OcspError::NonceMissing | OcspError::NonceMismatch => 1051,
            OcspError::NotSuccessful(_) => 1058,
            OcspError::Malformed(_)
            | OcspError::NotBasic
            | OcspError::OtherCertificate
            | OcspError::TooOld
            | OcspError::FromTheFuture
            | OcspError::Expired => 1029,
        }
    }
}
