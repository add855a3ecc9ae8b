//! Emergency access by two persons: a clinician asks for what the patient did not consent to, a second one agrees, a third
//! one looks at it afterwards. Each step is a statement that the clinician's card signs.
//!
//! A case is the list of these statements. Each names the one before by its hash, so that nobody can leave one out, change
//! the order, or agree to something else than what was asked for; and each goes with the OCSP answer of its time. That is
//! all an outsider needs to judge it later ([`verify`]).

pub mod command;
mod instant;
pub mod verify;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

use crate::clinician::scope::Policy;

/// First line of every statement, so that a signature for this purpose is worth nothing for another.
pub const DOMAIN: &str = "HPC Signer emergency access v1";
/// Longest access, in minutes.
pub const LONGEST: u32 = 30;
/// Codes of reasons.
pub const REASONS: [&str; 4] = ["UNCONSCIOUS", "LIFE_THREATENING", "CONSENT_NOT_OBTAINABLE", "OTHER"];
/// Purposes of use (HL7 v3 PurposeOfUse): breaking the glass, and emergency treatment.
pub const PURPOSES: [&str; 2] = ["BTG", "ETREAT"];

/// What a card signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// Name of the case, a UUID.
    pub request_id: String,
    /// The service that asks for the signature: issuer of its tokens.
    pub service: String,
    /// Fresh for each statement, hexadecimal.
    pub nonce: String,
    /// When.
    #[serde(with = "instant")]
    pub at: OffsetDateTime,
    /// SHA-256 of the CMS of the statement before, hexadecimal; none in the first.
    pub previous_sha256: Option<String>,
    /// What is stated.
    #[serde(flatten)]
    pub act: Act,
}

/// What a clinician states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// I need access.
    Request(Wanted),
    /// I agree, or I do not.
    Decide {
        /// Which.
        approved: bool,
    },
    /// It ends now.
    Revoke,
    /// I looked at it.
    Review {
        /// The emergency was one.
        justified: bool,
        /// In words.
        text: String,
    },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Keyed pseudonym of the patient.
    pub patient: String,
    /// One of [`REASONS`].
    pub reason_code: String,
    /// In words.
    pub reason: String,
    /// One of [`PURPOSES`].
    pub purpose_of_use: String,
    /// What the profession may have in an emergency.
    pub scopes: Vec<String>,
    /// From when on.
    #[serde(with = "instant")]
    pub not_before: OffsetDateTime,
    /// Until when.
    #[serde(with = "instant")]
    pub expires_at: OffsetDateTime,
}

/// Who signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Telematik-ID.
    pub telematik_id: String,
    /// Professions, dotted.
    pub professions: Vec<String>,
    /// RFC 4514 text.
    pub certificate_issuer: String,
    /// Lower-case hexadecimal.
    pub certificate_serial: String,
    /// Of the whole certificate, hexadecimal.
    pub certificate_sha256: String,
}

/// A signed statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What was stated, as it stands in the CMS.
    pub statement: Statement,
    /// Who signed, as the certificate says.
    pub signed_by: Party,
    /// CMS SignedData with the statement and the certificate, DER, Base64.
    pub cms: String,
    /// The responder's answer about the certificate at that time, DER, Base64; none in offline mode.
    pub ocsp: Option<String>,
}

/// A use of the access.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// When.
    #[serde(with = "instant")]
    pub at: OffsetDateTime,
    /// `token`, or the name of a file of the insurance card.
    pub what: String,
}

/// Everything about one emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// In their order; the first is the request.
    pub steps: Vec<Step>,
    /// In their order.
    pub accesses: Vec<Access>,
    /// SHA-256 of what the requester shows to use the access, hexadecimal. Not exported.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub claim_sha256: String,
}

/// Where a case stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Waits for a second clinician.
    Requested,
    /// Open.
    Approved,
    /// The second clinician did not agree.
    Denied,
    /// Ended before its time.
    Revoked,
    /// Its time is over without a second clinician.
    Lapsed,
    /// Its time is over.
    Expired,
}

/// Why a step is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejected {
    /// Switched off.
    #[error("emergency access is switched off")]
    Disabled,
    /// No such case.
    #[error("no emergency access of this name")]
    NotFound,
    /// Not now.
    #[error("this cannot be done while the emergency access is {}", .0.code())]
    Standing(Standing),
    /// It was closed already.
    #[error("the review is closed already")]
    Reviewed,
    /// One person twice, or perhaps.
    #[error("another person has to do this: Telematik-ID and certificate must differ from those before")]
    SamePerson,
    /// A certificate without Telematik-ID does not tell persons apart.
    #[error("the certificate has no Telematik-ID, so that persons cannot be told apart")]
    Nameless,
    /// Not this profession.
    #[error("the profession may not do this")]
    Profession,
    /// Nothing is left of what was asked for.
    #[error("the profession gets none of the scopes in an emergency")]
    NoScope,
    /// There is one already.
    #[error("this person has an open emergency access for this patient: it is not renewed while it lasts")]
    Open,
    /// Not the requester.
    #[error("the claim is not the one that the request was answered with")]
    Claim,
    /// Somebody else was faster.
    #[error("somebody else changed the emergency access at the same time")]
    Changed,
    /// Nobody looked at what this person opened before.
    #[error(
        "{count} emergency accesses of this person are overdue for review: somebody has to close these first"
    )]
    ReviewsOverdue {
        /// How many.
        count: usize,
    },
    /// Another patient.
    #[error("the insurance card is not that of the patient whom the emergency access is for")]
    Patient,
}

impl Standing {
    /// For programs.
    pub fn code(self) -> &'static str {
        match self {
            Standing::Requested => "requested",
            Standing::Approved => "approved",
            Standing::Denied => "denied",
            Standing::Revoked => "revoked",
            Standing::Lapsed => "lapsed",
            Standing::Expired => "expired",
        }
    }
}

impl Statement {
    /// The bytes that are signed.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        Some(format!("{DOMAIN}\n{}\n", serde_json::to_string(self).ok()?).into_bytes())
    }

    /// The statement in signed bytes.
    pub fn read(bytes: &[u8]) -> Option<Statement> {
        let text = std::str::from_utf8(bytes).ok()?;
        let json = text.strip_prefix(DOMAIN)?.strip_prefix('\n')?.strip_suffix('\n')?;
        serde_json::from_str(json).ok()
    }
}

impl Party {
    /// Two persons, beyond doubt?
    pub fn differs_from(&self, other: &Party) -> bool {
        !self.telematik_id.is_empty()
            && !other.telematik_id.is_empty()
            && self.telematik_id != other.telematik_id
            && self.certificate_sha256 != other.certificate_sha256
    }
}

impl Step {
    /// The hash that the next statement names.
    pub fn hash(&self) -> String {
        hash_of(&self.cms)
    }
}

/// SHA-256 of a CMS in Base64, hexadecimal.
fn hash_of(cms: &str) -> String {
    hex::encode(Sha256::digest(BASE64_STANDARD.decode(cms).unwrap_or_default()))
}

impl Case {
    /// The request, and who signed it.
    pub fn request(&self) -> Option<(&Wanted, &Step)> {
        let step = self.steps.first()?;
        match &step.statement.act {
            Act::Request(wanted) => Some((wanted, step)),
            _ => None,
        }
    }

    /// Who decided, and how.
    pub fn decision(&self) -> Option<(bool, &Step)> {
        self.steps.iter().find_map(|step| match step.statement.act {
            Act::Decide { approved } => Some((approved, step)),
            _ => None,
        })
    }

    /// When it ended before its time.
    pub fn revocation(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.statement.act == Act::Revoke)
    }

    /// Who reviewed it, and what was found.
    pub fn review(&self) -> Option<(bool, &str, &Step)> {
        self.steps.iter().find_map(|step| match &step.statement.act {
            Act::Review { justified, text } => Some((*justified, text.as_str(), step)),
            _ => None,
        })
    }

    /// Where it stands at a time.
    pub fn standing(&self, now: OffsetDateTime) -> Standing {
        let over = self.request().is_none_or(|(wanted, _)| now >= wanted.expires_at);
        match (self.decision(), self.revocation()) {
            (_, Some(_)) => Standing::Revoked,
            (Some((false, _)), _) => Standing::Denied,
            (Some((true, _)), _) if over => Standing::Expired,
            (Some((true, _)), _) => Standing::Approved,
            (None, _) if over => Standing::Lapsed,
            (None, _) => Standing::Requested,
        }
    }

    /// Was it opened, and did nobody look at it since?
    pub fn wants_review(&self) -> bool {
        self.decision().is_some_and(|(approved, _)| approved) && self.review().is_none()
    }

    /// When it was over, or will be.
    pub fn over_since(&self) -> OffsetDateTime {
        let planned = self.request().map_or(OffsetDateTime::UNIX_EPOCH, |(wanted, _)| wanted.expires_at);
        self.revocation().map_or(planned, |step| planned.min(step.statement.at))
    }

    /// May this party take this step now?
    ///
    /// # Errors
    /// [`Rejected`].
    pub fn admits(
        &self,
        act: &Act,
        party: &Party,
        policy: &Policy,
        now: OffsetDateTime,
    ) -> Result<(), Rejected> {
        if party.telematik_id.is_empty() {
            return Err(Rejected::Nameless);
        }
        let standing = self.standing(now);
        let before: Vec<&Party> = self
            .request()
            .into_iter()
            .map(|(_, step)| step)
            .chain(self.decision().map(|(_, step)| step))
            .map(|step| &step.signed_by)
            .collect();
        let another = before.iter().all(|other| party.differs_from(other));
        let approves = policy.approves_emergencies(&party.professions);
        match act {
            Act::Request(_) => Ok(()),
            Act::Decide { .. } if standing != Standing::Requested => Err(Rejected::Standing(standing)),
            // Ending an access harms nobody's data: those who began it may, and everybody who could have agreed.
            Act::Revoke if !matches!(standing, Standing::Requested | Standing::Approved) => {
                Err(Rejected::Standing(standing))
            }
            Act::Revoke if before.contains(&party) || approves => Ok(()),
            Act::Review { .. } if self.review().is_some() => Err(Rejected::Reviewed),
            // Only what is over can be judged as a whole.
            Act::Review { .. } if !self.wants_review() || standing == Standing::Approved => {
                Err(Rejected::Standing(standing))
            }
            Act::Decide { .. } | Act::Review { .. } if !another => Err(Rejected::SamePerson),
            _ if !approves => Err(Rejected::Profession),
            _ => Ok(()),
        }
    }

    /// Seconds since 1970 at which it is over at the latest.
    pub fn ends_at(&self, now: OffsetDateTime) -> i64 {
        let planned = self.request().map_or(0, |(wanted, _)| wanted.expires_at.unix_timestamp());
        match self.standing(now) {
            Standing::Requested | Standing::Approved => planned,
            _ => planned.min(now.unix_timestamp()),
        }
    }
}

/// The time of an access that begins now.
pub fn times(now: OffsetDateTime, minutes: u32) -> (OffsetDateTime, OffsetDateTime) {
    let whole = now.replace_nanosecond(0).unwrap_or(now);
    (whole, whole + Duration::minutes(i64::from(minutes)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn party(telematik_id: &str, certificate: &str, profession: &str) -> Party {
        Party {
            telematik_id: telematik_id.into(),
            professions: vec![profession.into()],
            certificate_issuer: "CN=CA".into(),
            certificate_serial: certificate.into(),
            certificate_sha256: certificate.into(),
        }
    }

    fn physician(number: &str) -> Party {
        party(number, number, "1.2.276.0.76.4.30")
    }

    fn step(case: &Case, act: Act, by: &Party) -> Step {
        let previous_sha256 = case.steps.last().map(Step::hash);
        let (request_id, service, nonce) = ("r".to_owned(), "s".to_owned(), "n".to_owned());
        let statement = Statement { request_id, service, nonce, at: NOW, previous_sha256, act };
        Step { statement, signed_by: by.clone(), cms: BASE64_STANDARD.encode("cms"), ocsp: None }
    }

    fn requested(by: &Party) -> Case {
        let (not_before, expires_at) = times(NOW, 30);
        let mut case = Case { steps: vec![], accesses: vec![], claim_sha256: String::new() };
        let wanted = Wanted {
            patient: "p".into(),
            reason_code: "UNCONSCIOUS".into(),
            reason: "found so".into(),
            purpose_of_use: "BTG".into(),
            scopes: vec!["patient/*.rs".into()],
            not_before,
            expires_at,
        };
        case.steps.push(step(&case, Act::Request(wanted), by));
        case
    }

    fn decided(case: &Case, approved: bool, by: &Party) -> Case {
        let mut case = case.clone();
        case.steps.push(step(&case, Act::Decide { approved }, by));
        case
    }

    fn admits(case: &Case, act: &Act, party: &Party, minute: i64) -> Result<(), Rejected> {
        case.admits(act, party, &Policy::built_in().unwrap(), NOW + Duration::minutes(minute))
    }

    const AGREE: Act = Act::Decide { approved: true };

    #[test]
    fn a_second_person_has_to_agree_in_time() {
        let (ada, bob) = (physician("1"), physician("2"));
        let case = requested(&ada);
        assert_eq!(admits(&case, &AGREE, &bob, 0), Ok(()));
        assert_eq!(admits(&case, &AGREE, &ada, 0), Err(Rejected::SamePerson));
        let second_card = Party { certificate_sha256: "x".into(), ..ada.clone() };
        assert_eq!(admits(&case, &AGREE, &second_card, 0), Err(Rejected::SamePerson));
        let same_certificate = Party { certificate_sha256: ada.certificate_sha256.clone(), ..bob.clone() };
        assert_eq!(admits(&case, &AGREE, &same_certificate, 0), Err(Rejected::SamePerson));
        assert_eq!(admits(&case, &AGREE, &physician(""), 0), Err(Rejected::Nameless));
        let pharmacist = party("2", "2", "1.2.276.0.76.4.32");
        assert_eq!(admits(&case, &AGREE, &pharmacist, 0), Err(Rejected::Profession));
        assert_eq!(admits(&case, &AGREE, &bob, 30), Err(Rejected::Standing(Standing::Lapsed)));
        for approved in [true, false] {
            let case = decided(&case, approved, &bob);
            assert!(matches!(admits(&case, &AGREE, &physician("3"), 0), Err(Rejected::Standing(_))));
        }
    }

    #[test]
    fn a_third_person_reviews_what_is_over_and_once() {
        let (ada, bob, eve) = (physician("1"), physician("2"), physician("3"));
        let review = Act::Review { justified: true, text: "seen".into() };
        let case = decided(&requested(&ada), true, &bob);
        assert!(case.wants_review());
        assert_eq!(admits(&case, &review, &eve, 29), Err(Rejected::Standing(Standing::Approved)));
        for party in [&ada, &bob] {
            assert_eq!(admits(&case, &review, party, 30), Err(Rejected::SamePerson));
        }
        assert_eq!(admits(&case, &review, &eve, 30), Ok(()));
        let mut closed = case.clone();
        closed.steps.push(step(&case, review.clone(), &eve));
        assert!(!closed.wants_review());
        assert_eq!(admits(&closed, &review, &physician("4"), 30), Err(Rejected::Reviewed));
        let denied = decided(&requested(&ada), false, &bob);
        assert_eq!(admits(&denied, &review, &eve, 30), Err(Rejected::Standing(Standing::Denied)));
    }

    #[test]
    fn those_who_began_it_and_those_who_could_agree_may_end_it() {
        let nurse = party("1", "1", "1.2.276.0.76.4.178");
        let case = decided(&requested(&nurse), true, &physician("2"));
        for party in [&nurse, &physician("2"), &physician("3")] {
            assert_eq!(admits(&case, &Act::Revoke, party, 1), Ok(()));
        }
        let other = party("4", "4", "1.2.276.0.76.4.178");
        assert_eq!(admits(&case, &Act::Revoke, &other, 1), Err(Rejected::Profession));
        assert_eq!(admits(&case, &Act::Revoke, &nurse, 30), Err(Rejected::Standing(Standing::Expired)));
        let mut revoked = case.clone();
        revoked.steps.push(step(&case, Act::Revoke, &nurse));
        assert_eq!(revoked.standing(NOW), Standing::Revoked);
        assert_eq!(revoked.ends_at(NOW + Duration::minutes(1)), 60);
    }

    #[test]
    fn a_statement_is_read_back_from_the_bytes_that_are_signed() {
        let case = requested(&physician("1"));
        let statement = &case.steps[0].statement;
        let bytes = statement.bytes().unwrap();
        assert!(bytes.starts_with(b"HPC Signer emergency access v1\n{\"request_id\":\"r\""));
        assert_eq!(Statement::read(&bytes).as_ref(), Some(statement));
        assert_eq!(Statement::read(&bytes[1..]), None);
        assert_eq!(Statement::read(b"HPC Signer clinician authentication v1\nx\n"), None);
    }
}
