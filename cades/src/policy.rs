//! One verdict from the facts of a report, under rules the caller chose.

use std::fmt;

use time::OffsetDateTime;

use crate::finding::{FindingCode, Severity};
use crate::ocsp::Status;
use crate::report::{Chain, CurrentStatus, EmbeddedStatus, Report};

/// Certificate policies of a physician's qualified certificate: C.HP.QES, and the physician card's before it.
pub const QUALIFIED_HBA: &[&str] = &["1.2.276.0.76.4.72", "1.3.6.1.4.1.24796.1.10"];
/// Who prescribes: physicians, dentists; psychotherapists of three kinds prescribe health apps.
pub const PRESCRIBERS: &[&str] = &[
    "1.2.276.0.76.4.30",
    "1.2.276.0.76.4.31",
    "1.2.276.0.76.4.45",
    "1.2.276.0.76.4.46",
    "1.2.276.0.76.4.47",
];

/// What a verifier demands beyond mathematics, format and chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Which knowledge about revocation is demanded.
    pub revocation: Revocation,
    /// Demand a qualified certificate: QcStatement QcCompliance (ETSI EN 319 412-5), the key usage
    /// nonRepudiation, and no trusted list that calls the issuer one of other certificates.
    pub qualified: bool,
    /// Demand one of these certificate policies. Empty: any.
    pub certificate_policies: &'static [&'static str],
    /// Demand one of these professions in the admission. Empty: any.
    pub professions: &'static [&'static str],
}

/// Which knowledge about revocation is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// The state now. Embedded evidence alone is no better than [`Verdict::Inconclusive`], because a
    /// revocation may be entered later with an earlier time.
    Required,
    /// Embedded evidence of the signing time is believed, whatever the state is now; without it, the state now.
    EmbeddedSuffices,
    /// None: what is known counts, and not checked is accepted.
    NotRequired,
}

/// The default is that of prescriptions, and strict: qualified certificates of prescribers only, and nothing
/// is VALID while the state of the certificate is unknown.
impl Default for Policy {
    fn default() -> Self {
        Policy {
            revocation: Revocation::Required,
            qualified: true,
            certificate_policies: QUALIFIED_HBA,
            professions: PRESCRIBERS,
        }
    }
}

/// Overall result, as verifiers of qualified signatures name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// All demanded checks were made and passed.
    Valid,
    /// Nothing is wrong, but something demanded could not be established.
    Inconclusive,
    /// At least one check failed.
    Invalid,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Verdict::Valid => "VALID",
            Verdict::Inconclusive => "INCONCLUSIVE",
            Verdict::Invalid => "INVALID",
        })
    }
}

/// A verdict with everything that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The overall word.
    pub verdict: Verdict,
    /// Why it is not better, and for [`Verdict::Valid`] what was left out. Worst first.
    pub reasons: Vec<Reason>,
}

/// One reason of a judgement. `Display` gives a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The content is not the signed one.
    ContentDigest,
    /// The signature value does not verify.
    Signature,
    /// A format finding of severity defect or doubt.
    Format(FindingCode),
    /// The chain is not [`Chain::Ok`].
    Chain(Chain),
    /// The policy demands a qualified certificate and this is none.
    NotQualified,
    /// The policy demands another kind of certificate.
    CertificatePolicy,
    /// The policy demands another profession.
    Profession,
    /// Revoked when the document was signed, or nobody knows when that was.
    Revoked {
        /// From when on.
        at: OffsetDateTime,
    },
    /// Revoked since, and not when the document was signed.
    RevokedLater {
        /// From when on.
        at: OffsetDateTime,
    },
    /// The responder does not know the certificate.
    StatusUnknown,
    /// Nobody asked whether the certificate is revoked now.
    RevocationNotChecked,
    /// It was asked, and no believable answer came.
    StatusUnavailable(String),
    /// The embedded evidence counts for nothing.
    EmbeddedUnusable(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ContentDigest => f.write_str("the content is not the signed content"),
            Reason::Signature => f.write_str("the signature value does not verify"),
            Reason::Format(code) => write!(f, "format: {code}"),
            Reason::Chain(chain) => write!(f, "certificate chain: {chain}"),
            Reason::NotQualified => f.write_str("the certificate is not one for qualified signatures"),
            Reason::CertificatePolicy => f.write_str("the certificate is of another type than demanded"),
            Reason::Profession => f.write_str("the signer's profession may not do this"),
            Reason::Revoked { at } => write!(f, "the certificate was revoked at signing time, since {at}"),
            Reason::RevokedLater { at } => write!(f, "the certificate was revoked after signing, at {at}"),
            Reason::StatusUnknown => f.write_str("the OCSP responder does not know the certificate"),
            Reason::RevocationNotChecked => f.write_str("revocation not checked"),
            Reason::StatusUnavailable(why) => write!(f, "the certificate's status was not to be had: {why}"),
            Reason::EmbeddedUnusable(why) => write!(f, "the embedded evidence counts for nothing: {why}"),
        }
    }
}

type Noted = (Verdict, Reason);

impl Report {
    /// Draws the verdict: INVALID if mathematics, a mandatory rule of form, the chain, a demand of the policy
    /// or the certificate's status fails; INCONCLUSIVE if something is in doubt or a demanded status could not
    /// be had; VALID otherwise.
    pub fn judge(&self, policy: &Policy) -> Judgement {
        let mut reasons = self.technical_reasons();
        reasons.extend(self.signer_reasons(policy));
        reasons.extend(self.revocation_reasons(policy.revocation));
        reasons.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        let verdict = reasons.first().map_or(Verdict::Valid, |(verdict, _)| *verdict);
        Judgement { verdict, reasons: reasons.into_iter().map(|(_, reason)| reason).collect() }
    }

    fn technical_reasons(&self) -> Vec<Noted> {
        let mut reasons = Vec::new();
        if !self.mathematics.content_digest {
            reasons.push((Verdict::Invalid, Reason::ContentDigest));
        }
        if !self.mathematics.signature {
            reasons.push((Verdict::Invalid, Reason::Signature));
        }
        for finding in &self.format {
            match finding.severity {
                Severity::Defect => reasons.push((Verdict::Invalid, Reason::Format(finding.code))),
                Severity::Doubt => reasons.push((Verdict::Inconclusive, Reason::Format(finding.code))),
                Severity::Remark => {}
            }
        }
        reasons
    }

    fn signer_reasons(&self, policy: &Policy) -> Vec<Noted> {
        let mut reasons = Vec::new();
        if self.chain != Chain::Ok {
            reasons.push((Verdict::Invalid, Reason::Chain(self.chain.clone())));
        }
        let Some(signer) = &self.signer else { return reasons };
        let qualified =
            signer.qc_compliance && signer.non_repudiation && signer.issuer_qualified != Some(false);
        if policy.qualified && !qualified {
            reasons.push((Verdict::Invalid, Reason::NotQualified));
        }
        if !one_of(policy.certificate_policies, &signer.policies) {
            reasons.push((Verdict::Invalid, Reason::CertificatePolicy));
        }
        if !one_of(policy.professions, &signer.profession_oids) {
            reasons.push((Verdict::Invalid, Reason::Profession));
        }
        reasons
    }

    fn revocation_reasons(&self, demanded: Revocation) -> Vec<Noted> {
        let embedded = match &self.embedded_status {
            EmbeddedStatus::Answered(answer) => Some(self.effect(answer.status)),
            EmbeddedStatus::Absent | EmbeddedStatus::Unusable(_) => None,
        };
        let current = match &self.current_status {
            CurrentStatus::Answered(answer) => Some(self.effect(answer.status)),
            CurrentStatus::NotChecked | CurrentStatus::Unavailable(_) => None,
        };
        let holds = |effect: &Option<Option<Noted>>| {
            effect.as_ref().is_some_and(|noted| noted.as_ref().is_none_or(|n| n.0 == Verdict::Valid))
        };
        let embedded_decides = demanded == Revocation::EmbeddedSuffices && holds(&embedded);
        let known = holds(&current) || embedded_decides || demanded == Revocation::NotRequired;
        let lacking = if known { Verdict::Valid } else { Verdict::Inconclusive };

        let mut reasons = Vec::new();
        if let Some(Some((verdict, reason))) = current.clone() {
            reasons.push((if embedded_decides { Verdict::Valid } else { verdict }, reason));
        }
        // What the embedded evidence does not know, a fresh answer may; what it knows to be revoked stays so.
        if let Some(Some((verdict, reason))) = embedded
            && !(reason == Reason::StatusUnknown && current.is_some())
            && !reasons.iter().any(|(_, known)| *known == reason)
        {
            reasons.push((verdict, reason));
        }
        if let EmbeddedStatus::Unusable(error) = &self.embedded_status {
            reasons.push((Verdict::Valid, Reason::EmbeddedUnusable(error.to_string())));
        }
        match &self.current_status {
            CurrentStatus::NotChecked => reasons.push((lacking, Reason::RevocationNotChecked)),
            CurrentStatus::Unavailable(why) => {
                reasons.push((lacking, Reason::StatusUnavailable(why.clone())));
            }
            CurrentStatus::Answered(_) => {}
        }
        reasons
    }

    /// What a status means for a signature of this time. A revocation counts from its very second.
    fn effect(&self, status: Status) -> Option<Noted> {
        match status {
            Status::Good => None,
            Status::Unknown => Some((Verdict::Invalid, Reason::StatusUnknown)),
            Status::Revoked { at, .. } if self.signing_time.is_some_and(|signed| signed < at) => {
                Some((Verdict::Valid, Reason::RevokedLater { at }))
            }
            Status::Revoked { at, .. } => Some((Verdict::Invalid, Reason::Revoked { at })),
        }
    }
}

fn one_of(demanded: &[&str], found: &[String]) -> bool {
    demanded.is_empty() || found.iter().any(|found| demanded.contains(&found.as_str()))
}
