//! `card-simulator run`.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use card_simulator::server::{Address, Fault, FaultPlan, PinPad, Plug, Slot, Speed, Typed};
use card_simulator::{Card, CardImage, Interface};
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::control::Controlled;

/// Plug card images into readers until interrupted (SIGINT or SIGTERM).
///
/// Prints one line beginning with `ready` as soon as all sockets listen. Repeat --plug with the same image to
/// reach one card through several addresses.
#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// Image and address: socket:/path, socket:127.0.0.1:port (docs/card-socket.md) or vpcd:127.0.0.1:35963
    /// (pcscd's virtual reader).
    #[arg(long, value_name = "DIR=ADDRESS", required = true)]
    plug: Vec<PlugArgument>,
    /// Print each command and its answer; bodies of PIN commands are masked.
    #[arg(long)]
    trace: bool,
    /// Write the trace to this file instead.
    #[arg(long, value_name = "FILE")]
    trace_file: Option<PathBuf>,
    /// Pull each card before it answers its Nth command.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pull_after: Option<u64>,
    /// Let something go wrong at each card's Nth command, or at every Nth one; as often as wanted. KIND is pull, reset,
    /// mute, noise, truncate (the answer's second half is lost), shorten (of its data only), answer:<hexadecimal> or
    /// delay:<milliseconds>.
    #[arg(long, value_name = "N=KIND | N+=KIND")]
    fault: Vec<FaultPlan>,
    /// Take orders at this Unix socket: card-simulator tell SOCKET eject CARD.
    #[arg(long, value_name = "SOCKET")]
    control: Option<PathBuf>,
    /// Be as slow as plastic: bits per second on the line, milliseconds for each command and for each signature
    /// besides. What is left out takes no time.
    #[arg(long, value_name = "bits=N,command=MS,signature=MS", default_value = "bits=0")]
    speed: Speed,
    /// Be a reader with a PIN pad, on sockets only, where somebody does these things in turn whenever a PIN is asked
    /// for: digits, cancel, timeout. A change asks for the old PIN and twice for the new one.
    #[arg(long, value_name = "DIGITS,...", value_delimiter = ',')]
    pin_pad: Vec<Typed>,
    /// Reach the cards by radio: other access rules, nothing private without PACE.
    #[arg(long)]
    contactless: bool,
    /// Answer data-returning commands that come without Le; real cards refuse them.
    #[arg(long)]
    lenient_le: bool,
}

#[derive(Debug, Clone)]
struct PlugArgument {
    directory: PathBuf,
    address: Address,
}

impl FromStr for PlugArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<PlugArgument, String> {
        let (directory, address) = text.split_once('=').ok_or("expected DIR=ADDRESS")?;
        Ok(PlugArgument { directory: PathBuf::from(directory), address: address.parse()? })
    }
}

/// A card in its slot with its plugs.
struct Plugged {
    directory: PathBuf,
    real_directory: PathBuf,
    slot: Slot,
    plugs: Vec<Plug>,
}

/// Serves the cards until a signal ends it.
pub(crate) fn run(arguments: Run) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("watching for signals")?;
    let out: Option<Output> = match (&arguments.trace_file, arguments.trace) {
        (Some(path), _) => {
            let file = File::create(path).with_context(|| path.display().to_string())?;
            Some(Arc::new(Mutex::new(Box::new(file))))
        }
        (None, true) => Some(Arc::new(Mutex::new(Box::new(std::io::stdout())))),
        (None, false) => None,
    };
    let mut cards: Vec<Plugged> = Vec::new();
    for plug in &arguments.plug {
        // However the directory is written, it is one card.
        let same = std::fs::canonicalize(&plug.directory);
        let same = same.unwrap_or_else(|_| plug.directory.clone());
        let position = cards.iter().position(|card| card.real_directory == same);
        if position.is_none() {
            let slot = insert(&plug.directory, &arguments, out.as_ref())?;
            let directory = plug.directory.clone();
            cards.push(Plugged { directory, real_directory: same, slot, plugs: Vec::new() });
        }
        let card = position.map_or(cards.len() - 1, |position| position);
        let card = cards.get_mut(card).context("no card to plug in")?;
        card.plugs.push(card.slot.plug(&plug.address)?);
    }
    if let Some(socket) = &arguments.control {
        super::control::listen(socket, cards.iter().map(|card| controlled(card, &arguments)).collect())?;
    }
    let addresses: Vec<String> =
        cards.iter().flat_map(|c| &c.plugs).map(|p| p.address().to_string()).collect();
    super::tell(&format!("ready {}\n", addresses.join(" ")))?;
    signals.forever().next();
    if let Some(socket) = &arguments.control {
        // Who removed it has done what was to be done.
        let _ = std::fs::remove_file(socket);
    }
    for card in &mut cards {
        card.plugs.clear();
        super::tell(&format!("{}: {} commands\n", card.directory.display(), card.slot.commands()))?;
    }
    Ok(())
}

type Output = Arc<Mutex<Box<dyn Write + Send>>>;

fn open(directory: &Path, arguments: &Run) -> anyhow::Result<Card> {
    let interface = if arguments.contactless { Interface::Contactless } else { Interface::Contact };
    Ok(Card::new(CardImage::open(directory)?).over(interface).lenient_le(arguments.lenient_le))
}

fn controlled(card: &Plugged, arguments: &Run) -> Controlled {
    let (directory, arguments) = (card.directory.clone(), arguments.clone());
    let insert = move |slot: &Slot| {
        slot.insert(open(&directory, &arguments)?);
        Ok(())
    };
    Controlled { directory: card.directory.clone(), slot: card.slot.clone(), insert: Box::new(insert) }
}

fn insert(directory: &Path, arguments: &Run, out: Option<&Output>) -> anyhow::Result<Slot> {
    let slot = Slot::with(open(directory, arguments)?);
    slot.set_speed(arguments.speed);
    if !arguments.pin_pad.is_empty() {
        slot.set_pin_pad(PinPad::script(arguments.pin_pad.clone()));
    }
    arguments.fault.iter().for_each(|plan| slot.fault_plan(plan.clone()));
    if let Some(number) = arguments.pull_after {
        slot.fault_at(number, Fault::Pull);
    }
    if let Some(out) = out.cloned() {
        let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        slot.trace_to(move |line| {
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            // A trace nobody can read any more must not stop the card.
            let _ = writeln!(out, "{name} {line}").and_then(|()| out.flush());
        });
    }
    Ok(slot)
}
