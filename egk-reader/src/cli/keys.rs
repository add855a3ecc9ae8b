//! The cards and PINs that open protected files: found, asked for, handed to the library.

use std::cell::RefCell;
use std::io::{self, Write};

use card::identify::CardKind;
use card::pace::Can;
use card::pin::Pin;
use card::transport::{ReaderSpec, Readers, Transport, TransportError};
use egk_reader::access::{self, AccessError, Asked, Entered, Keys, Professional};
use pin_entry::Secrets;

use super::failure::Failure;
use super::select;
use crate::arguments::{Source, Unlock};

/// Who is there to open something.
pub(crate) struct Present<'a> {
    pub(crate) patient: bool,
    pub(crate) representative: bool,
    /// Where the professional's card is.
    pub(crate) hpc: Option<&'a ReaderSpec>,
}

/// Does something with the insurance card and what opens it.
pub(crate) fn with<T>(
    source: &Source,
    unlock: &Unlock,
    present: &Present<'_>,
    work: impl FnOnce(&mut dyn Transport, Keys<'_>) -> Result<T, AccessError>,
) -> Result<T, Failure> {
    let mut egk = insurance_card(source)?;
    let mut hpc = match present.hpc {
        Some(reader) => Some(professional_card(source, reader, unlock.hpc_can.clone())?),
        None => None,
    };
    let secrets = RefCell::new(unlock.secrets.open()?);
    let trouble = RefCell::new(None);
    let ask = |whose: &'static str, asked: &Asked<'_>| {
        if asked.pad && !unlock.secrets.is_given() {
            // A closed standard error leaves nobody to tell.
            let _ = writeln!(io::stderr(), "Please enter {} ({whose}) on the reader's pad.", asked.pin.name);
            return Some(Entered::OnPad);
        }
        let typed =
            typed(&mut secrets.borrow_mut(), &format!("{} ({whose})", asked.pin.name), asked.pin.digits());
        typed.map(Entered::Typed).map_err(|failure| *trouble.borrow_mut() = Some(failure)).ok()
    };
    let mut ask_professional = |asked: &Asked<'_>| ask("the professional's card", asked);
    let mut ask_patient = |asked: &Asked<'_>| ask("the insurance card", asked);
    let keys = Keys {
        patient: if present.patient { Some(&mut ask_patient) } else { None },
        representative: present.representative,
        professional: hpc
            .as_mut()
            .map(|card| Professional { card: card.as_mut(), ask: &mut ask_professional }),
        reason: unlock.reason.clone(),
        last_try: unlock.last_try,
    };
    work(egk.as_mut(), keys).map_err(|error| trouble.take().unwrap_or(Failure::Access(error)))
}

/// The first insurance card.
pub(crate) fn insurance_card(source: &Source) -> Result<Box<dyn Transport>, Failure> {
    let is_egk = |card: &mut dyn Transport| Ok(access::kind(card)? == CardKind::Egk);
    first(source, is_egk)?.ok_or(Failure::Access(AccessError::NotAnEgk))
}

/// A PIN of so many digits. Nothing that the card cannot take leaves this function.
pub(crate) fn typed(secrets: &mut Secrets, what: &str, (min, max): (u8, u8)) -> Result<Pin, Failure> {
    Ok(Pin::parse(secrets.next(what)?.as_bytes(), min, max)?)
}

/// A new PIN, typed twice.
pub(crate) fn typed_new(secrets: &mut Secrets, what: &str, (min, max): (u8, u8)) -> Result<Pin, Failure> {
    Ok(Pin::parse(secrets.next_new(what)?.as_bytes(), min, max)?)
}

fn professional_card(
    source: &Source,
    reader: &ReaderSpec,
    can: Option<Can>,
) -> Result<Box<dyn Transport>, Failure> {
    let source = Source {
        reader: reader.clone(),
        can,
        progress: source.progress,
        record_card: source.record_card.clone(),
    };
    let found = first(&source, access::is_professional).unwrap_or_default();
    found.ok_or(Failure::Access(AccessError::NotAProfessional))
}

/// The first card of a kind.
fn first(
    source: &Source,
    mut wanted: impl FnMut(&mut dyn Transport) -> Result<bool, TransportError>,
) -> Result<Option<Box<dyn Transport>>, Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&source.reader));
    let (names, mut failure) = select::with_cards(&mut readers)?;
    let mut looked_at = false;
    for name in names {
        let card = select::connect(&mut readers, &name, source).and_then(|mut card| {
            let is_wanted = wanted(card.as_mut())?;
            Ok((is_wanted, card))
        });
        match card {
            Ok((true, card)) => return Ok(Some(card)),
            Ok(_) => looked_at = true,
            Err(error) => {
                tracing::info!(reader = name, %error, "the card cannot be looked at");
                failure = error.into();
            }
        }
    }
    if looked_at { Ok(None) } else { Err(failure) }
}
