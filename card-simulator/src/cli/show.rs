//! `card-simulator show`.

#![allow(clippy::print_stdout, reason = "prints what is in the image")]

use std::path::PathBuf;

use card_simulator::CardImage;
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
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&summary)?);
        return Ok(());
    }
    println!("{} ({}), serial number {}, ATR {}", summary.title, summary.profile, summary.iccsn, summary.atr);
    println!("\npasswords");
    for password in &summary.passwords {
        let enabled = if password.enabled { "" } else { ", disabled" };
        println!(
            "  {}  {:<36} {}{enabled}, {} tries left, {} uses of the PUK left",
            password.reference, password.path, password.state, password.tries, password.puk_uses
        );
    }
    println!("\nprivate keys");
    for key in &summary.keys {
        let made = if key.present { format!("{} signatures", key.signatures) } else { "no value".to_owned() };
        println!("  {}  {:<36} {}, {made}", key.reference, key.path, key.kind);
    }
    println!("\nfiles");
    for (path, length) in &summary.files {
        println!("  {path:<40} {length} bytes");
    }
    Ok(())
}
