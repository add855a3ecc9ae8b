//! A soft token, a test CA, and services on them.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use signer_service::{config::Config, server};
use tempfile::TempDir;

/// Debian's SoftHSM.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// PIN of the token.
pub(crate) const PIN: &str = "40917263";

/// A folder with a token with one signature key on P-384 and its CA.
pub(crate) struct Token {
    folder: PathBuf,
    /// Whoever made the folder removes it.
    _made: Option<TempDir>,
}

/// A service in a process of its own; it ends with this value.
pub(crate) struct Service {
    child: Child,
    /// Its files.
    pub(crate) folder: TempDir,
}

/// What this program serves when it is called with `serve-bare`: the service of a configuration, without proof.
pub(crate) fn serve_bare(configuration: &Path) {
    let config = Config::load(configuration).expect("a configuration of this program's own making");
    signer_service::logging::start(&config.log);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(server::serve_without_proof(config)).expect("the service runs");
}

impl Token {
    /// The token in a folder.
    pub(crate) fn at(folder: PathBuf) -> Token {
        Token { folder, _made: None }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes the token.
    pub(crate) fn new() -> Token {
        let made = tempfile::tempdir().unwrap();
        let token = Token { folder: made.path().to_owned(), _made: Some(made) };
        let tokens = token.path("tokens");
        fs::create_dir(&tokens).unwrap();
        let configuration = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        fs::write(token.path("softhsm2.conf"), configuration).unwrap();
        let extensions = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,nonRepudiation\n";
        fs::write(token.path("extensions"), extensions).unwrap();
        for line in [
            &format!("softhsm2-util --init-token --free --label load --pin {PIN} --so-pin 12345678"),
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out ca.key",
            "openssl req -x509 -new -key ca.key -days 30 -subj /CN=Test-CA -out ca.pem",
            "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out key.pem",
            "openssl req -new -key key.pem -subj /CN=Holder -out request.csr",
            "openssl x509 -req -in request.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions \
             -outform DER -out certificate.der",
            &format!("softhsm2-util --import key.pem --token load --label C.HP.QES.E384 --id 01 --pin {PIN}"),
            &format!(
                "pkcs11-tool --module {MODULE} --login --pin {PIN} --write-object certificate.der --type cert --id 01 \
                 --label C.HP.QES.E384"
            ),
        ] {
            token.run(line);
        }
        token
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// For programs that use the token.
    pub(crate) fn environment(&self) -> (&'static str, PathBuf) {
        ("SOFTHSM2_CONF", self.path("softhsm2.conf"))
    }

    /// The configuration of a service on it.
    pub(crate) fn configuration(&self) -> String {
        format!(
            "[pkcs11]\nmodule = \"{MODULE}\"\nsessions = 16\n[trust]\nanchors = {:?}\n[verification]\n\
             require_qualified = false\nrevocation = \"not-required\"\n",
            self.path("ca.pem")
        )
    }

    fn run(&self, line: &str) {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).current_dir(&self.folder);
        let (name, value) = self.environment();
        let output = command.env(name, value).output().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Service {
    /// The service as it is shipped, or `bare`.
    pub(crate) fn start(configuration: &str, environment: &[(&str, PathBuf)], bare: bool) -> Service {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "{configuration}[listen]\nunix = \"s.sock\"\n[insurance]\nreaders = []\n[rules.off]\nAUTHORED_ON = \"the example \
             has a fixed date\"\n[comfort]\nenabled = true\nmax_signatures = 250\nsessions_per_card = 100000\n"
        );
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        let mut serve = if bare {
            let mut serve = Command::new(std::env::current_exe().unwrap());
            serve.arg("serve-bare").arg(&path);
            serve
        } else {
            let mut serve = Command::new(env!("CARGO_BIN_EXE_signer-service"));
            serve.args(["serve", "--config"]).arg(&path);
            serve
        };
        let log = File::create(folder.path().join("log")).unwrap();
        let child = serve.envs(environment.iter().cloned()).stderr(log).spawn().unwrap();
        let mut service = Service { child, folder };
        let patience = Instant::now() + Duration::from_secs(120);
        while UnixStream::connect(service.folder.path().join("s.sock")).is_err() {
            let log = || fs::read_to_string(service.folder.path().join("log")).unwrap();
            let ended = service.child.try_wait().unwrap();
            assert!(ended.is_none() && Instant::now() < patience, "the service does not listen: {}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        service
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.folder.path().join("s.sock").display())
    }

    /// Resident memory now and at most, in MiB.
    pub(crate) fn memory(&self) -> (f64, f64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            kib / 1024.0
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    /// Time of the processor so far.
    pub(crate) fn processor_time(&self) -> Duration {
        processor_time(self.child.id())
    }

    /// Exports the audit trail and has it verified; answers what that said.
    pub(crate) fn verified_audit(&self) -> String {
        let at = self.folder.path();
        let run = |arguments: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_signer-service"));
            let output = command.arg("audit").args(arguments).current_dir(at).output().unwrap();
            assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            output.stdout
        };
        fs::write(at.join("export"), run(&["export", "--config", "config.toml"])).unwrap();
        String::from_utf8(run(&["verify", "export", "--key", "audit.pub"])).unwrap().trim().to_owned()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Time of the processor that a process used: utime and stime of /proc/PID/stat, in hundredths of a second.
pub(crate) fn processor_time(process: u32) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(10 * ticks)
}
