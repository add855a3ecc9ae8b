//! OpenSSH 9.2: log in with a key of the card, as `docs/clients/openssh.md` tells.
//!
//! OpenSSH knows no brainpool curve; of the `hba-g21` card it uses the RSA keys.

use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::{fs, io::BufRead, io::BufReader};

use tests::artefacts::module;
use tests::cards::PIN_CH;
use tests::desk::{Desk, module_path};
use tests::programs::{Ran, program, run};
use tests::sshd::Sshd;

/// An agent sends one PIN to every slot, so the slot of the other PIN stays away.
const SETTINGS: &str = "qes = \"off\"";

const KEYS: [(&str, &str); 3] =
    [("hpc-p384", "C.HP.AUT.E384"), ("hpc-p384", "C.HP.AUT.R2048"), ("hba-g21", "C.HP.AUT.R2048")];

#[test]
fn ssh_keygen_prints_the_public_keys_without_a_pin() {
    for profile in ["hpc-p384", "hba-g21"] {
        let desk = Desk::configured(profile, SETTINGS);
        let keys = public_keys(&desk);
        for (_, object) in KEYS.iter().filter(|(of, _)| *of == profile) {
            assert!(keys.lines().any(|line| line.ends_with(object)), "{profile}: {keys}");
        }
        assert!(!keys.contains("QES"), "{profile}: {keys}");
    }
}

#[test]
fn ssh_logs_in_with_each_key_of_the_card() {
    for (profile, object) in KEYS {
        let desk = Desk::configured(profile, SETTINGS);
        let server = authorize(&desk, object);
        let provider = format!("PKCS11Provider={}", module_path());
        let said = ssh(&desk, &server, &["-o", &provider, "-o", "IdentityAgent=none"], None);
        assert!(said.success && said.stdout == "logged in\n", "{profile} {object}: {}", said.text());
        assert_eq!(desk.simulator.signatures(), 1, "{profile} {object}");
    }
}

#[test]
fn the_agent_keeps_the_card_open_for_several_logins() {
    // One brainpool key on a card makes the agent refuse the card as a whole.
    for (profile, object) in KEYS.into_iter().filter(|(profile, _)| *profile == "hpc-p384") {
        let desk = Desk::configured(profile, SETTINGS);
        let server = authorize(&desk, object);
        let agent = Agent::start(&desk);
        run(agent.known_to(&mut asking(desk.command("ssh-add", &["-s", &module_path()]), &desk)))
            .expect_success();
        for _ in 0..2 {
            let said = ssh(&desk, &server, &[], Some(&agent));
            assert!(said.success && said.stdout == "logged in\n", "{profile} {object}: {}", said.text());
        }
        assert_eq!(desk.simulator.signatures(), 2, "{profile} {object}");
        run(agent.known_to(&mut desk.command("ssh-add", &["-e", &module_path()]))).expect_success();
        let listed = run(agent.known_to(&mut desk.command("ssh-add", &["-L"])));
        assert!(!listed.success && listed.text().contains("no identities"), "{}", listed.text());
    }
}

fn public_keys(desk: &Desk) -> String {
    desk.run("ssh-keygen", &["-D", &module_path()]).expect_success().stdout
}

/// A server that lets in who has the given key.
fn authorize(desk: &Desk, object: &str) -> Sshd {
    let keys = public_keys(desk);
    let key = keys.lines().find(|line| line.ends_with(object)).unwrap_or_else(|| panic!("{keys}"));
    desk.file("authorized", format!("{key}\n"));
    Sshd::start(desk)
}

fn ssh(desk: &Desk, server: &Sshd, options: &[&str], agent: Option<&Agent>) -> Ran {
    let user = run(&mut program("id", ["-un"])).expect_success().stdout;
    let destination = format!("{}@127.0.0.1", user.trim());
    let port = server.port();
    let mut arguments = vec!["-F", "none", "-p", &port, "-o", "StrictHostKeyChecking=no"];
    arguments.extend(["-o", "UserKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=publickey"]);
    arguments.extend(["-o", "IdentityFile=none"]);
    arguments.extend_from_slice(options);
    arguments.extend([destination.as_str(), "echo logged in"]);
    let mut command = asking(desk.command("ssh", &arguments), desk);
    if let Some(agent) = agent {
        agent.known_to(&mut command);
    }
    run(&mut command)
}

/// Where a person would type the PIN.
fn asking(mut command: Command, desk: &Desk) -> Command {
    let answer = desk.file("askpass", format!("#!/bin/sh\necho {PIN_CH}\n"));
    fs::set_permissions(&answer, fs::Permissions::from_mode(0o700)).unwrap();
    command.env("SSH_ASKPASS", answer).env("SSH_ASKPASS_REQUIRE", "force").env_remove("SSH_AUTH_SOCK");
    command
}

/// An `ssh-agent` of the desk's own.
struct Agent {
    child: Child,
    socket: std::path::PathBuf,
}

impl Agent {
    fn start(desk: &Desk) -> Agent {
        let socket = desk.path("agent");
        // By itself an agent loads modules of the system's library directories only.
        let allowed = fs::canonicalize(module()).unwrap();
        let mut command = Command::new("ssh-agent");
        command.args(["-D", "-P"]).arg(allowed).arg("-a").arg(&socket).stdout(Stdio::piped());
        desk.dress(command.env("HPC_PKCS11_CONFIG", desk.configuration()));
        let mut child = command.spawn().expect("ssh-agent can be started");
        let mut said = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.contains("SSH_AUTH_SOCK"), "{said}");
        Agent { child, socket }
    }

    fn known_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("SSH_AUTH_SOCK", &self.socket)
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
