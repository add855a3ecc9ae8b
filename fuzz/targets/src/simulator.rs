//! The other side of the wire: programs that send cards anything.

use std::cell::RefCell;
use std::path::Path;

use card_simulator::{Card, CardImage, Interface, NewCard, ProfileName, RsaKeyPool};
use tempfile::TempDir;

use crate::parts;

/// Commands, one after another. The first byte chooses the card, its highest bit the interface.
pub(crate) fn commands(input: &[u8]) {
    let Some((choice, commands)) = input.split_first() else { return };
    let profile = usize::from(choice & !RADIO) % ProfileName::ALL.len();
    let interface = if choice & RADIO == 0 { Interface::Contact } else { Interface::Contactless };
    TABLE.with_borrow_mut(|table| {
        let place = &mut table[profile];
        place.get_or_insert_with(|| Place::laid(ProfileName::ALL[profile])).play(interface, commands);
    });
}

/// Bit of the first byte: by radio.
const RADIO: u8 = 0x80;
/// More commands that write to disk than this are left out, so that every input is quick.
const MOST_WRITES: usize = 40;

thread_local! {
    static TABLE: RefCell<[Option<Place>; ProfileName::ALL.len()]> = const { RefCell::new([const { None }; ProfileName::ALL.len()]) };
}

/// The byte that chooses this card over contacts.
pub(crate) fn choice(profile: ProfileName) -> u8 {
    let place = ProfileName::ALL.iter().position(|known| *known == profile);
    place.and_then(|place| u8::try_from(place).ok()).expect("few profiles")
}

/// A card as it was issued.
struct Place {
    directory: TempDir,
    card: Option<Card>,
    /// What commands change: name and content of the file.
    fresh: Vec<(&'static str, Vec<u8>)>,
}

impl Place {
    fn laid(profile: ProfileName) -> Place {
        // In memory, where there is such a place: writes wait for the disk.
        let memory = Path::new("/dev/shm");
        let directory = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let directory = directory.expect("a temporary directory");
        let card = NewCard::new(profile).rsa_keys(RsaKeyPool::Shared);
        card.create(directory.path()).expect("a card is issued");
        let read = |name| (name, std::fs::read(directory.path().join(name)).expect("a file of the image"));
        let fresh = ["state.json", "counters.bin"].map(read).to_vec();
        Place { card: Some(opened(directory.path())), directory, fresh }
    }

    fn play(&mut self, interface: Interface, commands: &[u8]) {
        let mut card = self.card.take().unwrap_or_else(|| opened(self.directory.path())).over(interface);
        let mut writes = 0;
        for command in parts(commands) {
            if may_write(command) {
                writes += 1;
                if writes > MOST_WRITES {
                    continue;
                }
            }
            let answer = card.transmit(command);
            assert!((2..=65538).contains(&answer.len()), "an answer of {} bytes", answer.len());
        }
        if writes > 0 {
            card = self.renewed(card);
        }
        self.card = Some(card);
    }

    /// The image holds what the card remembered; then it is as it was issued again, so that an input always does the same.
    fn renewed(&self, card: Card) -> Card {
        let remembered = format!("{:?}", card.image().summary());
        drop(card);
        let kept = CardImage::open(self.directory.path()).expect("the image is whole").summary();
        assert_eq!(format!("{kept:?}"), remembered, "what the card remembers is on disk");
        for (name, content) in &self.fresh {
            std::fs::write(self.directory.path().join(name), content).expect("the image is written to");
        }
        opened(self.directory.path())
    }
}

fn opened(directory: &Path) -> Card {
    Card::new(CardImage::open(directory).expect("the image is whole"))
}

/// Every instruction that changes what is kept on disk, in any class.
fn may_write(command: &[u8]) -> bool {
    matches!(
        command.get(1),
        Some(0x04..=0x0F | 0x20..=0x2C | 0x44 | 0x46 | 0x47 | 0x82 | 0x86..=0x88 | 0xD0..=0xEF)
    )
}
