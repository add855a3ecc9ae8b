//! A private PC/SC daemon with virtual readers, so that no system service is touched.
//!
//! pcscd accepts a listening socket by the systemd convention (descriptor 3, `LISTEN_FDS`, `LISTEN_PID`);
//! clients find it through `PCSCLITE_CSOCK_NAME`. The readers are those of the vpcd driver: the driver listens on
//! a port and a simulated card connects to it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use command_fds::{CommandFdExt, FdMapping};

use crate::programs::{program, run};

/// The driver of the virtual readers, of the package `vsmartcard-vpcd`. It knows its two readers by their place in a device
/// only, so that a daemon has one such device and more readers are more daemons.
pub const DRIVER: &str = "/usr/lib/pcsc/drivers/serial/libifdvpcd.so";

/// A running daemon with one virtual device of two readers; it ends with this value.
pub struct Pcscd {
    child: Child,
    socket: PathBuf,
    ports: [u16; 2],
}

impl Pcscd {
    /// Starts a daemon whose files lie in `dir`.
    pub fn start(dir: &Path) -> Result<Pcscd> {
        let ports = adjacent_ports()?;
        let configuration = dir.join("readers");
        fs::create_dir_all(&configuration)?;
        fs::create_dir_all("/run/pcscd").context("pcscd needs the directory /run/pcscd")?;
        fs::write(
            configuration.join("virtual"),
            format!(
                "FRIENDLYNAME \"Simulated\"\nDEVICENAME /dev/null:{port}\nLIBPATH {DRIVER}\nCHANNELID {port}\n",
                port = ports[0]
            ),
        )?;
        let socket = dir.join("pcscd.socket");
        let listener = UnixListener::bind(&socket)?;
        let log = fs::File::create(dir.join("pcscd.log"))?;
        // pcscd compares LISTEN_PID with its own process id, which only the process itself knows.
        let child = Command::new("sh")
            .args(["-c", "LISTEN_PID=$$ exec pcscd --foreground --apdu --config \"$0\""])
            .arg(&configuration)
            .env("LISTEN_FDS", "1")
            .fd_mappings(vec![FdMapping { parent_fd: listener.into(), child_fd: 3 }])?
            .stdout(log.try_clone()?)
            .stderr(Stdio::from(log))
            .spawn()
            .context("pcscd could not be started; scripts/setup test installs it")?;
        Ok(Pcscd { child, socket, ports })
    }

    /// Where clients find the daemon: the value of `PCSCLITE_CSOCK_NAME`.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Waits until that many readers hold a card; the driver looks for cards every 400 ms.
    pub fn wait_for_cards(&self, cards: usize) {
        let patience = Instant::now() + Duration::from_secs(20);
        loop {
            // Lists the readers and sends nothing to a card.
            let list =
                run(program("opensc-tool", ["--list-readers"]).env("PCSCLITE_CSOCK_NAME", &self.socket));
            if list.stdout.matches("Yes").count() == cards {
                return;
            }
            assert!(Instant::now() < patience, "the readers do not show {cards} cards:\n{}", list.text());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address at which a simulated card is plugged into reader 0 or 1.
    pub fn plug(&self, reader: usize) -> String {
        format!("vpcd:127.0.0.1:{}", self.ports[reader])
    }
}

impl Drop for Pcscd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The vpcd driver takes two neighbouring ports for its two readers.
fn adjacent_ports() -> Result<[u16; 2]> {
    for _ in 0..100 {
        let first = TcpListener::bind("127.0.0.1:0")?;
        let port = first.local_addr()?.port();
        if let Some(next) = port.checked_add(1)
            && TcpListener::bind(("127.0.0.1", next)).is_ok()
        {
            return Ok([port, next]);
        }
    }
    anyhow::bail!("no two neighbouring free ports were found in 100 attempts")
}
