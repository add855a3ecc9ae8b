//! What fuzzing starts from: the answers of simulated cards, good insurance data, one signature's shape.

use std::io;
use std::sync::{Arc, Mutex};

use cades::SigningRequest;
use card::apdu::{Command, Response};
use card::hpc::{CardKey, Hpc};
use card::pin::Pin;
use card::profile::{Application, KeyKind, SignatureScheme};
use card::transport::{Transport, TransportError};
use card_simulator::{Card, CardImage, NewCard, Patient, ProfileName, RsaKeyPool};
use time::OffsetDateTime;

use crate::insurance::{COVERAGE, PERSONAL, STATUS, packed};

/// A target, a name, an input.
pub type Seed = (&'static str, String, Vec<u8>);

/// Inputs that get deep into every target.
///
/// # Errors
/// No card could be made.
pub fn seeds() -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for profile in [ProfileName::HpcP384, ProfileName::HbaG21, ProfileName::EgkG21] {
        let name = profile.to_string();
        let (answers, commands) = conversation(profile, &mut seeds)?;
        let target = if profile == ProfileName::EgkG21 { "egk_answers" } else { "card_answers" };
        for answer in answers.iter().filter(|answer| answer.len() > 40) {
            seeds.push(("tlv", format!("{name}-{}", answer.len()), answer.clone()));
        }
        seeds.push((target, name.clone(), joined(&answers)));
        let choice = u8::from(profile != ProfileName::HpcP384);
        seeds.push(("simulator_apdu", name, [vec![choice], joined(&commands)].concat()));
    }
    for (place, document) in [(0, PERSONAL), (1, COVERAGE)] {
        seeds.push(("insurance_xml", format!("document-{place}"), [&[place], document].concat()));
    }
    let (pd, vd) = (packed(PERSONAL), packed(COVERAGE));
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let offsets = [8, length(&vd) + 7, u16::MAX, u16::MAX].map(u16::to_be_bytes).concat();
    let files =
        [STATUS.to_vec(), [&length(&pd).to_be_bytes()[..], &pd].concat(), [&offsets[..], &vd].concat()];
    seeds.push(("insurance_files", "good".to_owned(), joined(&files)));
    Ok(seeds)
}

/// A CMS signed with this key; `None` for a key that signs none.
fn signature(hpc: &mut Hpc, key: &CardKey) -> io::Result<Option<Vec<u8>>> {
    let Ok(unsigned) = cades::prepare(&SigningRequest {
        content: b"Rp. Beispielolol",
        certificate: &key.certificate,
        signing_time: OffsetDateTime::from_unix_timestamp(1_790_000_000).map_err(io::Error::other)?,
        mime_type: Some("text/plain"),
        content_hint: "a document",
        ocsp_response: None,
    }) else {
        return Ok(None);
    };
    let scheme = match key.profile.kind {
        KeyKind::Ec(_) => SignatureScheme::Ecdsa,
        KeyKind::Rsa { .. } => SignatureScheme::RsaPssSha256,
    };
    let Ok(signed) = hpc.sign(key.profile.id, scheme, unsigned.digest()) else { return Ok(None) };
    unsigned.finish(&signed).map(Some).map_err(io::Error::other)
}

/// Parts with their lengths.
fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let with_length = |part: &Vec<u8>| {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        [&length.to_be_bytes()[..], part].concat()
    };
    parts.iter().flat_map(with_length).collect()
}

/// What a card answers to the driver, after its ATR; and what it was asked.
fn conversation(profile: ProfileName, seeds: &mut Vec<Seed>) -> io::Result<Conversation> {
    let directory = tempfile::tempdir()?;
    let mut card = NewCard::new(profile).rsa_keys(RsaKeyPool::Shared);
    if profile == ProfileName::EgkG21 {
        let (personal, insurance) = (PERSONAL.to_vec(), COVERAGE.to_vec());
        card = card.patient(Patient { personal, insurance, protected: None });
    }
    card.create(directory.path()).map_err(io::Error::other)?;
    let card = Card::new(CardImage::open(directory.path()).map_err(io::Error::other)?);
    let log = Arc::new(Mutex::new((vec![card.atr().to_vec()], Vec::new())));
    let recorder = Recorder { atr: card.atr().to_vec(), card, log: log.clone() };
    if profile == ProfileName::EgkG21 {
        let _ = egk_reader::read(&mut { recorder });
    } else {
        let mut hpc = Hpc::open(Box::new(recorder)).map_err(io::Error::other)?;
        for (application, pin) in [(Application::Esign, "123456"), (Application::Qes, "234567")] {
            let pin = Pin::parse(pin.as_bytes(), 6, 8).map_err(io::Error::other)?;
            hpc.verify_pin(application, &pin).map_err(io::Error::other)?;
            hpc.signatures_per_pin(application).map_err(io::Error::other)?;
        }
        for key in hpc.keys().to_vec() {
            if let Some(cms) = signature(&mut hpc, &key)? {
                seeds.push(("cms", format!("{profile}-{}", key.profile.label), cms));
            }
        }
    }
    let log = log.lock().map_err(|_| io::Error::other("the recorder panicked"))?;
    Ok(log.clone())
}

/// Answers, and commands.
type Conversation = (Vec<Vec<u8>>, Vec<Vec<u8>>);
type Log = Arc<Mutex<Conversation>>;

struct Recorder {
    atr: Vec<u8>,
    card: Card,
    log: Log,
}

impl Transport for Recorder {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let sent = command.encode()?;
        let answer = self.card.transmit(&sent);
        if let Ok(mut log) = self.log.lock() {
            log.0.push(answer.clone());
            log.1.push(sent.to_vec());
        }
        Ok(Response::parse(&answer)?)
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
