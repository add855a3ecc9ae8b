//! Simulated cards in readers that a test can act on while programs use them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use card_simulator::server::{Address, Fault, PinPad, Plug, Slot, Traffic};
use card_simulator::{Card, CardImage as Image};
use tempfile::TempDir;

use crate::cards::CardImage;

/// Cards in slots, each plugged into an address. Everything ends with this value.
pub struct Simulator {
    // Plugs go before the slots they serve.
    _plugs: Vec<Plug>,
    readers: Vec<Reader>,
    trace: Arc<Mutex<Vec<String>>>,
}

struct Reader {
    slot: Slot,
    image: PathBuf,
}

/// The address of a card socket in a test's directory.
pub fn socket_in(directory: &TempDir, name: &str) -> String {
    format!("socket:{}", directory.path().join(format!("{name}.sock")).display())
}

impl Simulator {
    /// Inserts the cards and listens.
    pub fn start(cards: &[(&CardImage, &str)]) -> Simulator {
        let trace = Arc::new(Mutex::new(Vec::new()));
        let (mut plugs, mut readers) = (Vec::new(), Vec::new());
        for (image, address) in cards {
            let slot = Slot::with(Card::new(Image::open(image.path()).expect("the image is whole and free")));
            let lines = Arc::clone(&trace);
            slot.trace_to(move |line| lines.lock().expect("no test panics here").push(line.to_owned()));
            let address: Address = address.parse().expect("an address");
            plugs.push(slot.plug(&address).expect("the address is free"));
            readers.push(Reader { slot, image: image.path().to_path_buf() });
        }
        Simulator { _plugs: plugs, readers, trace }
    }

    /// Takes the card out of a reader.
    pub fn eject(&self, reader: usize) {
        self.readers[reader].slot.eject();
    }

    /// Puts a reader's card back.
    pub fn insert(&self, reader: usize) {
        let reader = &self.readers[reader];
        drop(reader.slot.eject());
        reader.slot.insert(Card::new(Image::open(&reader.image).expect("the image is whole and free")));
    }

    /// Puts another card into a reader.
    pub fn swap(&self, reader: usize, card: &CardImage) {
        let slot = &self.readers[reader].slot;
        drop(slot.eject());
        slot.insert(Card::new(Image::open(card.path()).expect("the image is whole and free")));
    }

    /// Gives a reader on a socket a PIN pad, at which somebody does these things in turn: digits, `cancel`, `timeout`.
    pub fn set_pin_pad(&self, reader: usize, steps: &[&str]) {
        let steps = steps.iter().map(|step| step.parse().expect("something to type"));
        self.readers[reader].slot.set_pin_pad(PinPad::script(steps.collect()));
    }

    /// Resets a card, as another program at the reader may.
    pub fn reset(&self, reader: usize) {
        self.readers[reader].slot.reset();
    }

    /// Pulls the card while it works on the n-th command from now.
    pub fn pull_at(&self, reader: usize, command: u64) {
        let slot = &self.readers[reader].slot;
        slot.fault_at(slot.commands() + command, Fault::Pull);
    }

    /// Commands that all cards together were sent so far.
    pub fn commands(&self) -> u64 {
        self.readers.iter().map(|reader| reader.slot.commands()).sum()
    }

    /// What went over the line of a reader so far.
    pub fn traffic(&self, reader: usize) -> Traffic {
        self.readers[reader].slot.traffic()
    }

    /// The trace so far: number, command, answer; PINs masked.
    pub fn trace(&self) -> Vec<String> {
        self.trace.lock().expect("no test panics here").clone()
    }

    /// The commands so far, hexadecimal; PINs masked.
    pub fn sent(&self) -> Vec<String> {
        let command = |line: &String| line.split_whitespace().nth(1).map(str::to_owned);
        self.trace().iter().filter_map(command).collect()
    }

    /// How often a PIN was sent for comparison.
    pub fn verifications(&self) -> usize {
        self.sent().iter().filter(|command| &command[..2] < "10" && &command[2..4] == "20").count()
    }

    /// What the card said to each PIN, in order.
    pub fn answers_to_pins(&self) -> Vec<String> {
        let trace = self.trace();
        let words = trace.iter().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let with_pin = words.filter(|words| &words[1][2..4] == "20" && words[1].ends_with("**"));
        with_pin.map(|words| words[2].to_owned()).collect()
    }

    /// How many signatures were asked for.
    pub fn signatures(&self) -> usize {
        self.sent().iter().filter(|command| command[2..].starts_with("2A9E9A")).count()
    }

    /// Tries left of a PIN, as the card in a reader counts them.
    pub fn tries_left(&self, reader: usize, pin: &str) -> u64 {
        let inspected = self.readers[reader].slot.inspect(|card| card.image().summary());
        let summary = inspected.expect("a card is inserted");
        let password = summary.passwords.iter().find(|password| password.path.ends_with(pin));
        password.unwrap_or_else(|| panic!("the card has no {pin}")).tries.into()
    }
}
