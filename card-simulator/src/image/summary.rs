//! What an image holds, for people and programs to look at.

use serde::Serialize;

use super::CardImage;
use crate::ProfileName;
use crate::layout::{KeyKind, Secret, Transport};

/// Contents of a card image without its secrets.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// The profile.
    pub profile: ProfileName,
    /// Name of the product.
    pub title: String,
    /// Serial number, 20 digits.
    pub iccsn: String,
    /// Answer to reset, hexadecimal.
    pub atr: String,
    /// All password objects.
    pub passwords: Vec<PasswordSummary>,
    /// All private keys.
    pub keys: Vec<KeySummary>,
    /// Path and content length in bytes of all files that are not empty.
    pub files: Vec<(String, usize)>,
}

/// State of a password object.
#[derive(Debug, Serialize)]
pub struct PasswordSummary {
    /// Path such as `MF/DF.QES/PIN.QES`.
    pub path: String,
    /// P2 of the PIN commands, hexadecimal.
    pub reference: String,
    /// `regular`, `transport` or `empty`.
    pub state: &'static str,
    /// Whether verification is enabled.
    pub enabled: bool,
    /// Tries left before it is blocked.
    pub tries: u8,
    /// Uses left of the PUK.
    pub puk_uses: u8,
}

/// A private key.
#[derive(Debug, Serialize)]
pub struct KeySummary {
    /// Path such as `MF/DF.QES/PrK.HP.QES.E256`.
    pub path: String,
    /// Key reference, hexadecimal.
    pub reference: String,
    /// Curve or length.
    pub kind: String,
    /// Whether the card holds a value for it.
    pub present: bool,
    /// Signatures made with it so far.
    pub signatures: u64,
}

pub(super) fn summary(image: &CardImage) -> Summary {
    let layout = image.layout;
    Summary {
        profile: image.profile,
        title: layout.title.clone(),
        iccsn: image.iccsn.clone(),
        atr: hex::encode_upper(&layout.atr),
        passwords: layout
            .passwords
            .iter()
            .map(|password| PasswordSummary {
                path: password.path.clone(),
                reference: format!("{:02X}", password.reference),
                state: match (password.secret, image.password(password).transport) {
                    (Secret::SharedWith(_), _) | (_, Transport::Regular) => "regular",
                    (_, Transport::Protected) => "transport",
                    (_, Transport::Empty) => "empty",
                },
                enabled: image.is_enabled(password),
                tries: image.tries(password),
                puk_uses: image.puk_uses(password),
            })
            .collect(),
        keys: layout
            .keys
            .iter()
            .filter(|key| key.is_private())
            .map(|key| KeySummary {
                path: key.path.clone(),
                reference: key.reference.map(|r| format!("{r:02X}")).unwrap_or_default(),
                kind: match key.kind {
                    KeyKind::RsaPrivate { bits } => format!("RSA-{bits}"),
                    KeyKind::EcPrivate(curve) => format!("{curve:?}"),
                    _ => String::new(),
                },
                present: image.key(key).is_some(),
                signatures: image.counters.signatures(key.id),
            })
            .collect(),
        files: layout
            .files
            .iter()
            .map(|file| (file.path.clone(), image.body(file).length()))
            .filter(|(_, length)| *length > 0)
            .collect(),
    }
}
