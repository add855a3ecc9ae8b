//! Who a card says its holder is: the identity data of cards that are no German insurance cards of today.
//!
//! Belgian, Estonian, PIV, Japanese and French cards, and the German card of the first kind where a reader offers it. What
//! needs no PIN asks for none; the Japanese card's PIN is sent once, and only if the caller gives it.

pub(crate) mod belgian;
mod estonian;
mod japanese;
mod piv;
mod register;
mod vitale;

use card::catalogue;
use card::file::FileError;
use card::identify::{CardKind, identify};
use card::pin::Pin;
use card::status::StatusWord;
use card::transport::{Transport, TransportError, WholeAnswers};
use serde::Serialize;
use thiserror::Error;

pub use belgian::{Belgian, BelgianAddress};
pub use estonian::Estonian;
pub use japanese::Japanese;
pub use piv::{FascN, Piv};
pub use register::{RegisterSignatures, SignatureState};
pub use vitale::{Vitale, VitaleHolder};

use crate::kvk::{self, KvkError, KvkRecord};

/// A kind of card with identity data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityCard {
    /// Belgian eID card.
    Belgian,
    /// Estonian ID card, applet of 2018.
    Estonian,
    /// Personal identity verification card.
    Piv,
    /// Japanese individual number card: its text application needs a PIN.
    Japanese,
    /// French Carte Vitale 2. Experimental: there is no public specification.
    Vitale,
    /// German insurance card of the first kind.
    Kvk,
}

/// What a card says.
#[derive(Serialize)]
#[serde(tag = "card", rename_all = "lowercase")]
pub enum Identity {
    /// Belgian eID card.
    #[serde(rename = "beid")]
    Belgian(Box<Belgian>),
    /// Estonian ID card.
    #[serde(rename = "esteid")]
    Estonian(Estonian),
    /// PIV card.
    Piv(Piv),
    /// Japanese individual number card.
    #[serde(rename = "jpki")]
    Japanese(Japanese),
    /// Carte Vitale 2.
    #[serde(rename = "vitale2")]
    Vitale(Vitale),
    /// KVK.
    Kvk(Box<KvkRecord>),
}

/// Shows nothing personal.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// What is to be read besides what everybody may read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'p> {
    /// The PIN of the Japanese card's text application.
    pub pin: Option<&'p Pin>,
    /// Also the individual number, which the law lets few people ask for.
    pub individual_number: bool,
    /// Whether the Belgian register signed the data: three files more.
    pub signatures: bool,
}

/// Why there is no identity.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// A card without identity data that this library can read.
    #[error("the card is none whose identity data are known")]
    UnknownCard,
    /// Only Belgian cards hold a photo.
    #[error("the card holds no photo")]
    NoPhoto,
    /// The card wants a PIN, and none was given. Nothing was sent to be compared.
    #[error("the card wants its PIN, {tries} tries left")]
    PinNeeded {
        /// Tries left.
        tries: u8,
    },
    /// Wrong PIN.
    #[error("wrong PIN, {tries} tries left")]
    PinIncorrect {
        /// Tries left, at least 1.
        tries: u8,
    },
    /// Blocked, now or since long.
    #[error("the PIN is blocked")]
    PinBlocked,
    /// The card refused something.
    #[error("{what}: {status}")]
    Refused {
        /// File or command.
        what: &'static str,
        /// What the card answered.
        status: StatusWord,
    },
    /// A file does not hold what programs for such cards expect.
    #[error("{file} of the card is malformed")]
    Malformed {
        /// Name of the file.
        file: &'static str,
    },
    /// The card of the first kind.
    #[error(transparent)]
    Kvk(#[from] KvkError),
    /// The connection failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Which of these cards this is; `None` for every other one. A card with an ATR that nobody knows is asked for the
/// applications of a Carte Vitale and a KVK.
///
/// # Errors
/// Those of the transport.
pub fn recognise(card: &mut dyn Transport) -> Result<Option<IdentityCard>, TransportError> {
    in_section(card, |card| {
        if let CardKind::Hpc(profile) = identify(card)? {
            return Ok(by_name(&profile.name));
        }
        let atr = hex::encode_upper(card.atr());
        match catalogue::by_atr(&atr) {
            Some(known) => Ok(by_name(&known.id)),
            None if vitale::is_there(card)? => Ok(Some(IdentityCard::Vitale)),
            None if kvk::is_there(card)? => Ok(Some(IdentityCard::Kvk)),
            None => Ok(None),
        }
    })
}

/// Reads the identity data of a card of this kind.
///
/// # Errors
/// A PIN that is missing or wrong, a refused or malformed file, the transport.
pub fn read(
    card: &mut dyn Transport,
    kind: IdentityCard,
    wanted: Wanted<'_>,
) -> Result<Identity, IdentityError> {
    if kind == IdentityCard::Kvk {
        return Ok(Identity::Kvk(Box::new(kvk::read(card)?)));
    }
    in_section(card, |card| {
        Ok(match kind {
            IdentityCard::Belgian => Identity::Belgian(Box::new(belgian::read(card, wanted.signatures)?)),
            IdentityCard::Estonian => Identity::Estonian(estonian::read(card)?),
            IdentityCard::Piv => Identity::Piv(piv::read(card)?),
            IdentityCard::Japanese => Identity::Japanese(japanese::read(card, wanted)?),
            IdentityCard::Vitale => Identity::Vitale(vitale::read(card)?),
            IdentityCard::Kvk => return Err(IdentityError::UnknownCard),
        })
    })
}

/// The portrait on a Belgian card, JPEG.
///
/// # Errors
/// As [`read`]; [`IdentityError::NoPhoto`] for other cards.
pub fn read_photo(card: &mut dyn Transport, kind: IdentityCard) -> Result<Vec<u8>, IdentityError> {
    match kind {
        IdentityCard::Belgian => in_section(card, belgian::photo),
        _ => Err(IdentityError::NoPhoto),
    }
}

/// Tries left of the PIN in front of a card's identity data; `None` if there is none. Costs no try.
///
/// # Errors
/// As [`read`].
pub fn pin_tries(card: &mut dyn Transport, kind: IdentityCard) -> Result<Option<u8>, IdentityError> {
    match kind {
        IdentityCard::Japanese => in_section(card, |card| japanese::tries(card).map(Some)),
        _ => Ok(None),
    }
}

fn by_name(id: &str) -> Option<IdentityCard> {
    Some(match id {
        "beid" => IdentityCard::Belgian,
        "esteid" => IdentityCard::Estonian,
        "piv" => IdentityCard::Piv,
        "jpki" => IdentityCard::Japanese,
        "vitale2" => IdentityCard::Vitale,
        "kvk" => IdentityCard::Kvk,
        _ => return None,
    })
}

/// Runs commands in one exclusive section; answers come whole, also from cards with T=0.
pub(crate) fn in_section<T, E: From<TransportError>>(
    card: &mut dyn Transport,
    work: impl FnOnce(&mut dyn Transport) -> Result<T, E>,
) -> Result<T, E> {
    let mut card = WholeAnswers::new(card);
    card.begin()?;
    let result = work(&mut card);
    if let Err(error) = card.end() {
        tracing::debug!(%error, "end of exclusive section");
    }
    result
}

fn file_error(what: &'static str) -> impl Fn(FileError) -> IdentityError {
    move |error| match error {
        FileError::Status(status) => IdentityError::Refused { what, status },
        FileError::Transport(error) => IdentityError::Transport(error),
    }
}

/// A text as the card has it; what is no UTF-8 shows as such.
fn text(value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value).trim_matches(['\0', ' ']).to_owned();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use card::apdu::{Command, Response};

    use super::*;

    /// A terminal that offers a KVK and knows nothing else.
    struct Terminal(Vec<Vec<u8>>);

    impl Transport for Terminal {
        fn atr(&self) -> &[u8] {
            &[0x3B, 0x00]
        }

        fn transmit(&mut self, command: &Command) -> Result<Response, TransportError> {
            let bytes = command.encode()?.to_vec();
            let kvk = bytes.ends_with(&[0xD2, 0x76, 0x00, 0x00, 0x01, 0x01]);
            self.0.push(bytes);
            Ok(Response::parse(if kvk { &[0x90, 0x00] } else { &[0x6A, 0x82] })?)
        }

        fn begin(&mut self) -> Result<(), TransportError> {
            Ok(())
        }

        fn end(&mut self) -> Result<(), TransportError> {
            Ok(())
        }

        fn reconnect(&mut self) -> Result<(), TransportError> {
            Ok(())
        }
    }

    #[test]
    fn a_kvk_is_found_where_a_terminal_offers_it() {
        let mut terminal = Terminal(Vec::new());
        assert_eq!(recognise(&mut terminal).unwrap(), Some(IdentityCard::Kvk));
        assert_eq!(terminal.0.len(), 4, "MF, PIV, Vitale, KVK");
    }
}
