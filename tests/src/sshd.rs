//! A private OpenSSH server on a loopback port, with its own keys and configuration.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::desk::{Desk, text_of};
use crate::programs::{program, run};

/// `sshd` for the user that runs the tests; who may log in is in the desk's file `authorized`.
pub struct Sshd {
    child: Child,
    port: u16,
}

impl Sshd {
    /// Listens. A port that another program took in between is given up for the next one.
    pub fn start(desk: &Desk) -> Sshd {
        // Run by root, the server wants this directory for its unprivileged half.
        let _ = fs::create_dir_all("/run/sshd");
        let key = desk.path("host");
        let arguments = ["-q", "-t", "ed25519", "-N", "", "-f", &text_of(&key)];
        run(&mut program("ssh-keygen", arguments)).expect_success();
        (0..5).find_map(|_| Sshd::listen(desk)).expect("one of five free ports is still free")
    }

    /// Where it listens.
    pub fn port(&self) -> String {
        self.port.to_string()
    }

    fn listen(desk: &Desk) -> Option<Sshd> {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).ok()?.port();
        let lines = [
            format!("Port {port}\nListenAddress 127.0.0.1\nPidFile none"),
            format!("HostKey {}", desk.path("host").display()),
            format!("AuthorizedKeysFile {}", desk.path("authorized").display()),
            "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n".to_owned(),
        ];
        let configuration = desk.file("sshd_config", lines.join("\n"));
        let mut child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(configuration)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sshd can be started");
        let mut said = BufReader::new(child.stderr.take().expect("a pipe was asked for"));
        let mut log = String::new();
        while said.read_line(&mut log).expect("sshd says text") > 0 {
            if log.contains("Server listening on") {
                std::thread::spawn(move || said.read_to_end(&mut Vec::new()));
                return Some(Sshd { child, port });
            }
        }
        let _ = child.wait();
        assert!(log.contains("Address already in use"), "sshd said: {log}");
        None
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
