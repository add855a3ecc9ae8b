//! CAdES Baseline-B signatures over e-prescriptions: bytes in, CMS out; CMS in, report out.
//!
//! Pure functions. Nothing here reads a file, a clock or a network, and nothing here holds a private key:
//! [`prepare`] answers the digest that a card or an HSM signs, [`Unsigned::finish`] takes the raw signature.
//!
//! * Writing: enveloping CMS SignedData (RFC 5652) with the signed attributes of CAdES-B
//!   (ETSI EN 319 122-1), DER only. `docs/cades.md` lists every field with its clause.
//! * Reading: [`verify`] takes DER and BER with indefinite lengths, because production signers emit both,
//!   and reports mathematics, format and certificate chain separately. [`Report::judge`] draws one verdict
//!   from the facts under the caller's [`Policy`].
//!
//! * Revocation: [`ocsp`] makes requests and judges answers. [`verify`] judges the ones a CMS carries; what a
//!   responder says now is asked by the caller, who puts it into [`Report::current_status`].

mod algorithm;
mod anchors;
mod attributes;
mod ber;
mod certificate;
mod chain;
mod cms;
mod finding;
mod key;
mod moment;
mod multiples;
pub mod ocsp;
mod oid;
mod policy;
mod profession;
mod proven;
mod report;
mod scheme;
mod sign;
mod tlv;
mod verify;

pub use algorithm::{Algorithm, AlgorithmError, Curve};
pub use anchors::{AnchorError, Standing, TrustAnchors};
pub use ber::BerError;
pub use finding::{Finding, FindingCode, Severity};
pub use policy::{Judgement, PRESCRIBERS, Policy, QUALIFIED_HBA, Reason, Revocation, Verdict};
pub use profession::{ValidityModel, professions, registration_number};
pub use report::{Chain, CurrentStatus, EmbeddedStatus, Mathematics, Report, Signer};
pub use sign::{BuildError, SigningRequest, Unsigned, prepare};
pub use verify::{ParseError, verify};
