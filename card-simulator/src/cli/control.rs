//! Orders to a running simulator: cards are inserted, removed and reset, and told to fail.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use card_simulator::server::{Fault, Slot};
use clap::Args;

/// Tell a running simulator to insert, remove or reset a card, or to let it fail.
///
/// ORDER is one of: eject CARD, insert CARD, reset CARD, fault CARD KIND (at its next command), commands CARD, cards. A card
/// is named by the directory of its image, or by the last part of that.
#[derive(Debug, Args)]
pub(crate) struct Tell {
    /// The socket that run --control made.
    socket: PathBuf,
    /// What to do.
    #[arg(required = true, value_name = "ORDER")]
    order: Vec<String>,
}

/// Sends the order and prints the answer; a refusal is an error.
pub(crate) fn tell(arguments: &Tell) -> anyhow::Result<()> {
    let at = || arguments.socket.display().to_string();
    let mut stream = UnixStream::connect(&arguments.socket).with_context(at)?;
    stream.write_all(format!("{}\n", arguments.order.join("\t")).as_bytes()).with_context(at)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).with_context(at)?;
    match answer.trim_end().split_once(' ').unwrap_or((answer.trim_end(), "")) {
        ("ok", "") => Ok(()),
        ("ok", told) => Ok(super::tell(&format!("{}\n", told.replace('\t', "\n")))?),
        (_, reason) => anyhow::bail!("{}", if reason.is_empty() { "no answer" } else { reason }),
    }
}

/// A reader that orders can name.
pub(crate) struct Controlled {
    pub(crate) directory: PathBuf,
    pub(crate) slot: Slot,
    /// Opens the image again, as the program was told to.
    pub(crate) insert: Insert,
}

/// Puts a card into a reader.
pub(crate) type Insert = Box<dyn Fn(&Slot) -> anyhow::Result<()> + Send + Sync>;

/// Listens for orders until the program ends. A socket that a killed run left behind is replaced.
pub(crate) fn listen(path: &PathBuf, cards: Vec<Controlled>) -> anyhow::Result<()> {
    let at = || path.display().to_string();
    if UnixStream::connect(path).is_ok() {
        anyhow::bail!("{}: another simulator listens there", path.display());
    }
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_socket(path) => {
            std::fs::remove_file(path).with_context(at)?;
            UnixListener::bind(path)
        }
        listener => listener,
    }
    .with_context(at)?;
    let cards = Arc::new(cards);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let cards = cards.clone();
            // Who asks may keep the connection; others must not wait for it.
            std::thread::spawn(move || serve(stream, &cards));
        }
    });
    Ok(())
}

fn is_socket(path: &PathBuf) -> bool {
    use std::os::unix::fs::FileTypeExt;
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

/// A line for each order, a line for each answer. An order that cannot be read ends the connection.
fn serve(stream: UnixStream, cards: &[Controlled]) {
    let Ok(mut answers) = stream.try_clone() else { return };
    for order in BufReader::new(stream).lines().map_while(Result::ok) {
        let answer = match obey(&order, cards) {
            Ok(told) if told.is_empty() => "ok\n".to_owned(),
            Ok(told) => format!("ok {told}\n"),
            Err(error) => format!("error {}\n", error.to_string().replace('\n', " ")),
        };
        if answers.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn obey(order: &str, cards: &[Controlled]) -> anyhow::Result<String> {
    let words: Vec<&str> = order.split(['\t', ' ']).filter(|word| !word.is_empty()).collect();
    match words.as_slice() {
        ["cards"] => {
            let card = |card: &Controlled| {
                let state = if card.slot.has_card() { "inserted" } else { "removed" };
                format!("{} {state}", card.directory.display())
            };
            return Ok(cards.iter().map(card).collect::<Vec<_>>().join("\t"));
        }
        ["eject", name] => drop(find(cards, name)?.slot.eject()),
        ["insert", name] => {
            let card = find(cards, name)?;
            if card.slot.has_card() {
                anyhow::bail!("{name} is inserted");
            }
            (card.insert)(&card.slot)?;
        }
        ["reset", name] => find(cards, name)?.slot.reset(),
        ["fault", name, fault] => {
            let fault: Fault = fault.parse()?;
            let slot = &find(cards, name)?.slot;
            slot.fault_at(slot.commands() + 1, fault);
        }
        ["commands", name] => return Ok(find(cards, name)?.slot.commands().to_string()),
        _ => anyhow::bail!("no order: expected eject, insert, reset, fault, commands or cards"),
    }
    Ok(String::new())
}

fn find<'c>(cards: &'c [Controlled], name: &str) -> anyhow::Result<&'c Controlled> {
    let is_meant = |card: &&Controlled| {
        card.directory.as_os_str() == name || card.directory.file_name().is_some_and(|last| last == name)
    };
    let mut meant = cards.iter().filter(is_meant);
    match (meant.next(), meant.next()) {
        (Some(card), None) => Ok(card),
        (None, _) => anyhow::bail!("there is no card {name}"),
        (Some(_), Some(_)) => anyhow::bail!("there are several cards {name}: name the whole directory"),
    }
}
