//! Recorded conversations with simulated cards: what the driver and the reader asked, and what came.

use std::io;
use std::sync::{Arc, Mutex};

use card::apdu::{Command, Response};
use card::hpc::Hpc;
use card::pin::Pin;
use card::transport::{Transport, TransportError};
use card_simulator::{Card, CardImage, NewCard, ProfileName, RsaKeyPool};
use egk_reader::identity::{self, IdentityCard, Wanted};
use tempfile::TempDir;

use crate::answers::{DIGITS, pin};
use crate::medical;

/// What was said, in its order.
#[derive(Clone, Default)]
pub(crate) struct Conversation {
    pub(crate) atr: Vec<u8>,
    pub(crate) commands: Vec<Vec<u8>>,
    pub(crate) answers: Vec<Vec<u8>>,
}

impl Conversation {
    /// ATR and answers.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        [std::slice::from_ref(&self.atr), &self.answers].concat()
    }
}

/// A simulated card, and what it is asked.
pub(crate) struct Talk {
    card: Recorder,
    _directory: TempDir,
}

impl Talk {
    /// With a new card.
    pub(crate) fn with(card: NewCard) -> io::Result<Talk> {
        let directory = tempfile::tempdir()?;
        card.rsa_keys(RsaKeyPool::Shared).create(directory.path()).map_err(io::Error::other)?;
        let card = Card::new(CardImage::open(directory.path()).map_err(io::Error::other)?);
        let said = Conversation { atr: card.atr().to_vec(), ..Conversation::default() };
        let card = Recorder { atr: said.atr.clone(), card, said: Arc::new(Mutex::new(said)) };
        Ok(Talk { card, _directory: directory })
    }

    /// As a card that signs: start-up and logins. `use_it` goes on.
    pub(crate) fn signing(self, use_it: impl FnOnce(&mut Hpc) -> io::Result<()>) -> io::Result<Conversation> {
        let said = self.card.said.clone();
        let mut hpc = Hpc::open(Box::new(self.card)).map_err(io::Error::other)?;
        for known in &hpc.profile().applications {
            if hpc.verify_pin(known.application, &pin(&known.pin, known.application)).is_err() {
                // One PIN for both applications.
                let digits = Pin::parse(DIGITS, 6, 8).map_err(io::Error::other)?;
                hpc.verify_pin(known.application, &digits).map_err(io::Error::other)?;
            }
            let _ = hpc.signatures_per_pin(known.application);
        }
        use_it(&mut hpc)?;
        drop(hpc);
        taken(&said)
    }

    /// As an insurance card: everything that everybody may read.
    pub(crate) fn insured(mut self) -> io::Result<Conversation> {
        egk_reader::read(&mut self.card).map_err(io::Error::other)?;
        egk_reader::read_generation(&mut self.card).map_err(io::Error::other)?;
        let _ = egk_reader::read_receipt(&mut self.card);
        taken(&self.card.said)
    }

    /// As a card that says who its holder is.
    pub(crate) fn identity(mut self, kind: IdentityCard) -> io::Result<Conversation> {
        let pin = Pin::parse(b"1234", 4, 4).map_err(io::Error::other)?;
        identity::pin_tries(&mut self.card, kind).map_err(io::Error::other)?;
        let wanted = Wanted { pin: Some(&pin), individual_number: true, signatures: true };
        identity::read(&mut self.card, kind, wanted).map_err(io::Error::other)?;
        let _ = identity::read_photo(&mut self.card, kind);
        taken(&self.card.said)
    }

    /// What anybody is asked who may be any card.
    pub(crate) fn survey(mut self) -> io::Result<Conversation> {
        card::survey::survey(&mut self.card).map_err(io::Error::other)?;
        taken(&self.card.said)
    }
}

/// A patient's and a physician's card of one authority while a file is read with both persons' PINs: parts of an input, the
/// first byte of each telling whose answer it is.
pub(crate) fn ward(patient: NewCard, file: u8, present: u8) -> io::Result<Vec<Vec<u8>>> {
    let authority = tempfile::tempdir()?;
    let of_one = |card: NewCard| Talk::with(card.authority(authority.path()));
    let (mut egk, mut hpc) = (of_one(patient)?, of_one(NewCard::new(ProfileName::HbaG21))?);
    medical::read(file, present, &mut egk.card, &mut hpc.card, 0);
    let mut heard = Vec::new();
    for (whose, talk) in [(0, egk), (1, hpc)] {
        let answers = taken(&talk.card.said)?.answers;
        heard.extend(answers.into_iter().map(|answer| [vec![whose], answer].concat()));
    }
    Ok(heard)
}

fn taken(said: &Mutex<Conversation>) -> io::Result<Conversation> {
    Ok(said.lock().map_err(|_| io::Error::other("the recorder panicked"))?.clone())
}

struct Recorder {
    atr: Vec<u8>,
    card: Card,
    said: Arc<Mutex<Conversation>>,
}

impl Transport for Recorder {
    fn atr(&self) -> &[u8] {
        &self.atr
    }

    fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
        let sent = command.encode()?;
        let answer = self.card.transmit(&sent);
        if let Ok(mut said) = self.said.lock() {
            said.commands.push(sent.to_vec());
            said.answers.push(answer.clone());
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
