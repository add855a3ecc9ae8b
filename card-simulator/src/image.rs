//! A card image: one directory holding everything a card remembers.
//!
//! `card.json` is what was made when the card was issued (keys, first file contents) and never changes.
//! `state.json` is what commands changed (PIN values, file contents); it is replaced as a whole, by rename.
//! `counters.bin` holds retry counters, PUK counters and signature counts at fixed places; a change is one
//! write of eight bytes. All three are written before the card answers, so killing the process at any moment
//! loses no counter step. `docs/simulator.md` says what a power cut of the whole machine may lose.

mod counters;
mod fixed;
mod password;
mod state;
mod summary;
mod trust;

use std::fs::File as Lock;
use std::fs::TryLockError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use thiserror::Error;

pub(crate) use fixed::{Body, Fixed, Record};
pub(crate) use password::{Digest, PasswordState};
pub use summary::{KeySummary, PasswordSummary, Summary};
pub(crate) use trust::TrustedKey;

use crate::ProfileName;
use crate::crypto::{Day, PrivateKey, is_published};
use crate::layout::{self, Content, File, Folder, Key, Layout, Password, Secret};
use counters::Counters;
use state::State;

const CARD: &str = "card.json";
const STATE: &str = "state.json";
const COUNTERS: &str = "counters.bin";
const LOCK: &str = "lock";

/// How long a locked image is tried again. A process forked by another thread of the holder keeps the lock until it
/// executes its program, even if the holder has closed the image meanwhile.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A card image could not be opened, made or kept.
#[derive(Debug, Error)]
pub enum ImageError {
    /// A file of the image could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is no card image in this directory.
    #[error("{}: no card image is there", .0.display())]
    Missing(PathBuf),
    /// Somebody has this card plugged in.
    #[error("{}: the card image is in use by another process", .0.display())]
    InUse(PathBuf),
    /// There is a card image in this directory already.
    #[error("{}: a card image is there already", .0.display())]
    Exists(PathBuf),
    /// A file of the image does not hold what it should.
    #[error("{}: damaged card image: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The image holds a key whose private half has been published.
    #[error("{}: key {key} is a published test key", path.display())]
    PublishedKey {
        /// The file.
        path: PathBuf,
        /// Name of the key object.
        key: String,
    },
}

/// A card image, opened and locked for this process.
pub struct CardImage {
    directory: PathBuf,
    profile: ProfileName,
    layout: &'static Layout,
    iccsn: String,
    can: String,
    signatures_per_pin: u32,
    contents: Vec<Body>,
    roots: Vec<TrustedKey>,
    keys: Vec<Option<PrivateKey>>,
    state: State,
    counters: Counters,
    _lock: Lock,
}

impl CardImage {
    /// Opens the image in a directory and locks it until the value is dropped.
    ///
    /// # Errors
    /// [`ImageError::Missing`] if there is none, [`ImageError::InUse`] if another process holds it, otherwise what is
    /// wrong with the files.
    pub fn open(directory: impl AsRef<Path>) -> Result<CardImage, ImageError> {
        let directory = directory.as_ref().to_path_buf();
        if !directory.join(CARD).exists() {
            return Err(ImageError::Missing(directory));
        }
        let lock = lock(&directory)?;
        let fixed = Fixed::load(&directory.join(CARD))?;
        let damaged = |reason: String| ImageError::Damaged { path: directory.join(CARD), reason };
        let layout = layout::layout(fixed.profile).map_err(|e| damaged(e.to_string()))?;
        let state = State::load(&directory.join(STATE), layout)?;
        let counters = Counters::open(&directory.join(COUNTERS), layout)?;
        let mut keys = Vec::new();
        for key in &layout.keys {
            let value = state
                .key(key)
                .and_then(|value| value.map_or_else(|| fixed.key(key), |value| Ok(Some(value))));
            let value = value.map_err(|e| damaged(format!("{}: {e}", key.path)))?;
            if value.as_ref().is_some_and(is_published) {
                let path = directory.join(CARD);
                return Err(ImageError::PublishedKey { path, key: key.path.clone() });
            }
            keys.push(value);
        }
        let body = |file: &File| state.body(file).or_else(|| fixed.body(file)).unwrap_or_else(|| first(file));
        let contents = layout.files.iter().map(body).collect();
        Ok(CardImage {
            profile: fixed.profile,
            iccsn: fixed.iccsn.clone(),
            can: fixed.can.clone(),
            signatures_per_pin: fixed.signatures_per_pin,
            directory,
            layout,
            contents,
            roots: fixed.roots.clone(),
            keys,
            state,
            counters,
            _lock: lock,
        })
    }

    /// The card's profile.
    pub fn profile(&self) -> ProfileName {
        self.profile
    }

    /// The card's serial number, 20 digits.
    pub fn iccsn(&self) -> &str {
        &self.iccsn
    }

    /// The directory of the image.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// How many signatures the card has made with all its keys, ever.
    pub fn signatures(&self) -> u64 {
        self.layout.keys.iter().map(|key| self.counters.signatures(key.id)).sum()
    }

    /// What is in the image: PIN states and counters, keys, files. Nothing secret.
    pub fn summary(&self) -> Summary {
        summary::summary(self)
    }

    /// The card access number.
    pub(crate) fn can(&self) -> &str {
        &self.can
    }

    pub(crate) fn layout(&self) -> &'static Layout {
        self.layout
    }

    pub(crate) fn body(&self, file: &File) -> &Body {
        static EMPTY: Body = Body::Bytes(Vec::new());
        self.contents.get(file.id).unwrap_or(&EMPTY)
    }

    pub(crate) fn store_body(&mut self, file: &File, body: Body) -> Result<(), ImageError> {
        self.change(|state| state.set_body(file, body.clone()))?;
        if let Some(slot) = self.contents.get_mut(file.id) {
            *slot = body;
        }
        Ok(())
    }

    pub(crate) fn key(&self, key: &Key) -> Option<&PrivateKey> {
        self.keys.get(key.id).and_then(Option::as_ref)
    }

    /// Gives a key object a value that was made on the card.
    pub(crate) fn store_key(&mut self, key: &Key, value: PrivateKey) -> Result<(), ImageError> {
        let text = value.to_hex().map_err(|error| ImageError::Damaged {
            path: self.directory.join(STATE),
            reason: error.to_string(),
        })?;
        self.change(|state| state.set_key(key, text))?;
        if let Some(slot) = self.keys.get_mut(key.id) {
            *slot = Some(value);
        }
        Ok(())
    }

    /// Whether a folder is active.
    pub(crate) fn is_active(&self, folder: &Folder) -> bool {
        self.state.is_active(folder)
    }

    pub(crate) fn store_active(&mut self, folder: &Folder, active: bool) -> Result<(), ImageError> {
        self.change(|state| state.set_active(folder, active))
    }

    /// The key with this reference that verifies certificates.
    pub(crate) fn trusted_key(&self, reference: &[u8]) -> Option<&TrustedKey> {
        self.trusted_keys().find(|key| key.reference == reference)
    }

    /// The roots the card was issued with, then what it imported.
    pub(crate) fn trusted_keys(&self) -> impl Iterator<Item = &TrustedKey> {
        self.roots.iter().chain(self.state.learned.keys())
    }

    /// The roots the card was issued with.
    pub(crate) fn roots(&self) -> &[TrustedKey] {
        &self.roots
    }

    /// The latest day the card has heard of.
    pub(crate) fn today(&self) -> Day {
        self.state.learned.today()
    }

    /// Keeps a key for verifying certificates, and the day its certificate was issued.
    pub(crate) fn learn_key(&mut self, key: TrustedKey, today: Day) -> Result<(), ImageError> {
        self.change(|state| state.learned.learn(key, today))
    }

    /// State of the password that owns the secret.
    pub(crate) fn password(&self, password: &Password) -> &PasswordState {
        self.state.password(self.layout.owner(password))
    }

    pub(crate) fn store_password(
        &mut self,
        password: &Password,
        state: PasswordState,
    ) -> Result<(), ImageError> {
        let owner = self.layout.owner(password);
        self.change(|next| next.set_password(owner, state))
    }

    pub(crate) fn is_enabled(&self, password: &Password) -> bool {
        self.state.is_enabled(password)
    }

    pub(crate) fn store_enabled(&mut self, password: &Password, enabled: bool) -> Result<(), ImageError> {
        self.change(|state| state.set_enabled(password, enabled))
    }

    /// Changes the state on disk, and then in memory: a change that could not be written did not happen.
    fn change(&mut self, change: impl FnOnce(&mut State)) -> Result<(), ImageError> {
        let mut next = self.state.clone();
        change(&mut next);
        next.save(&self.directory.join(STATE))?;
        self.state = next;
        Ok(())
    }

    pub(crate) fn tries(&self, password: &Password) -> u8 {
        self.counters.tries(self.layout.owner(password).id)
    }

    pub(crate) fn store_tries(&mut self, password: &Password, tries: u8) -> Result<(), ImageError> {
        self.counters.set_tries(self.layout.owner(password).id, tries)
    }

    pub(crate) fn puk_uses(&self, password: &Password) -> u8 {
        self.counters.puk_uses(self.layout.owner(password).id)
    }

    pub(crate) fn store_puk_uses(&mut self, password: &Password, uses: u8) -> Result<(), ImageError> {
        self.counters.set_puk_uses(self.layout.owner(password).id, uses)
    }

    pub(crate) fn count_signature(&mut self, key: &Key) -> Result<(), ImageError> {
        self.counters.add_signature(key.id)
    }

    /// Uses per VERIFY: the profile's number, or the one the card was issued with.
    pub(crate) fn uses_per_verify(&self, password: &Password, environment: u8) -> Option<u32> {
        let [first, second] = password.uses_per_verify;
        let uses = if environment == 2 { second } else { first };
        uses.map(|_| self.signatures_per_pin)
    }
}

impl std::fmt::Debug for CardImage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CardImage").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// A directory that holds no card image, locked for a new one.
pub(crate) struct Blank {
    directory: PathBuf,
    _lock: Lock,
}

impl Blank {
    /// Takes a directory for a new image.
    pub(crate) fn claim(directory: &Path) -> Result<Blank, ImageError> {
        let exists = || Err(ImageError::Exists(directory.to_path_buf()));
        if directory.join(CARD).exists() {
            return exists();
        }
        let lock = lock(directory)?;
        // Another process may have made one since.
        if directory.join(CARD).exists() {
            return exists();
        }
        Ok(Blank { directory: directory.to_path_buf(), _lock: lock })
    }

    /// Writes the image; `card.json` comes last and makes it one.
    pub(crate) fn fill(
        self,
        fixed: &Fixed,
        layout: &'static Layout,
        passwords: Vec<(&'static Password, PasswordState)>,
    ) -> Result<(), ImageError> {
        let mut state = State::default();
        for password in &layout.passwords {
            state.set_enabled(password, password.enabled);
        }
        for (password, value) in passwords {
            state.set_password(password, value);
        }
        state.save(&self.directory.join(STATE))?;
        Counters::create(&self.directory.join(COUNTERS), layout)?;
        fixed.save(&self.directory.join(CARD))
    }
}

fn first(file: &File) -> Body {
    match &file.content {
        Content::Bytes(bytes) => Body::Bytes(bytes.clone()),
        Content::Records(records) => Body::Records(records.iter().cloned().map(Into::into).collect()),
        _ => Body::Bytes(Vec::new()),
    }
}

fn lock(directory: &Path) -> Result<Lock, ImageError> {
    let path = directory.join(LOCK);
    let open = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = open.map_err(|source| ImageError::Io { path: path.clone(), source })?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if start.elapsed() < LOCK_PATIENCE => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(TryLockError::WouldBlock) => return Err(ImageError::InUse(directory.to_path_buf())),
            Err(TryLockError::Error(source)) => return Err(ImageError::Io { path, source }),
        }
    }
}

/// First values of the counters of a password that owns its secret.
fn start_values(password: &Password) -> Option<(u8, u8)> {
    match password.secret {
        Secret::Own { tries, puk_uses, .. } => Some((tries, puk_uses)),
        Secret::SharedWith(_) => None,
    }
}
