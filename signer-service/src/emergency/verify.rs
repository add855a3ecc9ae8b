//! Judges an exported case without the service: signatures, certificates, OCSP answers, persons, times and their order.

use std::fmt;

use base64::{Engine, prelude::BASE64_STANDARD};
use cades::{
    Chain, TrustAnchors,
    ocsp::{self, Rules, Status},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use super::{Act, Case, LONGEST, PURPOSES, Party, REASONS, Statement, Step, hash_of};

/// What an export says it is.
pub const FORMAT: &str = "HPC Signer emergency access export v1";

/// A case that left the service.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Export {
    /// [`FORMAT`].
    pub format: String,
    /// The case.
    pub case: Case,
}

/// Not an export.
#[derive(Debug, Error)]
#[error("not an export of an emergency access: {0}")]
pub struct NotAnExport(String);

/// What was found.
#[derive(Debug)]
pub struct Verdict {
    /// The case.
    pub case: Case,
    /// What is wrong; nothing, if all of it holds.
    pub faults: Vec<Fault>,
    /// Steps without an OCSP answer: made in offline mode.
    pub offline: Vec<usize>,
}

/// Something that does not hold. Steps count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Which step, if it is about one.
    pub step: Option<usize>,
    /// What.
    pub kind: Kind,
}

/// What does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The CMS cannot be read.
    Cms,
    /// The signature does not fit.
    Signature,
    /// The CMS holds another statement than the export shows.
    Statement,
    /// The certificate leads to no trust anchor.
    Chain(Chain),
    /// The export names another person than the certificate.
    Party,
    /// The OCSP answer cannot be believed.
    Status(String),
    /// The certificate was not good.
    NotGood(Status),
    /// It does not follow the step before it.
    Order,
    /// Another case, or another service.
    OtherCase,
    /// A nonce that came before.
    Nonce,
    /// Steps that a case cannot have.
    Steps,
    /// One person twice.
    SamePerson,
    /// Longer than allowed, or begun before it was asked for.
    Lifetime,
    /// Not a reason or purpose.
    Words,
    /// More than reading.
    Scopes,
    /// Decided when it was too late.
    Late,
    /// Used before it was approved, or after it ended.
    Access,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = self.step {
            write!(f, "step {step}: ")?;
        }
        match &self.kind {
            Kind::Cms => f.write_str("the CMS cannot be read"),
            Kind::Signature => f.write_str("the signature does not fit statement and certificate"),
            Kind::Statement => f.write_str("the CMS holds another statement than the export shows"),
            Kind::Chain(chain) => write!(f, "the certificate leads to no trust anchor ({chain:?})"),
            Kind::Party => f.write_str("the export names another person than the certificate"),
            Kind::Status(why) => write!(f, "the OCSP answer cannot be believed: {why}"),
            Kind::NotGood(status) => write!(f, "the certificate was {status}"),
            Kind::Order => f.write_str("it does not follow the step before it"),
            Kind::OtherCase => f.write_str("it belongs to another case or service"),
            Kind::Nonce => f.write_str("its nonce came before"),
            Kind::Steps => {
                f.write_str("expected a request, then at most a decision, a revocation and a review")
            }
            Kind::SamePerson => f.write_str("one person did what two have to do"),
            Kind::Lifetime => {
                write!(f, "the access lasts longer than {LONGEST} minutes, or is older than its request")
            }
            Kind::Words => f.write_str("unknown reason or purpose"),
            Kind::Scopes => f.write_str("the access is for more than reading"),
            Kind::Late => f.write_str("it was decided after its time"),
            Kind::Access => f.write_str("it was used when it was not open"),
        }
    }
}

impl Verdict {
    /// All of it holds.
    pub fn holds(&self) -> bool {
        self.faults.is_empty()
    }
}

/// An export of a case. The hash of the requester's claim stays in the service.
pub fn export(case: &Case) -> Export {
    Export { format: FORMAT.to_owned(), case: Case { claim_sha256: String::new(), ..case.clone() } }
}

/// Judges an export.
///
/// # Errors
/// The bytes are none.
pub fn verify(bytes: &[u8], anchors: &TrustAnchors, now: OffsetDateTime) -> Result<Verdict, NotAnExport> {
    let export: Export = serde_json::from_slice(bytes).map_err(|error| NotAnExport(error.to_string()))?;
    if export.format != FORMAT {
        return Err(NotAnExport(format!("expected the format {FORMAT:?}")));
    }
    let case = export.case;
    let mut faults = Vec::new();
    for (index, step) in case.steps.iter().enumerate() {
        let mut found = |kind| faults.push(Fault { step: Some(index + 1), kind });
        judge_step(step, anchors, now, &mut found);
        judge_place(&case, index, &mut found);
    }
    let mut found = |kind| faults.push(Fault { step: None, kind });
    judge_whole(&case, &mut found);
    let offline = case.steps.iter().enumerate().filter(|(_, step)| step.ocsp.is_none());
    let offline = offline.map(|(index, _)| index + 1).collect();
    Ok(Verdict { case, faults, offline })
}

/// One step by itself: does its card say what the export says?
fn judge_step(step: &Step, anchors: &TrustAnchors, now: OffsetDateTime, found: &mut impl FnMut(Kind)) {
    let at = step.statement.at;
    let cms = BASE64_STANDARD.decode(&step.cms).unwrap_or_default();
    // The statement's own time stands in for the signing time, which a CMS without signed attributes has not.
    let Ok(report) = cades::verify(&cms, anchors, at) else { return found(Kind::Cms) };
    if !report.mathematics.signature {
        found(Kind::Signature);
    }
    if Statement::read(&report.content).as_ref() != Some(&step.statement) {
        found(Kind::Statement);
    }
    if report.chain != Chain::Ok {
        found(Kind::Chain(report.chain));
    }
    let Some(signer) = report.signer else { return found(Kind::Party) };
    let named = &step.signed_by;
    if signer.registration_number.as_deref() != Some(named.telematik_id.as_str())
        || signer.profession_oids != named.professions
        || hex::encode(Sha256::digest(&signer.certificate)) != named.certificate_sha256
    {
        found(Kind::Party);
    }
    let Some(answer) = &step.ocsp else { return };
    let answer = BASE64_STANDARD.decode(answer).unwrap_or_default();
    match ocsp::check(&answer, &signer.certificate, anchors, &Rules::qualified(at, now)) {
        Ok(answer) if answer.status == Status::Good => {}
        Ok(answer) => found(Kind::NotGood(answer.status)),
        Err(error) => found(Kind::Status(error.to_string())),
    }
}

/// A step among the others.
fn judge_place(case: &Case, index: usize, found: &mut impl FnMut(Kind)) {
    let before = case.steps.get(..index).unwrap_or_default();
    let Some(step) = case.steps.get(index) else { return };
    let (statement, last) = (&step.statement, before.last());
    let follows = match last {
        None => statement.previous_sha256.is_none(),
        Some(last) => {
            statement.previous_sha256.as_ref() == Some(&hash_of(&last.cms))
                && statement.at >= last.statement.at
        }
    };
    if !follows {
        found(Kind::Order);
    }
    if last.is_some_and(|last| {
        last.statement.request_id != statement.request_id || last.statement.service != statement.service
    }) {
        found(Kind::OtherCase);
    }
    if statement.nonce.len() < 64 || before.iter().any(|other| other.statement.nonce == statement.nonce) {
        found(Kind::Nonce);
    }
    let fits = match (&statement.act, last.map(|last| &last.statement.act)) {
        (Act::Request(_), None) | (Act::Decide { .. }, Some(Act::Request(_))) => true,
        (Act::Revoke, Some(Act::Request(_) | Act::Decide { approved: true })) => true,
        (Act::Review { .. }, Some(Act::Decide { approved: true })) => true,
        (Act::Review { .. }, Some(Act::Revoke)) => case.decision().is_some_and(|(approved, _)| approved),
        _ => false,
    };
    if !fits {
        found(Kind::Steps);
    }
}

/// What was asked for, by whom, and what came of it.
fn judge_whole(case: &Case, found: &mut impl FnMut(Kind)) {
    let Some((wanted, request)) = case.request() else { return found(Kind::Steps) };
    let lasts = wanted.expires_at - wanted.not_before;
    let early = wanted.not_before + Duration::seconds(1) < request.statement.at;
    if lasts > Duration::minutes(i64::from(LONGEST)) || lasts <= Duration::ZERO || early {
        found(Kind::Lifetime);
    }
    if !REASONS.contains(&wanted.reason_code.as_str()) || !PURPOSES.contains(&wanted.purpose_of_use.as_str())
    {
        found(Kind::Words);
    }
    let reads = |scope: &String| {
        scope.rsplit('.').next().is_some_and(|rights| rights.chars().all(|c| "rs".contains(c)))
    };
    if wanted.scopes.is_empty() || !wanted.scopes.iter().all(reads) {
        found(Kind::Scopes);
    }
    let decision = case.decision();
    if decision.is_some_and(|(_, step)| step.statement.at >= wanted.expires_at) {
        found(Kind::Late);
    }
    let actors = [Some(request), decision.map(|(_, step)| step), case.review().map(|(_, _, step)| step)];
    let actors: Vec<&Party> = actors.into_iter().flatten().map(|step| &step.signed_by).collect();
    let same = |(index, party): (usize, &&Party)| {
        actors.iter().skip(index + 1).any(|other| !party.differs_from(other))
    };
    if actors.iter().enumerate().any(same) {
        found(Kind::SamePerson);
    }
    let opened = decision.filter(|(approved, _)| *approved).map(|(_, step)| step.statement.at);
    let ended = case.revocation().map_or(wanted.expires_at, |step| step.statement.at.min(wanted.expires_at));
    let open = |at: OffsetDateTime| opened.is_some_and(|opened| at >= opened && at < ended);
    if case.accesses.iter().any(|access| !open(access.at)) {
        found(Kind::Access);
    }
}
