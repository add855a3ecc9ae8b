//! Every way a call can be refused, and the one table that turns it into a gRPC status.

use std::collections::HashMap;

use cades::{ParseError, ocsp::Status};
use proto::v1::{Chain, Reason};
use thiserror::Error;
use tonic::Code;
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    audit::AuditError,
    clinician::NotValid,
    comfort::{Ended, NoSession},
    emergency::Rejected,
    idp::IdpError,
    insurance::InsuranceError,
    pin_limits::TooMany,
    prescription::{Difference, NotAPrescription, Rule, XmlError},
    signature::SignatureError,
    token::TokenError,
};

/// Why a call was refused. Texts are for people and hold no value of a patient, a clinician or a card.
#[derive(Debug, Error)]
pub enum Refusal {
    /// A field of the request.
    #[error("{field}: {problem}")]
    BadRequest {
        /// Path of the field in the request message.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Larger than configured.
    #[error("the document has {got} bytes, at most {limit} are taken")]
    TooLarge {
        /// Bytes taken.
        limit: usize,
        /// Bytes received.
        got: usize,
    },
    /// Not XML.
    #[error("the prescription is malformed: {0}")]
    Malformed(#[from] XmlError),
    /// Not a prescription.
    #[error("the document is not a prescription: {0}")]
    NotAPrescription(#[from] NotAPrescription),
    /// The prescription service would refuse it.
    #[error("the prescription breaks rules: {}", codes(.0))]
    RulesBroken(Vec<Rule>),
    /// Same key, other document.
    #[error("the idempotency key belongs to another document")]
    KeyReused,
    /// Same key, at the same time.
    #[error("a call with this idempotency key is at work")]
    KeyAtWork,
    /// The caller has enough.
    #[error("the batch was cancelled")]
    BatchCancelled,
    /// Not configured.
    #[error("comfort signatures are switched off")]
    ComfortDisabled,
    /// Not a fresh one.
    #[error("the user id was used before: make a new one for each activation")]
    UserIdReused,
    /// None, or it ended.
    #[error("no comfort session of this user on this card{}", ended(*.0))]
    NoComfortSession(Option<Ended>),
    /// Enough on this card.
    #[error("this card has {limit} comfort sessions already")]
    ComfortSessionsFull {
        /// As configured.
        limit: usize,
    },
    /// Nobody proved who they are.
    #[error("this call needs the token of a clinician")]
    TokenRequired,
    /// The token.
    #[error("the token is not valid ({})", .0.code())]
    TokenNotValid(NotValid),
    /// The token grants something else.
    #[error("the token does not grant {scope}")]
    ScopeMissing {
        /// What is missing.
        scope: &'static str,
    },
    /// The token is somebody else's.
    #[error("token and signature card are not shown to be of the same person")]
    OtherPerson,
    /// No token for strangers.
    #[error("the card's certificate leads to no trust anchor, so there is no token for its holder")]
    ClinicianUntrusted(Chain),
    /// No token without knowing.
    #[error("the state of the card's certificate could not be asked for")]
    StatusUnknown,
    /// A certificate that is in nobody's permissions.
    #[error("the certificate of this client is not among the configured ones")]
    ClientUnknown,
    /// A call that is not among the client's.
    #[error("{call} is not among the calls of this client")]
    CallNotAllowed {
        /// Which.
        call: &'static str,
    },
    /// Comfort signatures over the network.
    #[error("over the network comfort signatures need a client certificate")]
    ComfortNeedsClient,
    /// As many calls at work as are configured.
    #[error("as many calls as are configured are at work: ask again later")]
    Busy,
    /// Wrong PINs before this one.
    #[error("too many wrong PINs: the next is taken in {} seconds", .0.0.as_secs())]
    TooManyPins(TooMany),
    /// Another patient's card.
    #[error(transparent)]
    Mismatch(#[from] Difference),
    /// The insurance card.
    #[error(transparent)]
    Insurance(#[from] InsuranceError),
    /// The health professional card.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The making of the signature, beyond the card.
    #[error(transparent)]
    Signature(SignatureError),
    /// The certificate's issuer took it back, or never heard of it.
    #[error("the card's certificate cannot sign: its OCSP responder says {0}")]
    Revoked(Status),
    /// Not a CMS.
    #[error(transparent)]
    NotCms(#[from] ParseError),
    /// The identity provider's challenge.
    #[error(transparent)]
    Idp(#[from] IdpError),
    /// Emergency access.
    #[error(transparent)]
    Emergency(#[from] Rejected),
    /// No emergency data; what the cards say.
    #[error("no emergency data: {0}")]
    EmergencyData(String),
    /// The audit trail.
    #[error("the result could not be recorded and is not handed out")]
    Audit(#[source] AuditError),
    /// Nobody waits for the result any more.
    #[error("the caller hung up before the card was used")]
    CallerGone,
    /// A fault of the service.
    #[error("internal fault: {0}")]
    Internal(&'static str),
}

impl From<SignatureError> for Refusal {
    fn from(error: SignatureError) -> Self {
        match error {
            SignatureError::Token(error) => Refusal::Token(error),
            other => Refusal::Signature(other),
        }
    }
}

impl From<TooMany> for Refusal {
    fn from(many: TooMany) -> Self {
        Refusal::TooManyPins(many)
    }
}

impl From<NotValid> for Refusal {
    fn from(why: NotValid) -> Self {
        Refusal::TokenNotValid(why)
    }
}

impl From<NoSession> for Refusal {
    fn from(NoSession(ended): NoSession) -> Self {
        Refusal::NoComfortSession(ended)
    }
}

/// A row of the table: status code, reason, metadata.
type Row = (Code, Reason, Vec<(&'static str, String)>);

impl Refusal {
    /// Name of the reason, as in `google.rpc.ErrorInfo` and in the audit trail.
    pub fn reason(&self) -> &'static str {
        reason_name(self.row().1)
    }

    /// The reason that a card's error has.
    pub fn reason_of(error: &TokenError) -> &'static str {
        reason_name(token_row(error).1)
    }

    /// Status code, reason and metadata.
    pub fn parts(&self) -> (Code, &'static str, HashMap<String, String>) {
        let (code, reason, metadata) = self.row();
        let metadata = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        (code, reason_name(reason), metadata)
    }

    /// The gRPC status with its machine-readable detail.
    pub fn status(&self) -> tonic::Status {
        let (code, reason, metadata) = self.parts();
        let details = ErrorDetails::with_error_info(reason, proto::ERROR_DOMAIN, metadata);
        tonic::Status::with_error_details(code, self.to_string(), details)
    }

    fn row(&self) -> Row {
        use Code::{FailedPrecondition, Internal, InvalidArgument, ResourceExhausted, Unavailable};
        match self {
            Refusal::BadRequest { field, .. } => {
                (InvalidArgument, Reason::BadRequest, vec![("field", (*field).to_owned())])
            }
            Refusal::TooLarge { limit, got } => {
                let sizes = vec![("limit_bytes", limit.to_string()), ("got_bytes", got.to_string())];
                (ResourceExhausted, Reason::TooLarge, sizes)
            }
            Refusal::Malformed(error) => {
                (InvalidArgument, Reason::MalformedPrescription, vec![("offset", error.offset.to_string())])
            }
            Refusal::NotAPrescription(rule) => {
                (InvalidArgument, Reason::NotAPrescription, vec![("rule", rule.code().to_owned())])
            }
            Refusal::RulesBroken(rules) => {
                (FailedPrecondition, Reason::RulesBroken, vec![("rules", codes(rules))])
            }
            Refusal::KeyReused => (Code::AlreadyExists, Reason::KeyReused, vec![]),
            Refusal::KeyAtWork => (Code::Aborted, Reason::KeyAtWork, vec![]),
            Refusal::BatchCancelled => (Code::Cancelled, Reason::BatchCancelled, vec![]),
            Refusal::ComfortDisabled => (FailedPrecondition, Reason::ComfortDisabled, vec![]),
            Refusal::UserIdReused => (Code::AlreadyExists, Reason::UserIdReused, vec![]),
            Refusal::NoComfortSession(why) => {
                let ended = why.map(|why| ("ended", why.code().to_owned()));
                (FailedPrecondition, Reason::NoComfortSession, ended.into_iter().collect())
            }
            Refusal::ComfortSessionsFull { limit } => {
                (ResourceExhausted, Reason::ComfortSessionsFull, vec![("limit", limit.to_string())])
            }
            Refusal::TokenRequired => (Code::Unauthenticated, Reason::TokenRequired, vec![]),
            Refusal::TokenNotValid(why) => {
                (Code::Unauthenticated, Reason::TokenNotValid, vec![("why", why.code().to_owned())])
            }
            Refusal::ScopeMissing { scope } => {
                (Code::PermissionDenied, Reason::ScopeMissing, vec![("scope", (*scope).to_owned())])
            }
            Refusal::OtherPerson => (Code::PermissionDenied, Reason::OtherPerson, vec![]),
            Refusal::ClinicianUntrusted(chain) => {
                let chain = chain.as_str_name().trim_start_matches("CHAIN_").to_owned();
                (FailedPrecondition, Reason::ClinicianUntrusted, vec![("chain", chain)])
            }
            Refusal::ClientUnknown => (Code::PermissionDenied, Reason::ClientUnknown, vec![]),
            Refusal::CallNotAllowed { call } => {
                (Code::PermissionDenied, Reason::CallNotAllowed, vec![("call", (*call).to_owned())])
            }
            Refusal::ComfortNeedsClient => (FailedPrecondition, Reason::ComfortNeedsClient, vec![]),
            Refusal::Busy => (ResourceExhausted, Reason::Busy, vec![]),
            Refusal::TooManyPins(TooMany(wait)) => (
                ResourceExhausted,
                Reason::PinRateLimited,
                vec![("retry_seconds", wait.as_secs().to_string())],
            ),
            Refusal::StatusUnknown => (Unavailable, Reason::StatusUnknown, vec![]),
            Refusal::Mismatch(difference) => {
                (FailedPrecondition, Reason::InsuranceMismatch, vec![("field", difference.field.to_owned())])
            }
            Refusal::Insurance(error) => insurance_row(error),
            Refusal::Token(error) | Refusal::Signature(SignatureError::Token(error)) => token_row(error),
            Refusal::Signature(SignatureError::Build(_)) => {
                (FailedPrecondition, Reason::KeyNotUsable, vec![("code", "CERTIFICATE".to_owned())])
            }
            Refusal::Signature(SignatureError::SelfCheck(_)) => (Internal, Reason::SelfCheckFailed, vec![]),
            Refusal::Revoked(state) => {
                (FailedPrecondition, Reason::CertificateRevoked, vec![("state", state.to_string())])
            }
            Refusal::NotCms(_) => (InvalidArgument, Reason::NotCms, vec![]),
            Refusal::Idp(IdpError::KeyKind) => {
                (FailedPrecondition, Reason::KeyNotUsable, vec![("code", "KEY_KIND".to_owned())])
            }
            Refusal::Idp(IdpError::Random) => (Internal, Reason::Internal, vec![]),
            Refusal::Idp(_) => (InvalidArgument, Reason::IdpChallenge, vec![]),
            Refusal::Emergency(rejected) => emergency_row(rejected),
            Refusal::EmergencyData(code) => {
                (FailedPrecondition, Reason::EmergencyData, vec![("code", code.clone())])
            }
            Refusal::Audit(_) => (Unavailable, Reason::AuditFailed, vec![]),
            Refusal::CallerGone => (Code::Cancelled, Reason::CallerGone, vec![]),
            Refusal::Internal(_) => (Internal, Reason::Internal, vec![]),
        }
    }
}

fn codes(rules: &[Rule]) -> String {
    let codes: Vec<&str> = rules.iter().map(|rule| rule.code()).collect();
    codes.join(",")
}

fn ended(why: Option<Ended>) -> String {
    why.map(|why| format!(": it ended ({})", why.code())).unwrap_or_default()
}

fn emergency_row(rejected: &Rejected) -> Row {
    use Code::{Aborted, AlreadyExists, FailedPrecondition, NotFound, PermissionDenied, Unauthenticated};
    let standing = |standing: &str| vec![("standing", standing.to_owned())];
    match rejected {
        Rejected::Disabled => (FailedPrecondition, Reason::EmergencyDisabled, vec![]),
        Rejected::NotFound => (NotFound, Reason::EmergencyNotFound, vec![]),
        Rejected::Standing(now) => (FailedPrecondition, Reason::EmergencyStanding, standing(now.code())),
        Rejected::Reviewed => (FailedPrecondition, Reason::EmergencyStanding, standing("reviewed")),
        Rejected::SamePerson | Rejected::Nameless => (PermissionDenied, Reason::EmergencySamePerson, vec![]),
        Rejected::Profession | Rejected::NoScope => (PermissionDenied, Reason::EmergencyProfession, vec![]),
        Rejected::Open => (AlreadyExists, Reason::EmergencyOpen, vec![]),
        Rejected::Claim => (Unauthenticated, Reason::EmergencyClaim, vec![]),
        Rejected::Changed => (Aborted, Reason::EmergencyChanged, vec![]),
        Rejected::Patient => (PermissionDenied, Reason::EmergencyPatient, vec![]),
        Rejected::ReviewsOverdue { count } => {
            (FailedPrecondition, Reason::EmergencyReviewsOverdue, vec![("count", count.to_string())])
        }
    }
}

fn insurance_row(error: &InsuranceError) -> Row {
    use Code::{Aborted, FailedPrecondition, NotFound, Unavailable};
    match error {
        InsuranceError::NoReader => (Unavailable, Reason::NoReader, vec![]),
        InsuranceError::Name { count: 0 } => (NotFound, Reason::CardNotFound, vec![]),
        InsuranceError::Name { count } | InsuranceError::Several { count } => {
            (FailedPrecondition, Reason::SeveralCards, vec![("count", count.to_string())])
        }
        InsuranceError::NoCard => (FailedPrecondition, Reason::NoCard, vec![]),
        InsuranceError::Foreign => (FailedPrecondition, Reason::ForeignCard, vec![]),
        InsuranceError::Removed => (Aborted, Reason::CardRemoved, vec![]),
        InsuranceError::Card(text) => (Unavailable, Reason::CardError, vec![("code", text.clone())]),
        InsuranceError::Data(error) => {
            (FailedPrecondition, Reason::InsuranceUnreadable, vec![("code", error.to_string())])
        }
    }
}

fn token_row(error: &TokenError) -> Row {
    use Code::{Aborted, FailedPrecondition, InvalidArgument, NotFound, Unauthenticated, Unavailable};
    match error {
        TokenError::Load { reason, .. } => (Unavailable, Reason::CardError, vec![("code", reason.clone())]),
        TokenError::NoReader => (Unavailable, Reason::NoReader, vec![]),
        TokenError::NoCard => (FailedPrecondition, Reason::NoCard, vec![]),
        TokenError::ForeignCard => (FailedPrecondition, Reason::ForeignCard, vec![]),
        TokenError::NotFound => (NotFound, Reason::CardNotFound, vec![]),
        TokenError::Several { count } => {
            (FailedPrecondition, Reason::SeveralCards, vec![("count", count.to_string())])
        }
        TokenError::NoKey { purpose, .. } => {
            (FailedPrecondition, Reason::NoKey, vec![("purpose", (*purpose).to_owned())])
        }
        TokenError::KeyNotUsable(code) => {
            (FailedPrecondition, Reason::KeyNotUsable, vec![("code", code.clone())])
        }
        TokenError::PinRequired => (InvalidArgument, Reason::PinRequired, vec![]),
        TokenError::PinFormat => (InvalidArgument, Reason::PinFormat, vec![]),
        TokenError::PinIncorrect(tries) => {
            (Unauthenticated, Reason::PinWrong, vec![("tries", tries.code().to_owned())])
        }
        TokenError::LastTry => (FailedPrecondition, Reason::PinLastTry, vec![]),
        TokenError::PinBlocked => (FailedPrecondition, Reason::PinBlocked, vec![]),
        TokenError::PinNotSet => (FailedPrecondition, Reason::PinNotSet, vec![]),
        TokenError::PinEntryCancelled => (Aborted, Reason::PinEntryCancelled, vec![]),
        TokenError::NotLoggedIn => (Unauthenticated, Reason::NotLoggedIn, vec![]),
        TokenError::Removed => (Aborted, Reason::CardRemoved, vec![]),
        TokenError::Module(error) => {
            (Unavailable, Reason::CardError, vec![("code", error.code().to_owned())])
        }
    }
}

fn reason_name(reason: Reason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("REASON_").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prescription::Malformed, token::Tries};

    fn shown(refusal: Refusal) -> (Code, String, HashMap<String, String>) {
        let status = refusal.status();
        let info = status.get_error_details().error_info().unwrap().clone();
        assert_eq!(info.domain, "hpc.signer.v1");
        (status.code(), info.reason, info.metadata)
    }

    #[test]
    fn a_mismatch_names_the_field_and_no_value() {
        let (code, reason, metadata) = shown(Difference { field: "Patient.name.family" }.into());
        assert_eq!((code, reason.as_str()), (Code::FailedPrecondition, "INSURANCE_MISMATCH"));
        assert_eq!(metadata["field"], "Patient.name.family");
    }

    #[test]
    fn a_wrong_pin_tells_what_is_known_of_the_tries() {
        let (code, reason, metadata) = shown(TokenError::PinIncorrect(Tries::Final).into());
        assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "PIN_WRONG"));
        assert_eq!(metadata["tries"], "final");
    }

    #[test]
    fn card_troubles_are_told_apart() {
        let reasons: Vec<String> = [
            Refusal::from(TokenError::PinBlocked),
            TokenError::PinNotSet.into(),
            TokenError::Removed.into(),
            TokenError::NoReader.into(),
            TokenError::NoCard.into(),
            TokenError::ForeignCard.into(),
        ]
        .into_iter()
        .map(|refusal| shown(refusal).1)
        .collect();
        assert_eq!(
            reasons,
            ["PIN_BLOCKED", "PIN_NOT_SET", "CARD_REMOVED", "NO_READER", "NO_CARD", "FOREIGN_CARD"]
        );
    }

    #[test]
    fn sizes_and_places_are_machine_readable() {
        let (code, _, metadata) = shown(Refusal::TooLarge { limit: 10, got: 11 });
        assert_eq!(code, Code::ResourceExhausted);
        assert_eq!((metadata["limit_bytes"].as_str(), metadata["got_bytes"].as_str()), ("10", "11"));
        let (code, _, metadata) = shown(XmlError { offset: 17, reason: Malformed::Syntax }.into());
        assert_eq!(code, Code::InvalidArgument);
        assert_eq!(metadata["offset"], "17");
    }
}
