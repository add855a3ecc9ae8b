//! A card whose answers can be spoilt, and what must hold afterwards.

use std::fmt::Debug;

use bp256::BrainpoolP256r1;
use card_simulator::server::Fault;
use card_simulator::{Interface, NewCard, ProfileName};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use ecdsa::{EcdsaCurve, Signature, VerifyingKey};
use p384::NistP384;
use signature::hazmat::PrehashVerifier;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::bench::{Bench, PIN_CH, PIN_QES, WRONG_PIN, key as handle, login};

/// Tries of both PINs of a new card.
const TRIES: u8 = 3;

/// What a user does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    StartUp,
    Login,
    WrongLogin,
    FirstSignature,
    FurtherSignature,
    ChangePin,
    WrongChange,
}

/// A signature key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) label: &'static str,
    qes: bool,
}

/// How an operation with a fault ended.
pub(crate) struct Outcome {
    /// `None` is CKR_OK.
    pub(crate) result: Option<RvError>,
    /// What went over the line.
    pub(crate) trace: Vec<String>,
    tries: Option<u8>,
}

/// A card in a reader, and the module that uses it.
pub(crate) struct Desk {
    bench: Bench,
    /// The certificates as they are on the card: label and DER.
    certificates: Vec<(String, Vec<u8>)>,
}

impl Operation {
    /// Whether the user enters a wrong PIN.
    fn is_wrong(self) -> bool {
        matches!(self, Operation::WrongLogin | Operation::WrongChange)
    }

    /// How many PINs the user enters.
    fn pins(self) -> usize {
        match self {
            Operation::StartUp | Operation::FirstSignature | Operation::FurtherSignature => 0,
            Operation::Login | Operation::WrongLogin | Operation::ChangePin | Operation::WrongChange => 1,
        }
    }
}

impl Key {
    pub(crate) const fn esign(label: &'static str) -> Key {
        Key { label, qes: false }
    }

    pub(crate) const fn qes(label: &'static str) -> Key {
        Key { label, qes: true }
    }

    fn pin(&self) -> &'static str {
        if self.qes { PIN_QES } else { PIN_CH }
    }

    fn pin_object(&self) -> &'static str {
        if self.qes { "PIN.QES" } else { "PIN.CH" }
    }
}

impl Desk {
    pub(crate) fn with(profile: ProfileName, interface: Interface) -> Desk {
        let settings = "qes_batch = true\ncard_timeout = 2\n";
        // In a reader with contacts there is no access number.
        let can = if interface == Interface::Contactless { "can = \"123123\"\n" } else { "" };
        let bench = Bench::over(interface, Some(NewCard::new(profile)), &format!("{settings}{can}"));
        let mut desk = Desk { bench, certificates: Vec::new() };
        desk.certificates = desk.look().unwrap();
        assert_eq!(desk.certificates.len(), 6);
        desk
    }

    /// How many commands the operation costs on a good day.
    pub(crate) fn commands_of(&self, operation: Operation, key: &Key) -> u64 {
        self.bench.reinsert();
        let session = self.prepare(operation, key);
        let (result, commands) = self.bench.cost(|| self.perform(operation, key, session.as_ref()));
        assert_eq!(failure(result).is_some(), operation.is_wrong());
        // The right PIN gives the tries back.
        self.works_after_reinsertion(key, "without a fault");
        commands
    }

    /// The operation with a fault at one of its commands.
    pub(crate) fn try_with(
        &self,
        operation: Operation,
        key: &Key,
        index: u64,
        fault: Fault,
        case: &str,
    ) -> Outcome {
        self.bench.reinsert();
        let session = self.prepare(operation, key);
        let reader = &self.bench.reader;
        reader.take_trace();
        let before = reader.commands();
        reader.fault_at(before + index, fault);
        let result = failure(self.perform(operation, key, session.as_ref()));
        assert!(reader.commands() + 1 >= before + index, "{case}: too few commands");
        // A pulled card is looked at outside the reader.
        if !reader.has_card() {
            self.bench.reinsert();
        }
        let summary = reader.inspect(|card| card.image().summary());
        let password = summary.and_then(|summary| {
            summary.passwords.into_iter().find(|password| password.path.ends_with(key.pin_object()))
        });
        Outcome { result, trace: reader.take_trace(), tries: password.map(|password| password.tries) }
    }

    /// Login and signature of the card that was taken out and put back.
    pub(crate) fn works_after_reinsertion(&self, key: &Key, case: &str) {
        self.bench.reinsert();
        let session = self.session(key);
        login(&session, UserType::User, key.pin()).unwrap_or_else(|error| panic!("{case}, login: {error}"));
        self.sign(key, &session).unwrap_or_else(|error| panic!("{case}, signature: {error}"));
        assert_eq!(self.look().unwrap(), self.certificates, "{case}");
    }

    fn prepare(&self, operation: Operation, key: &Key) -> Option<Session> {
        if operation == Operation::StartUp {
            return None;
        }
        let session = match operation {
            Operation::ChangePin | Operation::WrongChange => {
                self.bench.module.open_rw_session(self.slot(key)).unwrap()
            }
            _ => self.session(key),
        };
        // Searching reads what there is to read.
        session.find_objects(&[]).unwrap();
        if matches!(operation, Operation::FirstSignature | Operation::FurtherSignature) {
            login(&session, UserType::User, key.pin()).unwrap();
        }
        if operation == Operation::FurtherSignature {
            self.sign(key, &session).unwrap();
        }
        Some(session)
    }

    fn perform(&self, operation: Operation, key: &Key, session: Option<&Session>) -> Result<(), Error> {
        match (operation, session) {
            (Operation::StartUp, _) => {
                assert_eq!(self.look()?, self.certificates, "another card than there is");
                Ok(())
            }
            (Operation::Login, Some(session)) => login(session, UserType::User, key.pin()),
            (Operation::WrongLogin, Some(session)) => login(session, UserType::User, WRONG_PIN),
            // To the value it has: whether the change was made is not the question here.
            (Operation::ChangePin, Some(session)) => session.set_pin(&pin(key.pin()), &pin(key.pin())),
            (Operation::WrongChange, Some(session)) => session.set_pin(&pin(WRONG_PIN), &pin(key.pin())),
            (Operation::FirstSignature | Operation::FurtherSignature, Some(session)) => {
                self.sign(key, session)
            }
            (_, None) => unreachable!("only start-up comes without a session"),
        }
    }

    /// Reads all tokens; the labels and values of all certificates.
    fn look(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut certificates = Vec::new();
        for slot in [self.bench.esign(), self.bench.qes()] {
            self.bench.module.get_token_info(slot)?;
            let session = self.bench.module.open_ro_session(slot)?;
            for object in session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE)])? {
                let wanted = [AttributeType::Label, AttributeType::Value];
                match &session.get_attributes(object, &wanted)?[..] {
                    [Attribute::Label(label), Attribute::Value(value)] => {
                        certificates.push((String::from_utf8(label.clone()).unwrap(), value.clone()));
                    }
                    other => panic!("label and value, not {other:?}"),
                }
            }
        }
        Ok(certificates)
    }

    fn session(&self, key: &Key) -> Session {
        self.bench.session(self.slot(key))
    }

    fn slot(&self, key: &Key) -> Slot {
        if key.qes { self.bench.qes() } else { self.bench.esign() }
    }

    /// A signature; one that comes back must be the key's own.
    fn sign(&self, key: &Key, session: &Session) -> Result<(), Error> {
        let (_, certificate) = self.certificates.iter().find(|(label, _)| label == key.label).unwrap();
        let certificate = Certificate::from_der(certificate).unwrap();
        let info = certificate.tbs_certificate().subject_public_key_info();
        let point = info.subject_public_key.as_bytes().unwrap();
        let length = (point.len() - 1) / 2;
        let digest = vec![0xA5; length];
        let signature = session.sign(&Mechanism::Ecdsa, handle(session, key.label), &digest)?;
        let verified = match length {
            48 => verifies::<NistP384>(point, &digest, &signature),
            _ => verifies::<BrainpoolP256r1>(point, &digest, &signature),
        };
        assert!(verified, "the signature of another key, or none");
        Ok(())
    }
}

impl Outcome {
    /// At most one PIN was sent where the user entered one, none elsewhere; and it cost no more than the one try.
    pub(crate) fn check(&self, operation: Operation, case: &str) {
        let sent = self.trace.iter().filter(|line| sends_pin(line)).count();
        assert!(sent <= operation.pins(), "{case}: a PIN was sent {sent} times\n{:#?}", self.trace);
        let lost = u8::from(operation.is_wrong());
        assert!(self.tries >= Some(TRIES - lost), "{case}: {:?} tries left", self.tries);
    }
}

/// `number  command  answer`; VERIFY and CHANGE REFERENCE DATA are INS 20 and 24 with a class of the industry's.
fn sends_pin(line: &str) -> bool {
    let command = line.split_whitespace().nth(1).unwrap_or_default();
    command.starts_with('0') && matches!(command.get(2..4), Some("20" | "24"))
}

fn pin(digits: &str) -> AuthPin {
    AuthPin::new(digits.to_owned().into())
}

fn failure<T: Debug>(result: Result<T, Error>) -> Option<RvError> {
    match result {
        Ok(_) => None,
        Err(Error::Pkcs11(rv, _)) => Some(rv),
        Err(other) => panic!("a PKCS#11 error, not {other:?}"),
    }
}

fn verifies<C>(point: &[u8], digest: &[u8], signature: &[u8]) -> bool
where
    C: EcdsaCurve + elliptic_curve::CurveArithmetic,
    VerifyingKey<C>: PrehashVerifier<Signature<C>>,
    elliptic_curve::AffinePoint<C>:
        elliptic_curve::sec1::FromSec1Point<C> + elliptic_curve::sec1::ToSec1Point<C>,
    elliptic_curve::FieldBytesSize<C>: elliptic_curve::sec1::ModulusSize,
{
    let key = VerifyingKey::<C>::from_sec1_bytes(point).unwrap();
    Signature::<C>::from_slice(signature)
        .is_ok_and(|signature| key.verify_prehash(digest, &signature).is_ok())
}
