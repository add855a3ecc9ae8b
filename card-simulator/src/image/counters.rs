//! Counters at fixed places of one small file, so that counting costs one write.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{ImageError, start_values};
use crate::layout::Layout;

const MAGIC: [u8; 8] = *b"CARDCNT1";
const SLOT: u64 = 8;

/// Retry counters, PUK use counters and signature counts.
///
/// The file is the magic, then one slot of eight bytes per password (retry counter, PUK uses, six zeros) and
/// one per key (signatures, big-endian), in the profile's order.
pub(super) struct Counters {
    path: PathBuf,
    file: File,
    passwords: Vec<(u8, u8)>,
    keys: Vec<u64>,
}

impl Counters {
    /// Writes the file of a new card.
    pub(super) fn create(path: &Path, layout: &Layout) -> Result<(), ImageError> {
        let mut bytes = MAGIC.to_vec();
        for password in &layout.passwords {
            let (tries, puk_uses) = start_values(password).unwrap_or((0, 0));
            bytes.extend(password_slot(tries, puk_uses));
        }
        bytes.extend(layout.keys.iter().flat_map(|_| [0; SLOT as usize]));
        let options = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path);
        let written = options.and_then(|file| file.write_all_at(&bytes, 0));
        written.map_err(|source| ImageError::Io { path: path.to_path_buf(), source })
    }

    /// Opens the file of a card.
    pub(super) fn open(path: &Path, layout: &Layout) -> Result<Counters, ImageError> {
        let io = |source| ImageError::Io { path: path.to_path_buf(), source };
        let bytes = std::fs::read(path).map_err(io)?;
        let file = OpenOptions::new().write(true).open(path).map_err(io)?;
        let damaged =
            |reason: &str| ImageError::Damaged { path: path.to_path_buf(), reason: reason.to_owned() };
        let slots = bytes.strip_prefix(&MAGIC).ok_or_else(|| damaged("not a counter file"))?;
        let (slots, rest) = slots.as_chunks::<{ SLOT as usize }>();
        if !rest.is_empty() || slots.len() != layout.passwords.len() + layout.keys.len() {
            return Err(damaged("wrong length"));
        }
        let (passwords, keys) = slots.split_at(layout.passwords.len());
        Ok(Counters {
            path: path.to_path_buf(),
            file,
            passwords: passwords.iter().map(|[tries, puk_uses, ..]| (*tries, *puk_uses)).collect(),
            keys: keys.iter().map(|slot| u64::from_be_bytes(*slot)).collect(),
        })
    }

    pub(super) fn tries(&self, password: usize) -> u8 {
        self.passwords.get(password).map_or(0, |(tries, _)| *tries)
    }

    pub(super) fn puk_uses(&self, password: usize) -> u8 {
        self.passwords.get(password).map_or(0, |(_, uses)| *uses)
    }

    pub(super) fn signatures(&self, key: usize) -> u64 {
        self.keys.get(key).copied().unwrap_or(0)
    }

    pub(super) fn set_tries(&mut self, password: usize, tries: u8) -> Result<(), ImageError> {
        let uses = self.puk_uses(password);
        self.set_password(password, tries, uses)
    }

    pub(super) fn set_puk_uses(&mut self, password: usize, uses: u8) -> Result<(), ImageError> {
        let tries = self.tries(password);
        self.set_password(password, tries, uses)
    }

    pub(super) fn add_signature(&mut self, key: usize) -> Result<(), ImageError> {
        let count = self.signatures(key).saturating_add(1);
        self.write(self.passwords.len() + key, count.to_be_bytes())?;
        if let Some(slot) = self.keys.get_mut(key) {
            *slot = count;
        }
        Ok(())
    }

    fn set_password(&mut self, password: usize, tries: u8, puk_uses: u8) -> Result<(), ImageError> {
        self.write(password, password_slot(tries, puk_uses))?;
        // PIN entries are rare and their counters matter most: these also survive a power cut.
        let synced = self.file.sync_data();
        synced.map_err(|source| ImageError::Io { path: self.path.clone(), source })?;
        if let Some(slot) = self.passwords.get_mut(password) {
            *slot = (tries, puk_uses);
        }
        Ok(())
    }

    fn write(&self, slot: usize, bytes: [u8; SLOT as usize]) -> Result<(), ImageError> {
        let offset = MAGIC.len() as u64 + SLOT * slot as u64;
        let written = self.file.write_all_at(&bytes, offset);
        written.map_err(|source| ImageError::Io { path: self.path.clone(), source })
    }
}

fn password_slot(tries: u8, puk_uses: u8) -> [u8; SLOT as usize] {
    [tries, puk_uses, 0, 0, 0, 0, 0, 0]
}
