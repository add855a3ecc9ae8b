//! A soft token with keys made by OpenSSL, and the built service on it as a process of its own: a PKCS#11 module can be
//! loaded once per process only.

use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Output},
    time::{Duration, Instant},
};

use proto::v1::signer_service_client::SignerServiceClient;
use sqlx::{ConnectOptions, Row, sqlite::SqliteConnectOptions};
use tempfile::TempDir;
use tonic::transport::{Channel, Endpoint};

/// Debian's SoftHSM.
pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// PIN of the token.
pub(crate) const PIN: &str = "40917263";
/// The client's way to say that there is no insurance card.
pub(crate) const NO_CARD: [&str; 2] = ["--no-card", "the test has no insurance card"];

/// A kind of key and the certificate extension that says what it is for.
pub(crate) struct Key {
    /// `genpkey` options.
    pub(crate) kind: &'static str,
    /// keyUsage of the certificate.
    pub(crate) usage: &'static str,
    /// Label of key and certificate.
    pub(crate) label: &'static str,
}

pub(crate) const P384: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:P-384";
pub(crate) const RSA: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:2048";
/// A signature and an authentication key, as a card has them.
pub(crate) const BOTH: [Key; 2] = [
    Key { kind: P384, usage: "nonRepudiation", label: "C.HP.QES.E384" },
    Key { kind: P384, usage: "digitalSignature", label: "C.HP.AUT.E384" },
];

/// A folder with a token, a CA and a running service; it ends with this value.
pub(crate) struct Desk {
    folder: TempDir,
    service: Option<Child>,
}

impl Desk {
    /// A service on a token with these keys.
    pub(crate) fn with(keys: &[Key]) -> Desk {
        Desk::configured(keys, "")
    }

    /// The same with further lines of configuration.
    pub(crate) fn configured(keys: &[Key], further: &str) -> Desk {
        Desk::listening(&[("card", keys)], "", further)
    }

    /// A service with a token for each of several people.
    pub(crate) fn of_people(people: &[(&str, &[Key])], further: &str) -> Desk {
        Desk::listening(people, "", further)
    }

    /// A service that is reached by TLS, too, with the certificates of `init` in `pki/tls`.
    pub(crate) fn on_network(keys: &[Key], further: &str) -> Desk {
        Desk::of_people_on_network(&[("card", keys)], further)
    }

    /// The same with a token for each of several people.
    pub(crate) fn of_people_on_network(people: &[(&str, &[Key])], further: &str) -> Desk {
        let tls = "[tls]\ncertificate = 'pki/tls/server.pem'\nkey = 'pki/tls/server.key'\nclient_ca = 'pki/tls/ca.pem'\n";
        Desk::listening(people, "tls = '127.0.0.1:0'\n", &format!("{further}{tls}"))
    }

    fn listening(tokens: &[(&str, &[Key])], listen: &str, further: &str) -> Desk {
        let mut desk = Desk { folder: tempfile::tempdir().unwrap(), service: None };
        desk.make_authority();
        for (label, keys) in tokens {
            desk.add_token(label, keys);
        }
        if !listen.is_empty() {
            let init = ["init", "--client", "ward", "--dir"];
            let made = desk.client_command(&init).arg(desk.path("pki")).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let text = format!(
            "[listen]\nunix = \"s.sock\"\n{listen}[pkcs11]\nmodule = \"{MODULE}\"\n[insurance]\nreaders = []\n[trust]\nanchors = \
             \"ca.pem\"\n[rules.off]\nAUTHORED_ON = \"fixtures have fixed dates\"\n{further}"
        );
        fs::write(desk.path("config.toml"), text).unwrap();
        desk.start();
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The `serve` command with the environment of this desk.
    pub(crate) fn serve_command(&self, further: &[&str]) -> Command {
        let mut serve = self.client_command(&["serve", "--config"]);
        serve.arg(self.path("config.toml")).args(further);
        serve.env("SOFTHSM2_CONF", self.path("softhsm2.conf")).env("RUST_LOG", "trace");
        serve
    }

    /// A client command with the address of this desk's service.
    pub(crate) fn client_command(&self, arguments: &[&str]) -> Command {
        let mut client = Command::new(env!("CARGO_BIN_EXE_signer-service"));
        client.args(arguments).env("HPC_SIGNER_ADDRESS", self.address());
        client
    }

    /// Signs a file of this desk with a PIN; the signature goes to `out.p7s`.
    pub(crate) fn sign(&self, file: &str, pin: &str) -> Output {
        self.sign_with_key(file, pin, "")
    }

    /// The same with the caller's name for the document.
    pub(crate) fn sign_with_key(&self, file: &str, pin: &str, key: &str) -> Output {
        let _ = fs::remove_file(self.path("out.p7s"));
        let mut sign = self.client_command(&["sign"]);
        sign.arg(self.path(file)).arg("--out").arg(self.path("out.p7s")).args(NO_CARD);
        sign.args(["--json", "--idempotency-key", key, "--pin-env", "TEST_PIN"])
            .env("TEST_PIN", pin)
            .output()
            .unwrap()
    }

    /// A gRPC client of this desk's service.
    pub(crate) async fn grpc(&self) -> SignerServiceClient<Channel> {
        SignerServiceClient::new(Endpoint::from_shared(self.address()).unwrap().connect().await.unwrap())
    }

    /// The records of the audit trail: operation, outcome, remark.
    pub(crate) async fn records(&self) -> Vec<(String, String, String)> {
        let options = SqliteConnectOptions::new().filename(self.path("audit.db")).read_only(true);
        let mut database = options.connect().await.unwrap();
        let statement = "SELECT operation, outcome, COALESCE(remark, '') FROM audit ORDER BY sequence";
        let rows = sqlx::query(statement).fetch_all(&mut database).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
    }

    /// How many records name a certificate, and how many of these no card.
    pub(crate) async fn cards_in_records(&self) -> (i64, i64) {
        let options = SqliteConnectOptions::new().filename(self.path("audit.db")).read_only(true);
        let mut database = options.connect().await.unwrap();
        let count = "SELECT COUNT(*), COUNT(*) - COUNT(card) FROM audit WHERE certificate_serial IS NOT NULL";
        let row = sqlx::query(count).fetch_one(&mut database).await.unwrap();
        (row.get(0), row.get(1))
    }

    /// Verifies `out.p7s` with OpenSSL and answers the content.
    pub(crate) fn openssl_content(&self, extra: &[&str]) -> Vec<u8> {
        let verify = [
            "cms", "-verify", "-binary", "-purpose", "any", "-inform", "DER", "-in", "out.p7s", "-CAfile",
            "ca.pem",
        ];
        self.tool("openssl", &[&verify[..], &["-out", "content"], extra].concat());
        fs::read(self.path("content")).unwrap()
    }

    /// The service's log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("service.log")).unwrap()
    }

    /// The running service.
    pub(crate) fn service(&mut self) -> &mut Child {
        self.service.as_mut().unwrap()
    }

    /// Runs a program in the folder; it has to succeed.
    pub(crate) fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"));
        let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned() + &said
    }

    /// Kills the service as a power cut would, and starts it again.
    pub(crate) fn kill_and_start(&mut self) {
        self.stop();
        self.start();
    }

    /// Kills the service, if it runs.
    pub(crate) fn stop(&mut self) {
        if let Some(mut service) = self.service.take() {
            service.kill().unwrap();
            service.wait().unwrap();
        }
    }

    /// Where the service listens, for clients.
    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.path("s.sock").display())
    }

    /// Has an export of the audit trail verified; answers the number of its records.
    pub(crate) fn verify_audit(&self) -> usize {
        let audit = |arguments: &[&str]| {
            let mut audit = self.client_command(&[&["audit"], arguments].concat());
            audit.current_dir(self.folder.path()).output().unwrap()
        };
        let export = audit(&["export", "--config", "config.toml"]);
        fs::write(self.path("export"), &export.stdout).unwrap();
        let said = audit(&["verify", "export", "--key", "audit.pub"]);
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{text} {}", String::from_utf8_lossy(&said.stderr));
        let count = text.strip_prefix("in order: ").and_then(|rest| rest.split(' ').next());
        count.and_then(|count| count.parse().ok()).expect("a count of records")
    }

    fn start(&mut self) {
        let log = File::create(self.path("service.log")).unwrap();
        self.service = Some(self.serve_command(&[]).stderr(log).spawn().unwrap());
        let patience = Instant::now() + Duration::from_secs(30);
        while UnixStream::connect(self.path("s.sock")).is_err() {
            let ended = self.service().try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < patience,
                "the service does not listen: {}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn make_authority(&self) {
        fs::create_dir(self.path("tokens")).unwrap();
        let tokens = self.path("tokens");
        fs::write(self.path("softhsm2.conf"), format!("directories.tokendir = {}\n", tokens.display()))
            .unwrap();
        self.words("openssl", &format!("genpkey {P384} -out ca.key"));
        self.words("openssl", "req -x509 -new -key ca.key -days 30 -subj /CN=Test-CA -out ca.pem");
        fs::copy(fixture("prescription.xml"), self.path("prescription.xml")).unwrap();
    }

    /// Runs a program with arguments that hold no blanks.
    fn words(&self, program: &str, line: &str) {
        self.tool(program, &line.split(' ').collect::<Vec<_>>());
    }

    fn add_token(&self, token: &str, keys: &[Key]) {
        let words = |program: &str, line: &str| self.words(program, line);
        words("softhsm2-util", &format!("--init-token --free --label {token} --pin {PIN} --so-pin 12345678"));
        for (index, key) in keys.iter().enumerate() {
            let (id, label) = (format!("{:02}", index + 1), key.label);
            let extensions = format!("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,{}\n", key.usage);
            fs::write(self.path("extensions"), extensions).unwrap();
            words("openssl", &format!("genpkey {} -out key.pem", key.kind));
            words("openssl", "req -new -key key.pem -subj /CN=Holder -out request.csr");
            words(
                "openssl",
                "x509 -req -in request.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile extensions -outform DER \
                 -out certificate.der",
            );
            words(
                "softhsm2-util",
                &format!("--import key.pem --token {token} --label {label} --id {id} --pin {PIN}"),
            );
            words(
                "pkcs11-tool",
                &format!(
                    "--module {MODULE} --token-label {token} --login --pin {PIN} --write-object certificate.der --type cert --id {id} --label {label}"
                ),
            );
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// A file of this crate.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Prescriptions that differ.
pub(crate) fn prescriptions(count: usize) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fixture("prescription.xml")).unwrap();
    (0..count).map(|n| text.replace("Beispielkasse", &format!("Beispielkasse {n}")).into_bytes()).collect()
}

/// The reason of a refusal and its metadata.
pub(crate) fn refusal(status: &tonic::Status) -> (String, std::collections::HashMap<String, String>) {
    use tonic_types::StatusExt;
    let info = status.get_details_error_info().unwrap_or_else(|| panic!("no details: {status}"));
    (info.reason, info.metadata)
}

/// The JSON a client command printed.
pub(crate) fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&output.stderr)))
}
