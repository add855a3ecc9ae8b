//! Volatile state of one logical channel.

use std::collections::BTreeMap;

use super::beid::Input;
use super::trust::Trust;
use crate::crypto::{End, Pace, Rights, SecureChannel, SenderKeys, TrustedChannel};
use crate::layout::{Algorithm, File, Folder, Key, Layout, Origin, Password};

/// What one logical channel has selected and earned. Nothing of it is shared with other channels.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) folder: &'static Folder,
    pub(super) file: Option<&'static File>,
    /// Security environment of the current folder; every other one is in environment 1.
    pub(super) environment: u8,
    /// Keys chosen by MANAGE SECURITY ENVIRONMENT, one per purpose.
    pub(super) selected: Selected,
    /// An agreement on keys between two of its commands.
    pub(super) agreement: Option<Agreement>,
    /// Secure messaging, once agreed on.
    pub(super) secure: Option<Secure>,
    /// Keys of a trusted channel to another card.
    pub(super) sender: Option<SenderKeys>,
    /// Certificates, challenges and the roles of other cards.
    pub(super) trust: Trust,
    /// The key of a Belgian card and what it signs.
    pub(super) belgian: Option<Belgian>,
    /// The PIN that is the selected file, on cards that select them so.
    pub(super) secret: Option<&'static Password>,
    /// The password (by position) that the command directly before verified.
    pub(super) fresh: Option<usize>,
    /// Verified passwords (by position), each with the uses it has left; `None` is unlimited.
    verified: BTreeMap<usize, Option<u32>>,
}

/// A key of a Belgian card with what its algorithm takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belgian {
    pub(super) key: &'static Key,
    pub(super) input: Input,
}

/// An agreement on keys with the key object that was chosen for it.
pub(super) struct Agreement {
    pub(super) key: &'static Key,
    pub(super) protocol: Protocol,
}

/// Ways to agree on keys for secure messaging.
pub(super) enum Protocol {
    Pace(Pace),
    /// A trusted channel whose other end is not yet known.
    Card(End),
    /// A trusted channel to a card with these rights.
    WithCard(End, TrustedChannel, Rights),
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agreement").field("key", &self.key.path).finish_non_exhaustive()
    }
}

/// A secure channel, and what its keys were agreed on with.
#[derive(Debug)]
pub(super) struct Secure {
    pub(super) channel: SecureChannel,
    pub(super) origin: Origin,
}

/// A chosen key with its algorithm, for each purpose.
#[derive(Debug, Default)]
pub(super) struct Selected {
    pub(super) sign: Option<(&'static Key, Algorithm)>,
    pub(super) authenticate: Option<(&'static Key, Algorithm)>,
    pub(super) decipher: Option<(&'static Key, Algorithm)>,
}

impl Channel {
    pub(super) fn new(master: &'static Folder) -> Channel {
        Channel {
            folder: master,
            file: None,
            environment: 1,
            selected: Selected::default(),
            agreement: None,
            secure: None,
            sender: None,
            trust: Trust::default(),
            belgian: None,
            secret: None,
            fresh: None,
            verified: BTreeMap::new(),
        }
    }

    /// Makes a folder current: the file, the keys, the environment and the passwords of the folders left go.
    pub(super) fn enter(&mut self, layout: &'static Layout, folder: &'static Folder) {
        self.verified.retain(|&id, _| {
            layout.passwords.get(id).is_some_and(|password| layout.is_within(folder.id, password.folder))
        });
        self.folder = folder;
        self.file = None;
        self.environment = 1;
        self.selected = Selected::default();
    }

    /// Another application was selected on a card where verified secrets belong to the selected one.
    pub(super) fn forget_verified(&mut self) {
        self.verified.clear();
        self.fresh = None;
    }

    /// Secure messaging broke: its keys go, and whatever was earned.
    pub(super) fn break_secure_messaging(&mut self) {
        self.secure = None;
        self.trust = Trust::default();
        self.verified.clear();
        self.fresh = None;
    }

    /// The security environment that governs objects of a folder.
    pub(super) fn environment_of(&self, folder: usize) -> u8 {
        if folder == self.folder.id { self.environment } else { 1 }
    }

    pub(super) fn is_verified(&self, password: &Password) -> bool {
        self.verified.contains_key(&password.id)
    }

    pub(super) fn set_verified(&mut self, password: &Password, uses: Option<u32>) {
        self.verified.insert(password.id, uses);
        self.fresh = Some(password.id);
    }

    pub(super) fn clear_verified(&mut self, password: &Password) {
        self.verified.remove(&password.id);
        self.fresh = None;
    }

    /// Counts one use of a password; the last one clears its status.
    pub(super) fn use_up(&mut self, password: &Password) {
        if let Some(Some(uses)) = self.verified.get_mut(&password.id) {
            *uses = uses.saturating_sub(1);
            if *uses == 0 {
                self.clear_verified(password);
            }
        }
    }
}
