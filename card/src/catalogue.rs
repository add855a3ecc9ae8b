//! What is known of cards, whether this crate drives them or not (`profiles/catalogue.toml`).

use std::sync::LazyLock;

use serde::Deserialize;

use crate::profile::{Profile, hex_bytes, optional_hex_bytes};

/// A kind of card.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownCard {
    /// Short name, e.g. `egk`; the name of the [`Profile`] of a card that has one.
    pub id: String,
    /// What a person calls the card.
    pub title: String,
    /// Country of the issuer, two letters.
    pub country: Option<String>,
    /// The specification the card follows.
    pub standard: String,
    /// What such cards have to be certified for.
    pub assurance: Option<Assurance>,
    /// What this project can do with the card: `insurance-data`, `identity`, `certificates`, `authenticate`, `sign`,
    /// `decipher`. Every card here can be named, that is not listed.
    #[serde(default)]
    pub abilities: Vec<String>,
    /// Application identifier of the MF; `None` if the profile has it, or the card does not name its MF.
    #[serde(default, deserialize_with = "optional_hex_bytes")]
    mf_aid: Option<Vec<u8>>,
    /// Applications that no other card has: any of them names the card.
    #[serde(default)]
    applications: Vec<Aid>,
    #[serde(default)]
    atrs: Vec<String>,
    /// Whether the MF holds EF.Version2.
    #[serde(default)]
    pub(crate) version_file: bool,
}

/// An assurance level and who demands it. No card can prove what it was certified for.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assurance {
    /// The level.
    pub statement: String,
    /// The document that demands it.
    pub source: String,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Aid(#[serde(deserialize_with = "hex_bytes")] Vec<u8>);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Catalogue {
    card: Vec<KnownCard>,
    application: Vec<NamedApplication>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedApplication {
    #[serde(deserialize_with = "hex_bytes")]
    aid: Vec<u8>,
    name: String,
}

impl KnownCard {
    /// The driver's profile of the card, if it has one.
    pub fn profile(&self) -> Option<&'static Profile> {
        Profile::by_name(&self.id)
    }

    /// Whether the card is the German insurance card.
    pub fn is_egk(&self) -> bool {
        self.id == EGK
    }

    /// Application identifiers by which the card is known.
    pub(crate) fn applications(&self) -> impl Iterator<Item = &[u8]> {
        self.applications.iter().map(|Aid(aid)| aid.as_slice())
    }

    fn mf_aid(&self) -> Option<&[u8]> {
        self.mf_aid.as_deref().or_else(|| self.profile().and_then(|profile| profile.mf_aid.as_deref()))
    }

    fn has_atr(&self, atr: &str) -> bool {
        let profile = self.profile().into_iter().flat_map(|profile| &profile.atrs);
        self.atrs.iter().chain(profile).any(|known| matches(known, atr))
    }

    fn is_foreign(&self) -> bool {
        !self.is_egk() && self.profile().is_none()
    }
}

const EGK: &str = "egk";

/// All known cards.
pub fn known_cards() -> &'static [KnownCard] {
    &catalogue().card
}

/// The card whose MF has this name.
pub(crate) fn by_master_file(name: &[u8]) -> Option<&'static KnownCard> {
    known_cards().iter().find(|card| card.mf_aid() == Some(name))
}

/// The first card that is known to send this ATR, upper-case hexadecimal. A hint: chips are shared between cards.
pub fn by_atr(atr: &str) -> Option<&'static KnownCard> {
    known_cards().iter().find(|card| card.has_atr(atr))
}

/// Whether a card with this ATR is none that this crate drives.
pub(crate) fn is_foreign(atr: &str) -> bool {
    known_cards().iter().any(|card| card.is_foreign() && card.has_atr(atr))
}

/// What an application is called.
pub(crate) fn application_name(aid: &[u8]) -> Option<&'static str> {
    let application = catalogue().application.iter().find(|application| application.aid == aid);
    application.map(|application| application.name.as_str())
}

fn catalogue() -> &'static Catalogue {
    static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
        toml::from_str(SOURCE)
            .inspect_err(|error| tracing::error!(%error, "profiles/catalogue.toml left out"))
            .unwrap_or_default()
    });
    &CATALOGUE
}

const SOURCE: &str = include_str!("../profiles/catalogue.toml");

/// Compares upper-case hexadecimal digits; a dot in the pattern stands for any digit.
fn matches(pattern: &str, atr: &str) -> bool {
    pattern.len() == atr.len()
        && pattern.bytes().zip(atr.bytes()).all(|(want, got)| want == b'.' || want == got)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::profile::profiles;

    #[test]
    fn the_catalogue_parses_and_names_each_card_once() {
        let catalogue: Catalogue = toml::from_str(SOURCE).unwrap();
        let names: HashSet<_> = catalogue.card.iter().map(|card| &card.id).collect();
        assert_eq!(names.len(), catalogue.card.len());
        assert_eq!(known_cards().len(), catalogue.card.len());
    }

    #[test]
    fn every_profile_is_in_the_catalogue() {
        for profile in profiles() {
            assert!(known_cards().iter().any(|card| card.id == profile.name), "{}", profile.name);
        }
    }

    #[test]
    fn no_atr_belongs_to_two_cards() {
        let mut seen = HashSet::new();
        for card in known_cards() {
            let profile = card.profile().into_iter().flat_map(|profile| &profile.atrs);
            for atr in card.atrs.iter().chain(profile) {
                assert!(seen.insert(atr), "{atr}");
                assert!(atr.bytes().all(|digit| b"0123456789ABCDEF.".contains(&digit)), "{atr}");
                assert_eq!(is_foreign(&atr.replace('.', "0")), card.is_foreign(), "{atr}");
            }
        }
    }

    #[test]
    fn every_known_application_has_a_name() {
        for aid in known_cards().iter().flat_map(KnownCard::applications) {
            assert!(
                application_name(aid).is_some() || aid.starts_with(&[0xD2, 0x80]),
                "{}",
                hex::encode(aid)
            );
        }
    }
}
