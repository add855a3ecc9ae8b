//! The service over mutual TLS, and a caller made with another gRPC library.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::artefacts::{binary, python, root};
use crate::programs::{program, run};
use crate::service::{Service, Setup};
use crate::waiting::until_some;

/// The service's own calls.
pub const SIGNER: &str = "hpc.signer.v1.SignerService";

impl Setup<'_> {
    /// Listens on loopback for the client "ward", too, who may do everything; `init` makes the certificates in this folder.
    pub fn on_network(mut self, folder: &Path) -> Self {
        let mut init = program(binary("signer-service"), ["init", "--client", "ward", "--dir"]);
        run(init.arg(folder)).expect_success();
        self.listen.push_str("tls = \"127.0.0.1:0\"\n");
        let file = |name: &str| folder.join("tls").join(name);
        self.further_configuration.push_str(&format!(
            "[tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n[clients.ward]\ncertificates = [\"subject:CN=ward\"]\n\
             calls = [\"*\"]\ncards = [\"*\"]\nreaders = [\"*\"]\n",
            file("server.pem"),
            file("server.key"),
            file("ca.pem")
        ));
        self
    }
}

/// A connection of the client "ward". It ends with this value.
pub struct Caller {
    child: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Caller {
    /// Connects, with the certificate in this folder.
    pub fn connect(service: &Service, folder: &Path) -> Caller {
        let address = until_some("the service listens for TLS", || {
            let log = service.log();
            let line = log.lines().find(|line| line.contains("TLS address="))?;
            Some(line.rsplit_once("address=")?.1.trim().to_owned())
        });
        let mut command = program(python(), [root().join("tests/python/grpc_conversation.py")]);
        command
            .arg(address)
            .args(["ca.pem", "ward.pem", "ward.key"].map(|name| folder.join("tls").join(name)));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
        let asks = child.stdin.take().expect("a pipe was asked for");
        let answers = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Caller { child, asks, answers }
    }

    /// Makes a call; the answer, or the refusal: status code, reason, metadata.
    #[track_caller]
    pub fn call(&mut self, path: &str, request: &Value, token: &str) -> Value {
        writeln!(self.asks, "{}", json!({ "call": path, "request": request, "token": token }))
            .expect("a pipe");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("text");
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("the caller broke off: {line:?}"))
    }

    /// The health of a part of the service, `SERVING` or not; empty if there is no such part.
    #[track_caller]
    pub fn health(&mut self, part: &str) -> String {
        let said = self.call("grpc.health.v1.Health/Check", &json!({ "service": part }), "");
        said["answer"]["status"].as_str().unwrap_or_default().to_owned()
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// All metrics of a service now.
#[track_caller]
pub fn metrics(service: &Service) -> String {
    let mut curl = program("curl", ["-s", "--max-time", "20", "--unix-socket"]);
    let socket = service.socket().with_file_name("service.sock.metrics");
    assert!(fs::exists(&socket).is_ok_and(|there| there), "no socket for metrics");
    run(curl.arg(socket).arg("http://localhost/metrics")).expect_success().stdout
}
