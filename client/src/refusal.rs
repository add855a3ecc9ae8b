//! A refusal of the service: a gRPC status whose details name the reason.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What the service says when it does not do what it was asked for. `docs/api.md` lists the reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub code: Code,
    /// A name such as `PIN_WRONG`.
    pub reason: String,
    /// One sentence for people.
    pub message: String,
    /// What programs can act on, such as `tries`.
    pub metadata: BTreeMap<String, String>,
    /// To find the call in logs and audit records; none for a document of a batch.
    pub request_id: Option<String>,
}

impl Refusal {
    /// The refusal that a status stands for; none if it is not of the service's making.
    pub fn of(status: &Status) -> Option<Refusal> {
        let info = status.get_details_error_info().filter(|info| info.domain == proto::ERROR_DOMAIN)?;
        let request_id = status.metadata().get(proto::REQUEST_ID).and_then(|id| id.to_str().ok());
        Some(Refusal {
            code: status.code(),
            reason: info.reason,
            message: status.message().to_owned(),
            metadata: sorted(info.metadata),
            request_id: request_id.map(str::to_owned),
        })
    }
}

impl From<v1::BatchRefusal> for Refusal {
    fn from(refusal: v1::BatchRefusal) -> Refusal {
        Refusal {
            code: Code::from_i32(refusal.code),
            reason: refusal.reason,
            message: refusal.message,
            metadata: sorted(refusal.metadata),
            request_id: None,
        }
    }
}

fn sorted(metadata: HashMap<String, String>) -> BTreeMap<String, String> {
    metadata.into_iter().collect()
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)?;
        let mut mark = " (";
        for (name, value) in &self.metadata {
            write!(f, "{mark}{name}: {value}")?;
            mark = ", ";
        }
        f.write_str(if self.metadata.is_empty() { "" } else { ")" })
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    fn status(domain: &str) -> Status {
        let metadata = HashMap::from([("field".to_owned(), "Patient.birthDate".to_owned())]);
        let details = ErrorDetails::with_error_info("INSURANCE_MISMATCH", domain, metadata);
        let mut status = Status::with_error_details(Code::FailedPrecondition, "a sentence", details);
        status.metadata_mut().insert(proto::REQUEST_ID, "r-1".parse().unwrap());
        status
    }

    #[test]
    fn a_refusal_is_shown_with_reason_and_details() {
        let refusal = Refusal::of(&status(proto::ERROR_DOMAIN)).unwrap();
        assert_eq!(refusal.to_string(), "INSURANCE_MISMATCH: a sentence (field: Patient.birthDate)");
        assert_eq!((refusal.code, refusal.request_id.as_deref()), (Code::FailedPrecondition, Some("r-1")));
    }

    #[test]
    fn somebody_elses_error_is_no_refusal() {
        assert_eq!(Refusal::of(&status("example.org")), None);
        assert_eq!(Refusal::of(&Status::unknown("x")), None);
    }
}
