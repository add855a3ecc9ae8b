//! A card in a reader of a real PC/SC daemon, and processes that use it.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use card_simulator::server::Traffic;
use tempfile::TempDir;
use tests::cards::CardImage;
use tests::host::Host;
use tests::pcscd::Pcscd;
use tests::simulator::Simulator;

use crate::DRIVER;

pub(crate) struct Daemon {
    pub(crate) simulator: Simulator,
    configuration: PathBuf,
    daemon: Pcscd,
    _card: CardImage,
    _directory: TempDir,
}

impl Daemon {
    /// A card, and lines of configuration for our module.
    pub(crate) fn with(profile: &str, configuration: &str) -> Daemon {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let daemon = Pcscd::start(directory.path()).expect("pcscd");
        let card = CardImage::of(profile);
        let simulator = Simulator::start(&[(&card, &daemon.plug(0))]);
        daemon.wait_for_cards(1);
        let file = directory.path().join("module.toml");
        fs::write(&file, format!("certificate_cache = false\n{configuration}"))
            .expect("a file can be written");
        Daemon { simulator, configuration: file, daemon, _card: card, _directory: directory }
    }

    /// A process with our module, or with another one.
    pub(crate) fn host(&self, module: Option<&str>) -> Host {
        let mut environment = vec![
            ("PCSCLITE_CSOCK_NAME", self.daemon.socket().as_os_str()),
            ("HPC_PKCS11_CONFIG", self.configuration.as_os_str()),
        ];
        if let Some(module) = module {
            environment.push(("TOKEN_DRIVER_MODULE", OsStr::new(module)));
        }
        Host::start_with(DRIVER, &environment)
    }

    /// What goes over the line while something is done.
    pub(crate) fn traffic_of(&self, work: impl FnOnce()) -> Traffic {
        let before = self.simulator.traffic(0);
        work();
        self.simulator.traffic(0).since(before)
    }
}
