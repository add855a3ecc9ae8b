//! Names of the card profiles and of the card's interfaces.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A kind of card the simulator can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProfileName {
    /// The generic health professional card with P-384 and RSA-2048 keys.
    HpcP384,
    /// German health professional card, generation 2.1.
    HbaG21,
    /// German insurance card, generation 2.1.
    EgkG21,
    /// German insurance card, generation 2: RSA keys only.
    EgkG2,
    /// German card of an institution, generation 2.1.
    SmcB,
    /// Security module of a German card terminal: the end of trusted channels that sends PINs.
    GsmcKt,
    /// Security module of a German connector: the end of trusted channels that has documents signed.
    GsmcK,
    /// Personal identity verification card (NIST SP 800-73-4) with P-256, P-384 and RSA-2048 keys.
    Piv,
    /// The same with RSA-2048 keys for authentication and signature.
    PivRsa,
    /// The same with P-384 keys for authentication and key agreement and a P-256 key for signatures.
    PivP384,
    /// Estonian ID card, applet of 2018.
    Esteid,
    /// Belgian eID card, applet 1.7: RSA-2048.
    Beid17,
    /// Belgian eID card, applet 1.8: P-384.
    Beid18,
    /// Japanese individual number card (My Number, JPKI).
    Jpki,
    /// French insurance card (Carte Vitale 2), identity only.
    Vitale2,
    /// German insurance card of the first kind (KVK), as terminals show it that can read such memory cards.
    Kvk,
}

impl ProfileName {
    /// All profiles.
    pub const ALL: [ProfileName; 16] = [
        ProfileName::HpcP384,
        ProfileName::HbaG21,
        ProfileName::EgkG21,
        ProfileName::EgkG2,
        ProfileName::SmcB,
        ProfileName::GsmcKt,
        ProfileName::GsmcK,
        ProfileName::Piv,
        ProfileName::PivRsa,
        ProfileName::PivP384,
        ProfileName::Esteid,
        ProfileName::Beid17,
        ProfileName::Beid18,
        ProfileName::Jpki,
        ProfileName::Vitale2,
        ProfileName::Kvk,
    ];

    /// The name used on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            ProfileName::HpcP384 => "hpc-p384",
            ProfileName::HbaG21 => "hba-g21",
            ProfileName::EgkG21 => "egk-g21",
            ProfileName::EgkG2 => "egk-g2",
            ProfileName::SmcB => "smc-b",
            ProfileName::GsmcKt => "gsmc-kt",
            ProfileName::GsmcK => "gsmc-k",
            ProfileName::Piv => "piv",
            ProfileName::PivRsa => "piv-rsa",
            ProfileName::PivP384 => "piv-p384",
            ProfileName::Esteid => "esteid",
            ProfileName::Beid17 => "beid17",
            ProfileName::Beid18 => "beid18",
            ProfileName::Jpki => "jpki",
            ProfileName::Vitale2 => "vitale2",
            ProfileName::Kvk => "kvk",
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Lists the profiles there are.
impl FromStr for ProfileName {
    type Err = String;

    fn from_str(text: &str) -> Result<ProfileName, String> {
        let found = ProfileName::ALL.into_iter().find(|name| name.as_str() == text);
        found.ok_or_else(|| {
            let names: Vec<_> = ProfileName::ALL.iter().map(|profile| profile.as_str()).collect();
            format!("unknown profile '{text}': one of {}", names.join(", "))
        })
    }
}

/// The interface a card is reached through; access rules differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Contacts.
    Contact,
    /// Radio. Nothing but a few public files opens before PACE.
    Contactless,
}
