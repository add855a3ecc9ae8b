//! A TLS server that demands a certificate of the card's authorities and shows what it was given.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::desk::Desk;
use crate::programs::{program, run};

/// The request that clients which speak no HTTP of their own are given.
pub const REQUEST: &str = "GET / HTTP/1.0\r\n\r\n";

/// The certificate of the authority that issued the servers' own certificates, at the desk.
pub const AUTHORITY: &str = "authority.pem";

/// `openssl s_server` on a port that the system chose; it answers each request with a page about the connection.
pub struct TlsServer {
    child: Child,
    port: String,
}

impl TlsServer {
    /// Listens on loopback for clients with any certificate of the card. The server's own names `localhost`.
    pub fn start(desk: &Desk, options: &[&str]) -> TlsServer {
        TlsServer::demanding(desk, &desk.card.anchors(), options)
    }

    /// The same for certificates of one authority only: a browser then has the choice of fewer.
    pub fn demanding(desk: &Desk, anchors: &Path, options: &[&str]) -> TlsServer {
        TlsServer::listen(demanding(&mut plain(desk, &["-www"]), desk, anchors).args(options))
    }

    /// The same, but it shows files of the desk.
    pub fn with_files(desk: &Desk, anchors: &Path, options: &[&str]) -> TlsServer {
        TlsServer::listen(demanding(&mut plain(desk, &["-WWW"]), desk, anchors).args(options))
    }

    /// A server whose own key is elsewhere: `server` has the options that name it.
    pub fn listen(server: &mut Command) -> TlsServer {
        let mut child = server
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl can be started");
        let mut said = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            let read = said.read_line(&mut line).expect("the server says text");
            assert!(read > 0, "the server ended before it listened: {:?}", child.wait());
            if let Some((_, port)) = line.trim_end().split_once("ACCEPT 127.0.0.1:") {
                break port.to_owned();
            }
        };
        // A full pipe would stop the server.
        std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
        TlsServer { child, port }
    }

    /// Where it listens.
    pub fn port(&self) -> &str {
        &self.port
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server command that demands nothing of its clients.
pub fn plain(desk: &Desk, options: &[&str]) -> Command {
    let mut server = program("openssl", ["s_server", "-accept", "127.0.0.1:0"]);
    server.args(options).current_dir(desk.directory());
    desk.dress(&mut server);
    server
}

/// The page that a client got shows the certificate of the card's holder.
#[track_caller]
pub fn expect_page_of_the_holder(said: &str, version: &str) {
    let subject = said.split_once("Client certificate").map(|(_, rest)| rest);
    assert!(subject.is_some_and(|rest| rest.contains("Ada")), "no client certificate: {said}");
    let protocol = said.lines().filter_map(|line| line.trim().strip_prefix("Protocol"));
    let mut protocols = protocol.map(|rest| rest.trim_start_matches([' ', ':']).trim());
    assert!(protocols.any(|protocol| protocol == version), "not {version}: {said}");
}

/// The server has a certificate of its own and lets in who has one of the given authorities.
fn demanding<'a>(server: &'a mut Command, desk: &Desk, anchors: &Path) -> &'a mut Command {
    make_certificates(desk);
    server.args(["-cert", "server.pem", "-key", "server.key"]);
    server.args(["-Verify", "2", "-verify_return_error", "-CAfile"]).arg(anchors)
}

/// An authority and a certificate that it issued, as browsers want them; once for each desk.
pub fn make_certificates(desk: &Desk) {
    if desk.path(AUTHORITY).exists() {
        return;
    }
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -batch";
    let authority = format!("{new} -subj /CN=Clinic -keyout authority.key -out {AUTHORITY}");
    let server = format!(
        "{new} -CA {AUTHORITY} -CAkey authority.key -subj /CN=localhost -keyout server.key -out server.pem \
         -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE"
    );
    for words in [authority, server] {
        run(program("openssl", words.split_whitespace()).current_dir(desk.directory())).expect_success();
    }
}
