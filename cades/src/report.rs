//! What a verification found, fact by fact, before anybody judges it.

use std::fmt;

use time::OffsetDateTime;

use crate::finding::Finding;
use crate::ocsp::{Answer, OcspError};
use crate::profession::ValidityModel;

/// The facts about one signed document. `Debug` shows no content.
#[derive(Clone)]
pub struct Report {
    /// The enveloped content, byte for byte as it was signed (BER segments joined).
    pub content: Vec<u8>,
    /// The signed attribute signing-time: what the signer claims. `None` when missing or unreadable.
    pub signing_time: Option<OffsetDateTime>,
    /// The signed attribute mime-type (ETSI EN 319 122-1 clause 5.2.4.2).
    pub mime_type: Option<String>,
    /// The signer certificate and what it says; `None` when the CMS does not carry it.
    pub signer: Option<Signer>,
    /// Do the numbers agree.
    pub mathematics: Mathematics,
    /// Remarks, doubts and defects of the form, in the order they were met.
    pub format: Vec<Finding>,
    /// Does the certificate lead to a trust anchor, under the chain model.
    pub chain: Chain,
    /// OCSP responses carried in `SignedData.crls` (RFC 5940), each the DER of an OCSPResponse.
    pub ocsp_responses: Vec<Vec<u8>>,
    /// What they say of the signer's certificate at signing time.
    pub embedded_status: EmbeddedStatus,
    /// What a responder says now. [`crate::verify`] asks nobody: the caller fills it in before judging.
    pub current_status: CurrentStatus,
}

/// Revocation as the embedded evidence tells it (rules of TUC_PKI_006 with the signing time as reference).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EmbeddedStatus {
    /// No OCSP response in the CMS.
    Absent,
    /// There is one, but it counts for nothing.
    Unusable(OcspError),
    /// There is one to be believed.
    Answered(Answer),
}

/// Revocation as a responder tells it now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CurrentStatus {
    /// Nobody asked.
    NotChecked,
    /// No believable answer was to be had; the text says why.
    Unavailable(String),
    /// This one.
    Answered(Answer),
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("content_length", &self.content.len())
            .field("signing_time", &self.signing_time)
            .field("mathematics", &self.mathematics)
            .field("format", &self.format)
            .field("chain", &self.chain)
            .field("embedded_status", &self.embedded_status)
            .field("current_status", &self.current_status)
            .finish_non_exhaustive()
    }
}

/// The two cryptographic checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mathematics {
    /// The digest of the content equals the signed attribute message-digest.
    pub content_digest: bool,
    /// The signature value verifies over the signed attributes with the signer certificate's key.
    pub signature: bool,
}

/// The signer certificate. Names and numbers are personal data: do not log them.
#[derive(Clone, PartialEq, Eq)]
pub struct Signer {
    /// The certificate, DER.
    pub certificate: Vec<u8>,
    /// commonName of the subject.
    pub common_name: Option<String>,
    /// Serial number, lower-case hexadecimal without leading zero bytes.
    pub serial_number: String,
    /// commonName of the issuer.
    pub issuer_common_name: Option<String>,
    /// Start of validity.
    pub not_before: OffsetDateTime,
    /// End of validity.
    pub not_after: OffsetDateTime,
    /// `now` lies outside the validity. A fact of its own: the chain model judges the time of signing.
    pub expired_now: bool,
    /// Key usage nonRepudiation (contentCommitment) is set.
    pub non_repudiation: bool,
    /// QcStatement QcCompliance (0.4.0.1862.1.1) is present.
    pub qc_compliance: bool,
    /// All QcStatements, dotted.
    pub qc_statements: Vec<String>,
    /// The validity model it is to be judged by.
    pub validity_model: ValidityModel,
    /// Whether the trusted lists name its issuer one for qualified certificates; `None` if they do not know it.
    pub issuer_qualified: Option<bool>,
    /// Certificate policies, dotted.
    pub policies: Vec<String>,
    /// Profession OIDs of the first admission's first profession, dotted.
    pub profession_oids: Vec<String>,
    /// Registration number of the same profession; the Telematik-ID.
    pub registration_number: Option<String>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .field("profession_oids", &self.profession_oids)
            .finish_non_exhaustive()
    }
}

/// Result of the chain check (chain model: the issuer was valid when it issued the certificate, the
/// certificate was valid when the signature was made).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chain {
    /// Issued by a trust anchor; every time and usage rule holds.
    Ok,
    /// The CMS does not carry the certificate of its signer.
    NoSignerCertificate,
    /// No anchor has the issuer's name.
    UnknownIssuer,
    /// An anchor has the issuer's name, but another key.
    IssuerKeyMismatch,
    /// The anchor's key did not sign the certificate.
    BadSignature,
    /// The anchor may not issue certificates.
    IssuerNotCa,
    /// The anchor was not valid when it issued the certificate.
    IssuerNotValidAtIssue,
    /// The trusted list had not granted, or had withdrawn, the anchor when it issued the certificate.
    IssuerWithdrawn,
    /// The certificate follows the shell model and the anchor was not valid at signing time.
    IssuerNotValidAtSigning,
    /// Signed before the certificate's validity began.
    NotYetValidAtSigning,
    /// Signed after the certificate's validity ended.
    ExpiredAtSigning,
    /// A CA certificate signed the document.
    SignerIsCa,
    /// The certificate's key usage does not allow signatures.
    WrongKeyUsage,
    /// A critical extension that is not understood (dotted OID).
    UnknownCriticalExtension(String),
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chain::Ok => "leads to a trust anchor",
            Chain::NoSignerCertificate => "the signer's certificate is not included",
            Chain::UnknownIssuer => "the issuer is not a trust anchor",
            Chain::IssuerKeyMismatch => "the trust anchor of that name has another key",
            Chain::BadSignature => "the issuer did not sign the certificate",
            Chain::IssuerNotCa => "the issuer may not issue certificates",
            Chain::IssuerNotValidAtIssue => "the issuer was not valid when it issued the certificate",
            Chain::IssuerWithdrawn => {
                "the trusted list did not grant the issuer when it issued the certificate"
            }
            Chain::IssuerNotValidAtSigning => "the issuer was not valid at signing time",
            Chain::NotYetValidAtSigning => "the certificate was not yet valid at signing time",
            Chain::ExpiredAtSigning => "the certificate had expired at signing time",
            Chain::SignerIsCa => "the signer's certificate is a CA certificate",
            Chain::WrongKeyUsage => "the certificate's key usage does not allow signatures",
            Chain::UnknownCriticalExtension(oid) => {
                return write!(f, "critical extension {oid} is not understood");
            }
        })
    }
}
