//! A card that answers whatever it likes.

use std::collections::VecDeque;

use card::apdu::{Command, Response};
use card::hpc::Hpc;
use card::pin::Pin;
use card::profile::{Application, PinProfile, SignatureScheme};
use card::tlv::{Tlv, total_len};
use card::transport::{Transport, TransportError};

use crate::parts;

/// A PIN of most cards.
pub(crate) const DIGITS: &[u8] = b"123456";

/// A card that signs: start-up, logins, signatures with every key. The first part is the ATR.
pub(crate) fn physician(input: &[u8]) {
    let Ok(mut hpc) = Hpc::open(Box::new(Answers::from(input))) else { return };
    let applications = &hpc.profile().applications;
    for known in applications {
        // What a card answers is for the driver to judge; here it must only survive.
        let _ = hpc.verify_pin(known.application, &pin(&known.pin, known.application));
        let _ = hpc.signatures_per_pin(known.application);
    }
    for key in hpc.keys().to_vec() {
        for scheme in [SignatureScheme::Ecdsa, SignatureScheme::RsaPkcs1, SignatureScheme::RsaPssSha256] {
            for length in [32, 48] {
                if let Ok(signature) = hpc.sign(key.profile.id, scheme, &vec![0x5A; length]) {
                    assert_eq!(signature.len(), key.profile.kind.signature_len());
                }
            }
        }
    }
}

/// The PIN of a new simulated card.
pub(crate) fn pin(profile: &PinProfile, application: Application) -> Pin {
    let text: &[u8] = match (profile.letters, profile.max, application) {
        (true, _, _) => b"ABC123",
        (_, 4, _) => b"1234",
        (_, _, Application::Esign) => DIGITS,
        (_, _, Application::Qes) => b"234567",
    };
    profile.parse(text, profile.min, profile.max).expect("a PIN of such cards")
}

/// An insurance card: its files, and what is made of them.
pub(crate) fn patient(input: &[u8]) {
    let mut card = Answers::from(input);
    if let Ok(record) = egk_reader::read(&mut card) {
        let _ = egk_reader::fhir::patient(&record.personal, "1", Default::default());
    }
    let _ = egk_reader::read_generation(&mut card);
    let _ = egk_reader::read_receipt(&mut card);
}

/// BER-TLV objects, an answer, and a certificate.
pub(crate) fn objects(input: &[u8]) {
    let mut rest = input;
    while let Ok((object, after)) = Tlv::split_first(rest) {
        assert!(after.len() < rest.len(), "an object without length");
        let _ = Tlv::find(object.value, object.tag);
        rest = after;
    }
    if let Some(total) = total_len(input) {
        assert!(total >= 2);
    }
    if let Ok(response) = Response::parse(input) {
        assert_eq!(response.data.len() + 2, input.len());
    }
    let _ = cades::Algorithm::for_certificate(input);
}

/// Answers with one part of the input after another, then it is gone.
pub(crate) struct Answers {
    atr: Vec<u8>,
    answers: VecDeque<Vec<u8>>,
    resets: u8,
}

impl Answers {
    pub(crate) fn new(atr: Vec<u8>, answers: VecDeque<Vec<u8>>) -> Answers {
        Answers { atr, answers, resets: 0 }
    }
}

/// The first part is the ATR.
impl From<&[u8]> for Answers {
    fn from(input: &[u8]) -> Answers {
        let mut parts = parts(input).map(<[u8]>::to_vec);
        Answers::new(parts.next().unwrap_or_default(), parts.collect())
    }
}

/// Ends endless patience: after so many resets the card is gone.
const RESETS: u8 = 20;

impl Transport for Answers {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        command.encode()?;
        match self.answers.pop_front() {
            Some(answer) if answer.is_empty() => {
                self.resets += 1;
                Err(if self.resets > RESETS { TransportError::Removed } else { TransportError::Reset })
            }
            Some(answer) => Ok(Response::parse(&answer)?),
            None => Err(TransportError::Removed),
        }
    }

    fn begin(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn end(&mut self) -> Result<(), TransportError> {
        Ok(())
    }

    fn reconnect(&mut self) -> Result<(), TransportError> {
        Ok(())
    }
}
