//! A desk: a card in a reader of a PC/SC daemon, the module configured, and a directory for what a client needs.
//!
//! No client may cost a PIN try. Each desk looks at the card's counters when it is cleared away, so that no test can
//! forget to.

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::artefacts::module;
use crate::cards::CardImage;
use crate::pcscd::Pcscd;
use crate::programs::{Ran, ended, program, run};
use crate::simulator::{Simulator, socket_in};

/// Tries that every PIN of a new card has.
const TRIES: u64 = 3;

/// One card, and all that a client works with.
pub struct Desk {
    /// The card in the reader.
    pub card: CardImage,
    /// What it was told.
    pub simulator: Simulator,
    profile: &'static str,
    daemon: Option<Pcscd>,
    directory: TempDir,
    lost: Cell<u64>,
}

impl Desk {
    /// A card of a profile and the module as it is without settings.
    pub fn with(profile: &'static str) -> Desk {
        Desk::configured(profile, "")
    }

    /// The same with lines in the module's configuration file.
    pub fn configured(profile: &'static str, settings: &str) -> Desk {
        Desk::holding(CardImage::of(profile), profile, settings)
    }

    /// The same with a card that was made on purpose.
    pub fn holding(card: CardImage, profile: &'static str, settings: &str) -> Desk {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let daemon = Pcscd::start(directory.path()).expect("the daemon can be started");
        let reader = daemon.plug(0);
        let desk = Desk::of(card, profile, directory, Some(daemon), &reader, settings);
        desk.wait_for_cards(1);
        desk
    }

    /// The same without a daemon, for programs that a daemon would not let in.
    pub fn on_socket(profile: &'static str) -> Desk {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let reader = socket_in(&directory, "hpc");
        let settings = format!("readers = [{reader:?}]");
        Desk::of(CardImage::of(profile), profile, directory, None, &reader, &settings)
    }

    fn of(
        card: CardImage,
        profile: &'static str,
        directory: TempDir,
        daemon: Option<Pcscd>,
        reader: &str,
        settings: &str,
    ) -> Desk {
        let simulator = Simulator::start(&[(&card, reader)]);
        let desk = Desk { card, simulator, profile, daemon, directory, lost: Cell::new(0) };
        desk.file("module.toml", format!("{settings}\n"));
        desk
    }

    /// Waits until the daemon sees that many cards.
    pub fn wait_for_cards(&self, cards: usize) {
        self.daemon.as_ref().expect("a desk with a daemon").wait_for_cards(cards);
    }

    /// Where the client's files are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A place in that directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    /// A file there.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let file = self.path(name);
        fs::write(&file, content).expect("the directory is writable");
        file
    }

    /// The module's configuration file.
    pub fn configuration(&self) -> PathBuf {
        self.path("module.toml")
    }

    /// The label of the token for authentication.
    pub fn token(&self) -> &'static str {
        match self.profile {
            "hpc-p384" => "HPC P-384 ESIGN",
            "hba-g21" => "HBA ESIGN",
            other => panic!("{other} has no token"),
        }
    }

    /// The `pkcs11:` URI of an object of that token: `private`, `cert` or `public`.
    pub fn uri(&self, object: &str, kind: &str) -> String {
        format!("pkcs11:token={};object={object};type={kind}", self.token().replace(' ', "%20"))
    }

    /// A program that works in this directory, finds the module's configuration and is stopped if it hangs.
    pub fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.unconfigured(name, arguments);
        command.env("HPC_PKCS11_CONFIG", self.configuration());
        command
    }

    /// The same for a client that has the place of the configuration from elsewhere.
    pub fn unconfigured(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = program("timeout", ["120", name]);
        command.args(arguments).current_dir(self.directory());
        self.dress(&mut command);
        command
    }

    /// The environment of every program at this desk: its home is here, and this is where it finds the reader.
    pub fn dress(&self, command: &mut Command) {
        command.env("HOME", self.directory()).env_remove("XDG_CACHE_HOME").env_remove("XDG_CONFIG_HOME");
        if let Some(daemon) = &self.daemon {
            command.env("PCSCLITE_CSOCK_NAME", daemon.socket());
        }
    }

    /// Runs a program to its end.
    #[track_caller]
    pub fn run(&self, name: &str, arguments: &[&str]) -> Ran {
        run(&mut self.command(name, arguments))
    }

    /// Tells the desk that a test loses tries of the authentication PIN on purpose.
    pub fn expect_lost_tries(&self, tries: u64) {
        self.lost.set(tries);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert_eq!(self.simulator.tries_left(0, "PIN.CH"), TRIES - self.lost.get(), "tries of PIN.CH");
        assert_eq!(self.simulator.tries_left(0, "PIN.QES"), TRIES, "tries of PIN.QES");
    }
}

/// Runs a program that talks with a server: its input stays open until it ends by itself.
#[track_caller]
pub fn converse(command: &mut Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program can be started");
    let mut open = child.stdin.take().expect("a pipe was asked for");
    // A program that gave up already is judged by what it said.
    let _ = open.write_all(input.as_bytes());
    let output = child.wait_with_output().expect("the program ends");
    drop(open);
    ended(output)
}

/// The module's path as text.
pub fn module_path() -> String {
    text_of(&module())
}

/// A path as text.
pub fn text_of(path: &Path) -> String {
    path.to_str().expect("test paths are UTF-8").to_owned()
}
