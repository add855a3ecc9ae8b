//! The signing service as its users run it: the built binary with a configuration file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use card_simulator::ocsp::OcspResponder;
use tempfile::TempDir;

use crate::artefacts::{binary, module};
use crate::programs::{Ran, run};

/// The address of the OCSP responder in certificates of simulated cards.
const RESPONDER: &str = "http://ocsp.card-simulator.invalid/";

/// What a service is started with.
pub struct Setup<'a> {
    /// The PKCS#11 module; `None` is the one of this project.
    pub module: Option<&'a Path>,
    /// Lines of the module's configuration file.
    pub module_configuration: String,
    /// Readers for insurance cards.
    pub insurance_readers: Vec<String>,
    /// Trust anchors, PEM.
    pub anchors: &'a Path,
    /// Further lines of its section `[listen]`.
    pub listen: String,
    /// Further lines of the service's configuration file, in tables of their own.
    pub further_configuration: String,
    /// Environment of the service.
    pub environment: Vec<(String, String)>,
    /// Further arguments of `serve`.
    pub arguments: Vec<String>,
}

impl<'a> Setup<'a> {
    /// This project's module on the given readers.
    pub fn on_readers(readers: &[&str], anchors: &'a Path) -> Setup<'a> {
        Setup {
            module: None,
            module_configuration: format!("readers = {readers:?}\n"),
            insurance_readers: Vec::new(),
            anchors,
            listen: String::new(),
            further_configuration: String::new(),
            environment: Vec::new(),
            arguments: Vec::new(),
        }
    }

    /// With the responder of the simulated cards' authority, so that the state of their certificates can be known.
    pub fn responder(mut self, responder: &OcspResponder) -> Setup<'a> {
        let addresses = format!("[ocsp.addresses]\n{RESPONDER:?} = {:?}\n", responder.url());
        self.further_configuration.push_str(&addresses);
        self
    }

    /// With a reader for insurance cards.
    pub fn insurance(mut self, reader: &str) -> Setup<'a> {
        self.insurance_readers.push(reader.to_owned());
        self
    }
}

/// A running service; it ends with this value.
pub struct Service {
    child: Child,
    directory: TempDir,
}

impl Service {
    /// Starts the service and waits until it listens.
    pub fn start(setup: Setup<'_>) -> Service {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let at = directory.path();
        let module_configuration = at.join("module.toml");
        fs::write(&module_configuration, &setup.module_configuration).expect("a file can be written");
        let configuration = at.join("service.toml");
        fs::write(&configuration, configuration_text(&setup, at)).expect("a file can be written");
        let log = File::create(at.join("service.log")).expect("a file can be written");
        let mut serve = Command::new(binary("signer-service"));
        serve.args(["serve", "--config"]).arg(&configuration);
        serve.env("HPC_PKCS11_CONFIG", module_configuration).env("RUST_LOG", "trace");
        serve.args(setup.arguments).envs(setup.environment);
        serve.stdout(log.try_clone().expect("a descriptor can be doubled")).stderr(log);
        let mut child = serve.spawn().expect("the service can be started");
        let socket = at.join("service.sock");
        let patience = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            let ended = child.try_wait().expect("a child can be asked");
            let log = || fs::read_to_string(at.join("service.log")).unwrap_or_default();
            assert!(ended.is_none(), "the service ended: {ended:?}\n{}", log());
            assert!(Instant::now() < patience, "the service does not listen\n{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        Service { child, directory }
    }

    /// Runs a client command of the service's own binary against it.
    pub fn client(&self, arguments: &[&str]) -> Ran {
        run(&mut self.command(arguments))
    }

    /// A client command that the caller completes.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut client = Command::new(binary("signer-service"));
        client.args(arguments).env("HPC_SIGNER_ADDRESS", format!("unix:{}", self.socket().display()));
        client
    }

    /// Signs a file with a PIN; answers what the client said and where the signature is.
    pub fn sign(&self, file: &Path, pin: &str, arguments: &[&str]) -> (Ran, PathBuf) {
        let out = self.directory.path().join("signed.p7s");
        let _ = fs::remove_file(&out);
        let mut sign = self.command(&["sign"]);
        sign.arg(file)
            .arg("--out")
            .arg(&out)
            .args(["--pin-env", "TEST_PIN"])
            .args(arguments)
            .env("TEST_PIN", pin);
        (run(&mut sign), out)
    }

    /// The listening socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("service.sock")
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Everything logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("service.log")).expect("the log can be read")
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration_text(setup: &Setup<'_>, at: &Path) -> String {
    format!(
        "[listen]\nunix = {:?}\n{}\n[pkcs11]\nmodule = {:?}\n\n[insurance]\nreaders = {:?}\n\n[trust]\nanchors = [{:?}]\n\n\
         [audit]\ndatabase = {:?}\n\n[rules.off]\nAUTHORED_ON = \"the examples have fixed dates\"\n\n{}",
        at.join("service.sock"),
        setup.listen,
        setup.module.map_or_else(module, Path::to_path_buf),
        setup.insurance_readers,
        setup.anchors,
        at.join("audit.sqlite"),
        setup.further_configuration,
    )
}
