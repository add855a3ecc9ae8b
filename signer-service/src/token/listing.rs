//! What is plugged in: tokens, the state of their PINs, their certificates. No PIN is needed for any of it.

use std::{
    sync::{Arc, PoisonError},
    thread,
    time::{Duration, Instant},
};

use cryptoki::{
    error::{Error, RvError},
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::Session,
    slot::{Slot, SlotInfo, TokenInfo},
};
use proto::v1::PinState;

use super::{Module, TokenError};
use crate::certificate::Certificate;

/// One token. Its serial number is the card's: it is not for logs, so there is no `Debug`.
#[derive(Clone)]
pub struct TokenView {
    /// Where it is plugged in.
    pub(super) slot: Slot,
    /// Which insertion of a card there.
    pub(super) insertion: u64,
    /// The module's name for that place.
    pub slot_name: String,
    /// Label of the token.
    pub label: String,
    /// Serial number of the token.
    pub serial: String,
    /// Kind of card.
    pub model: String,
    /// What the module knows of the PIN.
    pub pin_state: PinState,
    /// The PIN is entered at the reader.
    pub pin_pad: bool,
    /// Whether a login comes before everything else.
    pub(super) login_required: bool,
    /// Lengths of a PIN, in bytes.
    pub(super) pin_lengths: (usize, usize),
    /// Certificates that could be read.
    pub certificates: Vec<CertificateObject>,
}

/// A certificate on a token.
#[derive(Clone)]
pub struct CertificateObject {
    /// CKA_LABEL.
    pub label: String,
    /// CKA_ID: the private key has the same.
    pub id: Vec<u8>,
    /// What it says.
    pub certificate: Certificate,
}

impl TokenView {
    /// Names the card on this host: place, token and number. Not for logs.
    pub fn card(&self) -> String {
        format!("{}/{}/{}", self.slot.id(), self.label, self.serial)
    }

    /// The last four characters of the serial number, enough to tell cards apart.
    pub fn serial_suffix(&self) -> &str {
        let start = self.serial.char_indices().rev().nth(3).map_or(0, |(index, _)| index);
        self.serial.get(start..).unwrap_or_default()
    }

    /// A token that no module knows.
    #[cfg(test)]
    pub(crate) fn for_tests(label: &str, serial: &str) -> TokenView {
        TokenView {
            slot: Slot::try_from(0u64).unwrap(),
            insertion: 1,
            slot_name: "reader".into(),
            label: label.into(),
            serial: serial.into(),
            model: String::new(),
            pin_state: PinState::Usable,
            pin_pad: false,
            login_required: true,
            pin_lengths: (4, 8),
            certificates: Vec::new(),
        }
    }
}

/// Tokens that are looked at beside each other: a card takes its time, and a hospital has a hundred.
const BESIDE: usize = 64;
/// How long a listing serves for choosing a card that is named by its number.
const RECENT: Duration = Duration::from_secs(1);

/// What was listed last.
pub(super) struct Recent {
    at: Instant,
    tokens: Arc<Vec<TokenView>>,
}

impl Module {
    /// The tokens as they were listed a moment ago, if that is as good as listing them again for a caller who `names`
    /// the card: with a hundred cards, listing costs more than everything else that a signature needs. Whether the card
    /// that is chosen still is in its place is for [`Module::is_same_card`].
    pub fn recent(&self, names_the_card: bool) -> Option<Arc<Vec<TokenView>>> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = recent.as_ref().filter(|recent| recent.at.elapsed() < RECENT)?;
        let tokens = Arc::clone(&recent.tokens);
        (names_the_card || self.has_these(&tokens)).then_some(tokens)
    }

    /// Is the card of a listing in its place, without having left it since? Costs no card command.
    pub fn is_same_card(&self, token: &TokenView) -> bool {
        self.insertion(token).is_some_and(|insertion| insertion == token.insertion)
    }

    /// Are tokens in these places and in no others?
    fn has_these(&self, tokens: &[TokenView]) -> bool {
        let Ok(places) = self.context.get_slots_with_token() else { return false };
        places.len() == tokens.len() && places.iter().zip(tokens).all(|(place, token)| *place == token.slot)
    }

    /// All tokens with their certificates. Slots without a card are left out; so are cards that fail, unless there is
    /// nothing else to answer. Who asks while others list waits, and takes a listing that began since.
    ///
    /// # Errors
    /// No reader, or the fault of the only card.
    pub fn tokens(&self) -> Result<Arc<Vec<TokenView>>, TokenError> {
        let asked = Instant::now();
        let _one_at_a_time = self.listing.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(recent) = recent.as_ref().filter(|recent| recent.at >= asked) {
            return Ok(Arc::clone(&recent.tokens));
        }
        drop(recent);
        let begun = Instant::now();
        let mut places = Vec::new();
        let mut readers = 0;
        for slot in self.context.get_all_slots()? {
            let place = self.context.get_slot_info(slot)?;
            readers += usize::from(!is_placeholder(&place));
            if place.token_present() {
                places.push((slot, place));
            }
        }
        let (mut views, mut fault) = (Vec::new(), None);
        for (slot, view) in self.views(&places) {
            match view {
                Ok(view) => views.extend(view),
                Err(error) => {
                    tracing::debug!(slot = slot.id(), %error, "token left out");
                    fault.get_or_insert(error);
                }
            }
        }
        match fault {
            Some(fault) if views.is_empty() => Err(fault),
            None if readers == 0 => Err(TokenError::NoReader),
            _ => Ok(self.list(begun, views)),
        }
    }

    /// Looks at tokens, several at once, and answers them in their order.
    fn views(&self, places: &[(Slot, SlotInfo)]) -> Vec<(Slot, Result<Option<TokenView>, TokenError>)> {
        let view = |(slot, place): &(Slot, SlotInfo)| (*slot, self.view(*slot, place.slot_description()));
        if let [place] = places {
            return vec![view(place)];
        }
        let mut views = Vec::with_capacity(places.len());
        for group in places.chunks(BESIDE) {
            thread::scope(|scope| {
                let looking: Vec<_> = group.iter().map(|place| scope.spawn(|| view(place))).collect();
                views.extend(looking.into_iter().filter_map(|one| one.join().ok()));
            });
        }
        views
    }

    fn list(&self, at: Instant, views: Vec<TokenView>) -> Arc<Vec<TokenView>> {
        let tokens = Arc::new(views);
        let recent = Recent { at, tokens: Arc::clone(&tokens) };
        *self.recent.lock().unwrap_or_else(PoisonError::into_inner) = Some(recent);
        tokens
    }

    fn view(&self, slot: Slot, slot_name: &str) -> Result<Option<TokenView>, TokenError> {
        let info = match self.context.get_token_info(slot) {
            Err(Error::Pkcs11(RvError::TokenNotPresent, _)) => return Ok(None),
            other => other?,
        };
        if !info.token_initialized() {
            return Ok(None);
        }
        let (session, insertion) = self.session_and_insertion(slot)?;
        Ok(Some(TokenView {
            slot,
            insertion,
            slot_name: slot_name.to_owned(),
            label: info.label().to_owned(),
            serial: info.serial_number().to_owned(),
            model: info.model().to_owned(),
            pin_state: pin_state(&info),
            pin_pad: info.protected_authentication_path(),
            login_required: info.login_required(),
            pin_lengths: (info.min_pin_length(), info.max_pin_length()),
            certificates: certificates(&session)?,
        }))
    }
}

/// Some programs take an empty slot list for an error, so a module without any reader shows one slot that says so.
pub(super) fn is_placeholder(place: &SlotInfo) -> bool {
    place.slot_description().starts_with("No reader")
}

/// What the token flags say of the PIN (PKCS#11 3.1 clause 3.2).
pub(super) fn pin_state(info: &TokenInfo) -> PinState {
    if info.user_pin_locked() {
        PinState::Blocked
    } else if info.user_pin_to_be_changed() {
        PinState::ToBeChanged
    } else if info.user_pin_final_try() {
        PinState::FinalTry
    } else if info.user_pin_count_low() {
        PinState::CountLow
    } else if info.user_pin_initialized() {
        PinState::Usable
    } else {
        PinState::Unspecified
    }
}

fn certificates(session: &Session) -> Result<Vec<CertificateObject>, TokenError> {
    let handles = session.find_objects(&[Attribute::Class(ObjectClass::CERTIFICATE)])?;
    let mut objects = Vec::new();
    for handle in handles {
        match certificate(session, handle)? {
            Some(object) => objects.push(object),
            None => tracing::debug!("a certificate on the token cannot be read"),
        }
    }
    Ok(objects)
}

fn certificate(session: &Session, handle: ObjectHandle) -> Result<Option<CertificateObject>, TokenError> {
    let wanted = [AttributeType::Label, AttributeType::Id, AttributeType::Value];
    let (mut label, mut id, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for attribute in session.get_attributes(handle, &wanted)? {
        match attribute {
            Attribute::Label(bytes) => label = bytes,
            Attribute::Id(bytes) => id = bytes,
            Attribute::Value(bytes) => value = bytes,
            _ => {}
        }
    }
    let label = String::from_utf8_lossy(&label).trim_end().to_owned();
    Ok(Certificate::parse(&value).ok().map(|certificate| CertificateObject { label, id, certificate }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_a_serial_number_is_shown() {
        assert_eq!(TokenView::for_tests("x", "0000001234567890").serial_suffix(), "7890");
        assert_eq!(TokenView::for_tests("x", "12").serial_suffix(), "12");
        assert_eq!(TokenView::for_tests("x", "").serial_suffix(), "");
    }
}
