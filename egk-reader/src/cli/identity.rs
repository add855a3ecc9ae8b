//! `identity`: who a card of a neighbour says its holder is.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use card::pin::Pin;
use card::transport::{Readers, Transport};
use egk_reader::identity::{self, Identity, IdentityCard, IdentityError, SignatureState, Wanted};
use serde_json::{Value, json};

use super::failure::Failure;
use super::select;
use crate::arguments::IdentityOptions;

/// Digits of the PIN of the Japanese card's text application.
const PIN_DIGITS: u8 = 4;
const PIN: &str = "the PIN of the text application";

/// Prints what the first card with identity data says.
pub(crate) fn run(options: &IdentityOptions) -> Result<(), Failure> {
    let mut readers = Readers::open(std::slice::from_ref(&options.source.reader));
    let (reader, mut card, kind) = first(&mut readers, options)?;
    let pin = pin(card.as_mut(), kind, options)?;
    let wanted = Wanted { pin: pin.as_ref(), individual_number: options.my_number, signatures: true };
    let identity = identity::read(card.as_mut(), kind, wanted)?;
    if let Some(file) = &options.photo {
        save(file, &identity::read_photo(card.as_mut(), kind)?)?;
    }
    let out = &mut io::stdout().lock();
    let value = serde_json::to_value(&identity).map_err(io::Error::from)?;
    if options.json {
        let answer = json!({ "reader": reader, "identity": value });
        serde_json::to_writer_pretty(&mut *out, &answer).map_err(io::Error::from)?;
        writeln!(out)?;
    } else {
        if matches!(identity, Identity::Vitale(_)) {
            writeln!(out, "Experimental: there is no public specification of this card.")?;
        }
        table(out, "", &value)?;
    }
    out.flush()?;
    if let Identity::Belgian(belgian) = &identity
        && let Some(register) = &belgian.register
    {
        for (what, state) in [("identity", register.identity), ("address", register.address)] {
            if state != SignatureState::Valid {
                writeln!(
                    io::stderr(),
                    "finding: the national register's signature of the {what} is {}",
                    said(state)
                )?;
            }
        }
    }
    Ok(())
}

fn said(state: SignatureState) -> &'static str {
    match state {
        SignatureState::Valid => "valid",
        SignatureState::Invalid => "invalid: the data were changed, or belong to another card",
        SignatureState::Missing => "missing",
    }
}

type Found = (String, Box<dyn Transport>, IdentityCard);

fn first(readers: &mut Readers, options: &IdentityOptions) -> Result<Found, Failure> {
    let (names, mut failure) = select::with_cards(readers)?;
    for reader in names {
        let looked = select::connect(readers, &reader, &options.source)
            .and_then(|mut card| Ok((identity::recognise(card.as_mut())?, card)));
        match looked {
            Ok((Some(kind), card)) => return Ok((reader, card, kind)),
            Ok((None, _)) => failure = IdentityError::UnknownCard.into(),
            Err(error) => {
                tracing::info!(reader, %error, "the card cannot be looked at");
                failure = error.into();
            }
        }
    }
    Err(failure)
}

/// The PIN, if the card wants one: from file or variable, or asked for with the tries that are left. The last try is used only on
/// request.
fn pin(
    card: &mut dyn Transport,
    kind: IdentityCard,
    options: &IdentityOptions,
) -> Result<Option<Pin>, Failure> {
    let Some(tries) = identity::pin_tries(card, kind)? else { return Ok(None) };
    match tries {
        0 => return Err(IdentityError::PinBlocked.into()),
        1 if !options.last_try => return Err(Failure::LastTry { pin: PIN.to_owned() }),
        _ => {}
    }
    let question = format!("{PIN} ({PIN_DIGITS} digits, {tries} tries left)");
    let text = options.secrets.open()?.next(&question)?;
    Ok(Some(Pin::parse(text.as_bytes(), PIN_DIGITS, PIN_DIGITS)?))
}

/// A portrait is for its owner's eyes.
fn save(path: &Path, photo: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(photo)
}

/// A line for each value; names of fields with blanks.
fn table(out: &mut dyn Write, name: &str, value: &Value) -> io::Result<()> {
    match value {
        Value::Null => Ok(()),
        Value::Object(fields) => {
            for (field, value) in fields {
                let field = field.replace('_', " ");
                let name = if name.is_empty() { field } else { format!("{name}, {field}") };
                table(out, &name, value)?;
            }
            Ok(())
        }
        Value::Array(values) => {
            for (number, value) in (1..).zip(values) {
                table(out, &format!("{name} {number}"), value)?;
            }
            Ok(())
        }
        Value::String(text) => writeln!(out, "{name:<24} {text}"),
        other => writeln!(out, "{name:<24} {other}"),
    }
}
