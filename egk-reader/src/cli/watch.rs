//! `watch`: one line of JSON for each card inserted or removed, and each reader that comes or goes.
//!
//! Readers are asked about their cards several times a second, which costs the cards no command. A card that was swapped
//! between two questions is noticed by the reader's count of insertions.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::thread;
use std::time::Duration;

use card::catalogue::by_atr;
use card::identify::{CardKind, identify};
use card::transport::{CardPresence, ReaderState, Readers, Transport, TransportError};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::failure::Failure;
use crate::arguments::Watch;

const PAUSE: Duration = Duration::from_millis(200);

/// Runs until it has printed enough, or nobody reads any more.
pub(crate) fn run(options: &Watch) -> Result<(), Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&options.reader));
    let mut left = options.count.map(u64::from);
    let mut seen = BTreeMap::new();
    let mut states = readers.list()?;
    loop {
        for change in changes(&mut seen, states) {
            if left == Some(0) {
                return Ok(());
            }
            let line = line(&change, &mut readers, options);
            let out = &mut io::stdout().lock();
            writeln!(out, "{line}")?;
            out.flush()?;
            left = left.map(|left| left - 1);
        }
        if left == Some(0) {
            return Ok(());
        }
        thread::sleep(PAUSE);
        states = readers.list().unwrap_or_else(|error| {
            tracing::info!(%error, "no readers");
            Vec::new()
        });
    }
}

/// What happened to a reader.
#[derive(Debug, PartialEq, Eq)]
struct Change {
    event: &'static str,
    reader: String,
}

/// A reader as it was seen last: whether it held a card, and its count of insertions.
type Seen = BTreeMap<String, (bool, u32)>;

/// Compares readers with how they were, and remembers how they are.
fn changes(seen: &mut Seen, states: Vec<ReaderState>) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut tell = |event, reader: &str| changes.push(Change { event, reader: reader.to_owned() });
    seen.retain(|reader, (present, _)| {
        let stays = states.iter().any(|state| state.name == *reader);
        if !stays && *present {
            tell("removed", reader);
        }
        if !stays {
            tell("reader-removed", reader);
        }
        stays
    });
    for state in states {
        let present = state.card == CardPresence::Present;
        let before = seen.insert(state.name.clone(), (present, state.insertions));
        if before.is_none() {
            tell("reader-added", &state.name);
        }
        let (was_present, count) = before.unwrap_or((false, state.insertions));
        let swapped = was_present && present && count != state.insertions;
        if was_present && (!present || swapped) {
            tell("removed", &state.name);
        }
        if present && (!was_present || swapped) {
            tell("inserted", &state.name);
        }
    }
    changes
}

fn line(change: &Change, readers: &mut Readers, options: &Watch) -> Value {
    let time = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
    let mut line = json!({ "time": time, "event": change.event, "reader": change.reader });
    if change.event == "inserted"
        && let Some(fields) = line.as_object_mut()
    {
        let card =
            connect(readers, &change.reader, options).and_then(|card| describe(card, options.identify));
        match card {
            Ok((atr, card)) => fields.extend([("atr".to_owned(), atr), ("card".to_owned(), card)]),
            Err(error) => fields.extend([("error".to_owned(), error.to_string().into())]),
        }
    }
    line
}

fn connect(readers: &mut Readers, name: &str, options: &Watch) -> Result<Box<dyn Transport>, TransportError> {
    let card = readers.connect(name)?;
    Ok(match &options.record_card {
        Some(recording) => Box::new(recording.around(name, card)?),
        None => card,
    })
}

/// The ATR, and the card's name in the catalogue.
fn describe(mut card: Box<dyn Transport>, ask: bool) -> Result<(Value, Value), TransportError> {
    let atr: String = card.atr().iter().map(|byte| format!("{byte:02X}")).collect();
    let name = if ask {
        card.begin()?;
        let kind = identify(card.as_mut());
        card.end()?;
        match kind? {
            CardKind::Hpc(profile) => Some(profile.name.as_str()),
            CardKind::Egk => Some("egk"),
            CardKind::Foreign => by_atr(&atr).map(|card| card.id.as_str()),
        }
    } else {
        by_atr(&atr).map(|card| card.id.as_str())
    };
    Ok((atr.into(), name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(name: &str, card: CardPresence, insertions: u32) -> ReaderState {
        ReaderState { name: name.to_owned(), card, insertions }
    }

    fn told(seen: &mut Seen, states: &[ReaderState]) -> Vec<String> {
        let changes = changes(seen, states.to_vec());
        changes.into_iter().map(|change| format!("{} {}", change.event, change.reader)).collect()
    }

    #[test]
    fn cards_and_readers_that_come_and_go_are_told_once() {
        use CardPresence::{Absent, Present};
        let mut seen = Seen::new();
        assert_eq!(told(&mut seen, &[state("A", Absent, 0)]), ["reader-added A"]);
        assert_eq!(told(&mut seen, &[state("A", Present, 1)]), ["inserted A"]);
        assert!(told(&mut seen, &[state("A", Present, 1)]).is_empty());
        assert_eq!(told(&mut seen, &[state("A", Absent, 2)]), ["removed A"]);
        let both = [state("A", Present, 3), state("B", Present, 1)];
        assert_eq!(told(&mut seen, &both), ["inserted A", "reader-added B", "inserted B"]);
        assert_eq!(told(&mut seen, &[state("B", Present, 1)]), ["removed A", "reader-removed A"]);
    }

    #[test]
    fn a_card_swapped_between_two_looks_is_told_as_two_events() {
        let mut seen = Seen::new();
        told(&mut seen, &[state("A", CardPresence::Present, 1)]);
        let swapped = told(&mut seen, &[state("A", CardPresence::Present, 3)]);
        assert_eq!(swapped, ["removed A", "inserted A"]);
    }
}
