//! Names for patients and cards that say nothing without a key: HMAC-SHA-256 of the insurance number, or of the card's. The
//! same patient has the same name as long as the key is the same; the first characters tell the key, so that it can be
//! changed.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// The key; in a file of its own, apart from the records.
pub struct PseudonymKey(Zeroizing<Vec<u8>>);

impl PseudonymKey {
    /// Reads the key; makes one, readable by its owner only, if the file is not there.
    ///
    /// # Errors
    /// The file, or one that holds less than 32 bytes.
    pub fn open(path: &Path) -> std::io::Result<PseudonymKey> {
        if !path.exists() {
            let mut key = Zeroizing::new([0u8; 32]);
            getrandom::fill(key.as_mut()).map_err(std::io::Error::other)?;
            let mut options = std::fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
            file.write_all(key.as_ref())?;
            file.sync_all()?;
        }
        let key = Zeroizing::new(std::fs::read(path)?);
        if key.len() < 32 {
            return Err(std::io::Error::other("expected a key of at least 32 bytes"));
        }
        Ok(PseudonymKey(key))
    }

    /// The name of a patient, from the insurance number.
    pub fn name(&self, kvnr: &str) -> String {
        self.name_of(&[kvnr.as_bytes()])
    }

    /// The name of a card, from the serial number of its token; none for a token without one. What a card is called never
    /// is what a patient is called.
    pub fn card(&self, serial: &str) -> Option<String> {
        (!serial.is_empty()).then(|| self.name_of(&[b"card ", serial.as_bytes()]))
    }

    fn name_of(&self, parts: &[&[u8]]) -> String {
        // HMAC takes keys of every length.
        let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        parts.iter().for_each(|part| hmac.update(part));
        let [name, _] = halves(&hmac.finalize().into_bytes());
        let [key, _] = halves(&Sha256::digest(&self.0));
        format!("{}:{name}", key.get(..8).unwrap_or_default())
    }
}

fn halves(bytes: &[u8]) -> [String; 2] {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    [hex::encode(first), hex::encode(second)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_patient_and_key_and_tells_the_key_apart() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let key = PseudonymKey::open(&one).unwrap();
        let name = key.name("X110400001");
        assert_eq!(name, PseudonymKey::open(&one).unwrap().name("X110400001"));
        assert_ne!(name, key.name("X110400002"));
        let other = PseudonymKey::open(&two).unwrap().name("X110400001");
        assert_ne!(name.split_once(':').unwrap().0, other.split_once(':').unwrap().0);
        assert_ne!(name.split_once(':').unwrap().1, other.split_once(':').unwrap().1);
    }

    #[test]
    fn cards_have_names_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let key = PseudonymKey::open(&folder.path().join("key")).unwrap();
        let card = key.card("1234567890123456");
        assert_eq!(card, key.card("1234567890123456"));
        assert_ne!(card, key.card("1234567890123457"));
        assert_ne!(card, Some(key.name("1234567890123456")));
        assert_eq!(key.card(""), None);
    }

    #[test]
    fn a_short_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short");
        std::fs::write(&path, "secret").unwrap();
        assert!(PseudonymKey::open(&path).is_err());
    }
}
