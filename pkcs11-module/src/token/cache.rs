//! Certificates of cards that were read before, on disk (`docs/decisions/certificate-cache.md`).
//!
//! A file per card, named by a hash of its number: certificates name their holder, so nobody else may list or read them.
//! Files are replaced as a whole, so that two processes that write at once leave one of both. What is damaged, too
//! old or not ours is as good as not there; nothing that goes wrong here is an error for anybody.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use card::hpc::{Clue, KnownCertificates};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// More than the certificates of any card.
const MAX_FILE: u64 = 256 * 1024;
/// Cards that are remembered; the ones stored longest ago are forgotten first.
const MAX_CARDS: usize = 32;
/// A card is read in full at least this often.
const MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The directory with the files.
#[derive(Debug)]
pub(crate) struct CertificateCache {
    directory: PathBuf,
}

/// The content of a file, behind its checksum.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    profile: String,
    number: String,
    certificates: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: u8,
    der: String,
}

impl CertificateCache {
    /// A cache in this directory, which is made when something is stored.
    pub(crate) fn new(directory: PathBuf) -> CertificateCache {
        CertificateCache { directory }
    }

    /// What is known of a card, with its number.
    pub(crate) fn recall(&self, profile: &str, clue: Clue<'_>) -> Option<(String, KnownCertificates)> {
        let is_it = |(number, certificates): &(String, KnownCertificates)| clue.is_of(number, certificates);
        match clue {
            Clue::Number(iccsn) => self.read(&self.path(iccsn), profile).ok().filter(is_it),
            Clue::Certificate(_) => {
                let files = std::fs::read_dir(&self.directory).ok()?;
                files.filter_map(|file| self.read(&file.ok()?.path(), profile).ok()).find(is_it)
            }
        }
    }

    /// Remembers a card.
    pub(crate) fn store(&self, profile: &str, iccsn: &str, certificates: &KnownCertificates) {
        if let Err(error) = self.write(profile, iccsn, certificates) {
            tracing::debug!(%error, "certificates of the card not kept");
        }
    }

    fn read(&self, path: &Path, profile: &str) -> Result<(String, KnownCertificates)> {
        self.check_directory()?;
        let file = File::open(path)?;
        let age = file.metadata()?.modified()?.elapsed();
        if age.is_ok_and(|age| age > MAX_AGE) {
            return Err(Error::other("too old"));
        }
        let mut text = String::new();
        file.take(MAX_FILE).read_to_string(&mut text)?;
        decode(&text, profile).ok_or_else(|| ErrorKind::InvalidData.into())
    }

    fn write(&self, profile: &str, iccsn: &str, certificates: &KnownCertificates) -> Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        self.check_directory()?;
        self.forget_oldest(MAX_CARDS - 1)?;
        let text = encode(profile, iccsn, certificates)?;
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let unfinished = self.directory.join(format!("new-{}-{number}", std::process::id()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        let written = file.write_all(text.as_bytes());
        let replaced = written.and_then(|()| std::fs::rename(&unfinished, self.path(iccsn)));
        if replaced.is_err() {
            std::fs::remove_file(&unfinished).ok();
        }
        replaced
    }

    /// Only a directory of our own that nobody else can look into is used; a wider one of our own is narrowed.
    fn check_directory(&self) -> Result<()> {
        let found = std::fs::symlink_metadata(&self.directory)?;
        if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::new(ErrorKind::PermissionDenied, "not a directory of this user"));
        }
        if found.mode() & 0o077 != 0 {
            std::fs::set_permissions(&self.directory, Permissions::from_mode(0o700))?;
        }
        Ok(())
    }

    /// Makes room. Files that a killed process left unfinished go this way too.
    fn forget_oldest(&self, keep: usize) -> Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for file in std::fs::read_dir(&self.directory)? {
            let file = file?;
            // Another process may have removed it by now.
            if let Ok(modified) = file.metadata().and_then(|metadata| metadata.modified()) {
                files.push((modified, file.path()));
            }
        }
        files.sort();
        for (_, path) in files.iter().take(files.len().saturating_sub(keep)) {
            std::fs::remove_file(path).ok();
        }
        Ok(())
    }

    fn path(&self, iccsn: &str) -> PathBuf {
        self.directory.join(Path::new(&checksum(iccsn)))
    }
}

fn encode(profile: &str, iccsn: &str, certificates: &KnownCertificates) -> Result<String> {
    let entries = certificates.iter().map(|(key, der)| Entry { key: *key, der: hex::encode(der) });
    let (profile, number) = (profile.to_owned(), iccsn.to_owned());
    let content = Content { profile, number, certificates: entries.collect() };
    let text = toml::to_string(&content).map_err(Error::other)?;
    Ok(format!("{}\n{text}", checksum(&text)))
}

fn decode(text: &str, profile: &str) -> Option<(String, KnownCertificates)> {
    let (sum, text) = text.split_once('\n')?;
    if sum != checksum(text) {
        return None;
    }
    let content: Content = toml::from_str(text).ok()?;
    let entries = content.certificates.into_iter();
    let certificates = entries.map(|entry| Some((entry.key, hex::decode(entry.der).ok()?)));
    let certificates: Option<_> = certificates.collect();
    (content.profile == profile).then_some((content.number, certificates?))
}

fn checksum(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: &str = "80276883110000220885";

    fn certificates() -> KnownCertificates {
        vec![(1, vec![0x30, 1, 5]), (3, vec![0x30, 0])]
    }

    fn cache() -> (tempfile::TempDir, CertificateCache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = CertificateCache::new(directory.path().join("a/b"));
        (directory, cache)
    }

    fn recall(cache: &CertificateCache, profile: &str, number: &str) -> Option<KnownCertificates> {
        let (found, certificates) = cache.recall(profile, Clue::Number(number))?;
        assert_eq!(found, number);
        Some(certificates)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_stored_is_recalled_for_the_same_card_and_profile_only() {
        let (_directory, cache) = cache();
        assert_eq!(recall(&cache, "hba-g21", NUMBER), None);
        cache.store("hba-g21", NUMBER, &certificates());
        assert_eq!(recall(&cache, "hba-g21", NUMBER), Some(certificates()));
        assert_eq!(recall(&cache, "hpc-p384", NUMBER), None);
        assert_eq!(recall(&cache, "hba-g21", "80276883110000220886"), None);
        cache.store("hba-g21", NUMBER, &vec![(4, vec![0x30, 0])]);
        assert_eq!(recall(&cache, "hba-g21", NUMBER), Some(vec![(4, vec![0x30, 0])]));
    }

    #[test]
    fn a_card_is_found_by_the_beginning_of_any_of_its_certificates() {
        let (_directory, cache) = cache();
        let by = |profile: &str, beginning: &[u8]| cache.recall(profile, Clue::Certificate(beginning));
        assert_eq!(by("hba-g21", &[0x30, 1, 5]), None);
        cache.store("hba-g21", "80276883110000220886", &vec![(1, vec![0x30, 2, 5, 0])]);
        cache.store("hba-g21", NUMBER, &certificates());
        let found = Some((NUMBER.to_owned(), certificates()));
        assert_eq!(by("hba-g21", &[0x30, 1, 5, 0xFF]), found);
        assert_eq!(by("hba-g21", &[0x30, 0, 0xFF]), found);
        for unknown in [vec![0x30, 1, 6], vec![0x30], vec![]] {
            assert_eq!(by("hba-g21", &unknown), None);
        }
        assert_eq!(by("hpc-p384", &[0x30, 1, 5]), None);
    }

    #[test]
    fn only_the_user_sees_which_cards_there_were() {
        let (_directory, cache) = cache();
        cache.store("hba-g21", NUMBER, &certificates());
        let file = cache.path(NUMBER);
        assert_eq!((mode(&cache.directory), mode(&file)), (0o700, 0o600));
        assert!(!file.to_string_lossy().contains(&NUMBER[10..]));
        std::fs::set_permissions(&cache.directory, Permissions::from_mode(0o755)).unwrap();
        assert!(recall(&cache, "hba-g21", NUMBER).is_some());
        assert_eq!(mode(&cache.directory), 0o700);
    }

    #[test]
    fn a_damaged_file_counts_as_none_wherever_the_damage_is() {
        let (_directory, cache) = cache();
        cache.store("hba-g21", NUMBER, &certificates());
        let whole = std::fs::read(cache.path(NUMBER)).unwrap();
        for index in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[index] ^= 1;
            std::fs::write(cache.path(NUMBER), &damaged).unwrap();
            assert_eq!(recall(&cache, "hba-g21", NUMBER), None, "byte {index}");
            std::fs::write(cache.path(NUMBER), &whole[..index]).unwrap();
            assert_eq!(recall(&cache, "hba-g21", NUMBER), None, "cut at {index}");
        }
    }

    #[test]
    fn an_old_file_counts_as_none() {
        let (_directory, cache) = cache();
        cache.store("hba-g21", NUMBER, &certificates());
        let file = File::options().append(true).open(cache.path(NUMBER)).unwrap();
        file.set_modified(SystemTime::now() - MAX_AGE - Duration::from_secs(1)).unwrap();
        assert_eq!(recall(&cache, "hba-g21", NUMBER), None);
    }

    #[test]
    fn the_cards_stored_longest_ago_make_room() {
        let (_directory, cache) = cache();
        for card in 0..MAX_CARDS as u64 + 5 {
            cache.store("hba-g21", &card.to_string(), &certificates());
            let file = File::options().append(true).open(cache.path(&card.to_string())).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(1000 - card)).unwrap();
        }
        assert_eq!(std::fs::read_dir(&cache.directory).unwrap().count(), MAX_CARDS);
        assert_eq!(recall(&cache, "hba-g21", "4"), None);
        assert!(recall(&cache, "hba-g21", "5").is_some());
    }

    #[test]
    fn a_directory_that_is_none_is_left_alone() {
        let (directory, _) = cache();
        let cache = CertificateCache::new(directory.path().join("file"));
        std::fs::write(&cache.directory, "text").unwrap();
        cache.store("hba-g21", NUMBER, &certificates());
        assert_eq!(std::fs::read_to_string(&cache.directory).unwrap(), "text");
        std::fs::remove_file(&cache.directory).unwrap();
        std::os::unix::fs::symlink("/tmp", &cache.directory).unwrap();
        cache.store("hba-g21", NUMBER, &certificates());
        assert!(!Path::new("/tmp").join(checksum(NUMBER)).exists());
    }

    #[test]
    fn writers_at_the_same_time_leave_a_whole_file() {
        let (_directory, cache) = cache();
        cache.store("hba-g21", NUMBER, &certificates());
        std::thread::scope(|scope| {
            for key in 1..=4 {
                let cache = &cache;
                scope.spawn(move || {
                    for _ in 0..50 {
                        cache.store("hba-g21", NUMBER, &vec![(key, vec![0x30, 0])]);
                        assert_eq!(recall(cache, "hba-g21", NUMBER).unwrap().len(), 1);
                    }
                });
            }
        });
        assert_eq!(std::fs::read_dir(&cache.directory).unwrap().count(), 1);
    }
}
