//! A PostgreSQL server of the test's own: it refuses to run as root, so root lends it another user.

use std::{
    fs::{self, File},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Where Debian keeps its versions.
const VERSIONS: &str = "/usr/lib/postgresql";
/// User and group of `nobody` and `nogroup` in Debian.
const NOBODY: u32 = 65534;

/// A server on a Unix socket in its folder; it ends with this value.
pub(crate) struct Postgres {
    folder: TempDir,
    server: Option<Child>,
}

impl Postgres {
    /// A fresh database.
    pub(crate) fn start() -> Postgres {
        let folder = tempfile::tempdir().unwrap();
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut postgres = Postgres { folder, server: None };
        let made = postgres
            .command("initdb")
            .args(["--auth=trust", "--username=signer", "--no-sync", "--encoding=UTF8", "--pgdata"])
            .arg(postgres.data())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        postgres.begin();
        postgres
    }

    /// What a configuration says.
    pub(crate) fn url(&self) -> String {
        format!("postgres://signer@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Ends the server as a power cut would.
    pub(crate) fn cut(&mut self) {
        if let Some(mut server) = self.server.take() {
            // An immediate shutdown: the processes of its connections must not outlive it.
            let _ = Command::new("kill").args(["-QUIT", &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }

    /// Starts it again on what it had.
    pub(crate) fn begin(&mut self) {
        let log = File::create(self.folder.path().join("log")).unwrap();
        let mut server = self.command("postgres");
        server.arg("-D").arg(self.data()).arg("-k").arg(self.folder.path()).args(["-c", "listen_addresses="]);
        self.server = Some(server.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let socket = self.folder.path().join(".s.PGSQL.5432");
        let patience = Instant::now() + Duration::from_secs(60);
        while UnixStream::connect(&socket).is_err() || !self.answers() {
            let log = || fs::read_to_string(self.folder.path().join("log")).unwrap();
            assert!(Instant::now() < patience, "PostgreSQL does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn answers(&self) -> bool {
        let mut asked = self.command("pg_isready");
        asked.arg("-h").arg(self.folder.path()).stdout(Stdio::null()).status().unwrap().success()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let newest = fs::read_dir(VERSIONS).expect("scripts/setup test installs PostgreSQL").flatten();
        let newest = newest.map(|entry| entry.path().join("bin").join(program)).filter(|path| path.exists());
        let program = newest.max().expect("a version of PostgreSQL with this program");
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        let nobody = NOBODY.to_string();
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups"]).arg(program);
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.cut();
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}
