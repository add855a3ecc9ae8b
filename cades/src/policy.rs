//! One verdict from the facts of a report, under rules the caller chose.

use std::fmt;

use crate::finding::{FindingCode, Severity};
use crate::report::{Chain, Report};

/// What a verifier demands beyond mathematics, format and chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What a signature is worth whose revocation was not checked.
    pub revocation: Revocation,
    /// Demand a qualified certificate: QcStatement QcCompliance (ETSI EN 319 412-5) and the key usage
    /// nonRepudiation. Without both the verdict is [`Verdict::Invalid`].
    pub qualified: bool,
}

/// How to judge a signature whose certificate status nobody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// Not checked: no better than [`Verdict::Inconclusive`].
    Required,
    /// Not checked is accepted; the judgement still carries [`Reason::RevocationNotChecked`].
    NotRequired,
}

/// The default is strict: qualified certificates only, and nothing is VALID while revocation is unknown.
impl Default for Policy {
    fn default() -> Self {
        Policy { revocation: Revocation::Required, qualified: true }
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
    /// Nobody asked whether the certificate was revoked.
    RevocationNotChecked,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ContentDigest => f.write_str("the content is not the signed content"),
            Reason::Signature => f.write_str("the signature value does not verify"),
            Reason::Format(code) => write!(f, "format: {code}"),
            Reason::Chain(chain) => write!(f, "certificate chain: {chain}"),
            Reason::NotQualified => f.write_str("the certificate is not one for qualified signatures"),
            Reason::RevocationNotChecked => f.write_str("revocation not checked"),
        }
    }
}

impl Report {
    /// Draws the verdict: INVALID if mathematics, a mandatory rule of form, the chain or a demand of the
    /// policy fails; INCONCLUSIVE if something is in doubt or revocation is demanded and was not checked;
    /// VALID otherwise.
    pub fn judge(&self, policy: &Policy) -> Judgement {
        let mut reasons = Vec::new();
        let mut note = |verdict, reason| reasons.push((verdict, reason));
        if !self.mathematics.content_digest {
            note(Verdict::Invalid, Reason::ContentDigest);
        }
        if !self.mathematics.signature {
            note(Verdict::Invalid, Reason::Signature);
        }
        for finding in &self.format {
            match finding.severity {
                Severity::Defect => note(Verdict::Invalid, Reason::Format(finding.code)),
                Severity::Doubt => note(Verdict::Inconclusive, Reason::Format(finding.code)),
                Severity::Remark => {}
            }
        }
        if self.chain != Chain::Ok {
            note(Verdict::Invalid, Reason::Chain(self.chain.clone()));
        }
        let qualified = self.signer.as_ref().is_some_and(|s| s.qc_compliance && s.non_repudiation);
        if policy.qualified && !qualified {
            note(Verdict::Invalid, Reason::NotQualified);
        }
        let unchecked = match policy.revocation {
            Revocation::Required => Verdict::Inconclusive,
            Revocation::NotRequired => Verdict::Valid,
        };
        note(unchecked, Reason::RevocationNotChecked);
        reasons.sort_by_key(|(verdict, _)| std::cmp::Reverse(*verdict));
        let verdict = reasons.first().map_or(Verdict::Valid, |(verdict, _)| *verdict);
        Judgement { verdict, reasons: reasons.into_iter().map(|(_, reason)| reason).collect() }
    }
}
