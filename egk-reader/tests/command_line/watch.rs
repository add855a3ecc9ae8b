//! `watch` while cards come and go.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;

use super::Reader;

/// The command while it runs.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn start(reader: &str, options: &[&str]) -> Watch {
        let mut child = Command::new(env!("CARGO_BIN_EXE_egk-reader"))
            .args(["watch", "--reader", reader])
            .args(options)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Watch { child, lines }
    }

    /// Waits for the next line.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn each_insertion_and_removal_is_a_line() {
    let reader = Reader::egk();
    let mut watch = Watch::start(&reader.name, &["--count", "4"]);
    let added = watch.next();
    assert_eq!(
        (added["event"].as_str(), added["reader"].as_str()),
        (Some("reader-added"), Some(&*reader.name))
    );
    let inserted = watch.next();
    assert_eq!(inserted["event"], "inserted");
    assert_eq!(inserted["card"], "egk");
    assert!(inserted["atr"].as_str().unwrap().starts_with("3B"), "{inserted}");
    let card = reader.slot.eject().unwrap();
    assert_eq!(watch.next()["event"], "removed");
    reader.slot.insert(card);
    assert_eq!(watch.next()["event"], "inserted");
    assert!(watch.child.wait().unwrap().success(), "four lines were asked for");
    assert_eq!(reader.slot.commands(), 0, "no command was sent to the card");
}

#[test]
fn a_card_is_asked_only_on_demand() {
    let reader = Reader::egk();
    let mut watch = Watch::start(&reader.name, &["--count", "2", "--identify"]);
    watch.next();
    assert_eq!(watch.next()["card"], "egk");
    assert_eq!(reader.slot.commands(), 1);
}
