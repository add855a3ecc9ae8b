//! Firefox' own remote control, protocol 3: each message is its length, a colon and JSON.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// Longer than any command takes on a machine under load.
const PATIENCE: Duration = Duration::from_secs(120);

/// The control connection to a browser.
pub struct Marionette {
    stream: BufReader<TcpStream>,
    sent: u64,
}

impl Marionette {
    /// Connects and begins a session in which navigation does not wait and dialogs stay for the test to answer.
    pub fn connect(port: u16) -> Result<Marionette> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut marionette = Marionette { stream: BufReader::new(stream), sent: 0 };
        let greeting = marionette.receive()?;
        ensure!(greeting["marionetteProtocol"] == 3, "another protocol: {greeting}");
        let capabilities = json!({ "pageLoadStrategy": "none", "unhandledPromptBehavior": "ignore" });
        marionette.command("WebDriver:NewSession", capabilities)?;
        Ok(marionette)
    }

    /// One command; the answer's result.
    pub fn command(&mut self, name: &str, parameters: Value) -> Result<Value> {
        self.sent += 1;
        let message = json!([0, self.sent, name, parameters]).to_string();
        write!(self.stream.get_mut(), "{}:{message}", message.len())?;
        let mut answer = self.receive().with_context(|| format!("no answer to {name}"))?;
        ensure!(answer[0] == 1 && answer[1] == self.sent, "not the answer to {name}: {answer}");
        if !answer[2].is_null() {
            bail!("{name}: {}: {}", answer[2]["error"], answer[2]["message"]);
        }
        Ok(answer[3].take())
    }

    /// A function's body, run in the browser itself; `arguments` has the arguments.
    pub fn in_browser(&mut self, script: &str, arguments: Value) -> Result<Value> {
        self.script("chrome", "WebDriver:ExecuteScript", script, arguments)
    }

    /// The same for a script that calls the last of its arguments with its result.
    pub fn in_browser_later(&mut self, script: &str, arguments: Value) -> Result<Value> {
        self.script("chrome", "WebDriver:ExecuteAsyncScript", script, arguments)
    }

    /// A function's body, run in the page.
    pub fn in_page(&mut self, script: &str) -> Result<Value> {
        self.script("content", "WebDriver:ExecuteScript", script, json!([]))
    }

    fn script(&mut self, context: &str, command: &str, script: &str, arguments: Value) -> Result<Value> {
        self.command("Marionette:SetContext", json!({ "value": context }))?;
        let mut parameters = json!({ "script": script, "args": arguments });
        if context == "chrome" {
            parameters["sandbox"] = json!("system");
        }
        Ok(self.command(command, parameters)?["value"].take())
    }

    fn receive(&mut self) -> Result<Value> {
        let mut length = Vec::new();
        self.stream.read_until(b':', &mut length)?;
        let digits = length.strip_suffix(b":").context("the browser hung up")?;
        let mut message = vec![0; std::str::from_utf8(digits)?.parse()?];
        self.stream.read_exact(&mut message)?;
        Ok(serde_json::from_slice(&message)?)
    }
}
