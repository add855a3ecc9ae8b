//! The support report: all that is needed to understand a problem, and nothing that says whose card it is.

use std::io::Write;

use card::hpc::{Hpc, OpenError};
use card::transport::CardPresence;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Common;
use crate::cards;
use crate::failure::Failure;
use crate::module::{Module, Token};
use crate::show;

/// How much of a card's number is shown: country and issuer, not the card.
const ISSUER_DIGITS: usize = 10;

#[derive(Serialize)]
struct Report {
    tool: &'static str,
    system: Value,
    configuration: Value,
    readers: Value,
    module: Value,
}

/// Prints what could be found out; what failed is part of the report, not a failure.
pub(crate) fn print(out: &mut dyn Write, common: &Common) -> Result<(), Failure> {
    let report = Report {
        tool: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")),
        system: json!({ "os": std::env::consts::OS, "machine": std::env::consts::ARCH, "name": system_name() }),
        configuration: or_failure(configuration()),
        readers: or_failure(readers()),
        module: or_failure(module(common)),
    };
    if !common.json {
        writeln!(out, "Support report. It holds no PIN, no name and no card's full number.")?;
    }
    Ok(show::pretty(out, &report)?)
}

fn or_failure(part: Result<Value, Failure>) -> Value {
    part.unwrap_or_else(|failure| json!({ "failed": failure.to_string() }))
}

/// What the distribution calls itself (os-release(5)).
fn system_name() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(name.trim_matches('"').to_owned())
}

fn configuration() -> Result<Value, Failure> {
    let configuration = hpc_pkcs11::configuration().map_err(Failure::Configuration)?;
    Ok(json!(configuration.to_string()))
}

fn readers() -> Result<Value, Failure> {
    let (mut readers, states) = cards::readers()?;
    let mut rows = Vec::new();
    for state in states {
        let card = match state.card {
            CardPresence::Absent => json!("none"),
            CardPresence::Present => match readers.connect(&state.name) {
                Err(error) => json!({ "failed": error.to_string() }),
                Ok(connection) => {
                    let (atr, pad) = (hex_of(connection.atr()), connection.pin_pad());
                    let pad = json!({ "verify": pad.verify, "modify": pad.modify });
                    json!({ "atr": atr, "pin_pad": pad, "content": content(Hpc::open(connection)) })
                }
            },
        };
        rows.push(json!({ "reader": state.name, "card": card }));
    }
    Ok(Value::Array(rows))
}

fn content(card: Result<Hpc, OpenError>) -> Value {
    match card {
        Err(OpenError::Foreign) => json!("not a known health professional card"),
        Err(error) => json!({ "failed": error.to_string() }),
        Ok(mut card) => {
            let asked = cards::ask_pins(&mut card);
            json!({
                "profile": card.profile().name,
                "issuer": card.iccsn().get(..ISSUER_DIGITS),
                "keys": show::key_rows(&card),
                "pins": show::pin_rows(&card),
                "pins_failed": asked.err().map(|error| error.to_string()),
                "commands": card.traffic().commands,
            })
        }
    }
}

fn module(common: &Common) -> Result<Value, Failure> {
    let module = Module::load(common)?;
    let info = module.functions.get_library_info()?;
    let tokens =
        module.tokens()?.iter().map(|token| describe(&module, token)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({
        "file": module.path,
        "name": info.library_description(),
        "version": info.library_version().to_string(),
        "cryptoki": info.cryptoki_version().to_string(),
        "tokens": tokens,
    }))
}

fn describe(module: &Module, token: &Token) -> Result<Value, Failure> {
    let Token { slot, reader, info } = token;
    let mechanisms = module.functions.get_mechanism_list(*slot)?;
    Ok(json!({
        "slot": slot.id(),
        "reader": reader,
        "label": info.label(),
        "model": info.model(),
        "login_required": info.login_required(),
        "pin_pad": info.protected_authentication_path(),
        "pin_count_low": info.user_pin_count_low(),
        "pin_final_try": info.user_pin_final_try(),
        "pin_locked": info.user_pin_locked(),
        "pin_to_be_changed": info.user_pin_to_be_changed(),
        "mechanisms": mechanisms.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}
