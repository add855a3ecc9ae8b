//! The other side of the wire: programs that send cards anything.

use std::cell::RefCell;

use card_simulator::{Card, CardImage, NewCard, ProfileName, RsaKeyPool};
use tempfile::TempDir;

use crate::parts;

struct Table {
    cards: Vec<Card>,
    _directories: Vec<TempDir>,
}

thread_local! {
    static TABLE: RefCell<Table> = RefCell::new(Table::laid());
}

/// Commands, one after another; the first byte chooses the card.
pub(crate) fn commands(input: &[u8]) {
    let Some((choice, commands)) = input.split_first() else { return };
    TABLE.with_borrow_mut(|table| {
        let count = table.cards.len();
        let card = &mut table.cards[usize::from(*choice) % count];
        card.reset();
        for command in parts(commands).filter(|command| !changes_the_card(command)) {
            let answer = card.transmit(command);
            assert!((2..=65538).contains(&answer.len()), "an answer of {} bytes", answer.len());
        }
    });
}

/// Whatever is kept on disk: the same input must always do the same, and quickly.
fn changes_the_card(command: &[u8]) -> bool {
    matches!(command.get(1), Some(0x04 | 0x0C..=0x0F | 0x20..=0x21 | 0x24..=0x2C | 0x44 | 0xD0..=0xEF))
}

impl Table {
    fn laid() -> Table {
        let (mut cards, mut directories) = (Vec::new(), Vec::new());
        for profile in [ProfileName::HpcP384, ProfileName::HbaG21] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let card = NewCard::new(profile).rsa_keys(RsaKeyPool::Shared);
            card.create(directory.path()).expect("a card is issued");
            cards.push(Card::new(CardImage::open(directory.path()).expect("the image is whole")));
            directories.push(directory);
        }
        Table { cards, _directories: directories }
    }
}
