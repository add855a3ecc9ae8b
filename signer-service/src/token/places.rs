//! Where cards may be, for those who watch: without a PIN, and without a command to a card.

use std::collections::HashSet;

use proto::v1::PinState;

use super::{
    Commands, Module, TokenError,
    listing::{is_placeholder, pin_state},
};

/// A slot. The number of a card in it is not for others, so there is no `Debug`.
#[derive(Clone)]
pub struct Place {
    slot: u64,
    /// The module's name for it.
    pub name: String,
    /// A card is in it.
    pub present: bool,
    /// What is known of the card, once a call has looked at it.
    pub token: Option<Known>,
    /// What the cards in it were sent, if the module tells.
    pub commands: Option<Commands>,
}

/// What is known of a card without asking it.
#[derive(Clone)]
pub struct Known {
    /// Label of the token.
    pub label: String,
    /// What the module knows of the PIN.
    pub pin_state: PinState,
    /// Names the card on this host, like [`TokenView::card`](super::TokenView::card).
    pub card: String,
}

impl Place {
    /// The card can be used: it is there, and its PIN is not known to be unusable.
    pub fn is_usable(&self) -> bool {
        let pin = self.token.as_ref().map(|token| token.pin_state);
        self.present && !matches!(pin, Some(PinState::Blocked | PinState::ToBeChanged))
    }
}

impl Module {
    /// All places. `before` is what was seen last: names are asked for again only where something changed.
    ///
    /// # Errors
    /// The module does not answer.
    pub fn places(&self, before: &[Place]) -> Result<Vec<Place>, TokenError> {
        let occupied: HashSet<u64> =
            self.context.get_slots_with_token()?.iter().map(|slot| slot.id()).collect();
        let counts = self.counts_commands();
        let mut places = Vec::new();
        for slot in self.context.get_all_slots()? {
            let present = occupied.contains(&slot.id());
            let known = before.iter().find(|place| place.slot == slot.id() && place.present == present);
            let name = match known {
                Some(place) => place.name.clone(),
                None => {
                    let info = self.context.get_slot_info(slot)?;
                    if is_placeholder(&info) {
                        continue;
                    }
                    info.slot_description().to_owned()
                }
            };
            let token = if present { self.known(slot) } else { None };
            let commands = if counts && token.is_some() { self.commands(slot) } else { None };
            places.push(Place { slot: slot.id(), name, present, token, commands });
        }
        Ok(places)
    }

    /// A card that no call has looked at is left in peace: the first look costs commands.
    fn known(&self, slot: cryptoki::slot::Slot) -> Option<Known> {
        let looked_at = {
            let idle = self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            idle.get(&slot.id()).is_some_and(|session| session.get_session_info().is_ok())
        };
        let info = looked_at.then(|| self.context.get_token_info(slot).ok()).flatten()?;
        let card = format!("{}/{}/{}", slot.id(), info.label(), info.serial_number());
        Some(Known { label: info.label().to_owned(), pin_state: pin_state(&info), card })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_usable_with_a_card_whose_pin_is() {
        let known = |pin_state| Some(Known { label: String::new(), pin_state, card: String::new() });
        for (present, token, usable) in [
            (false, None, false),
            (true, None, true),
            (true, known(PinState::FinalTry), true),
            (true, known(PinState::Blocked), false),
            (true, known(PinState::ToBeChanged), false),
        ] {
            assert_eq!(
                Place { slot: 0, name: String::new(), present, token, commands: None }.is_usable(),
                usable
            );
        }
    }
}
