//! `card.json`: what the card was issued with.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{ImageError, TrustedKey, state};
use crate::ProfileName;
use crate::crypto::{CryptoError, PrivateKey};
use crate::layout::{File, Key};

/// The unchanging part of a card image. Holds private keys: never in `Debug`, file mode 0600.
#[derive(Serialize, Deserialize)]
pub(crate) struct Fixed {
    format: u32,
    pub(crate) profile: ProfileName,
    pub(crate) iccsn: String,
    /// Card access number, for the contactless interface.
    pub(crate) can: String,
    /// Signatures per entry of PIN.QES.
    pub(crate) signatures_per_pin: u32,
    /// PKCS #8 in hexadecimal, by path of the key object.
    pub(crate) keys: BTreeMap<String, String>,
    /// Roots for card-verifiable certificates.
    #[serde(default)]
    pub(crate) roots: Vec<TrustedKey>,
    /// First contents, by path of the file, where the profile does not give them.
    pub(crate) files: BTreeMap<String, Body>,
}

/// Content of an elementary file; transparent files end at their logical end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Body {
    Bytes(#[serde(with = "hex")] Vec<u8>),
    Records(Vec<Record>),
}

/// A record and its life-cycle state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(with = "hex")]
    pub(crate) data: Vec<u8>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deactivated: bool,
}

impl From<Vec<u8>> for Record {
    fn from(data: Vec<u8>) -> Record {
        Record { data, deactivated: false }
    }
}

const FORMAT: u32 = 1;

impl Fixed {
    pub(crate) fn new(profile: ProfileName, iccsn: String, can: String, signatures_per_pin: u32) -> Fixed {
        let (keys, files) = (BTreeMap::new(), BTreeMap::new());
        Fixed { format: FORMAT, profile, iccsn, can, signatures_per_pin, keys, roots: Vec::new(), files }
    }

    pub(super) fn load(path: &Path) -> Result<Fixed, ImageError> {
        let fixed: Fixed = state::read_json(path)?;
        if fixed.format != FORMAT {
            let reason = format!("format {} instead of {FORMAT}", fixed.format);
            return Err(ImageError::Damaged { path: path.to_path_buf(), reason });
        }
        Ok(fixed)
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), ImageError> {
        state::write_json(path, self)
    }

    pub(super) fn key(&self, key: &Key) -> Result<Option<PrivateKey>, CryptoError> {
        self.keys.get(&key.path).map(|text| PrivateKey::from_hex(text)).transpose()
    }

    pub(super) fn body(&self, file: &File) -> Option<Body> {
        self.files.get(&file.path).cloned()
    }
}

impl Body {
    /// Length of the content in bytes.
    pub(crate) fn length(&self) -> usize {
        match self {
            Body::Bytes(bytes) => bytes.len(),
            Body::Records(records) => records.iter().map(|record| record.data.len()).sum(),
        }
    }
}
