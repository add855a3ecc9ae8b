//! `state.json`: what commands changed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::trust::Learned;
use super::{Body, ImageError, PasswordState};
use crate::crypto::{CryptoError, PrivateKey};
use crate::layout::{File, Folder, Key, Layout, Password, Secret, Transport};

/// The changing part of a card image, counters apart.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// By path of the password object that owns the secret.
    passwords: BTreeMap<String, PasswordState>,
    /// Enabled flag of every password object, by path.
    enabled: BTreeMap<String, bool>,
    /// Contents of the files that were written, by path.
    files: BTreeMap<String, Body>,
    /// Paths of the folders that were deactivated.
    #[serde(default)]
    deactivated: BTreeSet<String>,
    /// PKCS #8 in hexadecimal of the keys that were generated on the card, by path.
    #[serde(default)]
    keys: BTreeMap<String, String>,
    /// From card-verifiable certificates.
    #[serde(default)]
    pub(super) learned: Learned,
}

static NO_PASSWORD: PasswordState = PasswordState { pin: None, puk: None, transport: Transport::Empty };

impl State {
    pub(super) fn load(path: &Path, layout: &Layout) -> Result<State, ImageError> {
        let state: State = read_json(path)?;
        let owners = layout.passwords.iter().filter(|p| matches!(p.secret, Secret::Own { .. }));
        for password in owners {
            if !state.passwords.contains_key(&password.path) {
                let reason = format!("no value for {}", password.path);
                return Err(ImageError::Damaged { path: path.to_path_buf(), reason });
            }
        }
        Ok(state)
    }

    pub(super) fn save(&self, path: &Path) -> Result<(), ImageError> {
        write_json(path, self)
    }

    pub(super) fn password(&self, owner: &Password) -> &PasswordState {
        self.passwords.get(&owner.path).unwrap_or(&NO_PASSWORD)
    }

    pub(super) fn set_password(&mut self, owner: &Password, state: PasswordState) {
        self.passwords.insert(owner.path.clone(), state);
    }

    pub(super) fn is_enabled(&self, password: &Password) -> bool {
        self.enabled.get(&password.path).copied().unwrap_or(password.enabled)
    }

    pub(super) fn set_enabled(&mut self, password: &Password, enabled: bool) {
        self.enabled.insert(password.path.clone(), enabled);
    }

    pub(super) fn is_active(&self, folder: &Folder) -> bool {
        !self.deactivated.contains(&folder.path)
    }

    pub(super) fn set_active(&mut self, folder: &Folder, active: bool) {
        if active {
            self.deactivated.remove(&folder.path);
        } else {
            self.deactivated.insert(folder.path.clone());
        }
    }

    pub(super) fn key(&self, key: &Key) -> Result<Option<PrivateKey>, CryptoError> {
        self.keys.get(&key.path).map(|text| PrivateKey::from_hex(text)).transpose()
    }

    pub(super) fn set_key(&mut self, key: &Key, value: String) {
        self.keys.insert(key.path.clone(), value);
    }

    pub(super) fn body(&self, file: &File) -> Option<Body> {
        self.files.get(&file.path).cloned()
    }

    pub(super) fn set_body(&mut self, file: &File, body: Body) {
        self.files.insert(file.path.clone(), body);
    }
}

/// Reads a JSON file of the image.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, ImageError> {
    let text = std::fs::read(path).map_err(|source| ImageError::Io { path: path.to_path_buf(), source })?;
    serde_json::from_slice(&text).map_err(|error| {
        // The text of the error may quote what it read; the place is enough.
        let reason = format!("not the expected JSON at line {}, column {}", error.line(), error.column());
        ImageError::Damaged { path: path.to_path_buf(), reason }
    })
}

/// Replaces a JSON file of the image: afterwards the old or the new text is there, whole.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ImageError> {
    let io = |source| ImageError::Io { path: path.to_path_buf(), source };
    let text = serde_json::to_vec_pretty(value).map_err(|error| io(error.into()))?;
    let next = path.with_extension("next");
    let mut options = OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&next).map_err(io)?;
    file.write_all(&text).and_then(|()| file.sync_data()).map_err(io)?;
    std::fs::rename(&next, path).map_err(io)?;
    // The new name must survive a power cut too.
    let directory = path.parent().map(std::fs::File::open).transpose();
    directory.and_then(|directory| directory.map_or(Ok(()), |directory| directory.sync_all())).map_err(io)
}
