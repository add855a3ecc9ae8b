//! The rules of form, what breaking each of them means, and the clause it comes from.

use std::fmt;

/// One observation about the form of the CMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it does to the verdict.
    pub severity: Severity,
    /// Which rule.
    pub code: FindingCode,
    /// Details for people; holds no personal data.
    pub text: String,
}

/// What a finding does to the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Unusual, but allowed.
    Remark,
    /// Keeps the verdict from being VALID.
    Doubt,
    /// A mandatory rule is broken: INVALID.
    Defect,
}

/// The rules of form that are checked. Clauses without a name are those of RFC 5652.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingCode {
    /// Indefinite or overlong lengths, or a segmented content. Remark.
    Ber,
    /// A version number other than clauses 5.1 and 5.3 prescribe. Remark.
    UnusualVersion,
    /// The digest algorithm of the signer is not announced in digestAlgorithms (clause 5.1). Remark.
    DigestNotAnnounced,
    /// The signer is named by key identifier instead of issuer and serial number (clause 5.3). Remark.
    SignerNamedByKey,
    /// Certificates beside the signer's; they are ignored. Remark.
    FurtherCertificates,
    /// A certificate in the CMS cannot be read. Remark.
    CertificateUnreadable,
    /// Revocation information that is no OCSP response (clause 10.2.1, RFC 5940). Remark.
    OtherRevocationInformation,
    /// Unsigned attributes are present (clause 5.3); they are ignored. Remark.
    UnsignedAttributes,
    /// The signer's certificate is named by a SHA-1 hash only (RFC 2634 clause 5.4). Remark.
    SigningCertificateSha1,
    /// The claimed signing time lies in the future. Doubt.
    SigningTimeInFuture,
    /// More than one SignerInfo; only the first was checked. Defect.
    SeveralSignerInfos,
    /// eContentType is not id-data: something else than a document was signed. Defect.
    ContentNotData,
    /// No signed attributes at all (ETSI EN 319 122-1 clause 6.3). Defect.
    NoSignedAttributes,
    /// Signed attributes are not in DER SET OF order (clause 5.3). Defect.
    AttributesNotSorted,
    /// An attribute that must have one value has none, several, or occurs twice (clause 11). Defect.
    AttributeRepeated,
    /// An attribute that counts cannot be read. Defect.
    AttributeMalformed,
    /// content-type is missing (clause 11.1). Defect.
    ContentTypeMissing,
    /// content-type differs from eContentType (clause 11.1). Defect.
    ContentTypeMismatch,
    /// message-digest is missing (clause 11.2). Defect.
    MessageDigestMissing,
    /// signing-time is missing (ETSI EN 319 122-1 clause 5.2.1). Defect.
    SigningTimeMissing,
    /// signing-time is a GeneralizedTime (clause 11.3). Defect.
    SigningTimeNotUtcTime,
    /// Neither signing-certificate nor signing-certificate-v2 (ETSI EN 319 122-1 clause 5.2.2). Defect.
    SigningCertificateMissing,
    /// The ESS attribute names another certificate (RFC 5035 clause 3). Defect.
    SigningCertificateMismatch,
    /// CMSAlgorithmProtection names other algorithms than were used (RFC 6211 clause 2). Defect.
    AlgorithmProtectionMismatch,
    /// The signature's digest differs from digestAlgorithm (RFC 5753, RFC 4056 clause 3). Defect.
    DigestMismatch,
    /// A digest, signature algorithm or key that is not supported; the mathematics could not be done. Defect.
    UnsupportedAlgorithm,
}

impl FindingCode {
    /// What breaking this rule does to the verdict.
    pub fn severity(self) -> Severity {
        use FindingCode::*;
        match self {
            Ber
            | UnusualVersion
            | DigestNotAnnounced
            | SignerNamedByKey
            | FurtherCertificates
            | CertificateUnreadable
            | OtherRevocationInformation
            | UnsignedAttributes
            | SigningCertificateSha1 => Severity::Remark,
            SigningTimeInFuture => Severity::Doubt,
            SeveralSignerInfos
            | ContentNotData
            | NoSignedAttributes
            | AttributesNotSorted
            | AttributeRepeated
            | AttributeMalformed
            | ContentTypeMissing
            | ContentTypeMismatch
            | MessageDigestMissing
            | SigningTimeMissing
            | SigningTimeNotUtcTime
            | SigningCertificateMissing
            | SigningCertificateMismatch
            | AlgorithmProtectionMismatch
            | DigestMismatch
            | UnsupportedAlgorithm => Severity::Defect,
        }
    }

    pub(crate) fn finding(self) -> Finding {
        self.with(self.to_string())
    }

    pub(crate) fn with(self, text: impl Into<String>) -> Finding {
        Finding { severity: self.severity(), code: self, text: text.into() }
    }
}

impl fmt::Display for FindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use FindingCode::*;
        f.write_str(match self {
            Ber => "encoded in BER, not DER",
            UnusualVersion => "unusual version number",
            DigestNotAnnounced => "digest algorithm not listed in digestAlgorithms",
            SignerNamedByKey => "signer named by key identifier",
            FurtherCertificates => "further certificates included",
            CertificateUnreadable => "an included certificate cannot be read",
            OtherRevocationInformation => "revocation information that is no OCSP response",
            UnsignedAttributes => "unsigned attributes included",
            SigningCertificateSha1 => "signing certificate named by a SHA-1 hash only",
            SigningTimeInFuture => "signing time lies in the future",
            SeveralSignerInfos => "more than one signer info",
            ContentNotData => "content type is not id-data",
            NoSignedAttributes => "no signed attributes",
            AttributesNotSorted => "signed attributes not in DER order",
            AttributeRepeated => "a signed attribute does not have exactly one value",
            AttributeMalformed => "a signed attribute cannot be read",
            ContentTypeMissing => "content-type missing",
            ContentTypeMismatch => "content-type differs from the content's type",
            MessageDigestMissing => "message-digest missing",
            SigningTimeMissing => "signing-time missing",
            SigningTimeNotUtcTime => "signing-time is not a UTCTime",
            SigningCertificateMissing => "signing-certificate missing",
            SigningCertificateMismatch => "signing-certificate names another certificate",
            AlgorithmProtectionMismatch => "CMSAlgorithmProtection names other algorithms",
            DigestMismatch => "signature algorithm uses another digest than digestAlgorithm",
            UnsupportedAlgorithm => "unsupported algorithm",
        })
    }
}
