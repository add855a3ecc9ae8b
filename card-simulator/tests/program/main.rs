//! The program as a user runs it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a panic here is the report")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

mod desk;
mod killed;

fn simulator() -> Command {
    Command::new(env!("CARGO_BIN_EXE_card-simulator"))
}

fn new(directory: &Path, more: &[&str]) -> Output {
    simulator().arg("new").arg("--out").arg(directory).args(more).output().unwrap()
}

fn show(directory: &Path) -> Value {
    let output = simulator().arg("show").arg(directory).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Starts the program and waits for its line that says it is ready.
fn run(plug: &str, more: &[&str]) -> (Simulator, BufReader<std::process::ChildStdout>) {
    let mut command = simulator();
    let mut child = command.args(["run", "--plug", plug]).args(more).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    let child = Simulator(child);
    assert!(line.starts_with("ready socket:"), "{line}");
    (child, out)
}

/// The running program; it ends with the test, however that ends.
struct Simulator(Child);

impl std::ops::Deref for Simulator {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl std::ops::DerefMut for Simulator {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn ask(stream: &mut UnixStream, command: &str) -> Vec<u8> {
    let command = hex::decode(command).unwrap();
    stream.write_all(&[(command.len() as u16).to_be_bytes().as_slice(), &command].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).unwrap();
    answer
}

#[test]
fn a_new_card_is_described_in_json_and_made_once() {
    let directory = tempfile::tempdir().unwrap();
    let card = directory.path().join("card");
    let authority = directory.path().join("authority");
    let more =
        ["--profile", "hpc-p384", "--holder", "Max Muster", "--profession", "dentist", "--json", "--ca"];
    let output = new(&card, &[more.as_slice(), &[authority.to_str().unwrap()]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let described: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(described["profile"], "hpc-p384");
    assert!(described["telematik_id"].as_str().unwrap().starts_with("2-SIM-"));
    assert_eq!(described["certificates"].as_array().unwrap().len(), 6);
    assert!(std::fs::read_to_string(card.join("ca.pem")).unwrap().contains("BEGIN CERTIFICATE"));
    assert!(authority.join("ca.pem").exists());
    let again = new(&card, &["--profile", "hpc-p384"]);
    assert!(!again.status.success());
    assert!(String::from_utf8_lossy(&again.stderr).contains("a card image is there already"));
}

#[test]
fn wrong_values_are_refused_without_repeating_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let output = new(&directory.path().join("card"), &["--profile", "hba-g21", "--pin-ch", "1234"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(text.contains("PIN.CH: 6 to 8 digits, not 4") && !text.contains("1234"), "{text}");
}

#[test]
fn a_trace_counts_commands_and_masks_pins() {
    let directory = tempfile::tempdir().unwrap();
    let (card, socket) = (directory.path().join("card"), directory.path().join("card.sock"));
    assert!(new(&card, &["--profile", "hba-g21"]).status.success());
    let plug = format!("{}=socket:{}", card.display(), socket.display());
    let (mut child, mut out) = run(&plug, &["--trace"]);
    let mut stream = UnixStream::connect(&socket).unwrap();
    assert_eq!(ask(&mut stream, "002000010826123456FFFFFFFF"), [0x90, 0]);
    assert_eq!(ask(&mut stream, "80200001"), [0x90, 0]);
    let busy = simulator().arg("show").arg(&card).output().unwrap();
    assert!(String::from_utf8_lossy(&busy.stderr).contains("in use by another process"));
    assert!(Command::new("sh").args(["-c", &format!("kill {}", child.id())]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    let mut text = String::new();
    out.read_to_string(&mut text).unwrap();
    assert!(text.contains("card     1  0020000108**  9000"), "{text}");
    assert!(text.contains("card     2  80200001  9000") && text.contains(": 2 commands"), "{text}");
    assert!(!text.contains("123456"), "{text}");
    assert!(!socket.exists());
}

#[test]
fn a_killed_simulator_has_lost_no_counter_step() {
    let directory = tempfile::tempdir().unwrap();
    let (card, socket) = (directory.path().join("card"), directory.path().join("card.sock"));
    assert!(new(&card, &["--profile", "hba-g21"]).status.success());
    let plug = format!("{}=socket:{}", card.display(), socket.display());
    for tries in [2, 1, 0] {
        let (mut child, _out) = run(&plug, &[]);
        let mut stream = UnixStream::connect(&socket).unwrap();
        assert_eq!(ask(&mut stream, "002000010826999999FFFFFFFF"), [0x63, 0xC0 + tries]);
        child.kill().unwrap();
        child.wait().unwrap();
        let shown = show(&card);
        let passwords = shown["passwords"].as_array().unwrap();
        let pin = passwords.iter().find(|password| password["path"] == "MF/PIN.CH").unwrap();
        assert_eq!(pin["tries"], tries);
    }
}

#[test]
fn a_card_is_pulled_at_the_wanted_command() {
    let directory = tempfile::tempdir().unwrap();
    let (card, socket) = (directory.path().join("card"), directory.path().join("card.sock"));
    assert!(new(&card, &["--profile", "egk-g21"]).status.success());
    let plug = format!("{}=socket:{}", card.display(), socket.display());
    let (mut child, _out) = run(&plug, &["--pull-after", "2"]);
    let mut stream = UnixStream::connect(&socket).unwrap();
    assert_eq!(ask(&mut stream, "00A4040C"), [0x90, 0]);
    assert!(ask(&mut stream, "00A4040C").is_empty());
    assert_eq!(ask(&mut stream, "07"), [0, 0, 0, 0, 1]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn two_spellings_of_a_directory_are_one_card() {
    let directory = tempfile::tempdir().unwrap();
    let (card, socket) = (directory.path().join("card"), directory.path().join("card.sock"));
    assert!(new(&card, &["--profile", "egk-g21"]).status.success());
    let plug = format!("{}=socket:{}", card.display(), socket.display());
    let other = format!("{}/../card=socket:127.0.0.1:0", card.display());
    let (mut child, _out) = run(&plug, &["--plug", &other]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_reader_of_the_output_who_leaves_early_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let card = directory.path().join("card");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut made = simulator();
    made.arg("new").arg("--out").arg(&card).args(["--profile", "egk-g21"]);
    let made = made.stdout(writer.try_clone().unwrap()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let shown = simulator().arg("show").arg(&card).stdout(writer).output().unwrap();
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
}

#[test]
fn an_error_tells_each_cause_once() {
    let directory = tempfile::tempdir().unwrap();
    let card = directory.path().join("card");
    assert!(new(&card, &["--profile", "egk-g21"]).status.success());
    let plug = format!("{}=socket:{}/missing/card.sock", card.display(), directory.path().display());
    let output = simulator().args(["run", "--plug", &plug]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert_eq!(text.matches("No such file or directory").count(), 1, "{text}");
}
