//! `card-simulator show`.

use std::fmt::Write;
use std::path::PathBuf;

use card_simulator::{CardImage, Summary};
use clap::Args;

/// Show what is in a card image: PIN states, counters, keys, files.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Directory of the image.
    directory: PathBuf,
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

/// Prints the image's contents; nothing secret.
pub(crate) fn run(arguments: &Show) -> anyhow::Result<()> {
    let summary = CardImage::open(&arguments.directory)?.summary();
    let text =
        if arguments.json { serde_json::to_string_pretty(&summary)? + "\n" } else { described(&summary)? };
    Ok(super::tell(&text)?)
}

fn described(card: &Summary) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{} ({}), serial number {}, ATR {}", card.title, card.profile, card.iccsn, card.atr)?;
    writeln!(out, "\npasswords")?;
    for password in &card.passwords {
        let enabled = if password.enabled { "" } else { ", disabled" };
        writeln!(
            out,
            "  {}  {:<36} {}{enabled}, {} tries left, {} uses of the PUK left",
            password.reference, password.path, password.state, password.tries, password.puk_uses
        )?;
    }
    writeln!(out, "\nprivate keys")?;
    for key in &card.keys {
        let made = if key.present { format!("{} signatures", key.signatures) } else { "no value".to_owned() };
        writeln!(out, "  {}  {:<36} {}, {made}", key.reference, key.path, key.kind)?;
    }
    writeln!(out, "\nfiles")?;
    for (path, length) in &card.files {
        writeln!(out, "  {path:<40} {length} bytes")?;
    }
    Ok(out)
}
