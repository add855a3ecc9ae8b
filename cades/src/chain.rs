//! The chain check: does an anchor vouch for the signer, at the times that count?
//!
//! Chain model, as German qualified certificates prescribe it: the issuer must have been valid when it
//! issued the certificate, the certificate must have been valid when the signature was made. Expiry since
//! then changes nothing. A certificate that names the shell model wants its issuer valid at signing time, too. The issuer is looked up among the anchors only, by name and authority key
//! identifier; certificates that a CMS brings along are never issuers.

use time::OffsetDateTime;

use crate::anchors::{Anchor, TrustAnchors};
use crate::certificate::Certificate;
use crate::oid;
use crate::profession::ValidityModel;
use crate::report::Chain;

/// Checks `signer` against the anchors. `signing_time` is the time its validity is judged for.
pub(crate) fn check(signer: &Certificate, anchors: &TrustAnchors, signing_time: OffsetDateTime) -> Chain {
    let usage = usage(signer);
    if usage != Chain::Ok {
        return usage;
    }
    let issued = issued(signer, anchors, signing_time);
    if issued != Chain::Ok {
        return issued;
    }
    if signing_time < signer.not_before {
        return Chain::NotYetValidAtSigning;
    }
    if signing_time > signer.not_after {
        return Chain::ExpiredAtSigning;
    }
    Chain::Ok
}

/// May this certificate sign documents at all?
fn usage(signer: &Certificate) -> Chain {
    if signer.is_ca {
        return Chain::SignerIsCa;
    }
    if let Some(usage) = &signer.key_usage
        && !(usage.non_repudiation() || usage.digital_signature())
    {
        return Chain::WrongKeyUsage;
    }
    let understood = [oid::KEY_USAGE, oid::BASIC_CONSTRAINTS];
    let strange = signer.extensions.iter().find(|found| found.critical && !understood.contains(&found.oid));
    strange.map_or(Chain::Ok, |found| Chain::UnknownCriticalExtension(found.oid.to_string()))
}

/// What the trusted lists say of the issuer's quality: the best of all anchors that issued the certificate.
pub(crate) fn issuer_is_qualified(signer: &Certificate, anchors: &TrustAnchors) -> Option<bool> {
    let issuers = anchors.named(&signer.issuer);
    let issuers = issuers.filter(|anchor| anchors.signed_by(signer, &anchor.certificate));
    issuers.filter_map(|anchor| anchor.standing.qualified).max()
}

/// The best answer of all anchors that bear the issuer's name: a renewed CA keeps its name.
fn issued(signer: &Certificate, anchors: &TrustAnchors, signing_time: OffsetDateTime) -> Chain {
    let mut answer = Chain::UnknownIssuer;
    for anchor in anchors.named(&signer.issuer) {
        let this = issued_by(signer, anchor, anchors, signing_time);
        if this == Chain::Ok {
            return Chain::Ok;
        }
        if matches!(answer, Chain::UnknownIssuer | Chain::IssuerKeyMismatch) {
            answer = this;
        }
    }
    answer
}

fn issued_by(
    signer: &Certificate,
    anchor: &Anchor,
    anchors: &TrustAnchors,
    signing_time: OffsetDateTime,
) -> Chain {
    let issuer = &anchor.certificate;
    if let (Some(wanted), Some(own)) = (&signer.authority_key_identifier, &issuer.subject_key_identifier)
        && wanted != own
    {
        return Chain::IssuerKeyMismatch;
    }
    if !may_issue(issuer) {
        return Chain::IssuerNotCa;
    }
    if !anchors.signed_by(signer, issuer) {
        return Chain::BadSignature;
    }
    if !issuer.is_valid_at(signer.not_before) {
        return Chain::IssuerNotValidAtIssue;
    }
    if !anchor.standing.is_granted_at(signer.not_before) {
        return Chain::IssuerWithdrawn;
    }
    if ValidityModel::of(signer) == ValidityModel::Shell && !issuer.is_valid_at(signing_time) {
        return Chain::IssuerNotValidAtSigning;
    }
    Chain::Ok
}

/// RFC 5280 clauses 4.2.1.3 and 4.2.1.9.
fn may_issue(anchor: &Certificate) -> bool {
    anchor.is_ca && anchor.key_usage.as_ref().is_none_or(|usage| usage.key_cert_sign())
}
